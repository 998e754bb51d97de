"""The quick ways of reading SSE: events of usual forms take them, and give what their lines would give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chunkings import bytewise
from tokenstream.framing import SSEParser

_NAMED = [b'event: delta\ndata: {"a":%d}\n\n' % number for number in range(9)]
_BARE = [b'data: {"a":%d}\n\n' % number for number in range(9)]
_PING = b": ping\n\n"


def _lines_one_by_one(chunks: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[Any]]:
    """Return the lines that no quick way has read, and the frames of all chunks."""
    slow: list[bytes] = []
    take_line = SSEParser._take_line  # noqa: SLF001 - each quick way goes around it

    def noted(parser: SSEParser, line: bytes, frames: list[Any]) -> None:
        slow.append(line)
        take_line(parser, line, frames)

    monkeypatch.setattr(SSEParser, "_take_line", noted)
    parser = SSEParser()
    return slow, [frame for chunk in chunks for frame in parser.frames(chunk)]


@pytest.mark.parametrize(
    "chunk, slow",
    [
        (b"".join(_BARE), []),
        (b"".join(_NAMED), [b"event: delta", b'data: {"a":0}', b""]),
        (_PING.join(_NAMED), [b"event: delta", b'data: {"a":0}', b"", *[b": ping", b""] * 8]),
        (_PING.join(_BARE), [b": ping", b""] * 8),
        (b"".join(_NAMED + _BARE), [b"event: delta", b'data: {"a":0}', b""]),
    ],
    ids=["bare", "named", "named between pings", "bare between pings", "named, then bare"],
)
def test_many_events_in_one_chunk_are_read_without_their_lines(
    chunk: bytes, slow: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first event of a name and what is no event are read line by line; the frames are the same."""
    one_by_one = SSEParser()
    expected = [frame for byte in bytewise(chunk) for frame in one_by_one.frames(byte)]
    read_slowly, frames = _lines_one_by_one([chunk], monkeypatch)

    assert expected == frames
    assert slow == read_slowly


@pytest.mark.parametrize(
    "chunk, whole",
    [(b"".join(_BARE), [True]), (_PING.join(_BARE), [False]), (b"".join(_NAMED), [])],
    ids=["bare", "with pings", "named"],
)
def test_a_chunk_of_nothing_but_lines_of_data_is_read_at_once(
    chunk: bytes, whole: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of data and a blank one, again and again: no loop looks at them one by one."""
    tried: list[bool] = []
    take_all = SSEParser._take_plain_events  # noqa: SLF001 - the way that is taken

    def noted(parser: SSEParser, lines: list[bytes], frames: list[Any]) -> bool:
        tried.append(take_all(parser, lines, frames))
        return tried[-1]

    monkeypatch.setattr(SSEParser, "_take_plain_events", noted)
    SSEParser().frames(chunk)

    assert whole == tried
