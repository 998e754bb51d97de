"""Runs of frameworks: their events pass untouched, and the tree grows beside them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tokenstream import Steps
from tokenstream.errors import MisuseError
from tokenstream.events import StepDone, StepStart, TextDelta
from tokenstream.steps import Step

pytestmark = pytest.mark.anyio

CALL = {"index": 0, "id": "call_1", "name": "search", "args": '{"q": 1}'}


def event(kind: str, id: str, *parents: str, name: str = "", node: str = "", **data: Any) -> dict[str, Any]:
    """Return an event as `astream_events` gives it."""
    metadata = {"langgraph_node": node} if node else {}
    return {
        "event": f"on_{kind}",
        "run_id": id,
        "name": name or id,
        "parent_ids": [*parents],
        "metadata": metadata,
        "data": data,
    }


def piece(content: str = "", **fields: Any) -> dict[str, Any]:
    """Return a chunk of LangChain, as it is told apart."""
    return {"type": "AIMessageChunk", "content": content, "response_metadata": {}, **fields}


STOP = piece(response_metadata={"finish_reason": "stop"})


def said(id: str, *parents: str, chunks: Iterable[Any], name: str = "model") -> list[dict[str, Any]]:
    """Return the events of a model that says something."""
    return [
        event("chat_model_start", id, *parents, name=name),
        *[event("chat_model_stream", id, *parents, name=name, chunk=chunk) for chunk in chunks],
        event("chat_model_end", id, *parents, name=name, output=None),
    ]


SPOKEN = [piece("Let me "), piece("look."), piece(tool_call_chunks=[CALL]), STOP]
GRAPH = [
    event("chain_start", "root", name="LangGraph"),
    event("chain_start", "ask", "root", node="ask"),
    event("chain_start", "sequence", "root", "ask", name="RunnableSequence", node="ask"),
    *said("m1", "root", "ask", "sequence", chunks=SPOKEN),
    event("chain_end", "sequence", "root", "ask", name="RunnableSequence", node="ask"),
    event("chain_end", "ask", "root", node="ask", output={"n": 1}),
    event("chain_start", "tools", "root", node="tools", input={"tool_call": {"id": "call_1"}}),
    event("tool_start", "t1", "root", "tools", name="search", input={"q": 1}),
    event("tool_end", "t1", "root", "tools", name="search", output="found"),
    event("chain_end", "tools", "root", node="tools"),
    event("chain_end", "root", name="LangGraph"),
]  # fmt: skip


def tree(steps: tuple[Step, ...]) -> list[Any]:
    """Return steps by name and state, with those within."""
    return [(step.name, step.state, *tree(step.steps)) for step in steps]


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
    """As it sees any other run: pieces come as the framework gives them."""
    with Steps() as run:
        seen = run.events()
        found = [kind for _ in run.follow(GRAPH) for kind in seen.ready()]
    found += seen.ready()

    assert ["Let me ", "look."] == [each.text for each in found if isinstance(each, TextDelta)]
    assert ["ask", "model", "tools", "search"] == [each.name for each in found if isinstance(each, StepStart)]
    assert {"done"} == {each.state for each in found if isinstance(each, StepDone)}


def test_parallel_calls_of_one_tool_are_told_apart() -> None:
    """By the id that an event tells, or else by their arguments."""
    calls = [{**CALL, "index": n, "id": f"c{n}", "args": f'{{"q": {n}}}'} for n in range(2)]
    events = [
        *said("m", chunks=[piece(tool_call_chunks=calls), STOP]),
        event("tool_start", "t1", name="search", input={"q": 1}),
        event("tool_start", "t0", name="search", input={"q": 0}),
        event("tool_start", "t2", name="search", input={"q": 0}),
        event("tool_start", "t3", name="search", tool_call_id="c9"),
    ]
    with Steps() as run:
        list(run.follow(events))

    assert ["c1", "c0", None, "c9"] == [step.cause and step.cause.id for step in run.steps[1:]]


def test_a_tool_that_fails_says_so() -> None:
    """By an event of its own, or by the status of its message."""
    message = SimpleNamespace(status="error", content="no such city")
    events = [
        event("tool_start", "a", name="search"),
        event("tool_error", "a", name="search", error=ValueError("bad")),
        event("tool_start", "b", name="search"),
        event("tool_end", "b", name="search", output=message),
    ]
    with Steps() as run:
        list(run.follow(events))

    assert [("failed", "ValueError: bad"), ("failed", "no such city")] == [
        (step.state, step.error) for step in run.steps
    ]


def test_a_model_whose_answer_was_cut_has_failed() -> None:
    """The framework goes on with it."""
    with Steps() as run:
        list(run.follow(said("m", chunks=[piece("Let"), piece(chunk_position="last")])))
    (model,) = run.steps

    assert ("failed", "truncated") == (model.state, model.message and model.message.ending)


def test_a_model_that_does_not_stream_is_told_at_its_end() -> None:
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
    with Steps() as run:
        list(run.follow(events))

    assert [("Hello", "done")] * 2 == [(step.text, step.state) for step in run.steps]


def test_a_step_takes_in_what_is_followed_within_it() -> None:
    """Its block is where the loop runs."""
    with Steps() as run, run.step("research") as outer:
        list(run.follow(said("m", chunks=[piece("Hi"), STOP])))

    assert ["model"] == [step.name for step in outer.steps]


def test_what_the_events_raise_fails_what_is_open() -> None:
    """It reaches the loop unchanged."""

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
    """And closed by `async with`."""
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


# -- the messages of a graph ------------------------------------------------------------


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


def test_events_that_end_within_an_answer_have_cut_it() -> None:
    """Whoever closes a graph's own events elsewhere leaves the node's model without its end."""
    with Steps() as run:
        list(run.follow(said("m", chunks=[piece("Let")])[:-1]))

    assert ["failed"] == [step.state for step in run.steps]


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


# -- the OpenAI Agents SDK ------------------------------------------------------------


def turn(name: str) -> Any:
    return SimpleNamespace(type="agent_updated_stream_event", new_agent=SimpleNamespace(name=name))


def raw(kind: str, **fields: Any) -> Any:
    return Raw({"type": f"response.{kind}", **fields})


class Raw:
    """What the model sent, in an event of the SDK."""

    type = "raw_response_event"

    def __init__(self, data: Any) -> None:
        self.data = data


def item(kind: str, **fields: Any) -> Any:
    output = fields.pop("output", None)
    return SimpleNamespace(
        type="run_item_stream_event", item=SimpleNamespace(type=kind, raw_item=fields, output=output)
    )


def answer(text: str, id: str = "r", call: str = "") -> list[Any]:
    done = {"type": "function_call", "id": "f", "call_id": call, "name": "search", "arguments": "{}"}
    return [
        raw("created", response={"id": id}),
        raw("output_text.delta", item_id="i", output_index=0, content_index=0, delta=text),
        *([raw("output_item.done", output_index=1, item=done)] if call else []),
        raw("completed", response={"id": id, "status": "completed"}),
    ]


def test_a_run_of_agents_is_its_agents_and_their_tools() -> None:
    """All answers of an agent are in its step; a handoff ends it."""
    events = [
        turn("triage"),
        *answer("Let me look.", call="c1"),
        item("tool_call_item", call_id="c1", name="search"),
        item("tool_call_output_item", call_id="c1", output="found"),
        *answer("Over to you."),
        turn("writer"),
        *answer("Done."),
    ]
    with Steps() as run:
        list(run.follow(events))
    triage, writer = run.steps
    (tool,) = triage.steps

    assert [("triage", "triage", "done"), ("writer", "writer", "done")] == [
        (step.name, step.agent, step.state) for step in run.steps
    ]
    assert ["Let me look.", "Over to you."] == [message.text for message in triage.messages]
    assert ["complete", "complete"] == [message.ending for message in triage.messages]
    assert ("Done.", "search", "triage", "found") == (writer.text, tool.name, tool.agent, tool.result)
    assert tool.cause is not None
    assert "c1" == tool.cause.id


def test_an_agent_whose_last_answer_was_cut_has_failed() -> None:
    """So it is where `result.cancel()` ends the events in the middle of it; what is said again is not cut."""
    with Steps() as run:
        list(run.follow([turn("a"), *answer("Let", id="r1")[:2], *answer("Let me.", id="r2")]))
        list(run.follow([turn("b"), *answer("Let me look.")[:2]]))

    assert ["done", "failed"] == [step.state for step in run.steps]
    assert ["StreamTruncated"] == [step.error.partition(":")[0] for step in run.steps if step.error]


def test_an_answer_before_any_agent_was_named_has_a_step() -> None:
    """And what a run is about otherwise has none."""
    with Steps() as run:
        list(run.follow([*answer("Hi"), item("message_output_item", id="m"), raw("odd")]))

    assert [("agent", "Hi")] == [(step.name, step.text) for step in run.steps]


# -- LlamaIndex ------------------------------------------------------------------------


def of_agent(name: str, **fields: Any) -> Any:
    return SimpleNamespace(current_agent_name=name, **fields)


def streamed(name: str, delta: str, *calls: Any, raw: Any = None) -> Any:
    return of_agent(name, delta=delta, raw=raw, thinking_delta=None, tool_calls=[*calls])


def test_a_workflow_of_llamaindex_is_its_agents_and_their_tools() -> None:
    """What was streamed is not said again by the whole answer; one that was not is."""
    call = SimpleNamespace(tool_id="c1", tool_name="search", tool_kwargs={"q": 1})
    output = SimpleNamespace(content="no such city", is_error=True)
    events = [
        SimpleNamespace(kind="start"),
        of_agent("triage", input=[]),
        streamed("triage", "Let me "),
        streamed("triage", "look.", call),
        of_agent("triage", response=SimpleNamespace(content="Let me look."), raw=None, tool_calls=[call]),
        call,
        SimpleNamespace(**vars(call), tool_output=output),
        of_agent("writer", input=[]),
        of_agent("writer", response=SimpleNamespace(content="Sorry."), raw=None, tool_calls=[]),
    ]
    with Steps() as run:
        list(run.follow(events))
    triage, writer = run.steps
    (tool,) = triage.steps

    assert ("Let me look.", "Sorry.") == (triage.text, writer.text)
    assert [{"q": 1}] == [call.arguments for call in triage.messages[0].tool_calls]
    assert tool.cause is not None
    assert ("c1", "failed", "no such city") == (tool.cause.id, tool.state, tool.error)
    assert ["complete", "complete"] == [step.messages[0].ending for step in run.steps]


# -- what is none ------------------------------------------------------------------------


@pytest.mark.parametrize("events", [3, "text", b"", {"event": "x"}])
def test_what_is_no_loop_is_refused(events: Any) -> None:
    """With the names of what is followed."""
    with Steps() as run, pytest.raises(MisuseError, match="astream_events"):
        run.follow(events)


@pytest.mark.parametrize("chunk", [piece("Hel"), b"data: x"])
def test_pieces_of_one_answer_are_for_a_step(chunk: Any) -> None:
    """The mistake is told at the first of them."""
    with Steps() as run, pytest.raises(MisuseError, match=r"step\.follow"):
        list(run.follow([chunk]))


def test_events_of_no_known_framework_pass_and_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """They may be of a program's own."""
    odd = [SimpleNamespace(kind="odd")]
    with Steps() as run:
        assert odd == list(run.follow(odd))

    assert () == run.steps
    assert ["none of the 1 events that were followed made a step: they are of no known framework"] == [
        record.getMessage() for record in caplog.records
    ]


