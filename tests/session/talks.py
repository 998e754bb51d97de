"""Sessions of every colour, driven by the same words: in a thread, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import websockets.asyncio.client as asyncio_client
import websockets.sync.client as sync_client
import websockets.trio.client as trio_client
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.support.either import Each, at_once, got, inside
from tokenstream import AsyncSession, MediaDelta, Message, Session, StreamError

if TYPE_CHECKING:
    from tokenstream._values.steer import Steer

COLOURS = ("sync", "asyncio", "trio")


class Answered(NamedTuple):
    pieces: list[str]
    message: Message
    error: StreamError | None
    stop_reason: str | None
    departures: dict[str, int]

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Talk:
    """An open session in a thread."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def begin(self, content: Any, **options: Any) -> Future[Answered]:
        """Ask, and read the answer in a thread or task of its own, at the same time as others."""
        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(self.ask, content, **options)
        finally:
            pool.shutdown(wait=False)

    def call(self, program: Callable[..., Any], *args: Any) -> Any:
        return at_once(program(*args))

    def ask(
        self, content: Any, *, stop_after: int | None = None, played_ms: float | None = None, **options: Any
    ) -> Answered:
        """Ask, and read the answer.

        Args:
            stop_after: The number of pieces of text after which the answer is interrupted, or, if `played_ms`
                is negative, left; None to read it to its end.
            played_ms: The milliseconds of audio that were played.
        """
        answered: Answered = self.call(self._ask, content, stop_after, played_ms, options)
        return answered

    async def _ask(
        self, content: Any, stop_after: int | None, played_ms: float | None, options: dict[str, Any]
    ) -> Answered:
        answer = self.session.ask(content, **options)
        pieces: list[str] = []
        error = None
        try:
            async with inside(answer):
                async for piece in Each(answer.text):
                    pieces.append(piece)
                    if len(pieces) == stop_after:
                        if played_ms is None or played_ms >= 0:
                            await got(answer.interrupt(played_ms=played_ms))
                        break
        except StreamError as failure:
            error = failure
        return Answered(pieces, answer.message, error, answer.stop_reason, answer.departures.details)

    def events(self, content: Any, **options: Any) -> tuple[list[Any], str]:
        async def read() -> tuple[list[Any], str]:
            async with inside(self.session.ask(content, **options)) as answer:
                return [event async for event in Each(answer)], answer.message.text

        told: tuple[list[Any], str] = self.call(read)
        return told

    def steer(self, content: Any, words: Any, **options: Any) -> tuple[Answered, Steer]:
        """Ask, and say something more once the first piece of text has come."""

        async def read() -> tuple[Answered, Steer]:
            answer, pieces, error = self.session.ask(content, **options), [], None
            steers: list[Any] = []
            try:
                async with inside(answer):
                    async for piece in Each(answer.text):
                        pieces.append(piece)
                        if not steers:
                            steers.append(await got(self.session.steer(words, lane=options.get("lane"))))
            except StreamError as failure:
                error = failure
            told = Answered(pieces, answer.message, error, answer.stop_reason, answer.departures.details)
            return told, steers[0]

        steered: tuple[Answered, Steer] = self.call(read)
        return steered

    def leave_unread(self, content: Any, **options: Any) -> AbstractContextManager[Any]:
        """Ask, and read nothing of the answer within the block."""
        answer: AbstractContextManager[Any] = self.session.ask(content, **options)
        return answer

    def speak(self, content: Any, *, media: int | None, played_ms: float, **options: Any) -> Answered:
        """Ask, and interrupt the answer after some pieces of audio; if `media` is None, once it has ended."""

        async def read() -> Answered:
            async with inside(self.session.ask(content, **options)) as answer:
                heard = 0
                async for event in Each(answer):
                    heard += isinstance(event, MediaDelta)
                    if heard == media:
                        break
                await got(answer.interrupt(played_ms=played_ms))
            return Answered([], answer.message, None, answer.stop_reason, answer.departures.details)

        spoken: Answered = self.call(read)
        return spoken


class AsyncTalk(Talk):
    def __init__(self, session: Any, portal: BlockingPortal) -> None:
        super().__init__(session)
        self._portal = portal

    def call(self, program: Callable[..., Any], *args: Any) -> Any:
        return self._portal.call(program, *args)

    def begin(
        self, content: Any, *, stop_after: int | None = None, played_ms: float | None = None, **options: Any
    ) -> Future[Answered]:
        """Ask, and read the answer in a task of its own, which ends if the future is cancelled."""
        return self._portal.start_task_soon(self._ask, content, stop_after, played_ms, options)

    def leave_unread(self, content: Any, **options: Any) -> AbstractContextManager[Any]:
        return self._portal.wrap_async_context_manager(self._portal.call(self._make, content, options))

    async def _make(self, content: Any, options: dict[str, Any]) -> Any:
        return self.session.ask(content, **options)


@contextmanager
def talking(
    colour: str, url: str, *, connecting: dict[str, Any] | None = None, **options: Any
) -> Generator[Talk]:
    """Open a session with a server; `connecting` has options of the connection."""
    connecting = connecting or {}
    if colour == "sync":
        with Session(lambda: sync_client.connect(url, **connecting), **options) as session:
            yield Talk(session)
        return
    clients: dict[str, Any] = {"asyncio": asyncio_client, "trio": trio_client}
    connect: Any = clients[colour].connect
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal(colour))
        opened = portal.call(_make, lambda: connect(url, **connecting), options)
        yield AsyncTalk(stack.enter_context(portal.wrap_async_context_manager(opened)), portal)


async def _make(connect: Any, options: dict[str, Any]) -> AsyncSession:
    return AsyncSession(connect, **options)
