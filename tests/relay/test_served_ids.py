"""From what a reader reports to the log: one line has the id that it was given, and says what it got."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import pytest

from tests.relay.follow.support import answer_to
from tests.relay.journals import Answer, Place, in_memory
from tests.support.asgi import Client, response_to
from tests.support.packages import needed
from tests.support.served import by_uvicorn
from tokenstream import AsyncStream, aconnect, relay, testing
from tokenstream.errors import MisuseError, StreamError
from tokenstream.events import Event, TextDelta
from tokenstream.relay.journal import Journal, JournalError, MemoryJournal

pytestmark = pytest.mark.anyio

_CUT = b"".join(testing.script().text("Hel", "lo").finish("stop").chunks("openai-chat")[:3])


@asynccontextmanager
async def asked(
    fault: str, late: anyio.Event | None = None, **options: Any
) -> AsyncGenerator[Callable[[], AsyncStream]]:
    """Yield a function that asks a provider, which cuts the answer or refuses, if `late` is set or None."""

    async def provider(_: httpx.Request) -> httpx.Response:
        if late is not None:
            await late.wait()
        numbered = {"x-request-id": "req_7", "content-type": "text/event-stream"}
        if fault == "cut":
            return httpx.Response(200, headers=numbered, content=_CUT)
        return httpx.Response(503, headers=numbered, json={"error": {"message": "private words"}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(provider)) as http:
        url = "https://gateway.example/v1/chat/completions"
        yield lambda: aconnect(url, json={"model": "m-1"}, client=http, **options)


async def _in_a_generator(stream: AsyncStream) -> AsyncIterator[Event]:
    async with stream:
        async for event in stream:
            yield event


_SOURCES: dict[str, Callable[[Callable[[], AsyncStream]], Any]] = {
    "a stream": lambda ask: ask(),
    "a generator": lambda ask: _in_a_generator(ask()),
    "a filter": lambda ask: (event async for event in ask()),
    "a function": lambda ask: ask,
    "a function of a generator": lambda ask: lambda: _in_a_generator(ask()),
}
_FAILED = "an answer failed before its first event"
_REFUSED = f"{_FAILED}: overloaded (StatusError 503): the server answered with status 503"
_WAYS: dict[str, dict[str, Any]] = {
    "ui-message": {"protocol": "ui-message"},
    "tokenstream": {},
    "text": {"protocol": "text"},
    "a journal": {"journal": True},
    "a journal with an id": {"journal": True, "id": "mine-1"},
    "a journal in another protocol": {"journal": True, "protocol": "openai-chat"},
}


def told(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return record


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("source", _SOURCES)
@pytest.mark.parametrize("fault", ["cut", "refused", "refused late"])
async def test_one_line_has_the_id_of_the_reader_and_says_what_it_got(
    fault: str, source: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    late, client, options = anyio.Event(), Client(), dict(_WAYS[way])
    is_late = fault == "refused late"
    async with MemoryJournal(drain=0) as journal, asked(fault, late if is_late else None) as ask:
        if options.get("journal"):
            options.update(journal=journal, owner="ann")
        timing = relay.Timing(open_within=0 if is_late else None)
        app = relay.respond(_SOURCES[source](ask), timing=timing, **options)
        async with client.calling(app):
            if is_late:
                await client.until(lambda: client.status == 200)
            late.set()
    record = told(caplog)
    message, origin = record.getMessage(), vars(record)["origin"]
    begins = {
        "cut": "an answer broke off: network (StreamTruncated): the input ended after 3 frames, before the "
        "end of the answer · ",
        "refused": f"{_REFUSED}; its reader gets status 503 · ",
        "refused late": f"{_REFUSED}; its reader has status 200 already · ",
    }[fault]
    id = unquote(client.headers["x-answer-id"])

    assert message.startswith(f"{begins}gateway.example/v1/chat/completions · openai-chat · req_7 · ")
    assert f" · model {'scripted-1' if fault == 'cut' else 'm-1'} · answer {id}" in message
    assert ("advice: ask again later" in message) == (fault != "cut")
    assert "private" not in message
    assert (origin["answer_id"], origin["owner"], origin["attempt"]) == (id, options.get("owner"), 1)
    # A journal reads on without its reader, who may get the head only later.
    if fault != "cut" or "journal" not in options:
        status = None if fault == "refused" else 200
        assert (origin["status"], origin["head_sent"]) == (status, status is not None)
    assert client.status == (503 if fault == "refused" else 200)
    assert ("id" not in options) or id == "mine-1"


@pytest.mark.parametrize("source", _SOURCES)
@pytest.mark.parametrize("way", ["tokenstream", "ui-message", "a journal with an id"])
async def test_the_line_names_the_id_of_the_source_if_that_is_another(
    source: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where both give one, the relay's is what the reader and the log get."""
    client, options = Client(), dict(_WAYS[way])
    async with MemoryJournal(drain=0) as journal, asked("cut", job="order 7") as ask:
        options |= {"journal": journal} if options.get("journal") else {}
        await client.call(relay.respond(_SOURCES[source](ask), **options))
    id = client.headers["x-answer-id"]

    assert id != "order 7"
    assert told(caplog).getMessage().endswith(f" · answer {id} · source id order 7")
    assert b"order 7" not in client.body


