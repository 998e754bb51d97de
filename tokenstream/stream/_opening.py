"""The start of an answer: waiting for it, and going on where it broke off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from tokenstream.errors import MisuseError
from tokenstream.formats import registry
from tokenstream.limits import check_option
from tokenstream.message import Usage

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.formats.base import Format
    from tokenstream.sources import Deferred
    from tokenstream.stages import Reorder
    from tokenstream.status import ResponseHead
    from tokenstream.stream._attempts import AttemptReport

__all__ = ["First", "Recovers", "is_failure", "known_first", "prepare", "taken"]

_LOWEST_OTHER_STATUS = 300
First: TypeAlias = Literal["head", "event"]
"""What `wait_open` waits for: the head of the response, or the first event."""


class Recovers(Protocol):
    """Goes on with an answer that broke off, over another source."""

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The attempts so far."""
        ...

    def replace(self, cause: StreamError | None, now: float) -> Deferred | None:
        """Return the source that goes on, or None where the stream ends here.

        Args:
            cause: Why the input broke off; None where it ended cleanly, or the error is the machine's.
            now: A clock reading, in seconds.
        """
        ...

    def settle(self, error: Exception | None, now: float) -> None:
        """Take the end of the last attempt."""
        ...


def is_failure(head: ResponseHead) -> bool:
    """Tell whether the head of a response says that what follows is no answer."""
    page = (head.content_type or "").strip().lower().startswith("text/html")
    return page or head.status >= _LOWEST_OTHER_STATUS


def prepare(deferred: Deferred, format: str | Format | None) -> None:
    """Load what a request and its answer need; later it would be part of the answer's times.

    Args:
        deferred: Sends the request.
        format: The answer's format; None where its first payload tells.
    """
    deferred.prepare()
    if deferred.asked is not None:
        # The first value of a process loads what pydantic needs to check it.
        Usage()
        if format is None:
            registry.load_for(deferred.asked[0])


def known_first(first: First) -> First:
    """Return what `wait_open` is to wait for.

    Raises:
        MisuseError: It is neither of the two words.
    """
    if first not in ("head", "event"):
        raise MisuseError(f'wait_open waits for first="head" or first="event", and not {first!r}')
    return first


def taken(reorder: Reorder) -> Reorder:
    """Return what puts the frames of a stream right, which is this stream's from now on.

    Raises:
        MisuseError: It is none, or another stream's.
    """
    from tokenstream.stages import Reorder

    check_option("reorder", reorder, Reorder)
    reorder.take()
    return reorder
