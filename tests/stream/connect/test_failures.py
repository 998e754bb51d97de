"""Servers that cannot be reached, fall silent or break off, and clients that leave."""

from __future__ import annotations

from typing import Any, Literal

import httpx
import pytest

from tests.stream.bodies import ANSWER
from tests.stream.connect.support import read, read_async, read_sync
from tests.support.loopback import OPEN, Loopback, Script, refusing_url, until_close
from tests.support.replies import reply
from tests.support.timing import PATIENCE
from tokenstream import Deadlines
from tokenstream.errors import ConnectError, StreamInterrupted, StreamStalled, StreamTruncated


def test_a_connection_that_is_refused() -> None:
    """Nobody listens: asking again may help."""
    for message, error in (read_sync(refusing_url(), {}), read_async(refusing_url(), {})):
        assert message is None
        assert isinstance(error, ConnectError)
        assert (error.stage, error.kind, error.retryable) == ("connect", "network", True)
        assert isinstance(error.__cause__, httpx.ConnectError)
        assert error.partial.ending != "streaming"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"what?\r\n\r\n"])
def test_a_head_that_never_comes_whole(answer: bytes) -> None:
    """The server was reached, so the request may have been taken."""
    with Loopback([answer]) as server:
        _, error = read_sync(server.url, {})

    assert isinstance(error, ConnectError)
    assert error.stage == "head"


def test_a_head_that_never_comes_is_a_stall() -> None:
    """Our own client waits as long as the deadlines say."""
    with Loopback([OPEN]) as server:
        _, error = read_sync(server.url, {"deadlines": Deadlines(first_event=0.05, idle_bytes=0.05)})

    assert isinstance(error, StreamStalled)
    assert error.limit == "first_event"


@pytest.mark.parametrize("first", [b"", ANSWER[2]])
@pytest.mark.parametrize(
    "options",
    [
        {"timeout": (PATIENCE, 0.05, PATIENCE, PATIENCE)},
        {"extensions": {"timeout": {"connect": PATIENCE, "read": 0.05}}},
    ],
    ids=["timeout", "extension"],
)
def test_a_timeout_of_the_callers_is_not_called_a_deadline(first: bytes, options: dict[str, Any]) -> None:
    """It is the transport's; before the head, and in the body."""
    answer: Script = [*until_close(first), OPEN] if first else [OPEN]
    for both in (read_sync, read_async):
        with Loopback(answer) as server:
            _, error = both(server.url, options)

        assert isinstance(error, StreamStalled)
        assert error.limit == "transport"


@pytest.mark.slow
def test_a_connection_that_breaks_in_the_body() -> None:
    """Everything before the break is kept."""
    cuts: list[Literal["close", "reset"]] = ["close", "reset"]
    for how in cuts:
        _, error, _ = read(reply([(0.0, ANSWER[2]), (0.05, ANSWER[3])], cut=how))

        assert isinstance(error, StreamInterrupted)
        assert error.partial.ending != "streaming"
        assert error.partial.text in ("Let ", "Let me ")
        assert isinstance(error.__cause__, httpx.TransportError)


def test_a_body_without_framing_that_ends_early_is_truncated() -> None:
    """With `Connection: close` the end looks like any end; the answer tells."""
    with Loopback(until_close(*ANSWER[:4])) as server:
        _, error = read_sync(server.url, {})

    assert isinstance(error, StreamTruncated)
    assert error.partial.ending != "streaming"
    assert error.partial.text == "Let me "
