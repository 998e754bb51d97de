"""What becomes of a response whose server strays from OpenAI's documents in its fields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    call,
    created,
    delta,
    done,
    ended,
    event,
    frame,
    hello,
    message,
    numbered,
    output_text,
    part_added,
    read,
    reasoning,
    remove,
    said,
    summary,
)
from tests.support.answers_in_turns.wires import sse
from tests.support.formats import OpenAIResponses
from tests.support.reading import aread
from tests.support.reading import read as read_body
from tests.support.tables import in_one_test
from tokenstream import tap
from tokenstream.events import PartDelta, ToolCallDelta, Unknown
from tokenstream.message import OpaquePart, ReasoningPart, TextPart


def test_an_item_without_an_index_is_its_id() -> None:
    """Without either, the item that came last is meant, which is a guess."""
    without = [
        {name: value for name, value in payload.items() if name not in ("output_index", "content_index")}
        for payload in [*hello(0, id="item_0"), *remove(1, id="item_1")]
    ]
    for payload in without:
        if "arguments" in payload["type"]:
            payload["item_id"] = "item_1"
    came = said(*without)

    assert (came.text, [found.name for found in came.calls]) == ("Hello", ["rm"])
    assert "part_index_missing" not in came.departures
    for payload in without:
        payload.pop("item_id", None)
    came = said(*without)
    assert (came.text, [found.name for found in came.calls]) == ("Hello", ["rm"])
    assert came.departures["part_index_missing"] > 0


def test_nothing_is_lost_where_neither_item_nor_index_was_sent() -> None:
    came = said(
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": "response.output_item.done", "item": call("{}", "completed")},
        {"type": "response.output_item.added", "item": message(id="msg_2")},
        output=[],
    )

    assert (came.text, [found.name for found in came.calls]) == ("Hi", ["rm"])


@pytest.mark.parametrize("index", ["0", -1, 10**30])
def test_any_number_is_an_index(index: Any) -> None:
    came = said(*[{**payload, "output_index": index} for payload in hello()])

    assert (came.text, came.message.text, came.departures) == ("Hello", "Hello", {})


def test_an_index_of_text_that_moves_is_the_same_text() -> None:
    content = {"type": "reasoning_text", "text": "Hmm"}
    came = said(
        added(reasoning()),
        part_added(0, 1, type="reasoning_text", text=""),
        event("reasoning_text.delta", content_index=1, delta="Hmm"),
        done(reasoning(content=[content])),
    )

    assert came.message.reasoning == "Hmm"


def test_reasoning_that_is_reported_under_another_field_is_reported_once() -> None:
    """Some stream a summary and then call it the reasoning itself."""
    came = said(
        added(reasoning()),
        summary("Hmm"),
        done(reasoning(content=[{"type": "reasoning_text", "text": "Hmm"}])),
    )

    assert came.message.reasoning == "Hmm"
    assert came.departures.keys() == {"part_unannounced", "reasoning_twice"}


@pytest.mark.parametrize("content", ["Hmm", [{"type": "text", "text": "Hmm"}]])
def test_reasoning_may_come_in_looser_forms(content: Any) -> None:
    came = said(done({"type": "reasoning", "id": "r", "content": content}))

    assert [part.text for part in came.parts if isinstance(part, ReasoningPart)] == ["Hmm"]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_summary"])
def test_older_names_of_reasoning_are_read(name: str) -> None:
    came = said(
        added(reasoning()),
        event(f"{name}.delta", delta="So", content_index=0, summary_index=0),
        event(f"{name}.delta", delta={"text": "!"}, content_index=0, summary_index=0),
        event(f"{name}.done", text="So!", content_index=0, summary_index=0),
        done(reasoning()),
    )

    assert came.message.reasoning == "So!"


def test_a_text_that_is_longer_at_its_end_gets_the_rest() -> None:
    came = said(
        added(message()), part_added(), delta("Hel"), event("output_text.done", content_index=0, text="Hello")
    )

    assert (came.text, came.departures["text_completed"]) == ("Hello", 1)


def test_text_for_an_item_that_is_over_is_a_new_part() -> None:
    """Unless the end of the item has told its text, more may follow."""
    item = [added(message()), part_added(), delta("Hello"), done(message(status="completed"))]
    came = said(*item, delta("!"), output=[])

    assert (came.text, came.kinds) == ("Hello!", ["text", "text"])
    assert came.departures == {"part_index_reused": 1}


def test_a_citation_for_an_item_that_is_over_names_its_text() -> None:
    annotation = {"type": "url_citation", "url": "https://a.test"}
    came = said(*hello(), event("output_text.annotation.added", content_index=0, annotation=annotation))

    assert [citation.cites for citation in came.message.citations] == [0]
    assert came.text == "Hello"


@in_one_test(
    "payload",
    [
        event("output_text.delta", content_index=0, delta=None),
        event("reasoning_text.delta", content_index=0, delta=None),
        event("output_text.annotation.added", content_index=0, annotation=None),
        event("content_part.added", content_index=1, part=None),
        event("content_part.done", content_index=0, part={"type": "heard", "heard": "no"}),
        event("function_call_arguments.delta", 1, delta=1),
        event("custom_tool_call_input.delta", 2, delta="x"),
        event("custom_tool_call_input.done", 2, input="x"),
        event("code_interpreter_call_code.delta", 1, delta="x"),
        event("code_interpreter_call_code.done", 1, code="x"),
        event("function_call_arguments.done", 1, arguments=None),
        event("image_generation_call.partial_image", 1, partial_image_b64="AAAA"),
        event("image_generation_call.partial_image", 3, partial_image_b64=None),
        event("mcp_call_arguments.delta", 4, delta="x"),
        event("mcp_call_arguments.done", 4, arguments="x"),
    ],
)
def test_what_fits_no_item_is_carried(payload: Payload) -> None:
    came = said(
        added(message()),
        part_added(),
        delta("Hi"),
        added(call(), 1),
        added({"id": "w", "type": "web_search_call"}, 2),
        added({"id": "i", "type": "image_generation_call"}, 3),
        added({"id": "i", "type": "compaction"}, 4),
        payload,
        output=[],
    )

    assert came.unknown == [payload["type"]]
    assert (came.text, came.departures["delta_misfits"]) == ("Hi", 1)


@pytest.mark.anyio
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize(
    "item, kind, made",
    [
        (call(), "mcp_call_arguments", ToolCallDelta),
        (call(), "code_interpreter_call_code", Unknown),
        ({"id": "m", "type": "mcp_call", "name": "roll"}, "function_call_arguments", PartDelta),
        ({"id": "m", "type": "mcp_call", "name": "roll"}, "custom_tool_call_input", Unknown),
        ({"id": "c", "type": "code_interpreter_call"}, "function_call_arguments", PartDelta),
        ({"id": "h", "type": "hologram_call"}, "function_call_arguments", PartDelta),
        ({"id": "h", "type": "hologram"}, "function_call_arguments", Unknown),
        (None, "mcp_call_arguments", PartDelta),
    ],
)
async def test_a_delta_for_an_item_of_another_kind_is_what_the_item_makes_of_it(
    item: Payload | None, kind: str, made: type[object], *, placed: bool, named: bool
) -> None:
    """Each of several that are alike, for all who read; without both, the item that came last is meant."""
    piece = event(f"{kind}.delta", delta="ab")
    if not placed:
        del piece["output_index"]
    start = [added(item)] if item else []
    chunks = [
        sse(payload, name="type" if named else "") for payload in answer(*start, *[piece] * 3, output=[])
    ]
    came = read_body(chunks, format="openai-responses")
    for _ in (tapped := tap(chunks, format="openai-responses")):
        pass
    told = [found for found in came.events if isinstance(found, ToolCallDelta | PartDelta | Unknown)]

    assert [made] * 3 == [found.__class__ for found in told]
    assert {"call_1"} >= {found.id for found in told if isinstance(found, ToolCallDelta)}
    # The first piece of an item without a start names the item, by which the others are found.
    guesses = 0 if placed else 3 if item else 1
    assert (None, guesses) == (came.error, came.departures.get("part_index_missing", 0))
    assert came.seen() == (await aread(chunks, format="openai-responses")).seen()
    assert (came.message, None) == (tapped.message, tapped.error)


def test_a_refusal_in_the_place_of_a_text_is_a_part_of_its_own() -> None:
    """The model may think better of it, and neither is lost."""
    refusal = event("refusal.delta", content_index=0, delta="No.")
    came = said(added(message()), part_added(), delta("Hi"), refusal, refusal, output=[])

    assert ("Hi", "No.No.") == (came.text, came.message.refusal)
    assert {"part_index_reused": 1, "part_unclosed": 1} == came.departures


def test_text_for_a_content_that_we_have_no_word_for_is_carried() -> None:
    """Whatever is written there, it is not known to be text of the answer."""
    came = said(added(message()), part_added(type="heard"), delta("Hi"), output=[])

    assert ("", ["response.output_text.delta"]) == (came.text, came.unknown)
    assert {"delta_misfits": 1, "part_unclosed": 1, "answer_empty": 1} == came.departures


def test_an_item_without_an_end_is_closed_by_the_sentinel() -> None:
    open_ended = OpenAIResponses()
    for payload in (created(), added(message()), delta("Hi")):
        open_ended.feed(payload)
    open_ended.conclude()

    assert [type(closed).__name__ for closed in open_ended.parts.take()] == ["PartDone"]


def test_progress_of_what_is_no_such_item_says_nothing() -> None:
    """A call has none, and what is over has no more."""
    came = said(
        added(call()),
        event("web_search_call.searching"),
        event("mcp_call_arguments.delta", 1, delta=""),
        done({"id": "m", "type": "mcp_call", "name": "roll", "arguments": "{}"}, 1),
        event("mcp_call.completed", 1),
        done(call("{}", "completed")),
    )

    assert came.kinds == ["tool_call", "server_tool_call"]
    assert came.unknown == []


def test_content_of_no_known_type_is_carried() -> None:
    hologram = {"type": "hologram", "data": "x"}
    came = said(
        added(message()),
        part_added(type="hologram"),
        event("content_part.done", content_index=0, part=hologram),
        event("content_part.done", content_index=0, part=hologram),
        done(message(hologram, status="completed")),
        added(reasoning(), 1),
        done(reasoning(content=[hologram]), 1),
    )

    opaque = OpaquePart(type="hologram", data=hologram, complete=True)
    assert [part for part in came.parts if part.kind == "opaque"] == [opaque, opaque]


def test_reasoning_inside_a_message_is_reasoning() -> None:
    came = said(
        done(message({"type": "reasoning_text", "text": "So"}, output_text("Hi"), status="completed"))
    )

    assert [type(part) for part in came.parts] == [ReasoningPart, TextPart]
    assert [part.provider_data for part in came.parts if isinstance(part, ReasoningPart)] == [
        {"id": "msg_1", "status": "completed", "content_index": 0}
    ]


def test_an_answer_may_begin_in_its_middle() -> None:
    """A provider that replays an answer from a number on begins in its middle."""
    came = read(*map(frame, numbered(delta("lo"), ended())))

    assert (came.text, came.message.id, came.error) == ("lo", "resp_1", None)
    assert came.departures == {"start_missing": 1, "part_unannounced": 2, "part_unclosed": 1}


def test_a_start_that_comes_again_changes_nothing() -> None:
    came = read(*map(frame, [created(), *hello(), created(), ended()]))

    assert (came.text, came.departures) == ("Hello", {"start_repeated": 1})


@pytest.mark.parametrize("status", [None, "in_progress", 7])
def test_the_event_tells_the_end_where_the_status_does_not(status: Any) -> None:
    """A status of a response that goes on is no mark of the end."""
    came = read(*map(frame, [created(), *hello(), ended("completed", status=status)]))

    assert (came.reason, came.ending) == ("stop", "complete")
    assert came.raw_reason == "completed"
