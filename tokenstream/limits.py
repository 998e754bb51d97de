"""Bounds on the size of untrusted input, and on the time that a stream may be silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import explain_all_options
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Deadlines", "Limits"]

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on the memory that a stream may use; exceeding a bound ends the stream with `LimitExceeded`.

    Example:
        >>> Limits(body=1_000_000).body
        1000000
    """

    line: int = 32 * _MIB
    """The longest line or message of a framing, in bytes (partial images are large)."""
    event: int = 32 * _MIB
    """The largest frame, in bytes."""
    body: int = 256 * _MIB
    """The largest body of an answer, in bytes after content decoding; of a refusal, 64 KiB are read."""
    text: int = 64_000_000
    """The most text, reasoning and arguments in one answer, in characters."""
    tool_calls: int = 1_024
    """The most tool calls in one answer."""
    parts: int = 10_000
    """The most parts in one answer, and the most results of tools."""
    choices: int = 128
    """The most choices in one answer."""
    steps: int = 20_000
    """The most steps in one run of `Steps`: each takes about 3.5 kB."""
    depth: int = 200
    """The deepest nesting of a JSON payload (the maximum of pydantic_core)."""
    digits: int = 4_300
    """The longest integer in a JSON payload, in digits (the maximum of pydantic_core)."""
    tail: int = 4 * 1024
    """The most bytes of an unfinished event that an error contains."""

    def __post_init__(self) -> None:
        """Refuse a bound that is not a whole number, is negative, or is above the JSON decoder's maximum."""
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ValueError(f"Limits.{name} takes a whole number of at least 0, not {value!r}")
        for name, maximum in (("depth", 200), ("digits", 4_300)):
            if getattr(self, name) > maximum:
                msg = f"Limits.{name} can only be lowered: the JSON decoder takes {maximum:,} at most"
                raise ValueError(msg)


DEFAULT_LIMITS = Limits()
"""The default limits; code that gets this very object may skip comparing the single bounds."""


class Default(float):
    """A number of seconds that no caller wrote: a longer timeout that one did write takes its place."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Bounds on the time that a stream may take or be silent, in seconds; None for no bound.

    The defaults suit reasoning models, which are silent for minutes. They never shorten a timeout of the
    request, of its client or of a response: a longer one takes their place. A `Stream` of a plain iterable
    cannot end a read that blocks, and notices a deadline only when the next item arrives.

    Example:
        >>> Deadlines(total=30.0).total
        30.0
    """

    first_event: float | None = Default(600.0)
    """The longest time from the request to the first frame."""
    idle_bytes: float | None = Default(300.0)
    """The longest time without a byte after the first frame; comments and pings count as bytes."""
    idle_content: float | None = Default(600.0)
    """The longest time without content after the first frame; comments and pings are not content."""
    after_finish: float | None = 1.0
    """The longest silence once every choice has its finish reason, or once an event of a kind that is not
    known has reported an error; a quarter more at most if heartbeats come. The answer then ends as it stands.
    It applies only to formats in which one body is one answer, and in which nothing follows the reason."""
    total: float | None = None
    """The longest time from the request to the end of the answer."""

    def __post_init__(self) -> None:
        """Check the bounds; `not value > 0` also refuses NaN.

        Raises:
            ValueError: A bound is neither None nor a number above 0.
        """
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | float) or not value > 0):
                raise ValueError(f"Deadlines.{name} takes a number of seconds above 0 or None, not {value!r}")


DEFAULT_DEADLINES = Deadlines()
"""The default deadlines."""


for _kind in (Limits, Deadlines):
    _kind.__init__ = explain_all_options()(_kind.__init__)  # type: ignore[method-assign] # its signature stays the same


def check_option(name: str, value: object, kind: type) -> None:
    """Check that an option has the right class; None, for an option that was not passed, is accepted."""
    if value is not None and not isinstance(value, kind):
        raise MisuseError(f"{name}= takes a tokenstream.{kind.__name__} or None, not {value!r}")


def check_names(
    name: str,
    value: Any,  # noqa: ANN401 - as callers give it
    known: Sequence[str],
    *,
    others: str,
    noun: str,
) -> tuple[str, ...]:
    """Return the names that a field was given; none for False."""
    if value in (False, ()):
        return ()
    is_single = isinstance(value, str | bytes) or not hasattr(value, "__iter__")
    names: tuple[Any, ...] = (value,) if is_single else tuple(value)
    unknown = [each for each in names if each not in known]
    if unknown:
        raise MisuseError(
            f"{name} takes {others} names of {noun}, not {unknown[0]!r}; the {noun} are {', '.join(known)}"
        )
    return names


def check_seconds(name: str, value: object, *, unit: str = "seconds") -> float:
    """Return the value of an option as a float, after checking that it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise MisuseError(f"{name}= takes a number of {unit} above 0, not {value!r}")
    return float(value)


def check_whole(name: str, value: object, *, least: int = 1) -> int:
    """Return the value of an option, after checking that it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise MisuseError(f"{name}= takes a whole number of at least {least}, not {value!r}")
    return value


def check_wait(name: str, value: object) -> None:
    """Check that the value of an option is a number of seconds of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise MisuseError(f"{name}= takes a number of seconds of at least 0, not {value!r}")
