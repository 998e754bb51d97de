"""For each message with advice, a mistake that it answers and the program that follows it, or a reason.

A row has first words of a message, what a user does, and the same as the message says.
"""

# Type checkers find most of the mistakes, too.
# mypy: disable-error-code="arg-type, call-arg, call-overload, func-returns-value, misc"

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pydantic

from tokenstream import (
    AsyncStream,
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
    stages,
    tap,
    testing,
)
from tokenstream.formats import custom
from tokenstream.recovery import Purse, Routes
from tokenstream.turns import ToolResults

Program = Callable[[], object]

URL = "https://api.example/v1/chat/completions"
HELLO = testing.script().text("Hello").finish("stop")
CALLED = testing.script().tool_call("find", {"n": 1}, id="call_1").finish("tool_calls")
CHUNKS = HELLO.chunks("openai-chat")
FEW = 10
"""Cuts of an answer, where a handler is checked and the cuts are not what the advice is about."""


class Recipe(pydantic.BaseModel):
    title: str


def find(n: int) -> int:
    """Find."""
    return n


async def find_later(n: int) -> int:
    """Find."""
    return n


def hello() -> Stream:
    return HELLO.stream("openai-chat")


def called() -> Stream:
    return CALLED.stream("openai-chat")


def client() -> httpx.Client:
    return httpx.Client(transport=testing.transport(HELLO))


def async_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=testing.transport(HELLO))


def ask(**options: Any) -> object:
    with connect(URL, **{"json": {"model": "m", "messages": []}, "client": client(), **options}) as stream:
        return stream.final()


def budget(**options: Any) -> object:
    return hello().guard(stages.Budget(**options)).final()


def read(stream: Stream) -> Stream:
    stream.final()
    return stream


def guard_late(late: bool) -> object:
    stream = hello()
    if late:
        next(iter(stream))
    return stream.guard("x").final()


def check_calls(stream: Stream, *tools: Any, **named: Any) -> object:
    return [call.arguments for call in stream.validated_calls(*tools, **named)]


def run_calls(stream: Stream, *tools: Any) -> object:
    return [call.run() for call in stream.validated_calls(*tools)]


def share(**second: int) -> object:
    with hello() as stream:
        return [*stream.broadcast(size=4)], [*stream.broadcast(**second)]


def asynchronous(program: Callable[[], Any]) -> object:
    async def main() -> object:
        return await program()

    return asyncio.run(main())


def steer(**options: Any) -> object:
    line = '{"type": "system", "subtype": "init"}'
    with Steps() as run:
        for _ in run.follow([line], agent="claude-code", until=lambda _: True, **options):
            return run.steer("Shorter.")
    return None


async def guarded_inside() -> object:
    async def agrees(text: str) -> None:
        assert text

    stream = HELLO.astream("openai-chat").guard(agrees)
    async with stream:
        return await stream.final()


async def sent(kind: Any) -> object:
    async with async_client() as http, http.stream("POST", URL, json={"messages": []}) as response:
        return await kind(response).final()


async def hedged() -> object:
    async with aconnect(
        URL, json={"messages": []}, client=async_client(), retry=Retry(routes=Routes(hedge_after=1))
    ) as stream:
        return await stream.final()


def followed(source: Any) -> object:
    with Steps() as run, run.step("a") as step:
        return [*step.follow(source)]


def hello_with(tools: Any) -> object:
    return Stream(CHUNKS, tags=Tags(calls="hermes"), tools=tools).final()


