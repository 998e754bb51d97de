"""One law over the ways in: however an answer arrives, and however much of it, it is the same answer.

Where a way in differs, docs/guides/sources.md says so. tests/_sources/test_sdk_events.py is the law for SDKs.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import product
from typing import Any

import anyio
import httpx
import pytest

from tests.support.arrivals import arrivals_of, content_type_of, drawn, read
from tests.support.beside import needs_recordings
from tests.support.recordings import Recorded, folder_of, of_native_routes, ours, series_of, shared
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Stream, aconnect, connect

_OURS = [*ours(), *of_native_routes()]
_FEW = [*{folder_of(recorded): recorded for recorded in _OURS}.values()]
"""One of each format."""
_SHARED = [recorded for recorded in shared() if recorded.format != "custom"]
_URL = "http://ways.test/"
_SMALL = 10
"""Number of frames up to which an answer arrives in every form; longer ones in one, drawn for their name."""


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def _transport(pieces: list[bytes]) -> httpx.MockTransport:
    headers = {"content-type": content_type_of(b"".join(pieces))}
    return httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=_Body(pieces)))


def _client(pieces: list[bytes]) -> httpx.Client:
    return httpx.Client(transport=_transport(pieces), trust_env=False)


def _async_client(pieces: list[bytes]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=_transport(pieces), trust_env=False)


_WAYS: dict[str, Callable[[list[bytes], Any], Stream | AsyncStream]] = {
    "list": lambda pieces, name: Stream(pieces, format=name),
    "generator": lambda pieces, name: Stream((piece for piece in pieces), format=name),
    "file": lambda pieces, name: Stream(io.BytesIO(b"".join(pieces)), format=name),
    "response": lambda pieces, name: Stream(_client(pieces).stream("POST", _URL), format=name),
    "connect": lambda pieces, name: connect(_URL, client=_client(pieces), format=name),
    "async generator": lambda pieces, name: AsyncStream(aiter(_Body(pieces)), format=name),
    "aconnect": lambda pieces, name: aconnect(_URL, client=_async_client(pieces), format=name),
}


def _differing(seen: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of what differs, also of the fields within the messages."""
    names = [name for name, value in expected.items() if value != seen[name]]
    for one, other in zip(seen["messages"], expected["messages"], strict=False):
        names += [name for name, value in vars(one).items() if value != getattr(other, name)]
    return names


_OTHER_WHEN_LATE = ("transcription/openai_session", "langchain-protocol/runs_")
"""Answers whose rest has another format, as a session of transcription is one of Realtime, or none."""


async def _obeys(recorded: Recorded, arrivals: dict[str, list[bytes]]) -> None:
    for arrival, pieces in arrivals.items():
        names = [None, recorded.format]
        if arrival == "joined late" and recorded.name.startswith(_OTHER_WHEN_LATE):
            names = [recorded.format]
        expected = await read(Stream(pieces, format=names[0]))
        for name, (way, open_) in product(names, _WAYS.items()):
            seen = await read(open_(pieces, name))

            assert [] == _differing(seen, expected), f"{arrival}, {way}, {name or 'detected'}"


def _name(recorded: Recorded) -> str:
    return recorded.name


@in_one_test("recorded", _FEW, ids=_name)
def test_an_answer_is_the_same_by_every_way_in(recorded: Recorded) -> None:
    anyio.run(_obeys, recorded, drawn(arrivals_of(recorded), recorded))


@pytest.mark.slow
@in_one_test("recorded", _OURS, ids=_name, by=folder_of)
def test_every_answer_is_the_same_by_every_way_in(recorded: Recorded) -> None:
    anyio.run(_obeys, recorded, arrivals_of(recorded))


@needs_recordings
@pytest.mark.slow
@in_one_test("recorded", _SHARED, ids=_name, by=series_of)
def test_an_answer_of_a_real_server_is_the_same_by_every_way_in(recorded: Recorded) -> None:
    arrivals = arrivals_of(recorded)
    is_small = len(arrivals["whole"]) <= _SMALL
    anyio.run(_obeys, recorded, arrivals if is_small else drawn(arrivals, recorded))
