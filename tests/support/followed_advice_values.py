"""Advice on sources, readers, types and paths: a mistake that it answers, and what the message says to do."""

# Type checkers find most of the mistakes, too.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, dict-item, func-returns-value"

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from tests.support.followed_advice import (
    CHUNKS,
    URL,
    asynchronous,
    called,
    check_calls,
    client,
    find,
    followed,
    hello,
    sent,
)
from tests.support.followed_advice_testing import check
from tests.support.wire import DONE, sse
from tokenstream import (
    AsyncStream,
    Retry,
    Route,
    Router,
    Steps,
    Stream,
    Tools,
    connect,
    relay,
    response_format,
    testing,
)
from tokenstream.events import TextDelta
from tokenstream.formats import custom

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.followed_advice import Program

PIECES = testing.script().text(*"Hello").finish("stop")
DELTA = {"choices": [{"delta": {"content": "Hello"}, "finish_reason": "stop"}]}
NAMED = sse({"t": "Hello"}, event="output") + sse({}, event="end")


class Find(pydantic.BaseModel):
    n: int


class Dish(pydantic.BaseModel):
    title: str


class Menu(pydantic.BaseModel):
    best: Dish | None = None
    note: str = ""


class Method(pydantic.BaseModel):
    steps: list[str]


class Prices(pydantic.BaseModel):
    prices: dict[str, int]


class Whole(pydantic.BaseModel):
    """An answer as the object of an SDK."""

    choices: list[Any]


def find_missing(n: Missing) -> object:  # type: ignore[name-defined]  # noqa: F821
    return n


def filtered(filters: dict[str, int]) -> dict[str, int]:
    return filters


