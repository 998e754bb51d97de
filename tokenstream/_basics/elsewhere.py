"""AttributeErrors for names that are known from other libraries, with a hint on what to use here.

The attributes do not exist: `hasattr` returns False, and type checkers reject them.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Never, TypeVar, cast

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.errors import TokenStreamError

KindT = TypeVar("KindT")
FunctionT = TypeVar("FunctionT", bound="Callable[..., Any]")

ALIASES = {
    "annotations": "citations",
    "blocks": "parts",
    "completion_tokens": "usage.output_tokens",
    "content": "text",
    "content_blocks": "parts",
    "done": "complete",
    "done_reason": "finish_reason",
    "function_call": "tool_calls",
    "input_tokens": "usage.input_tokens",
    "output": "parts",
    "output_text": "text",
    "output_tokens": "usage.output_tokens",
    "prompt_tokens": "usage.input_tokens",
    "reasoning_content": "reasoning",
    "thinking": "reasoning",
    "tool_call": "tool_calls",
    "usage_metadata": "usage",
}
"""Names for a message's attributes in other APIs, each with the attribute here."""
FIELDS = (
    "citations",
    "complete",
    "ending",
    "finish_reason",
    "id",
    "model",
    "parts",
    "provider_data",
    "raw_finish_reason",
    "refusal",
    "role",
    "usage",
)
"""Attributes of a message that a stream does not have."""
_FINAL = "`stream.final()` reads to the end and returns the message; an AsyncStream's is awaited"
OF_STREAM = {
    "choices": "`stream.messages` has a message for each choice, and `stream.choice(n)` the views of one",
    "content": "the text so far is `stream.message.text`, and a loop over `stream.text` gives the pieces",
    "current_message_snapshot": "it is `stream.message`, which is always current",
    "events": "a loop over the stream itself gives the events",
    "get_final_completion": _FINAL,
    "get_final_message": _FINAL,
    "get_final_response": _FINAL,
    "get_final_text": "`stream.final().text` reads to the end; an AsyncStream's `final()` is awaited",
    "headers": "they are `stream.response.headers`, once the response is there",
    "output_text": "the text so far is `stream.message.text`, and a loop over `stream.text` gives the pieces",
    "parsed": "`stream.result(type)` reads the answer as a type",
    "request_id": "it is `stream.response.request_id`, once the response is there",
    "status_code": "it is `stream.response.status`, once the response is there",
    "text_stream": "a loop over `stream.text` gives the pieces of the text",
    "until_done": _FINAL,
}
_STREAM_HINTS = {
    **{name: f"it is `stream.message.{name}`" for name in FIELDS},
    **{name: f"it is `stream.message.{field}`" for name, field in ALIASES.items()},
    **OF_STREAM,
}
"""Names that streams of other libraries have, each with the end of the error: what to use here instead."""
OF_MESSAGE = {
    "candidates": "this is one of them; `stream.messages` has all",
    "choices": "this is one of them; `stream.messages` has all",
    "delta": "deltas come in the loop over a stream; this is the message that they add up to",
    "content": "its text is `message.text`, and everything that it consists of is `message.parts`",
    "message": "this is it; its text is `message.text`",
    "output_parsed": "`stream.result(type)` reads the answer as a type",
    "parsed": "`stream.result(type)` reads the answer as a type",
    "stop_reason": "it is `message.finish_reason`",
}


_SECONDS = "hz= is the number of deliveries per second; throttle(hz=20) delivers every 50 ms at most"
THROTTLE_HINTS = dict.fromkeys(("delay", "fps", "interval", "milliseconds", "ms", "seconds"), _SECONDS)
"""Options that throttles of other libraries have, with the end of the error: what to use here instead."""


class UnsupportedUse(MisuseError, TypeError):
    """An object was used in a way that its type does not support.

    The class is a TypeError because Python probes for some methods and expects a TypeError
    if they are missing: `list(view)` asks for a length first. In tracebacks, it is called
    `MisuseError`, and its pickle is restored as a `MisuseError`.
    """

    def __reduce__(self) -> tuple[Callable[..., TokenStreamError], Any]:
        rebuild, (_, args, state) = super().__reduce__()
        return rebuild, (MisuseError, args, state)


class MissingMethod(UnsupportedUse, AttributeError):
    """An object lacks a method, such as `__enter__` if it supports only `async with`.

    The class is also an AttributeError, so that `hasattr` returns False for the method.
    """


for _kind in (UnsupportedUse, MissingMethod):
    _kind.__module__ = MisuseError.__module__
    _kind.__name__ = _kind.__qualname__ = MisuseError.__qualname__


class _WrongBlockMethod:
    """Descriptor in place of a method such as `__enter__` that a class does not support.

    Each access raises an error that names the kind of `with` statement to use instead.

    Args:
        message: The error's message, except for the class name with which the message begins.
    """

    def __init__(self, message: str) -> None:
        self._message = message
        # `help` shows this for the method.
        self.__doc__ = f"Raise an error: this class {message}."

    def __get__(self, instance: object, owner: type) -> Never:
        raise MissingMethod(f"{owner.__name__} {self._message}")


