"""Mistakes of newcomers, each by the first words of the message that tells the way out.

What the messages advise are the uses that the guides show and the tests of the rooms have.
"""

# Type checkers find most of the mistakes, too.
# mypy: disable-error-code="abstract, arg-type, attr-defined, call-arg, call-overload, dict-item, misc"
# mypy: disable-error-code="func-returns-value"

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pydantic

from tests._sources.sockets import answer
from tests.support.wire import sse
from tokenstream import (
    AsyncStream,
    Deadlines,
    Job,
    Retry,
    Route,
    Router,
    Session,
    Steps,
    Stream,
    Tags,
    Tools,
    aconnect,
    connect,
    merge,
    relay,
    resilient,
    response_format,
    stages,
    tap,
    testing,
)
from tokenstream.call_store import CallStore, MemoryCallStore
from tokenstream.formats import custom
from tokenstream.partial_json import PartialJSONParser
from tokenstream.recovery import Attempt, Purse, Routes
from tokenstream.testing import faults
from tokenstream.turns import ToolResults

Program = Callable[[], object]

URL = "https://api.example/v1/chat/completions"
HELLO = testing.script().text("Hello").finish("stop")
PIECES = testing.script().text(*"Hello").finish("stop")
CALLED = testing.script().tool_call("find", {"n": 1}, id="call_1").finish("tool_calls")
CHUNKS = HELLO.chunks("openai-chat")
DELTA = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
LINES = testing.Recording.of([b'{"a": 1}\n', b'{"a": 2}\n'], name="lines")
ENDLESS = testing.script().text("Hel").recording("openai-chat").replaced(breaks="stall")
PICTURE = testing.script().text("Look: ").media(b"PNG", "image/png").finish("stop")
FEW = 10
"""Cuts of an answer, where a handler is checked and the cuts are not what the mistake is about."""


class Recipe(pydantic.BaseModel):
    title: str


class Menu(pydantic.BaseModel):
    best: Recipe | None = None
    note: str = ""


class Prices(pydantic.BaseModel):
    prices: dict[str, int]


class Unfinished(pydantic.BaseModel):
    author: Missing  # type: ignore[name-defined]  # noqa: F821


class Whole(pydantic.BaseModel):
    choices: list[Any]


def find(n: int) -> int:
    return n


async def find_later(n: int) -> int:
    return n


def find_missing(n: Missing) -> object:  # type: ignore[name-defined]  # noqa: F821
    return n


def filtered(filters: dict[str, int]) -> dict[str, int]:
    return filters


def heard(text: str) -> None:
    assert text


# -- what is asked and read ----------------------------------------------------


def hello() -> Stream:
    return HELLO.stream("openai-chat")


def called() -> Stream:
    return CALLED.stream("openai-chat")


def results() -> ToolResults:
    return ToolResults(called().final(), {"call_1": 1})


def client() -> httpx.Client:
    return httpx.Client(transport=testing.transport(HELLO))


def async_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=testing.transport(HELLO))


def unread() -> Stream:
    return connect(URL, json={"messages": []}, client=client())


def ask(**options: Any) -> object:
    with connect(URL, **{"json": {"model": "m", "messages": []}, "client": client(), **options}) as stream:
        return stream.final()


def priced() -> object:
    route = Route(URL, json={"model": "mine", "messages": []}, client=client())
    with connect(route, retry=Retry(most=1.0)) as stream:
        return stream.final()


def read(stream: Stream) -> str:
    return stream.final().text


def check_calls(stream: Stream, *tools: Any, **named: Any) -> object:
    return [call.arguments for call in stream.validated_calls(*tools, **named)]


def asynchronous(program: Callable[[], Any]) -> object:
    async def main() -> object:
        return await program()

    return asyncio.run(main())


def in_folder(program: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "answer.sse").write_bytes(b"".join(CHUNKS))
        return program(Path(folder))


# -- sources -------------------------------------------------------------------


def append_to_file(folder: Path) -> object:
    with (folder / "answer.sse").open("ab") as file:
        return Stream(file).final()


