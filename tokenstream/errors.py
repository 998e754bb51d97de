"""The errors that this library raises, sorted by whose fault they are.

    TokenStreamError
    ├── MisuseError (RuntimeError)      the calling code is wrong
    │   └── NotExpressible
    ├── StreamError                     the network's or provider's fault; carries the partial answer
    │   ├── ConnectError
    │   ├── StatusError
    │   ├── NotAStream
    │   ├── StreamInterrupted
    │   ├── StreamTruncated
    │   ├── StreamStalled
    │   ├── ProtocolError
    │   │   ├── LimitExceeded
    │   │   └── PositionLost
    │   ├── ProviderError
    │   ├── GuardFailed
    │   └── AnswerRejected
    ├── OutputInvalid                   the model's output is not what was asked for
    │   └── InvalidJSON
    ├── OutputIncomplete                the model's output was cut off
    ├── CallUncertain                   nobody knows whether a tool call has run
    ├── CallsDiffer                     the first answer under the same id has other tool calls
    └── CallStoreUnavailable            the store of tool calls cannot be used now

No message quotes the payload's text, which may be private.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream._basics.lazy import load_public, make_lazy_loader
from tokenstream._values.error_kinds import ERROR_KINDS, ErrorKind, clause_for, find_kind, is_final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from types import FrameType

    from tokenstream._values.origin import Origin
    from tokenstream.message import Checkpoint, Message
    from tokenstream.partial_json import Partial
    from tokenstream.turns._drop import Kind
    from tokenstream.turns._results import ToolResults

__all__ = [
    "AnswerRejected",
    "CallStoreUnavailable",
    "CallUncertain",
    "CallsDiffer",
    "ConnectError",
    "ErrorKind",
    "GuardFailed",
    "InvalidJSON",
    "LimitExceeded",
    "MisuseError",
    "NotAStream",
    "NotExpressible",
    "Outcome",
    "OutputIncomplete",
    "OutputInvalid",
    "PositionLost",
    "ProtocolError",
    "ProviderError",
    "StatusError",
    "StreamError",
    "StreamInterrupted",
    "StreamStalled",
    "StreamTruncated",
    "TokenStreamError",
]

Outcome: TypeAlias = Literal["empty", "refusal", "content_filter", "malformed_call"]
"""Reasons for which a complete answer may be of no use."""

MisuseKind: TypeAlias = Literal["closed", "consumed", "concurrent", "secret"]
"""The kind of a mistake that a program may want to tell apart."""

_STATUS = re.compile(r"\bstatus ([1-5]\d\d)\b", re.ASCII)
"""Matches the status in the message of a `StatusError`."""
_QUOTED = re.compile(r"(?<!\w)(['\"]).*\1", re.DOTALL)
"""Matches what a message quotes."""
_KEPT = "; what had arrived is in .partial"
_FIXED = frozenset({"depth", "digits"})
"""Limits that cannot be raised, because the JSON decoder has them, too."""


def store_progress(
    error: AnswerFailure, partial: Message, checkpoint: Checkpoint, origin: Origin, *, tail: bytes | None
) -> None:
    """Store on an error how much of the answer has arrived; a `tail` of None keeps the error's own."""
    error.partial, error.checkpoint, error.origin = partial, checkpoint, origin
    error.events_seen, error.bytes_seen = origin.events, origin.bytes
    if tail is not None:
        error.tail = tail


def _rebuild(cls: type[TokenStreamError], args: tuple[Any, ...], state: dict[str, Any]) -> TokenStreamError:
    """Return the error that `__reduce__` describes, for pickle and copies; its `__init__` is not called."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def is_raised_outside(error: BaseException) -> bool:
    """Return True for an exception that code outside this library has raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and not is_own_frame(place.tb_frame)