def explain_options(**hints: str) -> Callable[[FunctionT], FunctionT]:
    """Make a function explain options that it lacks, but that users may expect from other libraries.

    Without this, Python's own error says that the argument is unexpected, and no more.

    Args:
        **hints: The names of the options, each with the end of the error: what to use here instead.
    """
    return _explain(hints, names_all=False)


def explain_all_options(**hints: str) -> Callable[[FunctionT], FunctionT]:
    """Do what `explain_options` does, and answer any other unknown option with those that there are.

    Args:
        **hints: As for `explain_options`.
    """
    return _explain(hints, names_all=True)


def _explain(hints: Mapping[str, str], *, names_all: bool) -> Callable[[FunctionT], FunctionT]:
    """Return the decorator that `explain_options` or `explain_all_options` returns."""

    def explain(function: FunctionT) -> FunctionT:
        """Return the function with the explanations; its signature stays the same."""
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

        @wraps(function)
        def call(*args: object, **options: object) -> object:
            for name in options:
                if name in hints or (names_all and name not in known):
                    owner, _, method = function.__qualname__.rpartition(".")
                    called = owner if method == "__init__" else method
                    hint = hints.get(name) or name_options(name, [each for each in known if each != "self"])
                    raise UnsupportedUse(f"{called}() has no option {name}=: {hint}")
            return function(*args, **options)

        # `wraps` does not copy these defaults, which `help` shows.
        call.__kwdefaults__ = function.__kwdefaults__  # type: ignore[attr-defined] # of the function that it is
        return cast("FunctionT", call)

    return explain


def name_options(name: str, known: Sequence[str]) -> str:
    """Return the option that is meant by an unknown one, or else all that there are."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}=?" if close else f"the options are {', '.join(known)}"


class _MissingNames:
    """Holds the method `__getattr__` that stream classes get, to explain names from other libraries."""

    def __getattr__(self, name: str) -> Never:
        """Raise the AttributeError for a name that a stream does not have.

        If streams of another library have the name, such as `text_stream`, the error says what to use here.
        """
        hint = _STREAM_HINTS.get(name)
        if hint is None:
            # This raises the usual error or, if a property failed, once more the error of the property.
            object.__getattribute__(self, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}: {hint}")


def explain_missing_names(kind: type[KindT]) -> type[KindT]:
    """Make a stream class explain attributes that it lacks, but that streams of other libraries have.

    `dir` and `help` do not show these names, as they would if each were a descriptor. Each access to an
    attribute of a stream takes some 60 ns longer, but no loop over a stream or a view accesses one.
    """
    # Type checkers do not see what `setattr` adds, so that they still report these names as errors.
    setattr(kind, "__getattr__", _MissingNames.__getattr__)  # noqa: B010
    return kind


def explain_missing_name(name: str) -> str | None:
    """Return the message of the error for an attribute that a message lacks; None for an unknown name.

    Example:
        >>> explain_missing_name("stop_reason")
        "Message has no attribute 'stop_reason': it is `message.finish_reason`"
    """
    # `OF_MESSAGE` maps names to whole explanations, `ALIASES` maps names to our name for the same.
    hint = OF_MESSAGE.get(name)
    if hint is None and name in ALIASES:
        hint = f"it is `message.{ALIASES[name]}`"
    return None if hint is None else f"Message has no attribute {name!r}: {hint}"


def refuse_block(kind: type, *, is_async: bool) -> None:
    """Make a stream class explain the mistake when it is used in the wrong kind of `with` statement.

    Args:
        is_async: True if the class supports `async with`, False if it supports `with`.
    """
    right, wrong = ("async with", "with") if is_async else ("with", "async with")
    alternative = "Stream or connect" if is_async else "AsyncStream or aconnect"
    message = f"supports `{right}`, not `{wrong}`: write `{right}`, or use {alternative}"
    for name in ("__enter__", "__exit__") if is_async else ("__aenter__", "__aexit__"):
        setattr(kind, name, _WrongBlockMethod(message))
    if is_async:
        # A `for` loop over an object without `__iter__` asks for its items by index. The reverse cannot be
        # explained: with an `__aiter__` or an `__await__` that raises an error, Starlette and others would
        # take a sync object for an asynchronous one, and await what is not awaited.
        setattr(kind, "__getitem__", _refuse_index)  # noqa: B010 - hidden from type checkers


def _refuse_index(self: object, _index: object) -> Never:
    """Raise the error for a `for` loop over an asynchronous object, which must be read in `async for`."""
    raise UnsupportedUse(
        f"{type(self).__name__} has no items to be picked: read it in `async for`; "
        "in `for`, use Stream or connect"
    )
