"""What a stream raises for an exception of its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Never

import pytest

from tokenstream import Retry, Stream, resilient
from tokenstream.errors import MisuseError, StreamError

__all__ = ["error_of_opening", "error_of_reading"]


def error_of_opening(error: Exception) -> StreamError | MisuseError:
    """Return what is raised where a source cannot be opened for an exception."""

    def opened() -> Never:
        raise error

    return _raised_by(resilient(opened, Retry(attempts=1)))


def error_of_reading(
    error: Exception, *, begun: bool = True, package: str = __name__
) -> StreamError | MisuseError:
    """Return what is raised where a source breaks off with an exception."""
    code: dict[str, Any] = {"__name__": package, "error": error}
    exec("def fail():\n    raise error", code)

    def chunks() -> Iterator[bytes]:
        if begun:
            yield b": begun\n\n"
        code["fail"]()

    return _raised_by(Stream(chunks(), format="text"))


def _raised_by(stream: Stream) -> StreamError | MisuseError:
    with pytest.raises((StreamError, MisuseError)) as caught:
        stream.final()
    raised = caught.value
    assert isinstance(raised, StreamError | MisuseError)
    return raised
