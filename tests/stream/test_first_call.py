"""The first call of a process: what it loads is no part of the time that its metrics tell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project import ROOT
from tests.stream.bodies import chunk
from tests.support.loopback import Loopback, chunked
from tests.support.wire import DONE
from tokenstream import testing

pytestmark = pytest.mark.not_quick

SLOW_SECONDS = 0.25
START = """
import importlib.abc, ssl, sys, time

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("httpcore", "httpx", "httpx_sse", "anyio._backends._asyncio"):
            time.sleep(SLOW)

sys.meta_path.insert(0, Slow())
create = ssl.create_default_context
ssl.create_default_context = lambda *args, **options: time.sleep(SLOW) or create(*args, **options)
from tokenstream import aconnect, connect
begun = time.monotonic()
"""
CALLS = {
    "sync": """
with connect(sys.argv[1]) as stream:
    next(stream.text)
""",
    "sync, in a loop": """
stream = connect(sys.argv[1])
stream.final()
""",
    "asyncio": """
import asyncio
async def main():
    async with aconnect(sys.argv[1]) as stream:
        await anext(stream.text)
    return stream
stream = asyncio.run(main())
""",
    "trio": """
import trio
async def main():
    async with aconnect(sys.argv[1]) as stream:
        await anext(stream.text)
    return stream
stream = trio.run(main)
""",
}
TELL = "print(time.monotonic() - begun, stream.metrics.ttft, stream.metrics.started)\n"


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_the_first_call_loads_is_outside_its_clock(call: str) -> None:
    """Modules and certificates are loaded once per process, and no server is to blame for that."""
    script = START.replace("SLOW)", f"{SLOW_SECONDS})") + call + TELL
    with Loopback(chunked([chunk({"content": "Hi"}), chunk({}, "stop"), DONE])) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, text=True, check=False, cwd=ROOT
        )
    assert done.returncode == 0, done.stderr
    whole, ttft, started = done.stdout.split()

    assert started == "request"
    assert float(ttft) < SLOW_SECONDS
    assert float(whole) > 3 * SLOW_SECONDS


LATE = """
import sys, time
from tokenstream import connect
loaded = []
class Watch:
    def find_spec(self, name, path, target=None):
        loaded.append(name)
stream = connect(sys.argv[1], json={"stream": True, "tools": [{"name": "look"}]})
begin = stream._driver.machine.meter.begin
def begun(*args, **options):
    sys.meta_path.insert(0, Watch())
    begin(*args, **options)
type(stream._driver.machine.meter).begin = lambda meter, *args, **options: begun(*args, **options)
stream.final()
print(*loaded)
"""
PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
    "gemini": "/v1beta/models/some:streamGenerateContent?alt=sse",
}


@pytest.mark.slow
@pytest.mark.parametrize("format", PATHS)
def test_nothing_is_loaded_while_an_answer_comes(format: str) -> None:
    """What is loaded at the first payload would make the times of those behind it late."""
    script = testing.script().reasoning("Hm.").tool_call("look", {"where": "there"})
    chunks = script.usage(input_tokens=3, output_tokens=5).finish().chunks(format)
    with Loopback(chunked(chunks)) as server:
        done = subprocess.run(
            [sys.executable, "-c", LATE, server.url + PATHS[format]],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert done.returncode == 0, done.stderr

    assert [] == done.stdout.split()
