"""The session for `for` loops, and its connections: a thread takes the steps of its conversation."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._sources.causes import raise_converted
from tokenstream._sources.failures import opening_error
from tokenstream._sources.kinds import LazySource, SyncSource, do_nothing, open_up
from tokenstream._sources.websocket import OpenWebSocket, close_socket, shorten_farewell, socket_of
from tokenstream.errors import MisuseError
from tokenstream.recovery._open import SyncOpener, find_sync_source
from tokenstream.recovery._resilient import make_stream
from tokenstream.session._base import SessionBase, SessionOpening
from tokenstream.session._lines import (
    CLOSED_MEANWHILE,
    Close,
    Line,
    Open,
    OpenedConnection,
    ReceiveText,
    RunTools,
    SendText,
    Wait,
    not_a_socket_error,
)
from tokenstream.stream import Stream
from tokenstream.stream._base import find_driver
from tokenstream.stream._log import log
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream._basics.loose import AnyFunction
    from tokenstream._values.steer import Steer
    from tokenstream.recovery import Attempt
    from tokenstream.router import Router, ToolResults
    from tokenstream.session._asked_question import AskedQuestion
    from tokenstream.session._connection import AskedExchange
    from tokenstream.session._lines import Flow, IOStep, T


class Answer(Stream):
    """The answer to a question that was asked in a `Session`: a stream that can be interrupted."""

    def __init__(self, driver: Any, interrupt: Callable[[float | None], None]) -> None:  # noqa: ANN401 - inside the library
        super().__init__(driver)
        self._interrupt = interrupt
        """Stops the answer at the server, and shortens it to the milliseconds of audio that were played."""

    def interrupt(self, *, played_ms: float | None = None) -> None:
        """Stop the answer, because the user has interrupted it; what comes late is dropped.

        The server is asked to stop, and `message` keeps what was read. This may be called from any thread,
        and also after the answer has ended, while its audio is still being played.

        Args:
            played_ms: The milliseconds of the answer's audio that the user has heard: what comes after is
                removed from the server's memory of the conversation (OpenAI Realtime). None if there is no
                audio.
        """
        # First, so that a reader doesn't take the end of what arrives for an answer that was cut off.
        self.stop("interrupted")
        self._interrupt(played_ms)


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
            "openai-realtime" or "gemini-live"; None to find it by the connection's URL.
        settings: Further fields of each request (OpenAI Responses) or of the session's setup, such as
            {"instructions": "Be brief."}.
        retry: Rules for an answer that breaks off; None to raise its error.
        fallback: A function that takes a payload of the Responses API, sends it as a POST, and returns the
            response or an unread `connect(…)`; used if no connection can be opened. None for no fallback.
        limits: How large the answer and its parts may get; None for the defaults of `Limits`.
        deadlines: Bounds on the silence of each answer, in seconds; None for the defaults of `Deadlines`.
        tags: Which tags in the model's text mark reasoning, calls and citations; None to leave it as it is.

    Raises:
        MisuseError: An option is invalid, or the URL does not tell the API.
        StreamError: At the beginning of the `with` block: no connection can be opened.

    Example:
        >>> session = Session(lambda: connect("wss://api.openai.com/v1/responses"), model="m")
        >>> session.rotations, session.messages
        (0, [])
    """

    _line: SyncLine

    def _make_line(self, open: AnyFunction) -> SyncLine:  # noqa: A002 - as in `__init__`
        return SyncLine(open)

    def __enter__(self) -> Self:
        """Open the connection."""
        try:
            self._line.run(self._conversation.connect())
        except Exception as error:  # noqa: BLE001 - raised as one of our errors
            if not self._falls_back(error):
                self._line.disconnect()
                raise_converted(opening_error(error))
        self._is_open = True
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, which ends an answer in progress. Closing twice does no harm."""
        self._is_closed = True
        self._line.close()
        self._conversation.leave_for_good()

    def ask(
        self,
        content: Any,  # noqa: ANN401 - see the docstring
        *,
        router: Router | None = None,
        lane: str | None = None,
        job: str | None = None,
    ) -> Answer:
        """Ask a question, and return its answer as a stream; it is sent at `with` or the first read.

        Args:
            content: A text; the results of tools, as `stream.run(router)` returns them; or an item or a list
                of items in the form of the API's requests.
            router: Runs the tools that the model calls, and sends their results on the same connection, until
                an answer has no calls; the stream has all these answers, one after the other. Other handlers
                of the router are not called. None to leave calls to you.
            lane: The name of a lane, for a conversation of its own on the same connection, whose answers may
                come at the same time (OpenAI Responses). None for the default lane.
            job: Your own id for this answer, from which the keys of its tool calls are made; a store runs
                each call once, also if another process asks. None for the provider's id.

        Raises:
            MisuseError: An argument is invalid, or the session is not open.
            MisuseError: The answer before is still in progress; `kind` is "concurrent".
        """
        asked, options = self._make_asked(content, router, lane, job)
        opens = partial(self._open_answer, asked)
        if self._retry is None:
            driver: Any = SyncDriver(LazySource(lambda: open_up(opens(None))), options)
        else:
            opener = _SyncQuestionOpener(opens, options.format)
            driver = find_driver(make_stream(Stream, opener, self._retry, options))
        asked.be_answered_by(driver)
        return Answer(driver, lambda played_ms: self._line.run(asked.interrupt(played_ms)))

    def steer(self, content: Any, *, lane: str | None = None) -> Steer:  # noqa: ANN401 - see the docstring
        """Say something to the model while it answers, without stopping it (OpenAI Responses).

        If the server applies the input, the answer ends where it is, and the model goes on with the input: in
        the same stream, after a `MessageStart` with `another`. Any thread may call this.

        Args:
            content: A text, or an item or a list of items with the role "user".
            lane: The lane of the answer; None for the default lane.

        Returns:
            What becomes of the input, in its `state`, which changes while the answer is read.

        Raises:
            MisuseError: An argument is invalid, the API cannot steer, or nothing was asked in the lane.
        """
        return self._line.run(self._make_steer(content, lane))

    # -- answers -------------------------------------------------------------

    def _open_answer(self, asked: AskedQuestion, attempt: Attempt | None) -> SyncSource | LazySource:
        if not self._is_falling_back:
            try:
                exchange = self._line.run(asked.begin(attempt))
            except Exception as error:
                if not self._falls_back(error):
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

    def _release(self, asked: AskedQuestion, exchange: AskedExchange) -> None:
        """Stop an answer that is not read any further."""
        if self._is_closed:
            asked.round.let_go()
        else:
            self._line.run(asked.release(exchange))


class _SyncQuestionOpener(SessionOpening, SyncOpener):
    """Sends a question of a session for each attempt at its answer."""


class _CurrentConnection(NamedTuple):
    socket: OpenWebSocket
    stack: ExitStack
    """Leaves the context manager of the connection, if it has one."""


class SyncLine(Line):
    """Takes steps, with one connection at a time; each thread takes its own steps."""

    def __init__(self, opens: AnyFunction) -> None:
        super().__init__(opens)
        self._current: _CurrentConnection | None = None
        self._lock = threading.RLock()
        """Held while steps run, but not while one is taken: they all change the same conversation."""

    def run(self, steps: Flow[T]) -> T:
        """Take the steps that a generator yields, and return the generator's result."""
        advance: Callable[[], IOStep] = partial(next, steps)
        try:
            while True:
                with self._lock:
                    step = advance()
                    # The step is about this connection, even if another thread opens another one meanwhile.
                    current = self._current
                    if isinstance(step, Close):
                        self._current = None
                try:
                    result = self._take(step, current)
                except Exception as error:  # noqa: BLE001 - the steps say what follows from it
                    advance = partial(steps.throw, error)
                else:
                    advance = partial(steps.send, result)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            # After Ctrl-C, the steps have to know at once that they are over.
            with self._lock:
                steps.close()

    def _take(self, step: IOStep, current: _CurrentConnection | None) -> object:
        match step:
            case ReceiveText(seconds):
                recv: Any = _find_open(current).recv
                return recv(timeout=seconds)
            case SendText(text):
                _find_open(current).connection.send(text)
            case Wait(bell, seconds):
                if not bell.wait(seconds):
                    raise TimeoutError
            case Open():
                try:
                    return self._connect()
                except Exception as error:
                    self.opening_failure = error
                    raise
            case Close():
                _close_connection(current)
            case RunTools():
                try:
                    return _run_tools(step)
                except Exception as error:
                    raise FunctionFailed(error) from error
        return None

    def _connect(self) -> OpenedConnection:
        self.check_open()
        given: Any = self._opens()
        socket, stack = _find_websocket(given), ExitStack()
        try:
            if socket is None and hasattr(given.__class__, "__enter__"):
                given = stack.enter_context(given)
                socket = _find_websocket(given)
            if socket is None or socket.is_async:
                raise not_a_socket_error(given, is_async=False)
        except BaseException:
            stack.close()
            raise
        shorten_farewell(socket)
        self._current = _CurrentConnection(socket, stack)
        if self._is_closed:
            self.disconnect()
        self.check_open()
        return self.describe(socket)

    def disconnect(self) -> None:
        with self._lock:
            current, self._current = self._current, None
        _close_connection(current)

    def close(self) -> None:
        """Close the connection, if there is one, and open no other one."""
        self._is_closed = True
        self.disconnect()