def read_impatiently() -> object:
    reading, writing = os.pipe()
    os.close(writing)
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as file:
        return Stream(file).final()


def begin_file(folder: Path) -> object:
    with (folder / "answer.sse").open(encoding="utf-8") as file:
        next(file)
        return Stream(file).final()


async def read_response() -> object:
    async with async_client() as http, http.stream("POST", URL, json={"messages": []}) as response:
        return Stream(response).final()


async def read_sync_response() -> object:
    with client() as http, http.stream("POST", URL, json={}) as response:
        return await AsyncStream(response).final()


def read_twice() -> object:
    with client() as http, http.stream("POST", URL, json={}) as response:
        [*response.iter_raw()]
        return Stream(response).final()


class Chunks:
    """An SDK's stream, which decodes the events of a response itself."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = (line for line in response.iter_lines() if line.startswith("data: {"))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return json.loads(next(self._lines)[6:])

    def close(self) -> None:
        self.response.close()


def read_rest() -> object:
    with client() as http, http.stream("POST", URL, json={"messages": []}) as response:
        chunks = Chunks(response)
        next(chunks)
        return Stream(chunks).final()


class Live:
    def __getattr__(self, name: str) -> Any:
        if name not in {"recv", "send", "ping", "close"}:
            raise AttributeError(name)
        return lambda *_: None


class GenaiSession:
    """A session of an SDK whose connection has another name than it had."""

    connection = Live()

    def receive(self) -> None: ...

    def send_client_content(self) -> None: ...

    def close(self) -> None: ...


# -- readers -------------------------------------------------------------------


def read_both() -> object:
    request = unread()
    return [resilient(lambda: request).final(), request.final()]


def guard_late() -> object:
    stream = hello()
    next(iter(stream))
    return stream.guard("x")


def got(path: Callable[[Any], Any]) -> object:
    script = testing.script().text('{"best": {"title": "Soup"}, "note": "New"}').finish("stop")
    return [each.get(path) for each in script.stream().partials(Menu)][-1]


def share_in_turn() -> object:
    with PIECES.stream() as stream:
        hub = stream.broadcast(size=2)
        first, second = hub.reader(), hub.reader()
        next(iter(second))
        return [*first]


def fall_behind() -> object:
    with PIECES.stream() as stream:
        hub = stream.broadcast(size=2, policy="raise")
        first, second = hub.reader(), hub.reader()
        events = iter(second)
        return [next(events), *first, *events]


def read_closed() -> object:
    with PIECES.stream() as stream:
        reader = stream.broadcast().reader()
        reader.close()
        return [*reader]


def read_closed_view() -> object:
    with hello() as stream:
        view = stream.text
        view.close()
        return [*view.words()]


def two_answers() -> Stream:
    return Stream(iter([*answer("resp_1", "Hello"), *answer("resp_2", "Bye")]))


def guard_all() -> object:
    return [each.final() for each in two_answers().guard(heard).responses]


def mix_readers() -> object:
    stream = two_answers()
    next(stream.responses).final()
    return [*stream]


async def slowly() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        await asyncio.sleep(0)
        yield chunk


async def read_at_once() -> object:
    async with AsyncStream(slowly()) as stream:
        return await asyncio.gather(stream.final(), stream.final())


async def begin(stream: AsyncStream) -> object:
    return await anext(aiter(stream.text))


async def end(stream: AsyncStream) -> object:
    async with stream:
        return await stream.final()


def read_after_its_loop() -> object:
    with testing.serve(ENDLESS) as server:
        stream = aconnect(f"{server.url}/v1/chat/completions", json={})
        asyncio.run(begin(stream))
        return asyncio.run(end(stream))


async def read_in_two_loops() -> object:
    stream = AsyncStream(slowly())
    await begin(stream)
    try:
        return await asyncio.to_thread(asyncio.run, end(stream))
    finally:
        await stream.aclose()


# -- attempts, tools, sessions, runs -------------------------------------------


def go_on_in_text() -> object:
    def send(attempt: Attempt) -> list[bytes]:
        if attempt.number > 1:
            attempt.continuation("text")
        return testing.script().text("Once upon a time ").finish("stop").chunks("openai-chat")[:-2]

    return resilient(send, Retry(again=True, wait=0)).final()


class BareStore(CallStore):
    """A store of the user's own that has the required methods alone."""


