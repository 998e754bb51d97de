"""`stream.responses`: what fails, and which of the answers it is told with."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests._sources.sockets import answer, event
from tests.stream.responses.support import LIMITS, SESSION, Items, giving, opened, saying
from tests.support.either import Each, got, in_each_loop
from tests.support.logged import words_of
from tests.support.timing import PATIENCE, meanwhile
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded, ProviderError, StreamInterrupted, StreamTruncated
from tokenstream.events import Unknown

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

pytestmark = pytest.mark.anyio


@in_each_loop
async def test_a_cut_in_what_was_left_unread_is_raised_by_the_loop(colour: str) -> None:
    """Nobody else would tell why there are no more."""
    stream = giving(colour, *answer("resp_1", "Hello"), *answer("resp_2", "Hel")[:-3])
    with pytest.raises(StreamTruncated) as caught:
        _ = [each async for each in Each(stream.responses)]

    assert caught.value.partial.text == "Hel"


@in_each_loop
async def test_a_source_that_breaks_is_reported_where_it_broke(colour: str) -> None:
    broken = OSError("cable")
    inside, outside = answer("resp_1", "Hel")[:-3], answer("resp_1", "Hello")
    with pytest.raises(StreamInterrupted, match="cable") as caught:
        await got((await anext(Each(giving(colour, *inside, error=broken).responses))).final())
    assert caught.value.partial.text == "Hel"
    with pytest.raises(StreamInterrupted, match="cable"):
        _ = [each async for each in Each(giving(colour, *outside, error=broken).responses)]


async def test_what_nobody_reads_is_bounded() -> None:
    limits = Limits(body=2_000)
    waiting = [answer("resp_1", "a")[0], *answer("resp_2", *["x" * 100] * 30)]
    for messages in (waiting, [SESSION, *[LIMITS] * 50], [SESSION, *[json.loads(LIMITS)] * 50]):
        with pytest.raises(LimitExceeded, match=r"Limits\.body"):
            for response in Stream(Items(*messages), limits=limits).responses:
                response.final()


async def test_a_message_beyond_its_bound_fails_the_answer() -> None:
    messages = answer("resp_1", "x" * 3_000)

    with opened(saying(*messages)) as connection, pytest.raises(LimitExceeded):
        list(Stream(connection, limits=Limits(event=1_000)).responses)


REFUSED = event(
    "error", error={"type": "invalid_request_error", "code": "invalid_value", "message": "no voice"}
)


@in_each_loop
async def test_an_error_that_no_answer_follows_is_raised_at_the_end(
    colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = giving(colour, SESSION, REFUSED)
    with pytest.raises(ProviderError, match="no voice"):
        _ = [each async for each in Each(stream.responses)]

    assert (stream.message.ending, stream.closed) == ("failed", True)
    told = words_of(record for record in caplog.records if record.levelname == "WARNING")
    assert told == ["the server reported an error between two answers: invalid_value"]


async def test_an_error_before_or_inside_an_answer_is_an_event_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inside = answer("resp_2", "Bye")
    inside.insert(2, REFUSED)
    stream = Stream(Items(SESSION, REFUSED, *answer("resp_1", "Hello"), *inside, REFUSED))
    names = [[one.name for one in response if isinstance(one, Unknown)] for response in stream.responses]

    assert names == [["session.created", "error"], ["error"]]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2


async def test_the_failure_of_a_transcription_is_no_error_of_the_sessions() -> None:
    """What the user said was not understood; no answer was asked for."""
    failed = event("conversation.item.input_audio_transcription.failed", error={"message": "noise"})

    assert list(Stream(Items(SESSION, failed)).responses) == []


def test_ctrl_c_inside_a_source_that_it_ends_is_reported() -> None:
    """A generator is over then, and silently so: that is no end of the connection."""

    def interrupted() -> Iterator[str]:
        yield from answer("resp_1", "Hello")
        raise KeyboardInterrupt

    stream = Stream(interrupted())
    assert next(stream.responses).final().text == "Hello"
    with pytest.raises(KeyboardInterrupt):
        next(stream.responses)
    with pytest.raises(StreamInterrupted, match="broken off"):
        next(stream.responses)
    assert stream.closed


def test_ctrl_c_inside_an_answer_ends_that_answer_alone() -> None:
    """A connection of websockets survives it, and the session goes on."""
    gate = threading.Event()

    def script(connection: ServerConnection) -> None:
        for message in answer("resp_1", "Hel")[:4]:
            connection.send(message)
        gate.wait(PATIENCE)
        for message in (*answer("resp_1", "Hel")[4:], *answer("resp_2", "Bye")):
            connection.send(message)

    main = threading.get_ident()

    def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)

    told: list[Any] = []
    with opened(script) as connection, Stream(connection) as stream:
        response = next(stream.responses)
        with pytest.raises(KeyboardInterrupt), meanwhile(interrupt, once=lambda: response.message.text):
            told.extend(response.text)
        gate.set()
        with pytest.raises(StreamInterrupted):
            response.final()
        rest = [(each.final().text, each.message.ending) for each in stream.responses]

    assert (told, response.message.ending, rest) == (["Hel"], "truncated", [("Bye", "complete")])


def test_a_code_of_a_server_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A server chooses the code of its error, and would choose the rest of the log with it, too."""
    code = "busy\r\n2026-01-01 ERROR paid\x1b[2J"
    stream = Stream(Items(SESSION, event("error", error={"code": code, "message": "no"})))
    with pytest.raises(ProviderError, match="no"):
        list(stream.responses)

    told = words_of(record for record in caplog.records if record.levelname == "WARNING")
    assert told == [
        r"the server reported an error between two answers: busy\r\n2026-01-01 ERROR paid\u001b[2J"
    ]
