"""A sync `connect` with a client of the caller's meets its deadlines before the head has come, too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.loopback import OPEN, Loopback
from tests.support.tables import in_one_test
from tokenstream import Deadlines, Retry, Route, Stream, connect
from tokenstream.errors import StreamStalled
from tokenstream.testing import script

PHASES = ("connect", "read", "write", "pool")
URL = "http://api.test/v1/chat/completions"
BODY = script().text("Hi").finish("stop").chunks("openai-chat")


class Transport(httpx.BaseTransport):
    """A transport that notes the timeouts it may wait, and waits as long before it gives up.

    Args:
        answers: True to answer at once, with a body that notes the timeouts of its own reads.
    """

    def __init__(self, *, answers: bool = False) -> None:
        self.answers = answers
        self.told: list[dict[str, Any]] = []

    def note(self, request: httpx.Request) -> float:
        timeouts = request.extensions["timeout"]
        self.told.append({phase: timeouts.get(phase) for phase in PHASES})
        return float(self.told[-1]["read"] or 60.0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wait = self.note(request)
        if not self.answers:
            time.sleep(wait)
            msg = "The read operation timed out"
            raise httpx.ReadTimeout(msg)

        def body() -> Any:
            self.note(request)
            yield from BODY

        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body())


def plain(client: httpx.Client, deadlines: Deadlines) -> Stream:
    return connect(URL, json={}, client=client, deadlines=deadlines)


def retried(client: httpx.Client, deadlines: Deadlines) -> Stream:
    return connect(URL, json={}, client=client, deadlines=deadlines, retry=Retry(attempts=3, wait=0))


def routed(client: httpx.Client, deadlines: Deadlines) -> Stream:
    return connect(Route(URL, json={}, client=client), deadlines=deadlines)


def with_own_timeout(client: httpx.Client, deadlines: Deadlines) -> Stream:
    client.timeout = httpx.Timeout(0.001)
    return connect(URL, json={}, client=client, deadlines=deadlines, timeout=70)


OPENERS = (plain, retried, routed, with_own_timeout)


@in_one_test("timeout", [5.0, None, 8.0, httpx.Timeout(9.0, pool=None)])
@in_one_test("open_stream", OPENERS)
def test_no_wait_for_the_head_is_longer_than_what_is_left(
    timeout: Any, open_stream: Callable[..., Stream]
) -> None:
    """The deadline has its name in the error, and the client keeps its settings."""
    transport = Transport()
    with httpx.Client(transport=transport, timeout=timeout) as client:
        with pytest.raises(StreamStalled) as caught:
            open_stream(client, Deadlines(total=0.05)).final()
        kept = client.timeout

    assert "total" == caught.value.limit
    # A wait ends a little after the deadline, so that it has passed.
    assert all(0 < wait < 0.06 for told in transport.told for wait in told.values())
    assert kept == httpx.Timeout(0.001 if open_stream is with_own_timeout else timeout)


@in_one_test("open_stream", OPENERS)
def test_the_body_has_the_timeouts_of_the_client(open_stream: Callable[..., Stream]) -> None:
    """What was left for the head does not limit the reads after it; these have limits of their own."""
    transport = Transport(answers=True)
    with httpx.Client(transport=transport, timeout=60.0) as client:
        assert "Hi" == open_stream(client, Deadlines(total=50)).final().text

    head, body = transport.told
    assert all(wait < 51 for wait in head.values())
    assert {70.0 if open_stream is with_own_timeout else 60.0} == set(body.values())


@pytest.mark.slow
@pytest.mark.parametrize("open_stream", [plain, retried, routed])
def test_a_silent_server_is_left_in_time_with_a_client_that_has_no_timeout(
    open_stream: Callable[..., Stream],
) -> None:
    """Over a real socket, which would wait for ever."""
    with Loopback([OPEN]) as server, httpx.Client(timeout=None) as client:
        client.event_hooks = {"request": [lambda request: setattr(request, "url", httpx.URL(server.url))]}
        with pytest.raises(StreamStalled) as caught:
            open_stream(client, Deadlines(total=0.3)).final()

    assert "total" == caught.value.limit
