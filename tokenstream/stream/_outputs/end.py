"""Errors for answers that end without the requested JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from tokenstream.errors import LimitExceeded, OutputIncomplete, OutputInvalid

if TYPE_CHECKING:
    from tokenstream._origin import Origin
    from tokenstream.errors import StreamError
    from tokenstream.message import Message
    from tokenstream.partial_json import Partial

OutputError: TypeAlias = OutputInvalid | OutputIncomplete | LimitExceeded
"""Errors for an answer that does not match the request."""
ErrorT = TypeVar("ErrorT", bound=Exception)

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


def missing_json_error(message: Message, tool: str | None) -> OutputError:
    """Return the error for an answer that lacks the text, or the tool call, to read JSON from.

    Args:
        tool: The name of the tool whose arguments should be the JSON; None if the text should be.
    """
    wanted = "text" if tool is None else f"call of the tool {tool!r}"
    if _has_declined(message):
        msg = "the model declined to answer; its words are in .partial.refusal"
        return OutputInvalid(msg, text=message.text)
    if is_cut(message):
        how, advice = _describe_cut(message)
        return OutputIncomplete(f"the answer {how} before it had a {wanted}{advice}", text=message.text)
    called_tools = sorted({call.name for call in message.tool_calls})
    if called_tools and tool is None:
        names = ", ".join(map(repr, called_tools))
        return OutputInvalid(
            f"the answer has no text, but calls {names}; pass tool=… to read a call's arguments", text=""
        )
    return OutputInvalid(f"the answer has no {wanted}", text=message.text)


def incomplete_error(
    message: Message,
    text: str,
    *,
    whole: bool = False,
    errors: tuple[Any, ...] = (),
    best: Partial[Any] | None = None,
) -> OutputError:
    """Return the error for an answer that was cut off, or in which the model declined to go on.

    Args:
        text: The JSON received.
        whole: True if the JSON is complete, but not the tool call that contains it.
        errors: Validation errors of the values in the JSON.
        best: The last snapshot.
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


def failed_stream_error(
    cause: StreamError, text: str, *, errors: tuple[Any, ...] = (), best: Partial[Any] | None = None
) -> OutputIncomplete:
    """Return the error for the result of a stream that failed.

    Args:
        cause: The error with which the stream failed.
        text: The JSON received.
        errors: Validation errors of the values in the JSON.
        best: The last snapshot.
    """
    return OutputIncomplete(
        f"the stream broke off before the end of the answer, and {len(text):,} characters of JSON came: "
        f"{cause.message}",
        text=text,
        offset=len(text),
        errors=errors,
        best=best,
    )


def add_context(
    error: ErrorT, message: Message, origin: Origin | None, text: str, best: Partial[Any] | None
) -> ErrorT:
    """Add the message, its origin, the text and the last snapshot, which a stage does not know, to its error.

    Exceptions of the program's own validators stay unchanged.

    Args:
        message: The answer so far.
        origin: The origin of the answer; None if it is not known.
        text: The text of the output, if the error has none; "" if none is known.
        best: The last snapshot, if the error has none; None if none is known.

    Returns:
        The same error.
    """
    if isinstance(error, OutputInvalid | OutputIncomplete | LimitExceeded):
        error.partial, error.origin = message, origin
    if isinstance(error, OutputInvalid | OutputIncomplete):
        error.text = error.text or text
        error.best = best if error.best is None else error.best
    return error


def _has_declined(message: Message) -> bool:
    """Return True if the model refused to answer."""
    return message.finish_reason == "refusal" or bool(message.refusal)


def _describe_cut(message: Message) -> tuple[str, str]:
    """Return how an answer was cut off, and advice for the developer."""
    return _CUTS.get(message.finish_reason) or _ENDINGS.get(message.ending) or _ENDED