def _find_open(current: _CurrentConnection | None) -> OpenWebSocket:
    if current is None:
        raise MisuseError(CLOSED_MEANWHILE, kind="closed")
    return current.socket


def _close_connection(current: _CurrentConnection | None) -> None:
    """Close a connection, if there is one, without waiting long for the other end."""
    if current is None:
        return
    try:
        with current.stack:
            close_socket(current.socket)
    except Exception as error:  # noqa: BLE001 - it is gone then, too, and another error may be raised
        log("closing the connection failed: %s", type(error).__name__)


class Messages:
    """Iterator over the messages of one answer."""

    def __init__(self, line: SyncLine, asked: AskedQuestion, exchange: AskedExchange) -> None:
        self._line = line
        self._asked = asked
        self._exchange = exchange
        self._seconds: float | None = None
        """The limit of the wait for the next message; None for no limit."""

    def limit_read(self, seconds: float | None) -> None:
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        message = self._line.run(self._asked.read(self._exchange, self._seconds))
        if message is None:
            raise StopIteration
        return message


def _find_websocket(opened: Any) -> OpenWebSocket | None:  # noqa: ANN401 - whatever the caller's function returned
    """Return the WebSocket that an object is or wraps; None for any other object."""
    socket = socket_of(opened)
    if socket is not None:
        enter = getattr(socket.connection, "__enter__", None)
        if enter is not None:
            # Without this, websockets warns about a connection without `with`.
            enter()
    return socket


def _run_tools(step: RunTools) -> ToolResults:
    driver: Any = SyncDriver(SyncSource(iter(step.messages), do_nothing, messages=True), step.options)
    with Stream(driver) as stream:
        return stream.run(step.tools_for(stream))