def is_own_frame(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("tokenstream.")


class TokenStreamError(Exception):
    """The base class of all errors that this library raises.

    No class has a value of a single error: Ray's class of an error asks its cause for what it lacks itself.
    """

    tool_results: ToolResults | None
    """Results of the tools that a router had run before the error; None if there was no router."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.tool_results = None

    @property
    def message(self) -> str:
        """The description of the error without the line about the answer's origin.

        It may leave the program; only errors about the connection itself name the server in it. A text that
        lacks the line is false as a condition, so that what reports `error.message or str(error)`, as Sentry
        does, reports the line, too.
        """
        return super().__str__()

    @property
    def sentence(self) -> str:
        """The library's own words for what failed, without advice, for a log: they quote nobody.

        The message of an error that the application has raised is the application's, and so is left out.
        """
        noted: str | None = getattr(self, "_sentence", None)
        if noted is not None:
            return noted
        is_given = getattr(self, "_is_given", False) or is_raised_outside(self)
        message = self.message.removesuffix(getattr(self, "_code_hint", "")).removesuffix(_KEPT)
        return "" if is_given else _QUOTED.sub("…", message).rstrip(".")

    def __reduce__(
        self,
    ) -> tuple[
        Callable[..., TokenStreamError], tuple[type[TokenStreamError], tuple[Any, ...], dict[str, Any]]
    ]:
        # Constructors take keyword arguments, which the default protocol would lose.
        return _rebuild, (type(self), self.args, self.__dict__)


class MisuseError(TokenStreamError, RuntimeError):
    """The calling code asked for something impossible; the message says what to do instead.

    Args:
        message: What is impossible, and what to do.
        kind: `"closed"` for a read after the closing of a stream, `"consumed"` for one after the end of
            its events, `"concurrent"` for one during another read, and `"secret"` for a recording with a
            secret; None for anything else.

    Example:
        >>> MisuseError("the stream was closed", kind="closed").kind
        'closed'
    """

    def __init__(self, message: str, *, kind: MisuseKind | None = None) -> None:
        super().__init__(message)
        self.kind = kind


@contextmanager
def pass_over(*kinds: MisuseKind) -> Generator[None]:
    """Suppress a `MisuseError` of one of these kinds."""
    try:
        yield
    except MisuseError as error:
        if error.kind not in kinds:
            raise


class NotExpressible(MisuseError):
    """A message contains content that the target API does not accept in a request.

    Args:
        message: The content that cannot be sent, and how to leave it out.
        kinds: The number of items that cannot be sent, by kind; the kinds are the names that `drop=`
            takes. Empty if nothing of the message would be left to send.
    """

    def __init__(self, message: str, *, kinds: Mapping[Kind, int] | None = None) -> None:
        super().__init__(message)
        self.kinds = dict(kinds or {})


class _WithoutOrigin(str):
    """A message that lacks the line about the origin: false, but like any other text in all other ways."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class _AnswerError(TokenStreamError):
    """Base class of the errors that have a partial answer."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._origin: Origin | None = None
        self._partial: Message | None = None

    def __str__(self) -> str:
        message = self.message
        return f"{message}\n{self._origin}" if isinstance(message, _WithoutOrigin) else message

    @property
    def message(self) -> str:
        # Without a server or an id, the line would tell nobody anything.
        is_told = self._origin is not None and self._origin.is_known
        # The text of Ray's class is that of its cause, with the line.
        text = Exception.__str__(self).removesuffix(f"\n{self._origin}")
        return (_WithoutOrigin if is_told else str)(text)

    @property
    def origin(self) -> Origin:
        """The origin of the answer: its host, request id, attempt and more; an empty one without a stream."""
        if self._origin is None:
            from tokenstream._values.origin import Origin

            self._origin = Origin()
        return self._origin

    @origin.setter
    def origin(self, origin: Origin | None) -> None:
        self._origin = origin

    @property
    def partial(self) -> Message:
        """The answer as far as it had arrived; an empty message if nothing had arrived."""
        if self._partial is None:
            empty: Message = load_public("Message")()
            self._partial = empty
        return self._partial

    @partial.setter
    def partial(self, message: Message) -> None:
        self._partial = message

    @partial.deleter
    def partial(self) -> None:
        # A stream then stores the answer as it is at its end.
        self._partial = None


class AnswerFailure(_AnswerError):
    """An answer ended early: a `StreamError`, or `CostExceeded`, with everything that had arrived."""

    default_kind: ErrorKind = "unknown"

    tool_calls_delivered: tuple[str, ...]
    """Ids of the tool calls that were delivered to the reader, and may already have been run."""
    events_seen: int
    """Number of events that were decoded before the failure."""
    bytes_seen: int
    """Number of bytes that were read from the source before the failure."""
    request_id: str | None
    """The provider's id of the request, to be quoted to its support; None if the provider sent none."""
    provider_message: str | None
    """The provider's own sentence about the failure alone, at most 500 characters; None if it sent none."""
    tail: bytes
    """The bytes of an event that had not arrived completely, at most `Limits.tail` of them."""
    stderr: str
    """The end of what an agent's process wrote to its standard error; "" without one."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        # Past the constructors of its bases, since a retry makes many errors.
        Exception.__init__(self, message)
        self.tool_results = self._origin = self._partial = None
        self.kind: ErrorKind = kind if kind is not None else self.default_kind
        self.retryable = ERROR_KINDS[self.kind].retryable if retryable is None else retryable
        self.retry_after = retry_after
        self._checkpoint: Checkpoint | None = None
        self.tool_calls_delivered = ()
        self.events_seen = self.bytes_seen = 0
        self.request_id = self.provider_message = None
        self.tail = b""
        self.stderr = ""

    @property
    def sentence(self) -> str:
        """The error's own sentence, or else that of its class and kind."""
        return super().sentence or clause_for(type(self).__name__, self.kind)

    @property
    def checkpoint(self) -> Checkpoint:
        """The position of the failure: `partial`, and the data that a server needs to resume after it."""
        if self._checkpoint is None:
            start: Checkpoint = load_public("Checkpoint")(messages=(self.partial,))
            self._checkpoint = start
        return self._checkpoint

    @checkpoint.setter
    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpoint, self.tool_calls_delivered = checkpoint, checkpoint.tool_calls_delivered


class StreamError(AnswerFailure):
    """A stream failed; the error contains everything that had arrived.

    Args:
        message: A description of what happened, where, and what to do.
        kind: The cause in one word; None for the class's default.
        retryable: True if another attempt may succeed; None to derive it from `kind`.
        retry_after: The seconds that the server asked the client to wait; None if it did not ask.
    """


class ConnectError(StreamError):
    """No response arrived: connecting failed, or the connection broke before the response headers.

    Args:
        message: A description of what happened.
        stage: "connect" while connecting, "head" once the request had been sent.
        kind: The cause in one word; None for the class's default.
        retryable: True if another attempt may succeed; None to derive it from `kind`.
    """

    default_kind = "network"

    def __init__(
        self,
        message: str,
        *,
        stage: Literal["connect", "head"] = "connect",
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable)
        self.stage = stage


class StatusError(StreamError):
    """The server answered with a status of 400 or more.

    Args:
        message: A description of what happened, with the provider's explanation if there was one.
        status: The HTTP status; None to find it in the message, which is all that Celery's results keep.
        code: The provider's error code, or None.
        type: The provider's error type, or None.
        body: The start of the response body, as text.
        kind: The cause in one word; None to find it by the status, and by the advice in the message.
        retryable: True if another attempt may succeed; None to derive it from the status and `kind`.
        retry_after: The seconds that the server asked the client to wait; None if it did not ask.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the providers' own word
        body: str = "",
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        found = _STATUS.search(message) if status is None else None
        self.status: int = int(found[1]) if found is not None else status or 0
        if kind is None:
            kind = find_kind(self.status, message)
            retryable = False if retryable is None and is_final(self.status) else retryable
        super().__init__(message, kind=kind, retryable=retryable, retry_after=retry_after)
        self._sentence = f"the server answered with status {self.status}"
        self.code = code
        self.type = type
        self.body = body


class NotAStream(StreamError):
    """The response body is not a stream that this library can read: a web page, or an unknown format.

    Args:
        message: A description of the body, and what to do.
        body: The start of the body, as text.
    """

    def __init__(self, message: str, *, body: str = "") -> None:
        super().__init__(message)
        self.body = body


class StreamInterrupted(StreamError):
    """The connection broke while the answer was arriving; `__cause__` is the transport's error."""

    default_kind = "network"


class StreamTruncated(StreamError):
    """The connection was closed cleanly, or another answer began on it, before the end of the answer."""

    default_kind = "network"


class StreamStalled(StreamError):
    """Nothing arrived for longer than a deadline allows.

    Args:
        message: A description of the silence: what the stream waited for, and how long.
        limit: The field of `Deadlines` that was exceeded, or "transport" for the
            read timeout of the caller's own client.
    """

    default_kind = "network"

    def __init__(self, message: str, *, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class ProtocolError(StreamError):
    """The server sent bytes or payloads that the format does not allow.

    Args:
        message: A description of what was expected.
        event: Number of the offending frame, from 1, or None.
        offset: Position of the fault in that frame's payload, in bytes, or None.
    """

    default_kind = "server"

    def __init__(self, message: str, *, event: int | None = None, offset: int | None = None) -> None:
        super().__init__(message, retryable=False)
        self.event = event
        self.offset = offset


class LimitExceeded(ProtocolError):
    """The input exceeded one of `Limits`.

    Args:
        message: A description of what grew too large; by default, made from the other two arguments.
        limit: The field of `Limits` that was exceeded.
        value: The value of that field.
    """

    def __init__(self, message: str | None = None, *, limit: str = "", value: int = 0) -> None:
        hint = ""
        if message is None:
            message = f"the input outgrew Limits.{limit} = {value:,}"
            # The JSON decoder has the limits in `_FIXED`, too, so they cannot be raised.
            if limit not in _FIXED:
                hint = f"; if it is meant to be that large, pass limits=Limits({limit}=…) with a higher bound"
        super().__init__(f"{message}{hint}")
        # Read by `error_marks`: the command line leaves out advice that applies only to code.
        self._code_hint = hint
        self.limit = limit
        self.value = value


class PositionLost(ProtocolError):
    """The server did not resume the answer at the requested position.

    The server no longer has that position, or resumed at another one. The answer so far is
    in `partial`. Fetch the finished answer by its id, if the provider offers that, or
    send the request again from the start.

    Args:
        message: A description of what the server did instead.
        event: Number of the offending frame, from 1, or None.
        offset: Position of the fault in that frame's payload, in bytes, or None.
    """


class ProviderError(StreamError):
    """The provider reported a failure inside the stream, or with a status below 400.

    Args:
        message: The provider's error message.
        code: The provider's error code, or None.
        type: The provider's error type, or None.
        kind: The cause in one word; None for the class's default.
        retryable: True if another attempt may succeed; None to derive it from `kind`.
        retry_after: The seconds that the server asked the client to wait; None if it did not ask.
        data: Further data of an error of JSON-RPC, as the agent sent it; None if there is none.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the providers' own word
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        data: Any = None,  # noqa: ANN401 - JSON
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable, retry_after=retry_after)
        self._sentence = "the provider reports an error"
        self.code = code
        self.type = type
        self.data = data


class GuardFailed(StreamError):
    """A guard of the stream raised an exception, the `__cause__`, instead of returning a verdict."""


class AnswerRejected(StreamError):
    """An answer arrived without an error, but was rejected.

    Either its outcome was rejected, such as an empty text; or it was to continue an earlier answer that had
    broken off, and does not join it. A stream raises this error only if `Retry.accept` accepts none of the
    answers; `.partial` is then the last answer. In all other cases the error only appears in
    `stream.attempts`: the stream returns the answer of the last attempt or, if no continuation joins the
    earlier answer, raises the error that had broken that answer off.

    Args:
        message: The outcome of the answer.
        outcome: The outcome in one word; "seam" for a continuation that does not join the answer,
            "invalid" for an answer that `Retry.accept` does not accept.
    """

    def __init__(self, message: str, *, outcome: Outcome | Literal["seam", "invalid"] = "empty") -> None:
        super().__init__(message, retryable=True)
        self.outcome = outcome


class _OutputError(_AnswerError):
    """Base class of the errors about a model's structured output."""

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        offset: int | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        best: Partial[Any] | None = None,
        path: Sequence[str | int] = (),
    ) -> None:
        super().__init__(message)
        self._sentence = "the model's output is not what was asked for"
        self.text = text
        """The output as the model wrote it."""
        self.path = tuple(path)
        """The path of `text` in the document; () if it is the whole document."""
        self.offset = offset
        """Position of the first fault in `text`, in characters; None if the fault is not in the text."""
        self.errors = tuple(errors)
        """The invalid values, in the form of pydantic's `ValidationError.errors()`."""
        self.best = best
        """The output as far as it can be read; None if none of it can be read."""


class OutputInvalid(_OutputError):
    """The model's output is not what the application asked for.

    Args:
        message: A description of the fault in the output.
        text: The output as the model wrote it.
        offset: Position of the first fault in `text`, in characters, or None.
        errors: The invalid values, in the form of pydantic's `ValidationError.errors()`.
        best: The output as far as it can be read; None if none of it can be read.
        path: The path in the document, if the output is only one element of the document.
    """

    @property
    def index(self) -> int | None:
        """Position of the element in its array, from 0; None if the error is not about an element."""
        last = self.path[-1] if self.path else None
        return last if isinstance(last, int) else None

    @cached_property
    def words_for_model(self) -> str:
        """The fault explained to the model: limited in length, and without class names of the program."""
        from tokenstream._basics.words import words_for_output

        offset = self.offset if isinstance(self, InvalidJSON) else None
        repaired = None if self.best is None else self.best.value
        return words_for_output(self.text, offset, self.errors, self.path, repaired)


class InvalidJSON(OutputInvalid):
    """The model's output is not JSON; the part before the fault is kept in `best`.

    Args:
        message: A description of the fault in the output.
        text: The output as the model wrote it; empty if it was not kept as a whole.
        offset: The position, in characters, of the first character that cannot continue any JSON.
        errors: The invalid values, in the form of pydantic's `ValidationError.errors()`.
        best: The output as far as it can be read; None if none of it can be read.
    """

    offset: int

    def __init__(
        self,
        message: str,
        *,
        offset: int = 0,
        text: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        best: Partial[Any] | None = None,
    ) -> None:
        super().__init__(message, text=text, offset=offset, errors=errors, best=best)


class OutputIncomplete(_OutputError):
    """The model's output was cut off before it was complete.

    Args:
        message: The reason why the output was cut off.
        text: The output as the model wrote it.
        offset: The length of the output, in characters, or None.
        errors: The missing or invalid values, in the form of pydantic's `ValidationError.errors()`.
        best: The output as far as it can be read; None if none of it can be read.
    """


class CostExceeded(OutputIncomplete, AnswerFailure):
    """`Retry.most` has stopped the answer, or not sent its request.

    It is no `StreamError`: who falls back to another model after one would spend outside of the budget.
    """

    default_kind = "quota"

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message, text=text, offset=len(text))
        del self._sentence  # the bound's words are the library's


