"""Transcripts: a transcript is an answer of a journal in one protocol, encoded once for all its readers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenstream._pipeline.decoder import Decoder
from tokenstream.formats._wire.tokenstream.words import End
from tokenstream.relay._encoders.tokenstream import frame, read_record
from tokenstream.relay._sending import Sending
from tokenstream.relay.journal._errors import JournalError
from tokenstream.relay.journal._records import record_interruption

if TYPE_CHECKING:
    from tokenstream.relay.journal._feed import Feed

_MAX_JOINED = 64 * 1024
"""The size in bytes from which on no further positions are added to a joined chunk."""


class Transcript:
    r"""The chunks of an answer, one for each position that the journal still holds.

    In protocols based on SSE, the last event of each chunk has the position as its id: a
    reader that reconnects can continue after this position.

    Raises:
        JournalError: The beginning of the answer was trimmed, and the protocol needs it.
    """

    def __init__(self, feed: Feed, protocol: str) -> None:
        # The answer has the same id in every process, so that a reader may reconnect to another process.
        body = Sending(protocol, id=feed.id, is_followed=True)
        self.frame_record = body.frame_record
        self._answer_key = b',"answer":%b' % json.dumps(feed.id).encode()
        """The JSON member with the answer's id, which `frame_live` adds to the first event of a response."""
        self._feed = feed
        self._first = feed.first
        self._chunks: list[bytes] = []
        """The bytes of each record, from the record at position `_first` on."""
        self._joined_range = (0, 0)
        """For the last chunk that was joined from several: the position after which it begins, and the last
        position that was known then.
        """
        self._joined: tuple[bytes, int] = (b"", 0)
        """The last chunk that was joined from several: its bytes, and the last position in it."""
        self._transcoder = _Transcoder(body)
        self._encode = self.frame_record or self._transcoder.encode_record
        self._last_event: bytes | None = None
        """The error event after the last chunk, if the journal failed before the answer's end; else None."""
        if self.frame_record is None and feed.first > 1:
            raise JournalError(
                f"the beginning of the answer was trimmed, and {protocol!r} needs it", kind="answer_expired"
            )

    def chunk_after(self, after: int) -> tuple[bytes, int]:
        """Return the bytes of the records after a position, at least one, and the last position in them."""
        chunks = self._chunks
        if len(chunks) < len(self._feed.records):
            # The first of the readers of a record encodes it.
            self._catch_up()
        last_position = self._first + len(chunks) - 1
        # The common case is a reader that lacks only the last chunk.
        if after + 1 == last_position:
            return chunks[-1], last_position
        # Readers at the same position share the joined bytes.
        if self._joined_range != (after, last_position):
            first_index = after + 1 - self._first
            size, end_index = 0, first_index
            while end_index < len(chunks) and size < _MAX_JOINED:
                size += len(chunks[end_index])
                end_index += 1
            joined = b"".join(chunks[first_index:end_index])
            self._joined_range = (after, last_position)
            self._joined = joined, self._first + end_index - 1
        return self._joined

    def frame_live(self, live_after: int) -> bytes:
        """Return the bytes of an event that is not part of the answer: it says which records are replayed.

        For example, `{"type":"live","at":17,"answer":"7Jx"}` tells a reader that the records up to
        position 17 existed before the reader connected, that those after it are new, and the answer's id.
        A protocol without such events has b"".
        """
        if self.frame_record is None:
            return b""
        return self.frame_record(None, b'{"type":"live","at":%d%b}' % (live_after, self._answer_key))

    def break_off(self) -> bytes:
        """Return the error event to send after the last record, because the journal has failed.

        The event has no position, so that a reader can continue after the last record that it has.
        """
        if self._last_event is None:
            # The encoder needs every record before the error.
            self._catch_up()
            record = record_interruption("the journal of this answer cannot be used now")
            self._last_event = (
                self._transcoder.encode_end(record)
                if self.frame_record is None
                else self.frame_record(None, record)
            )
        return self._last_event

    def trim(self, count: int) -> None:
        # The encoder needs each record once, even those whose chunks are dropped.
        self._catch_up()
        del self._chunks[:count]
        self._first += count

    # -- within ----------------------------------------------------------------

    def _catch_up(self) -> None:
        """Encode the records that were not encoded yet."""
        # Both lists begin at the same position, because the feed trims them together.
        records, chunks, first = self._feed.records, self._chunks, self._feed.first
        if not chunks and first == 1 and records and self.frame_record is not None:
            # In our own protocols, the first event also tells the answer's id: one more member of the JSON
            # object, before the closing brace.
            chunks.append(self.frame_record(1, records[0][:-1] + self._answer_key + b"}"))
        for index in range(len(chunks), len(records)):
            chunks.append(self._encode(first + index, records[index]))


class _Transcoder:
    """Turns records, which are in the protocol "tokenstream", into the bytes of another protocol."""

    def __init__(self, body: Sending) -> None:
        self._body = body
        self._decoder: Decoder | None = None
        """Reads the records; None before the first one."""
        self._has_ids = body.protocol.media_type.startswith("text/event-stream")
        """True if the protocol is sent as SSE events, each of which gets its record's position as id."""

    def encode_record(self, position: int, record: bytes) -> bytes:
        """Return the bytes for a record; empty if the protocol sends nothing for it."""
        if self._decoder is None:
            self._decoder = Decoder("tokenstream")
        events = self._decoder.feed(frame(None, record))
        chunk = b"".join(self._body.encode_events(events)) + self.encode_end(record)
        if chunk and self._has_ids:
            # The id is inserted before the blank line that ends the last event.
            return b"%bid: %d\n\n" % (chunk[:-1], position)
        return chunk

    def encode_end(self, record: bytes) -> bytes:
        """Return the bytes that end the answer if the record is the last one; else b""."""
        # Most records are not the last, and their first bytes show that without decoding.
        if not record.startswith((b'{"type":"end"', b'{"type":"error"')):
            return b""
        end = read_record(record)
        if not isinstance(end, End):
            return b""
        if end.error is None:
            return b"".join(self._body.encode_end(end.ending))
        return b"".join(self._body.encode_error(end.error))
