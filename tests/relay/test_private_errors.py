"""The words of backends (storages, providers, transports) never leave the process in a message of a relay."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Never, get_args

import anyio
import pytest
import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from starlette.websockets import WebSocket

from tests.relay.follow.support import answer_to
from tests.relay.journals import Answer, Place, in_memory, journal_fails
from tests.support.asgi import Client
from tests.support.encoders import PROTOCOLS
from tests.support.redis_servers import RedisServer, server
from tests.support.sampling import in_turn
from tests.support.timing import PATIENCE
from tokenstream import Steps, errors, relay
from tokenstream.errors import StreamError
from tokenstream.events import Event, Restarted, TextDelta
from tokenstream.message import Message
from tokenstream.relay import ProtocolName
from tokenstream.relay.journal import Journal, JournalError, MemoryJournal, Storage
from tokenstream.relay.journal._errors import JournalErrorKind

__all__ = ["server"]

pytestmark = pytest.mark.anyio

SECRET = "sk-123456 of 'zoe.smith' at db.example:6379"
SECRETS = (b"sk-123456", b"zoe.smith", b"db.example", b":6379")
PAGES: list[ProtocolName] = ["tokenstream", "ui-message"]


def errors_of_streams() -> list[StreamError]:
    """Make an error of each class, with private words wherever it has any."""
    required: dict[str, Any] = {
        "ConnectError": {"stage": "connect"},
        "StatusError": {"status": 500, "code": SECRET, "type": SECRET, "body": SECRET},
        "ProviderError": {"code": SECRET, "type": SECRET},
        "NotAStream": {"body": SECRET},
        "StreamStalled": {"limit": "idle_bytes"},
        "LimitExceeded": {"limit": "max_text", "value": 7},
        "AnswerRejected": {"outcome": "empty"},
    }
    classes = [getattr(errors, name) for name in errors.__all__]
    made = [
        each(SECRET, **required.get(each.__name__, {}))
        for each in classes
        if isinstance(each, type) and issubclass(each, StreamError)
    ]
    for error in made:
        error.__cause__ = OSError(SECRET)
        error.add_note(SECRET)
        error.tail, error.request_id = SECRET.encode(), SECRET
    return made


ERRORS = errors_of_streams()
FAILURES: list[Exception] = [*ERRORS, OSError(SECRET), RuntimeError(SECRET)]


async def failing(error: Exception, *events: Event) -> AsyncGenerator[Event]:
    for event in events:
        yield event
    raise error


def begun(error: Exception) -> tuple[Event, ...]:
    restart = Restarted(Message(), error) if isinstance(error, StreamError) else Restarted(Message())
    return TextDelta("Hel"), restart, TextDelta("lo")


async def sent_by(app: Any, **scope: Any) -> bytes:
    client = Client()
    client.scope |= scope
    client.request = b"{}"
    # What the source or the storage raised.
    with suppress(StreamError, JournalError, OSError, RuntimeError):
        await client.call(app)
    return json.dumps([client.status, client.headers]).encode() + client.body


async def messages_of(answer: AsyncGenerator[Event], protocol: ProtocolName) -> list[Any]:
    messages = list[Any]()

    async def receive() -> Any:
        return await anyio.sleep_forever() if messages else {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        messages.append(message)

    ws = WebSocket({"type": "websocket", "headers": []}, receive, send)
    with anyio.fail_after(PATIENCE), suppress(StreamError, errors.NotExpressible):
        await relay.websocket(ws, answer, protocol=protocol)
    return messages


def assert_private(sent: bytes, what: object) -> None:
    found = [secret for secret in SECRETS if secret in sent]
    assert not found, f"{found} in {what}: {sent!r}"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_sentence_of_an_error_has_no_words_of_whoever_raised_it(error: StreamError) -> None:
    with pytest.raises(StreamError) as caught:
        raise error

    assert caught.value.sentence
    assert_private(caught.value.sentence.encode(), error)


@pytest.mark.slow
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
async def test_no_response_has_the_words_of_a_failure(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    for protocol in in_turn(PROTOCOLS, type(error).__name__, one_in=3):
        for events in ((), begun(error)):
            app = relay.respond(failing(error, *events), protocol=protocol)
            assert_private(await sent_by(app), protocol)
            async with MemoryJournal(drain=0.0) as journal:
                app = relay.respond(failing(error, *events), protocol=protocol, journal=journal, id="id")
                assert_private(await sent_by(app), protocol)
                assert_private((await answer_to(journal, "id", protocol="ndjson")).body, protocol)
    assert_private(caplog.text.encode(), "the log")


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_no_encoded_answer_has_the_words_of_a_failure(error: StreamError) -> None:
    def events() -> Any:
        yield from begun(error)
        raise error

    for protocol in PROTOCOLS:
        for encode in (relay.encode, relay.payloads):
            sent = list[Any]()
            try:
                sent.extend(encode(events(), protocol))
            except StreamError as raised:
                # The protocol has no event for errors.
                assert error is raised  # noqa: PT017 - it may be encoded as well
            except errors.MisuseError:
                # Its payloads are no objects.
                continue
            assert_private(str(sent).encode(), protocol)
        messages = await messages_of(failing(error, *begun(error)), protocol)
        assert_private(str(messages).encode(), protocol)


def test_words_of_an_exception_in_a_step_stay_in() -> None:
    class APIError(Exception):
        pass

    for error in (APIError(SECRET), RuntimeError(f"psycopg.OperationalError: {SECRET}")):
        run = Steps()
        with run, pytest.raises(type(error)), run.step("ask"):
            raise error
        told = list(relay.payloads(run.events()))
        assert_private(str(told).encode(), error)
        assert type(error).__name__ == next(each["error"] for each in told if each["type"] == "step_done")


class _Refusing(Place):
    """A storage whose methods raise an error, as far as the test says so."""

    def __init__(self, storage: Storage, error: Exception) -> None:
        super().__init__(storage)
        self.error = error
        self.refuses: Sequence[str] = ()

    def __getattribute__(self, name: str) -> Any:
        if name in object.__getattribute__(self, "__dict__").get("refuses", ()):
            return self._refuse
        return super().__getattribute__(name)

    async def _refuse(self, *_: object, **__: object) -> Never:
        await anyio.lowlevel.checkpoint()
        raise self.error


def errors_of_journals() -> list[JournalError]:
    made = [JournalError(SECRET, kind=kind) for kind in get_args(JournalErrorKind)]
    for error in made:
        error.__cause__ = redis.exceptions.ConnectionError(SECRET)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("error", errors_of_journals(), ids=lambda error: error.kind)
async def test_no_response_has_the_words_of_a_storage(error: Exception) -> None:
    place = _Refusing(in_memory(), error)
    async with Journal(place, lease=0.1, drain=0.0) as journal:
        await journal.start(Answer("Hello", over=True).stream, id="old")
        for refused in (["create"], ["append"], ["read"], ["ask_stop"], ["wait", "read"], ["append", "read"]):
            place.refuses = refused
            app = relay.endpoints(journal, lambda _: Answer("Hel", over=True).stream)
            for method, path in (("POST", "/"), ("GET", "/old"), ("POST", "/old/stop")):
                assert_private(await sent_by(app, method=method, path=path), (refused, path))
            for protocol in PAGES:
                started = relay.respond(Answer("a", over=True).stream, protocol=protocol, journal=journal)
                assert_private(await sent_by(started), (refused, protocol))
        place.refuses = ()
        answer, client = Answer("Hel"), Client(method="GET")
        id = await journal.start(answer.stream)
        async with client.calling(relay.follow(journal, id)):
            await client.until(lambda: b"Hel" in client.body)
            place.refuses = ("read", "append")
            answer.send("lo")
            await client.until(lambda: client.ended)
        place.refuses = ()

    assert_private(client.body, "a running answer")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_redis_says_stays_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path) as locked:
        async with Redis(unix_socket_path=locked.path) as before:
            await before.config_set("requirepass", "sk-0")
        clients = {
            "login": Redis(unix_socket_path=locked.path, password=SECRET),
            "address": Redis(host="127.0.0.1", port=1, password=SECRET),
            "socket": Redis(unix_socket_path=f"{tmp_path}/db.example:6379"),
        }
        for what, client in clients.items():
            async with client, relay.RedisJournal(client, lease=0.2, drain=0.0) as journal:
                app = relay.endpoints(journal, lambda _: Answer("Hel", over=True).stream)
                for method, path in (("POST", "/"), ("GET", "/old"), ("POST", "/old/stop")):
                    sent = await sent_by(app, method=method, path=path)
                    assert sent.startswith(b"[503")
                    assert_private(sent, what)
                    assert not [each for each in (b"127.0", b"WRONG", b".sock", b"rror:") if each in sent]
                with journal_fails("unavailable") as caught:
                    await journal.start(Answer("Hel").stream)
                assert_private(str(caught.value).encode(), what)

    assert "reader gets status 503" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_words_of_any_version_of_redis_py_stay_in(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Up to version 6, its errors quote the address: the program gets their class, and the log the rest."""

    async def refuse(*_: object, **__: object) -> Never:
        raise redis.exceptions.AuthenticationError(f"Error 111 connecting to {SECRET}")

    async with Redis(unix_socket_path=server.path) as client, relay.RedisJournal(client) as journal:
        monkeypatch.setattr(Pipeline, "execute", refuse)
        sent = await sent_by(relay.respond(Answer("Hel").stream, journal=journal))
        with journal_fails("unavailable", match="AuthenticationError") as caught:
            await journal.start(Answer("Hel").stream)

    assert sent.startswith(b"[503")
    assert_private(sent + str(caught.value).encode(), "a refusal")
    assert SECRET in caplog.text
