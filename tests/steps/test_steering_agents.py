"""`run.steer`: input for an agent while it works, and what becomes of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.steps.agents import claude_code
from tests.support.tables import in_one_test
from tokenstream import AsyncPeer, MisuseError, Peer, Steps
from tokenstream.errors import StreamInterrupted
from tokenstream.events import StepUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._values.steer import Steer

Message = dict[str, Any]


@contextmanager
def playing(agent: Callable[[Message], list[Message]]) -> Generator[tuple[Any, Any]]:
    """Give the output and the input of an agent that answers each line it is sent."""
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()

    def play() -> None:
        with os.fdopen(to_read, "rb") as lines, os.fdopen(from_write, "wb") as out:
            for line in lines:
                for message in agent(json.loads(line)):
                    out.write(json.dumps(message).encode() + b"\n")
                out.flush()

    thread = threading.Thread(target=play)
    thread.start()
    with os.fdopen(from_read, "rb") as output, os.fdopen(to_write, "wb") as stdin:
        try:
            yield output, stdin
        finally:
            stdin.close()
            thread.join()


# -- Codex ---------------------------------------------------------------------


def note(method: str, **params: Any) -> Message:
    return {"method": method, "params": {"threadId": "t1", **params}}


def said(text: str, id: str) -> Message:
    item = {"type": "userMessage", "id": id, "content": [{"type": "text", "text": text}]}
    return note("item/completed", turnId="u1", item=item)


def codex(on_steer: Callable[[Message], list[Message]]) -> Callable[[Message], list[Message]]:
    """Return an app server whose turn goes on until it is steered."""
    turn = {"id": "u1", "status": "inProgress", "items": []}

    def answer(message: Message) -> list[Message]:
        match message["method"]:
            case "initialize":
                return [{"id": message["id"], "result": {"codexHome": "/", "userAgent": "codex"}}]
            case "turn/start":
                started = [note("turn/started", turn=turn), said("Look.", "i1")]
                delta = note("item/agentMessage/delta", turnId="u1", itemId="i2", delta="It is ")
                return [{"id": message["id"], "result": {"turn": turn}}, *started, delta]
            case "turn/steer":
                rest = note("item/agentMessage/delta", turnId="u1", itemId="i2", delta="noon.")
                ended = note("turn/completed", turn={"id": "u1", "status": "completed", "items": []})
                return [*on_steer(message), rest, ended]
            case _:
                return []

    return answer


def steered_codex(on_steer: Callable[[Message], list[Message]]) -> tuple[Steps, Steer, list[str]]:
    """Steer a turn once it has said something; return the run, the input and its states while it was read."""
    states: list[str] = []
    steer: Steer | None = None
    with playing(codex(on_steer)) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.ask("initialize", clientInfo={"name": "t"})
        peer.begin("turn/start", threadId="t1", input=[])
        for message in run.follow(peer, agent="codex-server", until="turn"):
            if steer is None and message.method == "item/agentMessage/delta":
                steer = run.steer("Be brief.")
            states += [] if steer is None else [steer.state]
    assert steer is not None
    return run, steer, states


def news(run: Steps) -> list[Any]:
    return [event.data["state"] for event in run.events().ready() if isinstance(event, StepUpdate)]


def test_codex_says_what_becomes_of_input() -> None:
    asked: list[Message] = []

    def take(message: Message) -> list[Message]:
        asked.append(message["params"])
        return [{"id": message["id"], "result": {"turnId": "u1"}}, said("Be brief.", "i3")]

    run, steer, states = steered_codex(take)

    assert asked == [
        {"threadId": "t1", "expectedTurnId": "u1", "input": [{"type": "text", "text": "Be brief."}]}
    ]
    assert (steer.state, steer.target, steer.error) == ("applied", "u1", None)
    assert states[0] == "sent"
    assert news(run) == ["accepted", "applied"]
    assert run.turns[-1].step.updates["steer"] == {"type": "steer", "state": "applied", "text": "Be brief."}
    assert (run.turns[-1].result, run.turns[-1].state) == ("It is noon.", "done")


def answered(message: Message) -> Message:
    return {"id": message["id"], "result": {"turnId": "u1"}}


def elsewhere(text: str) -> Message:
    message = said(text, "i9")
    return {**message, "params": {**message["params"], "threadId": "t2", "turnId": "u9"}}


@in_one_test(
    "told, states",
    [
        (
            lambda one, two: [answered(one), answered(two), said("a", "i3"), said("a", "i4")],
            ["applied", "applied"],
        ),
        (
            lambda one, two: [
                answered(one),
                said("a", "i3"),
                {"id": two["id"], "error": {"code": 1, "message": "no"}},
            ],
            ["applied", "refused"],
        ),
        # The same item begins and ends.
        (
            lambda one, two: [answered(one), answered(two), said("a", "i3"), said("a", "i3")],
            ["applied", "lost"],
        ),
        # Words of another thread.
        (lambda one, two: [answered(one), answered(two), elsewhere("a")], ["lost", "lost"]),
        (lambda *_: [], ["lost", "lost"]),
    ],
)
def test_equal_words_are_told_apart(
    told: Callable[[Message, Message], list[Message]], states: list[str]
) -> None:
    """Each has an answer of its own, and is taken in once; what the turn leaves open is lost with it."""
    asked: list[Message] = []

    def take(message: Message) -> list[Message]:
        asked.append(message)
        return told(*asked) if len(asked) == 2 else []

    agent = codex(lambda _: [])

    def play(message: Message) -> list[Message]:
        if message["method"] != "turn/steer":
            return agent(message)
        ended = note("turn/completed", turn={"id": "u1", "status": "completed", "items": []})
        said_of_it = take(message)
        return [*said_of_it, ended] if len(asked) == 2 else []

    with playing(play) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.begin("turn/start", threadId="t1", input=[])
        steers: list[Steer] = []
        for message in run.follow(peer, agent="codex-server", until="turn"):
            if not steers and message.method.endswith("delta"):
                steers += [run.steer("a"), run.steer("a")]

    assert [each.state for each in steers] == states


def test_input_that_codex_never_mentions_is_lost_with_the_run() -> None:
    """An answer that is missing at the end is no error of the run."""
    with playing(codex(lambda _: [])) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.begin("turn/start", threadId="t1", input=[])
        followed = run.follow(peer, agent="codex-server", until="turn")
        steers = [run.steer("Stop.") for message in followed if message.method.endswith("delta")]
        stdin.close()
        list(run.follow(peer, agent="codex-server"))

    # The second piece of the answer came behind the end of the turn's steering.
    assert [each.state for each in steers] == ["lost", "lost"]
    assert run.turns[-1].state == "done"


# -- ACP -----------------------------------------------------------------------


def acp(outcome: Message, **capabilities: Any) -> Callable[[Message], list[Message]]:
    """Return an agent whose prompt is answered once it is steered."""
    prompts: list[Any] = []

    def update(text: str) -> Message:
        content = {"type": "text", "text": text}
        params = {"sessionId": "s1", "update": {"sessionUpdate": "agent_message_chunk", "content": content}}
        return {"method": "session/update", "params": params}

    def answer(message: Message) -> list[Message]:
        match message["method"]:
            case "initialize":
                result = {"protocolVersion": 1, "agentCapabilities": {}, **capabilities}
                return [{"id": message["id"], "result": result}]
            case "session/prompt":
                prompts.append(message["id"])
                return [update("It is ")]
            case "_session/steering":
                assert message["params"] == {
                    "sessionId": "s1",
                    "prompt": [{"type": "text", "text": "Be brief."}],
                    "_meta": {"steering": {"idleBehavior": "promptRequired"}},
                }
                end = {"id": prompts.pop(), "result": {"stopReason": "end_turn"}}
                return [{"id": message["id"], **outcome}, update("noon."), end]
            case _:
                return []

    return answer


STEERABLE = {"_meta": {"steering": {"supported": True}}}


@in_one_test(
    "outcome, state, code",
    [
        ({"result": {"outcome": "injected"}}, "applied", None),
        ({"result": {"outcome": "promptRequired", "reason": "noRunningTurn"}}, "refused", "noRunningTurn"),
        ({"error": {"code": -32601, "message": "no such method"}}, "refused", "-32601"),
    ],
)
def test_an_agent_over_acp_that_says_so_is_steered(outcome: Message, state: str, code: str | None) -> None:
    """A refusal is no end of the prompt, although an error of a prompt would be one."""
    with playing(acp(outcome, **STEERABLE)) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.ask("initialize", protocolVersion=1)
        asked = peer.begin("session/prompt", sessionId="s1", prompt=[])
        steer = None
        for _ in run.follow(peer, until=asked):
            steer = steer or run.steer("Be brief.")

    assert steer is not None
    assert (steer.state, None if steer.error is None else steer.error.code) == (state, code)
    assert (run.turns[-1].result, run.turns[-1].state) == ("It is noon.", "done")


def test_an_agent_over_acp_that_does_not_say_so_is_not_tried() -> None:
    """Such an agent might answer a request that it does not know with success."""
    agent = acp({"result": {}})
    with playing(agent) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.ask("initialize", protocolVersion=1)
        peer.begin("session/prompt", sessionId="s1", prompt=[])
        next(iter(run.follow(peer)))
        with pytest.raises(MisuseError, match=r"does not say that it takes input while it works"):
            run.steer("Be brief.")


def test_input_between_two_turns_is_refused_at_once() -> None:
    """Input between two turns would begin a turn that nobody reads."""
    agent = acp({"result": {"outcome": "injected"}}, **STEERABLE)
    with playing(agent) as (output, stdin), Peer(output, stdin) as peer, Steps() as run:
        peer.ask("initialize", protocolVersion=1)
        asked = peer.begin("session/prompt", sessionId="s1", prompt=[])
        steers = []
        for _ in run.follow(peer, until=asked):
            steers.append(run.steer("Be brief."))
            break
        list(run.follow(peer, until=asked))
        late = run.steer("And now?")

    assert steers[0].state == "applied"
    assert late.state == "refused"
    assert late.error is not None
    assert late.error.code == "no_turn_in_progress"


def test_input_after_a_loop_that_ended_with_its_turn_is_refused() -> None:
    """Nobody holds what the loop has read, and the next turn needs a loop of its own."""
    lines = [json.dumps(line).encode() + b"\n" for line in (claude_code.INIT, claude_code.ended("Done."))]
    output = io.BytesIO(b"".join(lines))
    with Steps() as run:
        list(run.follow(output, agent="claude-code", stdin=io.BytesIO(), until="turn"))
        steer = run.steer("And now?")

    assert steer.state == "refused"
    assert steer.error is not None
    assert steer.error.code == "no_turn_in_progress"


# -- Claude Code ---------------------------------------------------------------


def lifecycle(uuid: str, state: str) -> Message:
    return {"type": "command_lifecycle", "command_uuid": uuid, "state": state, "session_id": "s"}


def claude(told: Callable[[Message], list[Message]]) -> Callable[[Message], list[Message]]:
    """Return a process that works until it gets a second message, of which it tells something."""

    def answer(message: Message) -> list[Message]:
        text = message["message"]["content"][0]["text"]
        if text == "Look.":
            return [claude_code.INIT, claude_code.said("m1", claude_code.words("It is "))]
        # A priority of its own would abort what the agent does.
        assert ("priority" in message, message["session_id"]) == (False, "s")
        return [*told(message), claude_code.ended("It is noon.")]

    return answer


@in_one_test(
    "told, news_of_it, state",
    [
        (lambda _: [], [], "lost"),
        (lambda line: [{**line, "isReplay": True}], ["applied"], "applied"),
        (
            lambda line: [lifecycle(line["uuid"], state) for state in ("queued", "started", "completed")],
            ["accepted", "applied"],
            "applied",
        ),
        (lambda line: [lifecycle(line["uuid"], "queued")], ["accepted"], "lost"),
        (lambda line: [lifecycle(line["uuid"], "discarded")], ["refused"], "refused"),
        (lambda _: [lifecycle("other", "started")], [], "lost"),
    ],
)
def test_claude_code_takes_input_on_its_standard_input(
    told: Callable[[Message], list[Message]], news_of_it: list[str], state: str
) -> None:
    with playing(claude(told)) as (output, stdin), Steps() as run:
        first = {"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": "Look."}]}}
        stdin.write(json.dumps(first).encode() + b"\n")
        stdin.flush()
        steer = None
        for line in run.follow(output, agent="claude-code", stdin=stdin):
            if line["type"] == "assistant":
                steer = run.steer("Be brief.")
            if line["type"] == "result":
                stdin.close()

    assert steer is not None
    assert (steer.state, news(run)) == (state, news_of_it)
    assert (run.turns[-1].result, run.turns[-1].state) == ("It is noon.", "done")


def test_a_process_that_is_gone_is_an_error_of_the_call_alone() -> None:
    """The run tells itself how it ended."""

    class Gone(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise BrokenPipeError

    with Steps() as run:
        for line in run.follow(
            [claude_code.INIT, claude_code.ended("Done.")], agent="claude-code", stdin=Gone()
        ):
            if line["type"] == "system":
                with pytest.raises(StreamInterrupted, match="no longer reads"):
                    run.steer("Be brief.")

    assert run.turns[-1].state == "done"


# -- misuse --------------------------------------------------------------------


@in_one_test(
    "lines, words",
    [
        (['{"type": "thread.started", "thread_id": "t"}', '{"type": "turn.started"}'], "takes no input"),
        (['{"type": "system", "subtype": "init", "session_id": "s"}'], "stdin=process.stdin"),
    ],
)
def test_an_agent_that_is_only_read_is_not_steered(lines: list[str], words: str) -> None:
    """The error says what to do."""
    with Steps() as run:
        followed = iter(run.follow(lines, agent="codex" if "thread" in lines[0] else "claude-code"))
        next(followed)
        with pytest.raises(MisuseError, match=words):
            run.steer("Be brief.")


class Waiting:
    """A file of an event loop."""

    async def write(self, data: bytes) -> None:
        raise NotImplementedError


@in_one_test("stdin", [7, "text", Waiting()])
def test_an_input_that_cannot_be_written_is_refused_at_once(stdin: Any) -> None:
    with Steps() as run, pytest.raises(MisuseError, match="stdin= takes the standard input"):
        run.follow([], agent="claude-code", stdin=stdin)


@pytest.mark.parametrize("kind", ["a file of text", "a raw pipe"])
def test_each_kind_of_pipe_gets_the_whole_line(kind: str) -> None:
    """A raw one may take less than it is given."""

    class Raw(io.RawIOBase):
        taken = b""

        def write(self, data: Any, /) -> int:
            self.taken += bytes(data)[:10]
            return min(len(data), 10)

    pipe: Any = io.StringIO() if kind == "a file of text" else Raw()
    with Steps() as run:
        lines = ['{"type": "system", "subtype": "init", "session_id": "s1"}']
        followed = run.follow(lines, agent="claude-code", stdin=pipe)
        next(iter(followed))
        run.steer("Be brief.")
        line = pipe.getvalue() if kind == "a file of text" else pipe.taken
        assert json.loads(line)["message"]["content"][0]["text"] == "Be brief."


def test_only_words_are_spoken() -> None:
    """Input is a text that is not empty."""
    lines = ['{"type": "system", "subtype": "init"}']
    with Steps() as run:
        followed = run.follow(lines, agent="claude-code", stdin=io.BytesIO())
        next(iter(followed))
        for words in ("", None, ["Be brief."]):
            with pytest.raises(MisuseError, match="takes the words to say"):
                run.steer(words)  # type: ignore[arg-type]


# -- event loops ---------------------------------------------------------------

SCRIPT = f"""
import json, sys
sys.path[:0] = {sys.path!r}
from tests.steps.test_steering_agents import STEERABLE, acp
agent = acp({{"result": {{"outcome": "injected"}}}}, **STEERABLE)
for line in sys.stdin:
    for message in agent(json.loads(line)):
        print(json.dumps(message), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_agent_is_steered_in_an_event_loop(backend: str) -> None:
    """The call itself waits for nothing."""

    async def main() -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        async with await anyio.open_process([sys.executable, "-c", SCRIPT], **pipes) as process:
            async with AsyncPeer(process.stdout, process.stdin) as peer:
                with Steps() as run:
                    await peer.ask("initialize", protocolVersion=1)
                    asked = await peer.begin("session/prompt", sessionId="s1", prompt=[])
                    steer = None
                    async for _ in run.follow(peer, until=asked):
                        steer = steer or run.steer("Be brief.")
            assert steer is not None
            assert steer.state == "applied"
            assert (run.turns[-1].result, run.turns[-1].state) == ("It is noon.", "done")

    anyio.run(main, backend=backend)
