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
_MESSAGE_HINTS = {**{name: f"it is `message.{field}`" for name, field in ALIASES.items()}, **OF_MESSAGE}
"""Names that messages of other libraries have, each with the end of the error: what to use here instead."""

_ARGUMENTS = "they are `call.arguments`, and their JSON is `call.arguments_text`"
OF_CALL = {
    **dict.fromkeys(("args", "args_as_dict", "input", "kwargs", "parameters", "params"), _ARGUMENTS),
    "args_as_json_str": "it is `call.arguments_text`",
    "arguments_json": "it is `call.arguments_text`",
    "call_id": "it is `call.id`",
    "execute": "`call.run()` does it, for a call of `stream.validated_calls(function)`",
    "function": "the call itself has `call.name` and `call.arguments`",
    "index": "a call is known by its `call.id`",
    "invoke": "`call.run()` does it, for a call of `stream.validated_calls(function)`",
    "result": "`call.run()` returns it, for a call of `stream.validated_calls(function)`",
    "tool_call_id": "it is `call.id`",
    "tool_name": "it is `call.name`",
}
_INPUT = ("input", "prompt_token_count", "prompt_tokens", "request_tokens")
_OUTPUT = ("candidates_token_count", "completion_tokens", "output", "response_tokens")
OF_USAGE = {
    **dict.fromkeys(_INPUT, "it is `usage.input_tokens`"),
    **dict.fromkeys(_OUTPUT, "it is `usage.output_tokens`"),
    "cache_creation_input_tokens": "it is `usage.cache_write_tokens`",
    "cache_read_input_tokens": "it is `usage.cached_tokens`",
    "cached": "it is `usage.cached_tokens`",
    "cached_content_token_count": "it is `usage.cached_tokens`",
    "completion_tokens_details": "it is `usage.reasoning_tokens`, and all is in `usage.provider_data`",
    "prompt_tokens_details": "it is `usage.cached_tokens`, and all is in `usage.provider_data`",
    "source": "it is `usage.basis`",
    "thoughts_token_count": "it is `usage.reasoning_tokens`",
    "total": "it is `usage.total_tokens`",
    "total_token_count": "it is `usage.total_tokens`",
}

_SECONDS = "hz= is the number of deliveries per second; throttle(hz=20) delivers every 50 ms at most"
THROTTLE_HINTS = dict.fromkeys(("delay", "fps", "interval", "milliseconds", "ms", "seconds"), _SECONDS)
"""Options that throttles of other libraries have, with the end of the error: what to use here instead."""
REPLACED = {
    "citation_markers": "write tags=Tags(citations=…)",
    "clock": "tokenstream.testing has a VirtualClock, which all streams made in its `with` block read",
    "pings": "a heartbeat is not an event; `metrics` has the gaps, and a relay sends heartbeats of its own",
    "reasoning_tags": "write tags=Tags(reasoning=…)",
    "reorder": "HTTP keeps the order of frames; Stream(source, reorder=…) reads a source that does not",
    "tool_tags": "write tags=Tags(calls=…)",
}
"""Options that have another form, or another place, each with the end of the error."""
_TIMES = ("grace", "keep_alive", "open_within", "send_timeout")
OF_RELAY = {
    **{name: f"write timing=relay.Timing({name}=…)" for name in _TIMES},
    "drop": "what the protocol cannot express is left out, and logged; relay.losses() has the names",
    "origins": "ask relay.is_cross_site(request, origins=[…]) before, with a list of the hosts",
    "ids": "a journal numbers the events of its answers; without one, send relay.encode(…, ids=True)",
    "raw": "send relay.encode(…, raw=True)",
    "status": "set .status_code of the response",
}
"""Options of a relay that have another form, or another place, each with the end of the error."""


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
    """Make a function explain options that it lacks: those in `REPLACED`, and those of other libraries.

    Each hint ends the error for the option of its name: what to use here instead.
    """
    return _explain(hints, names_all=False)


def explain_all_options(**hints: str) -> Callable[[FunctionT], FunctionT]:
    """Do what `explain_options` does, and answer any other unknown option with those that there are."""
    return _explain(hints, names_all=True)


def _explain(hints: Mapping[str, str], *, names_all: bool) -> Callable[[FunctionT], FunctionT]:
    """Return the decorator that `explain_options` or `explain_all_options` returns."""

    def explain(function: FunctionT) -> FunctionT:
        """Return the function with the explanations; its signature stays the same."""
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        lacked = {name: hint for name, hint in {**REPLACED, **hints}.items() if name not in known}

        @wraps(function)
        def call(*args: object, **options: object) -> object:
            for name in options:
                if name in lacked or (names_all and name not in known):
                    owner, _, method = function.__qualname__.rpartition(".")
                    called = owner if method == "__init__" else method
                    hint = lacked.get(name) or name_options(name, [each for each in known if each != "self"])
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


def explain_names(hints: Mapping[str, str]) -> Callable[[type[KindT]], type[KindT]]:
    """Make a class explain attributes that it lacks, but that the like of other libraries have.

    `dir` and `help` do not show these names, as they would if each were a descriptor. Each access to an
    attribute of a stream takes some 60 ns longer, but no loop over a stream or a view accesses one.
    """

    def explain(kind: type[KindT]) -> type[KindT]:
        """Return the class with the explanations."""
        usual: Callable[[object, str], object] = getattr(kind, "__getattr__", object.__getattribute__)

        def find(self: object, name: str) -> object:
            """Raise the AttributeError for a name that the class does not have."""
            hint = hints.get(name)
            if hint is None:
                # This raises the usual error or, if a property failed, once more the error of the property.
                return usual(self, name)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}: {hint}")

        # Type checkers do not see what `setattr` adds, so that they still report these names as errors.
        setattr(kind, "__getattr__", find)  # noqa: B010
        return kind

    return explain


explain_names_of_streams = explain_names(_STREAM_HINTS)
explain_names_of_messages = explain_names(_MESSAGE_HINTS)


def refuse_block(kind: type, *, is_async: bool) -> None:
    """Make a stream class explain the mistake when it is used in the wrong kind of `with` statement."""
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
