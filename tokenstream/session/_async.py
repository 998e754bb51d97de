"""The session for `async for` loops."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members_like
from tokenstream._pipeline.factories import make_stage_factory
from tokenstream._sources import AsyncSource, Deferred
from tokenstream._sources.awaited import UNNAMED_SERVER
from tokenstream._sources.failures import opening_error
from tokenstream.recovery._open import AsyncOpener, find_async_source, make_openers
from tokenstream.recovery._resilient import make_stream
from tokenstream.session._async_line import AsyncLine, AsyncMessages
from tokenstream.session._base import SessionBase, SessionOpening
from tokenstream.session._sync import Answer, Session
from tokenstream.stream import AsyncStream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import find_driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
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


@show_members_like(Answer)
class AsyncAnswer(AsyncStream):
    """The answer to a question that was asked in an `AsyncSession`: a stream that can be interrupted."""

    __slots__ = ("_interrupt",)

    def __init__(self, driver: Any, interrupt: Callable[[float | None], Awaitable[None]]) -> None:  # noqa: ANN401 - inside the library
        super().__init__(driver)
        self._interrupt = interrupt
        """Stops the answer at the server, and shortens it to the milliseconds of audio that were played."""

    async def interrupt(self, *, played_ms: float | None = None) -> None:
        """Stop the answer, because the user has interrupted it; what comes late is dropped.

        The server is asked to stop, and `message` keeps what was read. Another task may call this while the
        answer is read, and also after it has ended, while its audio is still being played.

        The arguments are those of `Answer.interrupt`.
        """
        # First, so that a reader doesn't take the end of what arrives for an answer that was cut off.
        self.stop("interrupted")
        await self._interrupt(played_ms)


@show_members_like(Session)
class AsyncSession(SessionBase):
    """A conversation over a WebSocket, which is kept open from one question to the next.

    Otherwise like `Session`; on trio, too.

    Args:
        open: Opens a connection: a function without parameters that returns one of `websockets`, an awaitable
            of it, or a context manager, such as those of the openai SDK and google-genai.
        model: The model's name; None if the URL names it, as for OpenAI Realtime.
        tools: The tools that the model may call: `Tools`, a `Router`, or a list in the form of the API.
        format: The name of the format of the API's answers, which tells the API: "openai-responses",
            "openai-realtime", "gemini-live" or "openai-live"; None to find it by the connection's URL.
        settings: Further fields of each request (OpenAI Responses) or of the session's setup, such as
            {"instructions": "Be brief."}.
        retry: Rules for an answer that breaks off; None to raise its error.
        fallback: A function that takes a payload of the Responses API, sends it as a POST, and returns the
            response or an unread `aconnect(…)`; used if no connection can be opened. None for no fallback.
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
        StreamError: At the beginning of the `async with` block: no connection can be opened.

    Example:
        >>> async def talk(questions: list[str]) -> None:
        ...     async with AsyncSession(lambda: connect(URL), model="gpt-5.1") as session:
        ...         for question in questions:
        ...             async with session.ask(question) as answer:
        ...                 async for piece in answer.text:
        ...                     print(piece, end="")
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
            is_async=True,
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
        self._line = AsyncLine(open)
        """Takes the steps of the conversation."""

    async def __aenter__(self) -> Self:
        """Open the connection; on trio, also a task group."""
        await self._line.open_tasks()
        try:
            await self._line.run(self._conversation.connect())
        except BaseException as error:
            if isinstance(error, Exception) and self._falls_back(error, self._line):
                self._is_open = True
                return self
            await self.aclose()
            await self._line.close_tasks()
            if not isinstance(error, Exception):
                raise
            raise opening_error(error, UNNAMED_SERVER) from error
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        try:
            await self.aclose()
        finally:
            await self._line.close_tasks()

    async def aclose(self) -> None:
        """Close the connection, which ends an answer in progress. Closing twice does no harm."""
        self._is_closed = True
        await self._line.close()
        self._conversation.leave()

    def ask(self, content: Any, *, router: Router | None = None, lane: str | None = None) -> AsyncAnswer:  # noqa: ANN401 - see `Session.ask`
        """Ask a question, and return its answer as a stream; it is sent at `async with` or the first read.

        The arguments and errors are those of `Session.ask`.
        """
        asked = self._make_asked(content, router, lane)
        opens = partial(self._open_answer, asked)
        options = self._make_options(asked)
        if self._retry is None:

            async def open_source() -> AsyncSource:
                """Send the question, and return the source of its answer."""
                source = await opens(None)
                while isinstance(source, Deferred):
                    source = await source.open()
                return source

            driver: Any = AsyncDriver(Deferred(open_source), options)
        else:
            openers = make_openers(_AsyncQuestionOpener(opens, options.format), self._retry, self._deadlines)
            driver = find_driver(make_stream(AsyncStream, openers, self._retry, options))
        answer = AsyncAnswer(driver, lambda played_ms: self._line.run(asked.interrupt(played_ms)))
        asked.round.answer = answer
        return answer

    async def steer(self, content: Any, *, lane: str | None = None) -> Steer:  # noqa: ANN401 - see `Session.steer`
        """Say something to the model while it answers, without stopping it (OpenAI Responses and Live).

        Another task may call this while the answer is read. The arguments, the result and the errors are
        those of `Session.steer`.
        """
        return await self._line.run(self._make_steer(content, lane))

    # -- answers -------------------------------------------------------------

    async def _open_answer(self, asked: Asked, attempt: Attempt | None) -> AsyncSource | Deferred:
        """Send a question, and return the source of its answer.

        Args:
            attempt: The attempt at the answer; None if there is only one.
        """
        if not self._is_falling_back:
            try:
                exchange = await self._line.run(asked.begin(attempt))
            except Exception as error:
                if not self._falls_back(error, self._line):
                    raise
            else:
                return AsyncSource(
                    AsyncMessages(self._line, asked, exchange),
                    partial(self._release, asked, exchange),
                    messages=True,
                    # A read that is cancelled loses no message, but it would cancel a tool.
                    survives=asked.router is None,
                    lent=True,
                    asked=self._line.asked,
                )
        return find_async_source(self._send_post(asked, attempt))

    async def _release(self, asked: Asked, exchange: AskedExchange) -> None:
        """Stop an answer that is not read any further."""
        if not self._is_closed:
            await self._line.run(asked.release(exchange))


class _AsyncQuestionOpener(SessionOpening, AsyncOpener):
    """Sends a question of a session for each attempt at its answer."""
