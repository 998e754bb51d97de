"""The table of places in docs/reports/losses.md.

It is what the encoders say of themselves; of errors, what a reader takes them for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args

from tests.made_tables.section import Section, table
from tests.project import ROOT
from tests.support.encoders import Encoder, load
from tokenstream import Decoder, testing
from tokenstream.errors import ErrorKind, NotExpressible, StreamError
from tokenstream.message import FinishReason, Usage
from tokenstream.relay._encoders.losses import Loss

KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
_ABSENT = "–"


def read_kind(format: Any, kind: ErrorKind, message: str | None = None) -> ErrorKind | None:
    """Return what a reader takes a script's error for; None where the format has no way to tell it."""
    try:
        chunks = testing.script().text("Hi").error(message, kind=kind).chunks(format)
    except NotExpressible:
        return None
    decoder = Decoder(format)
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()
    try:
        decoder.check()
    except StreamError as error:
        return error.kind
    raise AssertionError(f"{format} tells of no error")


def _errors(format: str) -> str:
    """Return the kinds that are read as themselves, by a code or by the words alone."""
    coded = [kind for kind in KINDS if kind != "unknown" and kind == read_kind(format, kind, "Message")]
    worded = [kind for kind in KINDS if kind == read_kind(format, kind) and kind not in ("unknown", *coded)]
    told = [_listed(coded)] if coded or not worded else []
    return "; ".join([*told, *([f"only by the message's words: {_listed(worded)}"] if worded else [])])


def _place(kind: Loss) -> Callable[[type[Encoder]], bool]:
    return lambda encoder: kind in encoder.expresses


_PLACES: dict[str, Callable[[type[Encoder]], bool]] = {
    "reasoning": _place("reasoning"),
    "refusal": _place("refusal"),
    "tool calls": _place("tool_call"),
    "their ids": lambda encoder: "tool_call" in encoder.expresses and encoder.names_calls,
    "citations": _place("citation"),
    "media": _place("media"),
    "choices": lambda encoder: encoder.choices,
}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or _ABSENT


def _row(format: str) -> str:
    encoder = load(format)
    places = ["yes" if has(encoder) else _ABSENT for has in _PLACES.values()]
    usage = _listed(name for name in Usage.model_fields if name in encoder.counts)
    reasons = _listed(reason for reason in get_args(FinishReason) if reason in encoder.words)
    return f"| `{format}` | {' | '.join([*places, usage, reasons, _errors(format)])} |"


def _made() -> list[str]:
    columns = ["format", *_PLACES, "usage", "finish reasons", "kinds of errors"]
    return [table(columns, map(_row, testing.all_formats))]


SECTION = Section(ROOT / "docs" / "reports" / "losses.md", "tests.made_tables.script_places", _made)

if __name__ == "__main__":
    SECTION.write()