FOLLOWED: dict[str, tuple[Program, Program]] = {
    "a Budget without a bound stops nothing": (budget, lambda: budget(tokens=9)),
    "a Route has its own request": (
        lambda: connect(Route(URL, json={}), json={}),
        lambda: connect(Route(URL, json={})),
    ),
    "a call with the id … is in the script": (
        lambda: testing.script().tool_call("f", {}, id="a").tool_call("f", {}, id="a"),
        lambda: testing.script().tool_call("f", {}, id="a").tool_call("f", {}, id="b"),
    ),
    "a guard that has to be awaited": (
        lambda: asynchronous(HELLO.astream("openai-chat").guard(find_later).final),
        lambda: asynchronous(guarded_inside),
    ),
    "raw=True sends the provider's": (
        lambda: [*relay.encode(hello(), "openai-chat", raw=True, shape=lambda text: text)],
        lambda: [*relay.encode(hello(), "openai-chat", raw=True)],
    ),
    "… and … are the same stream": (
        lambda: [stream := hello(), merge({"a": stream, "b": stream})],
        lambda: merge({"a": hello(), "b": hello()}),
    ),
    "… is asynchronous: read it with AsyncStream": (
        lambda: asynchronous(partial(sent, Stream)),
        lambda: asynchronous(partial(sent, AsyncStream)),
    ),
    "no schema can be built for …, for the reason in the cause; use": (
        lambda: hello().result(3),
        lambda: testing.script().text('{"title": "x"}').finish("stop").stream("openai-chat").result(Recipe),
    ),
    "… cannot be tapped": (lambda: tap(3), lambda: tap(iter(CHUNKS))),
    "an answer has an id and": (
        lambda: relay.respond(HELLO.astream("openai-chat"), id="a"),
        lambda: relay.respond(HELLO.astream("openai-chat"), id="a", journal=relay.MemoryJournal()),
    ),
    "… is a type": (lambda: Router().tool(dict), lambda: Router().tool(find)),
    "a run cannot follow": (lambda: [*Steps().follow(3)], lambda: [*Steps().follow([], agent="codex")]),
    "the text is neither": (
        lambda: Stream(["Hel", "lo"]).final(),
        lambda: Stream(["Hel", "lo"], format="pieces").final(),
    ),
    'the format "text" reads': (
        lambda: Stream([{"a": 1}], format="text").final(),
        lambda: Stream(CHUNKS, format="openai-chat").final(),
    ),
    "these are lines of": (
        lambda: [*Steps().follow(['{"x": 1}'])],
        lambda: [*Steps().follow(['{"x": 1}'], agent="codex")],
    ),
    "open is an async": (lambda: resilient(find_later), lambda: resilient(lambda: CHUNKS)),
    "a Purse without a": (Purse, lambda: Purse(most=1.0)),
    "the stream was closed before": (
        lambda: [stream := hello(), stream.close(), stream.final()],
        lambda: hello().final(),
    ),
    "a session asks one server": (
        lambda: Session(lambda: None, model="m", retry=Retry(routes=[Route(URL, json={})])),
        lambda: Session(lambda: None, model="m", retry=Retry()),
    ),
    "a str is read as a body": (lambda: Stream(URL).final(), ask),
    "a tool has no name of its own": (
        lambda: check_calls(called(), lambda n: n),
        lambda: check_calls(called(), find=lambda n: n),
    ),
    "a … is no tool: pass each": (
        lambda: check_calls(called(), [find]),
        lambda: check_calls(called(), *[find]),
    ),
    "a … is not a fault": (
        lambda: testing.transport(HELLO, fault="cut"),
        lambda: testing.transport(HELLO, fault=testing.faults.cut(at=17)),
    ),
    "a … cannot be played": (lambda: testing.transport(3), lambda: testing.transport(HELLO)),
    "an object of … is not a type: pass the class itself": (
        lambda: hello().result(Recipe(title="x")),
        lambda: testing.script().text('{"title": "x"}').finish("stop").stream("openai-chat").result(Recipe),
    ),
    "chunking=… is invalid": (
        lambda: HELLO.recording("openai-chat").stream(chunking="x"),
        lambda: HELLO.recording("openai-chat").stream(chunking="bytes").final(),
    ),
    "pace=… is invalid": (
        lambda: testing.transport(HELLO, pace="x"),
        lambda: testing.transport(HELLO, pace="instant"),
    ),
    "Seed(…) is invalid": (lambda: testing.Seed("x"), lambda: testing.Seed(1)),
    "follow() takes a Stream": (lambda: followed(CHUNKS), lambda: followed(Stream(CHUNKS))),
    "hedge_after= needs an async stream": (
        lambda: resilient(lambda: CHUNKS, Retry(routes=Routes(hedge_after=1))),
        lambda: asynchronous(hedged),
    ),
    'json["messages"] has a list': (
        lambda: ask(json={"messages": [[{}]]}),
        lambda: ask(json={"messages": [{}]}),
    ),
    "json= is JSON already": (lambda: ask(json='{"messages": []}'), lambda: ask(json={"messages": []})),
    'mode="continue" builds new payloads': (
        lambda: ask(json=None, content=b"{}", retry=Retry(mode="continue")),
        lambda: ask(json={"messages": []}, retry=Retry(mode="continue")),
    ),
    "no API takes the tool's name": (lambda: Tools(**{"find it": find}), lambda: Tools(find_it=find)),
    "no result was given for": (
        lambda: ToolResults(read(called()).message, {}).turns(),
        lambda: ToolResults(read(called()).message, {}, missing="no answer").turns(),
    ),
    "… has no result in `values`": (
        lambda: ToolResults(read(called()).message, {"x": 1}),
        lambda: ToolResults(read(called()).message, {"call_1": 1}),
    ),
    "no tools were given": (lambda: check_calls(called()), lambda: check_calls(called(), find)),
    "on_retry= is an async def": (
        lambda: resilient(lambda: CHUNKS, Retry(on_retry=find_later)),
        lambda: resilient(lambda: CHUNKS, Retry(on_retry=find)),
    ),
    "accept= is an async def": (
        lambda: resilient(lambda: CHUNKS, Retry(accept=find_later)),
        lambda: resilient(lambda: CHUNKS, Retry(accept=find)),
    ),
    "open= is a function that opens a source": (
        lambda: resilient(CHUNKS).final(),
        lambda: resilient(lambda: CHUNKS).final(),
    ),
    "open= is a function that opens a WebSocket": (
        lambda: Session(URL, model="m"),
        lambda: Session(lambda: None, model="m"),
    ),
    "policy=… is unknown": (lambda: hello().broadcast(policy="x"), lambda: hello().broadcast(policy="wait")),
    "protocol=… is not a protocol": (
        lambda: [*relay.encode(hello(), "x")],
        lambda: [*relay.encode(hello(), "ag-ui")],
    ),
    "reading has begun, and a guard": (lambda: guard_late(True), lambda: guard_late(False)),
    "sentinel=…": (lambda: custom(text="a", sentinel=""), lambda: custom(text="a", sentinel="[DONE]")),
    "started_at is in the future": (
        lambda: Stream(CHUNKS, started_at=1e18),
        lambda: Stream(CHUNKS, started_at=0.0),
    ),
    'text="" means that the data': (lambda: custom(text="", reasoning="a"), lambda: custom(text="")),
    "the answer has no text, but calls": (
        lambda: called().result(dict),
        lambda: called().result(dict, tool="find"),
    ),
    "the client is asynchronous": (
        lambda: ask(client=async_client()),
        lambda: asynchronous(aconnect(URL, json={"messages": []}, client=async_client()).final),
    ),
    "the client is not asynchronous": (
        lambda: asynchronous(aconnect(URL, json={"messages": []}, client=client()).final),
        ask,
    ),
    "the format … cannot be written": (lambda: HELLO.chunks("x"), lambda: HELLO.chunks("anthropic")),
    "the function has no name of its own": (
        lambda: Router().tool(lambda n: n),
        lambda: Router().tool("find")(lambda n: n),
    ),
    "the tool … is asynchronous": (
        lambda: check_calls(called(), find_later),
        lambda: check_calls(called(), find),
    ),
    "the tool … was given as a type, which has nothing to run: use call.arguments": (
        lambda: run_calls(called(), Tools(find=dict)),
        lambda: check_calls(called(), Tools(find=dict)),
    ),
    "there is no agent to steer": (lambda: Steps().steer("x"), lambda: steer(stdin=io.BytesIO())),
    "this agent is only read": (steer, lambda: steer(stdin=io.BytesIO())),
    "this … is already a stream: read it, without a tap": (lambda: tap(hello()), lambda: hello().message),
    "this … is already a stream: read it, without another": (
        lambda: Stream(hello()),
        lambda: hello().final(),
    ),
    "tools= takes Tools": (lambda: hello_with(find), lambda: hello_with([find])),
    "two tools are named": (lambda: Tools(find, find), lambda: Tools(find, other=find)),
    "… cannot be read; pass one of these": (lambda: Stream(3), lambda: Stream(CHUNKS).final()),
    "… is not asynchronous: read it with Stream": (
        lambda: asynchronous(AsyncStream(iter(CHUNKS)).final),
        lambda: Stream(iter(CHUNKS)).final(),
    ),
    "… is no tool; give a type": (lambda: Tools(3), lambda: Tools(find=dict)),
    "… is one payload, or a whole answer": (
        lambda: Stream({"choices": []}),
        lambda: Stream([{"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}]).final(),
    ),
    "… needs max_length=": (
        lambda: hello().text.redact(r"a+"),
        lambda: [*hello().text.redact(r"a+", max_length=9)],
    ),
    "…() has no option …=, which belongs to a client": (
        lambda: connect(URL, verify=False),
        lambda: connect(URL, client=httpx.Client(verify=False)),
    ),
    "…() takes only the address by position": (
        lambda: connect(URL, {"messages": []}),
        lambda: ask(json={"messages": []}),
    ),
    "…() takes the address first": (lambda: connect("POST", URL), lambda: connect(URL, method="POST")),
    "…:// is a WebSocket": (
        lambda: connect("wss://api.example/v1/realtime"),
        lambda: Session(lambda: None, model="m"),
    ),
    'the format "pieces" takes text': (
        lambda: Stream(CHUNKS, format="pieces").final(),
        lambda: Stream(CHUNKS).final(),
    ),
    "… is not a path into a document; pass text": (
        lambda: hello().items(str, at=3),
        lambda: hello().items(str, at="recipe.steps"),
    ),
    "… is not a path into a document: put one dot": (
        lambda: hello().items(str, at="recipe..steps"),
        lambda: hello().items(str, at="recipe.steps"),
    ),
    "this stream is already shared": (
        lambda: [
            each for stream in [hello()] for each in (stream.broadcast(size=4), stream.broadcast(size=5))
        ],
        lambda: [each for stream in [hello()] for each in (stream.broadcast(size=4), stream.broadcast())],
    ),
}


REASONS: dict[str, tuple[str, ...]] = {
    "a package of others, which not every environment has": (
        "a response of boto3",
        "a run shows the messages and",
        "aiohttp needs asyncio: on",
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
    "ten thousand messages, or a storage of others": ("… keeps no calls:", "… messages of the"),
    "a server or what lies on the way, which no program mends": (
        "the body is a",
        "the body's compression is broken (…);",
        "the event stream cannot",
        "the server answered with a",
        "the server redirects (…)",
        "this server's GET /global/event",
        "… redirects endlessly; check",
    ),
    "asking anew is any request": (
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
"""Why no program follows the advice of some messages, each by its first words."""
