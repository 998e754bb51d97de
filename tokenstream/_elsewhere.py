"""Names that people try first, and that are elsewhere: where each of them is, in a sentence.

They are attributes that do not exist: `hasattr` says no, and type checkers refuse them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, TypeVar

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import TokenStreamError

__all__ = ["ALIASES", "FIELDS", "OF_MESSAGE", "OF_STREAM", "Refused", "no_block", "of_message", "of_stream"]

KindT = TypeVar("KindT")

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
"""Other APIs' words for what a message has."""
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
"""Names that a message has and a stream lacks."""
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
OF_MESSAGE = {
    "candidates": "this is one of them; `stream.messages` has all",
    "choices": "this is one of them; `stream.messages` has all",
    "delta": "pieces come in the loop over a stream; this is what they add up to",
    "content": "its text is `message.text`, and all that it is made of `message.parts`",
    "message": "this is it; its text is `message.text`",
    "output_parsed": "`stream.result(type)` reads the answer as a type",
    "parsed": "`stream.result(type)` reads the answer as a type",
    "stop_reason": "it is `message.finish_reason`",
}


class Refused(MisuseError, TypeError):
    """Something was used as if it were something else.

    It is a TypeError because Python asks some things only to hear that there are
    none: `list(view)` asks for a length first. Whoever meets it sees the public
    name, which is also what comes out of a pickle.
    """

    def __reduce__(self) -> tuple[Callable[..., TokenStreamError], Any]:
        rebuild, (_, args, state) = super().__reduce__()
        return rebuild, (MisuseError, args, state)


class _NoBlock(Refused, AttributeError):
    """Raised for `with` where `async with` is meant, or the reverse; an AttributeError, for `hasattr`."""


for _kind in (Refused, _NoBlock):
    _kind.__module__ = MisuseError.__module__
    _kind.__name__ = _kind.__qualname__ = MisuseError.__qualname__


class _Elsewhere:
    """Stands in a class for a name that it does not have.

    Unlike a `__getattr__`, it costs the names that are there nothing.
    """

    __slots__ = ("_error", "_told")

    def __init__(self, told: str, error: type[AttributeError] = AttributeError) -> None:
        self._told = told
        self._error = error

    def __get__(self, instance: object, owner: type) -> Never:
        raise self._error(self._told.format(owner.__name__))


def of_stream(kind: type[KindT]) -> type[KindT]:
    """Say in a class of streams where the names are that it has not."""
    places = {name: f"it is `stream.message.{name}`" for name in FIELDS}
    places |= {name: f"it is `stream.message.{field}`" for name, field in ALIASES.items()}
    for name, place in {**places, **OF_STREAM}.items():
        setattr(kind, name, _Elsewhere(f"{{}} has no attribute {name!r}: {place}"))
    return kind


def of_message(name: str) -> str | None:
    """Return where a name is that a message has not, in a sentence; None where nobody knows.

    Example:
        >>> of_message("stop_reason")
        "Message has no attribute 'stop_reason': it is `message.finish_reason`"
    """
    place = OF_MESSAGE.get(name)
    if place is None and name in ALIASES:
        place = f"it is `message.{ALIASES[name]}`"
    return None if place is None else f"Message has no attribute {name!r}: {place}"


def no_block(kind: type, *, is_async: bool) -> None:
    """Say in a class of streams which block is its own.

    Args:
        kind: The class.
        is_async: Whether that is `async with`.
    """
    own, other = ("async with", "with") if is_async else ("with", "async with")
    wanted = "Stream or connect" if is_async else "AsyncStream or aconnect"
    told = f"the block of {{}} is `{own}`, not `{other}`: write that, or take {wanted}"
    for name in ("__enter__", "__exit__") if is_async else ("__aenter__", "__aexit__"):
        setattr(kind, name, _Elsewhere(told, _NoBlock))
