"""A format is tested against the rules of formats: ours keep them, and each that breaks one is detected."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.project import ROOT
from tests.support.effort import trials
from tests.support.recordings import OURS
from tests.support.sampling import sampled, sampled_rows
from tests.testing.broken_formats import BREAKING, Apologetic, Deep, Dropping, Parrot, Snappish, Swift
from tokenstream import testing
from tokenstream.errors import MisuseError
from tokenstream.formats import Format
from tokenstream.message import Message, TextPart, ToolCall, Usage
from tokenstream.testing import Recording, all_formats, check_format

if TYPE_CHECKING:
    from pathlib import Path


def _body(*payloads: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(payload).encode() for payload in payloads)


_ANSWER = Recording.of(
    [
        _body(
            {"words": "Hel"},
            {"words": "lo"},
            {"words": "", "tool": {"id": "t1", "name": "fly", "arguments": '{"to": "Oslo"}'}},
            {"over": "said", "count": 5},
        )
    ],
    name="answer",
)
_LONG = Recording.of(
    [
        _body({"bird": "grey"}),
        _body(*({"words": f"w{number} ", "kind": "thought", "number": number} for number in range(1, 21))),
        _body(*({"words": f"w{number} ", "kind": "said", "number": number} for number in range(21, 41))),
        _body({"over": "said"}),
    ],
    name="long",
)
"""An answer in which most deltas need not be decoded."""


def _broken(format: Any, *recordings: Any) -> dict[str, str]:
    """Return the report on each broken rule, by the rule's name."""
    with pytest.raises(AssertionError) as caught:
        check_format(format, recordings or [_ANSWER], cuts=24, changes=60)
    *_, told = str(caught.value).partition("\n")
    return dict(re.findall(r"^- (\w+): (.*?)(?=^- |\Z)", told, re.DOTALL | re.MULTILINE))


# -- formats that keep the rules -----------------------------------------------


@pytest.mark.slow
def test_a_format_that_keeps_the_rules_passes() -> None:
    check_format(Parrot, _ANSWER)
    check_format(Parrot(), [_ANSWER, Recording.of([_body({"words": "Hi"})])], changes=20)
    check_format(Swift, [_ANSWER, _LONG], cuts=4, changes=20)


@pytest.mark.slow
def test_what_is_expected_is_compared() -> None:
    message = Message(
        parts=(
            TextPart(text="Hello", complete=True),
            ToolCall(id="t1", name="fly", arguments_text='{"to": "Oslo"}', complete=True),
        ),
        usage=Usage(output_tokens=5),
        finish_reason="tool_calls",
        raw_finish_reason="said",
        ending="complete",
        format="parrot",
    )
    fields = {"text": "Hello", "usage": {"output_tokens": 5}, "tool_calls": [{"arguments": {"to": "Oslo"}}]}
    check_format(Parrot, [(_ANSWER, message), (_ANSWER, fields)], cuts=4, changes=4)


def _ours(format: str) -> list[Recording]:
    return [
        Recording.of([path.read_bytes()], name=path.stem)
        for path in sorted((OURS / format).iterdir())
        if not path.name.endswith(".expected.json")
    ]


_FORMATS = sorted(path.name for path in OURS.iterdir() if path.name in all_formats)


@pytest.mark.slow_rows("realtime")
@pytest.mark.parametrize("format", sampled(_FORMATS, one_in=5))
def test_our_formats_keep_the_rules(format: str) -> None:
    smallest = min(_ours(format), key=lambda recording: len(recording.body))
    check_format(format, smallest, cuts=12, changes=30)


@pytest.mark.slow
@pytest.mark.parametrize("format", _FORMATS)
def test_our_formats_keep_the_rules_in_every_recording(format: str) -> None:
    check_format(format, _ours(format), cuts=trials(128, one_in=32), changes=trials(600, one_in=32))


@pytest.mark.parametrize("format", [name for name in all_formats if name in ("text", "openai-realtime")])
def test_scripts_and_messages_of_a_websocket_are_recordings_too(format: str) -> None:
    """If each chunk is a message, no message is cut."""
    script = testing.script().text("Hello").finish()
    check_format(format, [(script.recording(format), {"text": "Hello"})], cuts=24, changes=40)


def test_a_path_is_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "answer.sse"
    path.write_bytes(_ANSWER.body)
    check_format(Parrot, path, cuts=4, changes=4)


@pytest.mark.slow
def test_a_body_of_binary_messages_is_framed_as_it_is() -> None:
    """Payloads are changed within their messages."""
    bedrock = OURS / "bedrock-converse"
    path = min(bedrock.glob("*.eventstream"))
    check_format("bedrock-converse", Recording.of([path.read_bytes()]), cuts=4, changes=40)


def test_a_server_that_says_too_early_that_it_has_finished_is_not_the_formats_fault() -> None:
    """Each chunk has a finish reason, so that an answer cut after the first one looks complete."""
    chunks = [
        {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}
        for text in ("Hel", "lo")
    ]
    check_format("gemini", Recording.of([_body(*chunks)]), cuts=24, changes=4)


