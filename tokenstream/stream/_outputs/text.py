"""Cursors in the text with an answer's JSON: the answer's own text, or the arguments of a tool call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream._answer.growing import GrowingPart, ended_itself
from tokenstream.errors import LimitExceeded, OutputIncomplete, OutputInvalid, StreamError
from tokenstream.events import TextDelta, ToolCallDelta
from tokenstream.message import Message, ToolCall
from tokenstream.stream._views.log_cursor import LogTextCursor

if TYPE_CHECKING:
    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._basics.loose import AnyEvent
    from tokenstream._basics.text_log import TextLog
    from tokenstream.partial_json import Partial

AnyOutputError: TypeAlias = OutputInvalid | OutputIncomplete | LimitExceeded
"""Errors for an answer that does not match the request."""

_CUTS: dict[str | None, tuple[str, str]] = {
    "length": ("was cut at the limit of its length", "; allow more output tokens"),
    "content_filter": ("was cut by the provider's content filter", ""),
    "cancelled": ("was cancelled by the provider", ""),
    "error": ("was cut by an error of the provider", ""),
    "pause": ("paused", "; ask the provider to go on"),
}
"""Maps a finish reason of unfinished answers to a description, and to advice for the developer."""
_ENDINGS = {"stopped": ("was stopped", ""), "truncated": ("broke off", "")}
_ENDED = ("ended", "")


def is_cut(message: Message) -> bool:
    """Return True if an answer did not end properly, or if the provider cut it, as at a length limit."""
    return message.finish_reason in _CUTS or message.ending != "complete"


def missing_json_error(message: Message, tool: str | None) -> AnyOutputError:
    """Return the error for an answer that lacks the text, or the tool call, to read JSON from."""
    wanted = "text" if tool is None else f"call of the tool {tool!r}"
    if _has_declined(message):
        msg = "the model declined to answer; its words are in .partial.refusal"
        return OutputInvalid(msg, text=message.text)
    if is_cut(message):
        how, advice = _describe_cut(message)
        return OutputIncomplete(f"the answer {how} before it had a {wanted}{advice}", text=message.text)
    # Without an answer, all text is of remarks.
    has_remarks = tool is None and bool(message.text.strip())
    why = f"the answer has no {wanted}{' but remarks (phase commentary)' if has_remarks else ''}"
    names = ", ".join(map(repr, sorted({call.name for call in message.tool_calls})))
    if names and tool is None:
        if not has_remarks:
            return OutputInvalid(
                f"the answer has no text, but calls {names}; pass tool=… to read a call's arguments",
                text=message.text,
            )
        why += f", and calls {names}; pass tool=… to read a call's arguments"
    return OutputInvalid(why, text=message.text)


def incomplete_error(
    message: Message, text: str, *, whole: bool, errors: tuple[Any, ...] = (), best: Partial[Any] | None
) -> AnyOutputError:
    """Return the error for an answer that was cut off, or in which the model declined to go on.

    The JSON may be `whole` although the tool call that contains it is cut off.
    """
    if _has_declined(message):
        msg = "the model declined to go on; its words are in .partial.refusal"
        return OutputInvalid(msg, text=text, errors=errors, best=best)
    how, advice = _describe_cut(message)
    what = "the tool call" if whole else "its JSON"
    return OutputIncomplete(
        f"the answer {how} before {what} was whole, after {len(text):,} characters{advice}",
        text=text,
        offset=len(text),
        errors=errors,
        best=best,
    )


def failed_stream_error(cause: StreamError, text: str, best: Partial[Any] | None) -> OutputIncomplete:
    return OutputIncomplete(
        f"the stream broke off before the end of the answer, and {len(text):,} characters of JSON came: "
        f"{cause.message}",
        text=text,
        offset=len(text),
        errors=() if best is None else best.errors,
        best=best,
    )


def _has_declined(message: Message) -> bool:
    return message.finish_reason == "refusal" or bool(message.refusal)


def _describe_cut(message: Message) -> tuple[str, str]:
    """Return how an answer was cut off, and advice for the developer."""
    return _CUTS.get(message.finish_reason) or _ENDINGS.get(message.ending) or _ENDED


_SPACE = " \t\r\n"
_IS_EMPTY = re.compile(r"[ \t\r\n{}]*\Z").match
"""Matches arguments without content, which have only spaces and braces."""
# Matches an empty object with something after it.
_EMPTY_PREFIX = re.compile(r"[ \t\r\n]*\{[ \t\r\n]*\}[ \t\r\n]*(?=[^ \t\r\n])")
_MAX_HELD_BACK = 64
"""Maximum number of characters to hold back, since each new piece examines all of them again."""


class AnswerTextCursor(LogTextCursor):
    """A reader's cursor in the text of a choice, without the model's remarks."""

    __slots__ = ()

    _remarks = False
    is_complete = False
    """Always False: the text has no end of its own, unlike a call's arguments."""
    rewritten = False
    """Always False: text is never changed later, unlike a call's arguments."""

    def __init__(self, accumulator: Accumulator, choice: int) -> None:
        super().__init__(accumulator, choice, TextDelta)

    @property
    def text(self) -> str:
        return self.accumulator.log_of(self.choice).join(TextDelta, remarks=False)

    @property
    def empty(self) -> bool:
        """True if the text has nothing but white space."""
        return not self.text.strip()

    def is_cut(self, message: Message, *, complete: bool) -> bool:
        """Return True if the JSON may have been cut off, in an answer that is over."""
        return is_cut(message) and not complete