class SharedStore(MemoryCallStore):
    """A store of the user's own, in a table that other processes read, too."""

    is_shared = True


def run_later() -> object:
    calls = called().validated_calls(find=partial(find_later), once=MemoryCallStore())
    return [call.run() for call in calls]


def run_shared() -> object:
    function = {"name": "find", "arguments": '{"n": 1}'}
    deltas = [{"delta": {"tool_calls": [{"index": 0, "function": function}]}, "finish_reason": "tool_calls"}]
    with Stream([{"choices": deltas}], format="openai-chat") as stream:
        return [call.run() for call in stream.validated_calls(find, once=SharedStore())]


def run_differing() -> object:
    router = Router(Tools(find), once=MemoryCallStore(same_calls=True))
    other = testing.script().tool_call("find", {"n": 2}, id="call_1").finish("tool_calls")
    return [Stream(each.chunks("anthropic"), job="job 7").run(router) for each in (CALLED, other)]


def in_session(program: Callable[[Session], object]) -> object:
    import websockets.sync.client

    from tests.session.servers import ResponsesServer, serving

    with serving(ResponsesServer()) as url, Session(lambda: websockets.sync.client.connect(url)) as session:
        return program(session)


def ask_at_once(session: Session) -> object:
    first = session.ask("one")
    next(iter(first))
    return session.ask("two").final()


def steer_results(session: Session) -> object:
    first = session.ask("one")
    next(iter(first))
    return session.steer(results())


def steer_read_only() -> object:
    with Steps() as run:
        for _ in run.follow(
            ['{"type": "system", "subtype": "init"}'], agent="claude-code", until=lambda _: True
        ):
            return run.steer("Shorter.")
    return None


def followed(source: Any) -> object:
    with Steps() as run, run.step("a") as step:
        return [*step.follow(source)]


def report_without_call() -> None:
    with Steps() as run, run.step("index") as step:
        step.add_progress("3 of 20")


def reply_to_another() -> None:
    with Steps() as run, run.step("delete") as step:
        step.wait_for("r1", {"path": "build"}, send=[].append)
        run.reply("r2", "yes")


def reply_to_nobody() -> None:
    with Steps() as run, run.step("ask") as step:
        step.wait_for("q", "May I?", send=None)
        run.reply("q", "yes")


# -- relays and tests ----------------------------------------------------------


async def never() -> Any:
    await asyncio.Event().wait()


async def sent(message: dict[str, Any]) -> None:
    assert message


async def answer_on_websocket() -> None:
    response = relay.respond(HELLO.astream("openai-chat"), protocol="ui-message")
    await response({"type": "websocket", "method": "POST", "path": "/", "headers": []}, never, sent)


class Socket:
    async def send(self, data: str) -> None: ...

    async def recv(self) -> str:
        return ""

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


async def keep_raw() -> object:
    async with relay.MemoryJournal() as journal:
        return await journal.start(HELLO.astream("openai-chat"), raw=True, shape=lambda text: text.words())


async def keep_in_redis() -> object:
    from redis.asyncio import Redis

    from tests.support.redis_servers import RedisServer

    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        redis = Redis(unix_socket_path=server.path, max_connections=1)
        try:
            async with relay.RedisJournal(redis):
                return None
        finally:
            await redis.aclose()


def play(fault: faults.Fault) -> object:
    return HELLO.recording("openai-chat").with_fault(fault)


def shown(stream: Stream) -> object:
    stream.final()
    return object()


async def check_in_loop() -> object:
    return testing.assert_stream(end, HELLO)


