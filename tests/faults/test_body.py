"""Faults of the body's transport: rows F16 to F37 of the fault matrix, over real sockets."""

from __future__ import annotations

import gzip
import json
import threading
import zlib

import httpx
import pytest

from tests.faults.driver import END, HALF, HELLO, MORE, TEXT, both_colours, failed, read
from tests.support import wire
from tests.support.loopback import (
    FIN,
    LAST_CHUNK,
    OPEN,
    RST,
    Loopback,
    Script,
    chunked,
    chunked_head,
    client_context,
    http_chunk,
    sized,
    until_close,
)
from tokenstream import Deadlines, Limits
from tokenstream.errors import (
    LimitExceeded,
    ProtocolError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import TextDelta

LAST = "lo €"
"""The last piece of `HELLO`'s text."""


@both_colours
@pytest.mark.parametrize("tls", [False, True])
def test_f16_a_chunked_body_cut_between_events_is_interrupted(colour: str, tls: bool) -> None:
    """The text is kept; nothing is left of another event."""
    with Loopback([chunked_head(), http_chunk(HELLO), FIN], tls=tls) as server:
        client = {"verify": client_context() if tls else True}
        error = failed(colour, server, StreamInterrupted, client=client)

        assert (error.partial.text, error.tail) == (TEXT, b"")
        assert (error.kind, error.retryable) == ("network", True)
        assert isinstance(error.__cause__, httpx.TransportError)


@both_colours
@pytest.mark.parametrize(
    "pieces",
    [[http_chunk(HELLO + HALF)], [http_chunk(HELLO), b"%x\r\n" % (len(HALF) + 9), HALF]],
    ids=["inside an event", "inside a chunk"],
)
def test_f17_what_had_come_of_an_event_is_on_the_error(colour: str, pieces: Script) -> None:
    with Loopback([chunked_head(), *pieces, FIN]) as server:
        error = failed(colour, server, StreamInterrupted)

        assert (error.partial.text, error.tail) == (TEXT, HALF)
        assert error.bytes_seen == len(HELLO + HALF)


@both_colours
def test_f18_a_body_shorter_than_its_length_is_interrupted(colour: str) -> None:
    """HTTP says that more was to come."""
    with Loopback([*sized(HELLO, length=len(HELLO) + 100), FIN]) as server:
        error = failed(colour, server, StreamInterrupted)

        assert (error.partial.text, error.retryable) == (TEXT, True)


@both_colours
@pytest.mark.parametrize("cut", [len(HELLO), len(HELLO + HALF)])
def test_f19_a_length_that_is_too_small_cuts_the_answer(colour: str, cut: int) -> None:
    """HTTP thinks that the body is whole; the answer's end is missing."""
    with Loopback(sized(HELLO + HALF + END, length=cut)) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.partial.text, error.retryable) == (TEXT, True)
        assert error.tail == HALF[: cut - len(HELLO)]


@both_colours
def test_f19_what_comes_after_the_end_of_the_answer_may_be_cut(colour: str) -> None:
    """The end was seen, so the answer is whole."""
    with Loopback(sized(HELLO + END + b": bye\n\n", length=len(HELLO + END))) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT


@both_colours
@pytest.mark.parametrize("tls", [False, True])
def test_f20_a_reset_is_interrupted(colour: str, tls: bool) -> None:
    """Everything that had been read is kept; of the server there is nothing more to see."""
    gate = threading.Event()
    with Loopback([chunked_head(), http_chunk(HELLO), gate, RST], tls=tls) as server:
        outcome = read(
            colour,
            server,
            client={"verify": client_context() if tls else True},
            on_text=lambda text: gate.set() if text == LAST else None,
        )

        assert isinstance(outcome.error, StreamInterrupted)
        assert (outcome.error.partial.text, outcome.error.retryable) == (TEXT, True)


@both_colours
def test_f21_an_end_inside_an_event_is_no_end(colour: str) -> None:
    """Without framing the end of the connection looks like any end."""
    with Loopback(until_close(HELLO, HALF)) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.partial.text, error.tail, error.retryable) == (TEXT, HALF, True)


@both_colours
@pytest.mark.parametrize("script", [until_close(HELLO), chunked([HELLO]), sized(HELLO)])
def test_f22_an_end_without_a_finish_reason_is_no_end(colour: str, script: Script) -> None:
    with Loopback(script) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.partial.text, error.tail) == (TEXT, b"")
        assert error.partial.ending == "truncated"


@both_colours
def test_f23_a_last_event_that_lacks_only_its_blank_line_is_read(colour: str) -> None:
    """Its JSON is whole: several servers end so."""
    with Loopback(until_close(HELLO, wire.chat({"content": "!"}, "stop")[:-2])) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert (outcome.message.text, outcome.message.finish_reason) == (TEXT + "!", "stop")
        assert outcome.departures["blank_line_missing"].count == 1


@both_colours
def test_f23_a_last_event_that_lacks_more_is_cut(colour: str) -> None:
    """Half of a JSON document is not shown."""
    with Loopback(until_close(HELLO, wire.chat({"content": "!"}, "stop")[:-3])) as server:
        assert failed(colour, server, StreamTruncated).partial.text == TEXT


