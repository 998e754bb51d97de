"""An application with open answers, for servers in processes of their own: `python served.py SERVER PORT`."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from tests.relay.journals import in_memory
from tokenstream import AsyncStream, relay

BRIEF = relay.Timing(drain=0.2)


async def silent() -> AsyncIterator[str]:
    yield "Hello"
    try:
        await anyio.sleep_forever()
    finally:
        print("the upstream is closed", flush=True)  # noqa: T201 - the test reads it


async def endpoint(_: Any) -> Response:
    return relay.respond(AsyncStream(silent(), format="pieces"), protocol="ui-message", timing=BRIEF)


async def flooding() -> AsyncIterator[str]:
    while True:
        await anyio.lowlevel.checkpoint()
        yield "Hello" * 2000


async def flood(_: Any) -> Response:
    return relay.respond(AsyncStream(flooding(), format="pieces"), protocol="ui-message", timing=BRIEF)


async def numbered(seconds: float) -> AsyncIterator[str]:
    yield "Hello"
    for number in range(int(seconds * 20)):
        await anyio.sleep(0.05)
        yield f" {number}"
    yield " the end"


async def lasting(request: Any) -> Response:
    seconds = float(request.path_params["seconds"])
    return relay.respond(AsyncStream(numbered(seconds), format="pieces"))


storage = in_memory()
journal = relay.Journal(storage, drain=0.5)
patient = relay.Journal(storage, drain=60.0)
client_left = anyio.Event()
"""Set once what the answers are read with was left, as an HTTP client is."""


@asynccontextmanager
async def client() -> AsyncGenerator[None]:
    yield
    client_left.set()


@asynccontextmanager
async def lifespan(_: Any) -> AsyncGenerator[None]:
    async with journal, patient, client():
        yield
    page = await storage.read("id", 0, 1_000)
    if page is not None:
        print(page.records[-1].decode(), flush=True)  # noqa: T201 - as above


async def journalled(_: Any) -> Response:
    return relay.respond(AsyncStream(silent(), format="pieces"), journal=journal, id="id")


async def through_client() -> AsyncIterator[str]:
    yield "Hello"
    with anyio.move_on_after(2.0):
        await client_left.wait()
        raise OSError("the client was closed")


async def finished(_: Any) -> Response:
    return relay.respond(AsyncStream(through_client(), format="pieces"), journal=patient, id="id")


async def passing_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", endpoint),
        Route("/flood", flood),
        Route("/lasting/{seconds}", lasting),
        Route("/journal", journalled),
        Route("/finished", finished),
    ],
    middleware=[Middleware(GZipMiddleware), Middleware(BaseHTTPMiddleware, passing_on)],
)


def in_a_thread(port: int) -> None:
    """Serve where no signal handler is the server's: the program's own tells it to end."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))

    def end(_: int, __: FrameType | None) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive():
        time.sleep(0.02)


def main(server: str, port: int, limit: float | None) -> None:
    """Serve until a signal ends it, and the answers have ended, or the server's own limit is over."""
    if server == "uvicorn":
        wait = None if limit is None else int(limit)
        uvicorn.run(app, port=port, log_level="warning", timeout_graceful_shutdown=wait)
    elif server == "uvicorn in a thread":
        in_a_thread(port)
    else:
        from hypercorn.config import Config
        from hypercorn.run import run

        config = Config()
        config.bind = [f"127.0.0.1:{port}"]
        config.application_path = "tests.relay.served:app"
        config.worker_class = server.partition(" ")[2]
        config.graceful_timeout = 3600.0 if limit is None else limit
        config.shutdown_timeout = 3600.0
        sys.exit(run(config))


logging.getLogger("tokenstream").handlers = [logging.StreamHandler(sys.stdout)]
logging.getLogger("tokenstream").setLevel(logging.INFO)

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else None)
