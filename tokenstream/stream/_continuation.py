"""The turns that ask a model to go on with an answer that broke off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream._joint import anchor_of
from tokenstream.errors import MisuseError
from tokenstream.message import Citation, Message, ReasoningPart, ServerToolCall, ServerToolResult, TextPart
from tokenstream.turns._methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Part

__all__ = ["Continuation", "Prefix"]

_WORDS = """\
Your last answer was cut off by a broken connection; what you see of it is all that arrived. \
Go on exactly where it stops, and do not begin again. \
Begin your reply with its last words, which stand between the markers, character for character, \
and write the rest directly behind them{space}. \
Say nothing about this request, and nothing before those words.
<last_words>{tail}</last_words>"""
_SPACE = "; a space or a line break stands between them and the next word"
_NO_SPACE = ", with a space only where the next word begins with one"

_PARTED: dict[str, str] = {"bedrock-converse": "content", "gemini": "parts"}
"""Formats whose turns have a list of pieces under that name."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """How a server is asked to go on behind the beginning of an answer."""

    marks: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the turn has beside its content."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the payload has beside its turns."""
    echoes: bool | None = False
    """Whether it gives the prefix back; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What there is of an answer, and how a model is asked to go on with it."""

    message: Message
    """The answer so far."""
    prefix: Prefix | None = None
    """How it goes as a prefix; None where a user's turn asks."""
    ask: str | Callable[[str], str] | None = None
    """The words of the user's turn, or a function of the answer's last ones; None for our own."""

    @property
    def words(self) -> str:
        """The words of the user's turn."""
        tail = anchor_of(self.message.text)
        if self.ask is None:
            ends_in_space = self.message.text[-1:].isspace()
            return _WORDS.format(tail=tail, space=_SPACE if ends_in_space else _NO_SPACE)
        words: Any = self.ask(tail) if callable(self.ask) else self.ask
        if not isinstance(words, str) or not words.strip():
            raise MisuseError(f"ask= gives the words of a user's turn, and not {type(words).__name__}")
        return words

    def turns(self, format: str | None = None) -> list[dict[str, Any]]:
        """Return the turns as `Attempt.continuation` does."""
        name = format if format is not None else self.message.format
        method = METHODS.get(name or "")
        if method is None:
            known = ", ".join(METHODS)
            raise MisuseError(f"requests of {name} have no place for half an answer; these have: {known}")
        written: Any = getattr(self._sent(), method)(drop="all")
        turns: list[dict[str, Any]] = [*written] if isinstance(written, list) else [written]
        if self.prefix is not None:
            turns[-1] = {**turns[-1], **self.prefix.marks}
            return turns
        words: Any = self.words
        field = _PARTED.get(name or "")
        if field is not None:
            words = [{"text": words}]
        return [*turns, {"role": "user", field or "content": words}]

    def _sent(self) -> Message:
        """Return the message without what was open or unsigned; a prefix ends without white space."""
        parts = [*self.message.parts] if self.prefix is None else _stripped([*self.message.parts])
        kept = {index: part for index, part in enumerate(parts) if _may_go(part)}
        kept = {index: part for index, part in kept.items() if _cited(part) is None or _cited(part) in kept}
        places = {index: place for place, index in enumerate(kept)}
        sent = [
            part.model_copy(update={"cites": places[part.cites]})
            if isinstance(part, Citation) and part.cites is not None
            else part
            for part in kept.values()
        ]
        return self.message.model_copy(update={"parts": tuple(sent)})


def _cited(part: Part) -> int | None:
    """Return the index of the text that a part is a source of; None where it is none."""
    return part.cites if isinstance(part, Citation) else None


def _may_go(part: Part) -> bool:
    """Tell whether a part may go back to a provider as part of a turn that was cut."""
    if isinstance(part, ReasoningPart):
        return part.complete and bool(part.signature or part.redacted)
    if isinstance(part, ServerToolCall | ServerToolResult):
        return part.complete
    if isinstance(part, TextPart):
        # An empty text is refused, and one that has only its sources would be one.
        return bool(part.text)
    return part.kind in ("citation", "opaque")


def _stripped(parts: list[Part]) -> list[Part]:
    """Return parts whose text does not end in white space."""
    texts = [index for index, part in enumerate(parts) if isinstance(part, TextPart)]
    for index in reversed(texts):
        text = getattr(parts[index], "text", "").rstrip()
        parts[index] = parts[index].model_copy(update={"text": text})
        if text:
            break
    return parts
