"""What becomes of a response whose server leaves out events, or sends them again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    arguments,
    call,
    created,
    delta,
    done,
    event,
    frame,
    hello,
    message,
    output_text,
    part_added,
    read,
    reasoning,
    remove,
    said,
    summary,
)
from tests.support.formats import OpenAIResponses
from tokenstream.errors import LimitExceeded
from tokenstream.events import ToolCallDelta
from tokenstream.limits import Limits
from tokenstream.message import OpaquePart, TextPart


def test_ids_that_change_from_event_to_event_are_the_same_items() -> None:
    """Proxies make up new ones; the index tells, and at the end the order."""
    events = [{**payload, "item_id": f"x{n}"} for n, payload in enumerate([*hello(), *remove(1)])]
    for n, payload in enumerate(events):
        if "item" in payload:
            item: Any = payload["item"]
            payload["item"] = {**item, "id": f"y{n}"}
    output = [message(output_text("Hello"), status="completed", id="z1"), call('{"path": "/srv"}', id="z2")]
    came = said(*events, output=output)

    assert (came.text, len(came.calls), len(came.parts)) == ("Hello", 1, 2)
    assert came.departures == {}


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_a_call_whose_item_says_that_it_was_cut_is_never_handed_out(status: str) -> None:
    came = said(added(call()), arguments("{}"), done(call("{}", status)))

    assert ([], [False]) == (came.calls, [found.complete for found in came.message.tool_calls])
    assert came.departures == {"call_open_at_end": 1}


def test_a_text_without_its_index_goes_on_with_the_last_one() -> None:
    """The highest index is meant, in whatever order they came; the message has them by their indexes."""
    lost = {name: value for name, value in delta("c").items() if name != "content_index"}
    came = said(added(message()), delta("a", 0, 5), delta("b", 0, 2), lost, output=[])

    assert [part.text for part in came.parts if isinstance(part, TextPart)] == ["b", "ac"]


@pytest.mark.parametrize("ends", [0, 1, 2])
def test_a_refusal_in_a_part_that_began_as_text_is_a_refusal(ends: int) -> None:
    """Proxies say that every part is text before they know, and at the end what it was."""
    item = message({"type": "refusal", "refusal": "No."}, status="completed")
    told = [event("refusal.done", content_index=0, refusal="No."), done(item)]
    refused = [event("refusal.delta", content_index=0, delta=text) for text in ("No", ".")]
    came = said(added(message()), part_added(), *refused, *told[:ends], output=[item])

    assert ("", "No.", []) == (came.text, came.message.refusal, came.unknown)
    assert 1 == came.departures["part_index_reused"]


def test_reasoning_parts_under_vllms_name_are_parts() -> None:
    marks: Payload = {"content_index": 0, "part": {"type": "reasoning_text", "text": ""}}
    came = said(
        added(reasoning()),
        event("reasoning_part.added", **marks),
        event("reasoning_text.delta", content_index=0, delta="Hm"),
        event("reasoning_part.done", content_index=0, part={"type": "reasoning_text", "text": "Hm"}),
        done(reasoning(content=[{"type": "reasoning_text", "text": "Hm"}])),
    )

    assert ("Hm", [], {}) == (came.message.reasoning, came.unknown, came.departures)


@pytest.mark.parametrize("told", [[0], [1], [2], [0, 2], [1, 2]])
def test_an_item_that_only_the_end_tells_of_is_not_taken_for_one_of_its_type(told: list[int]) -> None:
    """Where ids are kept they tell which items were given; the message has all of them in their order."""
    items = [call(f'{{"n": {n}}}', "completed", id=f"fc_{n}", call_id=f"call_{n}") for n in range(3)]
    came = said(*[payload for n in told for payload in (added(items[n], n), done(items[n], n))], output=items)

    assert [(f"call_{n}", {"n": n}) for n in range(3)] == [
        (found.id, found.arguments) for found in came.message.tool_calls
    ]
    assert came.departures == ({} if told == [0] else {"part_late": 1})


def test_items_that_all_have_one_id_are_known_by_their_order() -> None:
    came = said(
        added(message()),
        part_added(),
        delta("a"),
        added(message(), 1),
        output=[message(output_text("a"), status="completed"), message(output_text("b"), status="completed")],
    )

    assert (came.text, came.departures) == ("ab", {})


@pytest.mark.parametrize(
    "events",
    [
        [],
        [added(message(), 0)],
        [added(message(), 0), part_added()],
        [event("output_text.done", content_index=0, text="Hello")],
        [event("content_part.done", content_index=0, part=output_text("Hello"))],
        [done(message(output_text("Hello"), status="completed"))],
        [delta("Hel"), delta("lo")],
        [added(message()), delta("Hel"), delta("lo")],
        [added(message(output_text("Hel"))), delta("Hel"), delta("lo")],
    ],
)
def test_text_is_given_once_whichever_events_are_left_out(events: list[Payload]) -> None:
    came = said(*events, output=[message(output_text("Hello"), status="completed")])

    assert (came.text, came.message.text, came.error) == ("Hello", "Hello", None)
    assert len(came.parts) == 1


@pytest.mark.parametrize(
    "events",
    [
        [],
        [added(call())],
        [added(call()), arguments('{"a"')],
        [added(call()), event("function_call_arguments.done", arguments='{"a": 1}')],
        [done(call('{"a": 1}', "completed"))],
        [added(call()), done(call('{"a": 1}', "completed"))],
        [arguments('{"a"'), arguments(": 1}")],
        [added(call()), arguments('{"b": '), done(call('{"a": 1}', "completed"))],
        [added(call(name=None)), arguments('{"a": 1}'), done(call('{"a": 1}', "completed"))],
    ],
)
def test_a_call_is_handed_out_once_whichever_events_are_left_out(events: list[Payload]) -> None:
    """Two servers send no argument deltas at all; the arguments at the end count."""
    came = said(*events, output=[call('{"a": 1}', "completed")])

    assert [(found.id, found.arguments) for found in came.calls] == [("call_1", {"a": 1})]
    assert len(came.message.tool_calls) == 1


def test_a_call_without_an_end_is_handed_out_only_where_nothing_can_be_missing() -> None:
    """An object has an end that cannot be mistaken; free text and numbers have none."""
    custom = {"id": "c", "type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": ""}
    came = said(
        added(call(call_id="a"), 0),
        arguments('{"n": 1}', 0),
        added(call(id="fc_2", call_id="b"), 1),
        arguments("12", 1),
        added(custom, 2),
        event("custom_tool_call_input.delta", 2, delta="DROP"),
    )

    assert [found.id for found in came.calls] == ["a"]
    assert came.departures == {"part_unclosed": 3, "call_open_at_end": 2}


def test_free_text_that_was_sent_whole_is_whole() -> None:
    item = {"id": "c", "type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": ""}
    came = said(added(item), event("custom_tool_call_input.done", input="DROP"))

    assert [found.arguments for found in came.calls] == ["DROP"]


def test_a_call_without_a_name_is_no_call() -> None:
    item = call("{}", "completed", name="")
    came = said(added(item), arguments("{}"), done(item))

    assert came.parts == (OpaquePart(type="function_call", data=item, complete=True),)
    assert came.departures == {"call_unnamed": 1, "call_nameless": 1}
    assert said(added(item), output=[]).parts == ()


@pytest.mark.parametrize(
    "told",
    [
        [],
        [arguments('{"n"'), arguments(": 1}")],
        [added(call(id="item_0", name=None, call_id=None))],
        [added(call(id="item_0", name=None, call_id=None)), arguments('{"n": 1}')],
    ],
)
def test_a_call_gets_the_name_that_only_the_end_of_its_arguments_tells(told: list[Payload]) -> None:
    end = event("function_call_arguments.done", name="rm", arguments='{"n": 1}')
    came = said(*told, end, output=[])

    assert [(found.id, found.name, found.arguments) for found in came.calls] == [("item_0", "rm", {"n": 1})]
    assert (came.reason, came.message.tool_calls) == ("tool_calls", tuple(came.calls))
    assert "".join(e.fragment for e in came.events if isinstance(e, ToolCallDelta)) == '{"n": 1}'


@pytest.mark.parametrize(
    "told",
    [
        [arguments('{"n"'), arguments(": 1}")],
        [arguments('{"n"'), event("function_call_arguments.done", arguments='{"n": 1}')],
        [event("function_call_arguments.done", arguments='{"n": 1}')],
    ],
)
def test_arguments_of_a_call_that_never_gets_a_name_are_carried(told: list[Payload]) -> None:
    """Nobody can run it, and nothing is lost."""
    came = said(*told, output=[])

    item = {"type": "function_call", "id": "item_0", "arguments": '{"n": 1}'}
    assert came.parts == (OpaquePart(type="function_call", data=item, complete=True),)
    assert came.departures["call_nameless"] == 1


def test_the_input_of_a_custom_tool_without_a_name_is_carried_as_input() -> None:
    came = said(event("custom_tool_call_input.delta", delta="DROP"), output=[])

    item = {"type": "custom_tool_call", "id": "item_0", "input": "DROP"}
    assert came.parts == (OpaquePart(type="custom_tool_call", data=item, complete=True),)


def test_arguments_that_wait_for_a_name_count_as_text() -> None:
    came = read(
        *map(frame, [created(), *[arguments("x" * 10) for _ in range(3)]]),
        format=OpenAIResponses(limits=Limits(text=20)),
    )

    assert isinstance(came.error, LimitExceeded)


def test_a_call_without_an_id_has_that_of_its_item() -> None:
    """Servers that imitate OpenAI send one of the two."""
    came = said(done({**call("{}", "completed"), "call_id": None}))

    assert [found.id for found in came.calls] == ["fc_1"]
    assert came.departures["call_id_missing"] == 1


def test_fragments_after_the_end_of_a_call_are_ignored() -> None:
    hosted = {"id": "m", "type": "mcp_call", "name": "roll", "arguments": "{}"}
    came = said(
        *remove(),
        arguments("x"),
        event("function_call_arguments.done", arguments="y"),
        done(call("z", "completed")),
        added(hosted, 1),
        done(hosted, 1),
        event("mcp_call_arguments.delta", 1, delta="x"),
        event("mcp_call_arguments.done", 1, arguments="y"),
    )

    assert [found.arguments_text for found in came.calls] == ['{"path": "/srv"}']
    assert came.departures == {"call_after_done": 2, "part_end_unmatched": 1, "content_twice": 1}


def test_two_items_on_one_index_are_two_items() -> None:
    """Servers that number everything 0."""
    came = said(*hello(0), *remove(0))

    assert (came.text, [found.name for found in came.calls]) == ("Hello", ["rm"])
    assert came.departures == {"part_index_reused": 1}


def test_two_items_on_one_index_may_be_written_in_turns() -> None:
    came = said(
        added(reasoning()),
        added(message()),
        summary("So"),
        delta("Hi"),
        done(reasoning("So")),
        done(message(output_text("Hi"), status="completed")),
    )

    assert (came.message.reasoning, came.message.text) == ("So", "Hi")
    assert came.departures == {"part_index_reused": 1, "part_unannounced": 2}


def test_an_item_that_is_still_open_is_closed_by_another_one_on_its_index() -> None:
    came = said(added(call(id=None)), arguments("{}"), added(call(id=None, call_id="b")), arguments("{}"))

    assert [found.id for found in came.calls] == ["call_1", "b"]
    assert came.departures == {"part_index_reused": 1, "part_unclosed": 2}


def test_an_end_of_another_type_is_an_item_of_its_own() -> None:
    came = said(added(message()), delta("Hi"), done(reasoning("So")), output=[])

    assert (came.message.text, came.message.reasoning) == ("Hi", "So")
    assert came.departures["part_index_reused"] == 1


def test_items_that_are_nothing_are_ignored() -> None:
    """Some gateways send null for items that they do not know."""
    came = said(added(None), *hello(1), done(None), output=[])

    assert (came.text, came.departures) == ("Hello", {"part_empty": 2})
