"""Writes lines to the standard input of an agent."""

from __future__ import annotations

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
    if not callable(getattr(pipe, "write", None)):
        raise MisuseError(
            "stdin= takes the standard input of the agent's process, a pipe or a writer of asyncio, "
            f"not {type(stdin).__name__}"
        )

    def write(line: dict[str, Json]) -> None:
        """Write one line at once."""
        data = to_json_bytes(line) + b"\n"
        try:
            pipe.write(data.decode() if isinstance(pipe, io.TextIOBase) else data)
            if (flush := getattr(pipe, "flush", None)) is not None:
                flush()
        except (OSError, ValueError, RuntimeError) as error:
            raise broken_pipe_error(error) from error

    return write
