"""Names of the parts and properties that may be left out of a turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from tokenstream.errors import MisuseError

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
    "usage",
]
"""A kind of part, or a problem with a part, because of which an API may be unable to express the part."""

Obstacle: TypeAlias = Kind
"""The reason why a part cannot be sent to an API, by the name that `drop=` takes."""
Drop: TypeAlias = Kind | Literal["all"] | Iterable[Kind]
"""The kinds to leave out of a turn: one, several, or "all", every part that the API cannot express."""

_NAMES = frozenset((*get_args(Kind), "all"))


def names_of(drop: Drop) -> frozenset[str]:
    """Return the names in the option `drop`, which may be a single name or several, as a set.

    Raises:
        MisuseError: One of the names is unknown.

    Example:
        >>> sorted(names_of("all")), sorted(names_of(("citation", "reasoning")))
        (['all'], ['citation', 'reasoning'])
    """
    argument: Any = drop
    is_single = isinstance(argument, str) or not hasattr(argument, "__iter__")
    names = [argument] if is_single else list(argument)
    for name in names:
        if not isinstance(name, str) or name not in _NAMES:
            known_names = ", ".join(map(repr, get_args(Kind)))
            raise MisuseError(
                f"drop= does not know {name!r}; it takes one or several of {known_names}, or 'all'"
            )
    return frozenset(names)
