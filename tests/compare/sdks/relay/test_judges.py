"""Clients of others read what encoders write: SDKs of npm, the AI SDK and its providers, AG-UI's client."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.compare.sdks.relay.judges.npm import read_in_node
from tests.relay.provider_tools import ran
from tests.steps.news import OUTPUT, PLANS, RESULTS, TEXTS, run_with_news
from tests.support.encoders import create
from tokenstream import Steps, relay, testing
from tokenstream.events import Event, StepDelta, StepDone, StepStart, StepWaiting, TextDelta
from tokenstream.message import ServerToolResult

if TYPE_CHECKING:
    from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
    from tokenstream.relay import ProtocolName
    from tokenstream.testing import Script

pytestmark = [pytest.mark.slow]

JUDGES = {
    "openai chat": ("openai-chat", "tool_calls"),
    "openai responses": ("openai-responses", "completed"),
    "anthropic": ("anthropic", "tool_use"),
    "ai openai chat": ("openai-chat", "tool-calls"),
    "ai openai responses": ("openai-responses", "tool-calls"),
    "ai anthropic": ("anthropic", "tool-calls"),
    "ai ui-message": ("ui-message", "tool-calls"),
    "ag-ui": ("ag-ui", "tool_calls"),
}
"""The format that each client reads, and its word for an answer that waits for calls."""
STEPS = ("ai ui-message", "ag-ui")
"""Those who read runs of several steps."""
PROVIDERS = ("openai responses", "anthropic", "ai ui-message", "ag-ui")
"""Those who read the calls and the results of tools that the provider runs, whichever tools they are."""
judges = pytest.mark.parametrize("judge", JUDGES)

CALLS = [("call_1", "get_weather", {"city": 'Oslo "S"'}), ("call_2", "get_time", {"zone": "CET"})]
PIECES = ['It is "', "größer ", "than 😀\n", "<b> \\ \u2028", "\x07."]


def _whole() -> Script:
    script = testing.script().reasoning("Let me ", "see: \x01").text(*PIECES)
    for id, name, arguments in CALLS:
        script = script.tool_call(name, arguments, id=id)
    return script.usage(input_tokens=7, output_tokens=3).finish("tool_calls")


def _steps() -> list[Event]:
    """Return the events of a run whose three steps take turns, event by event."""
    found: list[Event] = []
    with Steps("trip") as run:
        events = run.events()
        steps = [run.step(name) for name in "abc"]
        scripts = [
            testing.script()
            .reasoning(f"{name} thinks ", "twice")
            .text(f"{name} says ", "more")
            .tool_call("get_time", {"zone": name}, id="call_1")
            .finish("tool_calls")
            for name in "abc"
        ]
        streams = [
            iter(step.follow(script.stream("anthropic"))) for step, script in zip(steps, scripts, strict=True)
        ]
        while streams:
            for stream in [*streams]:
                if next(stream, None) is None:
                    streams.remove(stream)
                found += events.ready()
        for step in steps:
            step.end()
    return [*found, *events.ready()]


def _protocol(judge: str) -> ProtocolName:
    return cast("ProtocolName", JUDGES[judge][0])


def _cut_after_each(events: list[Event], protocol: str) -> list[bytes]:
    encoder, sent = create(cast("Any", protocol), lossy=True), b""
    return [sent := sent + b"".join(encoder.feed(event)) for event in events]


@cache
def _heard() -> dict[tuple[str, str], ClientAnswer]:
    """Return what all clients make of all answers, by client and answer: one process has it all."""
    bodies: dict[tuple[str, str], bytes] = {}
    failing = testing.script().text("Hel", "lo").error("Slow down", kind="rate_limited")
    for judge, (format, _) in JUDGES.items():
        bodies[judge, "whole"] = b"".join(_whole().chunks(format))
        bodies[judge, "error"] = b"".join(failing.chunks(format))
    ran_tool = ran(ServerToolResult(id="srv_1", name="look_up_result", content={"n": [1]}))
    for judge in PROVIDERS:
        bodies[judge, "provider"] = b"".join(relay.encode(ran_tool, _protocol(judge)))
    for judge in STEPS:
        protocol = _protocol(judge)
        bodies[judge, "steps"] = b"".join(relay.encode(_steps(), protocol))
        bodies[judge, "news"] = b"".join(relay.encode(run_with_news(), protocol))
        for at, body in enumerate(_cut_after_each(run_with_news(), protocol)):
            bodies[judge, f"cut {at}"] = body
    asking: list[Event] = [StepStart("1", "task"), StepWaiting("r", "Which town?"), StepDone("1")]
    bodies["ag-ui", "asks"] = b"".join(relay.encode(asking, "ag-ui"))
    asked: dict[str, tuple[str, ProtocolName, bytes]] = {
        str((judge, answer)): (judge, _protocol(judge), body) for (judge, answer), body in bodies.items()
    }
    return dict(zip(bodies, read_in_node(asked).values(), strict=True))


@judges
def test_a_client_reads_the_whole_answer(judge: str) -> None:
    told = _heard()[judge, "whole"]
    calls = [(id, name, json.loads(arguments)) for id, name, arguments in told.calls]
    # The AI SDK's own provider of OpenAI reads no reasoning in Chat Completions.
    reasoning = "" if judge == "ai openai chat" else "Let me see: \x01"

    assert ("".join(PIECES), reasoning, CALLS) == (told.text, reasoning, calls)
    assert reasoning == told.reasoning
    counts = told.counts or {}
    assert (7, 3) == (counts["input_tokens"], counts["output_tokens"])
    assert (len(PIECES), JUDGES[judge][1], None) == (told.deltas, told.end, told.error)


@judges
def test_a_client_is_told_of_an_error_in_the_middle(judge: str) -> None:
    told = _heard()[judge, "error"]

    assert "Hello" == told.text
    assert "Slow down" in str(told.error)
    assert told.end in (None, "error")


@pytest.mark.parametrize("judge", PROVIDERS)
def test_a_client_reads_an_answer_in_which_the_provider_ran_a_tool(judge: str) -> None:
    """Interfaces show the result beside the call."""
    told = _heard()[judge, "provider"]

    assert (None, "Done.") == (told.error, told.text)
    if judge in STEPS:
        assert [("srv_1", "look_up", {"n": 1})] == [
            (id, name, json.loads(arguments)) for id, name, arguments in told.ran
        ]
        output = {"n": [1]} if judge == "ai ui-message" else '{"n":[1]}'
        assert [["srv_1", output]] == told.results


@pytest.mark.parametrize("judge", STEPS)
def test_three_steps_that_take_turns_stay_apart(judge: str) -> None:
    """Every part is whole, no end closes another step's part, and calls of one id are three."""
    told = _heard()[judge, "steps"]
    parts = [f"{name} {what}" for what in ("thinks twice", "says more") for name in "abc"]

    assert None is told.error
    assert sorted(parts) == sorted(told.parts)
    assert ["a", "b", "c"] == sorted(json.loads(arguments)["zone"] for _, _, arguments in told.calls)
    assert 3 == len({id for id, _, _ in told.calls})
    assert told.end in ("stop", "success")


