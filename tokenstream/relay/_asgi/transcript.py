"""Transcripts: a transcript is an answer of a journal in one protocol, encoded once for all its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.decoder import Decoder
from tokenstream.relay._asgi.writing import BodyWriter
from tokenstream.relay._encoders.records import End, frame, line, read_record
from tokenstream.relay.journal._errors import AnswerExpired

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.relay.journal._feed import Feed
    from tokenstream.turns import Drop

_MOST = 64 * 1024
"""The size in bytes from which on no further positions are added to a joined chunk."""
_PLAIN: dict[str, Callable[[int | None, bytes], bytes]] = {"tokenstream": frame, "ndjson": line}
"""Maps protocols that send records unchanged to the functions that frame a record."""


class Transcript:
    r"""The chunks of an answer, one for each position that the journal still holds.

    In protocols based on SSE, the last event of each chunk has the position as its id: a
    reader that reconnects can continue after this position.

    Args:
        feed: The feed that reads the records of the answer.
        protocol: The protocol's name.
        drop: Names of the kinds of content to leave out if the protocol cannot express them.

    Raises:
        AnswerExpired: The beginning of the answer was trimmed, and the protocol needs it.
        MisuseError: The protocol is unknown.
    """

    def __init__(self, feed: Feed, protocol: str, drop: Drop) -> None:
        # The answer has the same id in every process, so that a reader may reconnect to another process.
        body = BodyWriter(protocol, drop=drop, id=feed.id)
        self.headers = body.headers
        self.life = body.life
        self.retry = body.retry
        self.plain = _PLAIN.get(protocol)
        """The function that frames a record unchanged; None if the protocol encodes events differently."""
        self.error: StreamError | None = None
        """The error that ended the answer, if the protocol has no event for errors; else None."""
        self._feed = feed
        self._first = feed.first
        self._chunks: list[bytes] = []
        self._joined: tuple[int, int, bytes, int] = (0, 0, b"", 0)
        """The last chunk that was joined from several: the position after which it begins, the last position
        that was known then, its bytes, and the last position in it.
        """
        self._encode = self.plain or _Transcoder(body, self).chunk
        if self.plain is None and feed.first > 1:
            raise AnswerExpired(f"the beginning of the answer was trimmed, and {protocol!r} needs it")

    def take(self, after: int) -> tuple[bytes, int]:
        """Return the bytes that follow a position, and the last position that these bytes include.

        Args:
            after: The position. At least one record must follow it.
        """
        self._catch_up()
        at, end = after + 1 - self._first, self._first + len(self._chunks) - 1
        # `at` is the index of the next chunk; the common case is a reader that lacks only the last chunk.
        if after + 1 == end:
            return self._chunks[at], end
        if self._joined[:2] != (after, end):
            # Join chunks up to the index `upto`, until they are large enough.
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
            record: The event's JSON in the protocol "tokenstream".
        """
        return b"" if self.plain is None else self.plain(None, record)

    def trim(self, count: int) -> None:
        """Drop the oldest chunks.

        Args:
            count: The number of chunks to drop.
        """
        self._catch_up()
        del self._chunks[:count]
        self._first += count

    # -- within ----------------------------------------------------------------

    def _catch_up(self) -> None:
        """Encode the records that were not encoded yet."""
        records, held, at = self._feed.records, self._chunks, self._feed.first
        encode = self._encode
        while len(held) < len(records):
            position = at + len(held)
            held.append(encode(position, records[len(held)]))


class _Transcoder:
    """Decodes records, and encodes their events in another protocol.

    Args:
        body: Encodes the events.
        transcript: The transcript whose `error` is set if the protocol cannot express the error.
    """

    def __init__(self, body: BodyWriter, transcript: Transcript) -> None:
        self._body = body
        self._transcript = transcript
        self._decoder = Decoder("tokenstream")
        self._has_ids = body.headers["content-type"].startswith("text/event-stream")

    def chunk(self, position: int, record: bytes) -> bytes:
        """Return the bytes for a record; empty if the protocol sends nothing for it."""
        events = self._decoder.feed(frame(position, record))
        chunk = b"".join(self._body.feed(events) + self._encode_end(record))
        if chunk and self._has_ids:
            # The id is inserted before the blank line that ends the last event.
            return b"%bid: %d\n\n" % (chunk[:-1], position)
        return chunk

    def _encode_end(self, record: bytes) -> list[bytes]:
        """Return the chunks that end the answer, if this is its last record."""
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
