"""An entry of the fast path: what one payload has taught about payloads that differ only in their text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import looks_whole
from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._fast.shape import Shape
from tokenstream.formats._kit.repeated import OPENING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.text_log import TextLog
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._fast.decoded import DecodedShape
    from tokenstream.formats._fast.match import Match

    Read = Callable[[Any], Event | None]
    """Makes the event from a payload, or a chunk with a payload; returns None if that must be decoded."""
    AnyShape = Shape | DecodedShape
    Payload = bytes | dict[str, Any]
    Follow = Callable[[Any], bool | None]
    """Takes a delta that was not decoded; returns False if it must be decoded after all."""

TEXT_DELTAS = (TextDelta, ReasoningDelta, RefusalDelta)

_new: Callable[[type[Any]], Any] = object.__new__
"""Creates an event whose fields are set afterwards: a call with keywords takes three times as long."""


class ShapeEntry:
    """Knowledge learnt from one payload: its shape (the constant content), and the delta that it means.

    It makes functions that read other payloads of this shape without decoding them.

    Args:
        format: The format whose frames are counted.
        name: The name of the payload's SSE event; None for a payload that arrived decoded.
        example: The delta in the payload, which the format decoded; deltas read later have its kind and part.
        log: The argument text so far of the tool call that the delta adds to; the functions append to it,
            because the end of the call is found by its whole arguments. None if the delta is not of a call.
    """

    __slots__ = (
        "_framed",
        "_split",
        "call_id",
        "choice",
        "follow",
        "format",
        "kind",
        "log",
        "name",
        "part",
        "read",
        "shape",
    )

    def __init__(
        self,
        format: Format,
        name: str | None,
        shape: AnyShape,
        example: AnyEvent,
        log: TextLog | None,
    ) -> None:
        self.name = name
        """The name of the payload's SSE event; None for payloads that arrive decoded."""
        self.shape = shape
        # The example itself is not kept, because its `raw` is the whole decoded payload.
        self.kind: type[Any] = example.__class__
        """The class of the deltas."""
        self.choice, self.part = example.choice, example.part
        self.call_id = example.id if self.kind is ToolCallDelta else None
        """The id of the call that the deltas add to; None if they are not of a call."""
        self.follow = format.make_delta_callback(example)
        """The format's callback for each delta like the example; None if the format needs none."""
        self.log = log
        """The argument text of the delta's call; None if the delta is not of a call."""
        self.format = format
        """The format, which counts its frames."""
        self.read: Read | None = None
        """Function that reads a payload; created on first use by `create_read`."""
        self._framed: dict[tuple[bytes, bytes, int], Read] = {}
        """Functions made by `make_framed_reader`, by its first three arguments."""
        self._split: tuple[str, bytes, Read] | None = None
        """The result of `make_split_reader`; None before its first call."""

    def create_read(self) -> Read:
        """Create the function that reads payloads of this shape; store it as `read`, and return it.

        It is created late, because a stream that reads whole chunks needs only `make_framed_reader`.
        """
        self.read = make_reader(self, self.shape.match)
        return self.read

    def create_read_for(self, payload: Payload) -> Read | None:
        """Return the function of `create_read`; None if the payload certainly has another shape.

        Creating a function takes time, which a payload of another shape does not repay. Such a payload is
        common: while whole chunks are read by a function of `make_framed_reader`, the first payload that
        arrives here is one that this function could not read, such as the last one, with a finish reason.
        """
        shape = self.shape
        if isinstance(shape, Shape) and isinstance(payload, bytes) and not shape.has_ends(payload):
            return None
        return self.create_read()

    def is_same(self, name: str | None, payload: Payload, event: AnyEvent, text: str) -> bool:
        """Return True if this entry would make the same delta of a payload as decoding has, and so suffices.

        Args:
            name: The name of the payload's SSE event.
            payload: The payload as it arrived.
            event: The delta that the format decoded from the payload.
            text: The text of the delta.
        """
        means_the_same = (name, event.__class__, event.choice, event.part) == (
            self.name,
            self.kind,
            self.choice,
            self.part,
        )
        match: Callable[[Any], str | None] = self.shape.match
        return means_the_same and match(payload) == text

    def make_framed_reader(self, before: bytes, after: bytes, max_size: int, *, lines: bool) -> Read | None:
        """Return a function that reads a chunk: one payload between two fixed pieces of bytes.

        The function is stored for the next call with these pieces. The result is None if a payload of this
        shape cannot be in such a chunk, because it arrives decoded or takes several lines.

        Args:
            before: The bytes before the payload.
            after: The bytes after the payload.
            max_size: The longest chunk that may be read this way, in bytes.
            lines: True if a payload may take several lines.
        """
        key = (before, after, max_size)
        reader = self._framed.get(key)
        shape = self.shape
        if reader is None and isinstance(shape, Shape) and (lines or shape.takes_one_line):
            match = shape.between(before, after).match
            # `or None`: with nothing after it, the payload extends to the end.
            payload = slice(len(before), -len(after) or None)
            reader = self._framed[key] = make_reader(self, match, payload=payload, max_size=max_size)
        return reader

    def make_split_reader(self, multiple: int) -> tuple[str, bytes, Read] | None:
        """Return the means to read payloads of this shape for a caller that compares their beginning itself.

        The tuple contains the name of the payloads' SSE events, the first bytes of each payload, and a
        function that makes the event from the bytes after them. The tuple is stored for the next call. The
        result is None if payloads arrive decoded.

        Args:
            multiple: The number of first bytes is a multiple of this number, such as 3 if the caller
                compares them as base64.
        """
        if self._split is None and self.name is not None and isinstance(self.shape, Shape):
            start, rest = self.shape.split(multiple)
            read = make_reader(self, rest.match, start=start)
            self._split = self.name, start, read
        return self._split