@pytest.mark.parametrize("judge", STEPS)
def test_a_client_shows_plans_output_and_questions(judge: str) -> None:
    told = _heard()[judge, "news"]
    news = {kind: found for kind, found in told.news if kind != "step"}
    results = [RESULTS[0] if judge == "ai ui-message" else json.dumps(RESULTS[0], separators=(",", ":"))]

    assert (None, "".join(OUTPUT)) == (told.error, told.output)
    assert [*TEXTS] == told.parts
    assert [*results, *RESULTS[1:]] == [output for _, output in told.results]
    assert [PLANS[-1]] == [found for kind, found in told.news if kind == "plan"]
    assert (2, True) == (news["progress"]["total"], news["waiting"]["answered"])
    assert {"command": "pytest"} == news["waiting"]["request"]


@pytest.mark.parametrize("judge", STEPS)
def test_a_run_that_is_cut_after_any_event_is_valid_for_its_client(judge: str) -> None:
    events = run_with_news()
    for at in range(len(events)):
        told = _heard()[judge, f"cut {at}"]
        sent = "".join(event.text for event in events[: at + 1] if isinstance(event, TextDelta))
        output = "".join(event.text for event in events[: at + 1] if isinstance(event, StepDelta))
        assert (None, sent, output) == (told.error, told.text, told.output)


def test_a_run_that_ends_with_a_question_is_interrupted_for_its_client() -> None:
    """The client shows the question, and knows that the run waits for its answer."""
    told = _heard()["ag-ui", "asks"]

    assert (None, "interrupt") == (told.error, told.end)
    assert ["Which town?"] == [found["request"] for _, found in told.news]
