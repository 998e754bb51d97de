"""The browser's reader in Node, by itself and with what it is used with."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from examples.agent_page import agent
from tests.browser import example_agent
from tests.browser.agents import Agents
from tests.browser.chats import make_app
from tests.browser.docs_code import block_with
from tests.support.node import any_node, node_with
from tests.support.served import by_uvicorn, lifespan_in
from tokenstream import AsyncStream, Stream, aconnect, relay, testing
from tokenstream.errors import StreamError
from tokenstream.relay import MemoryJournal, follow, respond

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from tokenstream.message import Part

pytestmark = pytest.mark.slow

_FOLDER = Path(__file__).parent
_TESTS = sorted(_FOLDER.glob("*.test.mjs"))
_MODULE = relay.assets.directory / "tokenstream.js"


def _passes(node: str, tests: list[Path], **environment: str) -> None:
    done = subprocess.run(
        # A connection that a test has left silent is watched for half a minute.
        [node, "--expose-gc", "--test", "--test-force-exit", *map(str, tests)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_reads_what_is_cut_sent_twice_or_silent() -> None:
    """The cases are in the files beside this one; connections are cut at every 29th byte."""
    folder, node = any_node()
    # With the packages, the tests below try all of these two, and more.
    has_packages = "TOKENSTREAM_NODE" in os.environ and (folder / "node_modules/eventsource-parser").exists()
    again = {"follow", "sse"} if has_packages else set[str]()
    _passes(node, [path for path in _TESTS if path.name.partition(".")[0] not in again])


def test_it_reads_what_is_cut_anywhere() -> None:
    _, node = node_with()
    _passes(node, [_FOLDER / "follow.test.mjs"], TOKENSTREAM_EVERY_CUT="1")


def test_its_parser_differs_from_eventsource_parser_where_that_has_a_reason() -> None:
    """Each difference has a name, beside which stands what the standard says."""
    folder, node = node_with("eventsource-parser")
    _passes(node, [_FOLDER / "sse.test.mjs"], TOKENSTREAM_NODE=str(folder))


def test_its_adapters_read_a_relay_as_their_frameworks_do() -> None:
    """`useChat`'s chat and AG-UI's agent, at a real relay, over connections that are cut."""
    folder, node = node_with("@ag-ui/client", "@ai-sdk/react", "ai")
    with by_uvicorn(make_app(), lifespan="on") as url:
        environment = {"TOKENSTREAM_NODE": str(folder), "TOKENSTREAM_RELAY": url.rstrip("/")}
        _passes(node, [_FOLDER / "adapters.mjs"], **environment)


_FROM_PROVIDER: dict[str, tuple[int, bytes] | Exception] = {
    **{str(status): (status, b'{"error": {"message": "No."}}') for status in (401, 429, 503)},
    "cut": (200, b""),
    "refused": httpx.ConnectError("private"),
    "timeout": httpx.ReadTimeout("private"),
    "none": (200, b"".join(testing.script().text("Hello.").finish().chunks("openai-chat"))),
}
_TOLD = {
    **{(way, why): (1, "POST", "failed") for way in ("plain", "answers/") for why in [*_FROM_PROVIDER][:-1]},
    **{("plain", f"lost {status}"): (1, "POST HEAD", "failed") for status in (502, 504)},
    ("plain", "lost 0"): (1, "POST HEAD", "truncated"),
    ("plain", "lost 503"): (1, "POST wait POST", "complete"),
    # The page asks if a journal keeps the question's key, unless an earlier response has said so.
    ("answers/", "lost 0"): (1, "POST HEAD wait POST", "complete"),
    **{("answers/", f"lost {status}"): (1, "POST POST", "complete") for status in (502, 504)},
    # The one that has failed at last is told at once.
    ("closed/", "none"): (0, "POST wait POST wait POST", "failed"),
}
"""How often the model is asked, what the page does, and how the answer ends, for each way and cause."""


def test_a_model_is_asked_once_whatever_fails_and_the_page_is_told_at_once() -> None:
    """At a real relay, with and without a journal."""
    _, node = any_node()
    journal, closed, asked, cause = MemoryJournal(), MemoryJournal(), list[str](), ["none"]

    def provide(_: httpx.Request) -> httpx.Response:
        asked.append(cause[0])
        made = _FROM_PROVIDER[cause[0]]
        if isinstance(made, Exception):
            raise made
        return httpx.Response(made[0], headers={"content-type": "text/event-stream"}, content=made[1])

    client = httpx.AsyncClient(transport=httpx.MockTransport(provide))

    def ask(_: object = None) -> AsyncStream:
        return aconnect("https://provider.example/v1/chat/completions", json={}, client=client)

    def choose(request: Request) -> PlainTextResponse:
        cause[:] = [request.path_params["cause"]]
        asked.clear()
        return PlainTextResponse("")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client, journal:
            async with closed:
                pass
            yield

    routes = [
        Route("/cases", lambda _: JSONResponse([*_TOLD])),
        Route("/cause/{cause}", choose),
        Route("/asked", lambda _: PlainTextResponse(str(len(asked)))),
        Route("/plain", lambda _: respond(ask()), methods=["POST"]),
        Mount("/answers", relay.endpoints(journal, ask)),
        Mount("/closed", relay.endpoints(closed, ask)),
    ]
    with by_uvicorn(Starlette(routes=routes, lifespan=lifespan), lifespan="on") as url:
        command = [node, str(_FOLDER / "asked_once.mjs"), _MODULE.as_uri(), url]
        told = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout

    seen = {(way, cause): tuple(rest) for way, cause, *rest in map(json.loads, told.splitlines())}
    assert _TOLD == seen


def test_its_readers_show_the_results_and_the_questions_of_an_agent() -> None:
    folder, node = node_with("@ag-ui/client", "@ai-sdk/react", "ai")
    with by_uvicorn(Agents().app, lifespan="on") as url:
        environment = {"TOKENSTREAM_NODE": str(folder), "TOKENSTREAM_RELAY": url.rstrip("/")}
        _passes(node, [_FOLDER / "agents.mjs"], **environment)


def test_an_agent_that_asks_is_shown_by_the_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, node = node_with("@ag-ui/client", "@ai-sdk/react", "ai")
    with testing.serve(example_agent.play_model) as model:
        monkeypatch.setattr(agent, "BASE", f"{model.url}/v1")
        with by_uvicorn(example_agent.make_app(), lifespan="on") as url:
            environment = {"TOKENSTREAM_NODE": str(folder), "TOKENSTREAM_RELAY": url.rstrip("/")}
            _passes(node, [_FOLDER / "agent.mjs"], **environment)


_STORES = """
import { effectScope, onScopeDispose, shallowRef } from "vue";
import { readable } from "svelte/store";
import { follow } from "MODULES/tokenstream.js";
import { answerStore } from "MODULES/store.js";

