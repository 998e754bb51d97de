"""Errors as a command reports them: the message, without hints that only apply to code, and advice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.errors import LimitExceeded, NotAStream, ProviderError, StatusError
from tokenstream.formats._registry import names

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

Origin: TypeAlias = Literal["request", "pipe", "file"]
"""Kind of source of an answer."""

FORMATS = tuple(name for name in names() if name != "pieces")
"""Names of the formats of bytes; the format "pieces" is only for texts in a program."""

ASK_FOR_A_STREAM = (
    'ask for a stream: with "stream": true in the body, or at the address that streams '
    "(such as Gemini's streamGenerateContent)"
)
"""Advice for an answer that was not streamed, which raises no error."""

_ATTRIBUTE = re.compile(r"; (?:what|its|the) [^;]*? (?:is|are) in \.(?:body|partial)\.?$")
"""Matches a reference to an attribute of the error, whose value the report prints in a row anyway."""
_PYTHON = (
    (re.compile(r" If it is (?:a format of these|one of .*?), name it with format=….*", re.DOTALL), ""),
    (re.compile(r"; if it is meant to be that large, pass limits=.*"), ""),
    (re.compile(r"\. Hand over the response itself .*"), ""),
    (re.compile(r"; ask again$"), ""),
    (re.compile(r", or set follow_redirects=True in the request"), ""),
    (re.compile(r" \(Deadlines\.\w+\)"), ""),
    (re.compile(r"\bLimits\.(\w+ = )"), r"the limit \1"),
    (re.compile(r'\bformat="([\w-]+)"'), r"--format \1"),
    (re.compile(r"\bformat="), "--format"),
)


def describe_error(error: Exception) -> str:
    """Return an error's message without the advice that only applies to code.

    Example:
        >>> describe_error(LimitExceeded(limit="line", value=80))
        'the input outgrew the limit line = 80'
    """
    text = str(error)
    # Messages of these errors come from the server and contain no hints of ours.
    if not isinstance(error, ProviderError | StatusError):
        for python, words in _PYTHON:
            text = python.sub(words, text)
    return _ATTRIBUTE.sub("", text)


def advice(error: StreamError, origin: Origin) -> str:
    """Return a sentence of advice about an error.

    Args:
        error: The error.
        origin: Source of the answer; a request can be sent again, a file stays the same.
    """
    delivered = ", ".join(error.tool_calls_delivered)
    if isinstance(error, NotAStream):
        found = _advise_on_body(error, origin)
    elif isinstance(error, LimitExceeded):
        found = "this command has no option for it; a program may allow more, with the library's Limits"
    elif origin == "file":
        found = "look at what was recorded: a file has no other answer to give"
    elif error.kind == "authentication":
        found = "check the key and what it may do"
    elif not error.retryable:
        changed = error.kind == "invalid_request"
        found = "change the request" if changed else "the same request will hardly do better"
    else:
        when = f"in {error.retry_after:g} seconds" if error.retry_after else "again"
        mind = f", but mind the tool calls that were handed out: {delivered}"
        found = f"ask {when}{mind}" if delivered else f"ask {when}: it may help"
    return found


def _advise_on_body(error: NotAStream, origin: Origin) -> str:
    """Return a sentence of advice about a body that is not a stream."""
    said = str(error)
    if "name it with format=" in said:
        return (
            f"if it is one of these formats, name it with --format: {', '.join(FORMATS)}; "
            "another one needs a program, with a mapping or a format of its own"
        )
    if origin == "file":
        return "look at how it was recorded"
    if " redirects to " in said:
        return "ask at that address, if it is to be trusted"
    return "check the address, and what stands between"
