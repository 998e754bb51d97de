"""Realtime connections of the openai SDK and live sessions of google-genai as sources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests._sources.sockets import answer, client_context, event, open_socket
from tests.support.either import Each, got, inside, read_whole, run_in, stream_in
from tests.support.packages import needed
from tests.support.recordings import events_of
from tests.support.timing import meanwhile
from tokenstream import AsyncStream, Deadlines, Stream
from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

openai: Any = needed("openai")
genai: Any = needed("google.genai")

pytestmark = [
    pytest.mark.not_quick,
    # The openai SDK opens its connection outside a block.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
    pytest.mark.anyio,
]
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
ASK: dict[str, Any] = {"type": "response.create"}
TURN = {"role": "user", "parts": [{"text": "Hi"}]}


def realtime(connection: ServerConnection) -> None:
    """Answer each request; say farewell after the second."""
    connection.send(event("session.created", session={"model": "gpt-realtime"}))
    for number in (1, 2):
        connection.recv()
        for each in answer(f"resp_{number}", "Hel", "lo"):
            connection.send(each)


def silent(connection: ServerConnection) -> None:
    connection.recv()
    for each in answer("resp_1", "Hel")[:-3]:
        connection.send(each)
    for _ in connection:
        pass


def live(connection: ServerConnection) -> None:
    """Answer what is said; refuse sound."""
    connection.recv()
    connection.send(json.dumps({"setupComplete": {"sessionId": "s-1"}}).encode())
    for message in connection:
        if "realtime" in str(message):
            connection.close(1011, "You exceeded your current quota")
            return
        for piece in ("Hel", "lo"):
            connection.send(
                json.dumps({"serverContent": {"modelTurn": {"parts": [{"text": piece}]}}}).encode()
            )
        usage = {"promptTokenCount": 2, "responseTokenCount": 3, "totalTokenCount": 5}
        connection.send(json.dumps({"serverContent": {"generationComplete": True}}).encode())
        connection.send(
            json.dumps({"serverContent": {"turnComplete": True}, "usageMetadata": usage}).encode()
        )


def client(url: str, colour: str = "sync") -> Any:
    made = openai.OpenAI if colour == "sync" else openai.AsyncOpenAI
    return made(api_key="k", base_url=url.replace("ws", "http", 1))


def gemini(url: str) -> Any:
    options = {"base_url": url.replace("wss", "https"), "async_client_args": {"ssl": client_context()}}
    return genai.Client(api_key="k", http_options=options)


@pytest.mark.slow
def test_a_connection_of_openai_is_read_beneath_its_objects() -> None:
    """What the server sent is read, and the connection closed."""
    with open_socket(realtime) as url, client(url).realtime.connect(model="m") as connection:
        connection.send(ASK)
        connection.send(ASK)
        with Stream(connection) as stream:
            assert stream.final().text == "HelloHello"

        assert (stream.format, stream.message.ending) == ("openai-realtime", "complete")


def delegating(connection: ServerConnection) -> None:
    """Send our recording of the Live API once the client has said something."""
    connection.recv()
    for each in events_of("openai-live/delegation"):
        connection.send(json.dumps(each))


@pytest.mark.slow
def test_a_connection_to_the_live_api_of_openai_is_read_beneath_its_objects() -> None:
    """The session is one message, which ends before the connection does."""
    with open_socket(delegating) as url, client(url).live.connect() as connection:
        connection.send({"type": "session.start", "session": {"model": "gpt-live-1"}})
        with Stream(connection) as stream:
            assert stream.final().text == "One moment. It is noon, Zoë."

        assert (stream.format, stream.message.ending) == ("openai-live", "complete")


def responding(connection: ServerConnection) -> None:
    """Answer two requests of the Responses API."""
    for number in (1, 2):
        connection.recv()
        response = {"id": f"resp_{number}", "object": "response", "output": []}
        delta = {"output_index": 0, "content_index": 0, "item_id": "i", "delta": "Hello"}
        for each in (
            {"type": "response.created", "response": {**response, "status": "in_progress"}},
            {"type": "response.output_text.delta", **delta},
            {"type": "response.completed", "response": {**response, "status": "completed"}},
        ):
            connection.send(json.dumps(each))


def test_a_connection_of_openais_responses_gives_one_answer_after_the_other() -> None:
    with open_socket(responding) as url, client(url).responses.connect() as connection:
        connection.send(ASK)
        connection.send(ASK)
        with Stream(connection) as stream:
            told = [(response.final().text, response.message.id) for response in stream.responses]

        assert told == [("Hello", "resp_1"), ("Hello", "resp_2")]


@pytest.mark.parametrize("colour", [pytest.param("sync", marks=pytest.mark.slow), "async"])
def test_what_openais_connect_returns_is_entered(colour: str) -> None:
    def ask_twice() -> Any:
        manager = client(url, colour).realtime.connect(model="m")
        manager.send(ASK)
        manager.send(ASK)
        return stream_in(colour)(manager)

    with open_socket(realtime) as url:
        assert read_whole(colour, ask_twice).message.text == "HelloHello"


def test_stop_ends_a_read_of_openais_connection() -> None:
    with open_socket(silent) as url, client(url).realtime.connect(model="m") as connection:
        connection.send(ASK)
        stream = Stream(connection)
        with meanwhile(stream.stop, once=lambda: stream.message.text):
            assert list(stream.text) == ["Hel"]
        assert stream.message.ending == "stopped"


def test_a_deadline_ends_a_read_of_openais_connection() -> None:
    with open_socket(silent) as url, client(url).realtime.connect(model="m") as connection:
        connection.send(ASK)
        with pytest.raises(StreamStalled) as caught:
            Stream(connection, deadlines=Deadlines(idle_bytes=0.1)).final()

    assert (caught.value.limit, caught.value.partial.text) == ("idle_bytes", "Hel")


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_answers_of_openais_connection_are_read_one_by_one(colour: str) -> None:
    """The loop's body asks for the next."""
    told: list[Any] = []

    async def read() -> None:
        async with inside(client(url, colour).realtime.connect(model="m")) as connection:
            await got(connection.send(ASK))
            async with inside(stream_in(colour)(connection)) as stream:
                async for response in Each(stream.responses):
                    pieces = [piece async for piece in Each(response.text)]
                    told.append((pieces, response.message.id, response.message.ending))
                    if len(told) == 1:
                        await got(connection.send(ASK))

    with open_socket(realtime) as url:
        run_in(colour, read)

    assert told == [(["Hel", "lo"], f"resp_{number}", "complete") for number in (1, 2)]


