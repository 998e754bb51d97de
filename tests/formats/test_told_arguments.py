"""The end of a call that tells all of its arguments, in every format that has such an end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.formats import calls
from tests.formats import test_langchain_protocol as protocol
from tests.formats.gemini_interactions import support as steps
from tests.formats.openai_realtime import payloads as realtime_api
from tests.formats.openai_responses import payloads as openai
from tests.formats.openai_responses.payloads import Payload
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import ProtocolError
from tokenstream.events import ToolCallDelta
from tokenstream.formats import FormatName

Wire: TypeAlias = Callable[[list[str], str], list[Payload]]
"""Writes an answer with a call, from the pieces of its arguments and what its end tells."""

OSLO, ROME = '{"city": "Oslo"}', '{"city": "Rome"}'


def responses(pieces: list[str], *ends: str) -> list[Payload]:
    """Return an answer whose fragments end with the first of `ends`, and its item with the last one."""
    return openai.answer(
        openai.added(openai.call(id="item_0")),
        *map(openai.arguments, pieces),
        openai.event("function_call_arguments.done", arguments=ends[0]),
        openai.done(openai.call(ends[-1], "completed", id="item_0")),
    )


def realtime(pieces: list[str], *ends: str) -> list[Payload]:
    item = realtime_api.call_done(ends[-1])
    events = [
        realtime_api.call(),
        *map(realtime_api.arguments, pieces),
        realtime_api.arguments_done(ends[0]),
        item,
    ]
    return [realtime_api.created(), *events, realtime_api.done(output=[item["item"]])]


def live(pieces: list[str], *ends: str) -> list[Payload]:
    return [
        {"type": "session.started", "session": {"id": "live_1", "model": "m"}},
        *[
            {"type": "response.event", "delegation_id": "d", "event": each}
            for each in responses(pieces, *ends)[1:-1]
            if each["type"] != "response.function_call_arguments.done"
        ],
        {"type": "session.closed", "reason": "close_requested"},
    ]


def langchain(pieces: list[str], *ends: str) -> list[Payload]:
    call = {"id": "c", "name": "go"}
    return [
        protocol.start(),
        protocol.begin(0, type="tool_call_chunk", **call, args=""),
        *[protocol.add(0, "tool-call", args=piece) for piece in pieces],
        protocol.end(0, type="tool_call", **call, args=json.loads(ends[-1])),
        protocol.finish("tool_calls"),
    ]


def interactions(pieces: list[str], *ends: str) -> list[Payload]:
    whole = {"type": "function_call", "id": "c", "name": "go", "arguments": json.loads(ends[-1])}
    return [
        steps.created()[1],
        steps.start(0, "function_call", id="c", name="go", arguments={})[1],
        *[steps.delta(0, "arguments_delta", arguments=piece)[1] for piece in pieces],
        # A gateway sends the whole interaction in place of the rest of its events.
        {**steps.created()[1]["interaction"], "status": "requires_action", "steps": [whole]},
    ]


WIRES: list[tuple[FormatName, Wire]] = [
    ("openai-responses", responses),
    ("openai-realtime", realtime),
    ("openai-live", live),
    ("langchain-protocol", langchain),
    ("gemini-interactions", interactions),
]
each_wire = in_one_test(("format", "wire"), WIRES, ids=[format for format, _ in WIRES])
IN_TEXT = WIRES[:3]
"""The formats whose ends tell the arguments as text, which may be broken itself."""


def read(format: FormatName, payloads: list[Payload]) -> tuple[list[str], set[str], Exception | None]:
    """Return the arguments of the calls that are handed out, the departures, and the error."""
    stream, handed_out, error = calls.read(format, payloads)
    return handed_out, {*stream.departures.details}, error


@each_wire
@in_one_test(
    ("pieces", "end"),
    [([], OSLO), (['{"city": ', '"Os'], OSLO), ([OSLO], OSLO), (['{"city":"Oslo"}'], OSLO)],
    ids=["no pieces", "the last is lost", "all pieces", "other spacing"],
)
def test_an_end_adds_what_the_pieces_lack(
    format: FormatName, wire: Wire, pieces: list[str], end: str
) -> None:
    handed_out, departures, error = read(format, wire(pieces, end))

    assert [{"city": "Oslo"}] == [json.loads(text) for text in handed_out]
    assert (set(), None) == (departures, error)


@in_one_test(("format", "wire"), WIRES[:4], ids=[format for format, _ in WIRES[:4]])
@in_one_test(
    "pieces",
    [['{"city": "Os', "}"], ['{"city"', '"city"', ': "Oslo"}'], ['"Oslo"}', '{"city": ']],
    ids=["a piece is lost", "a piece comes twice", "the order is another one"],
)
def test_the_end_counts_where_the_pieces_are_no_json(
    format: FormatName, wire: Wire, pieces: list[str]
) -> None:
    """A server says with it what its pieces should have been."""
    assert ([OSLO], {"arguments_rewritten"}, None) == read(format, wire(pieces, OSLO))


@each_wire
def test_an_empty_object_before_the_arguments_is_no_arguments(format: FormatName, wire: Wire) -> None:
    """Servers send it as a placeholder; the call is handed out with what its end tells."""
    handed_out, departures, error = read(format, wire(["{}"], OSLO))

    assert ([OSLO], {"arguments_placeholder"}, None) == (handed_out, departures, error)


@each_wire
@in_one_test("pieces", [[OSLO], ['{"city": ', '"Oslo"}']], ids=["whole", "in pieces"])
@in_one_test("end", ["{}", "null"])
def test_an_empty_object_at_the_end_is_no_arguments(
    format: FormatName, wire: Wire, pieces: list[str], end: str
) -> None:
    assert ([OSLO], set(), None) == read(format, wire(pieces, end))


@in_one_test(("format", "wire"), [("openai-responses", responses), ("openai-realtime", realtime)])
@in_one_test("pieces", [[], [OSLO]], ids=["no pieces", "pieces"])
def test_an_item_may_end_with_an_empty_object_after_its_arguments(
    format: FormatName, wire: Callable[..., list[Payload]], pieces: list[str]
) -> None:
    """LM Studio tells the arguments at their own end, and not in the item (earendil-works/pi#917)."""
    assert ([OSLO], set(), None) == read(format, wire(pieces, OSLO, "{}"))


@in_one_test(("format", "wire"), WIRES[:2], ids=[format for format, _ in WIRES[:2]])
@in_one_test(
    "pieces",
    [[ROME], ['{"city": "', 'Oslo"}'.replace("sl", "")], ['{"city": "Os', "Os", 'lo"}']],
    ids=["others", "a piece is lost inside of a word", "a piece comes twice"],
)
def test_an_end_of_openai_counts_whatever_the_pieces_were(
    format: FormatName, wire: Wire, pieces: list[str]
) -> None:
    """By OpenAI's documents, an item is whole at its end."""
    assert ([OSLO], {"arguments_rewritten"}, None) == read(format, wire(pieces, OSLO))


@in_one_test(("format", "wire"), WIRES[2:], ids=[format for format, _ in WIRES[2:]])
def test_a_call_whose_end_contradicts_its_pieces_is_not_handed_out(format: FormatName, wire: Wire) -> None:
    """Gateways have mixed up the arguments of several calls (Soju06/codex-lb#542)."""
    handed_out, departures, error = read(format, wire([OSLO], ROME))

    assert ([], True) == (handed_out, isinstance(error, ProtocolError))
    assert "late_content" in departures


@pytest.mark.parametrize(("format", "wire"), IN_TEXT, ids=[format for format, _ in IN_TEXT])
@in_one_test("end", ["", OSLO[:9], OSLO * 2, "x"], ids=["nothing", "a cut one", "two values", "no JSON"])
def test_an_end_that_is_no_json_changes_nothing(format: FormatName, wire: Wire, end: str) -> None:
    """A server has joined the arguments of all calls there (vllm-project/vllm#39586)."""
    assert ([OSLO], set(), None) == read(format, wire([OSLO], end))


@in_one_test(("format", "wire"), WIRES[:4], ids=[format for format, _ in WIRES[:4]])
def test_no_event_repeats_what_an_end_has_replaced(format: FormatName, wire: Wire) -> None:
    """What was shown stays shown, and the end of the call has the right arguments."""
    with Stream(wire(['{"city": "Os', "}"], OSLO), format=format) as stream:
        pieces = [event.fragment for event in stream if isinstance(event, ToolCallDelta)]

    assert ['{"city": "Os', "}"] == pieces
    assert [OSLO] == [call.arguments_text for call in stream.message.tool_calls]


@in_one_test(("format", "wire"), [("openai-responses", responses), ("openai-live", live)])
@in_one_test(
    ("pieces", "departures"),
    [(["12", " + 3"], set()), (["12 +"], set()), (["12"], set()), (["21"], {"arguments_rewritten"})],
    ids=["all", "the last is lost", "a number so far", "others"],
)
def test_the_end_of_free_text_counts(
    format: FormatName, wire: Wire, pieces: list[str], departures: set[str]
) -> None:
    """Nothing in free text tells whether it is whole."""
    assert (["12 + 3"], departures, None) == read(format, as_free_text(wire(pieces, "12 + 3")))


@in_one_test(("later", "fails"), [("12 + 3", False), ("", False), ("12", True), ("{}", True)])
def test_another_text_for_a_call_that_was_handed_out_fails(later: str, *, fails: bool) -> None:
    """The whole response repeats its items, and the tool may have run with a text that was not meant."""
    payloads = as_free_text(responses(["12"], "12 + 3"))
    payloads[-1]["response"]["output"] = [{**payloads[-1]["response"]["output"][0], "input": later}]
    handed_out, _, error = read("openai-responses", payloads)

    assert (["12 + 3"], fails) == (handed_out, isinstance(error, ProtocolError))


def as_free_text(payloads: list[Payload]) -> list[Payload]:
    """Return an answer whose call is of a tool that takes free text."""
    text = json.dumps(payloads).replace("function_call_arguments", "custom_tool_call_input")
    text = text.replace('"function_call"', '"custom_tool_call"').replace('"arguments"', '"input"')
    decoded: list[Payload] = json.loads(text)
    return decoded
