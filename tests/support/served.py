"""Words sent one at a time, each after the one before was read; and servers of the usual kinds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import anyio
import httpx
import uvicorn
import websockets.asyncio.server

from tests.support.proxies import free_port
from tests.support.timing import PATIENCE, wait_for


class Hand:
    """Gives words as a model does, but after each waits until it was read at the other end.

    If anything on the way holds a word back, the next one never comes.

    Args:
        further: Number of words after those that are waited for.
    """

    def __init__(self, further: int = 0) -> None:
        self.words = ["One ", "by ", "one, ", "not ", "all ", "at ", "once.", *["More."] * further]
        self.closed = threading.Event()
        """Set once the words were read to their end, or the reader has left."""
        self.given = 0
        """Number of words given."""
        self._read = threading.Semaphore(1)

    def let(self) -> None:
        self._read.release()

    def give(self) -> Iterator[str]:
        try:
            for word in self.words:
                if not self._read.acquire(timeout=PATIENCE):
                    msg = "the word before was held back"
                    raise TimeoutError(msg)
                self.given += 1
                yield word
        finally:
            self.closed.set()

    async def agive(self) -> AsyncIterator[str]:
        try:
            for word in self.words:
                with anyio.fail_after(PATIENCE):
                    while not self._read.acquire(blocking=False):  # noqa: ASYNC110 - a thread releases it
                        await anyio.sleep(0.005)
                self.given += 1
                yield word
        finally:
            self.closed.set()

    def follow(self, read: Callable[[], bytes], *, until: str | None = None) -> bytes:
        """Return a body, reading each word before the next one is sent.

        Args:
            read: Returns the next bytes of the body, b"" at its end.
            until: The word after which reading stops; None to read to the end.
        """
        body = b""
        for word in self.words:
            while word.strip().encode() not in body:
                piece = read()
                assert piece, f"the body ended before {word!r}: {body!r}"
                body += piece
            if word.strip() == until:
                return body
            self.let()
        while piece := read():
            body += piece
        return body


def lifespan_in(*contexts: AbstractAsyncContextManager[Any]) -> Any:
    """Return the lifespan of an application that runs within context managers, such as its journal."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for context in contexts:
                await stack.enter_async_context(context)
            yield

    return lifespan


@contextmanager
def by_uvicorn(app: Any, **options: Any) -> Generator[str, None, None]:
    port = free_port()
    options = {"lifespan": "off", "timeout_graceful_shutdown": 1, **options}
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def by_websockets(handle: Callable[[Any], Awaitable[None]]) -> Generator[str, None, None]:
    started, stop, ports = threading.Event(), threading.Event(), list[int]()

    async def serve() -> None:
        async with websockets.asyncio.server.serve(handle, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            await anyio.to_thread.run_sync(wait)

    def wait() -> None:
        # This thread is the server's, and not that of the first test.
        started.set()
        stop.wait()

    thread = threading.Thread(target=anyio.run, args=(serve,))
    thread.start()
    assert started.wait(PATIENCE)
    try:
        yield f"http://127.0.0.1:{ports[0]}/"
    finally:
        stop.set()
        thread.join(PATIENCE)


@contextmanager
def by_python(folder: Path, environment: Mapping[str, str], *arguments: str) -> Generator[str, None, None]:
    """Serve with another Python, and yield its address once it answers.

    Args:
        environment: Its environment, in which {port} stands for its port.
        arguments: Its arguments, in which {port} stands for its port.
    """
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, *(argument.replace("{port}", port) for argument in arguments)]
    variables = {name: value.replace("{port}", port) for name, value in environment.items()}
    with subprocess.Popen(command, cwd=folder, env=variables) as process:
        try:
            wait_until_it_answers(url, process)
            yield url
        finally:
            process.terminate()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once a server answers a request, with any status."""

    def answers() -> bool:
        assert process.poll() is None, "the server has ended"
        try:
            client.get(url)
        except httpx.TransportError:
            # Busy polling would slow the start.
            time.sleep(0.05)
            return False
        return True

    with httpx.Client(trust_env=False) as client:
        wait_for(answers, seconds=40, seen=lambda: f"{url} does not answer")


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def by_wsgi(app: Any) -> Generator[str, None, None]:
    """Serve a WSGI application with Python's own server, and yield its address."""
    server = make_server("127.0.0.1", 0, app, WSGIServer, _Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
