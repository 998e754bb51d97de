"""Transcripts: one answer of a journal in the bytes of one protocol, made once for all its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.decoder import Decoder
from tokenstream.relay._writing import Body
from tokenstream.relay.encoders._tokenstream import End, frame, line, read_record
from tokenstream.relay.journal._errors import AnswerExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.relay.journal._feed import Feed
    from tokenstream.turns import Drop

__all__ = ["Transcript"]

_MOST = 64 * 1024
"""Bytes beyond which a chunk takes no further positions."""
_PLAIN: dict[str, Callable[[int | None, bytes], bytes]] = {"tokenstream": frame, "ndjson": line}
"""What writes records as they are, by the protocol."""


class Transcript:
    r"""The chunks of an answer, one for each position, as long as the journal holds it.

    In a protocol of events of SSE each chunk has its position as the id of its last
    event, so that a reader that comes back knows how far it was.

    Args:
        feed: The records.
        protocol: The protocol's name.
        drop: What to leave out that it has no place for.

    Raises:
        AnswerExpired: The beginning of the answer was trimmed, and the protocol cannot do without.
        MisuseError: There is no such protocol.
    """

    def __init__(self, feed: Feed, protocol: str, drop: Drop) -> None:
        # Of the same id in every process, so that a reader may change from one to another.
        body = Body(protocol, drop=drop, id=feed.id)
        self.headers = body.headers
        self.life = body.life
        self.retry = body.retry
        self.plain = _PLAIN.get(protocol)
        """What writes a record as it is; None where the protocol is another one."""
        self.error: StreamError | None = None
        """What the answer ended with, where the protocol has no event to say so."""
        self._feed = feed
        self._first = feed.first
        self._chunks: list[bytes] = []
        self._joined: tuple[int, int, bytes, int] = (0, 0, b"", 0)
        """The chunk that was made last of several positions: what it was asked for, and what that was."""
        self._encode = self.plain or _Encoding(body, self).chunk
        if self.plain is None and feed.first > 1:
            raise AnswerExpired(
                f"the beginning of the answer was trimmed, and {protocol!r} cannot do without"
            )

    def take(self, after: int) -> tuple[bytes, int]:
        """Return what is sent behind a position that is not the last one, and the position that it ends with.

        Args:
            after: The position.
        """
        self._catch_up()
        at, end = after + 1 - self._first, self._first + len(self._chunks) - 1
        if after + 1 == end:
            return self._chunks[at], end
        if self._joined[:2] != (after, end):
            size, upto = 0, at
            while upto <= end - self._first and size < _MOST:
                size += len(self._chunks[upto])
                upto += 1
            # Those who came together, or were slow together, get the same.
            self._joined = (after, end, b"".join(self._chunks[at:upto]), self._first + upto - 1)
        return self._joined[2:]

    def control(self, record: bytes) -> bytes:
        """Return an event that is no part of the answer; empty where the protocol has none.

        Args:
            record: The event as our own protocol has it.
        """
        return b"" if self.plain is None else self.plain(None, record)

    def trim(self, count: int) -> None:
        """Let go of the first chunks.

        Args:
            count: How many.
        """
        self._catch_up()
        del self._chunks[:count]
        self._first += count

    # -- within ----------------------------------------------------------------

    def _catch_up(self) -> None:
        records, held, at = self._feed.records, self._chunks, self._feed.first
        encode = self._encode
        while len(held) < len(records):
            position = at + len(held)
            held.append(encode(position, records[len(held)]))


class _Encoding:
    """Reads records, and writes their events in another protocol.

    Args:
        body: Writes them.
        transcript: Where an error is noted that the protocol cannot tell.
    """

    def __init__(self, body: Body, transcript: Transcript) -> None:
        self._body = body
        self._transcript = transcript
        self._decoder = Decoder("tokenstream")
        self._has_ids = body.headers["content-type"].startswith("text/event-stream")

    def chunk(self, position: int, record: bytes) -> bytes:
        """Return what is sent at a position; empty for what the protocol does not say."""
        events = self._decoder.feed(frame(position, record))
        chunk = b"".join(self._body.feed(events) + self._last(record))
        if chunk and self._has_ids:
            # Before the blank line that ends the last event.
            return b"%bid: %d\n\n" % (chunk[:-1], position)
        return chunk

    def _last(self, record: bytes) -> list[bytes]:
        if not record.startswith((b'{"type":"end"', b'{"type":"error"')):
            return []
        end = read_record(record)
        if not isinstance(end, End):
            return []
        if end.error is None:
            return self._body.end(end.ending)
        told = self._body.fail(end.error)
        if told is None:
            self._transcript.error = end.error
        return told or []
