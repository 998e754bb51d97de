"""Cohere v2: what servers get wrong."""

from __future__ import annotations

from tests.formats.cohere.payloads import (
    answer,
    arguments,
    block,
    end,
    event,
    frame,
    read_by,
    start,
    stop,
    text,
    tool,
    tool_stop,
)
from tests.formats.cohere.support import read
from tests.support.formats import Cohere


def test_content_without_its_start_opens_its_part() -> None:
    """The field of the delta tells whether it is text or reasoning, also where both have one index."""
    came = read(*answer(text(0, "Hm", "thinking"), text(0, "Hi")))

    assert ("Hm", "Hi") == (came.message.reasoning, came.message.text)
    assert {"part_unopened": 1, "part_index_reused": 1, "part_unclosed": 1} == came.departures


def test_content_after_its_end_is_a_new_part() -> None:
    came = read(*answer(block(0), text(0, "a"), stop(0), text(0, "b"), stop(0), block(0), stop(0)))

    assert ["a", "b", ""] == [part.text for part in came.parts if part.kind == "text"]
    assert {"part_after_close": 1, "part_index_reused": 1} == came.departures


def test_a_start_on_an_open_index_closes_what_was_there() -> None:
    came = read(
        *answer(
            block(0),
            text(0, "a"),
            block(0),
            stop(0),
            tool(0),
            arguments(0, "{}"),
            tool(0, call_id="rm_2"),
            tool_stop(0),
            tool(0, call_id="rm_3"),
        )
    )

    assert ["a", ""] == [part.text for part in came.parts if part.kind == "text"]
    assert ["{}", ""] == [call.arguments_text for call in came.calls][:2]
    assert (2, 2) == (came.departures["part_unclosed"], came.departures["call_index_reused"])


def test_events_without_an_index_mean_what_came_last() -> None:
    """The SDK's types allow it."""
    payloads = answer(block(0), text(0, "Hi"), stop(0), tool(0), arguments(0, "{}"), tool_stop(0))
    for payload in payloads:
        payload.pop("index", None)
    came = read(*payloads)

    assert ("Hi", ["{}"]) == (came.message.text, [call.arguments_text for call in came.calls])
    assert {"part_index_missing": 3, "call_index_missing": 3} == came.departures


def test_ends_without_an_index_come_in_the_order_of_the_calls() -> None:
    calls = [
        tool(0, call_id="rm_1"),
        arguments(0, '{"a": 1}'),
        tool(1, call_id="rm_2"),
        arguments(1, '{"a": 2}'),
    ]
    came = read(*[{**payload, "index": None} for payload in answer(*calls, tool_stop(0), tool_stop(1))])

    assert [("rm_1", {"a": 1}), ("rm_2", {"a": 2})] == [(call.id, call.arguments) for call in came.calls]


def test_a_piece_without_an_index_may_have_another_field() -> None:
    piece = text(0, "Hi")
    del piece["index"]
    came = read(*answer(block(0), {**piece, "z": 1}, stop(0)))

    assert ("Hi", 1) == (came.message.text, came.data["z"])


def test_ends_and_fragments_without_a_start_change_nothing() -> None:
    came = read(
        *answer(
            stop(3),
            tool_stop(3),
            arguments(3, "{}"),
            tool(0, arguments="{}"),
            tool_stop(0),
            arguments(0, "x"),
        )
    )

    assert {"part_unopened": 3, "call_after_done": 1} == came.departures
    assert 2 == len(came.data["tool-call-delta"])


def test_an_answers_start_may_hold_content() -> None:
    call = {"id": "a", "function": {"name": "a", "arguments": "{}"}}
    whole = start(content=[{"type": "text", "text": "Hi"}], tool_calls=[call], tool_plan="Plan.")
    came = read(whole, whole, end())

    assert ("Hi", ["a"], "Plan.") == (
        came.message.text,
        [each.id for each in came.calls],
        came.message.reasoning,
    )
    assert {"start_with_content": 1, "start_repeated": 1} == came.departures


def test_fields_without_a_word_of_ours_are_carried() -> None:
    payload = event("content-delta", {"content": {"text": "Hi", "x": 1}, "y": 2}, index=0, z=3, p="abc")
    payload["delta"]["w"] = 4
    came = read(
        *answer(block(0), payload, stop(0), {"type": "debug", "prompt": "<s>"}, {"type": "new", "n": 1})
    )

    data = came.data
    assert (2, 3, 4, "<s>", [{"index": 0, "x": 1}]) == (
        data["y"],
        data["z"],
        data["w"],
        data["prompt"],
        data["content-delta"],
    )
    assert "p" not in data
    assert ["content-delta", "z", "w", "y", "new"] == came.unknown


def test_content_after_the_finish_reason_is_added() -> None:
    cohere = Cohere()
    cohere.feed(frame(start()))
    cohere.parts.finish(0, "stop", "COMPLETE")
    came = read_by(cohere, frame(block(0)), frame(text(0, "Hi")))

    assert ("Hi", 1) == (came.text, came.departures["content_after_finish"])
