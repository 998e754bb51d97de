"""Runs that stop to ask a person: what waits after the loop, and what ends the wait."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream import Steps
from tokenstream.errors import ProviderError, StreamError
from tokenstream.events import StepDone, StepWaiting, ToolResult

_Items = list[Any]
_FILE = Path(__file__).parent / "askers.json"
"""The agents whose lines are JSON."""


class _Interrupt:
    """The class of LangGraph's interrupts, which have slots."""

    __slots__ = ("id", "value")

    def __init__(self) -> None:
        self.id, self.value = "i1", {"question": "really?"}


class Asker(NamedTuple):
    """An agent that stops to ask: its name, if `follow` takes it, its items, and those after the answer."""

    agent: str | None
    asks: _Items
    goes_on: _Items


def _protocol(method: str, seq: int, **params: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"namespace": [], "data": {}, **params}
    return {"type": "event", "method": method, "seq": seq, "event_id": f"e{seq}", "params": given}


def _tool(seq: int, event: str, **data: Any) -> dict[str, Any]:
    return _protocol("tools", seq, data={"event": event, "tool_call_id": "c", "tool_name": "rm", **data})


def _chain(event: str, name: str, **data: Any) -> dict[str, Any]:
    """Return an event of version 2 of a graph or, in the graph, of its node."""
    node = {} if name == "LangGraph" else {"langgraph_node": name}
    parents = [] if name == "LangGraph" else ["LangGraph"]
    named: dict[str, Any] = {"name": name, "run_id": name, "metadata": node, "parent_ids": parents}
    return {"event": event, "data": data, **named}


_UPDATE = {"__interrupt__": (_Interrupt(),)}


def _pydantic_ai(kind: str, **fields: Any) -> Any:
    """Return an event with the class and the fields of pydantic-ai's."""
    return type("Event", (SimpleNamespace,), {"__module__": "pydantic_ai.messages"})(
        event_kind=kind, **fields
    )


class DeferredToolRequests(SimpleNamespace):
    """The output of a run whose tools wait for an approval, or are not run by the agent."""


_RM = SimpleNamespace(part_kind="tool-call", tool_name="rm", tool_call_id="c", args={"path": "build"})
_RM_RESULT = SimpleNamespace(part_kind="tool-return", tool_call_id="c", content="ok", outcome="success")
_NO_TOKENS = SimpleNamespace(input_tokens=0, output_tokens=0, cache_read_tokens=0, cache_write_tokens=0)


def _pydantic_ai_result(output: object) -> Any:
    return _pydantic_ai("agent_run_result", result=SimpleNamespace(output=output, usage=_NO_TOKENS))


def _agents(kind: str, raw: dict[str, Any], **fields: Any) -> Any:
    """Return an event of OpenAI's Agents SDK about a tool."""
    item = SimpleNamespace(type=kind, raw_item=raw, **fields)
    event = type("RunItemStreamEvent", (SimpleNamespace,), {"__module__": "agents.stream_events"})
    return event(type="run_item_stream_event", item=item)


ASKERS = {
    **{name: Asker(**each) for name, each in json.loads(_FILE.read_text(encoding="utf-8")).items()},
    "a LangGraph graph, version 3": Asker(
        "langgraph",
        [_protocol("values", 1, interrupts=(_Interrupt(),))],
        [_protocol("values", 2, interrupts=())],
    ),
    "a LangGraph graph, version 2": Asker(
        None,
        [_chain("on_chain_start", "ask"), _chain("on_chain_stream", "LangGraph", chunk=_UPDATE)],
        [_chain("on_chain_start", "ask"), _chain("on_chain_end", "ask", output={})],
    ),
    "a LangGraph graph, version 3, a tool": Asker(
        "langgraph",
        [_tool(1, "tool-started", input={}), _protocol("values", 2, interrupts=(_Interrupt(),))],
        [_tool(3, "tool-started", input={}), _tool(4, "tool-finished", output="ok")],
    ),
    "a LangGraph graph, messages and updates": Asker(
        None, [("updates", _UPDATE)], [("updates", {"ask": {"answer": "yes"}})]
    ),
    "a LangGraph graph, messages and values": Asker(
        None,
        [("values", {"messages": []}), ("values", {"messages": [], **_UPDATE}), ("updates", _UPDATE)],
        [("values", {"messages": []})],
    ),
    "a LangGraph graph, updates as dicts": Asker(
        None,
        [{"type": "updates", "ns": (), "data": _UPDATE}],
        [{"type": "updates", "ns": (), "data": {"ask": {"answer": "yes"}}}],
    ),
    "pydantic-ai, an approval": Asker(
        None,
        [
            _pydantic_ai("function_tool_call", part=_RM),
            _pydantic_ai_result(DeferredToolRequests(approvals=[_RM], calls=[])),
        ],
        [
            _pydantic_ai("function_tool_call", part=_RM),
            _pydantic_ai("function_tool_result", part=_RM_RESULT),
            _pydantic_ai_result("Removed."),
        ],
    ),
    "pydantic-ai, a call of others": Asker(
        None,
        [_pydantic_ai_result(DeferredToolRequests(approvals=[], calls=[_RM]))],
        [_pydantic_ai_result("Removed.")],
    ),
    "OpenAI's Agents SDK, an approval": Asker(
        None,
        [_agents("tool_call_item", {"call_id": "c", "name": "rm", "arguments": "{}"})],
        [_agents("tool_call_output_item", {"call_id": "c"}, output="ok")],
    ),
}
"""The agents that stop to ask, at least one for each reader."""
every_asker = pytest.mark.parametrize("asker", ASKERS.values(), ids=ASKERS.keys())


