"""Results of tools among the events of a run, so that an interface can show them."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest

from tests.steps.answers import asking, stream_of
from tokenstream import Router, Steps, Stream, relay, testing
from tokenstream.errors import StreamError
from tokenstream.events import Event, Finish, StepDone, StepStart, ToolCallDone, ToolResult
from tokenstream.message import ToolCall
from tokenstream.router import ToolFailed
from tokenstream.steps import Step

PROTOCOLS: tuple[Literal["tokenstream", "ag-ui", "ui-message"], ...] = ("tokenstream", "ag-ui", "ui-message")
_RECORDINGS = sorted((Path(__file__).parent / "agents" / "recordings").glob("*.jsonl"))


def weather(city: str) -> dict[str, str]:
    """Tell the weather; there is no station in Rome."""
    if city == "Rome":
        raise ToolFailed("there is no station in Rome")
    return {"city": city}


def router_of_weather() -> Router:
    router = Router()
    router.tool(weather)
    return router


def results_of(run: Steps) -> list[ToolResult]:
    return [event for event in run.events() if isinstance(event, ToolResult)]


def test_a_step_that_a_call_has_started_ends_with_its_result() -> None:
    call = ToolCall(id="x", name="f", complete=True)
    with Steps() as run:
        with run.step(call) as step, run.step("within"):
            step.result = [1, 2]
        with pytest.raises(KeyError), run.step(call):
            raise KeyError("n")
    told = [event for event in run.events() if not isinstance(event, StepStart)]

    assert [
        StepDone("2"),
        ToolResult("x", [1, 2]),
        StepDone("1"),
        ToolResult("x", error="KeyError: 'n'"),
        StepDone("3", "failed", "KeyError: 'n'"),
    ] == told
    assert ["2", "1", "1", "3", "3"] == [event.step for event in told]


def test_the_tools_of_a_router_tell_their_results() -> None:
    """Each result has the id that its call has in the run's events, and comes after the call."""
    with Steps() as run:
        for cities in (("Oslo", "Rome"), ("Bern",)):
            with run.step("ask") as step:
                step.follow(stream_of(asking(*cities))).run(router_of_weather())
    order = [
        ("called", event.call.id) if isinstance(event, ToolCallDone) else ("result", event.id)
        for event in run.events()
        if isinstance(event, ToolCallDone | ToolResult)
    ]

    assert [("called", "call_0"), ("called", "call_1"), ("result", "call_0"), ("result", "call_1")] == order[
        :4
    ]
    assert [("called", "call_0-2"), ("result", "call_0-2")] == order[4:]
    assert [
        ToolResult("call_0", {"city": "Oslo"}),
        ToolResult("call_1", error="there is no station in Rome"),
        ToolResult("call_0-2", {"city": "Bern"}),
    ] == results_of(run)


def other_tool() -> list[bytes]:
    """Return the chunks of an answer with two calls that cannot be run, and one that can."""
    script = testing.script().tool_call("unknown", {}, id="a").tool_call("weather", {"town": 1}, id="b")
    return script.tool_call("weather", {"city": "Oslo"}, id="c").finish("tool_calls").chunks("openai-chat")


@pytest.mark.parametrize("way", ["router", "view"])
def test_a_call_that_cannot_be_run_has_its_error_as_result(way: str) -> None:
    with Steps() as run, run.step("ask") as step:
        early = run.events()
        stream = step.follow(stream_of(other_tool()))
        if way == "router":
            errors = {id: result for id, result in stream.run(router_of_weather()).items() if id != "c"}
        else:
            checked = list(stream.validated_calls(weather))
            assert [each.id for each in checked] == [each.id for each in stream.validated_calls(weather)]
            errors = {call.id: call.error_for_model for call in checked if call.error}
        found: list[Event] = early.ready()
    found += early.ready()
    refused = [event for event in found if isinstance(event, ToolResult) and event.error]

    assert [ToolResult(id, error=errors[id]) for id in ("a", "b")] == refused
    assert [step.id] * 2 == [event.step for event in refused]
    assert refused == [event for event in results_of(run) if event.error]


def test_results_that_a_stream_brings_are_reported_with_the_ids_of_the_run() -> None:
    call = ToolCall(id="c", name="f", complete=True)
    sent: list[Event] = [ToolCallDone(call), ToolResult("c", "sun", provider_executed=True), Finish("stop")]
    body = b"".join(relay.encode(sent))
    with Steps() as run:
        streams = []
        for _ in range(2):
            with run.step("ask") as step:
                streams.append(step.follow(Stream([body])))
                found = list(streams[-1])
                assert [ToolResult("c", "sun", provider_executed=True)] == [
                    event for event in found if isinstance(event, ToolResult)
                ]
    assert [("c", "sun", True), ("c-2", "sun", True)] == [
        (event.id, event.output, event.provider_executed) for event in results_of(run)
    ]
    assert results_of(run) == results_of(run)


def every_step(steps: tuple[Step, ...]) -> list[Step]:
    return [found for step in steps for found in (step, *every_step(step.steps))]


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("recording", _RECORDINGS, ids=lambda path: path.stem)
def test_an_agents_tools_tell_that_the_agent_has_run_them(recording: Path) -> None:
    dice = random.Random(recording.stem)
    lines = recording.read_bytes()
    cuts = sorted(dice.randrange(len(lines)) for _ in range(20))
    chunks = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    runs = []
    for source in ([lines], chunks):
        with Steps() as run, suppress(StreamError):
            list(run.follow(source, exit_code=0))
        runs.append(run)
    whole, cut = map(results_of, runs)
    tools = [step for step in every_step(runs[0].steps) if step.cause]

    assert whole == cut
    assert sorted(repr((step.result, step.error, True)) for step in tools) == sorted(
        repr((result.output, result.error, result.provider_executed)) for result in whole
    )
    for protocol in PROTOCOLS:
        body = b"".join(relay.encode(runs[0].events(), protocol, raw=True))
        found: list[str] = []
        with suppress(StreamError):
            for event in Stream([body], format=protocol):
                found += [event.id] if isinstance(event, ToolResult) else []
        assert [result.id for result in whole] == found
