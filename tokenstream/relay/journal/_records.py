"""Records that producers write: those of events, and those that say how an answer ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import StreamError, StreamInterrupted
from tokenstream.relay.encoders._tokenstream import end_record, error_record

if TYPE_CHECKING:
    from tokenstream.message import Ending

__all__ = ["ended", "ending_of", "failed", "interrupted"]

_BROKEN = "the answer could not be produced: the server has a fault of its own"


def ending_of(stream: object) -> Ending:
    """Return the verdict on a stream that was read to its end without an error.

    Args:
        stream: The stream, or any iterable of events: the end of that is the answer's.

    Example:
        >>> from tokenstream import Stream
        >>> stream = Stream(["Hi"], format="pieces")
        >>> for _ in stream: pass
        >>> ending_of(stream), ending_of([])
        ('complete', 'complete')
    """
    message = getattr(stream, "message", None)
    ending: Ending = getattr(message, "ending", "complete")
    return ending


def ended(ending: Ending) -> bytes:
    """Return the last record of an answer that no error has ended.

    Args:
        ending: The verdict.

    Example:
        >>> ended("stopped")
        b'{"type":"end","ending":"stopped"}'
    """
    return end_record(ending)


def failed(error: BaseException, *, raw: bool = False) -> bytes:
    """Return the last record of an answer that has failed; of an error that is none of ours it says nothing.

    Args:
        error: The error.
        raw: Whether it is told in the provider's words.
    """
    if isinstance(error, StreamError):
        return error_record(error, raw=raw)
    return error_record(StreamError(_BROKEN, kind="server", retryable=False), raw=True)


def interrupted(message: str) -> bytes:
    """Return the last record of an answer whose producer ended before it.

    Args:
        message: What has happened, in our words.
    """
    return error_record(StreamInterrupted(message), raw=True)