@both_colours
@pytest.mark.parametrize("size", [1, 2])
def test_f24_half_a_character_is_never_shown(colour: str, size: int) -> None:
    """The bytes are in the tail."""
    start = wire.chat({"content": "€"})
    start = start[: start.index("€".encode()) + size]
    with Loopback(until_close(HELLO, start)) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.partial.text, error.tail) == (TEXT, start)


@both_colours
def test_f25_invalid_utf8_is_replaced_and_counted(colour: str) -> None:
    """The stream goes on, as the standard for event streams says."""
    broken = wire.chat({"content": "<>"}).replace(b"<>", b"<\xff>")
    with Loopback(chunked([HELLO, broken, MORE, END])) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT + "<\N{REPLACEMENT CHARACTER}>!"
        assert outcome.departures["invalid_utf8"].count == 1


@both_colours
def test_f26_invalid_utf8_in_a_comment_is_ignored(colour: str) -> None:
    with Loopback(chunked([b": \xff\xfe\n\n", HELLO, b":\xff\n", END])) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT


GZIP = [("Content-Encoding", "gzip")]


def _cut_gzip(body: bytes) -> bytes:
    """Compress a body so that all of it can be read, but the compression has no end."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush(zlib.Z_SYNC_FLUSH)


@both_colours
@pytest.mark.parametrize("framed", [False, True])
def test_f27_a_compressed_body_that_is_cut_is_truncated(colour: str, framed: bool) -> None:
    """HTTP ended well, and the compression did not; what could be read is kept."""
    body = _cut_gzip(HELLO)
    script = sized(body, headers=GZIP) if framed else until_close(body, headers=GZIP)
    with Loopback(script) as server:
        error = failed(colour, server, StreamTruncated)

        assert (error.partial.text, error.retryable) == (TEXT, True)
        assert "compress" in str(error)


@both_colours
def test_f27_a_cut_compression_after_the_end_of_the_answer_does_no_harm(colour: str) -> None:
    """The end was seen, so the answer is whole."""
    with Loopback(sized(_cut_gzip(HELLO + END), headers=GZIP)) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT


@both_colours
@pytest.mark.parametrize(
    "body, text",
    [(HELLO + END, ""), (_cut_gzip(HELLO) + b"\xff" * 40, TEXT)],
    ids=["plain", "corrupt"],
)
def test_f28_a_compression_that_is_broken_is_a_protocol_error(colour: str, body: bytes, text: str) -> None:
    """The same request fails again; the error says what to ask for instead."""
    with Loopback(sized(body, headers=GZIP)) as server:
        error = failed(colour, server, ProtocolError)

        assert not error.retryable
        assert "identity" in str(error)
        assert error.partial.text == text


@both_colours
def test_f29_a_decompression_bomb_meets_the_bound_on_the_body(colour: str) -> None:
    """What counts is the size of what was decompressed."""
    bomb = gzip.compress(HELLO + b":" + b"x" * 2_000_000 + b"\n" + END)
    with Loopback(sized(bomb, headers=GZIP)) as server:
        error = failed(colour, server, LimitExceeded, limits=Limits(body=100_000))

        assert (error.limit, error.value, error.retryable) == ("body", 100_000, False)
        assert len(bomb) < 100_000


@both_colours
def test_f30_an_illegal_chunk_header_is_interrupted(colour: str) -> None:
    """What came before it is kept."""
    gate = threading.Event()
    with Loopback([chunked_head(), http_chunk(HELLO), gate, b"zz\r\nxx\r\n", OPEN]) as server:
        error = failed(
            colour, server, StreamInterrupted, on_text=lambda text: gate.set() if text == LAST else None
        )

        assert (error.partial.text, error.retryable) == (TEXT, True)
        assert isinstance(error.__cause__, httpx.RemoteProtocolError)


@pytest.mark.slow
@both_colours
def test_f31_silence_is_a_stall(colour: str) -> None:
    """Without a byte for longer than `idle_bytes`."""
    with Loopback([chunked_head(), http_chunk(HELLO), OPEN]) as server:
        error = failed(colour, server, StreamStalled, deadlines=Deadlines(idle_bytes=0.3))

        assert (error.limit, error.kind, error.retryable) == ("idle_bytes", "network", True)
        assert (error.partial.text, error.partial.ending) == (TEXT, "truncated")


@pytest.mark.slow
@pytest.mark.parametrize(
    "first, deadlines, limit",
    [
        (b"", Deadlines(first_event=0.3), "first_event"),
        (HELLO, Deadlines(idle_bytes=0.15), "idle_bytes"),
        (HELLO, Deadlines(idle_content=0.15), "idle_content"),
        (b"", Deadlines(total=0.3), "total"),
        (HELLO, Deadlines(total=0.3), "total"),
    ],
)
def test_f31_each_deadline_ends_an_asynchronous_read_without_a_byte(
    first: bytes, deadlines: Deadlines, limit: str
) -> None:
    """A blocked sync read has only the transport's read timeout; an async one is woken."""
    with Loopback([chunked_head(), first and http_chunk(first), OPEN]) as server:
        error = failed("async", server, StreamStalled, deadlines=deadlines)

        assert (error.limit, error.retryable) == (limit, True)
        assert error.partial.text == (TEXT if first else "")


