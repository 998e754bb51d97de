"""Taking apart an object that nobody uses any more, so that it need not wait for the garbage collector."""

from __future__ import annotations

__all__ = ["clear"]


def clear(thing: object) -> None:
    """Delete the attributes of an object, so that no circle of references passes through it.

    Example:
        >>> class Place:
        ...     __slots__ = ("near",)
        >>> place = Place()
        >>> place.near = place
        >>> clear(place)
        >>> hasattr(place, "near")
        False
    """
    for kind in type(thing).__mro__:
        for name in kind.__dict__.get("__slots__", ()):
            try:
                delattr(thing, name)
            except AttributeError:  # it was never set
                continue
    getattr(thing, "__dict__", {}).clear()
