"""Transcripts: one answer of a journal in the bytes of one protocol, encoded once for all its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.decoder import Decoder
from tokenstream.relay._asgi.writing import BodyWriter
from tokenstream.relay._encoders.tokenstream import End, frame, line, read_record
from tokenstream.relay.journal._errors import AnswerExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.relay.journal._feed import Feed
    from tokenstream.turns import Drop

_MOST = 64 * 1024
"""Size in bytes at which a chunk takes no further positions."""
_PLAIN: dict[str, Callable[[int | None, bytes], bytes]] = {"tokenstream": frame, "ndjson": line}
"""Functions that frame a record unchanged, by protocol."""


class Transcript:
    r"""The chunks of an answer, one per position, while the journal holds it.

    In protocols based on SSE, the last event of each chunk has the position as its id, so
    that a reader that reconnects can continue there.

    Args:
        feed: The records.
        protocol: The protocol's name.
        drop: Names of the kinds of content to leave out if the protocol cannot express them.

    Raises:
        AnswerExpired: The beginning of the answer was trimmed, and the protocol needs it.
        MisuseError: The protocol is unknown.
    """

    def __init__(self, feed: Feed, protocol: str, drop: Drop) -> None:
        # The same id in every process, so that a reader may reconnect to another one.
        body = BodyWriter(protocol, drop=drop, id=feed.id)
        self.headers = body.headers
        self.life = body.life
        self.retry = body.retry
        self.plain = _PLAIN.get(protocol)
        """Frames a record unchanged; None if the protocol encodes events differently."""
        self.error: StreamError | None = None
        """The error that ended the answer, if the protocol has no event for errors."""
        self._feed = feed
        self._first = feed.first
        self._chunks: list[bytes] = []
        self._joined: tuple[int, int, bytes, int] = (0, 0, b"", 0)
        """Cache of the last joined chunk: position after which it begins, last position known, bytes, and its
        own last position.
        """
        self._encode = self.plain or _Transcoder(body, self).chunk
        if self.plain is None and feed.first > 1:
            raise AnswerExpired(f"the beginning of the answer was trimmed, and {protocol!r} needs it")

    def take(self, after: int) -> tuple[bytes, int]:
        """Return the bytes that follow a position, and the last position in them.

        Args:
            after: The position, before the last one.
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
            # Readers at the same position share the joined bytes.
            self._joined = (after, end, b"".join(self._chunks[at:upto]), self._first + upto - 1)
        return self._joined[2:]

    def control(self, record: bytes) -> bytes:
        """Return an event that is not part of the answer; empty if the protocol has no such events.

        Args:
            record: The event's JSON in our own protocol.
        """
        return b"" if self.plain is None else self.plain(None, record)

    def trim(self, count: int) -> None:
        """Drop the oldest chunks.

        Args:
            count: Number of chunks.
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


class _Transcoder:
    """Decodes records, and encodes their events in another protocol.

    Args:
        body: Encodes the events.
        transcript: Receives the error that the protocol cannot express.
    """

    def __init__(self, body: BodyWriter, transcript: Transcript) -> None:
        self._body = body
        self._transcript = transcript
        self._decoder = Decoder("tokenstream")
        self._has_ids = body.headers["content-type"].startswith("text/event-stream")

    def chunk(self, position: int, record: bytes) -> bytes:
        """Return the bytes for the record at a position; empty if the protocol does not express it."""
        events = self._decoder.feed(frame(position, record))
        chunk = b"".join(self._body.feed(events) + self._encode_end(record))
        if chunk and self._has_ids:
            # The id goes before the blank line that ends the last event.
            return b"%bid: %d\n\n" % (chunk[:-1], position)
        return chunk

    def _encode_end(self, record: bytes) -> list[bytes]:
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
