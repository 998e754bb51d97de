"""Formats installed by other distributions under the entry point group `tokenstream.formats`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from tokenstream.formats._base import Format

GROUP = "tokenstream.formats"
"""The entry point group; the name of an entry point is the format's name, and its value the class."""


def names() -> list[str]:
    """Return the names of the formats that other distributions install."""
    return list(_entry_points())


def forget() -> None:
    """Forget the installed formats, so that the next lookup searches for them again."""
    _entry_points.cache_clear()
    load.cache_clear()


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the entry points of installed formats by name; of equal names, the first one counts."""
    # Searching the installed distributions takes milliseconds: it is done once, and only for an unknown name.
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return found


@cache
def load(name: str) -> type[Format] | None:
    """Return the class of an installed format; None if no distribution has a format of this name.

    Raises:
        MisuseError: The entry point cannot be imported, or is not a format.
    """
    point = _entry_points().get(name)
    if point is None:
        return None
    description = f"the format {name!r} of the distribution {point.dist.name if point.dist else '?'!r}"
    try:
        loaded: Any = point.load()
    except Exception as error:
        cause = type(error).__name__
        msg = f"{description} cannot be imported from {point.value!r}: {cause}; mend or remove it"
        raise MisuseError(msg) from error
    return _check(loaded, name, description)


def _check(loaded: object, name: str, description: str) -> type[Format]:
    """Check that a loaded object is a usable format of the right name, and return it.

    Args:
        loaded: The object that the entry point names.
        name: The name of the entry point.
        description: The words that name the format in an error.

    Raises:
        MisuseError: The object is not a format, has another name, or lacks a method.
    """
    from tokenstream.formats._base import Format

    if not (isinstance(loaded, type) and issubclass(loaded, Format)):
        msg = f"{description} is not a subclass of tokenstream.formats.Format; mend or remove it"
        raise MisuseError(msg)
    own_name = getattr(loaded, "name", None)
    if own_name != name:
        msg = (
            f"{description} calls itself {own_name!r}: its entry point and its attribute `name` "
            "must say the same"
        )
        raise MisuseError(msg)
    missing = sorted(loaded.__abstractmethods__)
    if missing:
        msg = f"{description} lacks {', '.join(missing)}: a format has `recognises` and `read`"
        raise MisuseError(msg)
    return loaded


def detect(payload: dict[str, Any], event: str) -> tuple[str | None, bool]:
    """Return the name of the installed format of a payload, and True if a later payload may decide.

    The name is None if no installed format recognises the payload.

    A broken format counts as recognising no payload, so that streams of other formats still work.

    Args:
        event: The SSE event's name, "" if it has none.
    """
    wait = False
    for name in names():
        try:
            format = load(name)
            answer = format.recognises(payload, event) if format is not None else False
        except Exception:  # noqa: BLE001 - other people's code may raise anything
            answer = False
        if answer:
            return name, False
        # None means that the format cannot tell from this payload.
        wait = wait or answer is None
    return None, wait
