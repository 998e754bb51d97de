"""Runs of LangGraph: their events pass untouched, and the tree grows beside them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.steps.follow.support import CALL, GRAPH, STOP, event, follow, piece, said, tree
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError
from tokenstream.events import StepDone, StepStart, TextDelta

pytestmark = pytest.mark.anyio


def test_a_graph_is_its_nodes_models_and_tools() -> None:
    """What else runs is plumbing; texts, causes and results are where they belong."""
    with Steps() as run:
        passed = list(run.follow(GRAPH))
    ask, tools = run.steps
    (model,), (tool,) = ask.steps, tools.steps

    assert all(ours is theirs for ours, theirs in zip(passed, GRAPH, strict=True))
    assert [("ask", "done", ("model", "done")), ("tools", "done", ("search", "done"))] == tree(run.steps)
    assert model.message is not None
    assert ("Let me look.", "complete", "tool_calls") == (
        model.text,
        model.message.ending,
        model.message.finish_reason,
    )
    assert tool.cause is not None
    assert ("call_1", {"q": 1}, "found") == (tool.cause.id, tool.cause.arguments, tool.result)
    assert {"n": 1} == ask.result


def test_an_interface_sees_the_run_while_it_runs() -> None:
    with Steps() as run:
        seen = run.events()
        found = [kind for _ in run.follow(GRAPH) for kind in seen.ready()]
    found += seen.ready()

    assert ["Let me ", "look."] == [each.text for each in found if isinstance(each, TextDelta)]
    assert ["ask", "model", "tools", "search"] == [each.name for each in found if isinstance(each, StepStart)]
    assert {"done"} == {each.state for each in found if isinstance(each, StepDone)}


def test_parallel_calls_of_one_tool_are_told_apart() -> None:
    calls = [{**CALL, "index": n, "id": f"c{n}", "args": f'{{"q": {n}}}'} for n in range(2)]
    events = [
        *said("m", chunks=[piece(tool_call_chunks=calls), STOP]),
        event("tool_start", "t1", name="search", input={"q": 1}),
        event("tool_start", "t0", name="search", input={"q": 0}),
        event("tool_start", "t2", name="search", input={"q": 0}),
        event("tool_start", "t3", name="search", tool_call_id="c9"),
    ]
    run = follow(events)

    assert ["c1", "c0", None, "c9"] == [step.cause and step.cause.id for step in run.steps[1:]]


def test_a_tool_that_fails_says_so() -> None:
    message = SimpleNamespace(status="error", content="no such city")
    events = [
        event("tool_start", "a", name="search"),
        event("tool_error", "a", name="search", error=ValueError("bad")),
        event("tool_start", "b", name="search"),
        event("tool_end", "b", name="search", output=message),
    ]
    run = follow(events)

    assert [("failed", "ValueError: bad"), ("failed", "no such city")] == [
        (step.state, step.error) for step in run.steps
    ]


def test_a_model_that_does_not_stream_is_reported_at_its_end() -> None:
    """One that completes text, too."""
    whole = {"type": "ai", "content": "Hello", "response_metadata": {"finish_reason": "stop"}}
    events = [
        event("chat_model_start", "m"),
        event("chat_model_end", "m", output=whole),
        event("llm_start", "n"),
        event("llm_stream", "n", chunk=SimpleNamespace(text="Hel", generation_info=None)),
        event("llm_stream", "n", chunk=SimpleNamespace(text="lo", generation_info={"finish_reason": "stop"})),
        event("llm_end", "n", output=None),
    ]
    run = follow(events)

    assert [("Hello", "done")] * 2 == [(step.text, step.state) for step in run.steps]


def test_a_step_takes_in_what_is_followed_within_it() -> None:
    with Steps() as run, run.step("research") as outer:
        list(run.follow(said("m", chunks=[piece("Hi"), STOP])))

    assert ["model"] == [step.name for step in outer.steps]


def test_what_the_events_raise_fails_what_is_open() -> None:
    def broken() -> Generator[Any]:
        yield from GRAPH[:5]
        raise ConnectionResetError("gone")

    with Steps() as run:
        with pytest.raises(ConnectionResetError):
            list(run.follow(broken()))

        assert [("ask", "failed", ("model", "failed"))] == tree(run.steps)
        assert "ConnectionResetError: gone" == run.steps[0].error
        assert "failed" == run.steps[0].steps[0].messages[0].ending


def test_events_that_are_closed_stop_what_is_open() -> None:
    """The framework's own iterator is closed with it."""
    closed: list[bool] = []

    def events() -> Generator[Any]:
        try:
            yield from GRAPH
        finally:
            closed.append(True)

    with Steps() as run:
        with run.follow(events()) as followed:
            for each in followed:
                if each["event"] == "on_chat_model_stream":
                    break

        assert [("ask", "stopped", ("model", "stopped"))] == tree(run.steps)
        assert [True] == closed
        assert "stopped" == run.steps[0].steps[0].messages[0].ending


