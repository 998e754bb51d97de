"""Advice of which the outcome is compared: what the user then has, not only that no error comes."""

# Type checkers find most of the mistakes, too.
# mypy: disable-error-code="arg-type, call-arg, call-overload, misc, attr-defined, list-item, dict-item"

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from tests.support.followed_advice import (
    CHUNKS,
    FEW,
    HELLO,
    URL,
    Program,
    async_client,
    asynchronous,
    called,
    client,
    find,
    find_later,
    hello,
    read,
)
from tests.support.wire import sse
from tokenstream import (
    AsyncStream,
    Checkpoint,
    Deadlines,
    Retry,
    Route,
    Session,
    Steps,
    Stream,
    aconnect,
    connect,
    relay,
    resilient,
    testing,
)
from tokenstream.call_store import MemoryCallStore
from tokenstream.events import StepWaiting
from tokenstream.message import ToolCall
from tokenstream.partial_json import PartialJSONParser
from tokenstream.recovery import Attempt, Purse
from tokenstream.testing import faults
from tokenstream.turns import ToolResults

if TYPE_CHECKING:
    import httpx

PRICED = {"model": "m", "messages": [], "max_tokens": 50}
BEGUN = "Once upon a time, in a land far away, there lived an old woman with "
OBJECT = testing.script().text('{"title": "Tea"}').finish("stop")


def gives(expected: object, program: Callable[[], object]) -> Program:
    """Return a program that compares what another one returns."""

    def compared() -> None:
        result = program()
        assert result == expected, f"{result!r} is not {expected!r}"

    return compared


def says(stream: Any) -> str:
    text: str = stream.final().text
    return text


