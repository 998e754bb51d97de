"""Scripted answers, and running a router on them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tokenstream.events import Event
from tokenstream.message import Message, TextPart, ToolCall
from tokenstream.router import Router
from tokenstream.stages import ValidatedCalls


class Cursor:
    """A view that gives what is scripted: a list for what was missed, for each event, and for the end."""

    def __init__(self, missed: list[Any], live: list[list[Any]], end: list[Any]) -> None:
        self._now = list(missed)
        self._live = iter(live)
        self._end = list(end)
        self.describe: Any = None

    def use_store(self) -> None:
        """Go on as before: a scripted answer has no checkpoint."""

    def ready(self) -> Any:
        item = self._now.pop(0) if self._now else None
        if isinstance(item, Exception):
            raise item
        return item

    def after(self, event: Event) -> Any:
        self._now += next(self._live, [])
        return self.ready()

    def end(self) -> Any:
        self._now, self._end = self._now + self._end, []
        return self.ready()


class Choice:
    """The calls of a scripted answer, which are checked by the stage that checks all calls."""

    def __init__(self, calls: tuple[ToolCall, ...] = ()) -> None:
        self._calls = calls

    def router_calls(self, *tools: Any, lenient: Any) -> Cursor:
        checks = ValidatedCalls(*tools, lenient=lenient)
        return Cursor([], [checks.feed(call) for call in self._calls], [])


def run_on(router: Router, calls: tuple[ToolCall, ...] = ()) -> Any:
    return begin(router, Choice(calls))


def begin(router: Router, choice: Choice) -> Any:
    return router._begin(choice)  # noqa: SLF001 - as a stream does it


def done(run: Any, *events: Event) -> list[Any]:
    """Return what the handlers return, event by event."""
    return [[work.call() for work in run.feed(event)] for event in events]


def tool_call(id: str, name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id=id, name=name, arguments_text=arguments, complete=True)


def message_of(text: str, ending: Any = "complete", *calls: ToolCall) -> Message:
    return Message(parts=(TextPart(text=text), *calls), ending=ending)


class City(BaseModel):
    """Arguments of a tool."""

    city: str


def takes_none() -> None:
    raise NotImplementedError


def takes_three(a: object, b: object, c: object) -> None:
    raise NotImplementedError


def kind(event: object) -> type:
    return type(event)
