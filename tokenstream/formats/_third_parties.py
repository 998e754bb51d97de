"""Formats that other distributions bring along, under the entry point group `tokenstream.formats`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from tokenstream.formats.base import Format

__all__ = ["detect", "forget", "load", "names"]

GROUP = "tokenstream.formats"
"""The group of entry points whose names are those of formats, and whose values are their classes."""


def names() -> list[str]:
    """Return the names of the formats that other distributions bring along."""
    return list(_entry_points())


def forget() -> None:
    """Look again for installed formats when one is next asked for."""
    _entry_points.cache_clear()
    load.cache_clear()


@cache
def _entry_points() -> dict[str, EntryPoint]:
    # Searching all that is installed costs milliseconds: it is done when a format is not ours, and once.
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return found


@cache
def load(name: str) -> type[Format] | None:
    """Return the class of an installed format; None where no distribution has one of that name.

    Raises:
        MisuseError: What the distribution offers is no format, or cannot be imported.
    """
    point = _entry_points().get(name)
    if point is None:
        return None
    whose = f"the format {name!r} of the distribution {point.dist.name if point.dist else '?'!r}"
    try:
        found: Any = point.load()
    except Exception as error:
        msg = f"{whose} cannot be imported from {point.value!r}: {type(error).__name__}; mend or remove it"
        raise MisuseError(msg) from error
    return _checked(found, name, whose)


def _checked(found: Any, name: str, whose: str) -> type[Format]:  # noqa: ANN401 - whatever is offered
    from tokenstream.formats.base import Format

    if not (isinstance(found, type) and issubclass(found, Format)):
        msg = f"{whose} is no class that derives from tokenstream.formats.Format; mend or remove it"
        raise MisuseError(msg)
    told = getattr(found, "name", None)
    if told != name:
        msg = f"{whose} calls itself {told!r}: its entry point and its attribute `name` must say the same"
        raise MisuseError(msg)
    missing = sorted(found.__abstractmethods__)
    if missing:
        msg = f"{whose} lacks {', '.join(missing)}: a format has `recognises` and `read`"
        raise MisuseError(msg)
    return found


def detect(payload: dict[str, Any], event: str) -> tuple[str | None, bool]:
    """Return the installed format that a payload is of, and whether a later payload may tell.

    A format that is broken recognises nothing: streams of other formats must not suffer from it.

    Args:
        payload: The decoded payload.
        event: The SSE event's name, "" where it has none.
    """
    wait = False
    for name in names():
        try:
            known = load(name)
            answer = known.recognises(payload, event) if known is not None else False
        except Exception:  # noqa: BLE001 - other people's code may raise anything
            answer = False
        if answer:
            return name, False
        wait = wait or answer is None
    return None, wait
