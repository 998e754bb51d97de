"""Names for making turns: the parts and properties that may be left out, and the methods by format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from tokenstream._providers.apis import all_apis, api_named
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
]
"""A kind of part that an API may be unable to express, or a problem with a part because of which it is
unable to.
"""

Obstacle: TypeAlias = Kind
"""The reason why a part cannot be sent to an API, by the name that `drop=` takes."""
Drop: TypeAlias = Kind | Literal["all"] | Iterable[Kind | Literal["all"]]
"""The kinds to leave out: one, several, or "all", everything that the API or protocol cannot express."""

_NAMES = frozenset((*get_args(Kind), "all"))


def names_of(drop: Drop) -> frozenset[str]:
    """Return the names in the option `drop`, which may be a single name or several, as a set."""
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


def turn_method(name: str | None) -> str | None:
    """Return the method of `Message` and `ToolResults` that makes a format's turns; None if it has none."""
    api = api_named(name)
    return None if api is None else api.turn


def formats_with_turns() -> list[str]:
    """Return the names of the formats for whose requests turns can be made, in alphabetical order."""
    return sorted(api.name for api in all_apis() if api.turn is not None)


def write_user_turn(text: str, method: str) -> dict[str, Any]:
    """Return a user's turn with a text, in the form of the APIs whose turns a method of `Message` makes."""
    requests = (api.request for api in all_apis() if api.turn == method)
    pieces = next((request.pieces for request in requests if request is not None), None)
    return {"role": "user", "content": text} if pieces is None else {"role": "user", pieces: [{"text": text}]}
