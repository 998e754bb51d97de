"""What the user has said, as a provider transcribes it beside the answers of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import InputTranscript
from tokenstream.formats._kit.open import mend_surrogates

if TYPE_CHECKING:
    from tokenstream.formats._kit.answer import AnswerEvents

_MAX_OPEN = 64
"""The maximum number of utterances whose pieces are kept until the whole of them is known."""
_MAX_PIECES = 10_000
"""The maximum number of pieces that are kept of an utterance."""


class Heard:
    """The words of the user so far, by the id of what was said.

    Args:
        parts: Gets the events.
    """

    __slots__ = ("_parts", "_pieces")

    def __init__(self, parts: AnswerEvents) -> None:
        self._parts = parts
        self._pieces: dict[str, list[str]] = {}

    def add_piece(self, id: str, text: str) -> None:
        """Report a piece that follows the earlier ones."""
        pieces = self._pieces.setdefault(id, [])
        if len(pieces) < _MAX_PIECES:
            pieces.append(text)
        if len(self._pieces) > _MAX_OPEN:
            # A provider that never tells the whole of what was said.
            del self._pieces[next(iter(self._pieces))]
        report_heard(self._parts, id, text)

    def add_last(self, id: str, text: str) -> None:
        """Report the last piece."""
        report_heard(self._parts, id, text, "".join([*self._pieces.pop(id, ()), text]))

    def add_whole(self, id: str, whole: str) -> None:
        """Report all that was said, at its end."""
        told = "".join(self._pieces.pop(id, ()))
        # A correction of what was told is no new piece.
        report_heard(self._parts, id, whole[len(told) :] if whole.startswith(told) else "", whole)

    def drop(self, id: str) -> None:
        """Forget the pieces of what was said, because no more will follow."""
        self._pieces.pop(id, None)


def report_heard(parts: AnswerEvents, id: str, text: str, whole: str | None = None) -> None:
    """Report words of the user.

    Args:
        parts: Gets the event.
        id: The id of what was said; "" if it has none.
        text: The words that are new.
        whole: All words, if these are the last.
    """
    if parts.may_hold_surrogates:
        id, text, whole = mend_surrogates(id), mend_surrogates(text), mend_surrogates(whole)
    parts.emit(InputTranscript(text, id, whole, raw=parts.raw))
