"""Lines and objects of agents that nothing here reads, and of agents that print another one's lines."""

from __future__ import annotations

import asyncio
import io
import json
from collections import UserDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.steps.agents.support import body_of, follow
from tests.stream.bodies import later
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError, NotAStream, ProviderError
from tokenstream.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STRANGE: dict[str, list[dict[str, Any]]] = {
    "an agent of its own": [
        {"type": "session.opened", "data": {"model": "m"}, "id": "1"},
        {"type": "assistant.delta", "data": {"text": "Hi"}, "id": "2"},
        {"type": "result", "sessionId": "s", "exitCode": 0},
    ],
    "objects without a type": [{"hello": 1}],
}
"""Objects of lines that no known agent prints."""


@dataclass
class Odd:
    """An event of a framework of one's own."""

    kind: str = "chunk"


def _loop(source: Any, **options: Any) -> list[Any]:
    """Follow something in `for` or in `async for`; return what the loop gets."""

    async def loop() -> list[Any]:
        return [item async for item in run.follow(source, **options)]

    with Steps() as run:
        return asyncio.run(loop()) if hasattr(source, "__aiter__") else [*run.follow(source, **options)]


def _lines(objects: Sequence[Any]) -> list[str]:
    return [json.dumps(each) for each in objects]


_LINES: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "a pipe": lambda objects: io.BytesIO("\n".join(_lines(objects)).encode()),
    "lines": _lines,
    "lines in a generator": lambda objects: iter(_lines(objects)),
    "lines in `async for`": lambda objects: later(_lines(objects)),
}
"""The ways in which a program has the output of an agent."""


@in_one_test("way", _LINES)
@in_one_test("name", _STRANGE)
def test_the_lines_of_an_unknown_agent_are_no_stream(name: str, way: str) -> None:
    """The loop gets each of them, and then the error, which names what was seen."""
    with pytest.raises(NotAStream, match="no known agent") as caught:
        _loop(_LINES[way](_STRANGE[name]))

    told = str(caught.value)
    assert "agent=" in told
    assert ("'session.opened', 'assistant.delta', 'result'" in told) == (name == "an agent of its own")
    assert not caught.value.retryable


