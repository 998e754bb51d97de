"""Readers of JSON in Python, this library's among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from tests.compare.conformance.json_case import ACCEPTED, NOTHING, REFUSED, JSONCase, shown
from tests.compare.conformance.reader import PythonReader, found
from tokenstream.partial_json import Allow, PartialJSONParser

_LABEL_LENGTH = 2_000
"""A longer text is read whole and in pieces of this length, and not in single characters."""


# -- this library -------------------------------------------------------------------


def _ours(case: JSONCase, size: int, ended: bool, **options: Any) -> str:
    parser = PartialJSONParser(**options)
    for start in range(0, len(case.text), size):
        parser.feed(case.text[start : start + size])
    if ended:
        parser.end()
    if parser.error is not None:
        return REFUSED
    return shown(parser.snapshot()) if parser.has_value else NOTHING


def _at_every_chunking(case: JSONCase, ended: bool, **options: Any) -> str:
    whole = max(1, len(case.text))
    pieces = 1 if whole <= _LABEL_LENGTH else _LABEL_LENGTH
    told, again = [_ours(case, size, ended, **options) for size in (whole, pieces)]
    return told if told == again else shown(f"the pieces matter: {told} or {again}")


def _labelled_by_us(case: JSONCase) -> str:
    told = _at_every_chunking(case, ended=True)
    return told if told == REFUSED else _accepted(case, json.loads(told))


OURS: Mapping[str, Callable[[JSONCase], str]] = {
    "label": _labelled_by_us,
    "strict": lambda case: _at_every_chunking(case, ended=True),
    "partial": lambda case: _at_every_chunking(case, ended=False),
    "allow": lambda case: _at_every_chunking(case, ended=False, allow=Allow(case.allow)),
    "lenient": lambda case: _at_every_chunking(case, ended=True, lenient=True),
}
"""What this library makes of a case of each kind, whole and character by character."""


# -- others -------------------------------------------------------------------------


def _accepted(case: JSONCase, value: Any) -> str:
    told = shown(value)
    return ACCEPTED if told == shown(json.loads(case.text)) else told


def _whole(load: Callable[[str], Any]) -> dict[str, Callable[[JSONCase], str]]:
    return {
        "label": lambda case: _accepted(case, load(case.text)),
        "strict": lambda case: shown(load(case.text)),
    }


def _shows(load: Callable[[str], Any]) -> Callable[[JSONCase], str]:
    return lambda case: shown(load(case.text))


def _partial_json_parser(case: JSONCase) -> str:
    parser = found("partial_json_parser")
    allow = found("partial_json_parser.options").Allow
    try:
        return shown(parser.loads(case.text, allow(case.allow) if case.kind == "allow" else allow.ALL))
    except parser.PartialJSON:
        # So it says that there is nothing to show.
        return NOTHING


def _streaming(case: JSONCase) -> str:
    package = found("streaming_json_parser")
    result = package.StreamingJsonParser().feed(case.text.encode())
    if result.status is package.ParseStatus.INVALID:
        return REFUSED
    # A part whose value is None has nothing to show yet.
    nothing = result.value is None and result.status is not package.ParseStatus.COMPLETE
    return NOTHING if nothing else shown(result.value)


def _json_repair(case: JSONCase) -> str:
    value = found("json_repair").loads(case.text)
    # Its documents give the empty string for a text that it cannot repair.
    return REFUSED if value == "" else shown(value)


_IN_BAML = """\
client<llm> Nobody {
  provider openai
  options {
    model "none"
    api_key "none"
  }
}
type JSON = int | float | bool | string | null | JSON[] | map<string, JSON>
function Read() -> JSON {
  client Nobody
  prompt #"none"#
}
"""


@cache
def _baml_runtime() -> Any:
    return found("baml_py").BamlRuntime.from_files("baml_src", {"main.baml": _IN_BAML}, {})


def _baml(case: JSONCase) -> str:
    """Ask BAML's parser, which needs no model."""
    runtime, classes = _baml_runtime(), ModuleType("classes")
    context = runtime.create_context_manager()
    return shown(
        runtime.parse_llm_response(
            "Read", case.text, classes, classes, classes, False, context, None, None, {}
        )
    )


_JITER = "`from_json(text)`; with `partial_mode='trailing-strings'` for a part of a document"
_PYDANTIC = "`from_json(text)`; with `allow_partial='trailing-strings'` for a part of a document"


READERS = [
    PythonReader(
        "json", how="`json.loads(text)`", packages=(), modules=("json",), json_of=_whole(json.loads)
    ),
    PythonReader(
        "orjson",
        how="`orjson.loads(text)`",
        packages=("orjson",),
        json_of=_whole(lambda text: found("orjson").loads(text)),
    ),
    PythonReader(
        "jiter",
        how=_JITER,
        packages=("jiter",),
        json_of=_whole(lambda text: found("jiter").from_json(text.encode(), allow_inf_nan=False))
        | {
            "partial": _shows(
                lambda text: found("jiter").from_json(
                    text.encode(), partial_mode="trailing-strings", allow_inf_nan=False
                )
            )
        },
    ),
    PythonReader(
        "pydantic-core",
        how=_PYDANTIC,
        packages=("pydantic-core",),
        json_of=_whole(lambda text: found("pydantic_core").from_json(text, allow_inf_nan=False))
        | {
            "partial": _shows(
                lambda text: found("pydantic_core").from_json(
                    text, allow_partial="trailing-strings", allow_inf_nan=False
                )
            )
        },
    ),
    PythonReader(
        "partial-json-parser",
        how="`loads(text, allow)`, by default `Allow.ALL`",
        packages=("partial-json-parser",),
        json_of={"partial": _partial_json_parser, "allow": _partial_json_parser},
    ),
    PythonReader(
        "streaming-json-parser",
        how="`decode_complete_json(text)`; `StreamingJsonParser().feed(…)` for a part of a document",
        packages=("streaming-json-parser",),
        json_of=_whole(lambda text: found("streaming_json_parser").decode_complete_json(text.encode()))
        | {"partial": _streaming},
    ),
    PythonReader(
        "json_repair",
        how="`json_repair.loads(text)`; the empty string counts as a refusal",
        packages=("json_repair",),
        json_of={"lenient": _json_repair},
    ),
    PythonReader(
        "BAML",
        how="the parser of its runtime, `parse_llm_response`, with a type that accepts any JSON",
        packages=("baml-py",),
        json_of={"lenient": _baml},
    ),
]
