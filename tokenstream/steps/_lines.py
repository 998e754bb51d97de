"""Iterables over the lines that an agent prints, which build a run from them."""

from __future__ import annotations

from collections import deque
from inspect import isawaitable, signature
from typing import TYPE_CHECKING, Any

from tokenstream._sources.plain import from_file, is_file
from tokenstream.errors import MisuseError, ProtocolError, StreamError
from tokenstream.framing import NDJSONParser
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.steps._agents.agentcore import TEXT
from tokenstream.steps._agents.detect import AgentRun
from tokenstream.steps._agents.payloads import begins_as_payload, is_envelope, value_in
from tokenstream.steps._step import LeftOpen
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

    from tokenstream.steps._run import Steps

_PATIENCE = 5.0
"""Seconds to wait for an agent's process after its last line."""
_CHUNK = 65536
_OBJECTS = (dict, str)
"""Types of values that a line may stand for; a string is text of an agent."""


class LineReader:
    """Cuts an agent's output into lines and builds a run from them; it reads nothing itself.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
    """

    def __init__(self, run: Steps, agent: str | None) -> None:
        self._agent = AgentRun(run, agent)
        self._lines = NDJSONParser(limits=DEFAULT_LIMITS)
        self.has_ended = False
        self.plain_lines = 0
        """Number of lines that are no JSON objects, such as logs, and were passed by."""

    def feed(self, item: object) -> list[Any]:
        """Return the lines that an item completes, each as the object that it holds; other objects unchanged.

        Args:
            item: A line or any other piece of the output, as bytes or text, or an object of a line.
        """
        if isinstance(item, str):
            item = item.encode("utf-8", "surrogatepass")
        if isinstance(item, bytes | bytearray):
            return self._feed_bytes(bytes(item))
        return [item]

    def end(self) -> list[Any]:
        """Return the last line, if only its line end is missing."""
        rest = self._lines.unfinished
        self._lines.end()
        return [] if rest is None else self._parse([rest])

    def finish(self, exit_code: int | None) -> StreamError | None:
        """End the run's turns; return the error of the run, or None.

        Args:
            exit_code: The exit code of the agent's process; None if it is not known.
        """
        if self.has_ended:
            return None
        self.has_ended = True
        if self._agent.reader is None:
            warn("no line told which agent has printed them: name it, as in run.follow(…, agent=…)")
            return None
        return self._agent.end(exit_code)

    def stop(self, error: BaseException) -> None:
        """End the open turn with an exception, because no more lines are read."""
        if not self.has_ended:
            self._agent.stop(error)
        self.has_ended = True

    def read(self, line: object) -> None:
        """Build the run further from a line that the loop gets now; keep it until the agent is known."""
        if not self.has_ended:
            self._agent.read({"type": TEXT, "text": line} if isinstance(line, str) else line)

    # -- within ------------------------------------------------------------

    def _feed_bytes(self, chunk: bytes) -> list[Any]:
        """Return the lines that a chunk completes."""
        line = chunk.strip()
        if begins_as_payload(line) and b"\n" not in line and self._lines.unfinished is None:
            # A line of a list of lines may have no line end.
            try:
                value: object = value_in(line)
            except ProtocolError:
                pass
            else:
                return self._parse_values([value])
        lines = self._parse(self._lines.feed(chunk))
        self._lines.check()
        return lines

    def _parse(self, lines: list[bytes]) -> list[Any]:
        """Return the objects in some lines, without the lines that have none."""
        values: list[object] = []
        for line in lines:
            try:
                values.append(value_in(line))
            except ProtocolError:
                self.plain_lines += not is_envelope(line)
        return self._parse_values(values)

    def _parse_values(self, values: list[object]) -> list[Any]:
        """Return those of some values that are objects, or the texts of an agent that yields nothing else."""
        objects: list[Any] = [value for value in values if isinstance(value, _OBJECTS)]
        self.plain_lines += len(values) - len(objects)
        return objects


