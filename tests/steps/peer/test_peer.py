"""Conversations in JSON-RPC with a real process: both directions, both framings, and all that goes wrong."""

from __future__ import annotations

import io
import json
import socket
import threading
from typing import Any

import pytest

from tests.steps.peer.support import started
from tests.support.raised import misuse
from tests.support.timing import PATIENCE
from tokenstream import Deadlines, Limits, Peer, Steps
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    ProviderError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import StepWaiting, TextDelta


def peer_of(process: Any, **options: Any) -> Peer:
    return Peer(process.stdout, process.stdin, **options)


@pytest.mark.slow
def test_a_request_gets_its_answer_and_messages_before_it_are_kept() -> None:
    """Parameters by name and as an object are one."""
    with started() as process, peer_of(process) as peer:
        got = peer.ask("initialize", {"client-info": "test"}, protocolVersion=1)["got"]
        peer.notify("exit")
        messages = list(peer)

    assert got == {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {"client-info": "test", "protocolVersion": 1},
    }
    assert [(message.method, message.params) for message in messages] == [
        ("configWarning", {"summary": "no sandbox"})
    ]
    assert peer.skipped == 1


def test_a_request_of_the_agent_is_answered_once() -> None:
    """The direction tells a request of the agent from one of ours with the same id."""
    with started() as process, peer_of(process) as peer:
        turn = peer.begin("session/prompt", sessionId="s1")
        seen: list[Any] = []
        for message in peer:
            seen.append(message.params.get("outcome"))
            if message.wants_reply:
                assert (message.id, turn.id, turn.done, turn.result) == (0, 0, False, None)
                message.reply({"optionId": "allow"})
                with pytest.raises(MisuseError, match="only one"):
                    message.reply({"optionId": "reject"})
                with pytest.raises(MisuseError, match="only one"):
                    peer.reply(0, {})
                peer.notify("exit")
            else:
                with pytest.raises(MisuseError, match="wants_reply"):
                    message.reply({})

    assert seen == [None, None, None, {"optionId": "allow"}]
    assert (turn.done, turn.result, turn.error) == (True, {"stopReason": "end_turn"}, None)


def test_a_request_of_the_agent_can_be_refused() -> None:
    """The agent gets the code and the message of the refusal."""
    with started() as process, peer_of(process) as peer:
        peer.begin("session/prompt", sessionId="s1", long=1)
        outcome = None
        for message in peer:
            if message.wants_reply:
                message.refuse(-32601, "not here")
            if outcome := message.params.get("outcome"):
                break

    assert outcome == {"code": -32601, "message": "not here"}


def test_an_error_of_the_agent_keeps_its_code_and_data() -> None:
    """Raised by `ask`, and stored by `begin`."""
    with started() as process, peer_of(process) as peer:
        with pytest.raises(ProviderError, match="the agent refuses refuse: no such mode") as caught:
            peer.ask("refuse")
        call = peer.begin("refuse")
        assert peer.ask("flood", count=0) is None

    assert (caught.value.code, caught.value.data, caught.value.kind) == (
        "-32602",
        {"mode": "x"},
        "invalid_request",
    )
    assert (call.done, call.result) == (True, None)
    assert isinstance(call.error, ProviderError)


def test_an_agent_that_dies_is_reported_and_no_message_is_lost() -> None:
    """Whoever waits for an answer gets an error; what had come before can be read."""
    with started() as process, peer_of(process) as peer:
        peer.ask("initialize")
        with pytest.raises(StreamTruncated, match="before it answered die"):
            peer.ask("die")
        messages = []
        with pytest.raises(StreamTruncated):
            for message in peer:
                messages.append(message.method)
        assert list(peer) == []
        process.wait()
        with pytest.raises(StreamInterrupted, match="no longer reads") as caught:
            peer.ask("initialize")

    assert messages == ["configWarning"]
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.slow
def test_a_silent_agent_meets_the_deadline_of_a_request() -> None:
    """The process stays the caller's, who may go on with it."""
    with started() as process, peer_of(process, deadlines=Deadlines(first_event=0.3)) as peer:
        with pytest.raises(StreamStalled) as caught:
            peer.ask("sleep")
        assert process.poll() is None

    assert caught.value.limit == "first_event"


