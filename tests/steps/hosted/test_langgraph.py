"""Runs of LangGraph, from the events of its streaming protocol."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest

from tests.formats.test_langchain_protocol import (
    AGENT,
    COMPLETED,
    HELLO,
    RUNNING,
    RUNS,
    StreamPart,
    add,
    at_once,
    finish,
    parts_of,
    start,
    v2,
)
from tests.steps.hosted.support import follow, tree
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Steps
from tokenstream.errors import MisuseError, ProviderError, StreamTruncated

SAID = "I ask the helper.\n\nIt is sunny in Oslo."
TOOL: tuple[Any, ...] = ("ask_helper", "done", "", [("helper", "done", "Sunny, says the map.", [])])


def wrapped(data: Any, method: str = "messages", path: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {"type": "event", "method": method, "params": {"namespace": [*path], "data": data, **more}}


def said(text: str, path: tuple[str, ...] = (), **metadata: Any) -> list[dict[str, Any]]:
    """Return the events of an answer, as a graph in the program yields them."""
    events: list[dict[str, Any]] = [
        start(),
        {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text}},
        finish(),
    ]
    return [wrapped((event, metadata), path=path) for event in events]


def tool(kind: str, **fields: Any) -> dict[str, Any]:
    return wrapped({"event": f"tool-{kind}", "tool_call_id": "call_1", **fields}, "tools")


class Whole:
    """Stands for a message of LangChain, which is told by its fields."""

    model_fields: ClassVar[dict[str, Any]] = {
        "type": SimpleNamespace(default="ai"),
        "content": None,
        "response_metadata": None,
    }
    type = "ai"
    content = "Hello"
    response_metadata: ClassVar[dict[str, Any]] = {"finish_reason": "stop"}

    def model_dump(self) -> dict[str, Any]:
        """Stand for the method by which objects of SDKs are told."""
        return {}


def test_a_tool_is_a_step_and_the_subagent_that_it_asks_is_below_it() -> None:
    """The run of a server, which says when it begins and ends."""
    run = follow(AGENT)

    assert tree(run) == [("langgraph", "done", SAID, [TOOL])]
    (turn,) = run.turns
    (asked,) = turn.step.steps
    assert (turn.result, run.agent) == ("It is sunny in Oslo.", "langgraph")
    assert asked.cause is not None
    assert (asked.cause.id, asked.cause.arguments) == ("call_1", {"question": "Is it sunny in Oslo?"})
    assert (asked.result, asked.steps[0].agent) == ("Sunny, says the map.", "helper")


def test_tokens_are_those_of_each_agent() -> None:
    """The turn and the run have all, and the step of each agent has its own."""
    run = follow(AGENT)

    (turn,) = run.turns
    assert (turn.step.usage.input_tokens, turn.step.usage.output_tokens) == (80, 19)
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (91, 24)


def test_a_run_of_a_server_that_is_cut_anywhere_has_failed() -> None:
    for place in range(1, len(AGENT)):
        with Steps() as run, pytest.raises(StreamTruncated):
            list(run.follow(AGENT[:place]))
        (turn,) = run.turns
        assert turn.state == "failed", place


def test_a_graph_in_the_program_ends_with_its_events() -> None:
    """LangGraph has no events of its own beginning and end; an open answer shows that it was cut."""
    events = [*said("Hello", run_id="r1"), wrapped({"messages": []}, "values")]

    assert tree(follow(events)) == [("langgraph", "done", "Hello", [])]
    with Steps() as run, pytest.raises(StreamTruncated):
        list(run.follow(events[:2]))
    assert [turn.state for turn in run.turns] == ["failed"]


def test_a_subagent_that_ends_after_its_tool_is_done() -> None:
    path = ("tools:t1",)
    cause = {"type": "toolCall", "tool_call_id": "call_1"}
    begun = {"event": "started", "namespace": [*path], "graph_name": "helper", "cause": cause}
    message = SimpleNamespace(content="sunny", status="success")
    run = follow(
        [
            tool("started", tool_name="ask", input={"q": "x"}),
            wrapped(begun, "lifecycle"),
            *said("sunny", path, run_id="r2", lc_agent_name="helper"),
            tool("finished", output=message),
            wrapped({"event": "completed", "namespace": [*path]}, "lifecycle"),
            *said("It is sunny.", run_id="r3"),
        ]
    )

    assert tree(run) == [
        ("langgraph", "done", "It is sunny.", [("ask", "done", "", [("helper", "done", "sunny", [])])])
    ]
    assert run.steps[0].steps[0].result == "sunny"


def test_a_node_that_is_a_graph_is_a_step() -> None:
    run = follow([*said("Hm.", ("plan:t1",), run_id="r1"), *said("Hello", run_id="r2")])

    assert tree(run) == [("langgraph", "done", "Hello", [("plan", "done", "Hm.", [])])]


def test_models_that_answer_at_once_have_steps_of_their_own() -> None:
    one = said("one", run_id="r1", langgraph_node="a")
    two = said("two", run_id="r2", langgraph_node="b")
    run = follow([one[0], two[0], two[1], one[1], two[2], one[2]])

    assert tree(run) == [("langgraph", "done", "one", [("b", "done", "two", [])])]


_BESIDE_TOOL = [RUNNING, wrapped(start(role="tool", id="t")), *said("Hello")]
_MIXED = [at_once(), at_once(a="work", b="work"), _BESIDE_TOOL]


@in_one_test("events", _MIXED)
def test_answers_that_nothing_tells_apart_are_not_complete(events: list[dict[str, Any]]) -> None:
    """No answer is made of the texts of two models."""
    with Steps() as run:
        list(run.follow([*events, COMPLETED]))

    (turn,) = run.turns
    assert (turn.state, turn.step.text, turn.step.steps) == ("failed", "", ())
    assert "several models" in str(turn.error)
    assert turn.step.message is None or turn.step.message.ending == "failed"


def test_a_run_that_is_interrupted_inside_an_answer_is_truncated() -> None:
    """Between two answers, it is done: it waits for a person."""
    interrupted = wrapped({"event": "interrupted"}, "lifecycle")
    cut = [RUNNING, wrapped(start()), wrapped(add(0, "text", text="hi")), interrupted]
    with Steps() as run:
        list(run.follow(cut))

    (turn,) = run.turns
    assert (turn.state, "StreamTruncated" in str(turn.error)) == ("failed", True)
    assert turn.step.message is not None
    assert (turn.step.message.text, turn.step.message.ending) == ("hi", "truncated")
    assert [turn.state for turn in follow([RUNNING, *said("May I?"), interrupted]).turns] == ["done"]


_STRAY = [
    said("Late"),
    [tool("started", tool_name="count"), tool("finished", output="1")],
    [COMPLETED],
    [wrapped({"event": "running"}, "lifecycle", ("plan:t1",))],
]


@in_one_test("stray", _STRAY)
def test_only_the_start_of_a_run_begins_another_turn(stray: list[dict[str, Any]]) -> None:
    """What a server sends between two runs is of no turn."""
    first = [RUNNING, *said("one"), COMPLETED]
    run = follow([*first, *stray, RUNNING, *said("two"), COMPLETED, *stray])

    assert [(turn.state, turn.step.text) for turn in run.turns] == [("done", "one"), ("done", "two")]


def test_a_message_that_a_node_returns_whole_is_an_answer() -> None:
    run = follow([wrapped((Whole(), {"langgraph_node": "model"}))])

    assert run.turns[0].step.text == "Hello"


def test_the_output_and_the_failure_of_a_tool_are_reported() -> None:
    run = follow(
        [
            *said("Hm."),
            tool("started", tool_name="count"),
            tool("output-delta", delta="1, "),
            tool("output-delta", delta="2"),
            tool("error", message="out of numbers"),
            *said("Sorry."),
        ]
    )

    (counted,) = run.turns[0].step.steps
    assert (counted.state, counted.output, counted.error) == ("failed", "1, 2", "out of numbers")
    assert run.turns[0].state == "done"


_WAITING = [
    wrapped({"interrupt_id": "i1", "payload": {"ask": "ok?"}}, "input.requested"),
    wrapped({}, "values", interrupts=(SimpleNamespace(id="i1", value={"ask": "ok?"}),)),
]


@in_one_test("event", _WAITING)
def test_a_run_that_waits_for_a_person_is_reported(event: dict[str, Any]) -> None:
    with Steps() as run:
        waiting = [run.waiting for _ in run.follow([*said("May I?"), event])]
    (request,) = waiting[-1]

    assert (request.id, request.request) == ("i1", {"ask": "ok?"})


def test_a_run_that_failed_tells_the_servers_error() -> None:
    """The subagents that were at work end with it."""
    failed = wrapped({"event": "failed", "error": "no credit"}, "lifecycle")
    with Steps() as run:
        list(run.follow([*AGENT[:24], failed]))

    (turn,) = run.turns
    assert (turn.state, "no credit" in str(turn.error)) == ("failed", True)
    assert {step.state for step in (*turn.step.steps, *turn.step.steps[0].steps)} <= {"failed", "stopped"}


def test_an_answer_without_the_providers_reason_fails_the_step() -> None:
    """LangChain itself goes on with such an answer."""
    cut = [wrapped((event, {"run_id": "r1"})) for event in (start(), *HELLO, finish(None))]
    with Steps() as run:
        list(run.follow([*cut, wrapped({"messages": []}, "values")]))

    (turn,) = run.turns
    assert (turn.state, turn.step.text) == ("failed", "Hello")


_STEPS = [("Let me see.", "done"), ("", "done"), ("The sea is salty.", "done")]


@in_one_test("mode", RUNS)
def test_a_servers_run_has_the_steps_of_a_graph_in_the_program(mode: str) -> None:
    """Read from its body, and from what its client yields."""
    response = httpx.Response(200, content=RUNS[mode], headers={"content-type": "text/event-stream"})
    for source in (response, parts_of(mode), [v2(part) for part in parts_of(mode)]):
        with Steps() as run:
            list(run.follow(source))
        nodes = [step.steps[0] if mode == "events" else step for step in run.steps]

        assert [(step.text, step.state) for step in nodes] == (_STEPS[2:] if mode == "events" else _STEPS)
        assert [step.result for step in run.steps if step.cause] == ["sunny in Oslo"] * (mode != "events")


def test_a_servers_run_that_fails_or_asks_says_so() -> None:
    parts = [*parts_of("messages_tuple")[:3], StreamPart("error", {"error": "E", "message": "no credit"})]
    body = b"".join([sse(part.data, event=part.event) for part in parts])
    for source in (parts, httpx.Response(200, content=body, headers={"content-type": "text/event-stream"})):
        with Steps() as run, pytest.raises(ProviderError, match="no credit"):
            list(run.follow(source))
        assert [step.state for step in run.steps] == ["failed"]
    asks = StreamPart("updates", {"__interrupt__": [{"id": "i1", "value": {"q": "go?"}}]})

    assert [each.request for each in follow([*parts[:3], asks]).waiting] == [{"q": "go?"}]


def test_the_events_of_a_model_alone_are_no_run() -> None:
    with Steps() as run, pytest.raises(MisuseError, match=r"step\.follow"):
        list(run.follow([start(), *HELLO, finish()]))


def test_what_is_left_early_is_stopped() -> None:
    """The subagent's step ends, too."""
    with Steps() as run, run.follow(AGENT) as events:
        for place, _ in enumerate(events):
            if place == 24:
                break
    (turn,) = run.turns

    assert turn.state == "stopped"
    assert not isinstance(turn.step.error, ProviderError)
