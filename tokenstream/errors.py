"""Everything that can go wrong, and whose fault it is.

    TokenStreamError
    ├── MisuseError (RuntimeError)      the calling code is wrong
    │   ├── StreamClosed
    │   ├── StreamConsumed
    │   ├── ConcurrentRead
    │   └── NotExpressible
    ├── StreamError                     the world's fault; carries what had arrived
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
    └── OutputIncomplete                the model's output was cut

No message quotes the payload's text, which may be private.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.message import Checkpoint, Message
    from tokenstream.partial_json import Partial
    from tokenstream.turns import Kind, ToolResults

__all__ = [
    "AnswerRejected",
    "ConcurrentRead",
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
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "StreamInterrupted",
    "StreamStalled",
    "StreamTruncated",
    "TokenStreamError",
]

Outcome: TypeAlias = Literal["empty", "refusal", "content_filter", "malformed_call"]
"""How an answer may end that is whole, and yet of no use."""

ErrorKind: TypeAlias = Literal[
    "overloaded", "rate_limited", "invalid_request", "authentication", "server", "network", "unknown"
]
"""Whose problem it is, in one word that does not depend on the provider."""

_FIXED = frozenset({"depth", "digits"})
"""Bounds that cannot be raised, since the JSON decoder has them too."""
_RETRYABLE: frozenset[str] = frozenset({"overloaded", "rate_limited", "server", "network"})


def _rebuild(cls: type[TokenStreamError], args: tuple[Any, ...], state: dict[str, Any]) -> TokenStreamError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class TokenStreamError(Exception):
    """The root of every error that this library raises."""

    tool_results: ToolResults | None = None
    """What the tools gave back that a router had run by then; None where none runs them."""

    def __reduce__(
        self,
    ) -> tuple[
        Callable[..., TokenStreamError], tuple[type[TokenStreamError], tuple[Any, ...], dict[str, Any]]
    ]:
        # Constructors take keywords, which the default protocol would lose.
        return _rebuild, (type(self), self.args, self.__dict__)


class MisuseError(TokenStreamError, RuntimeError):
    """The calling code asks for something that cannot be done; the message says what to do instead."""


class StreamClosed(MisuseError):
    """The stream was closed; what had arrived is still in its `message`."""


class StreamConsumed(MisuseError):
    """The stream's events were read to their end; what they added up to is in its `message`."""


class ConcurrentRead(MisuseError):
    """A read was started while another one was in progress."""


class NotExpressible(MisuseError):
    """A message holds what the next request of an API has no place for.

    Args:
        message: What that is, and how to leave it out.
        kinds: The same as names for `drop=`, and how many there are of each; empty
            where nothing of the message is left to be sent.
    """

    def __init__(self, message: str, *, kinds: Mapping[Kind, int]) -> None:
        super().__init__(message)
        self.kinds = dict(kinds)


class _AnswerError(TokenStreamError):
    """What the errors of an answer have in common."""

    _partial: Message | None = None

    @property
    def partial(self) -> Message:
        """What the answer had come to; an empty message where nothing has come."""
        if self._partial is None:
            from tokenstream.message import Message

            self._partial = Message()
        return self._partial

    @partial.setter
    def partial(self, message: Message) -> None:
        self._partial = message


class StreamError(_AnswerError):
    """A stream failed; everything that had arrived is on the error.

    Args:
        message: What happened, where, and what to do about it.
        kind: Whose problem it is.
        retryable: Whether asking again may help; by default decided from `kind`.
        retry_after: Seconds that the server asked to wait, or None.
    """

    default_kind: ErrorKind = "unknown"

    tool_calls_delivered: tuple[str, ...]
    """Ids of the tool calls that had been handed out, and may have been run."""
    events_seen: int
    """Events that had been decoded."""
    bytes_seen: int
    """Bytes that had been read from the source."""
    request_id: str | None
    """The provider's name for the request, for its support."""
    tail: bytes
    """What had arrived of an unfinished event, at most `Limits.tail` bytes."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind if kind is not None else self.default_kind
        self.retryable = self.kind in _RETRYABLE if retryable is None else retryable
        self.retry_after = retry_after
        self._checkpoint: Checkpoint | None = None
        self.tool_calls_delivered = ()
        self.events_seen = 0
        self.bytes_seen = 0
        self.request_id = None
        self.tail = b""

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the answer stood: `partial`, and what a server is told to go on from there."""
        if self._checkpoint is None:
            from tokenstream.message import Checkpoint

            self._checkpoint = Checkpoint(messages=(self.partial,))
        return self._checkpoint

    @checkpoint.setter
    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    @property
    def has_partial(self) -> bool:
        """Whether a driver has put what had arrived on the error."""
        return self._partial is not None


class ConnectError(StreamError):
    """No response came: the connection could not be made, or broke before the head was whole.

    Args:
        message: What happened.
        stage: How far it came: "connect", or "head" once the request was out.
        kind: Whose problem it is.
        retryable: Whether asking again may help.
    """

    default_kind: ErrorKind = "network"

    def __init__(
        self,
        message: str,
        *,
        stage: Literal["connect", "head"],
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable)
        self.stage = stage


