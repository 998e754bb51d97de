"""Base class of the stages that read a document, with their errors."""

from __future__ import annotations

from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import OutputInvalid

STOP = "the output is invalid"
"""The reason with which `fail_fast` stops a stream."""


def escape_stop_iteration(error: Exception) -> Exception:
    """Return a validator's exception; wrap a StopIteration, because a loop would silently end on it."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    wrapped = RuntimeError(f"a validator raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def make_no_document_error(text: str) -> OutputInvalid:
    """Return the error for an output in which lenient reading found no JSON at all."""
    msg = "there is no JSON document in the output; say in the request that one is wanted, and of what shape"
    return OutputInvalid(msg, text=text)


class DocumentStage:
    """Base class of the stages that read a document, with their members `error`, `stop` and `check`."""

    __slots__ = ("error", "stop")

    def __init__(self) -> None:
        self.error: Exception | None = None
        """The failure, once there is one; after it, nothing more is returned.

        It is an `OutputInvalid`, `OutputIncomplete` or `LimitExceeded`; or an exception
        of a validator that is not a ValueError, unchanged.
        """
        self.stop: str | None = None
        """The reason to stop reading the answer; None while more of it is needed."""

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise raised_anew(self.error)
