"""Types for type checkers only: values of unknown kinds, and a `Generic` that is gone at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    import regex

__all__ = [
    "Action",
    "AnyEvent",
    "AnyFunction",
    "AnyMatch",
    "AnyPattern",
    "DeltaCallback",
    "ErasedGeneric",
    "FromHTTPX",
    "Json",
    "JsonObject",
    "RuleNote",
]

Json: TypeAlias = Any
"""A JSON value that nobody has checked: an object, an array, a text, a number, a boolean or null."""
JsonObject: TypeAlias = dict[str, Any]
"""A JSON object whose values nobody has checked."""
AnyEvent: TypeAlias = Any
"""An event whose fields are read because of its class, or because of its `kind`."""
AnyFunction: TypeAlias = "Callable[[], Any]"
"""A function without arguments; what it returns may have to be awaited, or is not known."""
FromHTTPX: TypeAlias = Any
"""An object of httpx or of httpx2: their classes are different, their attributes the same."""
Action: TypeAlias = "Callable[[], object]"
"""A function that is called for what it does."""
DeltaCallback: TypeAlias = "Callable[[Any], bool | None]"
"""Is called with each delta that was read without decoding its payload; returns False to have it decoded."""
RuleNote: TypeAlias = "Callable[..., None]"
"""Counts a departure from a server's documentation: by its detail, and by what it affects, if unusual."""
AnyPattern: TypeAlias = "re.Pattern[str] | regex.Pattern[str]"
"""A compiled pattern, of `re` or of `regex`."""
AnyMatch: TypeAlias = "re.Match[str] | regex.Match[str]"
"""A match of such a pattern."""


if TYPE_CHECKING:
    from typing import Generic as ErasedGeneric
else:

    class _ErasedGeneric:
        """Replaces `Generic` at run time, to keep the methods of `Generic` out of `help`.

        As a base class, `ErasedGeneric[T]` then is `object`.
        """

        def __getitem__(self, parameters: object) -> type:
            """Return `object` as the base class, whatever the type parameters are."""
            return object

    ErasedGeneric = _ErasedGeneric()
