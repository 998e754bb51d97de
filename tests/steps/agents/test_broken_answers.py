"""Answers whose provider breaks off, and that the agent asks for anew; answers that end at their limit."""

from __future__ import annotations

from itertools import count
from typing import Any

from tests.steps.agents.support import follow
from tests.support.tables import in_one_test

_HALF, _REST = "It sa", "id hello."
_NUMBERS = count()


def _app_server(second: str, kind: str = "agentMessage") -> list[dict[str, Any]]:
    """Return the messages of Codex's app server; the second answer has an item with this id."""
    place = {"threadId": "t", "turnId": "u"}
    delta = "item/agentMessage/delta" if kind == "agentMessage" else "item/reasoning/summaryTextDelta"

    def tell(method: str, **params: Any) -> dict[str, Any]:
        return {"method": method, "params": {**place, **params}}

    whole = {"type": "agentMessage", "id": second, "text": _HALF + _REST}
    return [
        tell("turn/started", turn={"id": "u"}),
        tell("item/started", item={"type": kind, "id": "m1", "text": ""}),
        tell(delta, itemId="m1", delta=_HALF[:2]),
        tell(delta, itemId="m1", delta=_HALF[2:]),
        tell("error", error={"message": "Reconnecting... 1/5"}, willRetry=True),
        tell("item/started", item={**whole, "text": ""}),
        tell("item/agentMessage/delta", itemId=second, delta=_HALF),
        tell("item/agentMessage/delta", itemId=second, delta=_REST),
        tell("item/completed", item=whole),
        tell("turn/completed", turn={"id": "u", "status": "completed"}),
    ]


def _opencode(kind: str, **part: Any) -> dict[str, Any]:
    return {"type": kind, "sessionID": "s", "part": {"id": f"p{next(_NUMBERS)}", **part}}


_TOKENS = {"input": 3, "output": 2}


def _finish(reason: str, **tokens: int) -> dict[str, Any]:
    return _opencode("step_finish", reason=reason, tokens=tokens or _TOKENS)


def _served(kind: str, **properties: Any) -> dict[str, Any]:
    return {"type": kind, "properties": {"sessionID": "s", **properties}}


def _part(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event about a part of an opencode server's message."""
    return _served("message.part.updated", part={"type": kind, "id": f"p{next(_NUMBERS)}", **fields})


def _server(*between: dict[str, Any], reason: str = "stop") -> list[dict[str, Any]]:
    """Return the events of an opencode server whose answer breaks off, and is asked for anew."""
    return [
        _part("step-start"),
        _part("text", text=_HALF),
        *between,
        _part("step-start"),
        _part("text", text=_HALF + _REST),
        _part("step-finish", reason=reason, tokens=_TOKENS),
        _served("session.idle"),
    ]


_WHOLE = [_opencode("text", text=_HALF + _REST), _finish("stop")]
BROKEN: dict[str, list[dict[str, Any]]] = {
    "codex-server, another item": _app_server("m2"),
    "codex-server, the same item": _app_server("m1"),
    "codex-server, in its reasoning": _app_server("m2", "reasoning"),
    "opencode, without an end": [
        *(_opencode("step_start"), _opencode("text", text=_HALF)),
        *(_opencode("step_start"), *_WHOLE),
    ],
    "opencode, its text after its end": [
        *(_opencode("step_start"), _finish("unknown", input=0, output=0), _opencode("text", text=_HALF)),
        *(_opencode("step_start"), *_WHOLE),
    ],
    "opencode-server, without a word": _server(),
    "opencode-server, with a retry": _server(_served("session.status", status={"type": "retry"})),
    "opencode-server, with an end": _server(_part("step-finish", reason="unknown", tokens={"input": 0})),
}
"""The lines of turns in which an answer breaks off in its middle, and is asked for anew."""
_CHUNK = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": _HALF}}
LIMITS: dict[str, list[dict[str, Any]]] = {
    "opencode": [_opencode("step_start"), _opencode("text", text=_HALF), _finish("length")],
    "opencode-server": [
        *(_part("text", text=_HALF), _part("step-finish", reason="length", tokens=_TOKENS)),
        _served("session.idle"),
    ],
    "acp": [
        {"method": "session/update", "params": {"sessionId": "s", "update": _CHUNK}},
        {"id": 1, "result": {"stopReason": "max_tokens"}},
    ],
    "claude-code, whole lines": [
        {"type": "assistant", "session_id": "s", "uuid": "1", "message": {"id": "m", "content": _HALF}},
        {"type": "result", "session_id": "s", "uuid": "2", "stop_reason": "max_tokens"},
    ],
}
"""The lines of turns whose answer ends at its limit."""


@in_one_test("name", BROKEN)
def test_an_answer_that_breaks_off_is_neither_complete_nor_part_of_the_result(name: str) -> None:
    """What had come stays, as an answer that is truncated; the next one has nothing of it."""
    run, _, error = follow(BROKEN[name], agent=name.partition(",")[0])

    (turn,) = run.turns
    *broken, last = turn.step.messages
    assert (error, turn.state, turn.result) == (None, "done", _HALF + _REST)
    assert (last.text, last.ending, last.finish_reason) == (_HALF + _REST, "complete", "stop")
    assert {(message.ending, message.finish_reason) for message in broken} == {("truncated", None)}


@in_one_test("name", LIMITS)
def test_an_answer_that_ends_at_its_limit_says_so(name: str) -> None:
    run, _, error = follow(LIMITS[name], agent=name.partition(",")[0])

    (turn,) = run.turns
    (message,) = turn.step.messages
    assert (error, turn.state, turn.result) == (None, "done", _HALF)
    assert message.finish_reason == "length"


def test_an_answer_that_is_whole_before_the_provider_breaks_stays_complete() -> None:
    """Codex keeps the items that have ended, and asks for what follows them."""
    lines = _app_server("m2")
    lines.insert(4, {"method": "item/completed", "params": {"threadId": "t", "turnId": "u", "item": _item()}})
    run, _, _ = follow(lines, agent="codex-server")

    (turn,) = run.turns
    assert [message.ending for message in turn.step.messages] == ["complete", "complete"]


def _item() -> dict[str, Any]:
    """Return the first item of the app server, when it has ended."""
    return {"type": "agentMessage", "id": "m1", "text": _HALF}


def test_an_answer_that_ends_with_an_error_is_not_complete() -> None:
    """Pi tells that an answer has failed at its end."""
    message = {"role": "assistant", "timestamp": 1, "content": [{"type": "text", "text": _HALF}]}
    failed = {**message, "stopReason": "error", "errorMessage": "overloaded"}
    run, _, _ = follow([{"type": "message_end", "message": failed}, {"type": "agent_end"}], agent="pi")

    (turn,) = run.turns
    assert (turn.state, turn.step.messages[0].ending) == ("failed", "failed")
