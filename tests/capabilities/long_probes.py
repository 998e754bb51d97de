"""Small programs about capabilities that take a process, a server or many formats; each is given a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, get_args

import anyio

from tests.capabilities.probes import ADDRESS, ASKED, HELLO, playing, two_tabs
from tests.project import ROOT
from tests.relay.redis_places import client_of
from tests.steps.peer.support import started
from tests.support.node import node_with, npm_with
from tests.support.recordings import OURS as RECORDINGS
from tests.support.redis_servers import RedisServer
from tests.support.served import by_wsgi
from tokenstream import Peer, Steps, Stream, connect, relay, testing
from tokenstream._providers.apis import FormatName, ProtocolName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_UNDETECTED = {"pieces", "text", "mistral"}
"""Formats that any text could be in, or another's, and that are named."""


def detection(_: Path) -> None:
    """The bytes of each format are read without its name."""
    for format in sorted({*get_args(FormatName)} - _UNDETECTED):
        recorded = [path for path in (RECORDINGS / format).iterdir() if ".expected" not in path.name]
        stream = Stream([min(recorded).read_bytes()])
        assert stream.final().ending == "complete"
        assert stream.format == format


def protocols(_: Path) -> None:
    """What is written in a protocol that a format reads is the answer; in the others, its text is there."""
    for protocol in get_args(ProtocolName):
        written = b"".join(relay.encode(HELLO.stream("openai-chat"), protocol))
        if protocol in get_args(FormatName):
            assert Stream([written], format=protocol).final().text == "Hello"
        else:
            assert b"Hel" in written


def checkpoints(_: Path) -> None:
    """Another process has the answer so far."""
    with Stream(HELLO.chunks("openai-responses"), format="openai-responses") as stream:
        next(iter(stream.text))
        kept = stream.checkpoint().model_dump_json()
    program = "kept = Checkpoint.model_validate_json(sys.stdin.read()); print(kept.message.text)"
    assert _python(f"import sys; from tokenstream import Checkpoint; {program}", told=kept) == "Hel\n"


_LOOKS = """
import sys
from redis import Redis
from tokenstream import Stream, testing
from tokenstream.call_store import RedisCallStore

def look(city: str) -> str:
    print("ran", city)
    return "fog"

script = testing.script().tool_call("look", {"city": "Oslo"}, id="call_1").finish("tool_calls")
with Redis(unix_socket_path=sys.argv[1]) as client:
    stream = script.stream("openai-chat", answer_id="a")
    for call in stream.validated_calls(look, once=RedisCallStore(client)):
        print("got", call.run())
"""


def once_over_processes(folder: Path) -> None:
    """The second process has the result of the first, and doesn't run the tool."""
    with RedisServer(folder) as server:
        told = [_python(_LOOKS, server.path) for _ in range(2)]
    assert told == ["ran Oslo\ngot fog\n", "got fog\n"]


def questions(_: Path) -> None:
    """The run waits for a person, and the agent goes on with what they say."""
    with started() as agent, Peer(agent.stdout, agent.stdin) as peer, Steps() as run:
        asked = peer.begin("session/prompt", sessionId="s1", long=9)
        told = list[object]()
        for message in run.follow(peer, agent="acp", until=asked):
            for request in run.waiting:
                run.reply(request.id, {"outcome": "allowed"})
            told += [message.params["outcome"]] if "outcome" in message.params else []
        peer.notify("exit")
    assert (told, run.waiting) == ([{"outcome": "allowed"}], ())
    assert (run.turns[-1].state, run.turns[-1].result) == ("done", "I xxxxxxxxxwait")

    ids, call = {"threadId": "t", "runId": "r"}, {"toolCallId": "c"}
    interrupt = {"type": "interrupt", "interrupts": [{"id": "i", **call}]}
    asks = [
        {"type": "RUN_STARTED", **ids},
        {"type": "TOOL_CALL_START", "toolCallName": "rm", **call},
        {"type": "TOOL_CALL_END", **call},
        {"type": "RUN_FINISHED", **ids, "outcome": interrupt},
    ]
    ids["runId"] = "r2"
    result = {"type": "TOOL_CALL_RESULT", "content": "ok", **call}
    goes_on = [{"type": "RUN_STARTED", **ids}, result, {"type": "RUN_FINISHED", **ids}]
    with Steps() as run:
        states = list[tuple[str, object]]()
        for events in (asks, goes_on):
            list(run.follow(events, agent="ag-ui"))
            states += [(tool.state, tool.result) for tool in run.turns[0].step.steps]
    assert states == [("waiting", None), ("done", "ok")]


