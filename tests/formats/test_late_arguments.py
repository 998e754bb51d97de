"""Arguments that come after a mark of their call's end, in every format with such a mark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import pytest

from tests.formats.calls import IDS, NAMES, WIRES, Payload, Wire, read
from tests.formats.openai_chat import payloads as chunks
from tests.support.wire import sses
from tokenstream import Retry, Stream, ToolCall, resilient
from tokenstream._basics.same_call import judge
from tokenstream.errors import ProtocolError, StreamInterrupted, StreamTruncated
from tokenstream.events import Finish, ToolCallDone
from tokenstream.formats import FormatName

WHOLE = '{"folder": "/var/tern", "deep": [1, {"on": true}]}'
OTHER = '{"folder": "/"}'


class Call(NamedTuple):
    """A call whose arguments are cut into fragments: those before the mark, and those after it."""

    before: list[str]
    after: list[str]


Writer: TypeAlias = Callable[[list[Call]], list[Payload]]


def written(wire: Wire, calls: list[Call], *, stops_late: bool = False) -> list[Payload]:
    """Return an answer with calls, whose marks come between the two lists of fragments."""
    before, after = list[Payload](), list[Payload]()
    for index, call in enumerate(calls):
        stops = wire.stops(index, "".join(call.before))
        before += [wire.start(index), *[wire.piece(index, text) for text in call.before]]
        after += [wire.piece(index, text) for text in call.after]
        (after if stops_late else before).extend(stops)
    return [*wire.begins, *before, *wire.reason, *after, *wire.ends]


CHAT = WIRES["openai-chat"]


def chat(calls: list[Call]) -> list[Payload]:
    return written(CHAT, calls)


def repeating_chat(calls: list[Call]) -> list[Payload]:
    """Every chunk behind the first one has the finish reason."""
    first, *others = chat(calls)
    return [
        first,
        *[{**each, "choices": [{**each["choices"][0], "finish_reason": "tool_calls"}]} for each in others],
    ]


WRITERS: list[tuple[str, str, Writer]] = [
    (
        "openai-chat",
        "stop",
        partial(written, WIRES["openai-chat"]._replace(reason=[chunks.chunk({}, "stop")])),
    ),
    ("openai-chat", "repeated", repeating_chat),
    ("mistral", "", chat),
    ("anthropic", "stops late", partial(written, WIRES["anthropic"], stops_late=True)),
    *[(format, "", partial(written, wire)) for format, wire in WIRES.items()],
]
each_wire = pytest.mark.parametrize(
    ("format", "wire"),
    [(format, wire) for format, _, wire in WRITERS],
    ids=[f"{format} {way}".strip() for format, way, _ in WRITERS],
)


def pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


@each_wire
@pytest.mark.parametrize("cut", [0, 1, 23, len(WHOLE) - 1], ids=["nothing", "a brace", "half", "nearly all"])
@pytest.mark.parametrize("cutting", [pieces, lambda text: [text]], ids=["pieces", "whole"])
def test_arguments_after_a_mark_belong_to_their_call(
    format: FormatName, wire: Writer, cut: int, cutting: Callable[[str], list[str]]
) -> None:
    call = Call(cutting(WHOLE[:cut]) if cut else [], cutting(WHOLE[cut:]))
    stream, handed_out, error = read(format, wire([call]))

    assert ([WHOLE], None, "complete") == (handed_out, error, stream.message.ending)
    assert "tool_calls" == stream.message.finish_reason


@each_wire
@pytest.mark.parametrize("cuts", [(0, 0), (0, 20), (20, 0), (0, len(WHOLE)), (len(WHOLE), 0)])
def test_two_calls_never_get_arguments_that_are_not_theirs(
    format: FormatName, wire: Writer, cuts: tuple[int, int]
) -> None:
    calls = [Call(pieces(WHOLE[:cut]), pieces(WHOLE[cut:])) for cut in cuts]
    stream, handed_out, error = read(format, wire(calls))

    assert ([WHOLE, WHOLE], None) == (handed_out, error)
    assert NAMES[:2] == [call.name for call in stream.message.tool_calls]


@each_wire
def test_a_call_that_gets_no_arguments_is_handed_out_without_them(format: FormatName, wire: Writer) -> None:
    """The end of the answer says that there are none; the finish reason comes behind the call."""
    events = list(Stream(wire([Call([], [])]), format=format))
    ends = [type(event) for event in events if isinstance(event, ToolCallDone | Finish)]

    assert [ToolCallDone, Finish] == ends
    assert [{}] == [event.call.arguments for event in events if isinstance(event, ToolCallDone)]


@each_wire
@pytest.mark.parametrize("later", [WHOLE, WHOLE.replace(" ", ""), " \n", "x", "{}", "null", OTHER])
def test_what_follows_a_call_that_was_handed_out_is_judged_alike(
    format: FormatName, wire: Writer, later: str
) -> None:
    """Only other arguments fail: the answer contradicts itself, and the call may have been run."""
    stream, handed_out, error = read(format, wire([Call([WHOLE], pieces(later))]))
    fails = judge("after", WHOLE, later) == "contradicts"

    assert (fails, fails) == (later == OTHER, isinstance(error, ProtocolError))
    assert ([WHOLE], "failed" if fails else "complete") == (handed_out, stream.message.ending)
    assert fails == stream.departures.details.get("late_content", 0)


@pytest.mark.parametrize("before", [[], ["{}"], ["{}", " "]])
def test_an_empty_object_at_a_finish_reason_is_no_arguments_yet(before: list[str]) -> None:
    """Gateways send it before the real ones."""
    _, handed_out, error = read("openai-chat", chat([Call(before, [WHOLE])]))

    assert ([WHOLE], None) == (handed_out, error)


@pytest.mark.parametrize("sent", [([], []), (["{}"], []), ([], pieces(WHOLE[:20])), ([], [WHOLE])])
def test_a_break_before_the_end_leaves_a_waiting_call_open(sent: tuple[list[str], list[str]]) -> None:
    def broken() -> Any:
        yield from chat([Call(*sent)])
        raise ConnectionResetError("reset")

    stream = Stream(broken(), format="openai-chat")
    calls: list[ToolCall] = []
    with pytest.raises(StreamInterrupted, match="reset") as caught:
        calls.extend(stream.tool_calls)

    (call,) = caught.value.partial.tool_calls
    assert ([], "".join(sent[1] or sent[0]), False) == (calls, call.arguments_text, call.complete)
    assert ("truncated", None) == (stream.message.ending, stream.message.finish_reason)
    assert caught.value.retryable


def _tool(**schema: Any) -> Payload:
    return {"type": "function", "function": {"name": NAMES[0], "parameters": {"type": "object", **schema}}}


NOTHING: Payload = {"properties": {}}


@pytest.mark.parametrize("fragments", [[], ["{}"], ["{", "}"]])
@pytest.mark.parametrize(
    ("schema", "is_whole"),
    [
        (NOTHING, True),
        ({**NOTHING, "additionalProperties": False}, True),
        ({**NOTHING, "additionalProperties": True}, False),
        ({**NOTHING, "additionalProperties": {}}, False),
        ({**NOTHING, "patternProperties": {"^x": {}}}, False),
        ({**NOTHING, "$ref": "#/$defs/a"}, False),
        ({**NOTHING, "anyOf": []}, False),
        ({"properties": {"a": {}}}, False),
        ({}, False),
    ],
)
def test_a_call_of_a_tool_that_takes_nothing_is_whole_at_the_reason(
    fragments: list[str], schema: Payload, *, is_whole: bool
) -> None:
    """A break behind it loses nothing; any other schema lets arguments follow."""

    def broken() -> Any:
        yield from sses(*chat([Call(fragments, [])]))
        raise ConnectionResetError("reset")

    stream = Stream(broken(), tools=[_tool(**schema)])
    handed_out: list[str] = []
    with nullcontext() if is_whole else pytest.raises(StreamInterrupted):
        handed_out += [call.name for call in stream.tool_calls]

    assert ((NAMES[:1], "complete") if is_whole else ([], "truncated")) == (handed_out, stream.message.ending)


def test_a_call_of_a_tool_that_takes_nothing_waits_for_the_rest_of_half_an_object() -> None:
    def broken() -> Any:
        yield from sses(*chat([Call(["{"], [])]))
        raise ConnectionResetError("reset")

    with pytest.raises(StreamInterrupted):
        list(Stream(broken(), tools=[_tool(**NOTHING)]).tool_calls)


@pytest.mark.parametrize("left", [5, 30, -5])
def test_an_end_inside_a_frame_leaves_a_waiting_call_open(left: int) -> None:
    """The frame that was cut off has the arguments of the call, so the answer is not complete."""
    *frames, last = sses(*chat([Call([], [WHOLE])]))
    stream = Stream([*frames, last[:left]])
    calls: list[ToolCall] = []
    with pytest.raises(StreamTruncated, match="inside 1 tool call"):
        calls.extend(stream.tool_calls)

    assert ([], "truncated", None) == (calls, stream.message.ending, stream.message.finish_reason)


def test_an_answer_cut_before_the_arguments_of_its_call_is_asked_for_again() -> None:
    *frames, last = sses(*chat([Call([], [WHOLE])]))
    bodies = [[*frames, last[:30]], [*frames, last]]
    stream = resilient(lambda: bodies.pop(0), retry=Retry(attempts=2, wait=0))

    assert [WHOLE] == [call.arguments_text for call in stream.tool_calls]
    assert "complete" == stream.message.ending


def test_a_call_with_its_id_again_behind_the_finish_is_the_same_call() -> None:
    """With other arguments, it contradicts what was handed out."""
    again = chunks.call(OTHER, name=NAMES[0], index=0, id=IDS[0])
    _, waited, _ = read("openai-chat", [*chat([Call([], [])]), again])
    _, handed_out, error = read("openai-chat", [*chat([Call([WHOLE], [])]), again])

    assert [OTHER] == waited
    assert [WHOLE] == handed_out
    assert isinstance(error, ProtocolError)
