"""Deadlines of a sync `connect` hold before the head has come whole, with any client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.stream.blocked import BEGUN, TEXT
from tests.stream.bodies import chunk
from tests.support.loopback import OPEN, Loopback, Script, chunked, chunked_head, http_chunk
from tests.support.tables import in_one_test
from tests.support.wire import DONE
from tokenstream import Deadlines, Retry, Route, Stream, connect
from tokenstream.errors import StreamStalled
from tokenstream.stream._reading import wake
from tokenstream.stream._reading.wake import TimerThread
from tokenstream.testing import script

pytestmark = pytest.mark.not_quick

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
    with Loopback([OPEN]) as server, httpx.Client(timeout=None) as client:
        client.event_hooks = {"request": [lambda request: setattr(request, "url", httpx.URL(server.url))]}
        with pytest.raises(StreamStalled) as caught:
            open_stream(client, Deadlines(total=0.3)).final()

    assert "total" == caught.value.limit


DRIPPING: Script = [step for byte in chunked_head([("X-Long", "x" * 200)]) for step in (bytes([byte]), 0.05)]
HEADS: dict[str, Script] = {"dripping": DRIPPING, "silent": [OPEN], "begun, then silent": [b"HTTP/1.1", OPEN]}
every_limit = pytest.mark.parametrize("limit", ["total", "first_event"])


def _enter(stream: Stream) -> object:
    with stream:
        return stream.final()


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
@every_limit
@pytest.mark.parametrize("read", [_enter, Stream.final], ids=["in a block", "in a loop"])
def test_a_head_that_comes_too_slowly_is_a_stall(
    head: Script, limit: str, read: Callable[[Stream], Any]
) -> None:
    with Loopback(head) as server:
        begun = time.monotonic()
        stream = connect(server.url, deadlines=Deadlines(**{limit: 0.2}))
        with pytest.raises(StreamStalled) as caught:
            read(stream)

        assert 0.19 < time.monotonic() - begun < 3
        assert (limit, True) == (caught.value.limit, caught.value.retryable)
        assert (stream.message.ending, stream.closed) == ("truncated", True)
        assert server.connection(0).closed_within()


@pytest.mark.slow
def test_a_head_in_time_meets_no_deadline() -> None:
    body: Script = [0.05, *chunked([*BEGUN, chunk({}, "stop"), DONE])]
    with Loopback(body) as server, connect(server.url, deadlines=Deadlines(first_event=0.6)) as stream:
        time.sleep(0.6)
        message = stream.final()

    assert (message.text, message.ending) == (TEXT, "complete")


@pytest.mark.slow
def test_a_deadline_that_passes_while_the_head_comes_holds_for_its_body_too() -> None:
    """A head that takes all the time there is leaves none to what follows it."""
    late: Script = [0.3, chunked_head(), *map(http_chunk, BEGUN), OPEN]
    with Loopback(late) as server, pytest.raises(StreamStalled) as caught:
        connect(server.url, deadlines=Deadlines(total=0.2)).final()

    assert caught.value.limit == "total"


def _timers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "tokenstream-timers"}


@pytest.mark.parametrize(("deadlines", "expected"), [(None, 0), (Deadlines(total=60.0), 1)])
def test_the_default_deadlines_cost_no_thread(
    deadlines: Deadlines | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes for the first event are left to the client's own read timeout."""
    monkeypatch.setattr(wake, "timers", TimerThread(idle=0.0))
    timers: list[set[threading.Thread]] = []

    def told(step: str, _: object) -> None:
        if step == "http11.receive_response_headers.started":
            timers.append(_timers())
            stream.stop()

    with Loopback([OPEN]) as server:
        before = _timers()
        stream = connect(server.url, deadlines=deadlines, extensions={"trace": told})
        stream.final()

    assert expected == len(timers[0] - before)
