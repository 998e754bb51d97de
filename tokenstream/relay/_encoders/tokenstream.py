"""Encoders for the protocols `tokenstream` and `ndjson`: this library's events, as SSE or as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, get_args

from tokenstream._message_parts import COUNTS
from tokenstream.errors import ProviderError
from tokenstream.events import Finish, Ping
from tokenstream.message import FinishReason
from tokenstream.relay._encoders.encoder import Encoder
from tokenstream.relay._encoders.records import (
    end_record,
    error_record,
    frame,
    is_recorded,
    line,
    record,
    record_piece,
)
from tokenstream.turns import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind, StreamError
    from tokenstream.events import Event
    from tokenstream.message import Ending
    from tokenstream.turns import Drop


class TokenStreamEncoder(Encoder):
    """Encodes an answer as this library's own events, each in one SSE event.

    Args:
        drop: Without effect: the protocol can express everything.
        ids: True to number the events, from 1.
        raw: True to include the provider's ids, payloads and unknown fields.
    """

    name: ClassVar[str] = "tokenstream"
    expresses: ClassVar[frozenset[Kind]] = frozenset(get_args(Kind))
    counts: ClassVar[frozenset[str]] = frozenset(COUNTS)
    words: ClassVar[Mapping[FinishReason, str]] = {word: word for word in get_args(FinishReason)}
    choices: ClassVar[bool] = True
    frame_record = staticmethod(frame)
    """The function that returns a record as a chunk, with its position if that is not None."""

    def __init__(self, *, drop: Drop = (), ids: bool = False, raw: bool = False) -> None:
        super().__init__(drop=drop)
        self.raw = raw
        self.position: int | None = 0 if ids else None
        """The id of the last event; None if events are not numbered."""
        self._end_sent = False

    def feed(self, event: Event, *, now: float = 0.0) -> list[bytes]:
        """Return the chunk of an event, in a list; no chunk for an event that the protocol does not send."""
        if event.__class__ is Ping:
            # A heartbeat is not part of the answer, so it gets no number.
            return [self.frame_record(None, record(event))]
        if isinstance(event, Finish):
            # `end` takes an answer for complete only if it has a finish.
            self.finishes[event.choice] = event
        event_record = record(event, raw=self.raw)
        if event_record:
            return [self._frame_next(event_record)]
        if not is_recorded(event):
            self.lose(event)
        return []

    def encode_later_piece(self, event: Event) -> bytes | None:
        """Return the chunk of a piece of a part; None for any other event, or if no template fits."""
        piece = None if self.raw else record_piece(event)
        return None if piece is None else self._frame_next(piece)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Return the chunks that end the answer; none without a `Finish`, or if the end was sent already."""
        return self.conclude("complete") if self.finishes else []

    def conclude(self, ending: Ending, error: StreamError | None = None) -> list[bytes]:
        """Return the last record, but only once: a later call returns no chunks.

        Args:
            ending: The ending of the answer.
            error: The error that ended the answer; None if there was none.
        """
        if self._end_sent:
            return []
        self._end_sent = True
        last = end_record(ending) if error is None else error_record(error, raw=self.raw, ending=ending)
        return [self._frame_next(last)]

    def failure(self, kind: ErrorKind, message: str | None = None, *, code: str | None = None) -> list[bytes]:
        """Return the last record of an answer that failed with an error of the provider.

        No chunks are returned if a last record was returned before.
        """
        if self._end_sent:
            return []
        self._end_sent = True
        error = ProviderError(message or "", kind=kind, code=code)
        # `raw` sends the message: the caller has passed it for the reader.
        return [self._frame_next(error_record(error, raw=message is not None))]

    def _frame_next(self, record: bytes) -> bytes:
        """Return a record as a chunk, with the next number if records are numbered."""
        if self.position is not None:
            self.position += 1
        return self.frame_record(self.position, record)


class NDJSONEncoder(TokenStreamEncoder):
    """Encodes an answer as this library's own events, each in one JSON line."""

    name: ClassVar[str] = "ndjson"
    content_type: ClassVar[str] = "application/x-ndjson"
    # Readers of other protocols with JSON lines fail on an empty line.
    heartbeat: ClassVar[bytes] = b"\n"
    has_ids: ClassVar[bool] = True
    frame_record = staticmethod(line)