def in_folder(program: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as folder:
        return program(Path(folder))


# -- requests and routes -------------------------------------------------------


def ask_route(own: Deadlines | None = None, **options: Any) -> str:
    """Ask a route with deadlines of its own, and with options of the stream."""
    return says(connect(Route(URL, json={"messages": []}, client=client(), deadlines=own), **options))


def ask_with_purse(payload: dict[str, Any]) -> str:
    retry = Retry(most=Purse(tokens=1_000))
    return says(connect(URL, json=payload, client=client(), retry=retry))


def spend_in(folder: Path, **places: Any) -> str:
    purse = Purse(tokens=1_000, file=folder / "purse", **places)
    text = says(connect(URL, json=PRICED, client=client(), retry=Retry(most=purse)))
    assert (folder / "purse").exists()
    return text


def unread() -> Stream:
    return connect(URL, json={"messages": []}, client=client())


def read_both() -> list[str]:
    request = unread()
    return [says(resilient(lambda: request)), says(request)]


def heard(text: str) -> None:
    assert text


def go_on(format: str | None) -> list[Any]:
    """Continue an answer that broke off, and return the turns that the second request had."""
    turns: list[Any] = []

    def send(attempt: Attempt) -> list[bytes]:
        if attempt.number == 1:
            return testing.script().text(BEGUN).finish("stop").chunks("openai-chat")[:-2]
        turns.extend(attempt.continuation(format))
        return testing.script().text("lived an old woman with a hen").finish("stop").chunks("openai-chat")

    stream = resilient(send, Retry(mode="continue", wait=0))
    return [says(stream), turns[0]]


# -- views, tools, types -------------------------------------------------------


def run_once(tool: Any) -> list[object]:
    return [call.run() for call in called().validated_calls(find=tool, once=MemoryCallStore())]


async def run_once_async() -> list[object]:
    stream = testing.script().tool_call("find", {"n": 1}, id="call_1").finish("tool_calls")
    calls = stream.astream("openai-chat").validated_calls(find=find_later, once=MemoryCallStore())
    return [await call.run() async for call in calls]


class SharedStore(MemoryCallStore):
    """A store of the user's own, in a table that other processes read, too."""

    is_shared = True


def run_shared(store: Any = None, **options: Any) -> list[object]:
    payloads = [
        {
            "choices": [
                {
                    "delta": {
                        "tool_calls": [{"index": 0, "function": {"name": "find", "arguments": '{"n": 1}'}}]
                    }
                }
            ]
        },
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    ]
    with Stream(payloads, format="openai-chat", **options) as stream:
        return [call.run() for call in stream.validated_calls(find, once=store or SharedStore())]


def described(is_rebuilt: bool) -> str:
    class Book(pydantic.BaseModel):
        author: Author

    class Author(pydantic.BaseModel):
        name: str

    if is_rebuilt:
        Book.model_rebuild(_types_namespace={"Author": Author})
    text = '{"author": {"name": "Ann"}}'
    return testing.script().text(text).finish("stop").stream("openai-chat").result(Book).author.name


def parsed(choice: str) -> object:
    parser = PartialJSONParser(lenient=True, document=choice)
    parser.feed('{"n": 1} {"n": 2}')
    parser.end()
    return parser.value


def resumed(stored: Callable[[str], Any]) -> str:
    """Read half of an answer, store its checkpoint as JSON, and read the rest from what comes back."""
    chunks = testing.script().text("Hel", "lo").finish("stop").chunks("openai-responses")
    with Stream(chunks) as first:
        next(iter(first.text))
        position = first.checkpoint()
    rest = chunks[1 + next(number for number, chunk in enumerate(chunks) if b'"Hel"' in chunk) :]
    return says(Stream.from_checkpoint(stored(position.model_dump_json()), rest))


def dialect_turns(**options: Any) -> object:
    results = ToolResults(read(called()).message, {"call_1": 1})
    return results.turns(**options)[-1]["role"]


# -- several readers and answers -----------------------------------------------


async def slowly() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        await asyncio.sleep(0)
        yield chunk


async def read_twice(*, by_tee: bool) -> list[str]:
    stream = AsyncStream(slowly())
    readers = stream.tee(2) if by_tee else (stream, stream)
    messages: list[Any] = await asyncio.gather(
        *[reader.final() for reader in readers], return_exceptions=True
    )
    await stream.aclose()
    for message in messages:
        if isinstance(message, BaseException):
            raise message
    return [message.text for message in messages]


def two_answers() -> Stream:
    from tests._sources.sockets import answer

    return Stream(iter([*answer("resp_1", "Hello"), *answer("resp_2", "Bye")]))


def guard_all() -> str:
    return "".join(map(says, two_answers().guard(heard).responses))


def guard_each() -> list[str]:
    return [says(response.guard(heard)) for response in two_answers().responses]


def mix_readers() -> object:
    stream = two_answers()
    says(next(stream.responses))
    return [*stream]


class GenaiSession:
    """A session of an SDK whose connection has another name than it had."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def receive(self) -> None: ...

    def send_client_content(self) -> None: ...

    def close(self) -> None: ...


class Live:
    """A connection of websockets, on which one answer comes."""

    def __init__(self) -> None:
        from tests._sources.sockets import answer

        self.messages = answer("resp_1", "Hello")

    def recv(self) -> str:
        from websockets.exceptions import ConnectionClosedOK

        if not self.messages:
            raise ConnectionClosedOK(None, None)
        return self.messages.pop(0)

    def send(self, message: str) -> None: ...

    def ping(self) -> None: ...

    def close(self) -> None: ...


def in_session(program: Callable[[Session], object]) -> object:
    import websockets.sync.client

    from tests.session.servers import ResponsesServer, serving

    with serving(ResponsesServer()) as url, Session(lambda: websockets.sync.client.connect(url)) as session:
        return program(session)


def ask_at_once(session: Session) -> object:
    first = session.ask("one")
    next(iter(first))
    return session.ask("two").final().text


def ask_in_turn(session: Session) -> object:
    return [session.ask("one").final().text, session.ask("two").final().text]


def stop_first(session: Session, stop: str) -> object:
    first = session.ask("one")
    next(iter(first))
    getattr(first, stop)()
    return session.ask("two").final().text


def results_for(session: Session, method: str) -> object:
    results = ToolResults(read(called()).message, {"call_1": 1})
    first = session.ask("one")
    if method == "steer":
        next(iter(first))
        session.steer(results)
    first.final()
    return session.ask(results).final().complete


# -- relays --------------------------------------------------------------------


def hide(text: Any) -> Any:
    return text.redact("Hel", "***")


class Sent:
    """An ASGI server that keeps what it is given."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 0

    async def __call__(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def never() -> Any:
    await asyncio.Event().wait()


async def answer_request(kind: str, **options: Any) -> bool:
    sent = Sent()
    response = relay.respond(HELLO.astream("openai-chat"), protocol="ui-message", **options)
    await response({"type": kind, "method": "POST", "path": "/", "headers": []}, never, sent)
    return sent.status == 200 and b'"Hello"' in sent.body


async def answer_socket() -> str:
    return await answer_on_socket(HELLO.astream("openai-chat"))


class Socket:
    """A WebSocket of a framework, which keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, data: str) -> None:
        self.sent.append(data)

    async def recv(self) -> str:
        await asyncio.Event().wait()
        return ""

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


async def answer_on_socket(*streams: Any) -> str:
    socket = Socket()
    await relay.websocket(socket, *streams)
    return "".join(
        event["text"] for event in map(json.loads, socket.sent) if event.get("type") == "text_delta"
    )


async def keep(journal: Any, **options: Any) -> str:
    """Start an answer in a journal, and return the text that its follower reads."""
    async with journal:
        id = await journal.start(HELLO.astream("openai-chat"), **options)
        records = [entry.record async for entry in journal.follow(id)]
    return "".join(json.loads(record)["text"] for record in records if b'"text_delta"' in record)


def keep_in_memory(**options: Any) -> object:
    return asynchronous(lambda: keep(relay.MemoryJournal(), **options))


async def answer_kept() -> bool:
    async with relay.MemoryJournal() as journal:
        return await answer_request("http", location="/answers/{id}", journal=journal)


async def keep_in_redis(connections: int) -> str:
    from redis.asyncio import Redis

    from tests.support.redis_servers import RedisServer

    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        redis = Redis(unix_socket_path=server.path, max_connections=connections)
        try:
            return await keep(relay.RedisJournal(redis))
        finally:
            await redis.aclose()


# -- runs and agents -----------------------------------------------------------

AGENT = [
    '{"type": "thread.started", "thread_id": "t"}',
    '{"type": "turn.started"}',
    '{"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 1}}',
]


async def wait_later() -> int:
    return 0


def follow_agent(exit_code: Any) -> str:
    with Steps() as run:
        for _ in run.follow(AGENT, agent="codex", exit_code=exit_code):
            pass
    return run.turns[-1].state


def report(title: Any, method: str) -> object:
    with Steps() as run, run.step(title) as step:
        getattr(step, method)("3 of 20")
    return step.progress or step.output_text if hasattr(step, "output_text") else step.progress


def reply(id: str | None) -> list[object]:
    answers: list[object] = []
    with Steps() as run, run.step("delete") as step:
        step.wait_for("r1", {"path": "build"}, send=answers.append)
        asked = [event.id for event in run.events().ready() if isinstance(event, StepWaiting)]
        run.reply(id or asked[0], "yes")
    return answers


# -- testing -------------------------------------------------------------------


def read_text(stream: Stream) -> str:
    with stream:
        return "".join(stream.text)


async def read_text_later(stream: AsyncStream) -> str:
    async with stream:
        return "".join([piece async for piece in stream.text])


async def check_in_loop(*, awaited: bool) -> object:
    if awaited:
        return await testing.aassert_stream(read_text_later, HELLO, cuts=FEW)
    return testing.assert_stream(read_text_later, HELLO)


def play(fault: Any) -> object:
    return HELLO.recording("openai-chat").with_fault(fault).close_frame


def cassette(folder: Path) -> Path:
    def tape(script: Any) -> dict[str, Any]:
        recording = script.recording("openai-chat")
        return {
            "request": {"method": "POST", "uri": URL, "body": "{}", "headers": {}},
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"Content-Type": ["text/event-stream"]},
                "body": {"string": recording.body.decode()},
            },
        }

    path = folder / "tape.json"
    bye = testing.script().text("Bye").finish("stop")
    path.write_text(json.dumps({"interactions": [tape(HELLO), tape(bye)], "version": 1}))
    return path


def begin_file(folder: Path, *, loop_first: bool) -> str:
    path = folder / "answer.sse"
    path.write_bytes(b"".join(CHUNKS))
    with path.open(encoding="utf-8") as file:
        if loop_first:
            next(file)
        return says(Stream(file))


class Chunks:
    """An SDK's stream, which decodes the events of a response itself."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> Any:
        for line in self._lines:
            if line.startswith("data: {"):
                return json.loads(line[6:])
        raise StopIteration

    def close(self) -> None:
        self.response.close()


def read_rest(advice: str) -> str:
    with client() as http, http.stream("POST", URL, json={"messages": []}) as response:
        chunks = Chunks(response)
        if advice != "unread":
            next(chunks)
        return says(Stream(chunk for chunk in chunks) if advice == "loop" else Stream(chunks))


def keep_headers(folder: Path, headers: Any) -> object:
    path = folder / "answer.rec"
    says(testing.record(unread(), path, headers=headers))
    return says(testing.Recording.load(path).stream())


FOLLOWED_ANSWERS: dict[str, tuple[Program, Program]] = {
    ".…() …, which .…()": (
        lambda: [*hello().text.words().redact(r"H\w+", max_length=9)],
        gives(["[redacted]"], lambda: [*hello().text.redact(r"H\w+", max_length=9).words()]),
    ),
    "Deadlines.total is over all": (
        lambda: ask_route(Deadlines(total=9)),
        gives(
            ["Hello", "Hello"],
            lambda: [ask_route(deadlines=Deadlines(total=9)), ask_route(retry=Retry(within=9))],
        ),
    ),
    "a Purse is in": (
        lambda: in_folder(lambda folder: spend_in(folder, redis=object())),
        gives("Hello", lambda: in_folder(spend_in)),
    ),
    "a Purse takes out": (
        lambda: ask_with_purse({"model": "m", "messages": []}),
        gives("Hello", lambda: ask_with_purse({"model": "m", "messages": [], "max_tokens": 50})),
    ),
    "a Stream cannot await": (
        lambda: run_once(partial(find_later)),
        gives([[1], [1]], lambda: [run_once(find), asynchronous(run_once_async)]),
    ),
    "a format is checked": (
        lambda: testing.check_format("openai-chat", []),
        gives(None, lambda: testing.check_format("openai-chat", [HELLO], changes=20)),
    ),
    "a guard looks at": (guard_all, gives(["Hello", "Bye"], guard_each)),
    "a journal needs at": (
        lambda: asynchronous(partial(keep_in_redis, 1)),
        gives("Hello", lambda: asynchronous(partial(keep_in_redis, 2))),
    ),
    "a loop over the": (
        lambda: in_folder(partial(begin_file, loop_first=True)),
        gives("Hello", lambda: in_folder(partial(begin_file, loop_first=False))),
    ),
    "a part of the": (
        lambda: read_rest("none"),
        gives(["Hello", "Hello"], lambda: [read_rest("unread"), read_rest("loop")]),
    ),
    "a reason is sent": (
        lambda: play(faults.close(reason="busy")),
        gives((1011, "busy"), lambda: play(faults.close(code=1011, reason="busy"))),
    ),
    "a relay answers requests": (
        lambda: asynchronous(partial(answer_request, "websocket")),
        gives(
            [True, "Hello"],
            lambda: [asynchronous(partial(answer_request, "http")), asynchronous(answer_socket)],
        ),
    ),
    "a relay sends events,": (
        lambda: [*relay.encode(hello().text, "text")],
        gives("***lo", lambda: says(Stream(relay.encode(hello(), "text", shape=hide), format="text"))),
    ),
    "a request in the": (
        lambda: ToolResults(read(called()).message, {"call_1": 1}).turns("text"),
        gives(
            "user", lambda: ToolResults(read(called()).message, {"call_1": 1}).turns("anthropic")[-1]["role"]
        ),
    ),
    "a … cannot be replayed:": (
        lambda: testing.assert_stream(read_text, CHUNKS),
        gives(
            ["Hello", "Hello"],
            lambda: [
                testing.assert_stream(read_text, testing.Recording.of(CHUNKS), cuts=FEW),
                testing.assert_stream(read_text, HELLO, cuts=FEW),
            ],
        ),
    ),
    "an answer is kept,": (
        lambda: relay.respond(HELLO.astream("openai-chat"), location="/answers/{id}"),
        gives(True, lambda: asynchronous(answer_kept)),
    ),
    "an event loop is": (
        lambda: asynchronous(partial(check_in_loop, awaited=False)),
        gives("Hello", lambda: asynchronous(partial(check_in_loop, awaited=True))),
    ),
    "an object of … is not a type: pass a": (
        lambda: hello().result({"type": "object"}),
        gives({"title": "Tea"}, lambda: OBJECT.stream("openai-chat").result(dict)),
    ),
    "another stream has taken": (read_both, gives("Hello", lambda: says(resilient(unread)))),
    "another thread or task is reading this": (
        lambda: asynchronous(partial(read_twice, by_tee=False)),
        gives(["Hello", "Hello"], lambda: asynchronous(partial(read_twice, by_tee=True))),
    ),
    "bare text came, and": (
        lambda: Stream([sse("Hi"), *CHUNKS]).final(),
        gives(True, lambda: says(Stream([sse("Hi"), *CHUNKS], format="text")).startswith("Hi{")),
    ),
    "calls are written as": (
        lambda: dialect_turns(dialect="x"),
        gives(["tool", "user"], lambda: [dialect_turns(), dialect_turns(dialect="hermes")]),
    ),
    "code 1006 means that": (
        lambda: play(faults.close(code=1006)),
        gives(None, lambda: play(faults.close())),
    ),
    'document="matching" needs the type': (
        lambda: parsed("matching"),
        gives([{"n": 1}, {"n": 2}], lambda: [parsed("first"), parsed("last")]),
    ),
    "event=… is invalid: pass": (
        lambda: testing.script().raw({"a": 1}, event="a\nb"),
        gives(
            True,
            lambda: (
                b"event: ping\n"
                in b"".join(
                    testing.script().raw({"type": "ping"}, event="ping").finish("stop").chunks("anthropic")
                )
            ),
        ),
    ),
    "events of … have": (
        lambda: [*relay.encode(hello(), "ollama", ids=True)],
        gives("Hello", lambda: says(Stream(relay.encode(hello(), "ollama"), format="ollama"))),
    ),
    "events=… is invalid: name": (
        lambda: HELLO.recording("openai-chat").with_fault(faults.reorder(events=(2, 2))),
        gives(
            [*CHUNKS[:1], CHUNKS[2], CHUNKS[1], *CHUNKS[3:]],
            lambda: HELLO.recording("openai-chat").with_fault(faults.reorder(events=(2, 3))).chunks(),
        ),
    ),
    "exit_code= is asynchronous, but": (
        lambda: follow_agent(wait_later),
        gives("done", lambda: follow_agent(lambda: 0)),
    ),
    "expected a Checkpoint, not": (
        lambda: resumed(json.loads),
        gives("Hello", lambda: resumed(Checkpoint.model_validate_json)),
    ),
    "headers=… is one name:": (
        lambda: in_folder(lambda folder: keep_headers(folder, "x-model")),
        gives("Hello", lambda: in_folder(lambda folder: keep_headers(folder, ("x-model",)))),
    ),
    "how=… is invalid: pass": (
        lambda: testing.every_cut(HELLO, how="break"),
        gives(True, lambda: len(testing.every_cut(HELLO, how="reset")) > len(b"".join(CHUNKS))),
    ),
    "it holds … answers,": (
        lambda: in_folder(lambda folder: testing.Recording.load(cassette(folder))),
        gives(
            "Bye", lambda: in_folder(lambda folder: says(testing.load_cassette(cassette(folder))[1].stream()))
        ),
    ),
    "messages=… is invalid: pass": (
        lambda: HELLO.recording("openai-chat").with_fault(faults.late("2")),
        gives(2, lambda: HELLO.recording("openai-chat").with_fault(faults.late(2)).late),
    ),
    "no call began …,": (
        lambda: report("index", "add_progress"),
        gives(
            ("3 of 20",), lambda: report(ToolCall(id="call_1", name="index", complete=True), "add_progress")
        ),
    ),
    "no request … waits": (lambda: reply("r2"), gives(["yes"], lambda: reply(None))),
    "no schema can be built for …, for the reason in the cause; if": (
        lambda: described(False),
        gives("Ann", lambda: described(True)),
    ),
    "open returned a stream": (
        lambda: resilient(lambda: unread().guard(heard)).final(),
        gives("Hello", lambda: says(resilient(unread).guard(heard))),
    ),
    "open returned …, which": (
        lambda: resilient(lambda: aconnect(URL, json={}, client=async_client())).final(),
        gives("Hello", lambda: says(resilient(lambda: connect(URL, json={}, client=client())))),
    ),
    "payloads of … have": (
        lambda: [*relay.payloads(hello(), "ui-message", ids=True)],
        gives("start", lambda: next(relay.payloads(hello(), "ui-message"))["type"]),
    ),
    "raw=True writes the provider's": (
        lambda: keep_in_memory(raw=True, shape=hide),
        gives(["Hello", "***lo"], lambda: [keep_in_memory(raw=True), keep_in_memory(shape=hide)]),
    ),
    "relay.websocket() sends an answer,": (
        lambda: asynchronous(answer_on_socket),
        gives("Hello", lambda: asynchronous(answer_socket)),
    ),
    "requests in … cannot": (
        lambda: go_on("text"),
        gives([f"{BEGUN}a hen", {"role": "assistant", "content": BEGUN}], lambda: go_on("openai-chat")),
    ),
    "session.steer() takes what the": (
        lambda: in_session(lambda session: results_for(session, "steer")),
        gives(True, lambda: in_session(lambda session: results_for(session, "ask"))),
    ),
    "the answer before is": (
        lambda: in_session(ask_at_once),
        gives(
            [["I know: one", "I know: one | two"], "I know: two", "I know: two"],
            lambda: [
                in_session(ask_in_turn),
                in_session(lambda session: stop_first(session, "interrupt")),
                in_session(lambda session: stop_first(session, "close")),
            ],
        ),
    ),
    "the answer has no id,": (
        run_shared,
        gives([[1], [1]], lambda: [run_shared(answer_id="a"), run_shared(MemoryCallStore())]),
    ),
    "the answers of this connection are read one by one: read": (
        mix_readers,
        gives(
            [["Hello", "Bye"], "HelloBye"],
            lambda: [[says(response) for response in two_answers().responses], two_answers().final().text],
        ),
    ),
    "the connection inside …": (
        lambda: Stream(GenaiSession(Live())).final(),
        gives("Hello", lambda: says(Stream(GenaiSession(Live()).connection))),
    ),
}
"""As in `FOLLOWED`."""
