"""Responses with an answer of a journal, followed from a position, in bytes that its readers share."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream._pipeline.decoder import Decoder
from tokenstream.errors import MisuseError
from tokenstream.formats._wire.tokenstream.words import End
from tokenstream.relay._asgi.delivery import TIMING, Outlet, Timing, check_timing
from tokenstream.relay._asgi.response import make_response
from tokenstream.relay._attribution import ServedAnswer, make_answer_id
from tokenstream.relay._encoders.tokenstream import frame, read_record
from tokenstream.relay._incident import Incident
from tokenstream.relay._sending import Sending
from tokenstream.relay.journal._bounds import check_owner
from tokenstream.relay.journal._errors import JournalError, judge_failure
from tokenstream.relay.journal._journal import Journal, StopResult
from tokenstream.relay.journal._records import record_interruption

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tokenstream._basics.waits import HeaderFields
    from tokenstream.relay._asgi.asking import AskedPosition
    from tokenstream.relay._asgi.response_type import StarletteResponse
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay.journal._feed import Feed

_MAX_DIGITS = 15
"""The maximum number of digits in a position; JavaScript cannot represent longer numbers exactly."""
_HAS_ALL = Incident("ended", "reader", 204, "")

_MAX_JOINED = 64 * 1024
"""The size in bytes from which on no further positions are added to a joined chunk."""


class FollowOutlet(Outlet):
    """Supplies one reader with an answer of a journal, from a position on, in the bytes of a protocol.

    No queue grows for a slow reader: everything that arrives during a send forms the next chunk.

    The arguments and errors are those of `relay.follow`.
    """

    def __init__(
        self, journal: Journal, id: str, last_event_id: str | int | None, *, protocol: str, owner: str | None
    ) -> None:
        check_journal(journal)
        check_owner(owner)
        # A reader that is refused gets another id, as this one may be that of another owner's answer.
        super().__init__(Sending(protocol), ServedAnswer(make_answer_id(), owner=owner, asked_id=id), id)
        self.id = id
        self.journal = journal
        self.owner = owner
        self._protocol = protocol
        self._last_event_id = last_event_id
        self._is_own = False
        """True if the answer was started for this reader, so that none of its events is a replay."""
        self._has_begun = False

    @property
    def answer_id(self) -> str | None:
        return self.id

    async def __aexit__(self, *error: object) -> None:
        # The follower exists only once `open` has succeeded.
        if self._has_begun:
            self._follower.close()

    async def prepare(self, asked: AskedPosition) -> HeaderFields:
        """Prepare a refusal if the request names another answer than this outlet follows."""
        if asked.id is not None and asked.id != self.id:
            self._refusal = judge_failure(JournalError("no answer has this id", kind="unknown_answer"))
        return {}

    async def open(self) -> Incident | None:
        """Begin to follow the answer; return a refusal if that fails, or if the reader has all of it."""
        if self._refusal is not None:
            return self._refusal
        try:
            after = parse_position(self._last_event_id)
            follower = self.journal.follow(self.id, after=after, owner=self.owner)
            self._feed = await follower.open()
            # The answer in the bytes of this protocol, made once for all readers in this process.
            make = partial(Transcript, protocol=self._protocol)
            self._transcript = self._feed.get_product(self._protocol, make)
        except JournalError as error:
            return judge_failure(error)
        self._follower, self._has_begun = follower, True
        self.served.keep(self.id)
        if follower.has_all:
            # A browser's EventSource does not reconnect after this status.
            return _HAS_ALL
        # The head is sent at once: the answer exists, although its next record may arrive much later.
        self.first_chunk = b""
        live_after = follower.live_after
        has_earlier_records = bool(after or live_after)
        if has_earlier_records and not self._is_own:
            # Report to the reader up to which position the records are replayed, and which answer it gets.
            self.first_chunk = self._transcript.frame_live(live_after)
        return None

    async def open_head(self) -> Incident | None:
        """Find the answer, so that the head has the status that a GET request would get."""
        return await self.open()

    def next(self) -> Awaitable[None]:
        feed = self._feed
        return feed.changes.wait() if self._follower.has_more(feed) is None else checkpoint()

    def encode(self, arrived: None) -> bytes | None:
        follower = self._follower
        has_more = follower.has_more(self._feed)
        if has_more:
            chunk, follower.position = self._transcript.chunk_after(follower.position)
            return chunk or None
        if has_more is None:
            return None
        raise StopAsyncIteration

    def encode_end(self, error: Exception) -> bytes | None:
        """Return the bytes with which the response ends because of an error of the journal.

        If the storage has failed, they are an error event, so that the reader does not reconnect: a full
        storage can still be read, so each new request would get the same records and fail again. Any other
        error of the journal only ends the response. The reader then reconnects, perhaps to another server; if
        the error persists, the new response has its status.
        """
        if not isinstance(error, (StopAsyncIteration, JournalError)):
            raise error
        self.has_ended = True
        has_failed = isinstance(error, JournalError) and error.kind == "unavailable"
        return self._transcript.failure if has_failed else None

    def stop(self, reason: str) -> bool:
        """Return False, which means that the answer was not stopped: it goes on without this reader."""
        return False

    def take_drain(self, seconds: float | None) -> None:
        self.journal.take_drain(seconds)

    async def run_out(self) -> None:
        await self.journal.run_out()

    def shutdown_chunk(self) -> bytes:
        """Return the bytes of an instruction to reconnect, since the answer goes on without this response."""
        return self.writer.protocol.retry


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
        self._chunks: list[bytes] = []
        self._joined_range = (0, 0)
        """For the last chunk that was joined from several: the position after which it begins, and the last
        position that was known then.
        """
        self._joined: tuple[bytes, int] = (b"", 0)
        """The last chunk that was joined from several: its bytes, and the last position in it."""
        self._body = body
        if self.frame_record is None and feed.first > 1:
            raise JournalError(
                f"the beginning of the answer was trimmed, and {protocol!r} needs it", kind="answer_expired"
            )

    def chunk_after(self, after: int) -> tuple[bytes, int]:
        """Return the bytes of the records after a position, at least one, and the last position in them."""
        chunks, first = self._chunks, self._feed.first
        if len(chunks) < len(self._feed.records):
            # The first of the readers of a record encodes it.
            self._catch_up()
        last_position = first + len(chunks) - 1
        # The common case is a reader that lacks only the last chunk.
        if after + 1 == last_position:
            return chunks[-1], last_position
        # Readers at the same position share the joined bytes.
        if self._joined_range != (after, last_position):
            first_index = after + 1 - first
            size, end_index = 0, first_index
            while end_index < len(chunks) and size < _MAX_JOINED:
                size += len(chunks[end_index])
                end_index += 1
            joined = b"".join(chunks[first_index:end_index])
            self._joined_range = (after, last_position)
            self._joined = joined, first + end_index - 1
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

    @cached_property
    def failure(self) -> bytes:
        """The error event to send after the last record, because the journal has failed.

        The event has no position, so that a reader can continue after the last record that it has.
        """
        # The encoder needs every record before the error.
        self._catch_up()
        record = record_interruption("the journal of this answer cannot be used now")
        return self._encode_end(record) if self.frame_record is None else self.frame_record(None, record)

    def trim(self, count: int) -> None:
        # The encoder needs each record once, even those whose chunks are dropped.
        self._catch_up()
        del self._chunks[:count]

    # -- within ----------------------------------------------------------------

    def _catch_up(self) -> None:
        # Both lists begin at the same position, because the feed trims them together.
        records, chunks, first = self._feed.records, self._chunks, self._feed.first
        if not chunks and first == 1 and records and self.frame_record is not None:
            # In our own protocols, the first event also tells the answer's id: one more member of the JSON
            # object, before the closing brace.
            chunks.append(self.frame_record(1, records[0][:-1] + self._answer_key + b"}"))
        encode = self.frame_record or self._encode_record
        for index in range(len(chunks), len(records)):
            chunks.append(encode(first + index, records[index]))

    @cached_property
    def _decoder(self) -> Decoder:
        """Reads the records, which another protocol does not send as they are."""
        return Decoder("tokenstream")

    def _encode_record(self, position: int, record: bytes) -> bytes:
        """Return the bytes for a record in another protocol; empty if it sends nothing for the record."""
        events = self._decoder.feed(frame(None, record))
        chunk = b"".join(self._body.encode_events(events)) + self._encode_end(record)
        # Each SSE event gets its record's position as id.
        if chunk and self._body.protocol.media_type.startswith("text/event-stream"):
            # The id is inserted before the blank line that ends the last event.
            return b"%bid: %d\n\n" % (chunk[:-1], position)
        return chunk

    def _encode_end(self, record: bytes) -> bytes:
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


def check_journal(journal: object) -> None:
    if not isinstance(journal, Journal):
        hint = "relay.MemoryJournal(), or relay.RedisJournal(Redis.from_url(…))"
        raise MisuseError(f"journal= is a journal, such as {hint}, and not {type(journal).__name__}")


def parse_position(value: str | int | None) -> int:
    """Parse the position, or the header `Last-Event-ID`, that a reader has sent; 0 if there is none."""
    if isinstance(value, int):
        return value
    if not value:
        return 0
    if len(value) > _MAX_DIGITS or not (value.isascii() and value.isdigit()):
        raise JournalError(
            "Last-Event-ID is not a position of an answer: a whole number was expected",
            kind="unknown_position",
        )
    return int(value)


@explain_options(**OF_RELAY)
def follow(
    journal: Journal,
    id: str,
    last_event_id: str | int | None = None,
    *,
    protocol: ProtocolName = "tokenstream",
    owner: str | None = None,
    headers: HeaderFields | None = None,
    timing: Timing = TIMING,
) -> StarletteResponse:
    """Return the response that sends a journal's answer, from a position to its end.

    A reader that disconnects stops nothing: it reconnects with its last position in the
    header `Last-Event-ID`, and misses nothing. The statuses besides 200 are:

    ===  =============================================================
    204  the answer has ended, and the reader has all of it
    400  the answer has no such position
    404  the answer does not exist, or belongs to another owner
    410  the next records were trimmed, or the answer has expired
    503  the journal is unavailable now
    ===  =============================================================

    Args:
        id: The answer's id.
        last_event_id: The header `Last-Event-ID` as received; None for the beginning.
        protocol: The name of the protocol in which to send the answer.
        owner: The answer's owner; an id alone is not a credential. None if the answer has no owner.
        headers: Headers that extend or replace the headers of the protocol; None for no others.
        timing: The times for heartbeats, and for a reader that does not read.

    Raises:
        MisuseError: The protocol is unknown; `journal` is no journal; or `owner` is no text.

    Example:
        >>> from tokenstream.relay.journal import MemoryJournal
        >>> journal = MemoryJournal()
        >>> async def endpoint(id: str, last_event_id: str | None) -> object:
        ...     return follow(journal, id, last_event_id, protocol="ui-message")
    """
    outlet = FollowOutlet(journal, id, last_event_id, protocol=protocol, owner=owner)
    # The head is sent as soon as the answer is found, and the answer goes on without this reader.
    timing = replace(check_timing(timing), open_within=None, grace=0.0)
    return make_response(outlet, timing=timing, headers=headers)


async def stop(
    journal: Journal, id: str, *, owner: str | None = None, reason: str = "stopped by its reader"
) -> StopResult:
    """Stop an answer of a journal, whichever process produces it, as `Journal.stop` does.

    Args:
        id: The answer's id.
        owner: The answer's owner; None if it has none.
        reason: The reason, which is sent to the answer's readers.

    Returns:
        "stopped"; "ended" if the answer had ended before; "unknown" if the answer does not exist, or belongs
        to another owner.

    Raises:
        JournalError: The storage is unreachable.
        MisuseError: `journal` is no journal, or `owner` is no text.
    """
    check_journal(journal)
    return await journal.stop(id, owner=owner, reason=reason)
