"""Errors as a command reports them: the message, advice, and the error that ends the command."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from tokenstream._basics.error_marks import cause_of, message_without_hint
from tokenstream.errors import ErrorKind, LimitExceeded, NotAStream, ProviderError, StatusError, StreamError
from tokenstream.formats._registry import names

FAILED = 1
"""Exit status if a file, an address or the output cannot be used."""
MISUSE = 2
"""Exit status if the command line is invalid, as argparse reports it, too."""


class CommandFailed(Exception):
    """A command cannot do its work.

    Args:
        message: A description of the problem, on one line.
    """

    def __init__(self, message: str, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """Return the system's description of an error, without the error's number and the file."""
    return error.strerror or str(error)


InputOrigin: TypeAlias = Literal["request", "pipe", "file"]
"""Kind of source of an answer."""

FORMATS = tuple(name for name in names() if name != "pieces")
"""Names of the formats of bytes; the format "pieces" is only for texts in a program."""

ASK_FOR_A_STREAM = (
    'ask for a stream: with "stream": true in the body, or at the address that streams '
    "(such as Gemini's streamGenerateContent)"
)
"""Advice for an answer that was not streamed, which raises no error."""

_ADVICE_BY_KIND: dict[ErrorKind, str] = {
    "quota": "check the account's credit and its limits",
    "invalid_request": "change the request",
    "context_length": "shorten the request, or ask a model with a longer context",
    "authentication": "check the key and what it may do",
}
"""Advice for kinds of errors for which the same request fails again."""

_ATTRIBUTE = re.compile(r"; [^;]* in \.(?:body|partial)\.?$")
"""Matches a reference to an attribute of the error, whose value the report prints in a row anyway."""
_CODE_NOTATION = (
    (re.compile(r" \(Deadlines\.\w+\)"), ""),
    (re.compile(r"\bLimits\.(\w+ = )"), r"the limit \1"),
    (re.compile(r'\bformat="([\w-]+)"'), r"--format \1"),
    (re.compile(r"\bformat="), "--format"),
)
"""Patterns of names and arguments as code writes them, each with its replacement for the command line."""


def describe_error(error: Exception) -> str:
    """Return an error's message without the advice that only applies to code."""
    text = message_without_hint(error)
    # Messages of these errors come from the server and contain no hints of ours.
    if not isinstance(error, ProviderError | StatusError):
        for notation, replacement in _CODE_NOTATION:
            text = notation.sub(replacement, text)
    # A clause such as "its start is in .body" is left out: the attribute's value is printed in any case.
    return _ATTRIBUTE.sub("", text)


def is_unknown_format(error: NotAStream) -> bool:
    """Return True if a body was refused only because its format, which a user may name, is unknown."""
    return cause_of(error) in ("unknown_format", "agent")


def is_of_agent(error: StreamError) -> bool:
    """Return True if a body was refused because it has the lines of an agent, and not one answer."""
    return cause_of(error) == "agent"


def advise_on_error(error: StreamError, origin: InputOrigin) -> str:
    """Return a sentence of advice about an error."""
    if isinstance(error, NotAStream):
        return _advise_on_body(error, origin)
    if isinstance(error, LimitExceeded):
        return "this command has no option for it; a program may allow more, with the library's Limits"
    if origin == "file":
        return "look at what was recorded: a file has no other answer to give"
    if error.retryable and error.kind != "authentication":
        time = f"in {error.retry_after:g} seconds" if error.retry_after else "again"
        calls = error.tool_calls_delivered
        if calls:
            return f"ask {time}, but mind the tool calls that were handed out: {', '.join(calls)}"
        return f"ask {time}: it may help"
    return _ADVICE_BY_KIND.get(error.kind, "the same request will hardly do better")


def _advise_on_body(error: NotAStream, origin: InputOrigin) -> str:
    """Return a sentence of advice about a body that is not a stream."""
    if is_of_agent(error):
        return (
            "inspect shows the run of an agent from a file or a pipe, without --format; "
            "a program follows it with the library's Steps"
        )
    if is_unknown_format(error):
        return (
            f"if it is one of these formats, name it with --format: {', '.join(FORMATS)}; "
            "another one needs a program, with a mapping or a format of its own"
        )
    if origin == "file":
        return "look at how it was recorded"
    if cause_of(error) == "redirect":
        return "ask at that address, if it is to be trusted"
    return "check the address, and any proxies on the way"
