"""Responses with an answer of a journal, followed from a position."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream.errors import MisuseError
from tokenstream.relay._asgi.delivery import TIMING, Outlet, Timing, check_timing
from tokenstream.relay._asgi.response import make_response
from tokenstream.relay._asgi.transcript import Transcript
from tokenstream.relay._attribution import ServedAnswer, make_answer_id
from tokenstream.relay._incident import Incident
from tokenstream.relay._sending import Sending
from tokenstream.relay.journal._bounds import check_owner
from tokenstream.relay.journal._errors import JournalError, judge_failure
from tokenstream.relay.journal._journal import Journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from tokenstream.relay._asgi.asking import AskedPosition
    from tokenstream.relay._asgi.response_type import StarletteResponse
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._protocols import HeaderFields
    from tokenstream.relay.journal._journal import StopResult

_MAX_DIGITS = 15
"""The maximum number of digits in a position; JavaScript cannot represent longer numbers exactly."""
_HAS_ALL = Incident("ended", "reader", 204, "")
"""The record of a reader that has all of an answer."""


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
        self._refusal: Incident | None = None
        """The response to send instead, if the request alone shows that the answer cannot be sent."""
        self._has_begun = False
        """True once `open` has begun to follow the answer."""

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
        return self._transcript.break_off() if has_failed else None

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
    headers: Mapping[str, str] | None = None,
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
    503  the journal cannot be used now
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