@pytest.mark.slow
def test_messages_that_nobody_reads_are_bounded() -> None:
    """A request that waits behind too many of them fails; a loop then gets each."""
    with started() as process, peer_of(process) as peer:
        with pytest.raises(LimitExceeded, match="begin") as caught:
            peer.ask("flood", count=15_000)
        numbers = [next(peer).params["number"] for _ in range(15_000)]

    assert caught.value.limit == "messages"
    assert numbers == list(range(15_000))


def test_a_message_that_is_too_long_is_an_error_after_those_before_it() -> None:
    answers = io.BytesIO(b'{"method": "a"}\n{"method": "' + b"b" * 500 + b'"}\n')
    with Peer(answers, io.BytesIO(), limits=Limits(event=100)) as peer:
        assert next(peer).method == "a"
        with pytest.raises(LimitExceeded) as caught:
            next(peer)

    assert caught.value.limit == "event"


class _Held(io.BytesIO):
    """A pipe whose data come once the test lets them."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.is_read, self.may_go_on = threading.Event(), threading.Event()

    def read1(self, size: int | None = -1, /) -> bytes:
        self.is_read.set()
        assert self.may_go_on.wait(PATIENCE)
        return super().read1(-1 if size is None else size)


def test_another_thread_sends_while_the_loop_reads() -> None:
    reader = _Held(b'{"id": 0, "result": "a"}\n{"id": 1, "result": "b"}\n')
    peer = Peer(reader, io.BytesIO())
    messages: list[Any] = []
    thread = threading.Thread(target=lambda: messages.extend(peer))
    thread.start()
    assert reader.is_read.wait(PATIENCE)

    call = peer.begin("turn/interrupt")
    with misuse("concurrent", match="begin"):
        peer.ask("turn/interrupt")
    reader.may_go_on.set()
    thread.join()

    assert (call.result, messages) == ("a", [])


def test_answers_to_nobody_and_messages_of_no_kind_reach_the_loop() -> None:
    """Unknown is data; batches are read one by one."""
    batch = b'[{"id": 7, "result": 1}, {"hello": 2}, {"method": "ok", "id": null}]\n'
    sent = batch + b'{"id": true, "error": {}}\n7\n'
    with Peer(io.BytesIO(sent), io.BytesIO()) as peer:
        messages = list(peer)

    assert [message.raw for message in messages] == [
        {"id": 7, "result": 1},
        {"hello": 2},
        {"method": "ok", "id": None},
        {"id": True, "error": {}},
    ]
    assert [message.method for message in messages] == ["", "", "ok", ""]
    assert not any(message.wants_reply for message in messages)
    assert peer.skipped == 1


def test_what_is_no_json_cannot_be_sent() -> None:
    writer = io.BytesIO()
    peer = Peer(io.BytesIO(b'{"method": "ask", "id": "a"}\n'), writer)
    with pytest.raises(MisuseError, match="JSON"):
        peer.ask("initialize", path=object())
    with pytest.raises(MisuseError, match="list"):
        peer.notify("initialize", [1], name=2)
    message = next(peer)
    with pytest.raises(MisuseError, match="JSON"):
        message.reply(float("nan"))
    message.reply(None)

    assert writer.getvalue() == b'{"jsonrpc":"2.0","id":"a","result":null}\n'


@pytest.mark.slow
def test_a_socket_is_read_and_written_as_pipes_are() -> None:
    """A read of a socket's file cannot be limited, but the deadline holds."""
    ours, other = socket.socketpair()
    with ours, other, ours.makefile("rb") as reader, other.makefile("rwb") as agent:
        peer = Peer(reader, ours.makefile("wb"), deadlines=Deadlines(first_event=0.3))
        agent.write(b'{"id": 0, "result": "hello"}\n')
        agent.flush()
        assert peer.ask("initialize") == "hello"
        with pytest.raises(StreamStalled):
            peer.ask("sleep")
        peer.close()
        assert [json.loads(line)["method"] for line in (agent.readline(), agent.readline())] == [
            "initialize",
            "sleep",
        ]
        # The thread ends with the connection.
        other.shutdown(socket.SHUT_RDWR)