class StatusError(StreamError):
    """The server answered with a status of 400 or more.

    Args:
        message: What happened, with the provider's own words where it sent some.
        status: The HTTP status.
        code: The provider's error code, or None.
        type: The provider's error type, or None.
        body: The start of the response body, as text.
        kind: Whose problem it is.
        retryable: Whether asking again may help.
        retry_after: Seconds that the server asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the providers' own word
        body: str = "",
        kind: ErrorKind | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable, retry_after=retry_after)
        self.status = status
        self.code = code
        self.type = type
        self.body = body


class NotAStream(StreamError):
    """The body is no stream that this library reads: a web page, or an unknown format.

    Args:
        message: What it looks like, and what to do.
        body: The start of the body, as text.
    """

    def __init__(self, message: str, *, body: str = "") -> None:
        super().__init__(message)
        self.body = body


class StreamInterrupted(StreamError):
    """The transport broke while the answer was arriving; its own error is the cause."""

    default_kind: ErrorKind = "network"


class StreamTruncated(StreamError):
    """The input ended cleanly, but before the end of the answer."""

    default_kind: ErrorKind = "network"


class StreamStalled(StreamError):
    """Nothing came for longer than a deadline allows.

    Args:
        message: What was waited for, and how long.
        limit: The field of `Deadlines` that passed, or "transport" when it was
            the read timeout of the caller's own client.
    """

    default_kind: ErrorKind = "network"

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class ProtocolError(StreamError):
    """The bytes or payloads are not what the format allows.

    Args:
        message: What was expected.
        event: Number of the frame at fault, from 1, or None.
        offset: Position in the frame's payload, in bytes, or None.
    """

    default_kind: ErrorKind = "server"

    def __init__(self, message: str, *, event: int | None = None, offset: int | None = None) -> None:
        super().__init__(message, retryable=False)
        self.event = event
        self.offset = offset


class LimitExceeded(ProtocolError):
    """The input outgrew a bound of `Limits`.

    Args:
        message: What grew too large; by default said from the other two.
        limit: The field of `Limits` that was passed.
        value: That field's value.
    """

    def __init__(self, message: str | None = None, *, limit: str, value: int) -> None:
        if message is None:
            message = f"the input outgrew Limits.{limit} = {value:,}"
            if limit not in _FIXED:
                message += (
                    f"; if it is meant to be that large, pass limits=Limits({limit}=…) with a higher bound"
                )
        super().__init__(message)
        self.limit = limit
        self.value = value


class PositionLost(ProtocolError):
    """The server does not go on from the position that it was told: it no longer holds it, or is elsewhere.

    What had arrived is in `partial`. Ask for the finished answer by its id, where
    the provider has that, or from zero.

    Args:
        message: What the server did instead.
        event: Number of the frame at fault, from 1, or None.
        offset: Position in the frame's payload, in bytes, or None.
    """


class ProviderError(StreamError):
    """The provider said, inside the stream or with a status below 400, that the answer failed.

    Args:
        message: The provider's words.
        code: Its error code, or None.
        type: Its error type, or None.
        kind: Whose problem it is.
        retryable: Whether asking again may help.
        retry_after: Seconds that the server asked to wait, or None.
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
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable, retry_after=retry_after)
        self.code = code
        self.type = type


class GuardFailed(StreamError):
    """A guard of the stream raised, so nobody knows what it would have said; its error is the cause."""


class AnswerRejected(StreamError):
    """An answer is whole, but its outcome is one that the caller asks again for.

    It stands in `stream.attempts`, and is never raised: where no attempt is left, the answer is given.

    Args:
        message: What it was.
        outcome: The same in one word.
    """

    def __init__(self, message: str, *, outcome: Outcome) -> None:
        super().__init__(message, retryable=True)
        self.outcome = outcome


class _OutputError(_AnswerError):
    """What the errors of a model's output have in common."""

    def __init__(
        self,
        message: str,
        *,
        text: str,
        offset: int | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        best: Partial[Any] | None = None,
        path: Sequence[str | int] = (),
    ) -> None:
        super().__init__(message)
        self.text = text
        """The output as the model wrote it."""
        self.path = tuple(path)
        """The place of `text` in the document; () for the whole."""
        self.offset = offset
        """Position of the first fault in `text`, in characters; None where the text is no matter."""
        self.errors = tuple(errors)
        """What is wrong with its values, as pydantic's `ValidationError.errors()` tells it."""
        self.best = best
        """The output as far as it can be read; None where nothing was."""


class OutputInvalid(_OutputError):
    """The model's output is not what was asked for.

    Args:
        message: What is wrong with it.
        text: The output as the model wrote it.
        offset: Position of the first fault in `text`, in characters, or None.
        errors: What is wrong with its values, as pydantic tells it.
        best: The output as far as it can be read.
        path: Where in the document it stands, where it is an element.
    """

    @cached_property
    def words_for_model(self) -> str:
        """Words in which the model hears what is wrong: of a bounded length, with no class of the program."""
        from tokenstream.stages._tools_words import words_for_output

        return words_for_output(self)


class InvalidJSON(OutputInvalid):
    """The model's output is no JSON; what came before the fault is kept.

    Args:
        message: What is wrong with it.
        text: The output as the model wrote it; empty where only the pieces were seen.
        offset: Position of the first character that no JSON can go on with, in characters.
        errors: What is wrong with its values, as pydantic tells it.
        best: The output as far as it can be read.
    """

    offset: int

    def __init__(
        self,
        message: str,
        *,
        offset: int,
        text: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        best: Partial[Any] | None = None,
    ) -> None:
        super().__init__(message, text=text, offset=offset, errors=errors, best=best)


class OutputIncomplete(_OutputError):
    """The model's output was cut before it was whole.

    Args:
        message: What cut it.
        text: The output as the model wrote it.
        offset: Where it ends, in characters, or None.
        errors: What is missing or wrong, as pydantic tells it.
        best: The output as far as it can be read.
    """
