"""Mistakes in the headers and the payload of a request, each with the place where it is."""

from __future__ import annotations

import math
from json import dumps
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCALARS = (str, int, float, bool, type(None))


def find_mistake(options: Mapping[str, Any]) -> str:
    """Return a description of a header or of a value in the payload that cannot be sent; "" if all can.

    The description names the header, or the path to the value, but never the value, which may be a key.

    Args:
        options: The options of the request, for httpx.

    Example:
        >>> find_mistake({"headers": {"Authorization": None}})
        "the header 'Authorization' is None: give it a value, or leave it out"
        >>> find_mistake({"json": {"tools": [{"strict": {1, 2}}]}})
        'json["tools"][0]["strict"] is a set, which JSON does not have'
    """
    return _find_bad_header(options.get("headers")) or _find_bad_value(options.get("json"))


def _find_bad_header(headers: Any) -> str:  # noqa: ANN401 - any kind of headers that httpx takes
    """Return a description of the first header that cannot be sent, without its value; "" if all can."""
    if hasattr(headers, "encoding"):
        # This is an `httpx.Headers`, so httpx has accepted them already.
        return ""
    items = headers.items() if hasattr(headers, "items") else headers or ()
    for name, value in items:
        title = f"the header {name!r}"
        if value is None:
            return f"{title} is None: give it a value, or leave it out"
        if not isinstance(value, str | bytes):
            return f"{title} is {_article(value)}: give it as a str"
        if isinstance(value, str) and not value.isascii():
            return f"{title} has a character that is not ASCII: take it out, or give the header as bytes"
    return ""


def _find_bad_value(payload: object) -> str:
    """Return a description of the first value in a payload that is not JSON; "" if all are."""
    # Each entry is a value with its path, and the containers that it is in, to find one that contains itself.
    waiting: list[tuple[str, Any, tuple[int, ...]]] = [("json", payload, ())]
    while waiting:
        path, value, within = waiting.pop()
        mistake = _describe_bad_value(value, within)
        if mistake:
            return f"{path} {mistake}"
        if _is_container(value):
            inner = [(f"{path}{step}", each, (*within, id(value))) for step, each in _iterate_members(value)]
            waiting.extend(reversed(inner))
    return ""


def _is_container(value: object) -> bool:
    """Return True if a value becomes an object or an array in JSON."""
    return isinstance(value, dict | list | tuple)


def _iterate_members(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a dict, a list or a tuple
    """Yield each member of an object or array, after its key or index as a path has it, such as `["a"]`."""
    if is_dict(value):
        for key, each in value.items():
            yield f"[{dumps(str(key))}]", each
    else:
        for index, each in enumerate(value):
            yield f"[{index}]", each


def _describe_bad_value(value: object, within: tuple[int, ...]) -> str:
    """Return the reason why a value is not JSON, apart from what it contains; "" if there is no reason.

    Args:
        within: The ids of the containers that the value is in.
    """
    if _is_container(value):
        if id(value) in within:
            return "contains itself"
        keys: Any = value if is_dict(value) else ()
        wrong = next((_article(key) for key in keys if not isinstance(key, _SCALARS)), "")
        return f"has a key that is {wrong}, where JSON has text" if wrong else ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which JSON does not have"
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        return "has half a surrogate pair, which is no character"
    if isinstance(value, _SCALARS):
        return ""
    return f"is {_article(value)}{_advise(value)}"


def _advise(value: object) -> str:
    """Return the part of a description that says how to get JSON from a value."""
    # Imported only for a mistake: a request needs nothing of it.
    from tokenstream.turns import ToolResults

    if isinstance(value, ToolResults):
        return ": add its .turns() to the messages"
    # A message has `model_dump` as well, which no API accepts.
    if hasattr(value, "to_openai_chat"):
        return ": pass its .to_openai_chat(), or that of another API, such as .to_anthropic()"
    return ": pass its .model_dump()" if hasattr(value, "model_dump") else ", which JSON does not have"


def _article(value: object) -> str:
    """Return the name of a value's class with its article, such as "a set"."""
    name = type(value).__qualname__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"
