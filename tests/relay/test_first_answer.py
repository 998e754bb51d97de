"""The first answer of a worker: all that it needs was loaded when the relay was imported, before any fork."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.project import ROOT
from tests.support.packages import needed
from tokenstream import testing

PATHS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/some:streamGenerateContent?alt=sse",
}
PROGRAM = """
import json, sys
import anthropic, anyio, httpx, openai, starlette.responses
from tests.support.asgi import Client
from tokenstream import AsyncStream, Retry, aconnect, connect, relay

known = set(sys.modules)

async def run(format, path, body):
    def transport(http):
        head = {"content-type": "text/event-stream"}
        return http.MockTransport(lambda request: http.Response(200, headers=head, text=body))

    def ask(*_, retry=None):
        client = httpx.AsyncClient(transport=transport(httpx))
        return aconnect("https://a.test" + path, json={"stream": True}, client=client, retry=retry)

    async def objects():
        sdk = anthropic if format == "anthropic" else openai
        http = sys.modules[sdk.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]]
        options = {"api_key": "k", "http_client": http.AsyncClient(transport=transport(http))}
        asked = {"model": "m", "stream": True}
        if format == "anthropic":
            api = anthropic.AsyncAnthropic(**options).messages
            stream = await api.create(**asked, messages=[], max_tokens=9)
        elif format == "openai-responses":
            stream = await openai.AsyncOpenAI(**options).responses.create(**asked, input="")
        else:
            stream = await openai.AsyncOpenAI(**options).chat.completions.create(**asked, messages=[])
        async for event in AsyncStream(stream):
            yield event

    async def send(app, **scope):
        client = Client()
        client.scope |= scope
        await client.call(app)
        return client

    yield (await send(relay.respond(ask()))).body
    yield (await send(relay.respond(ask(retry=Retry()), protocol="ui-message"))).body
    if format != "gemini":
        yield (await send(relay.respond(objects()))).body
    async with relay.MemoryJournal() as journal:
        app = relay.endpoints(journal, ask)
        address = (await send(app)).headers["location"]
        yield (await send(app, method="GET", path="/" + address.rpartition("/")[2])).body
    client = httpx.Client(transport=transport(httpx))
    yield b"".join(relay.encode(connect("https://a.test" + path, json={}, client=client)))

async def main():
    for given in json.load(sys.stdin):
        async for body in run(*given):
            assert b"Good" in body, body

anyio.run(main)
print(*(name for name in sys.modules.keys() - known if name.startswith("tokenstream")))
"""


@pytest.mark.slow
def test_no_request_waits_for_an_import() -> None:
    """An import would hold up all other answers of the event loop, in each worker that a server forks."""
    needed("openai")
    needed("anthropic")
    script = testing.script().reasoning("Hm.").text("Good").tool_call("look", {"where": "there"})
    script = script.usage(input_tokens=3, output_tokens=5).finish()
    given = [(name, path, b"".join(script.chunks(name)).decode()) for name, path in PATHS.items()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert (0, "\n") == (done.returncode, done.stdout), done.stderr
