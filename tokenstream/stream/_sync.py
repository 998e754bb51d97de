"""Read a stream in a `for` loop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, overload

from tokenstream._elsewhere import no_block
from tokenstream._glance import through_of
from tokenstream.errors import ConcurrentRead, MisuseError
from tokenstream.sources import Deferred, sync_source
from tokenstream.stream._base import StreamBase
from tokenstream.stream._driver import Options
from tokenstream.stream._opening import known_first
from tokenstream.stream._phase import Phase
from tokenstream.stream._sync_driver import SyncDriver
from tokenstream.stream._views import Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, Self

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Checkpoint, Message
    from tokenstream.partial_json._pattern import At
    from tokenstream.router import Router, ToolResults
    from tokenstream.sources._typing import SyncReadable
    from tokenstream.stages import Reorder
    from tokenstream.stream._broadcast import Broadcast, BroadcastReader
    from tokenstream.stream._broadcast_hub import Policy
    from tokenstream.stream._guarding import Rule
    from tokenstream.stream._opening import First
    from tokenstream.stream._responses import Responses

__all__ = ["Stream"]


class Stream(StreamBase[SyncDriver], Choice):
    r"""Read the streamed answer of a model in a `for` loop.

    Iterating gives every event; `text`, `reasoning` and `tool_calls` are views
    of one aspect each. The source is closed at the end of the input, on an
    error, by `stop` or `close`, and at the end of `with`; `break` alone leaves
    it open, and reading may go on.

    Args:
        source: A response (httpx, httpx2, requests, urllib3), an SDK's stream, an iterable of bytes,
            text or payloads, a context manager of one, or a body that is at hand: bytes, text,
            a path, a file.
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input.
        deadlines: Bounds on silence.
        started_at: Reading of `clock` when the request went out.
        clock: Where the time comes from, in seconds.
        pings: Whether signs of life become `Ping` events.
        reorder: Puts frames right that come out of order or twice; None to take them as they come.
        reasoning_tags: Names of tags, such as ("think",), between which the model writes its reasoning into
            the text; it is told as reasoning then. True for think, thinking, thought and reasoning.

    Raises:
        StreamError: In the loop that meets it, after everything that came before;
            `.partial` holds what had arrived.

    Example:
        >>> body = [b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"]
        >>> with Stream(body, format="text") as stream:
        ...     print([piece for piece in stream.text], stream.message.ending)
        ['Hel', 'lo'] complete
    """

    __slots__ = ("__weakref__", "_responses", "_shared")

    def __init__(
        self,
        source: SyncReadable,
        *,
        format: str | Format | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        started_at: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pings: bool = False,
        reorder: Reorder | None = None,
        reasoning_tags: bool | Iterable[str] = (),
    ) -> None:
        driver: Any = source
        if not isinstance(driver, SyncDriver):
            options = Options(
                format,
                limits,
                deadlines,
                started_at,
                clock,
                pings,
                reorder,
                through=through_of(reasoning_tags),
            )
            driver = SyncDriver(sync_source(source), options)
        super().__init__(driver, 0)
        self._responses: Responses[Stream] | None = None
        self._shared: Broadcast | None = None

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        source: SyncReadable,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        started_at: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pings: bool = False,
    ) -> Self:
        """Go on with an answer that another stream has begun, in another process perhaps.

        The message begins as the checkpoint's, and the events with the first one that
        comes after it. Views give what there is first; tool calls that were handed out
        are not given again. What the server sends again is dropped.

        Args:
            checkpoint: Where the answer stood: what `checkpoint()` gave, or an error's `checkpoint`.
            source: What the server sends after `checkpoint.position`, or all of it once more.
            limits: Bounds on untrusted input; they count what had come, too.
            deadlines: Bounds on silence.
            started_at: Reading of `clock` when the request went out.
            clock: Where the time comes from, in seconds.
            pings: Whether signs of life become `Ping` events.

        Raises:
            MisuseError: The format has no resume, or the checkpoint is another version's.
        """
        options = Options(None, limits, deadlines, started_at, clock, pings, checkpoint=checkpoint)
        driver: Any = SyncDriver(sync_source(source), options)
        return cls(driver)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        return iter(self._driver)

    def __next__(self) -> Event:
        return self._driver.__next__()

    def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; what had arrived is on the error.
        """
        self._driver.read_all()
        return self.message

    def wait_open(self, first: First = "head") -> None:
        r"""Wait until the answer has begun, so that a failure before is raised here, and not in the loop.

        A web handler calls it before it answers itself. What was read is given
        again by the loop; `message` may have it already.

        Args:
            first: What to wait for: the head of the response, or the first event.

        Raises:
            ConnectError: No response came.
            StatusError: The status was 400 or more.
            NotAStream: The response is a web page, say.
            StreamError: With "event", the answer failed before its first event.

        Example:
            >>> stream = Stream([b"data: Hello\n\ndata: [DONE]\n\n"], format="text")
            >>> stream.wait_open(first="event")
            >>> "".join(stream.text)
            'Hello'
        """
        self._driver.wait_open(known_first(first))

    def choice(self, index: int) -> Choice:
        """Return the views of one of several alternative answers, from 0."""
        return Choice(self._driver, index)

    @property
    def responses(self) -> Responses[Stream]:
        """The answers on one WebSocket connection, one after the other: an iterator of `Stream`."""
        if self._shared is not None:
            raise MisuseError(
                "this stream is shared as one answer: share each that `.responses` of an unshared one gives"
            )
        if self._responses is None:
            from tokenstream.stream._responses import Responses

            self._responses = Responses(self, self._driver, Stream)
        return self._responses

    def run(self, router: Router) -> ToolResults:
        """Read to the end, and have the router's handlers do what there is to do.

        Tools, fields and items begin with what has come before; handlers of events
        get those that are still to come.

        Args:
            router: The handlers.

        Returns:
            What the tools gave back, by call id, and as the turns of the next request.

        Raises:
            StreamError: The answer failed; `tool_results` has what the tools gave back.
            OutputInvalid: What a field or an item is read from is not what was asked for.
            OutputIncomplete: It was cut.
            Exception: A handler's own, with a note that names it; the stream is closed, and
                `tool_results` has what the tools gave back before.
        """
        from tokenstream.stream._running import run

        return run(self._driver.by_event, self._cursors, router)

    @overload
    def guard(
        self,
        rule: Rule | Callable[[Message], str | None],
        *,
        first_tokens: int = 50,
        every: int | None = None,
        hold: bool = False,
    ) -> Self: ...
    @overload
    def guard(self, rule: Callable[[Any], str | None], *, hold: bool = False, field: At) -> Self: ...
    def guard(
        self,
        rule: object,
        *,
        first_tokens: int = 50,
        every: int | None = None,
        hold: bool = False,
        field: At | None = None,
    ) -> Self:
        r"""Have a rule look at the answer while it comes, and stop it.

        Call it before the first read; it may be called several times, and each rule looks
        for itself. Where one stops the answer, the source is closed at once, the loop
        over the events ends with `Stopped`, views end, `stop_reason` says why, and
        `message.ending` is "stopped". A tool call that is not whole then is never handed
        out. An attempt that begins the answer again is judged afresh.

        Args:
            rule: A regular expression, looked for in the text as it comes; a `Budget` or a
                `Repetition`; or a function that is given the message and returns why the
                answer is stopped, None to let it go on.
            first_tokens: After how many pieces of content a function is asked; it is asked
                at the end where fewer come.
            every: After how many more it is asked again, and at the end; None for once.
            hold: Whether nothing is given before the rule has spoken, or `first_tokens` pieces
                have come without a word of it; what is stopped by then is never shown.
            field: The path to a field of structured output: the function is given its value
                once it is finished, in place of the message.

        Returns:
            The stream itself.

        Raises:
            MisuseError: It is no rule; or reading has begun.
            GuardFailed: In the loop: the function raised; that is the error's cause.

        Example:
            >>> body = [b"data: The cat\n\n", b"data: sat\n\n", b"data: [DONE]\n\n"]
            >>> with Stream(body, format="text").guard("cat") as stream:
            ...     print([piece for piece in stream.text], stream.stop_reason)
            ['The cat'] the text matches 'cat'
        """
        from tokenstream.stream._guarding import guard, is_awaited

        if is_awaited(rule):
            raise MisuseError(
                "a guard that has to be awaited needs an AsyncStream; a Stream takes a plain function"
            )
        guard(self._driver.own, rule, first_tokens=first_tokens, every=every, hold=hold, field=field)
        return self

    # -- several consumers ---------------------------------------------------

    def broadcast(self, *, policy: Policy | None = None, size: int | None = None) -> Broadcast:
        r"""Share this stream among several consumers, which come and go.

        Each asks for a reader, which has all that a stream is read by. Whoever needs
        more reads for all. Views of a reader are never behind by more than one piece,
        which is the larger then; for loops over events some events are held.
        The stream itself is one more reader from then on: ask it for its views anew.

        Args:
            policy: What happens where a loop over events is behind by `size` of them: "wait" for it
                before more is read, "drop_oldest", or "raise" a MisuseError in that loop; None for "wait".
            size: How many events are held; None for 1,024.

        Returns:
            What gives readers; the same each time.

        Raises:
            MisuseError: It is shared already, with other options.
            ConcurrentRead: It is being read.

        Example:
            >>> body = [b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"]
            >>> with Stream(body, format="text") as stream:
            ...     show, save = stream.broadcast().reader(), stream.broadcast().reader()
            ...     print(list(show.text), save.final().text)
            ['Hel', 'lo'] Hello
        """
        from tokenstream.stream._broadcast import broadcast

        if self._shared is None:
            if self._driver.diverted:
                raise MisuseError(
                    "the answers of this connection are read one by one: share each that `.responses` gives"
                )
            self._shared, self._driver = broadcast(self._driver, policy, size)
        else:
            self._driver.choose(policy, size)
        return self._shared

    def tee(
        self, n: int, *, policy: Policy | None = None, size: int | None = None
    ) -> tuple[BroadcastReader, ...]:
        """Return so many readers of this stream, which `broadcast` shares among them.

        Args:
            n: How many.
            policy: As for `broadcast`.
            size: As for `broadcast`.

        Raises:
            MisuseError: It is shared already, with other options.
            ConcurrentRead: It is being read.

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
        """Whether the source is closed: after the end, an error, `stop` or `close`."""
        return self._driver.pump.closed

    def stop(self, reason: str | None = None) -> None:
        """End the stream here: what has been read is kept, the rest is not read.

        It never blocks, and may be called from any thread. A read that is in
        progress in another thread ends at once where its socket can be reached
        (HTTP/1.1 over httpx, httpx2 or urllib3), and otherwise with the source's
        next answer; the loop there ends as at the end of the answer.

        Args:
            reason: Why; `stop_reason` tells it.
        """
        self._driver.stop(reason)

    def close(self) -> None:
        """Close the source; what has been read is kept. Closing twice is fine."""
        self._driver.close()

    def __enter__(self) -> Self:
        driver = self._driver
        if driver.verdict.closed:
            driver.enter_loop()
        if isinstance(driver.pump.source, Deferred) and driver.phase is not Phase.ENDED:
            try:
                driver.open_now()
            except ConcurrentRead:
                raise
            except BaseException:
                # Ctrl-C: a block that was not entered is not left either.
                driver.close(quiet=True)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unopened = self._driver.settle_unopened() if error is None else None
        self._driver.close(quiet=(error or unopened) is not None)
        if unopened is not None:
            raise unopened


no_block(Stream, is_async=False)
