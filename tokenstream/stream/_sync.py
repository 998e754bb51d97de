"""The stream for `for` loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import explain_options, refuse_block
from tokenstream._sources.kinds import LazySource, SyncSource
from tokenstream.errors import MisuseError
from tokenstream.stream._opening import First, check_first
from tokenstream.stream._options import Policy, make_options
from tokenstream.stream._refusals import shared_stream_error
from tokenstream.stream._sync_driver import SyncDriver
from tokenstream.stream._views.choices import StreamOfEvents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._providers.apis import FormatName
    from tokenstream._sources.typing import SyncReadable
    from tokenstream.formats._base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.schemas._build import ToolsOption
    from tokenstream.stages import Reorder
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stream._fan_out.broadcast import Broadcast, BroadcastReader
    from tokenstream.stream._guarding import GuardRule
    from tokenstream.stream._job import Job
    from tokenstream.stream._session.responses import Responses
    from tokenstream.stream._views.payloads import PayloadView

_SOURCES = (LazySource, SyncSource)


class Stream(StreamOfEvents):
    r"""The streamed answer of a model, read in a `for` loop.

    Iteration yields every event; `text`, `reasoning` and `tool_calls` are views of one aspect each.
    The source is closed at its end, by an error, by `stop` or `close`, and at the end of `with`.
    `break` only leaves the loop: the source stays open, and a second loop goes on.

    Args:
        source: A response (httpx, httpx2, requests, urllib3), an SDK's stream, an iterable of bytes,
            text or payloads, a context manager that returns one of these, or a whole body: bytes,
            text, a path, a file.
        format: The format of the answer: a name, a class or an object; None to detect it.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        deadlines: How long the server may be silent, in seconds; None for the defaults of `Deadlines`.
        started_at: When the request was sent, by `time.monotonic`, so that metrics begin there; None for now.
        reorder: A `Reorder`, which puts frames in order and drops repeated ones; None to take them as they
            come.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.
        tools: The tools that the request offers: `Tools`, the request's list, or a list of functions, types
            and names; None if they are unknown. They help where a server sends a tool's name in pieces.
        job: Your own id for this answer, from which the keys of its tool calls are made; or a `Job`, with the
            answer as an earlier process has left it. None for the provider's id. See `ToolCall.key`.

    Raises:
        StreamError: The answer failed: raised in the loop, after all events that arrived before;
            `.partial` is the answer so far.

    Example:
        >>> body = [b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"]
        >>> with Stream(body, format="text") as stream:
        ...     print([piece for piece in stream.text], stream.message.ending)
        ['Hel', 'lo'] complete
    """

    @explain_options(
        answer_id="write job=",
        headers="it reads a response that is there; connect(url, headers=…) sends the request",
        json="it reads a response that is there; connect(url, json=…) sends the request",
        retry="it reads one response; connect(url, retry=…) and resilient(open, retry) ask for another",
        timeout="it reads a response that is there; deadlines=Deadlines(…) bounds its silences",
        url="it reads a response that is there; connect(url) sends the request",
    )
    def __init__(
        self,
        source: SyncReadable,
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
        if not isinstance(driver, SyncDriver):
            options = make_options(
                format, limits, deadlines, tags, job, tools=tools, started_at=started_at, reorder=reorder
            )
            driver = options.make_driver(SyncDriver, _source_of(source))
        # The stream's own views are those of choice 0.
        super().__init__(driver, 0)
        self._responses: Responses[Stream] | None = None
        """The result of `responses`; None before its first use."""
        self._shared: Broadcast | None = None
        """The hub that `broadcast` returned; None while the stream is not shared."""

    # -- reading -----------------------------------------------------------

    @property
    def payloads(self) -> PayloadView:
        """View of the payloads that the server sends, each once and as it came, also without an event.

        Ask for it before anything is read. `message` grows beside it.

        Raises:
            MisuseError: Something was read before.
        """
        from tokenstream.stream._views.payloads import PayloadCursor, PayloadView

        return PayloadView(self._driver, PayloadCursor(self._driver.machine), "`event.raw` in a loop")

    def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; the error's `.partial` has the answer so far.
            OutputIncomplete: `Retry.most` has stopped the answer, or not sent its request.
        """
        if self._shared is None:
            # Nothing that arrives from here on is given to anybody before it is whole.
            self._driver.machine.delivered.end_loop()
        self._driver.read_all()
        return self._take_final()

    def wait_open(self, first: First = "head") -> None:
        r"""Wait until the answer has begun, so that an earlier failure is raised here and not in the loop.

        A web handler calls this method before it sends its own response. The loop still yields
        every event; `message` may already include the events that were read here.

        Args:
            first: "head" to wait for the head of the response, "event" to wait for the first event.

        Raises:
            ConnectError: No response arrived.
            StatusError: The status was 400 or more.
            NotAStream: The response is something else, such as a web page.
            StreamError: With "event", the answer failed before its first event.

        Example:
            >>> stream = Stream([b"data: Hello\n\ndata: [DONE]\n\n"], format="text")
            >>> stream.wait_open(first="event")
            >>> "".join(stream.text)
            'Hello'
        """
        self._driver.wait_open(check_first(first))

    @property
    def responses(self) -> Responses[Stream]:
        """An iterator over the answers on one WebSocket connection, each a `Stream`."""
        if self._shared is not None:
            raise shared_stream_error()
        if self._responses is None:
            from tokenstream.stream._session.responses import Responses

            self._responses = Responses(self, self._driver.source_driver, Stream)
        return self._responses

    def run(self, router: Router) -> ToolResults:
        """Read to the end and call the router's handlers.

        Handlers of tools also get the calls that had arrived before; those of events get only later events.

        Args:
            router: The handlers.

        Returns:
            The results of the tools, by call id, and as the turns for the next request.

        Raises:
            StreamError: The answer failed; `tool_results` has the results so far.
            Exception: A handler raised it. A note names the handler, the stream is closed, and
                `tool_results` has the results so far.
        """
        from tokenstream.stream._running import run

        # The handlers need each event, also in a reader of a shared stream.
        return run(self._driver.event_driver, self._cursors, router)

    def guard(
        self,
        rule: GuardRule | Callable[[Message], str | None],
        *,
        first_tokens: int = 50,
        every: int | None = None,
        hold: bool = False,
    ) -> Self:
        r"""Add a rule that watches the answer while it arrives and may stop it.

        Call this method before the first read, once for each rule. When a rule stops the answer,
        the source is closed at once, the loop over the events ends with `Stopped`, views
        end, `stop_reason` has the reason, and `message.ending` is "stopped". An
        unfinished tool call is then never delivered. If a retry restarts the answer, the
        rules judge the new answer from its beginning.

        Args:
            rule: A regular expression to search for in the text; a `Budget` or a `Repetition`;
                or a function that takes the message and returns the reason to stop the answer, or
                None to let it go on.
            first_tokens: Call a function after this many pieces of content, or at the end if fewer arrive.
            every: Call it again after each of this many further pieces, and at the end; None to call it
                once.
            hold: True to hold back all events until the rule has decided, or until it has let pass
                `first_tokens` pieces. If it stops the answer by then, nobody gets them.

        Returns:
            The stream itself.

        Raises:
            MisuseError: The argument is not a rule, or reading has begun.
            GuardFailed: The function raised an exception, which is the error's cause. The loop
                raises this error.

        Example:
            >>> body = [b"data: The cat\n\n", b"data: sat\n\n", b"data: [DONE]\n\n"]
            >>> with Stream(body, format="text").guard("cat") as stream:
            ...     print([piece for piece in stream.text], stream.stop_reason)
            ['The cat'] the text matches 'cat'
        """
        from tokenstream.stream._guarding import guard, is_awaited

        if is_awaited(rule):
            raise MisuseError("an async guard needs an AsyncStream; a Stream takes a plain function")
        # A guard of a shared stream watches the answer for all readers.
        guard(self._driver.source_driver, rule, first_tokens=first_tokens, every=every, hold=hold)
        return self

    # -- several consumers ---------------------------------------------------

    def broadcast(self, *, policy: Policy | None = None, size: int | None = None) -> Broadcast:
        r"""Share this stream among several consumers, which may come and go.

        Each consumer asks for a reader, which has the views and the events of a stream.
        A reader that needs more input reads it for all readers. A slow view gets larger
        pieces; for slow loops over events, up to `size` events are held.
        The stream itself becomes one more reader: its earlier views raise an error, so
        ask it for new views.

        Args:
            policy: What to do if a loop over events falls `size` events behind: "wait" for it before more
                is read, "drop_oldest", or "raise" a MisuseError in that loop; None for "wait".
            size: How many events to keep for slow loops; None for 1,024.

        Returns:
            The broadcast, whose `reader` method makes readers; each call returns the same object.

        Raises:
            MisuseError: The stream is already shared with other options.
            MisuseError: The stream is being read; `kind` is "concurrent".

        Example:
            >>> body = [b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"]
            >>> with Stream(body, format="text") as stream:
            ...     show, save = stream.broadcast().reader(), stream.broadcast().reader()
            ...     print(list(show.text), save.final().text)
            ['Hel', 'lo'] Hello
        """
        from tokenstream.stream._fan_out.broadcast import SyncHub

        if self._shared is not None:
            self._driver.set_options(policy, size)
            return self._shared
        shared: Broadcast
        shared, self._driver = SyncHub.share(self._driver, policy, size)
        self._shared = shared
        return shared

    def tee(
        self, n: int, *, policy: Policy | None = None, size: int | None = None
    ) -> tuple[BroadcastReader, ...]:
        """Share this stream as `broadcast` does, and return `n` readers of it.

        The other arguments and the errors are those of `Stream.broadcast`.

        Example:
            >>> one, two = Stream(["The ", "sky"], format="pieces").tee(2)
            >>> list(zip(one.text, two.text))
            [('The ', 'The '), ('sky', 'sky')]
        """
        from tokenstream.limits import check_whole

        check_whole("n", n)
        hub = self.broadcast(policy=policy, size=size)
        return tuple(hub.reader() for _ in range(n))

    # -- ending ------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once the source is closed: after the end, an error, `stop` or `close`."""
        return self._driver.pump.closed

    def stop(self, reason: str | None = None) -> None:
        """End the stream here; the message keeps the content read so far, and the rest is not read.

        This never blocks, and may be called from any thread. A read in progress in another
        thread ends at once if its socket is known (HTTP/1.1 over httpx, httpx2 or
        urllib3), otherwise with the source's next chunk; the loop in that thread ends as at
        the end of the answer.

        Args:
            reason: The reason, for `stop_reason`; None for "stop".
        """
        self._driver.stop(reason)

    def close(self) -> None:
        """Close the source; the message keeps the content read so far. Closing twice does no harm."""
        self._driver.close()

    def __enter__(self) -> Self:
        """Open the source, if it is not open yet."""
        driver = self._driver
        driver.enter_block()
        if driver.verdict.closed:
            # This raises a `MisuseError`, unless the `Stopped` event of a guard is left to read.
            driver.check_events_left()
        if driver.pump.lazy is not None and not driver.has_ended:
            try:
                driver.open_now()
            except BaseException as error:
                # After a Ctrl-C here, `__exit__` is never called. Another thread that reads goes on.
                if not (isinstance(error, MisuseError) and error.kind == "concurrent"):
                    driver.close(quiet=True)
                raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Close the source; raise the error of opening it here, if no read has raised it."""
        driver = self._driver
        opening_error = driver.conclude_unopened() if error is None else None
        try:
            if error is not None and not isinstance(error, Exception):
                for once, run in driver.calls_in_hand:
                    once.leave(run, error)
        finally:
            # `quiet`: an error of closing must not take the place of either error.
            driver.close(quiet=(error or opening_error) is not None)
        if opening_error is not None:
            raise opening_error


refuse_block(Stream, is_async=False)


def _make_threaded(source: object) -> LazySource | None:
    """Return the source that reads an asynchronous object in a thread; None in an event loop."""
    from tokenstream.stream._reading.host import find_host

    if find_host() is not None:
        return None
    # Imported late, because it imports asyncio.
    from tokenstream._sources.find import async_source
    from tokenstream.stream._reading.threaded import from_asynchronous

    return from_asynchronous(source, async_source)


def _source_of(source: Any) -> Any:  # noqa: ANN401 - any readable object, and its source
    """Return the source of a readable object; what finds it is not loaded for one of `connect`."""
    if isinstance(source, _SOURCES):
        return source
    from tokenstream._sources.find import sync_source

    return sync_source(source, _make_threaded)
