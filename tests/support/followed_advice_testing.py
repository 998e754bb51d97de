"""Advice of `tokenstream.testing`, each with a mistake in a test and the test as the message says it."""

# Type checkers find most of the mistakes, too.
# mypy: disable-error-code="arg-type, func-returns-value"

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.followed_advice import FEW, HELLO, URL, Recipe
from tokenstream import Deadlines, Stream, testing
from tokenstream.errors import StatusError, StreamError, StreamStalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.followed_advice import Program
    from tokenstream.testing.faults import Fault

LINES = testing.Recording.of([b'{"a": 1}\n', b'{"a": 2}\n'], name="lines")
ENDLESS = testing.script().text("Hel").recording("openai-chat").replaced(breaks="stall")
PICTURE = testing.script().text("Look: ").media(b"PNG", "image/png").finish("stop")
DOCUMENT = '{"a.b": [{"title": "Soup"}]}'


class Shown:
    """A value of an application, without an `__eq__`."""

    def __init__(self, text: str) -> None:
        self.text = text


@dataclass
class Equal:
    """The same value with an `__eq__`."""

    text: str


def check(value: object, expected: object) -> None:
    assert value == expected


def shown(kind: Callable[[str], Any]) -> Any:
    said = HELLO.recording("openai-chat")
    return testing.assert_stream(lambda stream: kind(stream.final().text), said, cuts=FEW)


def broken(recording: testing.Recording) -> object:
    with recording.with_fault(testing.faults.error_event(kind="overloaded")).stream() as stream:
        try:
            return stream.final()
        except StreamError as error:
            return error.kind


def recorded(**options: Any) -> testing.Recording:
    with tempfile.TemporaryDirectory() as folder, httpx.Client(transport=testing.transport(HELLO)) as client:
        testing.record(client, f"{folder}/answer.rec", **options)
        client.post(URL, json={})
        return testing.Recording.load(f"{folder}/answer.rec")


def stalled(**options: Any) -> object:
    with ENDLESS.stream(**options) as stream:
        try:
            return stream.final()
        except StreamStalled as error:
            return error.limit


def timed_out(timeout: float | None) -> bool:
    transport = testing.transport(ENDLESS)
    with httpx.Client(transport=transport, timeout=timeout) as client:
        try:
            client.post(URL)
        except httpx.ReadTimeout:
            return True
    return False


def serve_stopped() -> object:
    return testing.serve(HELLO).url


def serve_running() -> None:
    with testing.serve(HELLO) as server:
        check(httpx.post(f"{server.url}/v1/chat/completions", json={}).status_code, 200)
    started = testing.serve(HELLO)
    started.start()
    try:
        check(httpx.post(f"{started.url}/v1/chat/completions", json={}).status_code, 200)
    finally:
        started.stop()


def posted(url: str, **options: Any) -> str:
    transport = testing.transport(HELLO, **options)
    with httpx.Client(transport=transport) as client, client.stream("POST", url, json={}) as response:
        return Stream(response).final().text


def played(**options: Any) -> bytes:
    with LINES.process(fault=testing.faults.stall(at=9), **options) as agent:
        line = agent.stdout.readline()
        agent.kill()
        return line + agent.stdout.read()


def titles(*at: str | int) -> list[Any]:
    return [item.title for item in Stream([DOCUMENT], format="pieces").items(Recipe, at=at)]


def text_with(fault: Fault) -> str:
    with HELLO.stream(fault=fault) as stream:
        return stream.final().text


def status(code: int) -> object:
    try:
        return text_with(testing.faults.status(code))
    except StatusError as error:
        return error.status


def counted(tokens: int) -> Any:
    return testing.script().text("a").usage(input_tokens=tokens).finish("stop").stream().final().usage


def quiet(seconds: float, rate: float = 2) -> object:
    script = testing.script(rate=rate).text("Hel").silence(seconds).text("lo").finish("stop")
    with script.stream(pace="recorded") as stream:
        return stream.final().text


def call_named(name: str) -> object:
    return testing.script().tool_call(name, {"n": 1}).finish("tool_calls").message.tool_calls[0].name


def finished(word: Any) -> object:
    return testing.script().text("a").finish(word).stream().final().finish_reason


TESTING: dict[str, tuple[Program, Program]] = {
    "the format of … cannot be detected": (
        lambda: broken(LINES),
        lambda: check(broken(LINES.replaced(format="openai-chat")), "overloaded"),
    ),
    "the format … has no place for": (
        lambda: PICTURE.chunks("anthropic"),
        lambda: (
            check(PICTURE.stream("gemini").final().text, "Look: "),
            check(testing.script().text("Look: ").finish("stop").stream("anthropic").final().text, "Look: "),
        ),
    ),
    "the handler returned objects": (
        lambda: shown(Shown),
        lambda: (check(shown(str), "Hello"), check(shown(Equal).text, "Hello")),
    ),
    "the header … is never stored": (
        lambda: recorded(headers=("authorization", "x-region")),
        lambda: check(recorded(headers=("x-region",)).stream().final().text, "Hello"),
    ),
    "the path … does not determine": (
        lambda: posted("https://api.example/ask"),
        lambda: check(posted("https://api.example/ask", format="anthropic"), "Hello"),
    ),
    "the recording stalls for ever, and": (
        lambda: timed_out(None),
        lambda: (
            check(timed_out(5), True),
            check(stalled(deadlines=Deadlines(idle_content=5)), "idle_content"),
            check(played(clock=time.monotonic), b'{"a": 1}\n'),
        ),
    ),
    "the server is not running": (serve_stopped, serve_running),
    "… is not a step of a path": (lambda: titles("a.b", -1), lambda: check(titles("a.b"), ["Soup"])),
    "… is not a …: pass one of": (
        lambda: finished("max_tokens"),
        lambda: check(finished("length"), "length"),
    ),
    "… is not the status of an answer": (lambda: status(99), lambda: check(status(529), 529)),
    "… stalls for ever, and there": (
        lambda: text_with(testing.faults.stall(event=1) | testing.faults.heartbeat(15)),
        lambda: check(text_with(testing.faults.stall(40, event=1) | testing.faults.heartbeat(15)), "Hello"),
    ),
    "…=… is invalid: pass a number of": (lambda: counted(-1), lambda: check(counted(0).input_tokens, 0)),
    "…=… is invalid: pass a number,": (lambda: quiet(-1), lambda: check(quiet(0), "Hello")),
    "…=… is invalid: pass text": (lambda: call_named(""), lambda: check(call_named("find"), "find")),
}
"""First words of a message, a mistake that it answers, and what the message says to do."""
