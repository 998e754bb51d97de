"""Turns that ask a model to continue an answer that broke off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenstream._basics.overlap import LAST_WORDS, anchor_of
from tokenstream._providers.apis import api_named
from tokenstream._values.parts import BESIDE
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import Citation, Message, ReasoningPart, ServerToolCall, ServerToolResult, TextPart
from tokenstream.turns._drop import formats_with_turns, turn_method, write_user_turn

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import Part

_DEFAULT_QUESTION = """\
Your last answer was cut off {cause}; what you see of it is all that arrived. \
Go on exactly where it stops, and do not begin again. \
Begin your reply with its last words, which are between the markers, character for character, \
and write the rest directly after them{space}. \
Say nothing about this request, and nothing before those words.
""" + "{tail}".join(LAST_WORDS)
_BREAK = "by a broken connection"
_LIMIT = "because it reached the limit of its length"
_SPACE = "; a space or a line break is between them and the next word"
_NO_SPACE = ", with a space only where the next word begins with one"


@dataclass(frozen=True, slots=True)
class Prefix:
    """The request fields that make a server extend an assistant turn."""

    marks: JsonObject = field(default_factory=dict[str, Any])
    """Fields to add to the assistant's turn."""
    extra: JsonObject = field(default_factory=dict[str, Any])
    """Fields to add to the request's payload."""
    echoes: bool | None = False
    """True if the server repeats the prefix in its answer; None if unknown."""
    known: bool = True
    """True if the server is known to continue a prefix; False if only the caller says so."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """A broken-off answer, and the way to ask the model to continue it."""

    message: Message
    prefix: Prefix | None = None
    """Fields for a request whose last turn is the answer itself; None if a user's turn asks to continue."""
    at_limit: bool = False
    """True if the answer did not break off, but has reached its output limit."""
    left_out: set[str] = field(default_factory=set[str], compare=False)
    """The kinds of parts that were left out of the turns; empty before the turns are written."""

    @property
    def question(self) -> str:
        """The text of the user's turn that asks the model to continue."""
        # The default text quotes the last words, and says if white space follows them.
        last_words = anchor_of(self.message.text)
        ends_in_space = self.message.text[-1:].isspace()
        return _DEFAULT_QUESTION.format(
            cause=_LIMIT if self.at_limit else _BREAK,
            tail=last_words,
            space=_SPACE if ends_in_space else _NO_SPACE,
        )

    def write_request(self, payload: JsonObject) -> JsonObject:
        """Return the request for the rest of the answer, made from the first one; see `Attempt.request`."""
        api = api_named(self.message.format)
        field = None if api is None or api.request is None or api.request.is_text else api.request.turns
        turns: Any = None if field is None else payload.get(field)
        if isinstance(turns, str):
            turns = [{"role": "user", "content": turns}]
        if field is None or not isinstance(turns, list):
            raise MisuseError("the request has no list of turns, to which the answer so far can be added")
        extra = {} if self.prefix is None else self.prefix.extra
        return {**payload, field: [*turns, *self.write_turns()], **extra}

    def write_turns(self, format: str | None = None) -> list[JsonObject]:
        """Return the turns of a request for the rest, by default in the answer's own format.

        See `Attempt.continuation`.
        """
        name = format if format is not None else self.message.format
        # The method of `Message` that returns its turns in this format.
        method = turn_method(name)
        if method is None:
            names = ", ".join(formats_with_turns())
            raise MisuseError(f"requests in {name} cannot carry half an answer; use one of: {names}")
        accepted = self._select_accepted()
        self._note_left_out(accepted, method)
        # "all" also leaves out the parts that this format cannot express, instead of raising an error.
        result: Any = getattr(accepted, method)(drop="all")
        # Some of these methods return one turn, others a list of turns.
        turns: list[JsonObject] = [*result] if isinstance(result, list) else [result]
        if self.prefix is not None:
            turns[-1] = {**turns[-1], **self.prefix.marks}
            return turns
        return [*turns, write_user_turn(self.question, method)]

    def _note_left_out(self, accepted: Message, method: str) -> None:
        """Add to `left_out` the kinds of parts that the turns lack, such as another API's reasoning."""
        kept = [part.kind for part in accepted.parts]
        self.left_out.update(
            part.kind for part in self.message.parts if kept.count(part.kind) < self._count(part.kind)
        )
        try:
            # Without `drop`, the method raises an error that names the parts which the format cannot express.
            getattr(accepted, method)()
        except NotExpressible as error:
            self.left_out.update(error.kinds)

    def _count(self, kind: str) -> int:
        return sum(part.kind == kind for part in self.message.parts)

    def _select_accepted(self) -> Message:
        """Return the message without what providers refuse, such as a prefix's last white space."""
        parts = [*self.message.parts] if self.prefix is None else _strip_end([*self.message.parts])
        accepted = {index: part for index, part in enumerate(parts) if _is_accepted(part)}
        # If a text is left out, its citations are left out, too.
        accepted = {
            index: part
            for index, part in accepted.items()
            if _find_cited(part) is None or _find_cited(part) in accepted
        }
        # Citations refer to parts by index, and the remaining parts get new indexes.
        new_indexes = {index: new_index for new_index, index in enumerate(accepted)}
        renumbered = [
            part.model_copy(update={"cites": new_indexes[part.cites]})
            if isinstance(part, Citation) and part.cites is not None
            else part
            for part in accepted.values()
        ]
        return self.message.model_copy(update={"parts": tuple(renumbered)})


def _find_cited(part: Part) -> int | None:
    """Return the index of the text that a citation refers to; None for a part that is not a citation."""
    return part.cites if isinstance(part, Citation) else None


def _is_accepted(part: Part) -> bool:
    """Return True if providers accept the part in an unfinished turn."""
    if isinstance(part, ReasoningPart):
        return part.complete and bool(part.signature or part.redacted)
    if isinstance(part, ServerToolCall | ServerToolResult):
        return part.complete
    if isinstance(part, TextPart):
        # Providers refuse empty text, even with citations.
        return bool(part.text)
    # All other parts are left out, such as tool calls, which would need results.
    return part.kind in BESIDE


def _strip_end(parts: list[Part]) -> list[Part]:
    """Remove the white space at the end of the last text, and return the parts."""
    text_indexes = [index for index, part in enumerate(parts) if isinstance(part, TextPart)]
    for index in reversed(text_indexes):
        # A text of white space alone becomes empty, so the text before it is stripped, too.
        text = getattr(parts[index], "text", "").rstrip()
        parts[index] = parts[index].model_copy(update={"text": text})
        if text:
            break
    return parts
