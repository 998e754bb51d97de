"""What an event costs that arrives alone over a real connection: each client's bytes, ours, openai's SDK."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import uvloop

from tests.compare.benchmarks.contenders import found
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tests.project import ROOT
from tests.support import wire
from tokenstream import aconnect, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.timing import Plan

_PAUSE = 0.0006
"""Seconds between two events, so that each is read before the next one is sent."""
_PATH = "/v1/chat/completions"
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


def _serve(events: int) -> None:
    """Answer each request on a thread of its own; print the port first."""
    tokens = [wire.chat({"content": f"tok{number} "}) for number in range(events)]
    tokens[-1] += wire.chat({}, "stop") + wire.DONE

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as request:
                request.readline()
                # What is not read makes the system reset the connection as it is closed.
                request.read(int(http.client.parse_headers(request)["Content-Length"]))
            connection.sendall(_HEAD)
            for token in tokens:
                connection.sendall(b"%x\r\n%b\r\n" % (len(token), token))
                time.sleep(_PAUSE)
            connection.sendall(b"0\r\n\r\n")

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


@contextlib.contextmanager
def _server(events: int) -> Generator[str]:
    command = [sys.executable, "-m", __name__, str(events)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def _sync_readers(url: str, stack: contextlib.ExitStack) -> dict[str, Callable[[], None]]:
    client = stack.enter_context(httpx.Client(timeout=None))

    def httpx_bytes() -> None:
        with client.stream("POST", url + _PATH, json={}) as response:
            for _ in response.iter_raw():
                pass

    def ours() -> None:
        with connect(url + _PATH, client=client, json={}) as stream:
            for _ in stream:
                pass

    readers = {"httpx, bytes only": httpx_bytes, "`connect`, `aconnect`": ours}
    if openai := found("openai"):
        sdk = openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)
        stack.callback(sdk.close)

        def theirs() -> None:
            for _ in sdk.chat.completions.create(model="m", messages=[], stream=True):
                pass

        readers["openai's SDK"] = theirs
    return readers


async def _async_readers(
    url: str, stack: contextlib.AsyncExitStack
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=None))
    session = await stack.enter_async_context(aiohttp.ClientSession())

    async def aiohttp_bytes() -> None:
        async with session.post(url + _PATH, json={}) as response:
            async for _ in response.content.iter_any():
                pass

    async def httpx_bytes() -> None:
        async with client.stream("POST", url + _PATH, json={}) as response:
            async for _ in response.aiter_raw():
                pass

    async def ours(client: Any) -> None:
        async with aconnect(url + _PATH, client=client, json={}) as stream:
            async for _ in stream:
                pass

    readers: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "aiohttp, bytes only": aiohttp_bytes,
        '`aconnect(client="aiohttp")`': partial(ours, "aiohttp"),
        "httpx, bytes only": httpx_bytes,
        "`connect`, `aconnect`": partial(ours, client),
    }
    if openai := found("openai"):
        sdk = await stack.enter_async_context(
            openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0)
        )

        async def theirs() -> None:
            async for _ in await sdk.chat.completions.create(model="m", messages=[], stream=True):
                pass

        readers["openai's SDK"] = theirs
    return readers


def _time_sync(url: str, rounds: int) -> dict[str, float]:
    """Return the seconds of the fastest run of each reader."""
    with contextlib.ExitStack() as stack:
        readers = _sync_readers(url, stack)
        times = fastest([partial(_itself, read) for read in readers.values()], rounds)
    return dict(zip(readers, times, strict=True))


def _time_async(url: str, rounds: int, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> dict[str, float]:
    """Return the same for the readers of an event loop."""
    stack = contextlib.AsyncExitStack()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        readers = runner.run(_async_readers(url, stack))
        runs = [partial(_run_in, runner, read) for read in readers.values()]
        times = fastest([partial(_itself, run) for run in runs], rounds)
        runner.run(stack.aclose())
    return dict(zip(readers, times, strict=True))


def _itself(run: Run) -> Run:
    """Return what is timed; nothing has to be prepared."""
    return run


def _run_in(runner: asyncio.Runner, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
    runner.run(read())


def sockets(plan: Plan) -> list[Table]:
    """Read an answer of which each event arrives alone over loopback, with each client."""
    events = min(plan.events, 700)
    rounds = 2 + plan.rounds // 3
    with _server(events) as url:
        columns = [
            _time_async(url, rounds, asyncio.new_event_loop),
            _time_async(url, rounds, uvloop.new_event_loop),
            _time_sync(url, rounds),
        ]
    rows = [
        [name, *(f"{column[name] / events * 1e6:.0f}" if name in column else "–" for column in columns)]
        for name in columns[0]
    ]
    title = f"sockets: {events:,} events, each written alone over loopback; µs of processor time per event"
    return [Table(title, ["", "asyncio", "uvloop", "sync"], rows)]


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
