"""Faults of the body's transport, F16 to F37: what their rows do not say, over real sockets."""

from __future__ import annotations

import threading

import httpx
import pytest

from tests.faults.driver import END, HALF, HELLO, TEXT, both_colours, failed, read
from tests.faults.rows_body import CUT_CHARACTER, GZIP, LAST, cut_gzip
from tests.support.loopback import (
    FIN,
    OPEN,
    Loopback,
    Script,
    chunked_head,
    http_chunk,
    refusing_url,
    sized,
    until_close,
)
from tokenstream import Deadlines
from tokenstream.errors import (
    ConnectError,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)


@both_colours
def test_f01_f16_f30_the_transports_own_error_is_the_cause(colour: str) -> None:
    """Nobody listens, a chunked body breaks off, or a chunk's header is garbage."""
    gate = threading.Event()
    errors = [failed(colour, refusing_url(), ConnectError)]
    with Loopback([chunked_head(), http_chunk(HELLO), FIN]) as server:
        errors.append(failed(colour, server, StreamInterrupted))
    with Loopback([chunked_head(), http_chunk(HELLO), gate, b"zz\r\nxx\r\n", OPEN]) as server:
        errors.append(
            failed(
                colour, server, StreamInterrupted, on_text=lambda text: gate.set() if text == LAST else None
            )
        )

    assert ["network"] * 3 == [error.kind for error in errors]
    for error, cause in zip(
        errors, (httpx.ConnectError, httpx.TransportError, httpx.RemoteProtocolError), strict=True
    ):
        assert isinstance(error.__cause__, cause)


@both_colours
@pytest.mark.parametrize(
    "script, kind, half",
    [
        ([chunked_head(), http_chunk(HELLO + HALF), FIN], StreamInterrupted, HALF),
        (
            [chunked_head(), http_chunk(HELLO), b"%x\r\n" % (len(HALF) + 9), HALF, FIN],
            StreamInterrupted,
            HALF,
        ),
        (sized(HELLO + HALF + END, length=len(HELLO + HALF)), StreamTruncated, HALF),
        (until_close(HELLO, HALF), StreamTruncated, HALF),
        (until_close(HELLO, CUT_CHARACTER + b"\x82"), StreamTruncated, CUT_CHARACTER + b"\x82"),
        (until_close(HELLO), StreamTruncated, b""),
    ],
    ids=["in an event", "in a chunk", "length too small", "closed", "in a character", "between events"],
)
def test_f17_to_f24_what_had_come_of_an_event_is_on_the_error(
    colour: str, script: Script, kind: type[StreamError], half: bytes
) -> None:
    """No half of a character or of a JSON document is shown as text."""
    with Loopback(script) as server:
        error = failed(colour, server, kind)

        assert (error.partial.text, error.tail) == (TEXT, half)
        assert error.bytes_seen == len(HELLO + half)


@both_colours
def test_f27_a_cut_compression_after_the_end_of_the_answer_does_no_harm(colour: str) -> None:
    with Loopback(sized(cut_gzip(HELLO + END), headers=GZIP)) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT


@both_colours
@pytest.mark.parametrize(
    "body, kind, words",
    [(cut_gzip(HELLO), StreamTruncated, "compress"), (HELLO + END, ProtocolError, "identity")],
    ids=["cut", "plain"],
)
def test_f27_f28_a_broken_compression_is_named(
    colour: str, body: bytes, kind: type[StreamError], words: str
) -> None:
    """Where the same request fails again, the error says what to ask for instead."""
    with Loopback(sized(body, headers=GZIP)) as server:
        assert words in str(failed(colour, server, kind))


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["first_event", "total"])
def test_f31_a_deadline_ends_an_asynchronous_read_before_the_first_byte(limit: str) -> None:
    """A blocked sync read has only the transport's read timeout; an async one is woken."""
    with Loopback([chunked_head(), OPEN]) as server:
        error = failed("async", server, StreamStalled, deadlines=Deadlines(**{limit: 0.3}))

        assert (error.limit, error.retryable, error.partial.text) == (limit, True, "")


@pytest.mark.slow
@both_colours
def test_f32_comments_do_not_hide_that_no_event_comes(colour: str) -> None:
    pings: list[bytes | float] = [http_chunk(b": ping\n\n"), 0.01]
    with Loopback([chunked_head(), *pings * 300]) as server:
        deadlines = Deadlines(first_event=0.15, idle_bytes=1)
        error = failed(colour, server, StreamStalled, deadlines=deadlines)

        assert (error.limit, error.partial.text) == ("first_event", "")
