"""What sessions refuse, how they end, and how they behave between threads and tasks."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import websockets.asyncio.client
import websockets.sync.client

from tests.session.servers import (
    Line,
    LiveServer,
    Payload,
    RealtimeServer,
    ResponsesServer,
    deaf,
    no_pause,
    serving,
    spaced,
    wait_after,
)
from tests.session.talks import COLOURS, talking
from tests.support.raised import misuse
from tests.support.timing import PATIENCE, TooLate, at_rest, tried_again, wait_for
from tokenstream import (
    AsyncSession,
    ConnectError,
    Deadlines,
    MisuseError,
    Retry,
    Route,
    Router,
    Session,
    StreamInterrupted,
    StreamStalled,
    Tools,
)
from tokenstream.events import Event, TextDelta, ToolProgress, ToolResult
from tokenstream.session import Answer, AsyncAnswer

URL = "ws://127.0.0.1:9/v1/responses"
in_every_colour = pytest.mark.parametrize("colour", COLOURS)


def never() -> Any:
    pytest.fail("no connection is opened")


def within_a_second(seconds: float) -> None:
    if seconds >= 1.0:
        msg = f"it took {seconds:.1f} s"
        raise TooLate(msg)


def client_of_the_loop() -> Any:
    """Return the module of websockets for the event loop that is running."""
    from sniffio import current_async_library
    from websockets.trio import client as trio_client

    return trio_client if current_async_library() == "trio" else websockets.asyncio.client


# -- misuse --------------------------------------------------------------------


def test_items_that_are_no_json_are_refused_before_anything_is_sent() -> None:
    """Such items would break the connection, and with it the answers of other lanes."""
    server = ResponsesServer()
    with serving(server) as url, Session(lambda: websockets.sync.client.connect(url)) as session:
        with pytest.raises(MisuseError, match="JSON"):
            session.ask([{"role": "user", "content": b"bytes"}])

        assert session.ask("one").final().text == "I know: one"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "anthropic"}, "a session speaks gemini-live, openai-realtime, .*, and not"),
        ({"format": "gemini-interactions"}, "a session speaks gemini-live, openai-realtime, .*, and not"),
        ({"settings": ["instructions"]}, "settings= is a dict"),
        ({"tools": "look_up"}, "tools= is Tools"),
        ({"fallback": "https://api.openai.com/v1/responses"}, "fallback= is a function"),
        ({"fallback": print, "format": "openai-realtime"}, "fallback= is for openai-responses"),
        ({"retry": 3}, "retry= is a Retry"),
        ({"retry": Retry(routes=[Route("http://localhost", json={})])}, "a session asks one server"),
    ],
)
@pytest.mark.parametrize("kind", [Session, AsyncSession])
def test_options_that_cannot_work_are_refused(kind: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(MisuseError, match=words):
        kind(never, **options)


@pytest.mark.parametrize("kind", [Session, AsyncSession])
def test_a_session_needs_a_function_that_opens_connections(kind: Any) -> None:
    with pytest.raises(MisuseError, match="write lambda: connect"):
        kind(object())


@pytest.mark.parametrize("kind", [Session, AsyncSession])
def test_a_question_before_the_block_is_refused(kind: Any) -> None:
    with pytest.raises(MisuseError, match="enter it with"):
        kind(never).ask("Hello")


def test_a_closed_session_asks_nothing() -> None:
    with serving(ResponsesServer()) as url:
        with Session(lambda: websockets.sync.client.connect(url)) as session:
            session.close()
        assert session.closed
        with misuse("closed", match="the session is closed"):
            session.ask("Hello")


@pytest.mark.parametrize(
    ("content", "words"), [([], "without items"), (None, "not NoneType"), ([1], "not list"), (7, "not int")]
)
def test_only_texts_results_and_items_are_asked(content: Any, words: str) -> None:
    with (
        serving(ResponsesServer()) as url,
        talking("sync", url) as talk,
        pytest.raises(MisuseError, match=words),
    ):
        talk.session.ask(content)


def test_arguments_of_ask_are_checked() -> None:
    with serving(RealtimeServer()) as url, talking("sync", url) as talk:
        with pytest.raises(MisuseError, match="openai-realtime has no lanes"):
            talk.session.ask("Hello", lane="a")
        with pytest.raises(MisuseError, match="router= is a Router"):
            talk.session.ask("Hello", router=print)


def test_a_url_that_does_not_tell_the_api_needs_its_name() -> None:
    server = ResponsesServer()
    server.path = "/socket"
    with serving(server) as url:
        expected = pytest.raises(
            MisuseError, match="the connection's URL does not tell the API: give format="
        )
        with expected, talking("sync", url):
            pytest.fail("it is not open")
        with talking("sync", url, format="openai-responses") as talk:
            assert talk.ask("one").text == "I know: one"


@pytest.mark.anyio
async def test_connections_of_the_other_colour_are_refused() -> None:
    with (
        serving(ResponsesServer()) as url,
        pytest.raises(MisuseError, match="AsyncSession needs a WebSocket"),
    ):
        async with AsyncSession(lambda: websockets.sync.client.connect(url)):
            pytest.fail("it is not open")
    with pytest.raises(MisuseError, match="Session needs a WebSocket connection"), Session(list):
        pytest.fail("it is not open")


@pytest.mark.slow
@pytest.mark.anyio
async def test_what_is_no_connection_is_left_before_another_is_opened() -> None:
    """A context manager that gives something else does not stay open until the session ends."""
    client, server, log = client_of_the_loop(), ResponsesServer(), list[str]()
    given = iter(["a socket", "no socket", "a socket"])

    @asynccontextmanager
    async def connect(url: str) -> AsyncGenerator[Any]:
        kind = next(given)
        log.append(f"enter {kind}")
        try:
            if kind == "no socket":
                yield object()
            else:
                async with client.connect(url) as connection:
                    yield connection
        finally:
            log.append(f"leave {kind}")

    with serving(server) as url:
        async with AsyncSession(lambda: connect(url), format="openai-responses") as session:
            assert (await session.ask("one").final()).text == "I know: one"
            server.lines[0].connection.close(1000)
            with pytest.raises(MisuseError, match="open returned object"):
                await session.ask("two").final()
            assert ["enter no socket", "leave no socket"] == log[-2:]
            assert (await session.ask("three").final()).text.endswith("three")

    assert sorted(each.partition(" ")[2] for each in log if "enter" in each) == sorted(
        each.partition(" ")[2] for each in log if "leave" in each
    )


@in_every_colour
def test_a_connection_that_cannot_be_opened_fails_in_the_block(colour: str) -> None:
    with pytest.raises(ConnectError), talking(colour, URL):
        pytest.fail("it is not open")


# -- several answers -----------------------------------------------------------


def test_one_question_at_a_time() -> None:
    with serving(ResponsesServer()) as url, talking("sync", url) as talk:
        talk.ask("one")
        answer = talk.session.ask("two")
        next(answer)
        with misuse("concurrent", match="the answer before is still in progress"):
            talk.session.ask("three")
        answer.close()

        assert talk.ask("four").text.endswith(" | four")


# -- silence, bounds and endings ------------------------------------------------


@pytest.mark.slow
@in_every_colour
@pytest.mark.parametrize("kind", [ResponsesServer, RealtimeServer, LiveServer])
def test_an_answer_that_is_silent_for_too_long_ends_and_the_session_goes_on(colour: str, kind: Any) -> None:
    server = kind()
    silent = threading.Event()
    server.pause = lambda _line, number: number == 1 and not silent.is_set()
    # All that comes before the silence and after it comes within this time.
    deadlines = Deadlines(first_event=PATIENCE, idle_bytes=1.0)
    with serving(server) as url, talking(colour, url, deadlines=deadlines) as talk:
        stalled = talk.ask("one")
        silent.set()

        assert isinstance(stalled.error, StreamStalled)
        assert stalled.error.limit == "idle_bytes"
        assert stalled.text == "I know:"
        server.pause = no_pause
        assert talk.ask("two").text == "I know: one | two"


@pytest.mark.slow
@in_every_colour
@pytest.mark.parametrize("kind", [ResponsesServer, RealtimeServer, LiveServer])
def test_a_server_that_does_not_answer_at_all_is_a_stall(colour: str, kind: Any) -> None:
    class Silent(kind):  # type: ignore[misc]
        def may_begin(self, *_arguments: Any) -> bool:
            return False

    deadlines = Deadlines(first_event=0.2, idle_bytes=0.2)
    with serving(Silent()) as url, talking(colour, url, deadlines=deadlines) as talk:
        stalled = talk.ask("one").error

        assert isinstance(stalled, StreamStalled)
        assert stalled.limit in ("first_event", "idle_bytes")


@in_every_colour
@pytest.mark.parametrize("kind", [ResponsesServer, RealtimeServer, LiveServer])
@tried_again
def test_a_session_closes_within_a_second(colour: str, kind: Any) -> None:
    server = kind()
    left = threading.Event()
    server.pause = lambda _line, number: number == 1 and not left.is_set()
    with serving(server) as url:
        with talking(colour, url) as talk:
            talk.ask("one", stop_after=1)
            began = time.monotonic()
        took = time.monotonic() - began
        left.set()

    within_a_second(took)


@pytest.mark.slow
@in_every_colour
def test_the_servers_pings_are_answered_between_two_answers(colour: str) -> None:
    """Although nobody reads the session then; and its own pings are answered, so that it stays open."""
    server = ResponsesServer()
    connecting = {"ping_interval": 0.02, "ping_timeout": 5.0}
    with serving(server) as url, talking(colour, url, connecting=connecting) as talk:
        talk.ask("one")
        time.sleep(0.1)

        assert server.lines[0].connection.ping().wait(PATIENCE)
        assert talk.ask("two").text == "I know: one | two"
        assert talk.session.rotations == 0


@pytest.mark.slow
@in_every_colour
def test_a_connection_on_which_pings_are_not_answered_is_given_up(colour: str) -> None:
    """Long before a deadline of the answer."""
    connecting = {"ping_interval": 0.05, "ping_timeout": 0.1}
    with deaf() as url, talking(colour, url, connecting=connecting) as talk:
        began = time.monotonic()
        error = talk.ask("one").error

        assert isinstance(error, StreamInterrupted)
        assert error.kind == "network"
        assert time.monotonic() - began < 5.0


@pytest.mark.slow
@in_every_colour
@tried_again
def test_a_session_closes_within_a_second_without_the_other_end(colour: str) -> None:
    with deaf() as url:
        with talking(colour, url):
            began = time.monotonic()
        took = time.monotonic() - began

    within_a_second(took)


@pytest.mark.slow
@in_every_colour
def test_nothing_is_read_that_is_not_asked_for(colour: str) -> None:
    """A server that sends audio faster than it is taken has to wait."""
    server = RealtimeServer(audio=True, pieces=1)
    question = "x" * 20_000
    with serving(server) as url, talking(colour, url) as talk:
        talk.speak(question, media=2, played_ms=0)

        # The audio of the whole answer has 128 MB.
        assert server.sent < 10_000


def test_another_thread_interrupts() -> None:
    has_begun = threading.Event()

    def interrupt(answer: Answer) -> None:
        assert has_begun.wait(PATIENCE)
        at_rest(threading.main_thread())
        answer.interrupt()

    server = ResponsesServer()
    server.pause = wait_after(1)
    with serving(server) as url, talking("sync", url) as talk, talk.session.ask("one") as answer:
        interrupting = threading.Thread(target=interrupt, args=(answer,))
        interrupting.start()
        pieces: list[str] = []
        for piece in answer.text:
            pieces.append(piece)
            has_begun.set()
        interrupting.join()

        assert pieces == ["I know:"]
        assert answer.stop_reason == "interrupted"
        assert "response.cancel" in server.kinds()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_timeout_around_a_read_loses_nothing() -> None:
    server = ResponsesServer(pieces=3)
    server.pause = spaced(0.02)
    with serving(server) as url:
        opened = AsyncSession(lambda: websockets.asyncio.client.connect(url))
        async with opened as session, session.ask("one two three") as answer:
            pieces: list[str] = []
            text = answer.text
            while not answer.closed:
                with anyio.move_on_after(0.01):
                    async for piece in text:
                        pieces.append(piece)

    assert "".join(pieces) == "I know: one two three"


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_timeout_while_another_connection_is_opened_loses_nothing() -> None:
    class Closing(ResponsesServer):
        def take(self, line: Line, payload: Payload) -> None:
            if line.number == 0:
                line.connection.close(1000)
            else:
                super().take(line, payload)

    client, server, may_open = client_of_the_loop(), Closing(), anyio.Event()

    @asynccontextmanager
    async def connect(url: str) -> AsyncGenerator[Any]:
        if server.lines:
            await may_open.wait()
        async with client.connect(url) as connection:
            yield connection

    with serving(server) as url:
        async with AsyncSession(lambda: connect(url)) as session:
            answer = session.ask("one")
            with anyio.move_on_after(0.3) as timeout:
                await answer.final()
            may_open.set()

            assert timeout.cancelled_caught
            assert (await answer.final()).text == "I know: one"
            await answer.aclose()


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_cancelled_program_leaves_no_connection_open() -> None:
    client = client_of_the_loop()
    server = ResponsesServer()
    left = threading.Event()
    server.pause = lambda _line, number: number == 1 and not left.is_set()
    with serving(server) as url:
        with anyio.move_on_after(0.2):
            async with AsyncSession(lambda: client.connect(url)) as session, session.ask("one") as answer:
                async for _ in answer.text:
                    pass
        left.set()
        wait_for(lambda: server.are_closed)


# -- tools -----------------------------------------------------------------------


def test_a_tool_that_raises_ends_the_answer_with_its_exception() -> None:
    router = Router()

    @router.tool
    def look_up(word: str) -> str:
        raise ZeroDivisionError(word)

    with serving(ResponsesServer()) as url, talking("sync", url) as talk:
        with pytest.raises(ZeroDivisionError):
            talk.ask("call:noon", router=router)
        assert talk.ask("two").error is None


@pytest.mark.parametrize("colour", COLOURS)
def test_a_stopped_answer_closes_a_tool_that_streams(colour: Any) -> None:
    """The model learns that its call was stopped, so the session can go on."""
    router, told, answers = Router(), list[str](), list[Any]()

    with serving(ResponsesServer()) as url, talking(colour, url) as talk:
        ask = talk.session.ask

        def ask_and_keep(content: Any, **options: Any) -> Any:
            answers.append(ask(content, **options))
            return answers[-1]

        talk.session = SimpleNamespace(ask=ask_and_keep)

        @router.tool
        def look_up(word: str) -> Iterator[str]:
            try:
                yield f"looking for {word}"
                answers[0].stop("enough")
                yield "the last that is shown"
                told.append("goes on")
            finally:
                told.append("closed")

        answered = talk.ask("call:noon", router=router)

        assert told == ["closed"]
        assert [call.name for call in answered.message.tool_calls] == ["look_up"]
        assert talk.ask("two").text


@pytest.mark.parametrize("colour", COLOURS)
def test_progress_of_a_tool_is_shown_by_its_handlers(colour: Any) -> None:
    """Each value before the tool goes on; other events have no handlers in a session."""
    router, told = Router(), list[Any]()

    @router.on(TextDelta, ToolProgress, ToolResult)
    def show(event: Event) -> None:
        told.append(event)

    @router.tool
    def look_up(word: str) -> Generator[str, None, str]:
        yield f"looking for {word}"
        told.append("goes on")
        yield "found"
        return word

    with serving(ResponsesServer()) as url, talking(colour, url) as talk:
        talk.ask("call:noon", router=router)

    first, goes_on, second = told
    assert ("looking for noon", "goes on", "found") == (first.output, goes_on, second.output)
    assert "look_up" == first.name == second.name


@pytest.mark.slow_rows("LiveServer")
@pytest.mark.parametrize("kind", [ResponsesServer, RealtimeServer, LiveServer])
def test_tools_are_declared_in_the_form_of_the_api(kind: Any) -> None:
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    declared: list[Payload] = []
    for tools in (Tools(look_up), Router(Tools(look_up))):
        server = kind()
        with serving(server) as url, talking("sync", url, tools=tools) as talk:
            talk.ask("one")
        payload = server.received[0][1]
        declared.append(payload.get("tools") or payload.get("session", payload.get("setup"))["tools"])

    assert declared[0] == declared[1]
    assert "Look a word up." in str(declared)


# -- the interface ---------------------------------------------------------------


def test_both_colours_have_the_same_interface() -> None:
    for sync, other in ((Session, AsyncSession), (Answer, AsyncAnswer)):
        named = {name: each for name, each in vars(sync).items() if not name.startswith("_")}
        for name, function in named.items():
            twin = getattr(other, {"close": "aclose"}.get(name, name))
            if inspect.isfunction(function):
                assert [*inspect.signature(function).parameters] == [*inspect.signature(twin).parameters], (
                    name
                )
    assert str(inspect.signature(Session)) == str(inspect.signature(AsyncSession))


@pytest.mark.slow
def test_sessions_are_loaded_when_they_are_used() -> None:
    """The import of the package stays fast."""
    program = "import sys, tokenstream; print('tokenstream.session' in sys.modules); tokenstream.Session"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "False"


def test_a_session_shows_its_state() -> None:
    with serving(ResponsesServer()) as url:
        session = Session(lambda: websockets.sync.client.connect(url))
        assert repr(session) == "<Session of an unknown API, not open>"
        with session:
            assert repr(session) == "<Session of openai-responses, open>"
        assert repr(session) == "<Session of openai-responses, closed>"