@pytest.mark.parametrize("way", [list, iter, later])
@pytest.mark.parametrize("objects", [*_STRANGE.values(), [Odd(), Odd()]])
def test_the_objects_of_an_unknown_framework_are_passed_on_with_one_warning(
    way: Callable[[Any], Any], objects: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert _loop(way(objects)) == objects
    (record,) = caplog.records
    assert "of no known framework" in record.getMessage()


def test_an_unknown_agent_that_has_failed_keeps_its_exit_code() -> None:
    """With an exit code other than 0, the process has failed, whoever it is; with 0, it is still unknown."""
    body = json.dumps(_STRANGE["an agent of its own"][0]).encode()
    _, _, failed = follow(body, exit_code=3)
    _, _, unknown = follow(body, exit_code=0)

    assert (type(failed), type(unknown)) == (ProviderError, NotAStream)


@pytest.mark.parametrize(
    ("agent", "advice"),
    [
        ("goose", r'agent="acp"'),
        ("bedrock-agent", r"run\.step\(…\)"),
        ("agentcore-harness", r"run\.step\(…\)"),
    ],
)
def test_the_name_of_an_agent_without_a_reader_is_told_the_way_out(agent: str, advice: str) -> None:
    """No lines of the program itself were recorded, so nothing here claims to read them."""
    with pytest.raises(MisuseError, match=f"{agent}.* has no reader: .*{advice}"):
        _loop([{"type": "complete", "total_tokens": 42}], agent=agent)


def test_a_payload_of_a_model_is_still_reported_at_once() -> None:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    with pytest.raises(MisuseError, match=r"step\.follow"):
        _loop([chunk])


def test_qwen_code_has_its_own_name() -> None:
    """Lines of Qwen Code are like Claude Code's, but its first one names its version."""
    run, _, error = follow(body_of("qwen-code-own-tools"))

    (turn,) = run.turns
    assert (run.agent, turn.step.name, turn.result) == ("qwen-code", "qwen-code", "It said hello.")
    assert (error, run.session, run.model) == (None, turn.session, "claude-sonnet-4-5")


def test_the_message_in_the_output_of_a_tool_is_its_failure() -> None:
    """Over ACP, a tool that has failed may say why as the message of its raw output."""
    update = {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "read", "status": "failed"}
    told = {**update, "rawOutput": {"code": "ENOENT", "message": "there is no such file"}}
    lines = [
        {"method": "session/update", "params": {"sessionId": "s", "update": told}},
        {"id": 1, "result": {"stopReason": "end_turn"}},
    ]
    run, _, _ = follow(lines, agent="acp")

    (tool,) = run.turns[0].step.steps
    assert (tool.state, tool.error) == ("failed", "there is no such file")


class _Piece(UserDict[str, str]):
    """A piece of text as a framework has it."""


@in_one_test(
    "module, framework",
    [
        ("pydantic_ai.messages", r"pydantic-ai.*tap\(response\)"),
        ("crewai.types.streaming", "CrewAI"),
        ("smolagents.models", "smolagents"),
        ("strands", "Strands Agents"),
    ],
)
def test_the_advice_for_objects_of_a_framework_without_a_reader_works(module: str, framework: str) -> None:
    piece: type[Any] = type("Piece", (_Piece,), {"__module__": module})
    events = [piece(text="Hel"), piece(text="lo")]
    first = {"init_event_loop": True} if module == "strands" else events[0]
    with pytest.raises(MisuseError, match=rf"{framework}|step\.feed\(…\).*{framework}") as caught:
        _loop([first])
    with Steps() as run, run.step("ask") as step:
        for event in events:
            step.feed(TextDelta(event["text"]))

    assert "step.follow" not in str(caught.value)
    assert "step.feed(…)" in str(caught.value)
    assert step.text == "Hello"


@in_one_test("kind", ["thread.started", "thread.opened"])
def test_lines_of_a_known_agent_that_tell_of_no_turn_are_an_error_with_their_types(kind: str) -> None:
    run, _, error = follow([{"type": kind, "thread_id": "t"}, {"type": "turn.opened"}], agent="codex")

    assert isinstance(error, NotAStream)
    assert "codex" in error.message
    assert "'turn.opened'" in error.message
    assert run.departures.details == {"event_unread": 1 + (kind == "thread.opened")}


def _told(word: str, form: str, **fields: Any) -> dict[str, Any]:
    """Return an event of version 2 of opencode, before its release or after it."""
    prefix, key = ("session.next", "properties") if form == "1.18" else ("session", "data")
    return {"id": "evt", "type": f"{prefix}.{word}", key: {"sessionID": "ses_1", **fields}}


@in_one_test("form", ["1.18", "2"])
@in_one_test("is_mirrored", [False, True])
def test_the_events_of_version_2_of_opencode_are_read_once(form: str, is_mirrored: bool) -> None:
    """A server may tell the same in the events of version 1."""
    tokens = {"input": 4, "output": 2, "reasoning": 0, "cache": {"read": 1, "write": 0}}
    part = {"id": "t", "type": "text", "text": "It is 7.", "messageID": "m"}
    mirror = {"id": "e", "type": "message.part.updated", "properties": {"sessionID": "ses_1", "part": part}}
    run, _, error = follow(
        [
            _told("step.started", form, model={"id": "m-1"}),
            _told("tool.called", form, callID="c", tool="add", input={"a": 3}),
            _told("tool.success", form, callID="c", content=[{"type": "text", "text": "7"}]),
            _told("step.ended", form, finish="tool-calls", tokens=tokens),
            _told("text.started", form, textID="t"),
            _told("text.delta", form, textID="t", delta="It "),
            _told("text.ended", form, textID="t", text="It is 7."),
            *([mirror] if is_mirrored else []),
            _told("step.ended", form, finish="stop", tokens=tokens, cost=0.01),
            {**_told("idle", form), "type": "session.idle"},
        ],
        agent="opencode-server",
    )
    (turn,) = run.turns
    (tool,) = turn.step.steps

    assert (None, "done", "It is 7.", 0.01) == (error, turn.state, turn.result, turn.cost)
    assert (10, 4, "m-1", {}) == (
        turn.usage.input_tokens,
        turn.usage.output_tokens,
        run.model,
        run.departures.details,
    )
    assert tool.cause is not None
    assert ({"a": 3}, "7") == (tool.cause.arguments, tool.result)
