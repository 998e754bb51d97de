"""Real `websockets` connections as sources: what their end means."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosedError

from tests._sources.sockets import answer
from tests._sources.websockets.support import opened
from tokenstream import Stream
from tokenstream.errors import StreamInterrupted, StreamTruncated

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection


def closing(code: int, reason: str = "why") -> Callable[[ServerConnection], None]:
    """Begin an answer, and close the connection inside it."""

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel")[:-3]:
            connection.send(each)
        connection.close(code, reason)

    return script


@pytest.mark.parametrize("code", [1000, 1001])
def test_a_clean_end_inside_an_answer_is_a_truncation(code: int) -> None:
    """The codes of a normal closure say nothing of the answer."""
    with opened(closing(code)) as connection, pytest.raises(StreamTruncated) as caught:
        Stream(connection).final()

    assert (caught.value.partial.text, caught.value.partial.ending) == ("Hel", "truncated")


CODES: list[tuple[int, str, str, bool]] = [
    (1002, "bad frame", "server", True),
    (1007, "Request contains an invalid argument.", "invalid_request", False),
    (1007, "API key not valid. Please pass a valid API key.", "authentication", False),
    (1008, "Operation is not implemented.", "invalid_request", False),
    (1011, "Internal error encountered.", "server", True),
    (1011, "You exceeded your current quota", "rate_limited", True),
    (1011, "Your prepayment credits are depleted. Please go to AI Studio", "quota", False),
    (1008, "insufficient_quota", "quota", False),
    (1013, "", "overloaded", True),
    (3000, "registration", "authentication", False),
    (4429, "slow down", "rate_limited", True),
    (4402, "", "quota", False),
    (4999, "", "unknown", False),
]


@pytest.mark.parametrize("code, reason, kind, retryable", CODES)
def test_another_close_code_is_reported_with_its_reason(
    code: int, reason: str, kind: str, retryable: bool
) -> None:
    """Whose problem it is follows from both: they are the only errors that Gemini Live has."""
    with opened(closing(code, reason)) as connection, pytest.raises(StreamInterrupted) as caught:
        Stream(connection).final()

    assert f"closed the connection with code {code}" in str(caught.value)
    assert reason in str(caught.value)
    assert (caught.value.kind, caught.value.retryable) == (kind, retryable)
    assert (caught.value.partial.text, caught.value.partial.ending) == ("Hel", "truncated")
    assert isinstance(caught.value.__cause__, ConnectionClosedError)


def test_a_connection_that_broke_has_no_code() -> None:
    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hel")[:-3]:
            connection.send(each)
        connection.socket.shutdown(2)

    with (
        opened(script) as connection,
        pytest.raises(StreamInterrupted, match="without a closing frame") as caught,
    ):
        Stream(connection).final()

    assert (caught.value.kind, caught.value.retryable) == ("network", True)


def test_a_break_after_the_answer_loses_nothing() -> None:
    """The answer is complete, with a departure."""

    def script(connection: ServerConnection) -> None:
        for each in answer("resp_1", "Hello"):
            connection.send(each)
        connection.close(1011, "gone")

    with opened(script) as connection:
        stream = Stream(connection)

        assert (stream.final().text, stream.message.ending) == ("Hello", "complete")
        assert list(stream.departures.details) == ["broken_after_finish"]


def test_a_farewell_without_a_reason_is_reported_by_its_code() -> None:
    with (
        opened(lambda connection: connection.close(1012)) as connection,
        pytest.raises(StreamInterrupted) as caught,
    ):
        Stream(connection).final()

    closed = "the server closed the connection with code 1012; what had arrived is in .partial"
    assert caught.value.message == closed