def of_file(mode: str) -> str:
    """Read an answer from a file; "" passes its path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.sse"
        path.write_bytes(b"".join(CHUNKS))
        if not mode:
            return Stream(path).final().text
        with path.open(mode) as file:
            return Stream(file).final().text


def got(path: Callable[[Any], Any]) -> Any:
    script = testing.script().text('{"best": {"title": "Soup"}, "note": "New"}').finish("stop")
    return [each.get(path) for each in script.stream().partials(Menu)][-1]


def text_in(events: Any) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def share_in_turn(*, closing: bool = False, zipped: bool = False, **options: Any) -> str:
    with PIECES.stream() as stream:
        hub = stream.broadcast(size=2, **options)
        first, second = hub.reader(), hub.reader()
        if zipped:
            return text_in(event for event, _ in zip(first, second, strict=True))
        next(iter(second))
        if closing:
            second.close()
        return text_in(first)


def fall_behind(size: int, *, view: bool = False) -> str:
    with PIECES.stream() as stream:
        hub = stream.broadcast(size=size, policy="raise")
        first, second = hub.reader(), hub.reader()
        events = iter(second)
        next(events)
        check(text_in(first), "Hello")
        return "".join(second.text) if view else text_in(events)


def read_closed(*, again: bool) -> str:
    with PIECES.stream() as stream:
        hub = stream.broadcast()
        reader = hub.reader()
        reader.close()
        return text_in(hub.reader() if again else reader)


def read_response(*, twice: bool = False) -> str:
    with client() as http, http.stream("POST", URL, json={}) as response:
        if twice:
            check(b"".join(response.iter_raw()), b"".join(CHUNKS))
        return Stream(response).final().text


async def read_sync_response() -> object:
    with client() as http, http.stream("POST", URL, json={}) as response:
        return await AsyncStream(response).final()


def run_of(items: list[Any]) -> object:
    with Steps() as run:
        return [*run.follow(items)]


def custom_text(payload: Any, **options: Any) -> str:
    return Stream([payload], format=custom(**options)).final().text


def priced(**options: Any) -> str:
    route = Route(URL, json={"model": "mine", "messages": []}, client=client(), **options)
    with connect(route, retry=Retry(most=1.0)) as stream:
        return stream.final().text


VALUES: dict[str, tuple[Program, Program]] = {
    "the file is closed, or": (
        lambda: of_file("ab"),
        lambda: (check(of_file("rb"), "Hello"), check(of_file(""), "Hello")),
    ),
    "the function of the path tests": (
        lambda: got(lambda menu: menu.note if menu.best else None),
        lambda: (
            check(got(lambda menu: menu.best.title if menu.best else None), "Soup"),
            check(got(lambda menu: menu.note), "New"),
        ),
    ),
    "… of … cannot be part of a path": (
        lambda: got(lambda menu: menu.note + "!"),
        lambda: check(got(lambda menu: menu.note) + "!", "New!"),
    ),
    "the parameters of … cannot be read": (
        lambda: check_calls(called(), find=find_missing),
        lambda: check(check_calls(called(), find=Find), [Find(n=1)]),
    ),
    "the payload has a key that is not text": (
        lambda: Stream([{1: "a", **DELTA}]).final(),
        lambda: check(Stream([{"1": "a", **DELTA}]).final().text, "Hello"),
    ),
    "the queue of … events is full": (
        share_in_turn,
        lambda: (
            check(share_in_turn(zipped=True), "Hello"),
            check(share_in_turn(closing=True), "Hello"),
            check(share_in_turn(policy="drop_oldest"), "Hello"),
        ),
    ),
    "… fell … events behind": (
        lambda: fall_behind(2),
        lambda: (check(fall_behind(99), "Hello"), check(fall_behind(2, view=True), "Hello")),
    ),
    "this reader was closed: ask": (
        lambda: read_closed(again=False),
        lambda: check(read_closed(again=True), "Hello"),
    ),
    "the response is asynchronous: read it": (
        lambda: asynchronous(partial(sent, Stream)),
        lambda: check(asynchronous(partial(sent, AsyncStream)).text, "Hello"),
    ),
    "the response is not asynchronous": (
        lambda: asynchronous(read_sync_response),
        lambda: check(read_response(), "Hello"),
    ),
    "the response was already read or closed (…); pass": (
        lambda: read_response(twice=True),
        lambda: check(read_response(), "Hello"),
    ),
    "what … sends are not": (
        lambda: [*relay.payloads(hello(), "text")],
        lambda: check(b"".join(relay.encode(hello(), "text")), sse("Hello") + DONE),
    ),
    "… is a piece of": (lambda: run_of([DELTA]), lambda: check(text_in(followed(Stream([DELTA]))), "Hello")),
    "… is a whole answer": (
        lambda: Stream(Whole(choices=[])),
        lambda: check(Stream([DELTA]).final().text, "Hello"),
    ),
    "… is not an object, and": (
        lambda: response_format(list[str]).to_openai_chat(),
        lambda: (
            response_format(Method).to_openai_chat(),
            check(
                [*testing.script().text('{"steps": ["a"]}').finish("stop").stream().items(str, at="steps")],
                ["a"],
            ),
        ),
    ),
    "… is not iterable: pass": (
        lambda: [*relay.encode(3, "text")],
        lambda: check(b"".join(relay.encode([*hello()], "text")), sse("Hello") + DONE),
    ),
    "…; describe it more precisely in": (
        lambda: response_format(Prices).to_openai_chat(),
        lambda: (
            check(Tools(Prices).to_openai_chat()[0]["function"]["name"], "Prices"),
            check(
                testing.script()
                .tool_call("Prices", {"prices": {"tea": 2}})
                .finish("tool_calls")
                .stream()
                .result(Prices, tool="Prices"),
                Prices(prices={"tea": 2}),
            ),
        ),
    ),
    "…; leave strict=True out, or": (
        lambda: Tools(filtered).to_openai_chat(strict=True),
        lambda: check("strict" in Tools(filtered).to_openai_chat()[0]["function"], False),
    ),
    "most= needs the price of": (priced, lambda: check(priced(price=lambda _: 0.01), "Hello")),
    "the tool … was given as a type, which has nothing to run: register the": (
        lambda: Router(Tools(find=Find)),
        lambda: (Router().tool("find")(find), check(Tools(find=find).functions(), {"find": find})),
    ),
    "…=… is not a path: put": (
        lambda: custom(text="choices[0].text"),
        lambda: check(custom_text({"choices": [{"text": "Hello"}]}, text="choices.0.text"), "Hello"),
    ),
    "…=…: give a dict": (
        lambda: custom(text="t", finish="end", finish_reasons="eos"),
        lambda: check(
            custom_text({"t": "Hello", "end": "eos"}, text="t", finish="end", finish_reasons={"eos": "stop"}),
            "Hello",
        ),
    ),
    "…=…: give the name of": (
        lambda: custom(text="t", event=""),
        lambda: (
            check(custom_text(NAMED, text="t", event="output", end="end"), "Hello"),
            check(custom_text(NAMED, text="t", event=["output"], end="end"), "Hello"),
        ),
    ),
}
"""First words of a message, a mistake that it answers, and what the message says to do."""