def _named(asker: Asker, **options: Any) -> dict[str, Any]:
    return options if asker.agent is None else {"agent": asker.agent, **options}


def _asked(run: Steps) -> list[Any]:
    return [(turn.state, turn.error) for turn in run.turns] or [
        (each.state, each.error) for each in run.steps
    ]


@every_asker
def test_a_question_waits_after_the_loop(asker: Asker) -> None:
    with Steps() as run:
        waiting = [len(run.waiting) for _ in run.follow(asker.asks, **_named(asker))]
        # OpenAI's Agents SDK has no event for it: its events end.
        assert waiting[-1] == (asker is not ASKERS["OpenAI's Agents SDK, an approval"])
        assert [each.answered for each in run.waiting] == [False]
        if asker is ASKERS["AG-UI, a tool of the application"]:
            assert run.waiting[0].id == "c"
        assert _asked(run) == [("waiting", None)]

    assert len(run.waiting) == 1
    assert _asked(run) == [("waiting", None)]
    ends = [event.state for event in run.events() if isinstance(event, StepDone)]
    assert ends[-1] == "waiting"
    assert "waiting" in str(run)


@every_asker
def test_after_the_answer_nothing_waits(asker: Asker) -> None:
    """The agent goes on in another loop or, as a session does, in the same."""
    with Steps() as run:
        if asker.agent == "anthropic-agents":
            list(run.follow([*asker.asks, *asker.goes_on], **_named(asker)))
        else:
            for items in (asker.asks, asker.goes_on):
                list(run.follow(items, **_named(asker)))
        assert run.waiting == ()

    assert {state for state, _ in _asked(run)} == {"done"}
    told = [event.answered for event in run.events() if isinstance(event, StepWaiting)]
    assert (len(told), told[-1]) == (2, True)


def _tools_of(node: Any) -> list[Any]:
    below = [tool for step in node.steps for tool in _tools_of(step)]
    return [*[step for step in node.steps if step.name == "rm"], *below]


_ASKING_TOOLS = {name: asker for name, asker in ASKERS.items() if "'ok'" in str(asker.goes_on)}


@pytest.mark.parametrize("asker", _ASKING_TOOLS.values(), ids=_ASKING_TOOLS.keys())
def test_a_tool_that_waits_has_the_result_of_the_next_run(asker: Asker) -> None:
    with Steps() as run:
        list(run.follow(asker.asks, **_named(asker)))
        assert [(tool.state, tool.result) for tool in _tools_of(run)] == [("waiting", None)]
        list(run.follow(asker.goes_on, **_named(asker)))
        tools = [(tool.state, "ok" in str(tool.result)) for tool in _tools_of(run)]
        assert {*tools} == {("done", True)}

    results = [event for event in run.events() if isinstance(event, ToolResult)]
    assert {"ok" in str(event.output) for event in results} == {True}


@pytest.mark.parametrize("asker", _ASKING_TOOLS.values(), ids=_ASKING_TOOLS.keys())
def test_a_tool_whose_answer_brings_no_result_is_stopped_with_the_run(asker: Asker) -> None:
    items = [item for item in asker.goes_on if "'ok'" not in str(item)]
    with Steps() as run:
        for part in (asker.asks, items):
            list(run.follow(part, **_named(asker)))
    tools = _tools_of(run)
    assert "done" not in {tool.state for tool in tools}


def test_a_permission_of_claude_code_is_given_through_the_run() -> None:
    """The answer goes to the process; until then the tool and the turn wait, and no silence is too long."""
    stdin, asker = io.BytesIO(), ASKERS["Claude Code, a permission"]
    states: list[Any] = []
    with Steps() as run:
        loop = run.follow([*asker.asks, *asker.goes_on], agent="claude-code", stdin=stdin)
        for line in loop:
            states.append((run.turns[0].state, _tools_of(run) and _tools_of(run)[0].state))
            for request in run.waiting:
                assert request.request["tool_name"] == "rm"
                run.reply(request.id, {"behavior": "allow", "updatedInput": {}})
                assert line["type"] == "control_request"
                states.append((run.turns[0].state, _tools_of(run)[0].state))

    assert states[-4:] == [
        ("waiting", "waiting"),
        ("running", "running"),
        ("running", "done"),
        ("done", "done"),
    ]
    answer = json.loads(stdin.getvalue())
    assert (answer["type"], answer["response"]["request_id"]) == ("control_response", "r")
    assert answer["response"]["response"] == {"behavior": "allow", "updatedInput": {}}