@pytest.mark.parametrize("pair", [(_ANSWER,), (_ANSWER, "Hello"), (_ANSWER, {}, {})])
def test_what_is_expected_must_be_a_message_or_fields_of_one(pair: Any) -> None:
    """A text alone could mean several things."""
    with pytest.raises(MisuseError, match="a Message, or a mapping from the names of its fields"):
        check_format(Parrot, [pair])


def test_no_recordings_prove_nothing() -> None:
    with pytest.raises(MisuseError, match="pass at least one"):
        check_format(Parrot, [])


def test_a_format_may_be_checked_where_an_event_loop_runs() -> None:
    """The asynchronous reading has a loop of its own."""

    async def check() -> None:
        check_format(Parrot, _ANSWER, cuts=4, changes=4)

    anyio.run(check)


# -- formats that break them -----------------------------------------------------


@pytest.mark.few_rows(8)
@pytest.mark.slow_rows("Repeating")
@pytest.mark.parametrize(
    "format, rule, says", sampled_rows(BREAKING, one_in=3), ids=[format.__name__ for format, _, _ in BREAKING]
)
def test_a_format_that_breaks_a_rule_is_found_out(format: type[Format], rule: str, says: str) -> None:
    """Each rule has formats that only it finds, or finds in its own way."""
    told = _broken(format, _LONG if rule == "fast" else _ANSWER)

    assert rule in told
    assert says in told[rule]


def test_every_rule_has_a_format_that_breaks_it() -> None:
    """Each rule has been seen to fail; `expected` is tested below."""
    tried = {rule for _, rule, _ in BREAKING}

    assert set(_documented_rules()) == tried | {"expected"}


def _documented_rules() -> list[str]:
    """Return the names of the rules in the guide's table."""
    page = (ROOT / ".github" / "adding-a-format.md").read_text("utf-8")
    _, _, table = page.partition("| rule | requirement |\n")
    return re.findall(r"^\| `(\w+)` \|", table.partition("\n\n")[0], re.MULTILINE)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(
    "wanted, says",
    [
        ({"text": "Hell"}, "text: expected 'Hell', came 'Hello'"),
        ({"tool_calls": [{"name": "walk"}]}, "tool_calls[0].name: expected 'walk', came 'fly'"),
        ({"tool_calls": []}, "tool_calls[0]: only came has ToolCall"),
        (
            {"provider_data": {"mood": "fine"}},
            "provider_data.mood: expected 'fine', and there is no such field",
        ),
        ({"txt": None}, "txt: expected None, and there is no such field"),
        ({"model": {"name": "grey"}}, "model: expected {'name': 'grey'}, came None"),
        (Message(ending="complete"), "ending"),
    ],
)
def test_another_message_than_expected_is_reported(wanted: Any, says: str) -> None:
    told = _broken(Parrot, (_ANSWER, wanted))

    if not isinstance(wanted, Message):
        assert says in told["expected"]
    assert ["expected"] == list(told)


@pytest.mark.slow
def test_all_that_is_broken_is_reported_at_once() -> None:
    other = _ANSWER.replaced(name="other")
    with pytest.raises(AssertionError) as caught:
        check_format(Apologetic, [_ANSWER, other], changes=4)

    first, *lines = str(caught.value).splitlines()
    assert f"Apologetic() breaks 1 of {len(_documented_rules())} rules" == first
    assert [
        "- prefix: a cut answer shows a beginning of the whole one",
        "    answer: fault=faults.cut(at=0): its text is not the beginning of the whole answer's",
        "      to see it again: recording.stream(format=Apologetic(), fault=faults.cut(at=0)).final()",
        "    other: fault=faults.cut(at=0): its text is not the beginning of the whole answer's",
        "      to see it again: recording.stream(format=Apologetic(), fault=faults.cut(at=0)).final()",
    ] == lines


@pytest.mark.slow
def test_how_to_see_a_frame_again_is_shown() -> None:
    told = _broken(Dropping)["unknown"]

    assert "Dropping().feed: the first 2 frames of the recording, then b'{" in told


def test_the_line_that_raises_is_reported() -> None:
    read, line = Deep.read, Deep.read.__code__.co_firstlineno + 1

    assert read.__code__.co_filename.endswith("broken_formats.py")
    assert f"AttributeError is raised (broken_formats.py, line {line}): " in _broken(Deep)["raises"]


def test_what_recognises_raises_is_reported_with_the_call() -> None:
    told = _broken(Snappish)["recognises"]

    assert 'to see it again: Snappish().recognises({}, "")' in told


def test_a_name_is_written_as_it_is() -> None:
    with pytest.raises(AssertionError, match="'text' breaks 1 of"):
        check_format("text", [(testing.script().text("Hi").finish().recording("text"), {"text": "Ho"})])