def anew(told: object) -> None:
    """Leave to the SDK how to connect anew."""


@pytest.mark.slow
@on_asyncio
async def test_a_connection_that_is_to_connect_anew_is_read_by_its_own_loop() -> None:
    with open_socket(realtime) as url:
        async with client(url, "async").realtime.connect(
            model="m", on_reconnecting=anew, max_retries=0
        ) as connection:
            await connection.send(ASK)
            await connection.send(ASK)
            given: list[Any] = []
            receive = connection.recv

            async def noted() -> Any:
                given.append(await receive())
                return given[-1]

            # Its own loop asks it for objects; the messages beneath them would not pass here.
            connection.recv = noted
            assert (await AsyncStream(connection).final()).text == "HelloHello"

    assert [event.type for event in given].count("response.done") == 2


@on_asyncio
async def test_a_session_of_google_is_read_beneath_its_objects() -> None:
    """Turn by turn; its errors are close codes."""
    with open_socket(live, tls=True) as url:
        async with gemini(url).aio.live.connect(model="gemini-x", config={}) as session:
            await session.send_client_content(turns=TURN, turn_complete=True)
            stream = AsyncStream(session)
            told = []
            with pytest.raises(StreamInterrupted, match="1011: You exceeded your current quota") as caught:
                async for response in stream.responses:
                    message = await response.final()
                    told.append((message.text, message.finish_reason, message.usage.output_tokens))
                    if len(told) == 1:
                        await session.send_client_content(turns=TURN, turn_complete=True)
                    else:
                        await session.send_realtime_input(text="Hi")

    assert told == [("Hello", "stop", 3)] * 2
    assert (caught.value.kind, stream.format) == ("rate_limited", "gemini-live")


@on_asyncio
async def test_a_session_whose_connection_is_hidden_is_refused() -> None:
    """A wrapper may keep it to itself."""

    class Session:
        async def receive(self) -> None: ...

        async def send_client_content(self) -> None: ...

        async def close(self) -> None: ...

    session: Any = Session()
    with pytest.raises(MisuseError, match=r"connection inside .*Session cannot be found"):
        AsyncStream(session)