def load_cassette(folder: Path) -> object:
    body = {"string": b"".join(CHUNKS).decode()}
    status = {"code": 200, "message": "OK"}
    reply = {"status": status, "headers": {"Content-Type": ["text/event-stream"]}, "body": body}
    tape = {"request": {"method": "POST", "uri": URL, "body": "{}", "headers": {}}, "response": reply}
    path = folder / "tape.json"
    path.write_text(json.dumps({"interactions": [tape, tape], "version": 1}))
    return testing.Recording.load(path)


MISTAKES: dict[str, dict[str, Program]] = {
    "requests": {
        "a Budget without a bound stops nothing": stages.Budget,
        "a Route has its own request": lambda: connect(Route(URL, json={}), json={}),
        "a Route has the format": lambda: resilient(Route(open=unread), format="anthropic"),
        "a call with the id … is in the script": lambda: (
            testing.script().tool_call("f", {}, id="a").tool_call("f", {}, id="a")
        ),
        "a guard that has to be awaited": lambda: asynchronous(
            HELLO.astream("openai-chat").guard(find_later).final
        ),
        "raw=True sends the provider's": lambda: [
            *relay.encode(hello(), "openai-chat", raw=True, shape=lambda text: text)
        ],
        "… and … are the same stream": lambda: [stream := hello(), merge({"a": stream, "b": stream})],
        "… is asynchronous: read it with AsyncStream": lambda: asynchronous(read_response),
        "no schema can be built for …, for the reason in the cause; use": lambda: hello().result(3),
        "… cannot be tapped": lambda: tap(3),
        "an answer has an id and": lambda: relay.respond(HELLO.astream("openai-chat"), id="a"),
        "… is a type": lambda: Router().tool(dict),
        "a run cannot follow": lambda: [*Steps().follow(3)],
        "the text is neither": lambda: Stream(["Hel", "lo"]).final(),
        'the format "text" reads': lambda: Stream([{"a": 1}], format="text").final(),
        "these are lines of": lambda: [*Steps().follow(['{"x": 1}'])],
        "open is an async": lambda: resilient(find_later),
        "a Purse without a": Purse,
        "the stream was closed before": lambda: [stream := hello(), stream.close(), stream.final()],
        "a session asks one server": lambda: Session(
            lambda: None, model="m", retry=Retry(routes=[Route(URL, json={})])
        ),
        "a str is read as a body": lambda: Stream(URL).final(),
        "a tool has no name of its own": lambda: check_calls(called(), lambda n: n),
        "a … is no tool: pass each": lambda: check_calls(called(), [find]),
        "a … is not a fault": lambda: testing.transport(HELLO, fault="cut"),
        "a … cannot be played": lambda: testing.transport(3),
        "an object of … is not a type: pass the class itself": lambda: hello().result(Recipe(title="x")),
        "chunking=… is invalid": lambda: HELLO.recording("openai-chat").stream(chunking="x"),
        "pace=… is invalid": lambda: testing.transport(HELLO, pace="x"),
        "Seed(…) is invalid": lambda: testing.Seed("x"),
        "follow() takes a Stream": lambda: followed(CHUNKS),
        "hedge_after= needs an async stream": lambda: resilient(
            lambda: CHUNKS, Retry(routes=Routes(hedge_after=1))
        ),
        'json["messages"] has a list': lambda: ask(json={"messages": [[{}]]}),
        "json= is JSON already": lambda: ask(json='{"messages": []}'),
        "no API takes the tool's name": lambda: Tools(**{"find it": find}),
        "no result was given for": lambda: ToolResults(called().final(), {}).turns(),
        "… has no result in `values`": lambda: ToolResults(called().final(), {"x": 1}),
        "no tools were given": lambda: check_calls(called()),
        "on_retry= is an async def": lambda: resilient(lambda: CHUNKS, Retry(on_retry=find_later)),
        "accept= is an async def": lambda: resilient(lambda: CHUNKS, Retry(accept=find_later)),
        "open= is a function that opens a source": lambda: resilient(CHUNKS).final(),
        "open= is a function that opens a WebSocket": lambda: Session(URL, model="m"),
        "policy=… is unknown": lambda: hello().broadcast(policy="x"),
        "protocol=… is not a protocol": lambda: [*relay.encode(hello(), "x")],
        "reading has begun, and a guard": guard_late,
        "sentinel=…": lambda: custom(text="a", sentinel=""),
        "started_at is in the future": lambda: Stream(CHUNKS, started_at=1e18),
        'text="" means that the data': lambda: custom(text="", reasoning="a"),
        "the answer has no text, but calls": lambda: called().result(dict),
        "the client is asynchronous": lambda: ask(client=async_client()),
        "the client is not asynchronous": lambda: asynchronous(
            aconnect(URL, json={"messages": []}, client=client()).final
        ),
        "the format … cannot be written": lambda: HELLO.chunks("x"),
        "the function has no name of its own": lambda: Router().tool(lambda n: n),
        "the tool … is asynchronous": lambda: check_calls(called(), find_later),
        "the tool … was given as a type, which has nothing to run: use call.arguments": lambda: [
            call.run() for call in called().validated_calls(Tools(find=dict))
        ],
        "there is no agent to steer": lambda: Steps().steer("x"),
        "this agent is only read": steer_read_only,
        "this … is already a stream: read it, without a tap": lambda: tap(hello()),
        "this … is already a stream: read it, without another": lambda: Stream(hello()),
        "tools= takes Tools": lambda: Stream(CHUNKS, tags=Tags(calls="hermes"), tools=find),
        "two tools are named": lambda: Tools(find, find),
        "… cannot be read; pass one of these": lambda: Stream(3),
        "… is not asynchronous: read it with Stream": lambda: asynchronous(AsyncStream(iter(CHUNKS)).final),
        "… is no tool; give a type": lambda: Tools(3),
        "… is one payload, or a whole answer": lambda: Stream({"choices": []}),
        "… needs max_length=": lambda: hello().text.redact(r"a+"),
        "…() has no option …=, which belongs to a client": lambda: connect(URL, verify=False),
        "…() takes only the address by position": lambda: connect(URL, {"messages": []}),
        "…() takes the address first": lambda: connect("POST", URL),
        "…:// is a WebSocket": lambda: connect("wss://api.example/v1/realtime"),
        'the format "pieces" takes text': lambda: Stream(CHUNKS, format="pieces").final(),
        "… is not a path into a document; pass text": lambda: hello().items(str, at=3),
        "… is not a path into a document: put one dot": lambda: hello().items(str, at="recipe..steps"),
        "this stream is already shared": lambda: [
            each for stream in [hello()] for each in (stream.broadcast(size=4), stream.broadcast(size=5))
        ],
    },
    "answers": {
        ".…() …, which .…()": lambda: [*hello().text.words().redact(r"H\w+", max_length=9)],
        "Deadlines.total is over all": lambda: connect(
            Route(URL, json={}, client=client(), deadlines=Deadlines(total=9))
        ),
        "a Purse is in": lambda: Purse(tokens=1, file="purse", redis=object()),
        "a Purse takes out": lambda: ask(retry=Retry(most=Purse(tokens=1_000))),
        "a Stream cannot await": run_later,
        "a format is checked": lambda: testing.check_format("openai-chat", []),
        "a guard looks at": guard_all,
        "a journal needs at": lambda: asynchronous(keep_in_redis),
        "a loop over the": lambda: in_folder(begin_file),
        "a part of the": read_rest,
        "a reason is sent": lambda: play(faults.close(reason="busy")),
        "a relay answers requests": lambda: asynchronous(answer_on_websocket),
        "a relay sends events,": lambda: [*relay.encode(hello().text, "text")],
        "a request in the": lambda: results().turns("text"),
        "a … cannot be replayed:": lambda: testing.assert_stream(read, CHUNKS),
        "an answer is kept,": lambda: relay.respond(HELLO.astream("openai-chat"), location="/answers/{id}"),
        "an event loop is": lambda: asynchronous(check_in_loop),
        "an object of … is not a type: pass a": lambda: hello().result({"type": "object"}),
        "another stream has taken": read_both,
        "another thread or task is reading this": lambda: asynchronous(read_at_once),
        "bare text came, and": lambda: Stream([sse("Hi"), *CHUNKS]).final(),
        "calls are written as": lambda: results().turns(dialect="x"),
        "code 1006 means that": lambda: play(faults.close(code=1006)),
        'document="matching" needs the type': lambda: PartialJSONParser(lenient=True, document="matching"),
        "event=… is invalid: pass": lambda: testing.script().raw({"a": 1}, event="a\nb"),
        "events of … have": lambda: [*relay.encode(hello(), "ollama", ids=True)],
        "events=… is invalid: name": lambda: HELLO.recording("openai-chat").with_fault(
            faults.reorder(events=(2, 2))
        ),
        "exit_code= is asynchronous, but": lambda: [*Steps().follow([], agent="codex", exit_code=find_later)],
        "expected a Checkpoint, not": lambda: Stream(CHUNKS, job=Job("job", checkpoint={})),
        "headers=… is one name:": lambda: testing.record(hello(), "answer.rec", headers="x-model"),
        "how=… is invalid: pass": lambda: testing.every_cut(HELLO, how="break"),
        "it holds … answers,": lambda: in_folder(load_cassette),
        "messages=… is invalid: pass": lambda: HELLO.recording("openai-chat").with_fault(faults.late("2")),
        "no call began …,": report_without_call,
        "no request … waits": reply_to_another,
        "no schema can be built for …, for the reason in the cause; if": lambda: hello().result(Unfinished),
        "open returned a stream": lambda: resilient(lambda: unread().guard(heard)).final(),
        "open returned …, which": lambda: resilient(
            lambda: aconnect(URL, json={}, client=async_client())
        ).final(),
        "payloads of … have": lambda: [*relay.payloads(hello(), "ui-message", ids=True)],
        "raw=True writes the provider's": lambda: asynchronous(keep_raw),
        "relay.websocket() sends an answer,": lambda: asynchronous(partial(relay.websocket, Socket())),
        "requests in … cannot": go_on_in_text,
        "session.steer() takes what the": lambda: in_session(steer_results),
        "open= makes the request itself": lambda: Route(URL, open=unread),
        "the answer before is": lambda: in_session(ask_at_once),
        "the answer has no id,": run_shared,
        "the answers under this id call": run_differing,
        "the answers of this connection are read one by one: read": mix_readers,
        "the connection inside …": lambda: Stream(GenaiSession()).final(),
        "this store has no methods": lambda: BareStore().uncertain(),
    },
    "loops": {
        "the event loop in which": read_after_its_loop,
        "the stream is read": lambda: asynchronous(read_in_two_loops),
        "this view was closed:": read_closed_view,
        "the run cannot send": reply_to_nobody,
    },
    "testing": {
        "the format of … cannot be detected": lambda: LINES.with_fault(faults.error_event(kind="overloaded")),
        "the format … has no place for": lambda: PICTURE.chunks("anthropic"),
        "the handler returned objects": lambda: testing.assert_stream(shown, HELLO, cuts=FEW),
        "the header … is never stored": lambda: testing.record(
            client(), "answer.rec", headers=("authorization", "x-region")
        ),
        "the path … does not determine": lambda: client().post("https://api.example/ask", json={}),
        "the recording stalls for ever, and": lambda: httpx.Client(
            transport=testing.transport(ENDLESS), timeout=None
        ).post(URL),
        "the server is not running": lambda: testing.serve(HELLO).url,
        "… is not a step of a path": lambda: hello().items(str, at=("a.b", -1)),
        "… is not a …: pass one of": lambda: testing.script().text("a").finish("max_tokens"),
        "… is not the status of an answer": lambda: play(faults.status(99)),
        "… stalls for ever, and there": lambda: HELLO.stream(
            fault=faults.stall(event=1) | faults.heartbeat(15)
        ).final(),
        "…=… is invalid: pass a number of": lambda: testing.script().text("a").usage(input_tokens=-1),
        "…=… is invalid: pass a number,": lambda: testing.script().text("a").silence(-1),
        "…=… is invalid: pass text": lambda: testing.script().tool_call("", {"n": 1}),
    },
    "values": {
        "keep= is an async def": lambda: Stream([], job=Job("order 7", keep=find_later)),
        "the file is closed, or": lambda: in_folder(append_to_file),
        "the file is non-blocking": read_impatiently,
        "the function of the path tests": lambda: got(lambda menu: menu.note if menu.best else None),
        "… of … cannot be part of a path": lambda: got(lambda menu: menu.note + "!"),
        "the parameters of … cannot be read": lambda: check_calls(called(), find=find_missing),
        "the payload has a key that is not text": lambda: Stream([{1: "a", **DELTA}]).final(),
        "the queue of … events is full": share_in_turn,
        "… fell … events behind": fall_behind,
        "this reader was closed: ask": read_closed,
        "the response is asynchronous: read it": lambda: asynchronous(read_response),
        "the response is not asynchronous": lambda: asynchronous(read_sync_response),
        "the response was already read or closed (…); pass": read_twice,
        "what … sends are not": lambda: [*relay.payloads(hello(), "text")],
        "… is a piece of": lambda: [*Steps().follow([DELTA])],
        "… is a whole answer": lambda: Stream(Whole(choices=[])),
        "… is not an object, and": lambda: response_format(list[str]).to_openai_chat(),
        "… is not iterable: pass": lambda: [*relay.encode(3, "text")],
        "…; describe it more precisely in": lambda: response_format(Prices).to_openai_chat(),
        "…; leave strict=True out, or": lambda: Tools(filtered).to_openai_chat(strict=True),
        "most= needs the price of": priced,
        "the tool … was given as a type, which has nothing to run: register the": lambda: Router(
            Tools(find=Recipe)
        ),
        "…=… is not a path: put": lambda: custom(text="choices[0].text"),
        "…=…: give a dict": lambda: custom(text="t", finish="end", finish_reasons="eos"),
        "…=…: give the name of": lambda: custom(text="t", event=""),
    },
}
"""A mistake for each message that one can make; the groups are tests of their own."""