def test_what_comes_after_the_end_of_a_step_disturbs_nobody() -> None:
    """A node that has ended takes its model along."""
    events = [
        event("chain_start", "ask", node="ask"),
        event("chat_model_start", "m", "ask"),
        event("chain_end", "ask", node="ask"),
        event("chat_model_stream", "m", "ask", chunk=piece("late")),
        event("tool_start", "t", "ask", name="search"),
        event("chat_model_end", "m", "ask", output=None),
        event("odd", "x"),
        {"event": "on_chat_model_start", "run_id": 7},
    ]
    with Steps() as run:
        list(run.follow(events))

    assert [("ask", "done", ("m", "stopped")), ("search", "done")] == tree(run.steps)


def test_events_that_are_not_as_expected_disturb_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A version of a framework may come that has others: what is open is stopped, and the log says so."""
    events = [of_agent("triage", input=[]), of_agent("triage", response=None), of_agent("writer", input=[])]
    with Steps() as run:
        assert 3 == len(list(run.follow(events)))

    assert [("triage", "stopped")] == tree(run.steps)
    assert 1 == len(caplog.records)


def test_a_run_that_has_ended_follows_nothing() -> None:
    """As it takes no other step."""
    with Steps() as run:
        pass

    with pytest.raises(MisuseError, match="has already ended"):
        list(run.follow(GRAPH))
