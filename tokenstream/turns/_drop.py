"""What may be left out of a turn, and the names for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from tokenstream.errors import MisuseError

__all__ = ["Drop", "Kind", "names_of"]

Kind: TypeAlias = Literal[
    "text",
    "reasoning",
    "refusal",
    "tool_call",
    "server_tool_call",
    "server_tool_result",
    "citation",
    "media",
    "opaque",
    "custom_tool_call",
    "invalid_tool_call",
    "incomplete",
    "signature",
]
"""What a message may hold that an API has no place for: a kind of part, or what is the matter with one."""

Drop: TypeAlias = Kind | Literal["all"] | Iterable[Kind]
"""What to leave out of a turn: names, one or several, or "all" that the API has no place for."""

_NAMES = frozenset((*get_args(Kind), "all"))


def names_of(drop: Drop) -> frozenset[str]:
    """Return the names that `drop` is made of.

    Raises:
        MisuseError: One of them is none.

    Example:
        >>> sorted(names_of("all")), sorted(names_of(("citation", "reasoning")))
        (['all'], ['citation', 'reasoning'])
    """
    given: Any = drop
    found = [given] if isinstance(given, str) or not hasattr(given, "__iter__") else list(given)
    for name in found:
        if not isinstance(name, str) or name not in _NAMES:
            listed = ", ".join(map(repr, get_args(Kind)))
            raise MisuseError(f"drop= does not know {name!r}; it takes one or several of {listed}, or 'all'")
    return frozenset(found)
