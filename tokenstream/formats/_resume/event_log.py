"""The events of an answer as they were read, by which a replay on another connection is recognized."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream.errors import PositionLost
from tokenstream.formats._detect.payloads import PING_NAMES, event_in, payload_of
from tokenstream.formats._kit.errors import is_aside, provider_error
from tokenstream.formats._resume.described import (
    Description,
    Ids,
    LoggedEvent,
    answer_of,
    decode_payload,
    digest_bytes,
    digest_of,
    item_of,
    key_of,
    size_of,
)
from tokenstream.framing._frames import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._base import Format, Frame
    from tokenstream.formats._resume.described import EventKey

MOST_BYTES = 1 << 20
"""Bytes of payloads that are kept as they are; older ones are kept as digests of 8 bytes."""
MOST_EVENTS = 16_384
"""Events that are kept at all; with some 200 bytes for each digest and its key, they take at most 4 MB."""
MOST_SAVED = 64
"""Number of events, the last ones, that a checkpoint remembers."""
_UNKNOWN = b""
"""The digest of an event of which only the number or id is known."""


class EventLog:
    """Remembers the events of an answer, and drops those that another connection repeats.

    While the first connection is read, events are only collected. When another one is to go on with the
    answer, `begin_replay` is called; from then on, each event is compared with the log:

    1. If an event names another answer or item, the server sends another answer: raise `PositionLost`.
    2. The first event decides where the replay begins: at the known event with the same number or id; or, if
       there is none, after the last known event.
    3. Until the replay has passed the last known event, each event must be the next one of the log, with
       the same number or id and the same content.
    4. Later, a number or id that is known is a repetition if its content is the same. If the numbers had no
       gaps before, they must have none later.

    Example:
        >>> from tokenstream.formats._wire.openai_chat import OpenAIChat
        >>> events = [ServerSentEvent(id.encode(), id=id) for id in "xyz"]
        >>> log = EventLog()
        >>> format = OpenAIChat()
        >>> [log.check_or_add(event, format) for event in events[:2]]
        [False, False]
        >>> log.begin_replay(format)
        >>> [log.check_or_add(event, format) for event in events]
        [True, True, False]
    """

    def __init__(self) -> None:
        # Events that are only collected.
        self._pending: deque[Frame] = deque()
        """Events that were read, and that are not described yet."""
        self._bytes = 0
        """The size of the payloads in `_pending`, in bytes."""
        self._format: Format | None = None
        """The format, which knows the positions in the payloads; None while no frame has revealed it."""
        # The log.
        self._entries: list[LoggedEvent] = []
        self._index: dict[int | str, int] = {}
        """Maps each number or id to the index in `_entries` of the first event that has it."""
        self._first_key: EventKey = None
        """The number or id of the answer's first event, which is never forgotten."""
        self._was_trimmed = False
        """True once the oldest events were forgotten."""
        # The ids that events name.
        self._ids = Ids()
        """The ids of earlier connections, with which a connection's events are compared."""
        self._new_ids = Ids()
        """The ids of this connection's new events."""
        # The server's way of numbering events.
        self._last_key: EventKey = None
        """The SSE id of this connection's last event, which an event without an id has, too."""
        self._last_number: int | None = None
        self._gapless: bool | None = None
        """True if each number so far was one higher than the one before; None with less than two numbers."""
        self._shares_keys = False
        """True if several events had the same id: an SSE event without an id has that of the event before."""
        self._skips_ids = False
        """True if the SSE ids, as opposed to numbers in payloads, may have gaps."""
        # The replay.
        self._from_start = False
        """True once a replay has begun at the answer's first event, which is no longer in the log."""
        self._next: int | None = None
        """The log's index of a replay's next event; None until a connection's first event has decided it."""
        self._is_replayed = False
        """True once another connection goes on with the answer."""

    @classmethod
    def restore(cls, saved: JsonObject | None, format: Format, answer: str | None) -> EventLog:
        """Return a log for a stream that goes on from a checkpoint; without a saved one, ask the format.

        A value that `save` has not returned raises a `LookupError`, a `TypeError` or a `ValueError`.
        """
        log = cls()
        if saved is None:
            seen = format.last_positions or ([] if format.position is None else [format.position])
            saved = {"seen": [[key, ""] for key in seen], "answers": [answer] if answer else []}
        for key, digest in saved["seen"]:
            log._append(Description(LoggedEvent(_checked_key(key), bytes.fromhex(digest)), is_numbered=True))
        # What is remembered may begin later than the answer did.
        log._was_trimmed = True
        log._first_key = _checked_key(saved.get("first"))
        log._gapless = saved.get("gapless")
        log._shares_keys = bool(saved.get("shares_keys"))
        log._new_ids = Ids.restore(saved)
        log.begin_replay(format)
        return log

    def save(self, format: Format | None) -> JsonObject:
        """Return the last events and the ids as JSON values, for a checkpoint."""
        self._format = format
        while self._pending:
            self._fold_one()
        ids = Ids()
        for each in (self._ids, self._new_ids):
            ids.add_all(each)
        return {
            "seen": [[entry.key, entry.digest.hex()] for entry in self._entries[-MOST_SAVED:]],
            "first": self._first_key,
            "gapless": self._gapless,
            "shares_keys": self._shares_keys,
            "answers": sorted(ids.answers),
            "items": [*ids.items.items()][-MOST_SAVED:],
            "keeps_items": ids.keeps_items,
        }

    def begin_replay(self, format: Format | None, *, skips_ids: bool = False) -> None:
        """Expect a connection that goes on with the answer, from wherever its server begins.

        Without a format, only the ids of SSE events tell positions; with `skips_ids`, their gaps say nothing.
        """
        self._format = format
        self._skips_ids = skips_ids
        # From now on, events are compared with the log, so those that are only collected must be in it.
        while self._pending:
            self._fold_one()
        self._ids.add_all(self._new_ids)
        self._new_ids = Ids()
        self._next, self._from_start, self._is_replayed = None, False, True
        self._last_key = None

    def check_or_add(self, frame: Frame, format: Format | None) -> bool:
        """Return True if an event was read on an earlier connection; otherwise add it to the log.

        Events of the first connection wait undescribed for the format. Another answer, or a gap, raises
        `PositionLost`.
        """
        self._format = format
        if self._is_replayed:
            return self._check_repeated(frame)
        self._pending.append(frame)
        self._bytes += size_of(frame)
        while format is not None and (self._bytes > MOST_BYTES or len(self._pending) > MOST_EVENTS):
            self._fold_one()
        return False

    def _check_repeated(self, frame: Frame) -> bool:
        """Return True if an event was read before; otherwise add it to the log."""
        event = self._describe(frame)
        if not event.is_kept:
            # A heartbeat or an error is never a repetition. Once the replay is over, its number counts, since
            # the numbers of the events after it go on from there.
            if self._next == len(self._entries):
                self._count(event)
            return False
        if self._ids.differ(event):
            raise PositionLost("the server sends another answer than the one it was to go on with")
        if self._next is None:
            self._next = self._find_start(event.entry)
        repeated = self._match(event, self._next)
        if not repeated:
            self._append(event)
            self._next = len(self._entries)
        return repeated

    # -- comparing ---------------------------------------------------------

    def _find_start(self, entry: LoggedEvent) -> int | None:
        """Return the index in the log of an event with which a replay may begin.

        The result is the log's length if the event is new, and None if the event was forgotten, being older
        than the log. After None, the next event is looked up here, too. So `_from_start` is set if the event
        is the answer's first one: all events up to the first of the log were then read before.
        """
        key, end = entry.key, len(self._entries)
        if key is None:
            # The event follows the last one with an id, which the server was asked to go on after.
            tail = self._index_after_last_key()
            return tail if tail < end and _is_same_event(entry, self._entries[tail]) else end
        index = self._index.get(key)
        if index is not None:
            return index
        if isinstance(key, int) and self._last_number is not None:
            # Numbers have an order: a lower one that is not in the log was forgotten.
            is_forgotten = key < self._last_number
        else:
            # Ids have no order: one that is not in the log was forgotten if the server has begun at the first
            # event of all; otherwise, it is new.
            if self._was_trimmed and key == self._first_key:
                self._from_start = True
            is_forgotten = self._from_start
        return None if is_forgotten else end

    def _index_after_last_key(self) -> int:
        """Return the index of the event after the one with the newest number or id; 0 if no event has either.

        If several events have the newest id, since SSE events without ids have that of the event before,
        the first of them counts.
        """
        key = next((entry.key for entry in reversed(self._entries) if entry.key is not None), None)
        return 0 if key is None else self._index[key] + 1

    def _match(self, event: Description, expected: int | None) -> bool:
        """Compare an event with the log; return True if it is repeated, False if it is new.

        If the event is in the log, the event after it becomes the next one that is expected. An expected
        index that is the log's length means that all of the log was repeated; None, that the event is older
        than the log.
        """
        if expected is None:
            # The event was read, as were all events up to the first one that is remembered.
            return True
        if expected == len(self._entries):
            # The event is new, unless the server sends it a second time.
            if self._was_sent_twice(event):
                return True
            self._refuse_gap(event)
            return False
        is_expected = _is_same_event(event.entry, self._entries[expected])
        index = expected if is_expected else self._find_before(event.entry, expected)
        self._next = index + 1
        return True

    def _find_before(self, entry: LoggedEvent, expected: int) -> int:
        """Return the index of an event that is sent instead of the expected one, but is before it in the log.

        A server may go back, as when it sends what it has stored and then what is live; it must not skip an
        event.
        """
        index = None if entry.key is None else self._index.get(entry.key)
        if index is None or index >= expected or not _is_same_event(entry, self._entries[index]):
            raise _replay_error(entry, self._entries[expected])
        return index

    def _was_sent_twice(self, event: Description) -> bool:
        """Return True if an event after the replay has the number or id, and content, of one in the log."""
        key = event.entry.key
        index = None if key is None else self._index.get(key)
        if index is None:
            return self._is_forgotten(key)
        # An SSE event that was sent without an id has that of the event before it, so it may be new although
        # its id is known. On a server that does this, even equal content proves nothing.
        may_lack_id = not event.is_numbered and key == self._entries[-1].key
        if may_lack_id and self._shares_keys:
            return False
        if any(entry.key == key and _is_same_event(event.entry, entry) for entry in self._entries[index:]):
            return True
        if may_lack_id:
            return False
        raise _replay_error(event.entry, self._entries[index])

    def _is_forgotten(self, key: EventKey) -> bool:
        """Return True for the number of an event that was read, and is older than all that are remembered."""
        oldest = self._entries[0].key if self._was_trimmed and self._entries else None
        return isinstance(key, int) and isinstance(oldest, int) and key < oldest

    def _refuse_gap(self, event: Description) -> None:
        """Raise `PositionLost` if events before a new one are missing."""
        key, last = event.entry.key, self._last_number
        # If the numbers had gaps before, another gap proves nothing.
        if not isinstance(key, int) or last is None or not self._gapless:
            return
        may_skip = self._skips_ids and not event.is_numbered
        if key in (last, last + 1) or may_skip:
            return
        raise PositionLost(f"the server goes on at event {key}, but event {last + 1} is the next one")

    # -- describing --------------------------------------------------------

    def _fold_one(self) -> None:
        """Replace the oldest event in `_pending` by its digest in the log, which takes less memory."""
        frame = self._pending.popleft()
        self._bytes -= size_of(frame)
        event = self._describe(frame)
        if event.is_kept:
            self._append(event)
        else:
            self._count(event)

    def _count(self, event: Description) -> None:
        """Note the number of an event, and whether it follows the last one without a gap."""
        key = event.entry.key
        if not isinstance(key, int):
            return
        last, self._last_number = self._last_number, key
        # An SSE event without an id has that of the event before it. This is not a gap.
        lacks_id = not event.is_numbered and key == last
        if last is not None and not lacks_id:
            # Once there was a gap, `_gapless` stays False.
            self._gapless = key == last + 1 and self._gapless is not False

    def _append(self, event: Description) -> None:
        """Add a described event to the log; forget the oldest half if there are too many."""
        key = event.entry.key
        if not self._entries and not self._was_trimmed:
            self._first_key = key
        self._count(event)
        self._new_ids.add(event)
        if key is not None:
            self._shares_keys = self._shares_keys or key in self._index
            self._index.setdefault(key, len(self._entries))
        self._entries.append(event.entry)
        if len(self._entries) > MOST_EVENTS:
            del self._entries[: MOST_EVENTS // 2]
            self._was_trimmed = True
            self._index = {}
            for index, entry in enumerate(self._entries):
                if entry.key is not None:
                    self._index.setdefault(entry.key, index)

    def _describe(self, frame: Frame) -> Description:
        """Return an event's number or id, its digest, and the ids of the answer and item that it names."""
        name, payload, last_key = event_in(frame), payload_of(frame), self._last_key
        key = key_of(frame.id) if isinstance(frame, ServerSentEvent) else None
        self._last_key = key
        data = decode_payload(payload)
        if not is_dict(data):
            raw = payload if isinstance(payload, bytes) else repr(payload).encode()
            is_heartbeat = name in PING_NAMES or not raw.strip()
            return Description(LoggedEvent(key, digest_bytes(raw)), is_kept=not is_heartbeat)
        position = None if self._format is None else self._format.position_of(data)
        if isinstance(position, str):
            position = key_of(position)
        entry = LoggedEvent(key if position is None else position, digest_of(data, name))
        has_place = position is not None or key not in (None, last_key)
        return Description(
            entry,
            is_numbered=position is not None,
            answer=answer_of(data),
            item=item_of(data),
            is_kept=not self._is_of_connection(data, name, has_place=has_place),
        )

    def _is_of_connection(self, payload: JsonObject, name: str, *, has_place: bool) -> bool:
        """Return True for a heartbeat, a provider's error, or an unknown event without a place."""
        if name in PING_NAMES or text_of(payload, "type") in PING_NAMES:
            return True
        if not has_place and self._format is not None:
            known = self._format.recognises(payload, name)
            if known is False or (known is None and self._format.position is not None):
                return True
        is_tolerated = self._format is not None and self._format.tolerates(payload, name)
        is_tolerated = is_tolerated or is_aside(payload, name)
        return provider_error(payload, name) is not None and not is_tolerated


def _is_same_event(entry: LoggedEvent, known: LoggedEvent) -> bool:
    """Return True if an event equals an event of the log, apart from a number or id that it may lack."""
    if known.digest == _UNKNOWN:
        return entry.key == known.key
    return entry.key in (None, known.key) and entry.digest == known.digest


def _checked_key(key: object) -> EventKey:
    if isinstance(key, bool) or not isinstance(key, int | str | None):
        raise TypeError
    return key


def _replay_error(entry: LoggedEvent, expected: LoggedEvent) -> PositionLost:
    at = "an event" if entry.key is None else f"event {entry.key!r}"
    if entry.key == expected.key:
        return PositionLost(f"the server repeats {at} with other content, so it sends another answer")
    missing = "an event" if expected.key is None else f"event {expected.key!r}"
    return PositionLost(f"the server repeats {at} where {missing} should follow, so events are missing")
