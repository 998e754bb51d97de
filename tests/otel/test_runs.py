"""Runs of agents: a span for each turn, each subagent and each tool, and their metrics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from tests.otel.backend import Backend, told_by
from tests.project import ROOT
from tests.support.clocks import on
from tokenstream import Steps, testing
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.otel import observe
from tokenstream.testing import Recording, faults

FOLDER = ROOT / "tests/steps/agents/recordings"
CLAUDE = Recording.load(FOLDER / "claude-code-own-two-tools-partial.jsonl")


def observed(backend: Backend, recording: Recording, **options: Any) -> Steps:
    agent = recording.process()
    with observe(Steps("fix"), **backend.takes, **options) as run:
        for _ in run.follow(agent.stdout, exit_code=agent.wait):
            pass
    return run


def parents(backend: Backend) -> list[tuple[str, str | None]]:
    names = {span.context.span_id: span.name for span in backend.spans if span.context}
    return [(span.name, names.get(span.parent.span_id) if span.parent else None) for span in backend.spans]


def test_a_turn_is_an_invocation_of_the_agent_and_has_its_tools_below(backend: Backend) -> None:
    run = observed(backend, CLAUDE)
    turn, hello, failed = backend.spans

    assert [
        ("invoke_agent claude-code", None),
        ("execute_tool Bash", "invoke_agent claude-code"),
        ("execute_tool Bash", "invoke_agent claude-code"),
    ] == parents(backend)
    assert {SpanKind.INTERNAL} == {span.kind for span in backend.spans}
    assert told_by(turn) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "claude-code",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.conversation.id": run.session,
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.response.model": "claude-sonnet-4-5",
        # Anthropic counts cached tokens apart, and the conventions count them as input.
        "gen_ai.usage.input_tokens": 410,
        "gen_ai.usage.output_tokens": 29,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "tokenstream.cost": 0.001638,
        "tokenstream.state": "done",
    }
    assert told_by(hello) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "Bash",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": "toolu_1",
        "gen_ai.agent.name": "claude-code",
        "gen_ai.conversation.id": run.session,
    }
    assert told_by(failed)["error.type"] == "ToolFailed"
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "ToolFailed")
    assert turn.status.status_code == StatusCode.UNSET


def test_nothing_that_was_said_is_reported(backend: Backend) -> None:
    observed(backend, CLAUDE)
    told = json.dumps([told_by(span) for span in backend.spans])

    for words in ("hello", "two commands", "/nope", "No such file"):
        assert words not in told


def test_the_durations_and_the_tokens_are_metrics(backend: Backend) -> None:
    """Each duration is that of the span; the tokens are counted once for the turn."""
    observed(backend, CLAUDE)
    (agent,) = backend.points("gen_ai.invoke_agent.duration")
    turn = backend.spans[0]
    assert turn.start_time is not None
    assert turn.end_time is not None

    assert dict(agent.attributes) == {
        "gen_ai.agent.name": "claude-code",
        "gen_ai.request.model": "claude-sonnet-4-5",
    }
    assert agent.sum == pytest.approx((turn.end_time - turn.start_time) / 1e9, abs=1e-6)
    assert (0.1, 409.6) == (agent.explicit_bounds[0], agent.explicit_bounds[-1])
    tools = {
        point.attributes.get("error.type"): point for point in backend.points("gen_ai.execute_tool.duration")
    }
    assert {None, "ToolFailed"} == set(tools)
    assert dict(tools[None].attributes) == {
        "gen_ai.tool.name": "Bash",
        "gen_ai.tool.type": "extension",
        "gen_ai.agent.name": "claude-code",
    }
    tokens = {p.attributes["gen_ai.token.type"]: p for p in backend.points("gen_ai.client.token.usage")}
    assert {"input": 410, "output": 29} == {kind: point.sum for kind, point in tokens.items()}
    assert "invoke_agent" == tokens["input"].attributes["gen_ai.operation.name"]


def test_a_subagent_is_an_invocation_within_the_tool_that_called_it(backend: Backend) -> None:
    observed(backend, Recording.load(FOLDER / "opencode-server-own-subagent.jsonl"))
    lines = parents(backend)

    assert ("invoke_agent opencode-server", None) == lines[0]
    assert ("execute_tool task", "invoke_agent opencode-server") in lines
    (tool,) = [line for line in lines if line[0] == "execute_tool bash"]
    assert str(tool[1]).startswith("invoke_agent ")
    assert tool[1] != "invoke_agent opencode-server"


def test_an_answer_below_a_call_makes_a_subagent(backend: Backend) -> None:
    """Claude Code's subagents have their name in the arguments of the call."""
    main: dict[str, Any] = {"session_id": "s", "parent_tool_use_id": None}
    call = {"type": "tool_use", "id": "t1", "name": "Task", "input": {"subagent_type": "Explore"}}

    def said(parent: str | None, id: str, block: dict[str, Any]) -> dict[str, Any]:
        message = {"id": id, "role": "assistant", "content": [block], "model": "m"}
        return {**main, "type": "assistant", "parent_tool_use_id": parent, "message": message}

    result = {"type": "tool_result", "tool_use_id": "t1", "content": "found"}
    lines = [
        {**main, "type": "system", "subtype": "init", "tools": []},
        said(None, "m1", call),
        said("t1", "m2", {"type": "text", "text": "Looking."}),
        {**main, "type": "user", "message": {"role": "user", "content": [result]}},
        {**main, "type": "result", "subtype": "success", "is_error": False, "result": "Done."},
    ]
    with observe(Steps(), **backend.takes) as run:
        for _ in run.follow(list(map(json.dumps, lines))):
            pass

    assert [
        ("invoke_agent claude-code", None),
        ("execute_tool Task", "invoke_agent claude-code"),
        ("invoke_agent Explore", "execute_tool Task"),
    ] == parents(backend)