def make_reader(
    entry: ShapeEntry,
    match: Match,
    *,
    payload: slice | None = None,
    max_size: int | None = None,
    start: bytes = b"",
) -> Read:
    """Return a function that turns each payload of a shape into a delta like an earlier one.

    Args:
        entry: The shape, and what the earlier delta means.
        match: Returns the text in a payload.
        payload: The payload's place in the bytes; None if the bytes are the payload.
        max_size: The maximum number of bytes that may be read this way; None for `Limits.event`.
        start: The beginning of the payload, if the bytes do not include it.
    """
    format, follow, log = entry.format, entry.follow, entry.log
    kind, choice, part, call_id = entry.kind, entry.choice, entry.part, entry.call_id
    is_text, is_reasoning = kind in TEXT_DELTAS, kind is ReasoningDelta
    longest = format.limits.event if max_size is None else max_size
    pieces: list[str] = [] if log is None else log.pieces

    def read(data: Any) -> Event | None:  # noqa: ANN401 - bytes, or a payload that was decoded
        """Return a payload's delta, of the entry's kind, choice and part; None if it must be decoded."""
        text = match(data)
        # A payload that arrived decoded has far fewer fields than `longest`.
        if text is None or len(data) > longest:
            return None
        if log is not None and text[:1] in OPENING and (len(text) > log.length or looks_whole(text)):
            # The server may send the arguments again, which decoding finds out.
            return None
        # Without a call of the constructor, which would take longer.
        event = _new(kind)
        if is_text:
            event.text = text
            if is_reasoning:
                event.signature = None
        else:
            event.fragment = text
            # A delta without a log, such as a `PartDelta`, has no id.
            if log is not None:
                event.id = call_id
        event.choice = choice
        event.part = part
        # The whole payload: cut out of a chunk, or completed by its beginning, or as it is.
        whole = data[payload] if payload is not None else (start + data if start else data)
        # A slot that is not set is slow to read, and a relay asks each event for its step.
        event._raw, event._step = whole, None  # noqa: SLF001 - the slots behind `raw` and `step`
        if follow is not None and follow(event) is False:
            # The format cannot do without decoding this payload.
            return None
        if log is not None:
            # `TextLog.append` inlined: its call would cost time for every fragment.
            pieces.append(text)
            log.length += len(text)
            if len(pieces) >= log.full_at:
                log.pack()
        format.frames += 1
        made: Event = event
        return made

    return read
