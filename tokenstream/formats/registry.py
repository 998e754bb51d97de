"""The formats by name, and which of them a stream is in."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits

__all__ = ["create", "detect", "names"]

# One line per format: where it is. Those above are asked first whether a payload is theirs.
_FORMATS: dict[str, tuple[str, str]] = {
    "anthropic": ("tokenstream.formats.anthropic", "Anthropic"),
    "openai-chat": ("tokenstream.formats.openai_chat", "OpenAIChat"),
    "text": ("tokenstream.formats.bare_text", "Text"),
    "pieces": ("tokenstream.formats.pieces", "Pieces"),
}
_ALIASES = {"mistral": "openai-chat"}


def names() -> list[str]:
    """Return the names of the formats that can be read.

    Example:
        >>> "openai-chat" in names()
        True
    """
    return list(_FORMATS)


@cache
def load(name: str) -> type[Format]:
    """Return a format's class.

    Raises:
        MisuseError: There is no format of that name.
    """
    known = _FORMATS.get(_ALIASES.get(name, name))
    if known is None:
        msg = f"there is no format {name!r}; the formats are {', '.join(names())}"
        raise MisuseError(msg)
    module, attribute = known
    found: type[Format] = getattr(import_module(module), attribute)
    return found


def create(format: str | Format, *, limits: Limits, pings: bool) -> Format:
    """Return a new format for one connection.

    Args:
        format: A name, or a format object that says how to read one connection.
        limits: Bounds for it.
        pings: Whether signs of life become events.
    """
    if isinstance(format, str):
        return load(format)(limits=limits, pings=pings)
    fresh: Any = getattr(format, "fresh", None)
    if not callable(fresh):
        msg = f"format={format!r} is no format; the formats are {', '.join(names())}"
        raise MisuseError(msg)
    return format.fresh(limits=limits, pings=pings)


def detect(payload: dict[str, Any], event: str) -> tuple[str | None, bool]:
    """Return the format that a payload is of, and whether it is worth waiting for another one.

    Args:
        payload: The decoded payload.
        event: The SSE event's name, "" where it has none.
    """
    wait = False
    for name in _FORMATS:
        answer = load(name).recognises(payload, event)
        if answer:
            return name, False
        wait = wait or answer is None
    return None, wait