def test_a_turn_is_reported_when_it_has_ended_and_not_when_the_run_has(backend: Backend) -> None:
    """A session may have many turns, and last for hours."""
    body = CLAUDE.body.splitlines()
    with observe(Steps(), **backend.takes) as run:
        for number, _ in enumerate(run.follow(body), 1):
            assert (number == len(body)) == bool(backend.spans)
        reported = len(backend.spans)
        again = run.step("afterwards")
        again.end()

    assert (3, 4) == (reported, len(backend.spans))
    assert "afterwards" == backend.spans[-1].name


def test_a_run_that_is_cut_reports_the_error_and_what_had_come(backend: Backend) -> None:
    """The turn has failed, and the tools that were running are no errors of their own."""
    at = CLAUDE.body.index(b'"tool_result"')
    with pytest.raises(StreamTruncated):
        observed(backend, CLAUDE.with_fault(faults.cut(at=at)))
    turn, *tools = backend.spans

    assert ("StreamTruncated", "failed") == (told_by(turn)["error.type"], told_by(turn)["tokenstream.state"])
    assert 2 == len(tools)
    assert all("error.type" not in told_by(span) for span in tools)
    (agent,) = backend.points("gen_ai.invoke_agent.duration")
    assert "StreamTruncated" == agent.attributes["error.type"]


def test_steps_that_were_left_open_are_reported_with_the_run(backend: Backend) -> None:
    clock = testing.VirtualClock(50)
    with observe(on(clock, Steps), **backend.takes) as run:
        run.step("plan", agent="planner")
        clock.advance(2)
    (span,) = backend.spans

    assert "invoke_agent planner" == span.name
    assert span.end_time is not None
    assert span.start_time is not None
    assert 2_000_000_000 == span.end_time - span.start_time


def test_steps_of_a_program_are_spans_too(backend: Backend) -> None:
    """A step with an agent invokes it, a step with a cause is a tool, and any other has its own name."""
    call = testing.script().tool_call("look_up", {"city": "Oslo"}).finish().stream().final().tool_calls[0]
    tracer = trace.get_tracer("app", tracer_provider=backend.tracers)
    with (
        tracer.start_as_current_span("request"),
        observe(Steps(), **backend.takes) as run,
        run.step("plan", agent="planner"),
    ):
        run.step(call).end()
        run.step("sort").end()

    assert [
        ("invoke_agent planner", "request"),
        ("execute_tool look_up", "invoke_agent planner"),
        ("sort", "invoke_agent planner"),
        ("request", None),
    ] == parents(backend)
    assert "function" == told_by(backend.spans[1])["gen_ai.tool.type"]
    assert not backend.points("gen_ai.client.token.usage")


def test_names_can_be_given(backend: Backend) -> None:
    observed(backend, CLAUDE, provider="aws.bedrock", model="sonnet", attributes={"app.user": "7"})
    told = told_by(backend.spans[0])

    assert ("aws.bedrock", "sonnet", "7") == (
        told["gen_ai.provider.name"],
        told["gen_ai.request.model"],
        told["app.user"],
    )


def test_a_failing_exporter_does_not_disturb_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get_tracer(self, *_: object, **__: object) -> Any:
            raise RuntimeError("out of order")

    broken: Any = Broken()
    with observe(Steps(), tracer_provider=broken) as run:
        for _ in run.follow(CLAUDE.process().stdout):
            pass

    assert "done" == run.turns[0].state
    assert "OpenTelemetry failed: RuntimeError" in caplog.text


def test_a_run_is_observed_once_and_from_its_start() -> None:
    with observe(Steps()) as run, pytest.raises(MisuseError, match="the run is observed already"):
        observe(run)
    with Steps() as begun:
        begun.step("plan")
        with pytest.raises(MisuseError, match="observe a run before its first step"):
            observe(begun)


def test_a_run_may_nest_deeper_than_pythons_recursion_limit(backend: Backend) -> None:
    with observe(Steps(), **backend.takes) as run:
        step = run.step("0")
        for number in range(1, 1_500):
            step = step.step(str(number))

    assert [(str(number), str(number - 1)) for number in range(1, 1_500)] == parents(backend)[1:]