const events = [{ type: "text_delta", text: "Hello" }, { type: "end", ending: "complete" }];
const body = events.map(event => `data: ${JSON.stringify(event)}\\n\\n`).join("");
globalThis.fetch = async () => new Response(body, { headers: { "Content-Type": "text/event-stream" } });
const url = "http://localhost/";
const told = [];
{
  SVELTE
  const leave = answer.subscribe(({ text, ending }) => told.push([text, ending]));
  await store.answer.done;
  leave();
}
const scope = effectScope();
await scope.run(async () => {
  VUE
  told.push([answer.value.text, answer.value.ending]);
  await store.answer.done;
  told.push([answer.value.text, answer.value.ending]);
});
scope.stop();
console.log(JSON.stringify(told));
"""


def test_the_lines_for_svelte_and_vue_show_an_answer(tmp_path: Path) -> None:
    folder, node = node_with("svelte", "vue")
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    program = tmp_path / "program.mjs"
    lines = {
        "MODULES": _MODULE.parent.as_uri(),
        "SVELTE": block_with("readable("),
        "VUE": block_with("shallowRef("),
    }
    program.write_text(re.sub("|".join(lines), lambda found: lines[found[0]], _STORES), "utf-8")
    done = subprocess.run([node, program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["", "streaming"], ["Hello", "complete"]] * 2


_FOLD = """
const { follow } = await import(process.argv[1]);
let body = "";
for await (const piece of process.stdin.setEncoding("utf8")) body += piece;
globalThis.fetch = async () => new Response(body, { headers: { "Content-Type": "text/event-stream" } });
const answer = follow("http://localhost/");
await answer.done;
const { ending, model, finish_reason, usage } = answer.message;
console.log(JSON.stringify({ ending, model, finish_reason, usage, messages: answer.messages }, (_, value) =>
  value?.constructor?.name !== "Message" ? value :
    { choice: value.choice, text: value.text, parts: value.parts }));
