"""The cells of `test_foreign.py`: each raises an exception in a place, and tells what came out of the stream.

Run as a program with the name of a color; it prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.abc
import json
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Never

import anyio
import httpx
import trio

from tokenstream import Retry, aconnect, aresilient, connect, resilient, testing

BODY = testing.script().text("Hello", " you").finish("stop").chunks("openai-chat")
CUT = BODY[:2]
"""A body that breaks off after "Hello"."""


class SoftTimeLimitExceeded(Exception):
    """The time limit of a job, as of Celery: an `Exception` that a handler raises."""


class JobTimeout(SoftTimeLimitExceeded):
    """The same, from a handler that runs."""


class Unwound(BaseException):
    """Ends a green thread, as gevent's `Timeout` and `GreenletExit` do."""


COLUMNS: dict[str, type[BaseException]] = {
    "signal": JobTimeout,
    "TimeoutError": TimeoutError,
    "SoftTimeLimitExceeded": SoftTimeLimitExceeded,
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "GeneratorExit": GeneratorExit,
    "gevent": Unwound,
    "hook": KeyError,
    "source": KeyError,
}
PLACES = ("import", "before the head", "head", "between frames", "view", "retry")


class Cell:
    """One exception in one place."""

    def __init__(self, column: str, place: str) -> None:
        self.column, self.place = column, place
        self.raised = COLUMNS[column]("the job's own")
        self.requests = self.opened = self.closed = 0

    def reach(self, place: str) -> None:
        if place != self.place:
            return
        if self.column == "signal":
            signal.signal(signal.SIGTERM, self._handle)
            signal.raise_signal(signal.SIGTERM)
        self._fail()

    def _fail(self) -> Never:
        raise self.raised

    def _handle(self, *_: object) -> Never:
        raise self.raised

    @property
    def retry(self) -> Retry:
        """A retry that asks again, at most twice, for whatever allows it."""
        told = (lambda _: self.reach("retry")) if self.column == "hook" else None
        return Retry(attempts=3, wait=5.0 if self.place == "retry" else 0.0, again=True, on_retry=told)

    def tell(self, error: BaseException | None, stream: Any) -> list[Any]:
        """Return what came out, what is left, and whether all that was opened is closed."""
        came = "itself" if error is self.raised else repr(error)
        return [came, stream.message.text, self.requests, self.opened == self.closed]


class Finder(importlib.abc.MetaPathFinder):
    """Raises where a module is imported."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname in ("httpx_sse", "module_of_the_application"):
            self._cell.reach("import")


@contextlib.contextmanager
def made_up(cell: Cell) -> Iterator[None]:
    """Let imports and waits reach the cell."""
    finder, waits, sleep = Finder(cell), threading.Event.wait, anyio.sleep
    sys.modules.pop("httpx_sse", None)

    def wait(event: threading.Event, seconds: float | None = None) -> bool:
        if seconds and seconds > 1:
            cell.reach("retry")
        return waits(event, seconds)

    async def asleep(seconds: float) -> None:
        if seconds > 1:
            cell.reach("retry")
        await sleep(seconds)

    sys.meta_path.insert(0, finder)
    threading.Event.wait, anyio.sleep = wait, asleep  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        threading.Event.wait, anyio.sleep = waits, sleep  # type: ignore[method-assign]
        sys.meta_path.remove(finder)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        cell.opened += 1

    def __iter__(self) -> Iterator[bytes]:
        yield CUT[0]
        yield CUT[1]
        self.cell.reach("between frames")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.cell.closed += 1

    async def aclose(self) -> None:
        self.cell.closed += 1


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.cell.requests += 1
        self.cell.reach("head")
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=Body(self.cell), request=request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


def stream_of(cell: Cell, *, is_async: bool) -> Any:
    """Return the stream of a cell: of a request, or of an application's own function."""
    if cell.column == "source":
        return (aresilient if is_async else resilient)(opening(cell, is_async=is_async), retry=cell.retry)

    def before(_: object) -> None:
        cell.reach("before the head")

    async def abefore(_: object) -> None:
        before(_)

    client: Any = httpx.AsyncClient if is_async else httpx.Client
    hooks = {"request": [abefore if is_async else before]}
    asked = client(transport=Transport(cell), event_hooks=hooks)
    ask: Any = aconnect if is_async else connect
    return ask("http://provider.example/v1/chat/completions", json={}, client=asked, retry=cell.retry)


def opening(cell: Cell, *, is_async: bool) -> Callable[[], Any]:
    def opens() -> Any:
        if cell.place == "import":
            __import__("module_of_the_application")
        cell.reach("before the head")
        if cell.requests and cell.place == "retry":
            cell.reach("retry")
        cell.requests += 1
        return Entered(cell) if cell.place == "head" else read(cell)

    def read(cell: Cell) -> Any:
        body = Body(cell)
        return Closing(body, aiter(body) if is_async else iter(body))

    return opens


class Closing:
    def __init__(self, body: Body, chunks: Any) -> None:
        self._body, self._chunks = body, chunks
        self.close, self.aclose = body.close, body.aclose
        if hasattr(chunks, "__anext__"):
            self.__class__ = AsyncClosing

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._chunks)


class AsyncClosing(Closing):
    __iter__ = None  # type: ignore[assignment]

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._chunks)


class Entered:
    """A context manager that fails when it is entered."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def __enter__(self) -> Any:
        self.cell.reach("head")

    async def __aenter__(self) -> Any:
        self.cell.reach("head")

    def __exit__(self, *_: object) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def view_of(cell: Cell, stream: Any) -> Any:
    """Return the view that a cell reads, which calls a function of the application's for each match."""

    def replace(match: re.Match[str]) -> str:
        cell.reach("view")
        return match[0]

    return stream.text.redact(re.compile("[A-Z]"), replace)


def run(cell: Cell) -> list[Any]:
    stream = stream_of(cell, is_async=False)
    error: BaseException | None = None
    try:
        with stream:
            list(view_of(cell, stream))
    except BaseException as caught:  # noqa: BLE001 - it is told
        error = caught
    return cell.tell(error, stream)


def arun(cell: Cell, run_loop: Callable[..., Any]) -> list[Any]:
    streams: list[Any] = []

    async def main() -> None:
        stream = stream_of(cell, is_async=True)
        streams.append(stream)
        async with stream:
            [piece async for piece in view_of(cell, stream)]

    error: BaseException | None = None
    try:
        run_loop(main)
    except BaseException as caught:  # noqa: BLE001 - it is told
        error = caught
    return cell.tell(error, streams[0])


COLORS: dict[str, Callable[[Cell], list[Any]]] = {
    "sync": run,
    "asyncio": lambda cell: arun(cell, lambda main: asyncio.run(main())),
    "trio": lambda cell: arun(cell, trio.run),
}

if __name__ == "__main__":
    found: dict[str, list[Any]] = {}
    for place in PLACES:
        for column in COLUMNS:
            cell = Cell(column, place)
            with made_up(cell):
                found[f"{column}, {place}"] = COLORS[sys.argv[1]](cell)
    sys.stdout.write(json.dumps(found))
