"""The session for `for` loops."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream._pipeline.factories import make_stage_factory
from tokenstream._sources import Deferred, SyncSource
from tokenstream._sources.awaited import UNNAMED_SERVER
from tokenstream._sources.failures import opening_error
from tokenstream.recovery._open import SyncOpener, find_sync_source, make_openers
from tokenstream.recovery._resilient import make_stream
from tokenstream.session._base import SessionBase, SessionOpening
from tokenstream.session._sync_line import Messages, SyncLine
from tokenstream.stream import Stream
from tokenstream.stream._base import find_driver
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from tokenstream._steer import Steer
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.recovery import Attempt, Retry
    from tokenstream.router import Router
    from tokenstream.schemas import Tools
    from tokenstream.session._asked import Asked
    from tokenstream.session._exchange import AskedExchange
    from tokenstream.stages._citations import CitationMarkers


@show_members
class Answer(Stream):
    """The answer to a question that was asked in a `Session`: a stream that can be interrupted."""

    __slots__ = ("_interrupt",)

    def __init__(self, driver: Any, interrupt: Callable[[float | None], None]) -> None:  # noqa: ANN401 - inside the library
        super().__init__(driver)
        self._interrupt = interrupt
        """Stops the answer at the server, and shortens it to the milliseconds of audio that were played."""

    def interrupt(self, *, played_ms: float | None = None) -> None:
        """Stop the answer, because the user has interrupted it; what comes late is dropped.

        The server is asked to stop, and `message` keeps what was read. This may be called from any thread,
        and also after the answer has ended, while its audio is still being played.

        Args:
            played_ms: The milliseconds of the answer's audio that the user has heard: what lies behind is
                removed from the server's memory of the conversation (OpenAI Realtime). None if there is no
                audio.
        """
        # First, so that a reader doesn't take the end of what arrives for an answer that was cut off.
        self.stop("interrupted")
        self._interrupt(played_ms)


@show_members
class Session(SessionBase):
    """A conversation over a WebSocket, which is kept open from one question to the next.

    Only what is new is sent. A connection that was closed, has reached its time limit or has lost the
    conversation is replaced, and what the new one has to know is sent again.

    Args:
        open: Opens a connection: a function without parameters that returns one of `websockets`, or the
            openai SDK's.
        model: The model's name; None if the URL names it, as for OpenAI Realtime.
        tools: The tools that the model may call: `Tools`, a `Router`, or a list in the form of the API.
        format: The name of the format of the API's answers, which tells the API: "openai-responses",
            "openai-realtime", "gemini-live" or "openai-live"; None to find it by the connection's URL.
        settings: Further fields of each request (OpenAI Responses) or of the session's setup, such as
            {"instructions": "Be brief."}.
        retry: Rules for an answer that breaks off; None to raise its error.
        fallback: A function that takes a payload of the Responses API, sends it as a POST, and returns the
            response or an unread `connect(…)`; used if no connection can be opened. None for no fallback.
        limits: Bounds on untrusted input; None for the defaults of `Limits`.
        deadlines: Bounds on the silence of each answer, in seconds; None for the defaults of `Deadlines`.
        tool_tags: The dialects, such as "hermes", in which the model writes tool calls into its text where
            the server does not read them; they become calls. True for all that need not be named; "auto"
            for the same, if the request offers tools and the API itself sends no call.
        citation_markers: The markers, such as "openai" for 【12†source】, with which the model cites
            sources in its text; they become citations. True for all; `stages.Citations(keep=True)`
            leaves them in the text.

    Raises:
        MisuseError: An option is invalid, or the URL does not tell the API.
        StreamError: At the beginning of the `with` block: no connection can be opened.

    Example:
        >>> session = Session(lambda: connect("wss://api.openai.com/v1/responses"), model="gpt-5.1")
        >>> session.rotations, session.messages
        (0, [])
    """

    __slots__ = ("__weakref__", "_line")

    def __init__(
        self,
        open: Callable[[], Any],  # noqa: A002 - what it does
        *,
        model: str | None = None,
        tools: Tools | Router | list[dict[str, Any]] | None = None,
        format: str | None = None,
        settings: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
        fallback: Callable[[dict[str, Any]], Any] | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        tool_tags: bool | str | Iterable[str] = (),
        citation_markers: CitationMarkers = (),
    ) -> None:
        super().__init__(
            open,
            is_async=False,
            model=model,
            tools=tools,
            format=format,
            settings=settings,
            retry=retry,
            fallback=fallback,
            limits=limits,
            deadlines=deadlines,
            make_stage=make_stage_factory((), tool_tags, citation_markers),
        )
        self._line = SyncLine(open)
        """Takes the steps of the conversation."""

    def __enter__(self) -> Self:
        """Open the connection."""
        try:
            self._line.run(self._conversation.connect())
        except Exception as error:
            if not self._falls_back(error, self._line):
                self._line.disconnect()
                raise opening_error(error, UNNAMED_SERVER) from error
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, which ends an answer in progress. Closing twice does no harm."""
        self._is_closed = True
        self._line.close()
        self._conversation.leave()

    def ask(self, content: Any, *, router: Router | None = None, lane: str | None = None) -> Answer:  # noqa: ANN401 - see the docstring
        """Ask a question, and return its answer as a stream; it is sent at `with` or the first read.

        Args:
            content: A text; the results of tools, as `stream.run(router)` returns them; or an item or a list
                of items in the form of the API's requests.
            router: Runs the tools that the model calls, and sends their results on the same connection, until
                an answer has no calls; the stream has all these answers, one after the other. Other handlers
                of the router are not called. None to leave calls to you.
            lane: The name of a lane, for a conversation of its own on the same connection, whose answers may
                come at the same time (OpenAI Responses). None for the default lane.

        Raises:
            MisuseError: An argument is invalid, or the session is not open.
            ConcurrentRead: The answer before is still in progress.
        """
        asked = self._make_asked(content, router, lane)
        opens = partial(self._open_answer, asked)
        options = self._make_options(asked)
        if self._retry is None:
            driver: Any = SyncDriver(Deferred(lambda: _open_deferred(opens(None))), options)
        else:
            opener = _SyncQuestionOpener(opens, options.format)
            openers = make_openers(opener, self._retry, self._deadlines)
            driver = find_driver(make_stream(Stream, openers, self._retry, options))
        answer = Answer(driver, lambda played_ms: self._line.run(asked.interrupt(played_ms)))
        asked.round.answer = answer
        return answer

    def steer(self, content: Any, *, lane: str | None = None) -> Steer:  # noqa: ANN401 - see the docstring
        """Say something to the model while it answers, without stopping it (OpenAI Responses and Live).

        If the server of OpenAI Responses applies the input, the answer ends where it is, and the model goes
        on with the input: in the same stream, after a `MessageStart` with `another`. Any thread may call
        this.

        Args:
            content: A text, or an item or a list of items: those with the role "user" for OpenAI Responses,
                any message for OpenAI Live, such as a piece of the user's audio.
            lane: The lane of the answer; None for the default lane.

        Returns:
            What becomes of the input, in its `state`, which changes while the answer is read.

        Raises:
            MisuseError: An argument is invalid, the API cannot steer, or nothing was asked in the lane.
        """
        return self._line.run(self._make_steer(content, lane))

    # -- answers -------------------------------------------------------------

    def _open_answer(self, asked: Asked, attempt: Attempt | None) -> SyncSource | Deferred:
        """Send a question, and return the source of its answer.

        Args:
            attempt: The attempt at the answer; None if there is only one.
        """
        if not self._is_falling_back:
            try:
                exchange = self._line.run(asked.begin(attempt))
            except Exception as error:
                if not self._falls_back(error, self._line):
                    raise
            else:
                messages = Messages(self._line, asked, exchange)
                return SyncSource(
                    messages,
                    partial(self._release, asked, exchange),
                    messages=True,
                    limit_read=messages.limit_read,
                    lent=True,
                    asked=self._line.asked,
                )
        return find_sync_source(self._send_post(asked, attempt))

    def _release(self, asked: Asked, exchange: AskedExchange) -> None:
        """Stop an answer that is not read any further."""
        if not self._is_closed:
            self._line.run(asked.release(exchange))


class _SyncQuestionOpener(SessionOpening, SyncOpener):
    """Sends a question of a session for each attempt at its answer."""


def _open_deferred(source: SyncSource | Deferred) -> SyncSource:
    """Return an open source."""
    while isinstance(source, Deferred):
        source = source.open()
    return source