@pytest.mark.parametrize("end", [{"type": "control_cancel_request", "request_id": "r"}, {"type": "result"}])
def test_a_permission_that_claude_code_no_longer_wants_waits_no_more(end: dict[str, str]) -> None:
    asker = ASKERS["Claude Code, a permission"]
    with Steps() as run:
        for line in run.follow([*asker.asks, end, asker.goes_on[-1]], agent="claude-code"):
            assert len(run.waiting) == (line["type"] == "control_request")
        assert [tool.state for tool in _tools_of(run)] == ["stopped"]
        assert run.turns[0].state == "done"


@every_asker
def test_a_loop_until_the_end_of_a_turn_ends_at_the_question(asker: Asker) -> None:
    if asker.agent in (None, "claude-code") or asker.asks[-1].get("method") == "values":
        pytest.skip("these have no turns, or no end of one; Claude Code asks within its turn")
    with Steps() as run:
        lines = iter([*asker.asks, *asker.goes_on])
        loop = run.follow(lines, **_named(asker, until="turn"))
        seen = [*loop]
        assert (len(seen), len(run.waiting), run.turns[-1].state) == (len(asker.asks), 1, "waiting")

        assert [*loop] == asker.goes_on
        assert (run.waiting, run.turns[-1].state) == ((), "done")


@every_asker
def test_a_process_that_fails_waits_for_nothing(asker: Asker) -> None:
    if asker.agent is None:
        pytest.skip("a framework is no process")
    with Steps() as run:
        with pytest.raises(ProviderError, match="exit code 1"):
            list(run.follow(asker.asks, **_named(asker, exit_code=1)))
        assert run.waiting == ()
        assert run.turns[-1].state == "failed"


@every_asker
def test_a_run_that_fails_waits_for_nothing(asker: Asker) -> None:
    def items() -> Any:
        yield from asker.asks
        raise OSError("the line is dead")

    with Steps() as run:
        with pytest.raises(OSError, match="dead"):
            list(run.follow(items(), **({} if asker.agent is None else {"agent": asker.agent})))
        assert run.waiting == ()
        assert [state for state, _ in _asked(run)] == ["failed"]


@every_asker
def test_a_run_that_fails_after_the_loop_waits_for_nothing(asker: Asker) -> None:
    with pytest.raises(OSError, match="dead"), Steps() as run:
        list(run.follow(asker.asks, **_named(asker)))
        raise OSError("the line is dead")

    assert run.waiting == ()
    assert [state for state, _ in _asked(run)] == ["failed"]


def _llamaindex(id: str, **fields: Any) -> Any:
    return SimpleNamespace(tool_id=id, tool_name="rm", tool_kwargs={}, **fields)


_LLAMAINDEX_AGENT = SimpleNamespace(current_agent_name="W", input=[])
_LLAMAINDEX_ASKS = type("InputRequiredEvent", (SimpleNamespace,), {})()
_LLAMAINDEX_OK = SimpleNamespace(content="ok", is_error=False)


def test_a_workflow_of_llamaindex_asks_and_goes_on_in_the_same_events() -> None:
    """The tool that has asked is called again, by its id, and is one step."""
    call, returned = _llamaindex("c"), _llamaindex("c", tool_output=_LLAMAINDEX_OK)
    with Steps() as run:
        seen = [
            (len(run.waiting), [tool.state for tool in _tools_of(run)])
            for _ in run.follow([_LLAMAINDEX_AGENT, call, _LLAMAINDEX_ASKS, object(), call, returned])
        ]

    waits = (1, ["waiting"])
    assert [(0, []), (0, ["running"]), waits, waits, (0, ["running"]), (0, ["done"])] == seen


def test_a_question_of_a_workflow_waits_while_other_tools_return() -> None:
    """Nobody can tell which of two tools asks, so that it waits until the first of them is called again."""
    calls, other = [_llamaindex("c"), _llamaindex("d")], _llamaindex("e", tool_output=_LLAMAINDEX_OK)
    with Steps() as run:
        events = [_LLAMAINDEX_ASKS, _LLAMAINDEX_AGENT, *calls, _LLAMAINDEX_ASKS, _LLAMAINDEX_ASKS]
        assert [1, 0, 0, 0, 1, 2] == [len(run.waiting) for _ in run.follow(events)]
    with Steps() as run:
        events = [_LLAMAINDEX_AGENT, calls[0], _LLAMAINDEX_ASKS, calls[1], other]
        assert [0, 0, 1, 1, 1] == [len(run.waiting) for _ in run.follow(events)]


