"""Loops that wait for bytes on a real socket, in threads of their own, and how they are opened."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any, Self, TypeAlias

import httpx
import httpx2
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from tests.stream.bodies import chunk
from tests.support.loopback import OPEN, Script, chunked_head, client_context, http_chunk, until_close
from tests.support.timing import at_rest
from tokenstream import Stream, connect

PATIENCE = 30.0
"""Seconds to wait for what should come at once, on a machine that may be busy."""

BEGUN = [chunk({"role": "assistant", "content": "Let "}), chunk({"content": "me "})]
"""What a server sends before it falls silent."""
SILENT: dict[str, Script] = {
    "chunked": [chunked_head(), *map(http_chunk, BEGUN), OPEN],
    "until the end of the connection": [*until_close(*BEGUN), OPEN],
}
TEXTS = ["Let ", "me "]
"""Its text."""
TEXT = "Let me "

Opener: TypeAlias = Callable[..., Stream]
"""Takes an address, a stack that closes the client, and options of the stream."""


def sent(library: Any) -> Opener:
    """Return what wraps a response of a client of the user's own, without a read timeout."""

    def opened(url: str, stack: ExitStack, **options: Any) -> Stream:
        client = stack.enter_context(library.Client(verify=client_context(), timeout=None, trust_env=False))
        return Stream(client.send(client.build_request("POST", url), stream=True), **options)

    return opened


def asked(library: Any) -> Opener:
    """Return what asks with `connect` and a client of the user's own."""

    def opened(url: str, stack: ExitStack, **options: Any) -> Stream:
        client = stack.enter_context(library.Client(verify=client_context(), timeout=None, trust_env=False))
        return connect(url, client=client, **options)

    return opened


def alone(url: str, _stack: ExitStack, **options: Any) -> Stream:
    return connect(url, **options)


class _Trusting(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        context: ssl.SSLContext = client_context()
        return super().init_poolmanager(*args, **options, ssl_context=context)


def by_requests(url: str, stack: ExitStack, **options: Any) -> Stream:
    session = stack.enter_context(requests.Session())
    session.mount("https://", _Trusting())
    return Stream(session.post(url, stream=True), **options)


def by_urllib3(url: str, stack: ExitStack, **options: Any) -> Stream:
    pool = stack.enter_context(urllib3.PoolManager(ssl_context=client_context()))
    return Stream(pool.request("POST", url, preload_content=False), **options)


OPENERS: dict[str, Opener] = {
    "httpx": sent(httpx),
    "httpx2": sent(httpx2),
    "connect with httpx": asked(httpx),
    "connect with httpx2": asked(httpx2),
    "connect": alone,
    "requests": by_requests,
    "urllib3": by_urllib3,
}
every_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS.keys())


@contextmanager
def opened(opener: Opener, url: str) -> Generator[Stream]:
    """Open a stream whose client lives as long as the block; the stream itself is nobody's to close."""
    with ExitStack() as stack:
        yield opener(url, stack)


class Loop:
    """A `for` loop in a thread of its own.

    Args:
        loop: What is read, a view say, or a function that returns it.
    """

    def __init__(self, loop: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self.items: list[Any] = []
        self.error: BaseException | None = None
        self.ended_at: float | None = None
        """`time.monotonic()` when the loop was left."""
        self._loop = loop
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def got(self, count: int) -> None:
        """Wait until so many items have come, and the loop waits for the next one."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.items) >= count or self.ended_at, PATIENCE)
        assert self.error is None
        assert len(self.items) == count
        self.waits()

    def has(self, text: str) -> None:
        """Wait until a text has come, and the loop waits for more of it.

        A view joins the pieces that have come before it looks for the next one: a late thread gets fewer.
        """
        with self._news:
            assert self._news.wait_for(lambda: "".join(self.items) == text or self.ended_at, PATIENCE)
        assert self.error is None
        assert "".join(self.items) == text
        self.waits()

    def waits(self) -> None:
        at_rest(self._thread)

    def ended(self) -> float:
        """Wait until the loop is left, and return when that was."""
        self._thread.join(PATIENCE)
        assert self.ended_at is not None, "the loop still waits"
        return self.ended_at

    def _run(self) -> None:
        try:
            for item in self._loop() if callable(self._loop) else self._loop:
                with self._news:
                    self.items.append(item)
                    self._news.notify_all()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        with self._news:
            self.ended_at = time.monotonic()
            self._news.notify_all()
