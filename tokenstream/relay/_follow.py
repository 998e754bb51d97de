"""Answers of a journal over ASGI: followed from a position, or started and followed at once."""

from __future__ import annotations

import math
import secrets
from functools import partial
from typing import TYPE_CHECKING

from tokenstream.errors import StreamError
from tokenstream.relay._delivery import Pace
from tokenstream.relay._opening import refusal_of
from tokenstream.relay._outlet import Outlet, Refusal, error_body
from tokenstream.relay._response import response
from tokenstream.relay._transcript import Transcript
from tokenstream.relay._writing import Body
from tokenstream.relay.journal._errors import JournalError, JournalUnavailable, UnknownPosition

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping
    from types import TracebackType

    from tokenstream.events import Event
    from tokenstream.relay._response import Response
    from tokenstream.relay._shape import Shape
    from tokenstream.relay.journal import Journal
    from tokenstream.relay.journal._journal import StopResult
    from tokenstream.turns import Drop

__all__ = ["StartOutlet", "follow", "position_of", "refused", "stop"]

_MOST_DIGITS = 15
"""Digits of a position; with more, a browser could not count it."""


class FollowOutlet(Outlet):
    """Gives an answer of a journal behind a position, in the bytes of a protocol.

    No queue grows for a slow reader: what has come meanwhile is the next chunk.

    Args:
        journal: The journal.
        id: The answer's id.
        last_event_id: The position that the reader has, as it says it; None for none.
        protocol: The protocol's name.
        owner: Whose the answer is.
        drop: What to leave out that the protocol has no place for.
    """

    def __init__(
        self,
        journal: Journal,
        id: str,
        last_event_id: str | int | None,
        *,
        protocol: str,
        owner: str | None,
        drop: Drop = "all",
    ) -> None:
        body = Body(protocol, drop=drop)
        self.id = id
        self.headers: Mapping[str, str] = body.headers
        self.life = body.life
        self.journal = journal
        self.owner = owner
        self._retry = body.retry
        self._key = (protocol, drop if isinstance(drop, str) else frozenset(drop))
        self._make = partial(Transcript, protocol=protocol, drop=drop)
        self._said = last_event_id
        self._has_begun = False

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._has_begun:
            self._follower.close()

    async def open(self) -> Refusal | None:
        try:
            after = position_of(self._said)
            follower = self.journal.follow(self.id, after=after, owner=self.owner)
            feed = await follower.open()
            self._transcript = feed.shared(self._key, self._make)
        except JournalError as error:
            return refused(error, self._retry)
        self._follower, self._has_begun = follower, True
        # The head is sent at once: there is an answer, though nothing new of it may come for long.
        live = follower.live_after
        self._first = b""
        if after < live:
            self._first = self._transcript.control(b'{"type":"live","at":%d}' % live)
        elif follower.has_all:
            return Refusal(204, b"", late=b"")
        self._is_first = True
        return None

    async def __anext__(self) -> bytes:
        if self._is_first:
            self._is_first = False
            return self._first
        follower, chunk = self._follower, b""
        while not chunk:
            if not await self._more():
                if self._transcript.error is not None:
                    raise self._transcript.error.with_traceback(None)
                raise StopAsyncIteration
            chunk, follower.position = self._transcript.take(follower.position)
        return chunk

    async def _more(self) -> bool:
        """Wait for more; False at the end, and where the reader is to ask again and hear why."""
        try:
            return await self._follower.more()
        except JournalError:
            return False

    def stop(self, reason: str) -> bool:
        # That a reader has gone is nothing to the answer.
        return False

    def parting(self) -> bytes:
        return self._retry