class PurseUnavailable(StreamError):
    """A `Purse` cannot be used now: its file or its Redis cannot, whose exception is the cause."""

    default_kind = "server"


class CallUncertain(_AnswerError):
    """A tool call has begun before, but its result is not known, so it is not run again.

    Either its end was never stored, and it may have run or not; or it has run, and its result could not be
    kept. Find out. If the call has run, `store.settle(error.key, result)` stores its result. If it is to run
    after all, `store.forget(error.key)` lets the next attempt run it.

    Args:
        message: What is known about the call.
        key: The call's key in the store.
    """

    words_for_model = (
        "It is not known whether this call has taken effect. Do not repeat it. Tell the user, who can check."
    )
    """The words for the model, as the call's result."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class CallsDiffer(_AnswerError):
    """The tool calls of an answer are others than those of the first answer under the same id.

    Only a store with the option `same_calls` raises it. Neither the call that differs is run, nor one after.

    Args:
        message: The names of both answers' calls, and what to do.
        number: The number of the first call that differs, counted from 0.
        first: The calls of the first answer, as far as they are known, each with its arguments.
        second: The calls of this answer so far.
    """

    def __init__(
        self, message: str, *, number: int = 0, first: Sequence[str] = (), second: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.number = number
        self.first = list(first)
        self.second = list(second)


class CallStoreUnavailable(TokenStreamError):
    """The store of tool calls cannot be used now: it is unreachable, or full."""


# A name that is elsewhere is answered with its place.
if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), {})