async def test_asynchronous_events_are_read_in_async_for() -> None:
    closed: list[bool] = []

    async def events() -> AsyncGenerator[Any]:
        try:
            for each in GRAPH:
                yield each
        finally:
            closed.append(True)

    with Steps() as run:
        async with run.follow(events()) as followed:
            passed = [each async for each in followed]

    assert len(GRAPH) == len(passed)
    assert ["ask", "tools"] == [step.name for step in run.steps]
    assert [True] == closed


class Chunk(BaseModel):
    """A chunk of LangChain, as it is told apart."""

    type: str = "AIMessageChunk"
    content: str = ""
    id: str | None = "lc_run--1"
    response_metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    tool_call_chunks: list[Any] = Field(default_factory=list[Any])
    chunk_position: str | None = None


def of_node(message: Any, node: str, place: str = "") -> tuple[Any, dict[str, Any]]:
    return message, {"langgraph_node": node, "langgraph_checkpoint_ns": f"{node}:{place}"}


def test_the_messages_of_a_graph_are_its_nodes_and_tools() -> None:
    """A provider's id may stand on the first chunk only, and models of two nodes may speak in turns."""
    tool = SimpleNamespace(type="tool", tool_call_id="call_1", name="search", content="no", status="error")
    events: list[Any] = [
        ("updates", {"start": None}),
        of_node(Chunk(id="resp_1"), "ask"),
        of_node(Chunk(content="Let me look.", tool_call_chunks=[CALL]), "ask"),
        of_node(Chunk(content="Meanwhile", id="lc_run--2"), "chat"),
        of_node(Chunk(response_metadata={"finish_reason": "stop"}, chunk_position="last"), "ask"),
        ("messages", of_node(tool, "tools")),
        ((), "messages", of_node(SimpleNamespace(type="human", content="Hi"), "ask")),
        of_node(Chunk(response_metadata={"finish_reason": "stop"}, id="lc_run--2"), "chat"),
    ]
    with Steps() as run:
        passed = list(run.follow(events))
    ask, chat, search = run.steps

    assert len(events) == len(passed)
    assert [("ask", "done"), ("chat", "done"), ("search", "failed")] == tree(run.steps)
    assert ("Let me look.", "Meanwhile") == (ask.text, chat.text)
    assert search.cause is not None
    assert ({"q": 1}, "no") == (search.cause.arguments, search.error)


_ASKS = Chunk(type="ai", content="Let me look.", tool_call_chunks=[CALL], id="run-1")
_FOUND = SimpleNamespace(type="tool", tool_call_id="call_1", name="search", content="3", status="success")
_UPDATES: list[dict[str, Any]] = [
    {"ask": {"messages": [_ASKS]}},
    {"tools": {"messages": [_FOUND]}},
    {"ask": {"messages": Chunk(type="ai", content="It is 3.", id="run-2")}},
    {"store": None},
]


def test_a_wrapped_stream_of_updates_is_known_by_its_messages() -> None:
    """A generator of the program's own has another name."""
    with Steps() as run:
        list(run.follow(update for update in _UPDATES))

    assert [step.name for step in run.steps] == ["ask", "search", "ask", "store"]


@in_one_test(
    "form",
    [
        lambda update: update,
        lambda update: ((), update),
        lambda update: ("updates", update),
        lambda update: ((), "updates", update),
        lambda update: {"type": "updates", "ns": (), "data": update},
    ],
)
def test_the_updates_of_a_graph_are_its_nodes_messages_and_tools(form: Any) -> None:
    items = [form(update) for update in _UPDATES]
    with Steps() as run:
        passed = list(run.follow(_named("stream", items)))

    assert passed == items
    assert [(step.name, step.state, step.text) for step in run.steps][:3] == [
        ("ask", "done", "Let me look."),
        ("search", "done", ""),
        ("ask", "done", "It is 3."),
    ]
    assert run.steps[1].result is _FOUND


def _named(name: str, items: list[Any]) -> Any:
    """Return a generator with the name of a graph's method."""

    def generate() -> Generator[Any]:
        yield from items

    generator: Any = generate()
    generator.__qualname__ = f"Pregel.{name}"
    return generator


@in_one_test("options", [{}, {"agent": "langgraph"}], ids=str)
def test_nodes_without_messages_are_steps(options: dict[str, Any]) -> None:
    """The graph's own stream is known by its name, and is not one of the newer events."""
    with Steps() as run:
        list(run.follow(_named("stream", [{"load": {"n": 1}}, {"store": None}]), **options))

    assert tree(run.steps) == [("load", "done"), ("store", "done")]


@in_one_test(
    "source",
    [
        lambda: [{"messages": [SimpleNamespace(type="human", content="q")]}],
        lambda: _named("stream", [{"n": 1}]),
        lambda: _named("stream", ["token"]),
    ],
)
def test_the_whole_state_of_a_graph_is_refused_at_once(source: Any) -> None:
    """The error names what to pass."""
    with Steps() as run, pytest.raises(MisuseError, match='stream_mode="messages", "updates"'):
        list(run.follow(source()))
