"""The `pieces` format: text that arrives as strings instead of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._values.event_base import new_event
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.events import TextDelta
from tokenstream.formats._base import Format, Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Unit
    from tokenstream.formats._kit.open import OpenPart


class Pieces(Format):
    """The `pieces` format: pieces of text, as a tokenizer or another library yields them.

    The answer ends with the last piece.

    Example:
        >>> pieces = Pieces()
        >>> [event.text for event in pieces.feed("Hel") if hasattr(event, "text")]
        ['Hel']
        >>> [type(event).__name__ for event in pieces.end()]
        ['PartDone']
    """

    __slots__ = ("_part",)

    name = "pieces"
    framing = "pieces"
    ends_with_input = True

    def _set_up(self) -> None:
        self.first_frames.drop()  # any input is text, so none can be of another format
        self._part: OpenPart | None = None

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - any format is asked
        """Return False: this format must be named."""
        return False

    def feed(self, frame: Frame | str, *, now: float = 0.0) -> list[Event]:
        """Return the events of a piece; none after the end of the answer or an error."""
        part = self._part
        # `held` is half a surrogate pair, which the next piece may complete.
        if part is not None and isinstance(frame, str) and frame and not part.held and _can_be_encoded(frame):
            # This piece only adds text to the part, which stays open until the end.
            self.frames += 1
            return [TextDelta(frame, part=part.index, raw=frame)]
        if not isinstance(frame, str):
            raise MisuseError(
                f'the format "pieces" takes text (str), not {type(frame).__name__}; '
                "leave format= out to have it detected"
            )
        if self.ended or self.error is not None:
            return []
        self.frames += 1
        self.parts.raw = frame
        if not frame:
            return []
        if not self.parts.started:
            self.parts.head()
        try:
            self.parts.write(0, "text", frame)
            # If a stage reads the events, it must see each piece; see the fast path above.
            self._part = self.parts.choice(0).current_part if self.parts.stage is None else None
        except LimitExceeded as error:
            self.error = error
        return self.parts.take()

    def shortcut(
        self, unit: Unit, max_size: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[Any], Event | None] | None:
        """Return a function for pieces that only add text to the open part; None if no part is open.

        The result is also None if `unit` is not "payload", or if `shortcuts` is off; see `Format.shortcut`.
        The other arguments are not used.
        """
        part = self._part
        if part is None or unit != "payload" or not self.shortcuts:
            return None
        index = part.index

        def read_piece(piece: str) -> Event | None:
            # `feed` joins the halves of a surrogate pair, one of which is held back or in this piece.
            if part.held or not (piece.isascii() or _can_be_encoded(piece)):
                return None
            if not piece:
                return None
            # `new_event` skips the constructor, so each field without a default is set here.
            event = new_event(TextDelta)
            event.text = event.raw = piece
            event.choice = 0
            event.part = index
            self.frames += 1
            typed: Event = event  # for type checkers: `new_event` returns Any
            return typed

        return read_piece

    def judge_end(self) -> None:
        self._part = None
        if not self.ended and self.error is None:
            self.conclude()

    def read(self, payload: JsonObject, event: str) -> None:
        """Raise an error: pieces are not payloads."""
        raise MisuseError('the format "pieces" has no payloads')


def _can_be_encoded(piece: str) -> bool:
    """Return False for a piece with halves of surrogate pairs, which have to be joined or replaced."""
    if not piece.isascii():
        try:
            piece.encode()
        except UnicodeEncodeError:
            return False
    return True
