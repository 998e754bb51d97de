"""The choice of how a run is read, and the loops over an agent's output."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from typing_extensions import override

from tokenstream._basics.untrusted import is_list
from tokenstream._sources.kinds import class_name_of, do_nothing
from tokenstream.errors import MisuseError, StreamError
from tokenstream.limits import Deadlines, check_option
from tokenstream.steps._builder import Follower, LineReader, RunBuilder, are_bare_lines
from tokenstream.steps._chunks import AsyncChunks, SyncChunks, is_asynchronous, is_byte_stream, is_response
from tokenstream.steps._framework import AgentsRun, RunOfAFramework, is_run_of_agents
from tokenstream.steps._langchain import LangChainRun, is_graph_stream
from tokenstream.steps._peer.asynchronous import AsyncPeer
from tokenstream.steps._peer.base import PeerRun
from tokenstream.steps._peer.sync import Peer
from tokenstream.steps._program import (
    AGENT_DEADLINES,
    NOTHING,
    PATIENCE,
    AccompaniedReader,
    AsyncDrain,
    Patience,
    SyncDrain,
    Tail,
    ask,
    ask_async,
    make_line_writer,
)
from tokenstream.stream._reading.items import LEAST_WAIT
from tokenstream.stream._tap.wrappers import AsyncWatchedStream, SyncWatchedStream, can_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tokenstream.steps._run import Steps

    class SyncInput(Protocol):
        """Reads chunks, and passes them to a builder or to a peer."""

        is_instant: bool

        def read(self, seconds: float | None) -> object: ...
        def release(self) -> None: ...
        def close(self) -> None: ...

    class AsyncInput(Protocol):
        """Reads chunks, and passes them to a builder or to a peer."""

        async def read(self) -> object: ...
        async def aclose(self) -> None: ...


ItemT = TypeVar("ItemT")
_SEARCHED = 200
"""Number of lines in a list among which one with an object is searched."""
_WHOLE = (str, bytes, dict)
"""Types over which a loop would give characters, numbers or keys, but no events."""


def follow(
    source: Any,  # noqa: ANN401 - known by its methods
    run: Steps,
    *,
    agent: str | None,
    exit_code: object,
    stderr: object,
    stdin: object,
    until: object,
    deadlines: Deadlines,
) -> Any:  # noqa: ANN401 - as the overloads of `Steps.follow` say
    """Return the iterable that reads a run, and builds it.

    1. A peer is read by its messages.
    2. What prints lines, and anything with an option, is read as an agent's output: the loop gets the
       object of each line.
    3. Anything else is a framework's, whose events pass on unchanged.

    Each is read by the loops that it supports; what supports both is read as the first loop says.
    """
    check_option("deadlines", deadlines, Deadlines)
    if isinstance(source, Peer | AsyncPeer):
        if stdin is not None:
            raise MisuseError("stdin= is for the lines of an agent: a peer has its own")
        limits = source.deadlines if deadlines is AGENT_DEADLINES else deadlines
        items: Any = AsyncFollowedItems if isinstance(source, AsyncPeer) else FollowedItems
        messages = PeerRun(run, agent, until, source)
        return items(_BorrowedPeer(source), messages, limits, exit_code, stderr)
    reader: RunOfAFramework | None = None
    if is_run_of_agents(source):
        reader, source = AgentsRun(run, source), source.stream_events()
    is_of_graph = is_graph_stream(source)
    # The agent of this name sends other events.
    options = (None if is_of_graph and agent == "langgraph" else agent, exit_code, stderr, stdin, until)
    has_options = deadlines is not AGENT_DEADLINES or any(option is not None for option in options)
    if has_options or has_lines(source):
        write = None if stdin is None else make_line_writer(stdin)
        lines = LineReader(run, agent, until, has_bare_lines=are_bare_lines(source), write=write)
        if all(can_loop(source)):
            return EitherFollowedLines(source, lines, deadlines, exit_code, stderr)
        if is_asynchronous(source):
            return AsyncFollowedLines(AsyncChunks(source), lines, deadlines, exit_code, stderr)
        is_readable = is_response(source) or hasattr(source, "__iter__") or hasattr(source, "read")
        if is_readable and source.__class__ not in _WHOLE:
            return FollowedLines(SyncChunks(source), lines, deadlines, exit_code, stderr)
    else:
        is_iterable, is_async_iterable = can_loop(source)
        if (is_iterable or is_async_iterable) and source.__class__ not in _WHOLE:
            loops: Any = EitherFollowedRun if is_iterable else AsyncFollowedRun
            followed: Any = loops if is_async_iterable else FollowedRun
            return followed(source, Follower(run, LangChainRun(run) if is_of_graph else reader))
    raise MisuseError(
        f"a run cannot follow {class_name_of(source)}: pass an agent's standard output, such as "
        "process.stdout, a file, a list of lines, a response or a Peer, or the events of a framework, such "
        "as astream_events(…)"
    )


def has_lines(source: object) -> bool:
    """Return True for an agent's output: a pipe, a file, a byte stream, a response, or a list of lines."""
    if hasattr(source, "readline") or is_byte_stream(source) or is_response(source):
        return True
    # A banner may come before the first object.
    first: list[object] = source[:_SEARCHED] if is_list(source) else []
    return any(isinstance(line, bytes | str) and line.strip()[:1] in (b"{", "{") for line in first)