class FollowedLines:
    """The lines of an agent, each as its object, read in `for`; made by `Steps.follow`."""

    def __init__(self, source: Any, reader: LineReader, exit_code: object) -> None:  # noqa: ANN401 - told by its methods
        self._items = _iterate(source)
        self._source = source
        self._reader = reader
        self._exit_code = exit_code
        self._ready: deque[Any] = deque()
        self._is_over = False

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return self._reader.plain_lines

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - a dict, or an object of an SDK
        while not self._ready:
            if self._is_over:
                self._finish()
                raise StopIteration
            try:
                self._ready.extend(self._reader.feed(next(self._items)))
            except StopIteration:
                self._is_over = True
                self._ready.extend(self._reader.end())
            except BaseException as error:
                self._reader.stop(error)
                raise
        line = self._ready.popleft()
        self._reader.read(line)
        return line

    def close(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._is_over = True
        self._ready.clear()
        self._reader.stop(LeftOpen("its lines were not read to their end"))
        close = getattr(self._source, "close", None)
        if callable(close):
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _finish(self) -> None:
        """End the run's turns, with the exit code of the process.

        Raises:
            StreamError: A turn has no end, or the process has failed.
        """
        if self._reader.has_ended:
            return
        error = self._reader.finish(_ask(self._exit_code))
        if error is not None:
            raise error


class AsyncFollowedLines:
    """The lines of an agent, each as its object, read in `async for`; made by `Steps.follow`."""

    def __init__(self, source: Any, reader: LineReader, exit_code: object) -> None:  # noqa: ANN401 - told by its methods
        self._items = _iterate_async(source)
        self._reader = reader
        self._exit_code = exit_code
        self._ready: deque[Any] = deque()
        self._is_over = False

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return self._reader.plain_lines

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - a dict, or an object of an SDK
        while not self._ready:
            if self._is_over:
                await self._finish()
                raise StopAsyncIteration
            try:
                self._ready.extend(self._reader.feed(await self._items.__anext__()))
            except StopAsyncIteration:
                self._is_over = True
                self._ready.extend(self._reader.end())
            except BaseException as error:
                self._reader.stop(error)
                raise
        line = self._ready.popleft()
        self._reader.read(line)
        return line

    async def _finish(self) -> None:
        """End the run's turns, with the exit code of the process.

        Raises:
            StreamError: A turn has no end, or the process has failed.
        """
        if self._reader.has_ended:
            return
        code = self._exit_code
        if callable(code) and not _takes_timeout(code):
            from anyio import move_on_after

            code = code()
            if isawaitable(code):
                with move_on_after(_PATIENCE) as scope:
                    code = await code
                code = None if scope.cancelled_caught else code
        error = self._reader.finish(_ask(code))
        if error is not None:
            raise error


def follow_lines(
    source: Any,  # noqa: ANN401 - told by its methods
    run: Steps,
    agent: str | None,
    exit_code: object,
) -> FollowedLines | AsyncFollowedLines:
    """Return an iterable over an agent's lines; reading it builds the run."""
    reader = LineReader(run, agent)
    is_async = hasattr(source, "__aiter__") or hasattr(source, "receive")
    return (AsyncFollowedLines if is_async else FollowedLines)(source, reader, exit_code)


def _iterate(source: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
    """Return an iterator over the pieces of a pipe or file, or over the items of any other iterable."""
    return from_file(source).chunks if is_file(source) else iter(source)


async def _iterate_async(source: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
    """Yield the pieces of an asynchronous pipe, or the items of any other asynchronous iterable."""
    read = getattr(source, "read", None)
    if read is not None and hasattr(source, "at_eof"):
        # asyncio's own loop over lines fails on one that is longer than its buffer.
        while chunk := await read(_CHUNK):
            yield chunk
        return
    async for item in source:
        yield item


def _ask(exit_code: object) -> int | None:
    """Return the exit code of a process that has closed its output; None if it is not known.

    Args:
        exit_code: The code; or a function that returns it, such as `Popen.wait`, which gets a timeout.

    Raises:
        MisuseError: It is neither.
    """
    from subprocess import TimeoutExpired

    code: Any = exit_code
    if callable(code):
        try:
            code = code(timeout=_PATIENCE) if _takes_timeout(code) else code()
        except TimeoutExpired:
            warn("the agent's process still runs %.0f s after its last line", _PATIENCE)
            return None
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise MisuseError(
            f"exit_code= is a number or a function that returns it, and not {type(code).__name__}"
        )
    return code


def _takes_timeout(function: Any) -> bool:  # noqa: ANN401 - any function
    """Return True for a function with a parameter named `timeout`."""
    try:
        return "timeout" in signature(function).parameters
    except (TypeError, ValueError):
        return False