"""


_START = """
const { follow } = await import(process.argv[1]);
const start = { method: "POST", body: "{}" };
const events = async answer => {
  const all = [];
  for await (const event of answer) all.push(event);
  return all;
};
const own = await events(follow(process.argv[2], start));
const late = await events(follow(new URL(process.argv[3], process.argv[2]).href));
console.log(JSON.stringify([own.map(each => each.replayed), late.map(each => each.replayed)]));
"""


def _told(program: str, *arguments: str, given: bytes = b"") -> Any:
    _, node = any_node()
    command = [node, "--input-type=module", "-e", program, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(60)
def test_a_page_that_starts_an_answer_by_post_runs_its_tools() -> None:
    """Over a real server, none of its own events is marked as replayed; those of a late reader are."""
    journal = MemoryJournal()
    script = testing.script().text(*map(str, range(30))).tool_call("pay", {"usd": 100}).finish("tool_calls")

    async def start(_: Any) -> Any:
        return respond(AsyncStream(script.chunks("openai-chat")), journal=journal, id="7")

    async def again(_: Any) -> Any:
        return follow(journal, "7")

    routes = [Route("/answers", start, methods=["POST"]), Route("/answers/7", again)]
    with by_uvicorn(Starlette(routes=routes, lifespan=lifespan_in(journal)), lifespan="on") as url:
        own, late = _told(_START, _MODULE.as_uri(), f"{url}answers", "/answers/7")

    assert own == [False] * len(late)
    assert late == [True] * len(own)
    assert len(own) > 30


_CUT = """
const { follow } = await import(process.argv[1] + "tokenstream.js");
const { openStream } = await import(process.argv[1] + "stream.js");
const post = { method: "POST", body: "{}", wait: 0.001 };
const told = [];
for (const place of ["whole", "cut", "head"]) {
  const url = process.argv[2] + place;
  const { ending } = await follow(url, post).done;
  const other = await openStream(url + "/ui", post, data => data === "[DONE]");
  let said = 0;
  try {
    for await (const _ of other) said += 1;
    told.push([ending, "ends"]);
  } catch (error) {
    told.push([ending, error.name]);
  }
}
console.log(JSON.stringify(told));
"""


@pytest.mark.timeout(60)
def test_an_answer_that_is_not_kept_is_asked_for_once_wherever_it_is_cut() -> None:
    """Each response has an id, but only a journal makes it one to go on with: the model is asked once."""
    chunks = testing.script().text("Hel", "lo").finish("stop").chunks("openai-chat")
    asked: list[str] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        place, _, ui = scope["path"].strip("/").partition("/")
        asked.append(place)
        # The head is the first message; the server ends the connection in place of those that are left.
        left = iter(range({"head": 1, "cut": 3, "whole": 99}[place]))

        async def send_some(message: Any) -> None:
            if next(left, None) is None:
                raise ConnectionAbortedError
            await send(message)

        protocol: relay.ProtocolName = "ui-message" if ui else "tokenstream"
        await respond(AsyncStream(chunks), protocol=protocol)(scope, receive, send_some)

    with by_uvicorn(answer) as url:
        told = _told(_CUT, f"{_MODULE.parent.as_uri()}/", url)

    assert told == [["complete", "ends"], *[["truncated", "TypeError"]] * 2]
    assert asked == [place for place in ("whole", "cut", "head") for _ in range(2)]


_KEPT = ("kind", "complete", "text", "id", "name", "arguments_text")


def _as_python_has_it(part: Part) -> dict[str, Any]:
    return {name: said for name in _KEPT if (said := getattr(part, name, None)) not in (None, "")}


def test_it_makes_of_our_bytes_what_a_stream_makes() -> None:
    """Each kind of part that a script can say, calls that are no JSON, other choices, failures."""
    said = (
        testing.script()
        .reasoning("Hm.", signature="s")
        .text("Grüße \U0001f327, ", "\U0001f327")
        .citation(url="https://a.b")
    )
    called = said.tool_call("now").tool_call("get", {"city": "Oslo"}).usage(input_tokens=1, output_tokens=2)
    scripts = [
        called.finish("tool_calls"),
        said.refusal("No.").media(b"\x00\xff", "image/png").choice(1).text("other").finish("length"),
        said.tool_call("get", '{"city": "Os'),
        called.error("overloaded"),
    ]
    for script in scripts:
        body = b"".join(script.chunks("tokenstream"))
        stream = Stream([body], format="tokenstream")
        with suppress(StreamError):
            stream.final()
        found = _told(_FOLD, _MODULE.as_uri(), given=body)

        assert (found["ending"], found["finish_reason"]) == (
            stream.message.ending,
            stream.message.finish_reason,
        )
        for message, ours in zip(stream.messages, found["messages"], strict=True):
            assert (message.choice, message.text) == (ours["choice"], ours["text"])
            parts = [
                {name: part[name] for name in _KEPT if part.get(name) not in (None, "")}
                for part in ours["parts"]
            ]
            assert list(map(_as_python_has_it, message.parts)) == parts
