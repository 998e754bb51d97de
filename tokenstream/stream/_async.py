"""The stream for `async for` loops, on asyncio and trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import explain_options, refuse_block
from tokenstream._sources.kinds import AsyncSource, LazySource
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._opening import First, check_first
from tokenstream.stream._options import Policy, make_options
from tokenstream.stream._refusals import concurrent_read_error, shared_stream_error
from tokenstream.stream._views.choices import AsyncStreamOfEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._providers.apis import FormatName
    from tokenstream._sources.typing import AsyncReadable
    from tokenstream.formats._base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages import Reorder
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._fan_out.broadcast_async import AsyncBroadcast, AsyncBroadcastReader
    from tokenstream.stream._guarding import GuardAnswer, GuardRule
    from tokenstream.stream._job import Job
    from tokenstream.stream._session.responses import AsyncResponses
    from tokenstream.stream._views.payloads import AsyncPayloadView


class AsyncStream(AsyncStreamOfEvents):
    r"""The streamed answer of a model, read in an `async for` loop.

    Iteration yields every event; `text`, `reasoning` and `tool_calls` are views of one aspect each.
    The source is closed at its end, by an error, by `stop` or `aclose`, and at the end of `async with`.
    `break` only leaves the loop: the source stays open, and a second loop goes on.

    The other arguments and the errors are those of `Stream`.

    Args:
        source: An asynchronous response (httpx, httpx2, aiohttp), an SDK's stream, an asynchronous
            iterable of bytes, text or payloads, an awaitable or an asynchronous context manager
            that returns one of these, or a whole body in memory.

    Example:
        >>> import asyncio
        >>> async def main() -> str:
        ...     async def body():
        ...         yield b"data: Hel\n\n"
        ...         yield b"data: lo\n\ndata: [DONE]\n\n"
        ...     async with AsyncStream(body(), format="text") as stream:
        ...         return (await stream.final()).text
        >>> asyncio.run(main())
        'Hello'
    """

    @explain_options(
        answer_id="write job=",
        headers="it reads a response that is there; aconnect(url, headers=…) sends the request",
        json="it reads a response that is there; aconnect(url, json=…) sends the request",
        retry="it reads one response; aconnect(url, retry=…) and aresilient(open, retry) ask for another",
        timeout="it reads a response that is there; deadlines=Deadlines(…) bounds its silences",
        url="it reads a response that is there; aconnect(url) sends the request",
    )
    def __init__(
        self,
        source: AsyncReadable,
        *,
        format: FormatName | type[Format] | Format | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        started_at: float | None = None,
        reorder: Reorder | None = None,
        tags: Tags | None = None,
        tools: ToolsOption = None,
        job: Job | str | None = None,
    ) -> None:
        driver: Any = source
        # This library itself passes a driver that it has made, for example in `connect`.
        if not isinstance(driver, AsyncDriver):
            options = make_options(
                format, limits, deadlines, tags, job, tools=tools, started_at=started_at, reorder=reorder
            )
            driver = options.make_driver(AsyncDriver, _source_of(source))
        # The stream itself reads the first choice of the answer.
        super().__init__(driver, 0)
        self._responses: AsyncResponses[AsyncStream] | None = None
        """The result of `responses`; None before its first use."""
        self._shared: AsyncBroadcast | None = None
        """The hub that `broadcast` returned; None while the stream is not shared."""

    # -- reading -----------------------------------------------------------

    @property
    def payloads(self) -> AsyncPayloadView:
        """View of the payloads that the server sends, each once and as it came, also without an event.

        Ask for it before anything is read. `message` grows beside it.

        Raises:
            MisuseError: Something was read before.
        """
        from tokenstream.stream._views.payloads import AsyncPayloadView, PayloadCursor

        return AsyncPayloadView(self._driver, PayloadCursor(self._driver.machine), "`event.raw` in a loop")

    async def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; the error's `.partial` has the answer so far.
            OutputIncomplete: `Retry.most` has stopped the answer, or not sent its request.
        """
        if self._shared is None:
            # Nothing that arrives from here on is given to anybody before it is whole.
            self._driver.machine.delivered.end_loop()
        step = self._driver.step
        while True:
            try:
                await step()
            except StopAsyncIteration:
                return self._take_final()

    async def wait_open(self, first: First = "head") -> None:
        """Wait until the answer has begun, so that an earlier failure is raised here and not in the loop.

        A web handler awaits this method before it sends its own response. The loop still yields
        every event; `message` may already include the events that were read here.

        The argument and the errors are those of `Stream.wait_open`.

        Example:
            >>> async def handle(stream: AsyncStream) -> int:
            ...     try:
            ...         await stream.wait_open()
            ...     except StreamError:
            ...         return 502
            ...     return 200
        """
        await self._driver.wait_open(check_first(first))

    @property
    def responses(self) -> AsyncResponses[AsyncStream]:
        """An asynchronous iterator over the answers on one WebSocket connection, each an `AsyncStream`."""
        if self._shared is not None:
            raise shared_stream_error()
        if self._responses is None:
            from tokenstream.stream._session.responses import AsyncResponses

            self._responses = AsyncResponses(self, self._driver.source_driver, AsyncStream)
        return self._responses

    async def run(self, router: Router) -> ToolResults:
        """Read to the end and call the router's handlers.

        Tools run while the stream is read, up to `router.concurrency` of them at once; sync tools
        run in threads. All other handlers are awaited before reading goes on. If a handler raises an
        exception, the tools that are still running are cancelled.

        The argument, the result and the errors are those of `Stream.run`.
        """
        from tokenstream.stream._running import run_async

        # If the stream is shared, its own driver returns the news for views, but handlers need the events.
        return await run_async(self._driver.event_driver, self._cursors, router)

    def guard(
        self,
        rule: GuardRule | Callable[[Message], GuardAnswer],
        *,
        first_tokens: int = 50,
        every: int | None = None,
        hold: bool = False,
    ) -> Self:
        """Add a rule that watches the answer while it arrives and may stop it.

        Call this method before the first read, once for each rule. A rule may also be an async
        function, which is awaited in a separate task; this needs `async with`.

        The arguments, the result and the errors are those of `Stream.guard`.

        Example:
            >>> async def off_topic(message: Message) -> str | None:
            ...     return "off topic" if "weather" in message.text else None
            >>> async def read(stream: AsyncStream) -> str | None:
            ...     async with stream.guard(off_topic, first_tokens=20):
            ...         await stream.final()
            ...     return stream.stop_reason
        """
        from tokenstream.stream._guarding import guard, is_awaited

        # The driver that reads the source, even if the stream is shared.
        added_rule = guard(
            self._driver.source_driver, rule, first_tokens=first_tokens, every=every, hold=hold
        )
        if callable(rule):
            # Even a plain function may return an awaitable.
            self._driver.source_driver.add_awaitable_guard(added_rule, awaited=is_awaited(rule))
        return self

    # -- several consumers ---------------------------------------------------

    def broadcast(self, *, policy: Policy | None = None, size: int | None = None) -> AsyncBroadcast:
        """Share this stream among several consumers, which may come and go.

        Each consumer asks for a reader, which has the views and the events of a stream; the readers
        may be used in different tasks of one event loop. The stream itself becomes one more reader:
        its earlier views raise an error, so ask it for new views.

        The arguments, the result and the errors are those of `Stream.broadcast`.

        Example:
            >>> async def serve(stream: AsyncStream, clients: list[Client]) -> None:
            ...     hub = stream.broadcast(policy="drop_oldest")
            ...     async with stream, asyncio.TaskGroup() as tasks:
            ...         for client in clients:
            ...             tasks.create_task(client.send(hub.reader()))
        """
        from tokenstream.stream._fan_out.broadcast_async import AsyncHub

        if self._shared is not None:
            self._driver.set_options(policy, size)
            return self._shared
        shared: AsyncBroadcast
        shared, self._driver = AsyncHub.share(self._driver, policy, size)
        self._shared = shared
        return shared

    def tee(
        self, n: int, *, policy: Policy | None = None, size: int | None = None
    ) -> tuple[AsyncBroadcastReader, ...]:
        """Share this stream as `broadcast` does, and return `n` readers of it.

        The arguments and errors are those of `Stream.tee`.

        Example:
            >>> async def both(stream: AsyncStream) -> None:
            ...     one, two = stream.tee(2)
            ...     async with stream:
            ...         await asyncio.gather(show(one), save(two))
        """
        from tokenstream.limits import check_whole

        check_whole("n", n)
        hub = self.broadcast(policy=policy, size=size)
        return tuple(hub.reader() for _ in range(n))

    # -- ending ------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the source is closed: after the end, an error, `stop` or `aclose`."""
        return self._driver.closed

    def stop(self, reason: str | None = None) -> None:
        """End the stream here; the message keeps the content read so far, and the rest is not read.

        This never blocks, and may be called from any thread or task. A read in progress
        ends at once, and its loop ends as at the end of the answer. The task that
        reads the source closes it. Without a reading task (on trio outside of `async with`), the
        next read or `aclose` closes the source.

        Args:
            reason: The reason, for `stop_reason`; None for "stop".
        """
        self._driver.stop(reason)

    async def aclose(self) -> None:
        """Close the source; the message keeps the content read so far. Closing twice does no harm."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        """Open the source, if it is not open yet; on trio, also a task group for its reading task."""
        driver = self._driver
        driver.enter_block()
        if driver.verdict.closed:
            # This raises a `MisuseError`, unless the `Stopped` event of a guard is left to read.
            driver.check_events_left()
        if driver.is_reading and driver.pump.lazy is not None:
            # Another task is opening the source. This is checked first, so that nothing has to be undone.
            raise concurrent_read_error()
        await driver.pump.open_tasks()
        try:
            await driver.open_now()
        except BaseException:
            try:
                await driver.close(failed=True)
            finally:
                await driver.pump.close_tasks()
            raise
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Close the source; raise the error of opening it here, if no read has raised it."""
        driver = self._driver
        opening_error = driver.conclude_unopened() if error is None else None
        try:
            if error is not None and not isinstance(error, Exception):
                for once, run in driver.calls_in_hand:
                    await once.leave(run, error)
        finally:
            try:
                await driver.close(failed=(error or opening_error) is not None)
            finally:
                await driver.pump.close_tasks()
        if opening_error is not None:
            raise opening_error


refuse_block(AsyncStream, is_async=True)


def _source_of(source: Any) -> Any:  # noqa: ANN401 - any readable object, and its source
    """Return the source of a readable object; what finds it is not loaded for one of `aconnect`."""
    if isinstance(source, LazySource | AsyncSource):
        return source
    from tokenstream._sources.find import async_source

    return async_source(source)