async def test_several_readers_of_an_answer_share_its_id(caplog: pytest.LogCaptureFixture) -> None:
    clients = [Client(), Client(), Client()]
    async with asked("cut") as ask:
        first, second, third = ask().tee(3)
        apps = [
            relay.respond(first, protocol="ui-message"),
            relay.respond(second),
            relay.respond(lambda: third, protocol="openai-chat"),
        ]
        async with anyio.create_task_group() as tasks:
            for client, app in zip(clients, apps, strict=True):
                tasks.start_soon(client.call, app)
    (id,) = {client.headers["x-answer-id"] for client in clients}

    assert all(id.encode() in client.body for client in (clients[0], clients[2]))
    assert told(caplog).getMessage().endswith(f" · answer {id}")


@pytest.mark.parametrize("way", [*_WAYS, "endpoints"])
async def test_each_response_of_a_server_has_an_id(way: str) -> None:
    """An answer, a refusal before one, and a response to a request for its head, over HTTP."""
    journal, options = MemoryJournal(drain=0), dict(_WAYS.get(way, {}))
    options |= {"journal": journal} if options.get("journal") else {}
    made: list[str] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            async with journal:
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return

        def make(*_: Any) -> AsyncStream:
            made.append(scope["path"])
            if scope["path"] == "/refused":
                return AsyncStream(httpx.Response(503, json={}))
            return AsyncStream(["Hello"], format="pieces")

        app: Any = relay.respond(make, **options)
        if way == "endpoints":
            app = relay.endpoints(journal, make)
            scope = {**scope, "path": "/"}
        await app(scope, receive, send)

    sent = {"content-type": "application/json"}
    with by_uvicorn(answer, lifespan="on") as url:
        async with httpx.AsyncClient(base_url=url) as http:
            whole = await http.post("/whole", json={})
            names = {"x-answer-id": "another's"}
            continued = await http.post("/named", json={}, headers=sent | names)
            others = [
                await http.post("/refused", json={}),
                await http.post("/named", json={}, headers={"last-event-id": "4"}),
                await http.get("/named", headers=names),
                await http.head("/named", headers=names),
            ]
    responses = [whole, continued, *others]

    assert all(response.headers.get("x-answer-id") for response in responses)
    assert whole.status_code in (200, 201)
    # What a client has sent is no id of an answer, and may be that of another owner's: no model is asked.
    assert continued.status_code in (404, 409)
    assert "another" not in "".join(response.headers["x-answer-id"] for response in responses)
    assert "/named" not in made


async def test_the_id_in_the_application_s_own_header_is_the_one() -> None:
    stream = AsyncStream(["Hello"], format="pieces")
    app = relay.respond(stream, protocol="ui-message", headers={"X-Answer-ID": "a%2Fb"})
    client = await response_to(app)

    assert client.headers["x-answer-id"] == "a%2Fb"
    assert b'"messageId":"a/b"' in client.body
    assert stream.origin.answer_id == "a/b"


