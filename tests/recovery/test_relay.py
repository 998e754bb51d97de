"""A reader of a relay goes on from its last position over cuts at any place, over real sockets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.recovery.attempts import in_each_world
from tests.relay.tokenstream.support import frame, line, written
from tests.support.either import connect_in, read_all
from tests.support.loopback import FIN, LAST_CHUNK, RST, Loopback, chunked_head, http_chunk
from tests.support.sampling import sampled
from tokenstream import Checkpoint, Job, Retry, Stream, connect, relay, testing
from tokenstream.errors import PositionLost, ProviderError, StreamError, StreamInterrupted
from tokenstream.events import Event, Resumed, TextDelta

_SAID = (
    testing.script(model="m")
    .reasoning("Hm", " – ", signature="c2ln")
    .text("Grü", "ße 🌊 ")
    .tool_call("now", ('{"a":', " 1}"))
    .usage(input_tokens=3, output_tokens=4)
    .finish("tool_calls")
)
_AGAIN = Retry(wait=0, attempts=50)


def _frames(protocol: Any) -> list[bytes]:
    return list(relay.encode(_SAID.stream("anthropic"), protocol, ids=True))


def _read(world: str, server: Loopback, retry: Retry = _AGAIN) -> tuple[list[Event], Any, StreamError | None]:
    """Return the events of an answer, the stream, and the error that ended it."""
    return read_all(world, lambda: connect_in(world)(server.url, json={"prompt": "x"}, retry=retry))


def _part(body: bytes, end: Any = FIN) -> Sequence[Any]:
    return [chunked_head(), *([http_chunk(body)] if body else []), end]


def _scripts(frames: list[bytes], cuts: list[int], end: Any) -> tuple[list[Sequence[Any]], list[str | None]]:
    """Return what a relay sends on each connection, where each is cut, and what it is asked behind."""
    scripts: list[Sequence[Any]] = []
    asked: list[str | None] = [None]
    at = 0
    for cut in cuts:
        body = b"".join(frames[at:])[:cut]
        scripts.append(_part(body, end))
        while at < len(frames) - 1 and body.startswith(frames[at]):
            body = body[len(frames[at]) :]
            at += 1
        # An event that lacks its border alone is read all the same, where a line is.
        at += frames[0][:1] == b"{" and at < len(frames) - 1 and body == frames[at][:-1]
        asked.append(str(at) if at else None)
    return [*scripts, _part(b"".join(frames[at:]), LAST_CHUNK)], asked


def _holds(world: str, protocol: str, cuts: list[int], end: Any) -> None:
    frames = _frames(protocol)
    expected = Stream(frames)
    events = list(expected)
    scripts, asked = _scripts(frames, cuts, end)
    with Loopback(*scripts) as server:
        found, stream, error = _read(world, server)

    assert error is None
    assert events == [event for event in found if not isinstance(event, Resumed)]
    assert expected.message == stream.message
    assert asked == [request.headers.get("last-event-id") for request in server.requests]
    assert all(request.method == "POST" for request in server.requests)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["tokenstream", "ndjson"])
@pytest.mark.parametrize("end", sampled([FIN, RST], one_in=2))
def test_an_answer_goes_on_wherever_it_was_cut(protocol: str, end: Any) -> None:
    """Every event comes once, in order, and the relay is asked behind the last one that came whole."""
    whole = sum(map(len, _frames(protocol)[:-1]))
    for place in range(len(_frames(protocol)[0]), whole, 53 if end is FIN else 131):
        _holds("sync", protocol, [place], end)


@pytest.mark.parametrize("border", [frame, line], ids=["tokenstream", "ndjson"])
def test_what_says_where_live_begins_has_no_position(border: Any) -> None:
    """A relay that replays what a reader had missed says up to where, and the reader misses nothing of it."""
    frames = _frames("tokenstream" if border is frame else "ndjson")
    live = border(None, b'{"type":"live","at":%d}' % (len(frames) - 1))
    first = _part(b"".join(frames[:4]), RST)
    with Loopback(first, _part(b"".join([live, *frames[4:]]), LAST_CHUNK)) as server:
        _, stream, error = _read("sync", server)

    assert error is None
    assert Stream(frames).final() == stream.message


def test_what_a_cut_lets_through_stays_after_what_is_held() -> None:
    """An event that lacks its border alone is read; the head, which waits for more, comes before it."""
    frames = _frames("tokenstream")
    _holds("sync", "tokenstream", [len(frames[0]) + len(frames[1]) - 2], FIN)


@pytest.mark.slow
@in_each_world
def test_an_answer_goes_on_over_many_cuts(world: str) -> None:
    """However often it is cut, nothing is lost and nothing comes twice."""
    dice = random.Random(7)
    for _ in range(3):
        _holds(world, "tokenstream", [dice.randrange(60, 300) for _ in range(4)], FIN)


@in_each_world
def test_an_error_that_the_relay_tells_is_the_end(world: str) -> None:
    for error in (StreamInterrupted("no"), ProviderError("no", kind="overloaded")):
        body = written([TextDelta("Hi")], error, ids=True)
        with Loopback(_part(b"".join(body), LAST_CHUNK), _part(b"", FIN)) as server:
            _, _, found = _read(world, server)
        assert type(error) is type(found)
        assert 1 == len(server.requests)


def test_a_relay_that_begins_again_further_back_is_read_up_to_the_position() -> None:
    """What had come is dropped, and counted; a gap is an error."""
    frames = _frames("tokenstream")
    with Loopback(_part(b"".join(frames[:5])), _part(b"".join(frames[2:]), LAST_CHUNK)) as server:
        events, stream, error = _read("sync", server)
    assert error is None
    assert Stream(frames).final() == stream.message
    assert [3] == [event.dropped for event in events if isinstance(event, Resumed)]
    with Loopback(_part(b"".join(frames[:9])), _part(b"".join(frames[-3:]), LAST_CHUNK)) as server:
        _, _, error = _read("sync", server)
    assert isinstance(error, PositionLost)


@pytest.mark.parametrize("format", [None, "tokenstream"])
def test_a_relay_that_has_the_answer_is_asked_by_another_process(format: Any) -> None:
    """The position alone may be that of any answer."""
    frames = _frames("tokenstream")
    head = chunked_head([("X-Answer-Id", "a1")])
    parts = (frames[:9], FIN), (frames[9:], LAST_CHUNK)
    with Loopback(*[[head, http_chunk(b"".join(part)), end] for part, end in parts]) as server:

        def ask(**kept: Any) -> Stream:
            return connect(
                server.url, json={}, format=format, retry=Retry(attempts=1), job=Job("j 1", **kept)
            )

        with pytest.raises(StreamError) as cut:
            ask().final()
        kept = Checkpoint.model_validate_json(cut.value.checkpoint.model_dump_json())
        assert Stream(frames).final() == ask(checkpoint=kept).final()
    first, second = [request.headers for request in server.requests]
    assert ("9", "a1") == (second["last-event-id"], second["x-answer-id"])
    assert first.get("idempotency-key") == second.get("idempotency-key") == (format and "j%201")


def test_without_ids_nothing_is_asked_again() -> None:
    """A relay that keeps no answers tells no positions, and what broke off is raised."""
    frames = list(relay.encode(_SAID.stream("anthropic")))
    with Loopback(_part(b"".join(frames[:9])), _part(b"")) as server:
        _, _, error = _read("sync", server)
    assert isinstance(error, StreamError)
    assert 1 == len(server.requests)