@pytest.mark.slow
@both_colours
def test_f31_the_callers_own_client_may_be_less_patient(colour: str) -> None:
    """Then its read timeout is what fires."""
    with Loopback([chunked_head(), http_chunk(HELLO), OPEN]) as server:
        error = failed(colour, server, StreamStalled, client={"timeout": 0.3})

        assert (error.limit, error.partial.text) == ("transport", TEXT)


def _for_ever(first: bytes, again: bytes) -> Script:
    """Send a body that never ends, every few milliseconds a piece of it."""
    script: list[bytes | float] = [chunked_head(), http_chunk(first)]
    for _ in range(300):
        script += [http_chunk(again), 0.01]
    return script


@pytest.mark.slow
@both_colours
@pytest.mark.parametrize(
    "first, deadlines, limit",
    [
        (HELLO, Deadlines(idle_content=0.15), "idle_content"),
        (b": hello\n\n", Deadlines(first_event=0.15, idle_bytes=1), "first_event"),
        (HELLO, Deadlines(total=0.3), "total"),
    ],
)
def test_f32_comments_do_not_hide_that_nothing_comes(
    colour: str, first: bytes, deadlines: Deadlines, limit: str
) -> None:
    """They are heartbeats, and no content."""
    with Loopback(_for_ever(first, b": ping\n\n")) as server:
        error = failed(colour, server, StreamStalled, deadlines=deadlines)

        assert (error.limit, error.retryable) == (limit, True)
        assert error.partial.text == (TEXT if first == HELLO else "")


@pytest.mark.slow
@both_colours
def test_f33_a_server_that_drips_meets_the_deadline_for_all(colour: str) -> None:
    """A byte at a time never ends, and never is silent."""
    with Loopback(_for_ever(HELLO, b"d")) as server:
        error = failed(colour, server, StreamStalled, deadlines=Deadlines(total=0.3))

        assert (error.limit, error.partial.text) == ("total", TEXT)


@both_colours
def test_f34_a_line_without_an_end_meets_its_bound(colour: str) -> None:
    """No more than the bound is held."""
    with Loopback(chunked([HELLO, b"data: ", *[b"x" * 4096] * 100])) as server:
        error = failed(colour, server, LimitExceeded, limits=Limits(line=65_536))

        assert (error.limit, error.value, error.retryable) == ("line", 65_536, False)
        assert error.partial.text == TEXT
        assert len(error.tail) <= 4096


@both_colours
def test_f35_a_long_line_in_small_chunks_is_read_whole(colour: str) -> None:
    """Where the chunks end does not matter."""
    text = "word " * 4_000
    event = wire.chat({"content": text})
    pieces = [event[start : start + 5] for start in range(0, len(event), 5)]
    with Loopback([chunked_head(), b"".join(map(http_chunk, [HELLO, *pieces, END])), LAST_CHUNK]) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert outcome.message.text == TEXT + text


@both_colours
def test_f35_an_event_of_many_data_lines_is_read_whole(colour: str) -> None:
    payload = json.dumps(wire.chat_payload({"content": "many"}), indent=0)
    spaced = payload.replace("\n", "\n" * 300)
    event = "".join(f"data: {line}\n" for line in spaced.split("\n")).encode() + b"\n"
    with Loopback(chunked([HELLO, event, END])) as server:
        outcome = read(colour, server)

        assert outcome.error is None
        assert event.count(b"data:") > 2_000
        assert outcome.message.text == TEXT + "many"


@both_colours
def test_f36_keys_of_a_payload_stay_text(colour: str) -> None:
    """Text is hashed with a salt, which numbers are not: nobody can choose keys that collide."""
    odd = {str(number * (2**61 - 1)): number for number in range(200)}
    with Loopback(chunked([HELLO, wire.chat({"content": "!", **odd}), END])) as server:
        outcome = read(colour, server)

        event = next(event for event in outcome.events if isinstance(event, TextDelta) and event.text == "!")
        delta = event.raw["choices"][0]["delta"]
        assert {type(key) for key in delta} == {str}
        assert {key: delta[key] for key in odd} == odd


@both_colours
def test_f37_comments_without_a_blank_line_are_not_kept(colour: str) -> None:
    """However many: they count for no event."""
    comments = [b": keep-alive\n" * 1_000] * 20
    limits = Limits(line=1_000, event=1_000)
    with Loopback(chunked([HELLO, *comments, b"\n", END])) as server:
        outcome = read(colour, server, limits=limits)

        assert outcome.error is None
        assert outcome.message.text == TEXT
    with Loopback(chunked([HELLO, *comments])) as server:
        error = failed(colour, server, StreamTruncated, limits=limits)

        assert (error.partial.text, error.tail) == (TEXT, b"")