async def test_the_header_alone_does_not_make_calls_of_two_answers_differ() -> None:
    """Only a journal gives an answer an identity that comes before the one that the caller gives it."""
    chunks = testing.script().tool_call("pay", {"usd": 100}).finish("tool_calls").chunks("openai-chat")

    async def app(*request: Any) -> None:
        await relay.respond(AsyncStream(chunks), protocol="openai-chat")(*request)

    keys, ids, known = set[str](), set[str](), set[str | None]()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        for _ in range(2):
            url = "https://relay.example/v1/chat/completions"
            async with aconnect(url, json={}, client=http, job="order 7") as stream:
                keys.add((await stream.final()).tool_calls[0].key)
                assert stream.response is not None
                ids.add(stream.response.headers["x-answer-id"])
                known.add(stream.origin.answer_id)

    assert (len(keys), len(ids), known) == (1, 2, {"order 7"})


async def test_a_refused_owner_gets_no_id_of_another_s(caplog: pytest.LogCaptureFixture) -> None:
    place = Place(in_memory())
    async with Journal(place, drain=0, lease=0.2) as journal:
        await journal.start(Answer("Hello", over=True).stream, id="ann's", owner="ann")
        refused = await answer_to(journal, "ann's", owner="bob")
        app = relay.respond(Answer("x").stream, journal=journal, id="ann's", owner="bob")
        client = await response_to(app)
        place.away = True
        away = await answer_to(journal, "ann's", owner="bob")
    ids = [unquote(each.headers["x-answer-id"]) for each in (refused, client, away)]

    assert (refused.status, client.status, away.status) == (404, 404, 503)
    assert len({*ids, "ann's"}) == 4
    assert told(caplog).getMessage().endswith(f" · answer {ids[2]} · source id ann's")


@pytest.mark.parametrize("keeps", [False, True])
async def test_an_exception_of_the_application_is_a_line_too(
    keeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*texts: str) -> AsyncIterator[Event]:
        for text in texts:
            yield TextDelta(text)
        raise KeyError("private words")

    async def function() -> Any:
        raise KeyError("private words")

    raised = "the application raised KeyError (test_served_ids.py:"
    broke, failed = f"an answer broke off: {raised}", f"{_FAILED}: {raised}"
    cases: list[tuple[Any, str, bool]] = [
        (broken("Hel"), broke, keeps),
        (broken(), failed, keeps),
        (function, failed, False),
    ]
    async with Journal(in_memory()) as journal:
        for source, what, is_kept in cases:
            caplog.clear()
            client = Client()
            # A journal reads the answer in a task of its own, whose exceptions no server logs.
            with nullcontext() if is_kept else pytest.raises(KeyError):
                await client.call(relay.respond(source, journal=journal if keeps else None))
            line = told(caplog).getMessage()

            assert line.startswith(what)
            assert " · answer " in line
            assert client.headers.get("x-answer-id", "") in line
            assert "private" not in line
            # Once the head is sent, no framework has a response: the reader is told by an event.
            assert (what is broke or is_kept) is (
                b'"message":"This server has made a mistake."' in client.body
            )
            assert client.ended is (what is broke or is_kept)


_DRIVER = """
def query():
    raise LookupError("private words")
"""
_TRACING = """
from functools import wraps

def trace(function):
    @wraps(function)
    async def traced(*arguments):
        async for event in function(*arguments):
            yield event
    return traced
"""
_SHOP = """
import json
import httpx
import made_up_driver
import made_up_tracing
from pydantic import TypeAdapter
from tokenstream import Retry
from tokenstream.events import TextDelta

def load(kind):
    if kind == "JSONDecodeError":
        json.loads("<private words>")
    elif kind == "ValidationError":
        TypeAdapter(int).validate_python("private words")
    elif kind == "LookupError":
        made_up_driver.query()
    elif kind == "MisuseError":
        Retry(attempts=-1)
    else:
        httpx.get("nothing://private.words")

async def generator(kind):
    load(kind)
    yield TextDelta("Hello")

traced = made_up_tracing.trace(generator)

async def function(kind):
    load(kind)
"""


