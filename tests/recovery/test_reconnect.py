"""A GET whose events have ids goes on behind the last one: over real sockets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from tests.recovery.attempts import in_each_world
from tests.recovery.continuing import text_in
from tests.support import wire
from tests.support.either import connect_in, read_all
from tests.support.loopback import FIN, LAST_CHUNK, RST, Loopback, chunked_head, http_chunk
from tokenstream import Retry, connect
from tokenstream.errors import StreamInterrupted
from tokenstream.events import Resumed

AGAIN = Retry(wait=0)


def numbered(id: str, text: str, finish: str | None = None) -> bytes:
    return f"id: {id}\n".encode() + wire.chat({"content": text} if text else {}, finish)


END = wire.chat({}, "stop") + wire.DONE


def read(world: str, server: Loopback, retry: Retry = AGAIN, **options: Any) -> tuple[list[Any], Any]:
    """Return the events of a GET, and what came of it: the stream, or its error."""
    connects = connect_in(world)
    events, stream, error = read_all(
        world, lambda: connects(server.url, method="GET", retry=retry, **options)
    )
    return events, error or stream


def cut(*pieces: bytes, end: Any = FIN) -> Sequence[Any]:
    return [chunked_head(), *map(http_chunk, pieces), end]


whole = partial(cut, end=LAST_CHUNK)


@in_each_world
@pytest.mark.parametrize("end", [FIN, RST])
def test_the_answer_goes_on_after_the_last_event(world: str, end: Any) -> None:
    """The server is told its id; the loop is told that the answer goes on."""
    scripts = [cut(numbered("1", "Hel"), numbered("2", "lo"), end=end), whole(numbered("3", " world"), END)]
    with Loopback(*scripts) as server:
        events, stream = read(world, server)

    assert text_in(events) == stream.message.text == "Hello world"
    assert stream.message.complete
    assert [event.mode for event in events if isinstance(event, Resumed)] == ["resume"]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "2"]


@in_each_world
def test_f60_the_last_id_outlives_a_connection_without_events(world: str) -> None:
    """An answer that is cut again before its first event goes on from the same place."""
    scripts = [cut(numbered("1", "Hel")), cut(b": nothing yet\n\n"), whole(numbered("2", "lo"), END)]
    with Loopback(*scripts) as server:
        events, _ = read(world, server)

    assert text_in(events) == "Hello"
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "1", "1"]


@in_each_world
def test_without_ids_nothing_can_be_resumed(world: str) -> None:
    """The answer is raised as it stands."""
    with Loopback(cut(wire.chat({"content": "Hel"}))) as server:
        _, error = read(world, server)

    assert isinstance(error, StreamInterrupted)
    assert len(server.requests) == 1


def test_a_post_is_not_asked_for_again_by_its_event_ids() -> None:
    """A POST would begin another answer."""
    with (
        Loopback(cut(numbered("1", "Hel"))) as server,
        connect(server.url, retry=AGAIN) as stream,
        pytest.raises(StreamInterrupted),
    ):
        list(stream)

    assert len(server.requests) == 1


@in_each_world
@pytest.mark.parametrize("cuts", [0, 2])
def test_each_attempt_has_one_client_of_the_library_and_closes_it(
    world: str, cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No attempt makes a client in advance for a request that was already sent."""
    kind: Any = httpx.Client if world == "sync" else httpx.AsyncClient
    made: list[Any] = []
    begin = kind.__init__

    def note(client: Any, **options: Any) -> None:
        made.append(client)
        begin(client, **options)

    monkeypatch.setenv("TOKENSTREAM_CLIENT", "httpx")
    monkeypatch.setattr(kind, "__init__", note)
    with Loopback(*[cut(numbered("1", "Hel"))] * cuts, whole(numbered("2", "lo"), END)) as server:
        read(world, server)

    assert [True] * (cuts + 1) == [client.is_closed for client in made]
