"""When an answer is asked for again, how often, after which wait, and by whom."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import product
from typing import Any

import httpx
import pytest

from tests.recovery.attempts import in_each_world, play
from tests.support.clocks import on
from tests.support.logged import logging_to
from tokenstream import Deadlines, Retry, Stream, connect, resilient, testing
from tokenstream.errors import ProviderError, StatusError, StreamTruncated
from tokenstream.recovery import Attempt

SCRIPT = testing.script().text("Hello wonderful world").finish("stop")
WHOLE = SCRIPT.chunks("openai-chat")


def text(stream: Any) -> Any:
    return stream.text


@in_each_world
def test_all_that_came_before_an_error_is_given_also_if_no_attempt_follows(world: str) -> None:
    """A call that had just begun is among it, and what a guard held back, as without a `Retry`."""
    said = (
        testing.script().text("Hm. ").tool_call("pay", {"usd": 1}).tool_call("mail", {"to": "ann"}).finish()
    )
    whole = said.recording("openai-chat")
    for place, held in product(range(1, len(whole.chunks("events")) - 2), (0, 1, 99)):
        chunks = whole.with_fault(testing.faults.error_event("server", event=place)).chunks("events")
        plain, expected = Stream(chunks), list[Any]()
        with pytest.raises(ProviderError) as caught:
            expected.extend(_guarded(plain, held))
        played = play(world, [chunks], Retry(attempts=1), partial(_guarded, first_tokens=held))

        assert played.error is not None
        assert caught.value.partial == played.error.partial
        assert expected == played.given


def _guarded(stream: Any, first_tokens: int) -> Any:
    """Let a guard hold back the first tokens of a stream, if there is one; return the stream."""
    return stream.guard(lambda _: None, first_tokens=first_tokens, hold=True) if first_tokens else stream


@in_each_world
@pytest.mark.parametrize("end", [[], [ConnectionResetError("reset")]], ids=["cut", "reset"])
def test_nothing_of_an_answer_that_was_not_judged_is_given(world: str, end: list[Exception]) -> None:
    said = testing.script().text("Hm. ").tool_call("pay", {"usd": 1}).tool_call("mail", {"to": "ann"})
    for format in ("openai-chat", "openai-responses"):
        chunks = said.finish().chunks(format)
        for place in range(1, len(chunks) - 3):
            retry = Retry(attempts=1, accept=lambda _: True)
            played = play(world, [[*chunks[:place], *end]], retry, lambda stream: stream, format=format)

            assert ([], "truncated") == (played.given, played.message.ending)


@in_each_world
def test_by_default_no_attempt_begins_later_than_ten_minutes_after_the_first_request(world: str) -> None:
    """The error says which option allows more; None sets no limit."""
    clock = iter(range(0, 100_000, 601))
    quiet = Deadlines(first_event=None, idle_content=None)
    options: dict[str, Any] = {"format": "openai-chat", "deadlines": quiet}
    late = on(lambda: next(clock), play, world, [[], WHOLE], Retry(wait=0), **options)
    endless = iter(range(0, 100_000, 601))
    patient = on(lambda: next(endless), play, world, [[], WHOLE], Retry(wait=0, within=None), **options)

    assert isinstance(late.error, StreamTruncated)
    (note,) = late.error.__notes__
    assert note == "no further attempt was made: it would begin later than Retry.within allows (600 s)"
    assert "Hello wonderful world" == patient.message.text


def test_a_deadline_that_passes_between_two_reads_leaves_the_rest_of_its_attempt_unread() -> None:
    """What the source that was given up has left belongs to nobody, and is not read from a list either."""
    now, left = [0.0], [WHOLE[0], b": busy\n\n", *[b": busy\n\n"] * 3]

    def silent() -> Iterator[bytes]:
        while left:
            yield left.pop(0)
            now[0] += 5.0

    sources = iter([silent(), WHOLE])
    retry, deadlines = Retry(attempts=2, wait=0), Deadlines(idle_content=1.0)
    with on(lambda: now[0], resilient, lambda: next(sources), retry, deadlines=deadlines) as stream:
        text = "".join(stream.text)

    assert ("Hello wonderful world", 2, 3) == (text, len(stream.attempts), len(left))


class StopAtLongWait(logging.Handler):
    """Keeps what is logged at INFO, and stops the stream at the first such message."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []
        self.stream: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage().partition(": the server")[0])
        self.stream.stop("too long")


@pytest.mark.parametrize(
    "asked, said",
    [
        ("30", ["retry 1 of 2 in 30.0 s, as the server asks: rate_limited (StatusError 429)"]),
        ("9" * 16, []),
        ("301", []),
    ],
)
def test_a_long_wait_that_the_server_asks_for_is_logged_before_it_begins(
    asked: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that waits for minutes seems to hang. A longer wait than five minutes is not begun at all."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    refusal = httpx.Response(429, headers={"retry-after": asked}, json={"error": {"message": "slow down"}})
    transport = httpx.MockTransport(lambda _: refusal)
    handler = StopAtLongWait()
    stream = connect("http://test/v1", json={}, client=httpx.Client(transport=transport), retry=Retry())
    handler.stream = stream
    with logging_to(handler, logging.INFO), pytest.raises(StatusError) if not said else nullcontext(), stream:
        stream.final()

    assert said == handler.said
    assert stream.message.ending == ("stopped" if said else "failed")


def test_the_opening_of_another_source_is_no_time_of_a_busy_loop() -> None:
    """`metrics.away` has only the seconds in which the program did something else."""
    now, bodies = 0.0, [WHOLE[:1], WHOLE]

    def open_slowly() -> Any:
        nonlocal now
        now += 5.0
        return bodies.pop(0)

    with on(lambda: now, resilient, open_slowly, Retry(wait=0), format="openai-chat") as stream:
        stream.final()

    assert (10.0, 0.0) == (stream.metrics.duration, stream.metrics.away)


def test_an_exception_of_on_retry_is_raised_and_closes_the_stream() -> None:
    def fails(_: Attempt) -> None:
        raise ZeroDivisionError

    with resilient(lambda: WHOLE[:3], Retry(again=True, wait=0, on_retry=fails)) as stream:
        with pytest.raises(ZeroDivisionError):
            list(stream.text)

        assert stream.closed