@pytest.fixture(params=["", "site-packages"], ids=["from its sources", "installed"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An application, beside a driver and a package that traces it, which are installed in any case."""
    own, others = tmp_path / "app" / request.param, tmp_path / "site-packages"
    for folder, name, code in [
        (own, "made_up_shop", _SHOP),
        (others, "made_up_driver", _DRIVER),
        (others, "made_up_tracing", _TRACING),
    ]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("made_up_shop")


_KINDS = ["JSONDecodeError", "ValidationError", "UnsupportedProtocol", "LookupError", "MisuseError"]


@pytest.mark.parametrize("way", ["generator", "traced", "function"])
@pytest.mark.parametrize("kind", _KINDS)
async def test_the_bug_of_an_application_has_a_line_of_the_application(
    kind: str, way: str, shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A library raises for its caller, and what traces an application only calls it."""
    make = getattr(shop, way)
    with pytest.raises(Exception, match=r".*") as failed:
        await Client().call(relay.respond(partial(make, kind) if way == "function" else make(kind)))
    record = told(caplog)
    lines = (record.stack_info or "").splitlines()
    written = logging.Formatter().format(record)

    assert type(failed.value).__name__ == kind
    assert f"the application raised {kind} (made_up_shop.py:" in record.getMessage()
    assert [line.rpartition(" ")[2] for line in lines] == [way.replace("traced", "generator"), "load"]
    assert all(line.startswith(f'File "{shop.__file__}", line ') for line in lines)
    assert vars(record)["origin"]["exception"] == kind
    assert "private" not in f"{written} {vars(record)}"


async def test_what_the_application_asks_of_the_relay_in_vain_is_told_in_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No line of the application's is in the way, and so the sentence is all that there is."""
    with pytest.raises(MisuseError):
        await Client().call(relay.respond(_fail_over_private_words(), journal=MemoryJournal()))

    assert "raised MisuseError: a journal must be used inside its `async" in told(caplog).getMessage()


async def _fail_over_private_words() -> AsyncIterator[Event]:
    try:
        json.loads("<private document>")
    except json.JSONDecodeError as error:
        if error.doc:
            raise ValueError("private text") from error
    yield TextDelta("Hello")


class _JSONLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({**vars(record), "message": record.getMessage()}, default=repr)


@pytest.mark.parametrize("keeps", [False, True], ids=["without a journal", "with a journal"])
async def test_no_formatter_writes_what_an_application_s_exception_says(
    keeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sentry = needed("sentry_sdk")
    logs = importlib.import_module("sentry_sdk.integrations.logging")
    events = list[Any]()
    scope = sentry.get_global_scope()
    scope.set_client(
        sentry.Client(
            "http://k@127.0.0.1:9/1",
            before_send=lambda event, _: events.append(event),
            integrations=[logs.LoggingIntegration(event_level=logging.WARNING)],
            default_integrations=False,
            include_local_variables=False,
        )
    )
    async with MemoryJournal() as journal:
        with suppress(ValueError):
            options: dict[str, Any] = {"journal": journal} if keeps else {}
            await Client().call(relay.respond(_fail_over_private_words(), **options))
    scope.set_client(None)
    record = told(caplog)

    assert events
    for written in (logging.Formatter().format(record), _JSONLines().format(record), repr(events)):
        assert "the application raised ValueError (test_served_ids.py:" in written
        assert "private text" not in written
        assert "private document" not in written


async def test_a_level_of_its_own_logger_adds_the_exception(caplog: pytest.LogCaptureFixture) -> None:
    """The page on operating names it; the level of the logger above does not turn it on."""
    switch = logging.getLogger("tokenstream.exceptions")
    for level in (logging.NOTSET, logging.CRITICAL, logging.WARNING):
        switch.setLevel(level)
        with caplog.at_level(logging.DEBUG, "tokenstream"), suppress(ValueError):
            await Client().call(relay.respond(_fail_over_private_words()))
    switch.setLevel(logging.NOTSET)
    *without, with_text = (logging.Formatter().format(each) for each in caplog.records if each.levelno > 20)

    assert 2 == len(without)
    assert "private" not in "".join(without).replace("_fail_over_private_words", "")
    assert "ValueError: private text" in with_text


@pytest.mark.parametrize("keeps", [False, True], ids=["without a journal", "with a journal"])
@pytest.mark.parametrize("is_function", [False, True], ids=["generator", "function"])
@pytest.mark.parametrize(("status", "told_status"), [(429, 429), (401, 502), (503, 503)])
async def test_what_an_sdk_raises_before_a_stream_is_the_providers_refusal(
    status: int, told_status: int, is_function: bool, keeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The application awaits the call itself, so that the SDK and no stream of ours has raised."""
    openai = needed("openai")

    def refuse(_: httpx.Request) -> httpx.Response:
        headers = {"retry-after": "7", "x-request-id": "req_8"}
        return httpx.Response(status, headers=headers, json={"error": {"message": "private"}})

    sdk = openai.AsyncOpenAI(
        api_key="made-up", max_retries=0, http_client=httpx.AsyncClient(transport=httpx.MockTransport(refuse))
    )

    async def ask() -> AsyncStream:
        return AsyncStream(await sdk.chat.completions.create(model="m", messages=[], stream=True))

    async def answer() -> AsyncIterator[Event]:
        async for event in await ask():
            yield event

    client = Client()
    async with MemoryJournal() as journal:
        source: Any = ask if is_function else answer()
        await client.call(relay.respond(source, journal=journal if keeps else None))

    line = told(caplog).getMessage()

    assert client.status == told_status
    assert client.headers.get("retry-after") == (None if status == 401 else "7")
    assert f"with status {status}; its reader gets status {told_status} · api.openai.com/" in line
    assert " · req_8 · " in line


@pytest.mark.parametrize("inner_is_raised", [False, True])
async def test_an_exception_in_a_group_has_the_place_that_is_known(
    inner_is_raised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A group of tasks raises one; an exception that was never raised has no place."""

    async def function() -> Any:
        inner = KeyError("private words")
        with suppress(KeyError):
            if inner_is_raised:
                raise inner
        raise ExceptionGroup("private words", [inner])

    with pytest.raises(ExceptionGroup):
        await Client().call(relay.respond(function))
    name = "KeyError" if inner_is_raised else "ExceptionGroup"

    assert f"the application raised {name} (test_served_ids.py:" in told(caplog).getMessage()


class _Busy(Place):
    """A storage of which no reply comes; it answers others meanwhile, or does not."""

    heard_at: float

    async def read(self, id: str, after: int, limit: int) -> Any:
        await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("heard_at", "says"),
    [
        (float("-inf"), "the journal's storage does not answer"),
        (float("inf"), "the journal's storage was not heard in time: it or this server is too busy"),
    ],
)
async def test_a_storage_that_answers_others_is_not_reported_as_silent(
    heard_at: float, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line says what is known: the storage may be busy, as this server may be."""
    place = _Busy(in_memory())
    place.heard_at = heard_at
    async with Journal(place, drain=0, lease=0.02) as journal:
        client = await answer_to(journal, "7")

    assert client.status == 503
    assert told(caplog).getMessage().startswith(f'a reader gets status 503: JournalError("{says}")')


async def test_a_failure_of_a_journal_after_the_head_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    held = anyio.Event()

    class Held(Place):
        async def create(self, *_: Any, **__: Any) -> bool:
            await held.wait()
            raise JournalError("the storage is full", kind="unavailable")

    client = Client()
    async with Journal(Held(in_memory()), drain=0) as journal, anyio.create_task_group() as tasks:
        app = relay.respond(
            Answer("x").stream, journal=journal, protocol="openai-chat", timing=relay.Timing(open_within=0)
        )
        tasks.start_soon(client.call, app)
        await client.until(lambda: client.status == 200)
        held.set()
    line = told(caplog).getMessage()

    assert line.startswith(
        "a reader that has status 200 already gets no answer: JournalError('the storage is "
    )
    assert line.endswith(f" · answer {client.headers['x-answer-id']}")


@pytest.mark.parametrize("waits", [True, False])
async def test_an_answer_that_fails_without_a_response_is_a_line_without_a_status(
    waits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal logs it, also if the error is raised to the code that starts the answer, and refuses."""
    async with MemoryJournal(drain=0) as journal, asked("refused") as ask:
        try:
            await journal.start(ask(), id="7", open_within=60 if waits else None)
        except StreamError as error:
            headers = dict(relay.refusal(error).raw_headers)
            assert (waits, headers[b"x-answer-id"]) == (True, b"7")
        else:
            assert not waits
            await answer_to(journal, "7")
    line = told(caplog).getMessage()

    assert line.startswith(f"{_REFUSED} · gateway.")
    assert " · answer 7 · advice: " in line
