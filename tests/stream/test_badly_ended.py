"""A call that ended badly is the same in every view: a call with an error, and never one that runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from tests.support.chunkings import sized
from tests.support.either import Each, got, inside, run_in
from tokenstream import AsyncStream, Router, Stream, Tags, Tools, relay, testing
from tokenstream.errors import InvalidJSON, OutputInvalid, TokenStreamError
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    PartDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import ToolCall

TEXTS = {"JSON": '{"a": 1}', "prefix": '{"a": 1', "none": ""}
ENDS = ["done", "part", "open"]
"""The call has an end as a call, or as a part, or none."""
CASES = list(product(ENDS, [True, False], TEXTS, ["f", "unknown"]))


class Bank:
    """Has a tool that counts its runs."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.tools = Tools(self.f)

    def f(self, a: int = 0) -> str:
        """Do it."""
        self.ran.append(a)
        return "ok"


def events_of(end: str, complete: bool, text: str, name: str) -> list[Event]:
    call = ToolCall(id="c", name=name, arguments_text=TEXTS[text], complete=complete)
    events: list[Event] = [MessageStart("m"), ToolCallStart("c", name)]
    if TEXTS[text]:
        events += [ToolCallDelta("c", piece) for piece in (TEXTS[text][:3], TEXTS[text][3:])]
    ends: dict[str, list[Event]] = {"done": [ToolCallDone(call)], "part": [PartDone(call)], "open": []}
    return [*events, *ends[end], Finish("tool_calls")]


def body_of(events: list[Event]) -> bytes:
    """Return the events as a relay sends them in its own format."""
    return b"".join(relay.encode(events, "tokenstream"))


async def read_events(stream: Any, _: Bank) -> Any:
    found: list[Any] = []
    async for event in Each(stream):
        if isinstance(event, ToolCallDelta):
            found.append(event.partial_arguments)
        elif isinstance(event, ToolCallDone):
            found.append(event.call.arguments)
    return found


async def _list(view: Any) -> list[Any]:
    return [each async for each in Each(view)]


async def _drafted(stream: Any, bank: Bank) -> list[Any]:
    return [each.call for each in await _list(stream.tool_partials(bank.tools)) if each.call]


async def _arguments(stream: Any, _: Bank) -> list[Any]:
    return [call.arguments for call in (await got(stream.final())).tool_calls]


async def _turns(stream: Any, _: Bank) -> Any:
    return (await got(stream.final())).to_openai_chat(drop="all")


VIEWS: dict[str, Callable[[Any, Bank], Any]] = {
    "events": read_events,
    "tool_calls": lambda stream, _: _list(stream.tool_calls),
    "validated_calls": lambda stream, bank: _list(stream.validated_calls(bank.tools)),
    "lenient": lambda stream, bank: _list(stream.validated_calls(bank.tools, lenient=True)),
    "closed": lambda stream, bank: _list(stream.validated_calls(bank.tools, lenient="closed")),
    "when_complete": lambda stream, bank: _list(stream.validated_calls(bank.tools).when_complete()),
    "tool_partials": _drafted,
    "run": lambda stream, bank: got(stream.run(Router(bank.tools))),
    "arguments": _arguments,
    "turns": _turns,
}


CHECKED = {"validated_calls", "closed", "lenient", "when_complete", "tool_partials"}
"""The views whose calls are checked."""


def look_at(chunks: list[bytes], view: str, bank: Bank, *, is_async: bool, **options: Any) -> Any:
    """Return what a view gives: a value, or the library's own error."""

    async def main() -> Any:
        async with inside((AsyncStream if is_async else Stream)(chunks, **options)) as stream:
            return await VIEWS[view](stream, bank)

    try:
        return run_in("asyncio" if is_async else "sync", main)
    except TokenStreamError as error:
        return error


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [99, 10_000])
def test_every_call_is_a_value_or_an_error_of_the_library_in_every_view(
    view: str, size: int, is_async: bool
) -> None:
    for case in CASES:
        end, complete, text, name = case
        bank = Bank()
        chunks = sized(body_of(events_of(*case)), size)
        seen = look_at(chunks, view, bank, is_async=is_async)
        is_whole = end != "open" and complete and text != "prefix" and name == "f"
        # Lenient reading adds an end, if the model itself has ended the answer.
        is_mended = view == "lenient" and (text, name, complete) == ("prefix", "f", False)

        assert bool(bank.ran) == (is_whole and view == "run"), case
        if view not in CHECKED or (end == "open" and isinstance(seen, TokenStreamError)):
            continue
        assert [is_whole or is_mended] * (end != "open") == [call.error is None for call in seen], case
        assert [call.error is None for call in seen] == [call.error_for_model == "" for call in seen], case


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("lenient", [False, "closed", True])
def test_a_call_that_ended_badly_cannot_be_run(lenient: Any, is_async: bool) -> None:
    for text in ("JSON", "none"):
        bank = Bank()
        view = {False: "validated_calls", "closed": "closed", True: "lenient"}[lenient]
        body = body_of(events_of("part", False, text, "f"))
        (call,) = look_at([body], view, bank, is_async=is_async)

        assert type(call.error) is OutputInvalid
        assert (
            call.error_for_model == "The call of f is not whole. Call f again, and write nothing else in it."
        )
        assert TEXTS[text] == call.error.text == call.arguments_text
        with pytest.raises(OutputInvalid, match=r"has ended with other text than its end"):
            call.run()
        assert [] == bank.ran


def _look(chunks: list[bytes], bank: Bank, is_async: bool, options: dict[str, Any], view: str) -> Any:
    return look_at(chunks, view, bank, is_async=is_async, **options)


BROKEN = {
    "a list without its end": '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}} and so on',
    "an object without its end": '[TOOL_CALLS] {"name": "f", "arguments": {"a": 1}, so on',
    "llama": '<|python_tag|>{"name": "f", "parameters": {"a": 1} - yes',
    "strange members": '<tool_call>{"name": "f", "a": 1}</tool_call>',
    "within the markup": '<tool_call>{"name": "f", "arguments": {"a": 1}} - yes</tool_call>',
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_call_in_the_text_whose_markup_is_broken_has_an_error(broken: str, is_async: bool) -> None:
    body = b"".join(testing.script().text(BROKEN[broken]).finish("stop").chunks("openai-chat"))
    with Stream([body], tags=Tags(calls=True)) as stream:
        passed_on = b"".join(relay.encode(stream, "tokenstream"))
    for sent, options in ((body, {"tags": Tags(calls=True)}), (passed_on, {})):
        for chunks in ([sent], sized(sent, 99)):
            bank = Bank()
            look: Callable[[str], Any] = partial(_look, chunks, bank, is_async, options)
            (call,) = look("validated_calls")
            (drafted,) = look("tool_partials")
            results = look("run")

            assert type(call.error) in (OutputInvalid, InvalidJSON)
            assert call.error_for_model == drafted.error_for_model == results["call_0"]
            assert {"call_0"} == results.errors
            assert [] == look("tool_calls")
            assert [] == bank.ran