class FollowedRun(SyncWatchedStream[ItemT]):
    """The events of a framework's run, read in `for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by = "run.follow(…)"
    """The call that made this object, for error messages."""


class AsyncFollowedRun(AsyncWatchedStream[ItemT]):
    """The events of a framework's run, read in `async for`; made by `Steps.follow`."""

    __slots__ = ()

    _made_by = "run.follow(…)"
    """The call that made this object, for error messages."""


class EitherFollowedRun(FollowedRun[ItemT], AsyncFollowedRun[ItemT]):
    """The events of a framework's run, read in `for` or in `async for`; made by `Steps.follow`."""

    __slots__ = ()


class _BorrowedPeer:
    """Reads a peer, and leaves it open when the loop over it ends: it is the caller's."""

    is_instant = False
    release = close = staticmethod(do_nothing)

    def __init__(self, peer: Peer | AsyncPeer) -> None:
        self.read: Any = peer.read

    async def aclose(self) -> None:
        """Do nothing."""


class _Loop(Generic[ItemT]):
    """The state that both kinds of loop over an agent's output have.

    Args:
        builder: Builds the run.
        deadlines: The longest waits.
        exit_code: The exit code of the agent's process, or a function that returns it; None for none.
        drain: Reads the standard error of the process; None if nobody reads it.
    """

    def __init__(
        self,
        builder: RunBuilder,
        deadlines: Deadlines,
        exit_code: object,
        drain: SyncDrain | AsyncDrain | None,
    ) -> None:
        self._builder = builder
        self._exit_code = exit_code
        self._patience = Patience(deadlines)
        self._is_over = False
        self._tail: Tail | None = None if drain is None else drain.tail
        """The end of the standard error; None if nobody reads it."""
        builder.begin_loop()

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return self._builder.plain_lines

    @property
    def stderr(self) -> str:
        """The end of what the process has written to its standard error so far, at most 8 kB."""
        return "" if self._tail is None else self._tail.text

    def _note(self, item: object) -> None:
        if self._builder.feed(item):
            self._patience.note_content()

    def _note_end(self) -> None:
        self._is_over = True
        self._builder.end()

    def _fail(self, error: Exception) -> None:
        """End the run with an error; a cancellation or an interrupt leaves it open, to go on later."""
        self._builder.stop(error)
        if isinstance(error, StreamError):
            error.stderr = self.stderr

    def _stop(self) -> None:
        """Stop the turn that is open, because nothing more is read."""
        self._is_over = True
        self._builder.leave()


