"""Other libraries, which may be missing, the event loop of asynchronous readers, and servers."""

from __future__ import annotations

import asyncio
import atexit
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.project import ROOT
from tests.support.proxies import free_port

if TYPE_CHECKING:
    from starlette.routing import Route

Run = Callable[[], object]


def found(name: str) -> Any:
    """Return a module that may be missing; None where it is."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


@cache
def runner() -> asyncio.Runner:
    made = asyncio.Runner()
    atexit.register(made.close)
    return made


@contextmanager
def server(module: str, *arguments: str) -> Generator[int]:
    """Run a module of a server in another process, and wait until its port is open."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", module, str(port), *arguments], cwd=ROOT) as process:
        try:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def route_of_spent() -> Route:
    """Return the route at which a server of Starlette says what processor time it has taken."""
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def answer(_: Any) -> PlainTextResponse:
        return PlainTextResponse(f"seconds={time.process_time()}")

    return Route("/spent", answer)


async def spent(port: int) -> float:
    """Return the seconds of processor time that a server with this route has taken."""
    return float((await get(port, "/spent")).partition(b"seconds=")[2].split()[0])


async def get(port: int, path: str) -> bytes:
    """Return what a server on this machine answers, its head and its body, at little cost for the reader."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer
