"""Errors for names that are known from other libraries, with what to use here, and for packages to install.

The attributes do not exist: `hasattr` returns False, and type checkers reject them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache, wraps
from inspect import CO_VARARGS, isawaitable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Never, SupportsIndex, TypeAlias, TypeVar, cast

from tokenstream._basics.lazy import asking_instruction
from tokenstream.errors import AnswerFailure, MisuseError, TokenStreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence

    from typing_extensions import TypeIs

    Hints: TypeAlias = Mapping[str, str]

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
_TEXT = "the text so far is `stream.message.text`, and a loop over `stream.text` gives the pieces"
_FINALS = ("get_final_completion", "get_final_message", "get_final_response", "read", "until_done")
OF_STREAM = {
    **dict.fromkeys(_FINALS, _FINAL),
    "choices": "`stream.messages` has a message for each choice, and `stream.choice(n)` the views of one",
    **dict.fromkeys(("content", "output_text"), _TEXT),
    "current_message_snapshot": "it is `stream.message`, which is always current",
    "events": "a loop over the stream itself gives the events",
    "get_final_text": "`stream.final().text` reads to the end; an AsyncStream's `final()` is awaited",
    "headers": "they are `stream.response.headers`, once the response is there",
    "parsed": "`stream.result(type)` reads the answer as a type",
    "request_id": "it is `stream.response.request_id`, once the response is there",
    "json": "`stream.result(type)` reads the answer as a type, and `stream.response` is its head",
    "raise_for_status": "each read raises by itself; a refusal is a StatusError",
    "on": "a Router has a function for each kind of event: stream.run(router)",
    "status_code": "it is `stream.response.status`, once the response is there",
    "text_stream": "a loop over `stream.text` gives the pieces of the text",
}
_SHAPES = "accumulate graphemes lines markdown_blocks redact sentences smooth split_tags throttle until words"
_PIECES = "iter_bytes iter_content iter_lines iter_raw iter_text"
_STREAM_HINTS = {
    **{name: f"write `stream.text.{name}(…)`" for name in _SHAPES.split()},
    **dict.fromkeys(_PIECES.split(), "a loop over `stream.text` gives the pieces of the text"),
    **{name: f"it is `stream.message.{name}`" for name in FIELDS},
    **{name: f"it is `stream.message.{field}`" for name, field in ALIASES.items()},
    **OF_STREAM,
}
"""Names that streams of other libraries have, each with the end of the error: what to use here instead."""
_TWO_APIS = "OpenAI has two APIs: write .to_openai_chat() or .to_openai_responses()"
OF_FORMAT = {"keys": "write {**format.to_openai_chat()}, or that of another API", "to_openai": _TWO_APIS}
"""Names that ResponseFormat and Tools lack; `{**value}` asks for "keys"."""
_TEXTS = "a TextDelta has `event.text`; a loop over `stream.text` gives only texts"
OF_EVENT = {
    "encode": "return relay.respond(aconnect(…)), which writes the events",
    **dict.fromkeys(("choices", "content", "delta", "text"), _TEXTS),
    "type": "its class is its type: isinstance(event, TextDelta)",
}
_METHODS = re.findall(r"\b[a-z]\w+", " ".join(dir(str)))
OF_TEXT = {
    **{name: f"it is no str: write {{0._instead}}.{name}(…) after its loop" for name in _METHODS},
    **dict.fromkeys(
        ("html", "markdown"), "`.markdown_blocks()` gives its blocks, each of them whole at its end"
    ),
}
OF_VALUE = {"__getitem__": "write `.name` for ['name']; `.model_dump()` makes a dict"}
OF_ERROR = {
    **dict.fromkeys(("body", "code", "param", "type"), "a StatusError has `error.code` and `error.body`"),
    **dict.fromkeys(
        ("headers", "response"), "a StatusError has `error.status`, `error.body` and `error.request_id`"
    ),
    "request": "its address is in `error.origin`",
    "status": "only a StatusError has it: no server refused this request",
    "status_code": "the status of a StatusError is `error.status`",
    "text": "what had arrived is `error.partial.text`",
}
OF_MESSAGE = {
    **dict.fromkeys(
        ("additional_kwargs", "response_metadata"), "what else the provider sent is `message.provider_data`"
    ),
    **dict.fromkeys(("candidates", "choices"), "this is one of them; `stream.messages` has all"),
    **dict.fromkeys(("output_parsed", "parsed"), "`stream.result(type)` reads the answer as a type"),
    "delta": "deltas come in the loop over a stream; this is the message that they add up to",
    "content": "its text is `message.text`, and everything that it consists of is `message.parts`",
    "message": "this is it; its text is `message.text`",
    "stop_reason": "it is `message.finish_reason`",
    "to_openai": _TWO_APIS,
}
_MESSAGE_HINTS = {**{name: f"it is `message.{field}`" for name, field in ALIASES.items()}, **OF_MESSAGE}
"""Names that messages of other libraries have, each with the end of the error: what to use here instead."""

_ARGUMENTS = "they are `call.arguments`, and their JSON is `call.arguments_text`"
OF_CALL = {
    **dict.fromkeys(("args", "args_as_dict", "input", "kwargs", "parameters", "params"), _ARGUMENTS),
    "args_as_json_str": "it is `call.arguments_text`",
    "arguments_json": "it is `call.arguments_text`",
    "execute": "`call.run()` does it, for a call of `stream.validated_calls(function)`",
    "function": "the call itself has `call.name` and `call.arguments`",
    "index": "a call is known by its `call.id`",
    "invoke": "`call.run()` does it, for a call of `stream.validated_calls(function)`",
    "result": "`call.run()` returns it, for a call of `stream.validated_calls(function)`",
    **dict.fromkeys(("call_id", "tool_call_id"), "it is `call.id`"),
    "tool_name": "it is `call.name`",
}
_INPUT = ("input", "prompt_token_count", "prompt_tokens", "request_tokens")
_OUTPUT = ("candidates_token_count", "completion_tokens", "output", "response_tokens")
_CACHED = ("cache_read_input_tokens", "cached", "cached_content_token_count")
OF_USAGE = {
    **dict.fromkeys(_INPUT, "it is `usage.input_tokens`"),
    **dict.fromkeys(_OUTPUT, "it is `usage.output_tokens`"),
    "cache_creation_input_tokens": "it is `usage.cache_write_tokens`",
    **dict.fromkeys(_CACHED, "it is `usage.cached_tokens`"),
    "completion_tokens_details": "it is `usage.reasoning_tokens`, and all is in `usage.provider_data`",
    "prompt_tokens_details": "it is `usage.cached_tokens`, and all is in `usage.provider_data`",
    "thoughts_token_count": "it is `usage.reasoning_tokens`",
    **dict.fromkeys(("total", "total_token_count"), "it is `usage.total_tokens`"),
}

_SECONDS = "hz= is the number of deliveries per second; throttle(hz=20) delivers every 50 ms at most"
THROTTLE_HINTS = dict.fromkeys(("delay", "fps", "interval", "milliseconds", "ms", "seconds"), _SECONDS)
"""Options that throttles of other libraries have, with the end of the error: what to use here instead."""
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


_RATE = "it is `metrics.tokens_per_second`"
OF_METRICS = {
    **dict.fromkeys(("tokens_per_sec", "tps", "throughput"), _RATE),
    **dict.fromkeys(("time_to_first_token", "latency"), "it is `metrics.ttft`"),
}


class UnsupportedUse(MisuseError, TypeError):
    """An object was used in a way that its type does not support.

    The class is a TypeError because Python probes for some methods and expects a TypeError
    if they are missing: `list(view)` asks for a length first. In tracebacks, it is called
    `MisuseError`, and its pickle is restored as a `MisuseError`.
    """

    def __reduce__(self) -> tuple[Callable[..., TokenStreamError], Any]:
        rebuild, (_, args, state) = super().__reduce__()
        return rebuild, (MisuseError, args, state)


class UncopyableObject:
    """An object that cannot be copied or handed to another process, such as the reader of a source."""

    __slots__ = ()
    _uncopyable = "both would read one source: hand on the object itself, or stream.message, which is a value"
    """The reason, and what to do instead."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        """Raise an error: the object cannot be copied or pickled."""
        raise UnsupportedUse(f"{type(self).__name__} cannot be copied or pickled, because {self._uncopyable}")


class MissingMethod(UnsupportedUse, AttributeError):
    """An object lacks a method, such as `__enter__` if it supports only `async with`.

    The class is also an AttributeError, so that `hasattr` returns False for the method.
    """


for _kind in (UnsupportedUse, MissingMethod):
    _kind.__module__ = MisuseError.__module__
    _kind.__name__ = _kind.__qualname__ = MisuseError.__qualname__


class _Missing:
    """Descriptor in place of a method such as `__enter__`, or another attribute, that a class does not have.

    Each access raises an error that names what to use instead.

    Args:
        message: The error's message, except for the class name with which the message begins.
    """

    def __init__(self, message: str) -> None:
        self._message = message
        self.__doc__ = "Raise an error that names what to use instead."

    def __get__(self, instance: object, owner: type) -> Never:
        message = self._message.format(owner if instance is None else instance)
        raise MissingMethod(f"{owner.__name__} {message}")


def explain_missing(hints: Hints) -> Callable[[type[KindT]], type[KindT]]:
    """Do what `explain_names` does, with a descriptor for each name: no other access takes longer."""

    def explain(kind: type[KindT]) -> type[KindT]:
        for name, hint in hints.items():
            noun = "elements" if name == "__getitem__" else f"attribute {name!r}"
            setattr(kind, name, _Missing(f"has no {noun}: {hint}"))
        usual: Any = kind.__dir__
        # None of the names is to be completed.
        kind.__dir__ = lambda self: [each for each in usual(self) if each not in hints or hasattr(self, each)]  # type: ignore[method-assign]
        return kind

    return explain


def explain_options(by_position: str | None = None, /, **hints: str) -> Callable[[FunctionT], FunctionT]:
    """Make a function explain options that it lacks: those of other libraries, and of functions nearby.

    Each hint ends the error for the option of its name: what to use here instead.

    Args:
        by_position: The end of the error for an argument by position; None to list the options.
        hints: The hints, by the names of the options.
    """
    return _explain(hints, names_all=False, by_position=by_position)


def explain_all_options(**hints: str) -> Callable[[FunctionT], FunctionT]:
    """Do what `explain_options` does, and answer any other unknown option with those that there are."""
    return _explain(hints, names_all=True)


def _explain(
    hints: Hints, *, names_all: bool, by_position: str | None = None
) -> Callable[[FunctionT], FunctionT]:
    """Return the decorator that `explain_options` or `explain_all_options` returns."""

    def explain(function: FunctionT) -> FunctionT:
        """Return the function with the explanations; its signature stays the same."""
        code = function.__code__
        known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        lacked = {name: hint for name, hint in hints.items() if name not in known}

        @wraps(function)
        def call(*args: object, **options: object) -> object:
            if len(args) > code.co_argcount and not code.co_flags & CO_VARARGS:
                _refuse_positional(function, args, by_position)
            for name in options:
                if name in lacked or (names_all and name not in known):
                    hint = lacked.get(name) or name_options(name, [each for each in known if each != "self"])
                    raise UnsupportedUse(f"{_name_called(function, args)}() has no option {name}=: {hint}")
            return function(*args, **options)

        # `wraps` does not copy these defaults, which `help` shows.
        call.__kwdefaults__ = function.__kwdefaults__  # type: ignore[attr-defined] # of the function that it is
        return cast("FunctionT", call)

    return explain


def _name_called(function: Callable[..., Any], arguments: Sequence[object]) -> str:
    """Return the name by which a function is called: that of the class for its `__init__`."""
    return type(arguments[0]).__name__ if function.__name__ == "__init__" else function.__name__


def _refuse_positional(function: Callable[..., Any], args: Sequence[object], hint: str | None) -> Never:
    """Raise the error for arguments by position that a function takes only by name."""
    names = function.__code__.co_varnames[function.__code__.co_argcount :][
        : function.__code__.co_kwonlyargcount
    ]
    called, options = _name_called(function, args), ", ".join(f"{name}=" for name in names)
    if hint is not None:
        raise UnsupportedUse(f"{called}() {hint}")
    raise UnsupportedUse(f"{called}() takes these arguments by name: {options}")


def name_options(name: str, known: Sequence[str]) -> str:
    """Return the option that is meant by an unknown one, or else all that there are."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}=?" if close else f"the options are {', '.join(known)}"


def explain_names(hints: Hints) -> Callable[[type[KindT]], type[KindT]]:
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
            # Of an AttributeError, `{**value}` would show only that the value is no mapping.
            error = UnsupportedUse if asking_instruction().startswith("DICT_") else AttributeError
            raise error(f"{type(self).__name__} has no attribute {name!r}: {hint}")

        # Type checkers do not see what `setattr` adds, so that they still report these names as errors.
        setattr(kind, "__getattr__", find)  # noqa: B010
        return kind

    return explain


explain_names_of_streams = explain_names(_STREAM_HINTS)
explain_names_of_messages = explain_names(_MESSAGE_HINTS)
explain_names(OF_ERROR)(AnswerFailure)


def refuse_block(kind: type, *, is_async: bool) -> None:
    """Make a stream class explain the wrong kind of `with`, and name no private base in its errors."""
    for base in kind.__mro__[1:]:
        for name, value in vars(base).items():
            if isinstance(value, FunctionType) and value.__qualname__ == f"{base.__name__}.{name}":
                for each in (value, getattr(value, "__wrapped__", value)):
                    each.__qualname__ = name
    right, wrong = ("async with", "with") if is_async else ("with", "async with")
    alternative = "Stream or connect" if is_async else "AsyncStream or aconnect"
    message = f"supports `{right}`, not `{wrong}`: write `{right}`, or use {alternative}"
    for name in ("__enter__", "__exit__") if is_async else ("__aenter__", "__aexit__"):
        setattr(kind, name, _Missing(message))
    if is_async:
        # A `for` loop over an object without `__iter__` asks for its items by index. The reverse cannot be
        # explained: with an `__aiter__` or an `__await__` that raises an error, Starlette and others would
        # take a sync object for an asynchronous one, and await what is not awaited.
        setattr(kind, "__getitem__", _refuse_index)  # noqa: B010 - hidden from type checkers
        setattr(kind, "__await__", _refuse_await)  # noqa: B010