def redis_journals(folder: Path) -> None:
    """Two journals with connections of their own, as two processes have them."""

    async def main(server: RedisServer) -> None:
        async with (
            client_of(server) as one,
            client_of(server) as other,
            relay.RedisJournal(one) as a,
            relay.RedisJournal(other) as b,
        ):
            await two_tabs(a, b)

    with RedisServer(folder) as server:
        anyio.run(main, server)


_PAGE = """
import { createElement, useSyncExternalStore } from "react";
import { renderToString } from "react-dom/server";
import { follow } from "llm-tokenstream";
import { answerStore } from "llm-tokenstream/store";

const page = Object.assign(new EventTarget(), { visibilityState: "visible", baseURI: process.argv[2] });
const frame = new EventTarget();
const listens = name => frame[name].bind(frame);
Object.assign(globalThis, {
  document: page,
  addEventListener: listens("addEventListener"),
  removeEventListener: listens("removeEventListener"),
  requestAnimationFrame: draw => setTimeout(draw),
});
const store = answerStore(() => follow(process.argv[2]));
await new Promise(ended => store.subscribe(() => store.getSnapshot().ending === "complete" && ended()));
const Answer = () => createElement(
  "p", null, useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot).text
);
console.log(renderToString(createElement(Answer)));
process.exit();
"""


def _answer(_: object, start_response: Callable[..., object]) -> Iterator[bytes]:
    start_response("200 OK", [*relay.headers("tokenstream").items()])
    return relay.encode(HELLO.stream("openai-chat"))


def react_hooks(folder: Path) -> None:
    """React's own hook reads our store; the package is installed from the wheel's folder."""
    npm, node = node_with("react", "react-dom")
    _install(folder, node)
    for name in ("react", "react-dom", "scheduler"):
        (folder / "node_modules" / name).symlink_to(npm / "node_modules" / name)
    (folder / "page.mjs").write_text(_PAGE, "utf-8")
    with by_wsgi(_answer) as url:
        page = [node, "page.mjs", url]
        done = subprocess.run(page, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "<p>Hello</p>\n"


def javascript(folder: Path) -> None:
    """The folder of the wheel is installed by npm, and a program imports it by its name."""
    _, node = node_with()
    _install(folder, node)
    (folder / "program.mjs").write_text("console.log(Object.keys(await import('llm-tokenstream')).join())")
    done = subprocess.run([node, "program.mjs"], cwd=folder, capture_output=True, text=True, check=True)
    assert "follow" in done.stdout.strip().split(",")


def recordings(folder: Path) -> None:
    """What an application has read is read again from a file."""
    file = folder / "answer.rec"
    with connect(ADDRESS, json=ASKED, client=playing(HELLO)) as stream:
        testing.record(stream, file)
        stream.final()
    assert testing.Recording.load(file).stream().final().text == "Hello"


def _install(folder: Path, node: str) -> None:
    environment = {**os.environ, "npm_config_cache": str(folder / "cache"), "npm_config_offline": "true"}
    command = [*npm_with(node), "install", "--no-audit", "--no-fund", str(relay.assets.directory)]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)


def _python(program: str, *arguments: str, told: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        input=told,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
