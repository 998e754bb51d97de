"""Functions that log messages, without importing `logging` if nobody else has.

Servers, clients and models choose much of what a message tells. So every detail is put on one line, and
nobody can forge a line of the log, or colour a terminal.

A message about an answer ends with the answer's origin, so that no two answers have the same line; handlers
that write JSON find the origin's fields in the attribute `origin` of the record.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._basics.visible import one_line

if TYPE_CHECKING:
    from logging import Logger

    from tokenstream._values.origin import Origin
    from tokenstream.errors import AnswerFailure

DEBUG, INFO, WARNING = 10, 20, 30
"""The levels of `logging`, which is not imported for them."""


class HasOrigin(Protocol):
    """An object that belongs to an answer, such as a driver or an error."""

    @property
    def origin(self) -> Origin | None:
        """The origin of the answer, which is made only if something is logged; None if there is none."""


def is_shown(level: int) -> bool:
    """Return True if somebody sees the messages of a level below `WARNING`."""
    # Importing `logging` takes as long as importing a dozen of our own modules. A program that shows
    # such messages has already imported it.
    return "logging" in sys.modules and _find_logger().isEnabledFor(level)


def tell(
    level: int,
    message: str,
    *details: object,
    of: HasOrigin | None = None,
    advice: str = "",
    stack: str = "",
    bug: Exception | None = None,
    **fields: object,
) -> None:
    """Log a message, and the origin of the answer that it is about, if the level is enabled.

    The message must never contain the answer or the request. The record's origin gets more fields, too. The
    stack, if it is known, is the one of the application. A bug of the application is shown only by a switch,
    as its text may be private.
    """
    # A warning is shown also by a program that has not imported `logging`.
    if level < WARNING and "logging" not in sys.modules:
        return
    logger = _find_logger()
    if not logger.isEnabledFor(level):
        return
    origin = None if of is None else of.origin
    extra: dict[str, Any] | None = None
    if origin is not None:
        extra = {"origin": origin.fields | fields}
        if line := str(origin):
            message, details = f"{message} · %s", (*details, line)
    if advice:
        message, details = f"{message} · advice: %s", (*details, advice)
    # The record has the place in this library that logs the message, not this function.
    place = logger.findCaller(stacklevel=2)[:3]
    arguments = tuple(map(_clean, details))
    shown: Any = None
    # The switch is a level of this logger's own: none is inherited, and a higher one silences it.
    if bug is not None and 0 < logger.getChild("exceptions").level <= level:
        shown = type(bug), bug, bug.__traceback__
    record = logger.makeRecord(
        logger.name, level, *place[:2], message, arguments, shown, place[2], extra, stack or None
    )
    logger.handle(record)


log = partial(tell, DEBUG)
inform = partial(tell, INFO)
"""Logs a hint for the application's developer."""
warn = partial(tell, WARNING)
"""Logs a warning about a problem that raises no error."""


class _OneLine:
    """An object as text on one line, which is made only if the message is formatted."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return one_line(str(self._value))

    def __repr__(self) -> str:
        return one_line(repr(self._value))


def _clean(detail: object) -> object:
    """Return a detail of a message, of which nothing begins another line."""
    if isinstance(detail, str):
        return one_line(detail)
    return detail if detail is None or isinstance(detail, int | float) else _OneLine(detail)


def describe_cause(error: AnswerFailure) -> str:
    """Return the cause of an error in a few words, such as "overloaded (StatusError 503)"; no payload."""
    status = getattr(error, "status", None)
    name = type(error).__name__ + ("" if status is None else f" {status}")
    return f"{error.kind} ({name}): {error.sentence}"


@cache
def _find_logger() -> Logger:
    import logging

    return logging.getLogger("tokenstream")