def _refuse_index(self: object, _index: object) -> Never:
    """Raise the error for a `for` loop over an asynchronous object, which must be read in `async for`."""
    raise UnsupportedUse(
        f"{type(self).__name__} has no items to be picked: read it in `async for`; "
        "in `for`, use Stream or connect"
    )


def _refuse_await(self: object) -> Never:
    """Raise the error for `await aconnect(…)`, which other libraries need to get a stream."""
    raise UnsupportedUse(
        f"{type(self).__name__} is not awaited itself: write `async with … as stream`, and await its methods"
    )


def is_awaitable(value: object) -> TypeIs[Awaitable[Any]]:
    """Return True for what can be awaited; False for a stream, whose `__await__` only explains itself."""
    return isawaitable(value) and not isinstance(value, UncopyableObject)


@contextmanager
def needing(package: str, user: str) -> Generator[None]:
    """Raise the error of `needs` if the block cannot import a package, or if an old version is installed."""
    if find_requirement(package)[1]:
        raise needs(package, user)
    try:
        yield
    except ImportError as error:
        raise needs(package, user) from error


def needs(package: str, user: str) -> MisuseError:
    """Return the error for what cannot be used without a package, as an extra of this distribution has it.

    Example:
        >>> needs("regex", "a boundary").message.partition(">=")[0]
        'a boundary needs regex: install it with pip install "regex'
    """
    return MisuseError(
        f'{user} needs {package}: install it with pip install "{find_requirement(package)[0]}"'
    )


@cache
def find_requirement(package: str) -> tuple[str, bool]:
    """Return a package with the versions that are needed of it, and True if an older one is installed."""
    # Read only for an error, or for what needs a package: it takes milliseconds.
    from importlib.metadata import PackageNotFoundError, requires, version

    try:
        wanted = requires("llm-tokenstream") or []
        found = (re.match(rf"{package}\s*>=\s*([\d.]+)", each, re.IGNORECASE) for each in wanted)
        least = next(match[1] for match in found if match is not None)
    except (PackageNotFoundError, StopIteration):
        return package, False
    try:
        is_old = _numbers(version(package)) < _numbers(least)
    except PackageNotFoundError:
        is_old = False
    return f"{package}>={least}", is_old


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