def test_a_run_is_built_from_both_directions() -> None:
    """The turn begins with the request that is sent, and ends with its answer, as does the loop."""
    with started() as process, peer_of(process) as peer, Steps() as run:
        peer.ask("initialize")
        states = []
        for expected in ("first", "second"):
            turn = peer.begin("session/prompt", sessionId="s1", text=expected, long=9)
            for message in run.follow(peer, until=turn):
                states += [turn.state for turn in run.turns[-1:]]
                if message.wants_reply:
                    message.reply({"optionId": "allow"})
            assert turn.result == {"stopReason": "end_turn"}
        assert run.agent == "acp"
        events = run.events().ready()

    assert [turn.state for turn in run.turns] == ["done", "done"]
    assert [turn.result for turn in run.turns] == ["I " + "x" * 9 + "wait"] * 2
    # The message that had come before the first prompt belongs to no turn.
    assert states == ["running"] * 8
    assert any(isinstance(event, TextDelta) for event in events)


@pytest.mark.slow
def test_two_agents_of_a_run_may_give_their_requests_the_same_id() -> None:
    """Each agent numbers its requests from 0, and each request waits for its own answer."""
    with Steps() as run:
        for number in range(3):
            with started() as process, peer_of(process) as peer:
                turn = peer.begin("session/prompt", sessionId="s1", long=1)
                for message in run.follow(peer, until=turn):
                    if message.wants_reply:
                        (waiting,) = run.waiting
                        run.reply(waiting.id, {"optionId": str(number)})
                    elif "outcome" in message.params:
                        assert message.params["outcome"] == {"optionId": str(number)}
                assert turn.result

    ids = {event.id for event in run.events() if isinstance(event, StepWaiting)}
    assert len(ids) == 3


def test_the_process_of_a_run_that_dies_is_reported_with_its_stderr() -> None:
    """The turn has failed, with what had come."""
    with started(stderr=-1) as process, peer_of(process) as peer, Steps() as run:
        peer.begin("session/prompt", sessionId="s1", long=1)
        with pytest.raises(StreamTruncated, match="exit code 3") as caught:
            for message in run.follow(peer, exit_code=process.wait, stderr=process.stderr):
                if message.wants_reply:
                    peer.notify("die")

    (turn,) = run.turns
    assert (turn.state, turn.step.text) == ("failed", "I x")
    assert caught.value.partial.text == "I x"
    assert caught.value.stderr == "the disk is full\n"


@pytest.mark.slow
def test_a_request_that_waits_for_the_user_is_no_silence() -> None:
    """The agent waits, so no deadline ends its turn; while it works, one does."""
    with started() as process, peer_of(process) as peer, Steps() as run:
        turn = peer.begin("session/prompt", sessionId="s1", long=1)
        deadlines = Deadlines(idle_bytes=1.5, idle_content=1.5)
        for message in run.follow(peer, until=turn, deadlines=deadlines):
            if message.wants_reply:
                timer = threading.Timer(2.5, message.reply, [{}])
                timer.start()
        assert turn.result
        peer.begin("sleep")
        peer.begin("session/prompt", sessionId="s1")
        with pytest.raises(StreamStalled):
            next(run.follow(peer, deadlines=Deadlines(first_event=0.3)))

    assert [turn.state for turn in run.turns] == ["done", "failed"]


def test_an_agent_ends_although_nobody_reads_the_rest_of_its_output() -> None:
    """A full pipe holds no process up once the peer is closed: what it prints before its end is read."""
    with started() as process:
        with Peer(process.stdout, process.stdin) as peer:
            # A process that has not begun yet is silent.
            peer.ask("flood", count=0)
            peer.begin("flood", count=4_000)

        assert process.wait(PATIENCE) == 0