REASONS: dict[str, tuple[str, ...]] = {
    "a package of others, which not every environment has": (
        "a browser has no blocking reads: use",
        "a response of boto3",
        "a run shows the messages and",
        "aiohttp needs asyncio: on",
        "google-genai sets the session up",
        "extensions= has …, which",
        "no schema can be built for …:",
        "on trio, tasks read",
        "the body is compressed",
        "the client cannot be made: aiohttp",
        "the connection's URL does",
        "the messages hold pieces",
        "the response was already read or closed; pass",
        "there is no answer to",
        "this response of boto3",
        "this view acts on",
        "… has no lanes",
        "… has no sessions: connect",
        "… is a model",
        "… is a msgspec",
        "… is an object of",
        "… needs …: install",
        "…'s pattern is not a",
    ),
    "another process, in which a program here would have to go on": ("a Purse in memory belongs",),
    "ten thousand messages, or a storage of others": ("… keeps no calls:", "… messages of the"),
    "a server or what lies on the way, which a program here would have to break": (
        "the body is a",
        "the body's compression is broken (…);",
        "the event stream cannot",
        "the server answered with a",
        "the server redirects (…)",
        "this server's GET /global/event",
        "… redirects endlessly; check",
    ),
    "a checkpoint of another version or run, or a server that goes on with another answer": (
        "the answer began again,",
        "the payloads were not kept:",
        "the checkpoint has no",
        "the checkpoint has version",
        "the checkpoint was made",
        "the checkpoint was written",
        "a last event id cannot hold a",
        "a last event id cannot hold half",
        "the checkpoint's state is not what `checkpoint()` gave:",
        "the checkpoint's state is not what `checkpoint()` returned:",
        "the server began another",
        "… cannot be resumed:",
        "… cannot steer an",
    ),
}
"""Why no program here leads to some messages, each by its first words."""