class StartOutlet(FollowOutlet):
    """Starts an answer, and gives it from its beginning.

    Args:
        stream: The answer.
        journal: The journal.
        id: The answer's id; None for one that nobody can guess.
        protocol: The protocol's name.
        owner: Whose the answer is.
        raw: Whether the provider's own ids, payloads and words are written, too.
        shape: Shapes the text of each text part before it is written.
        drop: What to leave out that the protocol has no place for.
    """

    def __init__(
        self,
        stream: AsyncIterable[Event],
        journal: Journal,
        id: str | None,
        *,
        protocol: str,
        owner: str | None,
        raw: bool = False,
        shape: Shape | None = None,
        drop: Drop = "all",
    ) -> None:
        id = secrets.token_urlsafe(24) if id is None else id
        super().__init__(journal, id, None, protocol=protocol, owner=owner, drop=drop)
        self._stream = stream
        self._raw = raw
        self._shape = shape
        self._late = Body(protocol, drop=drop)

    async def open(self) -> Refusal | None:
        try:
            await self.journal.start(
                self._stream,
                id=self.id,
                owner=self.owner,
                open_within=math.inf,
                raw=self._raw,
                shape=self._shape,
            )
        except StreamError as error:
            return refusal_of(error, b"".join(self._late.fail(error) or []) or None)
        except JournalError as error:
            return refused(error, self._retry)
        return await super().open()


def position_of(said: str | int | None) -> int:
    """Return the position that a reader says it has.

    Args:
        said: The header `Last-Event-ID`; None or empty where there is none.

    Raises:
        UnknownPosition: It is no position.

    Example:
        >>> position_of(None), position_of("17")
        (0, 17)
    """
    if isinstance(said, int):
        return said
    if not said:
        return 0
    if len(said) > _MOST_DIGITS or not (said.isascii() and said.isdigit()):
        raise UnknownPosition("Last-Event-ID is no position of an answer: a whole number was expected")
    return int(said)


def refused(error: JournalError, late: bytes = b"") -> Refusal:
    """Return the response in place of an answer that a journal does not give.

    Args:
        error: Why.
        late: What is sent where the head was sent already.
    """
    away = isinstance(error, JournalUnavailable)
    body = error_body(_TYPES[error.status], str(error), retryable=away)
    return Refusal(error.status, body, {"retry-after": "1"} if away else {}, late=late)


_TYPES = {
    400: "unknown_position",
    404: "unknown_answer",
    410: "answer_expired",
    500: "journal",
    503: "journal_unavailable",
}


def follow(
    journal: Journal,
    id: str,
    last_event_id: str | int | None = None,
    *,
    protocol: str = "tokenstream",
    owner: str | None = None,
    keep_alive: float | None = 10.0,
    headers: Mapping[str, str] | None = None,
    drop: Drop = "all",
) -> Response:
    """Return the response that sends an answer of a journal, from a position on and to its end.

    A reader that leaves stops nothing: it comes back with its last position, in the
    header `Last-Event-ID`, and misses nothing. The status is 204 where it has all of
    an answer that is over, 404 where there is no such answer or it is another owner's,
    410 where what comes next was trimmed or has expired, 400 where the position is
    none, and 503 where the journal cannot be used now.

    Args:
        journal: The journal.
        id: The answer's id.
        last_event_id: The header `Last-Event-ID` as it came; None for the beginning.
        protocol: The name of the protocol in which it is sent.
        owner: Whose the answer is: an id is no credential.
        keep_alive: Seconds of silence between signs of life; None for none.
        headers: Headers beside those of the protocol, or in their place.
        drop: What to leave out that the protocol has no place for: names of kinds, or "all".

    Raises:
        MisuseError: There is no such protocol.

    Example:
        >>> from tokenstream.relay.journal import MemoryJournal
        >>> journal = MemoryJournal()
        >>> async def endpoint(id: str, last_event_id: str | None) -> Response:
        ...     return follow(journal, id, last_event_id, protocol="ui-message")
    """
    outlet = FollowOutlet(journal, id, last_event_id, protocol=protocol, owner=owner, drop=drop)
    return response(outlet, pace=Pace(None, keep_alive), headers=headers)


async def stop(
    journal: Journal, id: str, *, owner: str | None = None, reason: str = "stopped by its reader"
) -> StopResult:
    """Stop an answer of a journal, whichever process produces it: `Journal.stop`.

    Args:
        journal: The journal.
        id: The answer's id.
        owner: Whose the answer is.
        reason: Why.

    Raises:
        JournalUnavailable: The storage is out of reach.
    """
    return await journal.stop(id, owner=owner, reason=reason)
