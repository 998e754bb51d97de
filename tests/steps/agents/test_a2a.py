"""Runs of agents that speak A2A, from the payloads of their streams: recordings of a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.formats.a2a.support import artifact, message, payload, status, task, whole
from tests.project import ROOT
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import MisuseError, StreamError, StreamTruncated
from tokenstream.events import StepUpdate, StepWaiting, TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RECORDINGS = sorted((ROOT / "tests" / "recordings" / "a2a").glob("*.sse"))
_TEXTS = {
    "task": "Oslo is sunny, today.",
    "status": "Only in the status.",
    "input-required": "In which town?",
    "auth-required": "Please log in.",
    "rejoined": "Oslo is sunny.",
    "agno-cut": "The sea is ",
}


def payloads_of(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line.removeprefix(b"data: "))
        for line in path.read_bytes().splitlines()
        if line.startswith(b"data: ")
    ]


def follow(*payloads: Any, **options: Any) -> tuple[Steps, StreamError | None]:
    """Follow some payloads to their end; return the run and the error."""
    error = None
    with Steps() as run:
        try:
            assert [*run.follow([*payloads], **options)] == [*payloads]
        except StreamError as raised:
            error = raised
    return run, error


@in_one_test("path", _RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_task_is_a_turn_with_its_text_and_its_context(path: Path) -> None:
    run, error = follow(*payloads_of(path))
    (turn,) = run.turns

    assert error is None
    is_paused = "required" in path.stem
    assert ("a2a", "waiting" if is_paused else "done") == (run.agent, turn.state)
    assert _TEXTS[path.stem.partition("-0")[0].partition("-1")[0]] == turn.result
    assert [turn.result] == [answer.text for answer in turn.step.messages]
    assert run.session == turn.session
    assert run.session


@in_one_test("path", _RECORDINGS, ids=lambda path: path.stem)
def test_a_task_that_is_cut_off_has_failed_with_what_had_arrived(path: Path) -> None:
    """The payloads end after each one but the last, behind which agno sends the whole task."""
    payloads = payloads_of(path)[: -1 if path.stem == "agno-cut" else None]
    whole_text = follow(*payloads)[0].turns[0].step.text
    for end in range(1, len(payloads)):
        run, error = follow(*payloads[:end], agent="a2a")
        (turn,) = run.turns

        assert isinstance(error, StreamTruncated)
        assert "failed" == turn.state
        assert error.partial is not None
        assert "truncated" == error.partial.ending
        assert whole_text.startswith(error.partial.text)


def test_states_and_messages_are_news_of_the_step() -> None:
    """A user interface shows them while the task works."""
    run, _ = follow(status("working", "Looking …"), artifact("Hi"), status("completed"))
    events = list(run.events())
    news = [event.data for event in events if isinstance(event, StepUpdate)]

    assert ["TASK_STATE_WORKING", "TASK_STATE_COMPLETED"] == [data["state"] for data in news]
    assert [{"text": "Looking …"}] == news[0]["message"]["parts"]
    assert ["Hi"] == [event.text for event in events if isinstance(event, TextDelta)]


def test_a_task_that_asks_is_waiting_until_it_goes_on() -> None:
    """The answer is another request, which the run cannot send."""
    with Steps() as run:
        loop = iter(run.follow([status("auth-required", "Log in."), status("working"), status("completed")]))
        next(loop)
        (waiting,) = run.waiting

        assert "TASK_STATE_AUTH_REQUIRED" == waiting.request["state"]
        with pytest.raises(MisuseError, match="cannot send"):
            run.reply(waiting.id, "done")
        next(loop)

        assert () == run.waiting
        assert [*loop]
    (turn,) = run.turns

    assert ("done", "Log in.") == (turn.state, turn.result)
    assert all(event.answered for event in run.events() if isinstance(event, StepWaiting))


def test_a_question_ends_the_turn_and_the_next_stream_is_another() -> None:
    """The user's answer is a request of its own, for the same task."""
    asked = status("input-required", "Which town?", wire="0.3", final=True)
    run, error = follow(
        asked, status("working", wire="0.3"), artifact("Sunny.", wire="0.3"), status("completed")
    )

    assert error is None
    assert ["Which town?", "Sunny."] == [turn.result for turn in run.turns]


@pytest.mark.parametrize("word", ["failed", "rejected"])
def test_a_failed_task_is_a_failed_turn_with_the_agents_words(word: str) -> None:
    """The loop ends as usual: another task may follow."""
    run, error = follow(artifact("Dra"), status(word, "No luck."), payload("message", **message("Hello")))
    first, second = run.turns

    assert error is None
    assert ("failed", "Dra") == (first.state, first.step.text)
    assert "No luck." in str(first.error)
    assert ("done", "Hello") == (second.state, second.result)


def test_an_error_of_json_rpc_fails_the_task() -> None:
    refused = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "boom"}}
    for payloads in ((artifact("Hel"), refused), (refused,)):
        run, error = follow(*payloads, agent="a2a")
        (turn,) = run.turns

        assert error is None
        assert "failed" == turn.state
        assert "boom" in str(turn.error)


def test_tasks_of_several_streams_may_alternate() -> None:
    other = [
        payload("artifact-update", taskId="t2", artifact=whole("zwei")),
        payload("status-update", taskId="t2", status={"state": "TASK_STATE_COMPLETED"}),
    ]
    run, error = follow(
        artifact("one "), other[0], artifact("two", append=True), other[1], status("completed")
    )

    assert error is None
    assert ["one two", "zwei"] == [turn.result for turn in run.turns]
    assert ["done", "done"] == [turn.state for turn in run.turns]


def test_after_a_client_has_come_back_the_turn_goes_on() -> None:
    """The whole task comes first, and only what is new of it is shown."""
    run, error = follow(
        artifact("Hel"), task("working", whole("Hello")), artifact("!", append=True), status("completed")
    )
    (turn,) = run.turns

    assert error is None
    assert ("done", "Hello!") == (turn.state, turn.result)
    assert "Hello!" == "".join([event.text for event in run.events() if isinstance(event, TextDelta)])


def test_the_tokens_of_a_turn_are_those_of_its_metadata() -> None:
    """Google's framework sends them with a status."""
    counts = {"promptTokenCount": 60, "candidatesTokenCount": 42}
    run, _ = follow(artifact("Hi"), status("completed", metadata={"adk_usage_metadata": counts}))

    assert (60, 42) == (run.turns[0].usage.input_tokens, run.turns[0].usage.output_tokens)
    assert 60 == run.total_usage.input_tokens


def test_a_source_that_breaks_fails_the_turns_that_are_open() -> None:
    """The loop gets the exception of the source; a payload of no known kind is passed by before."""

    def payloads() -> Iterator[dict[str, Any]]:
        yield artifact("one")
        yield {"jsonrpc": "2.0", "method": "ping"}
        raise OSError("reset")

    source: Any = payloads()
    with Steps() as run, pytest.raises(OSError, match="reset"):
        list(run.follow(source, agent="a2a"))

    assert [("failed", "one")] == [(turn.state, turn.step.text) for turn in run.turns]
