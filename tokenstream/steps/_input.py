"""Writes lines to the standard input of an agent."""

from __future__ import annotations

import codecs
import inspect
import io
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import to_json_bytes
from tokenstream.errors import MisuseError
from tokenstream.steps._peer.base import broken_pipe_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json

    LineWriter: TypeAlias = Callable[[dict[str, Json]], object]


def make_line_writer(stdin: object) -> LineWriter:
    """Return a function that writes the JSON of a line to an agent.

    Args:
        stdin: The pipe, for bytes or text, or a `StreamWriter` of asyncio, which is written in its loop.

    Raises:
        MisuseError: It cannot be written without waiting.
    """
    pipe: Any = stdin
    write_some = getattr(pipe, "write", None)
    if not callable(write_some) or inspect.iscoroutinefunction(write_some):
        raise MisuseError(
            "stdin= takes the standard input of the agent's process, a pipe or a writer of asyncio, "
            f"not {type(stdin).__name__}"
        )

    takes_text = hasattr(pipe, "encoding") or isinstance(stdin, io.TextIOBase | codecs.StreamWriter)
    # A writer of asyncio says nothing when its process is gone.
    is_closing = getattr(pipe, "is_closing", bool)

    def write(line: dict[str, Json]) -> None:
        """Write one line at once."""
        data = to_json_bytes(line) + b"\n"
        try:
            if is_closing():
                raise BrokenPipeError
            if takes_text:
                pipe.write(data.decode())
                data = b""
            while data:
                written = pipe.write(data)
                # A raw pipe may take less; all others return nothing, or the whole.
                data = data[written:] if isinstance(written, int) else b""
            if (flush := getattr(pipe, "flush", None)) is not None:
                flush()
        except (OSError, ValueError, RuntimeError) as error:
            raise broken_pipe_error(error) from error

    return write