class ArgumentsCursor:
    """A reader's cursor in the arguments of a tool call.

    An empty object is held back until the answer is over, because some servers
    send one before the real arguments. The openai-chat format drops an empty object
    that is a separate fragment. If the empty object and the arguments are in one fragment,
    formats split them into two calls when the call ends.

    Args:
        part: The growing part with the call.
        is_free_text: True if the arguments are free text, which is never held back.
    """

    __slots__ = (
        "_follows_empty_object",
        "_has_begun",
        "_is_free_text",
        "_log",
        "_part",
        "_read",
        "rewritten",
    )

    def __init__(self, part: GrowingPart, *, is_free_text: bool = False) -> None:
        self._part = part
        self._is_free_text = is_free_text
        self._log: TextLog | None = None
        """The fragments of the arguments, until the call is complete."""
        self._read = 0
        """Number of characters of the arguments that were delivered."""
        self._follows_empty_object = False
        """True if the arguments follow an empty object, so that they are read only at the end."""
        self._has_begun = is_free_text
        """True once a piece of the arguments was delivered."""
        self.rewritten = False
        """True if the arguments of the complete call differ from the delivered pieces."""

    @property
    def text(self) -> str:
        call = self._complete_call
        if self._is_free_text:
            return self._text_from(0)
        if call is not None:
            # A call without arguments has an empty object.
            return call.arguments_text if call.arguments_text.strip(_SPACE) else "{}"
        text = self._text_from(0)
        # An empty object before the real arguments does not count.
        prefix = _EMPTY_PREFIX.match(text)
        return text[prefix.end() :] if prefix else text

    @property
    def call_so_far(self) -> ToolCall:
        """The finished call or, while it is growing, the call as it was at its start."""
        return self._ended_call or cast("ToolCall", self._part.start)

    @property
    def is_complete(self) -> bool:
        return self._complete_call is not None

    @property
    def empty(self) -> bool:
        """True if the call is complete and its arguments have no content."""
        call = self._complete_call
        if call is None or self._has_begun:
            # The call is not complete, or a piece of its arguments was delivered.
            return False
        return _IS_EMPTY(call.arguments_text) is not None

    def is_cut(self, message: Message, *, complete: bool) -> bool:
        """Return True if the call was cut off, in an answer that is over, so that it must not be run."""
        call = self._ended_call
        if call is None:
            return True
        if call.complete or complete:
            return False
        # A call that ended with invalid JSON was not cut off, and a lenient reader may still read
        # it. A call whose JSON lacks its end was cut off, unless another part follows the call.
        last_part = message.parts[-1]
        is_last = isinstance(last_part, ToolCall) and last_part.id == call.id
        return is_last and not ended_itself(message.finish_reason, message.ending)

    def ready(self) -> str | None:
        """Return the arguments that have arrived and were not delivered, as one piece, or None."""
        if self._complete_call is not None:
            self._check_rewritten()
        elif self._follows_empty_object:
            # The arguments are read only at the end.
            return None
        text = self._text_from(self._read) if self._has_begun else self._first_piece()
        self._read += len(text)
        return text or None

    def after(self, event: AnyEvent) -> str | None:
        """Return the piece that an event of the call adds to the arguments, or None."""
        log = self._log
        if log is not None and self._has_begun and event.__class__ is ToolCallDelta:
            text: str = event.fragment
            # If only this fragment is new, it need not be read from the log.
            if log.length == self._read + len(text):
                self._read += len(text)
                return text or None
        return self.ready()

    def end(self) -> str | None:
        """Return the arguments that were held back, now that no others can follow; None if none were."""
        if self._has_begun:
            # The arguments were delivered as they arrived, so none were held back.
            return None
        self._has_begun = True
        text = self.text
        self._read = len(text)
        return text or None

    # -- within --------------------------------------------------------------

    @property
    def _complete_call(self) -> ToolCall | None:
        """The call; None until it is complete."""
        ended = self._ended_call
        return ended if ended is not None and ended.complete else None

    @property
    def _ended_call(self) -> ToolCall | None:
        """The call; None until it has ended, with valid JSON or not."""
        final = self._part.final
        return final if isinstance(final, ToolCall) else None

    def _first_piece(self) -> str:
        """Return the first piece once the arguments have content; "" until then."""
        text = self._text_from(0)
        if len(text) <= _MAX_HELD_BACK and _IS_EMPTY(text):
            # White space or an empty object, so far: the real arguments may follow.
            return ""
        if self._complete_call is None and _EMPTY_PREFIX.match(text):
            # More text follows an empty object: only the end of the call shows which of them counts.
            self._follows_empty_object = True
            return ""
        self._has_begun = True
        return text

    def _text_from(self, start: int) -> str:
        call = self._ended_call
        if call is not None:
            return call.arguments_text[start:]
        log = self._log
        if log is None:
            log = self._log = self._part.pieces
        return "" if log is None or log.length == start else log.since(start)

    def _check_rewritten(self) -> None:
        """Set `rewritten` if the arguments of the complete call differ from the delivered pieces."""
        log, self._log = self._log, None
        if log is None or not self._has_begun:
            # This was checked before, or nothing was delivered.
            return
        text = self._text_from(0)
        delivered = log.join()[: self._read]
        if not text.startswith(delivered):
            self.rewritten = True
            # Nothing more is delivered: it would not continue the delivered pieces.
            self._read = len(text)