def test_a_question_of_a_run_over_ag_ui_is_none_of_the_next_run() -> None:
    """The run that has asked was cut, or has failed."""
    asks = ASKERS["AG-UI, LangGraph's adapter"]
    for end in ([{"type": "RUN_ERROR", "message": "down"}], []):
        with Steps() as run, suppress(StreamError):
            for _ in run.follow([*asks.asks[:-1], *end, *asks.goes_on]):
                pass
        assert (run.waiting, run.turns[-1].state) == ((), "done")


@pytest.mark.parametrize("chunk", [[_Interrupt()], 5, "text", None])
def test_what_another_chain_yields_is_no_question_and_answers_none(chunk: Any) -> None:
    """A runnable of LangChain may yield anything, and is no graph."""
    other = {**_chain("on_chain_stream", "format", chunk=chunk), "metadata": {}}
    asker = ASKERS["a LangGraph graph, messages and updates"]
    with Steps() as run:
        list(run.follow(asker.asks))
        list(run.follow([other]))
        assert [each.id for each in run.waiting] == ["i1"]


def test_a_tool_that_asks_has_not_failed() -> None:
    """LangGraph tells a question that a tool asks as the exception `GraphInterrupt`."""
    interrupt = type("GraphInterrupt", (Exception,), {})
    metadata = {"metadata": {"langgraph_node": "tools"}, "parent_ids": ["LangGraph"]}
    tool = {"name": "rm", "run_id": "rm", **metadata}
    asks = [
        {"event": "on_tool_start", "data": {"input": {}}, **tool},
        {"event": "on_tool_error", "data": {"error": interrupt()}, **tool},
        _chain("on_chain_stream", "LangGraph", chunk=_UPDATE),
    ]
    with Steps() as run:
        list(run.follow(asks))
        assert [(step.name, step.state) for step in run.steps] == [("rm", "waiting")]


def _threads(*threads: str) -> _Items:
    """Return the items of threads of AG-UI that ask one after the other, under the same id."""
    return [
        {**each, "threadId": thread, "runId": f"of {thread}"}
        for thread in threads
        for each in ASKERS["AG-UI"].asks
    ]


def test_the_same_id_in_two_threads_is_that_of_two_questions() -> None:
    """An answer to one is none to the other."""
    with Steps() as run:
        list(run.follow(_threads("t", "u"), agent="ag-ui"))
        assert [each.id for each in run.waiting] == ["i1", "i1-2"]

        for _ in run.follow([{"type": "RUN_STARTED", "threadId": "u", "runId": "r2"}], agent="ag-ui"):
            break
        assert [each.id for each in run.waiting] == ["i1"]
        assert run.turns[0].state == "waiting"


def test_a_process_that_fails_fails_each_turn_that_waits() -> None:
    with Steps() as run:
        with pytest.raises(ProviderError, match="exit code 1"):
            list(run.follow(_threads("t", "u"), agent="ag-ui", exit_code=1))
        assert run.waiting == ()
        assert [turn.state for turn in run.turns] == ["failed", "failed"]


def test_many_questions_take_time_for_each_one_alone() -> None:
    """The calls of Python for a question do not grow with those before it."""
    taken: list[int] = []
    for count in (50, 100):
        calls = 0

        def note(_: Any, event: str, __: Any) -> None:
            nonlocal calls
            calls += event == "call"

        items = [("updates", {"__interrupt__": ({"id": f"i{at}", "value": 1},)}) for at in range(count)]
        with Steps() as run:
            sys.setprofile(note)
            list(run.follow(items))
            sys.setprofile(None)
            assert len(run.waiting) == count
        taken.append(calls)
    assert taken[1] < 2.5 * taken[0]


@given(st.lists(st.sampled_from(["ask", "go on", "other"]), max_size=8))
def test_what_waits_is_what_was_asked_last(moves: list[str]) -> None:
    """The runs of a thread are read one after another, with those of other threads between them."""
    asks, goes_on = ASKERS["AG-UI"].asks, ASKERS["AG-UI"].goes_on
    is_open = False
    with Steps() as run:
        for number, move in enumerate(moves):
            items = asks if move == "ask" else goes_on
            thread = f"other{number}" if move == "other" else "t"
            list(run.follow([{**each, "threadId": thread, "runId": str(number)} for each in items]))
            is_open = is_open if move == "other" else move == "ask"
            assert [each.id for each in run.waiting] == ["i1"] * is_open
            assert [turn.state for turn in run.turns].count("waiting") == is_open
