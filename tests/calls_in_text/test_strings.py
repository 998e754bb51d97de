"""Strings that are nearly JSON, as models write code and paths into them, are read and told as repairs."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.calls_in_text.support import WRITERS, Call, calls_of, cuts, joined, read, text_of
from tokenstream.events import Event, ToolCallDone

RAW = [
    # A value as the model writes it between quotes, what it means, and the repairs.
    ("a\nb", "a\nb", ["raw_control"]),
    ("\t", "\t", ["raw_control"]),
    ("a\x00\x1bb\x1f", "a\x00\x1bb\x1f", ["raw_control"]),
    ("\n\n\n", "\n\n\n", ["raw_control"]),
    ("it\\'s", "it's", ["bad_escape"]),
    ("\\d+\\.", "\\d+\\.", ["bad_escape"]),
    ("C:\\Users\\me", "C:\\Users\\me", ["bad_escape"]),
    ("\\u12", "\\u12", ["bad_escape"]),
    ("\\\n", "\\\n", ["bad_escape", "raw_control"]),
    ('say \\"hi\\"\n\\u00e9\\n', 'say "hi"\né\n', ["raw_control"]),
    ("\x7f\u2028é\\\\", "\x7f\u2028é\\", []),
]
MARKUPS = {written: write([Call("look", {"text": "~"})]) for written, (_, write) in WRITERS.items()}
JSON_DIALECTS = [written for written, markup in MARKUPS.items() if '"text": "~"' in markup]
PYTHON_DIALECTS = [written for written, markup in MARKUPS.items() if "text='~'" in markup]


def repairs_of(events: list[Event]) -> list[str]:
    return [
        repair.name for event in events if isinstance(event, ToolCallDone) for repair in event.call.repairs
    ]


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
@pytest.mark.parametrize("written", JSON_DIALECTS)
def test_a_string_with_raw_characters_is_what_the_model_meant(
    written: str, raw: str, meant: str, repairs: list[str]
) -> None:
    dialect, write = WRITERS[written]
    for arguments in ({"text": "~"}, {"items": ["~", {"~": 1}]}):
        markup = write([Call("look", arguments)]).replace("~", raw)
        expected: Any = json.loads(json.dumps(arguments).replace("~", json.dumps(meant)[1:-1]))
        events = read([markup], dialect)

        assert [Call("look", expected)] == calls_of(events)
        assert repairs == repairs_of(events)
        assert "" == text_of(events)
        for pieces in (list(markup), *[cuts(markup, [place]) for place in range(1, len(markup), 9)]):
            assert joined(events) == joined(read(pieces, dialect))


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
def test_arguments_within_a_string_are_mended_too(raw: str, meant: str, repairs: list[str]) -> None:
    """The model has escaped them once where twice is right."""
    inner = f'{{"text": "{raw}"}}'
    markup = f'<tool_call>{{"name": "look", "arguments": {json.dumps(inner)}}}</tool_call>'
    events = read([markup], "hermes")

    assert [Call("look", {"text": meant})] == calls_of(events)
    assert ["json_in_string", *repairs] == repairs_of(events)


@pytest.mark.parametrize(("raw", "meant", "repairs"), RAW)
def test_lists_in_parameters_are_mended_too(raw: str, meant: str, repairs: list[str]) -> None:
    markup = (
        f'<tool_call><function=look><parameter=items>["{raw}"]</parameter>'
        f'<parameter=text>{{"{raw}"}}</parameter></function></tool_call>'
    )
    events = read([markup], "qwen")

    assert [Call("look", {"items": [meant], "text": f'{{"{raw}"}}'})] == calls_of(events)
    assert repairs == repairs_of(events)


@pytest.mark.parametrize("written", PYTHON_DIALECTS)
def test_a_python_string_may_have_line_endings(written: str) -> None:
    dialect, write = WRITERS[written]
    for quote, repairs in (("'", ["raw_control"]), ('"', ["raw_control"]), ('"""', []), ("'''", [])):
        markup = write([Call("look", {"text": "~"})]).replace("'~'", f"{quote}a\n\tb\n{quote}")
        events = read([markup], dialect)

        assert [Call("look", {"text": "a\n\tb\n"})] == calls_of(events)
        assert repairs == repairs_of(events)


def test_a_repair_is_reported_once() -> None:
    text = "\n" * 5_000
    events = read([f'<tool_call>{{"name": "look", "arguments": {{"text": "{text}"}}}}</tool_call>'], "hermes")

    assert ["raw_control"] == repairs_of(events)


def _read_one(arguments: str) -> list[Event]:
    return read([f'<tool_call>{{"name": "look", "arguments": {arguments}}}</tool_call>'], "hermes")


@pytest.mark.parametrize("seed", range(30))
def test_what_is_mended_is_json(seed: int) -> None:
    dice = random.Random(seed)
    string = "".join(dice.choices(["\\", "\n", "'", "u", "1234", "d", "é", "\t", "\\\\", '\\"'], k=12))
    events, whole = _read_one(f'{{"a": "{string}b"}}'), _read_one(json.dumps({"a": string}))

    assert [Call("look", {"a": string})] == calls_of(whole)
    assert [] == repairs_of(whole)
    assert not repairs_of(events) or all(call.arguments["a"][-1] == "b" for call in calls_of(events))


def test_text_that_is_no_json_stays_as_it_is() -> None:
    """Mending a string makes no value of it."""
    for text in ("a 'b\nc'", '{"a": "\n', '"\n', "", "\n"):
        assert [] == calls_of(_read_one(text))


def test_the_dialects_with_json_are_many() -> None:
    assert {"hermes", "mistral v11", "kimi", "harmony", "deepseek v3"} <= {*JSON_DIALECTS}
