"""The result of a finished answer, as a typed value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import LimitExceeded, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._choice import check_choice
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._cursor import NULL
from tokenstream.stages._objects.partials import Partials, validate_output
from tokenstream.stream._outputs.cursor import OutputCursor
from tokenstream.stream._outputs.text import failed_stream_error

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydantic import TypeAdapter

    from tokenstream.errors import StreamError
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stream._outputs.documents import OutputChoice
    from tokenstream.stream._outputs.text import OutputError

T = TypeVar("T")


class ResultCursor(Generic[T]):
    """A cursor whose only item is the whole answer, as a typed value.

    Args:
        type: The value's type.
        lenient: True to repair almost-JSON; for "closed", see `Lenient`.
        document: The document to read if there are several, with *lenient*.
        outcomes: Results of earlier requests, each under a key made of the request's arguments.
    """

    __slots__ = ("_answer", "_document", "_key", "_lenient", "_outcomes", "_type")

    def __init__(
        self,
        answer: OutputChoice,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        outcomes: dict[Hashable, Any],
        *,
        lenient: Lenient,
        document: DocumentChoice | None = None,
    ) -> None:
        # A type that cannot be used is refused before anything is read.
        Schema[T].of(type)
        check_choice(document, lenient=lenient, typed=True)
        self._answer = answer
        self._type = type
        self._lenient: Lenient = lenient
        self._document: DocumentChoice | None = document
        self._outcomes = outcomes
        self._key = (answer.choice, answer.tool, lenient, document, _key_of(type))

    def ready(self) -> T | None:
        """Return None: the result needs the whole answer."""
        return None

    def after(self, event: object) -> T | None:
        """Return None: the result needs the whole answer."""
        return None

    def end(self) -> T:
        """Return the value.

        Raises:
            OutputInvalid: The output does not match the requested type.
            OutputIncomplete: The output was cut off.
            LimitExceeded: The output is nested too deeply, or contains a number that is too long.
        """
        outcome: _Outcome[T] | None = self._outcomes.get(self._key)
        if outcome is None:
            outcome = self._outcomes[self._key] = self._make_outcome()
        return outcome.get()

    def end_broken_off(self, cause: StreamError) -> T:
        """Return the value although the stream broke off, if this choice was already complete.

        Args:
            cause: The error that the stream raised.

        Raises:
            OutputIncomplete: The choice was not complete; `cause` is the cause of this error.
        """
        answer = self._answer
        if answer.accumulator.ending_of(answer.index) == "complete":
            return self.end()
        outcome: _Outcome[T] | None = self._outcomes.get(self._key)
        if outcome is None:
            outcome = self._outcomes[self._key] = _Outcome[T](self._type, error=self._unfinished_error(cause))
        return outcome.get()

    # -- within ------------------------------------------------------------------

    def _make_outcome(self) -> _Outcome[T]:
        """Return the value, or the error of the output, as a result to store."""
        try:
            return _Outcome(self._type, self._read_value())
        except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
            return _Outcome(self._type, error=error.with_traceback(None))

    def _read_value(self) -> T:
        """Return the value of the finished answer, read at once if possible, or else as drafts."""
        drafts = self._make_drafts()
        text = drafts.whole_text(lenient=self._lenient)
        if text is not None:
            try:
                return validate_output(self._type, text, lenient=self._lenient, document=self._document)
            except (OutputInvalid, OutputIncomplete, LimitExceeded):
                # Reading the drafts, below, raises the error again with the last snapshot.
                pass
        # `end` returns a draft at a time, and None after the last one.
        *_, last_draft = iter(drafts.end, None)
        return last_draft.final()

    def _unfinished_error(self, cause: StreamError) -> OutputIncomplete:
        """Return the error for a choice that was not complete when the stream broke off."""
        text = self._make_drafts().text
        drafts = self._make_stage().feed(text)
        best = drafts[-1] if drafts else None
        error = failed_stream_error(cause, text, errors=() if best is None else best.errors, best=best)
        error.partial, error.origin = self._answer.message, cause.origin
        error.__cause__ = raised_anew(cause)
        return error

    def _make_drafts(self) -> OutputCursor[Partial[T]]:
        return OutputCursor(self._answer, self._make_stage, kind="drafts")

    def _make_stage(self) -> Partials[T]:
        return Partials(self._type, lenient=self._lenient, document=self._document)


class _Outcome(Generic[T]):
    """A stored result: a value or an error.

    Args:
        type: The requested type; kept alive, because the key under which the result is stored may
            contain its `id()`.
    """

    __slots__ = ("_error", "_type", "_value")

    def __init__(self, type: object, value: T | None = None, error: OutputError | None = None) -> None:  # noqa: A002
        self._type = type
        self._value: Any = value
        self._error = error

    def get(self) -> T:
        """Return the value, or raise the error."""
        if self._error is not None:
            raise raised_anew(self._error)
        # From a cursor, None would mean that no item has arrived.
        value: T = NULL if self._value is None else self._value
        return value


def _key_of(type: object) -> Hashable:  # noqa: A002
    """Return a key that distinguishes types, even equal unions that list their members in another order."""
    try:
        hash(type)
    except TypeError:
        # The stored outcome keeps the type alive, so no other type gets the same id.
        return id(type)
    return type, repr(type)