class FollowedItems(_Loop[ItemT]):
    """The items of an agent's output, read in `for`; made by `Steps.follow`.

    The loop can be begun anew: after the end of a turn that `until=` waits for, it goes on.
    """

    def __init__(
        self, source: SyncInput, builder: RunBuilder, deadlines: Deadlines, exit_code: object, stderr: object
    ) -> None:
        self._source = source
        self._drain = None if stderr is None else SyncDrain(stderr)
        super().__init__(builder, deadlines, exit_code, self._drain)

    def __del__(self) -> None:
        drain: SyncDrain | None = getattr(self, "_drain", None)
        if drain is not None:
            drain.stop()

    def __iter__(self) -> Self:
        self._builder.begin_loop()
        return self

    def __next__(self) -> ItemT:
        builder = self._builder
        try:
            while builder.must_stop or (item := builder.take()) is NOTHING:
                if builder.must_stop or (self._is_over and builder.has_ended):
                    raise StopIteration
                if self._is_over:
                    self._finish()
                else:
                    self._read()
        except StopIteration:
            raise
        except Exception as error:
            self._fail(error)
            raise
        return cast("ItemT", item)

    def close(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._stop()
        if self._drain is not None:
            self._drain.stop()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        try:
            if self._source.is_instant:
                self._builder.feed(self._source.read(None))
            else:
                self._note(self._patience.read(self._source.read, is_resting=self._builder.is_resting))
        except StopIteration:
            self._note_end()

    @override
    def _fail(self, error: Exception) -> None:
        super()._fail(error)
        # Nothing more is read: the error itself would keep the thread that reads.
        self._source.release()

    def _finish(self) -> None:
        """End the run's turns; raise StreamError if one has no end, or the process has failed."""
        self._source.release()
        ended = ask(self._exit_code)
        error = self._builder.finish(ended)
        if self._drain is not None:
            # A process that still runs was waited for long enough.
            self._drain.finish(0 if ended.still_runs else PATIENCE)
        if error is not None:
            raise error


class AsyncFollowedItems(_Loop[ItemT]):
    """The items of an agent's output, read in `async for`; made by `Steps.follow`.

    The loop can be begun anew: after the end of a turn that `until=` waits for, it goes on.
    """

    def __init__(
        self, source: AsyncInput, builder: RunBuilder, deadlines: Deadlines, exit_code: object, stderr: object
    ) -> None:
        self._source = source
        self._drain = None if stderr is None else AsyncDrain(stderr)
        self._reading = AccompaniedReader([] if self._drain is None else [self._drain.run])
        super().__init__(builder, deadlines, exit_code, self._drain)

    def __aiter__(self) -> Self:
        self._builder.begin_loop()
        return self

    async def __anext__(self) -> ItemT:
        builder = self._builder
        try:
            while builder.must_stop or (item := builder.take()) is NOTHING:
                if builder.must_stop or (self._is_over and builder.has_ended):
                    raise StopAsyncIteration
                await (self._finish() if self._is_over else self._read())
        except StopAsyncIteration:
            raise
        except Exception as error:
            self._fail(error)
            raise
        return cast("ItemT", item)

    async def aclose(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._stop()
        await self._source.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _read(self) -> None:
        """Read a chunk or an item, and drain the standard error meanwhile."""
        read = partial(self._reading.read, self._source.read)
        try:
            item = await self._patience.read_async(read, is_resting=self._builder.is_resting)
        except StopAsyncIteration:
            self._note_end()
        else:
            self._note(item)

    async def _finish(self) -> None:
        """End the run's turns; raise StreamError if one has no end, or the process has failed."""
        ended = await ask_async(self._exit_code)
        error = self._builder.finish(ended)
        if self._drain is not None:
            await self._drain.finish(LEAST_WAIT if ended.still_runs else PATIENCE)
        if error is not None:
            raise error


class FollowedLines(FollowedItems[dict[str, Any]]):
    """Yields the decoded JSON object of each line of an agent, in `for`; made by `Steps.follow`."""


class AsyncFollowedLines(AsyncFollowedItems[dict[str, Any]]):
    """Yields the decoded JSON object of each line of an agent, in `async for`; made by `Steps.follow`."""


class EitherFollowedItems(Generic[ItemT]):
    """The items of an agent's output, read in `for` or in `async for`; made by `Steps.follow`.

    The first loop or block chooses, and until then nothing of the source is touched.

    Args:
        source: An object that both kinds of loop can read.
        arguments: The further arguments of the class that reads it in either of them.
    """

    def __init__(self, source: Any, *arguments: Any) -> None:  # noqa: ANN401 - known by its methods
        self._source, self._arguments = source, arguments
        self._chosen: FollowedItems[Any] | AsyncFollowedItems[Any] | None = None
        """Reader of the source; None before the first loop."""

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._choose_sync())

    def __next__(self) -> ItemT:
        return next(self._choose_sync())

    def __aiter__(self) -> AsyncIterator[ItemT]:
        return aiter(self._choose_async())

    async def __anext__(self) -> ItemT:
        return await anext(self._choose_async())

    def __enter__(self) -> Self:
        self._choose_sync()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._choose_async()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def close(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        self._choose_sync().close()

    async def aclose(self) -> None:
        """Stop reading: the turn that is open is stopped, and the source is closed."""
        await self._choose_async().aclose()

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return 0 if self._chosen is None else self._chosen.plain_lines

    @property
    def stderr(self) -> str:
        """The end of what the process has written to its standard error so far, at most 8 kB."""
        return "" if self._chosen is None else self._chosen.stderr

    def _choose_sync(self) -> FollowedItems[ItemT]:
        """Return what `for` reads; MisuseError if `async for` was chosen."""
        self._chosen = self._chosen or FollowedItems(SyncChunks(self._source), *self._arguments)
        if isinstance(self._chosen, FollowedItems):
            return self._chosen
        raise MisuseError("a loop with `async for` has begun to read this run: go on with `async for`")

    def _choose_async(self) -> AsyncFollowedItems[ItemT]:
        """Return what `async for` reads; MisuseError if `for` was chosen."""
        self._chosen = self._chosen or AsyncFollowedItems(AsyncChunks(self._source), *self._arguments)
        if isinstance(self._chosen, AsyncFollowedItems):
            return self._chosen
        raise MisuseError("a loop with `for` has begun to read this run: go on with `for`")


class EitherFollowedLines(EitherFollowedItems[dict[str, Any]]):
    """Yields the decoded JSON object of each line of an agent, in either loop; made by `Steps.follow`."""
