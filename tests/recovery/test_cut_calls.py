"""Behind a text, a call that was cut and that nobody was given is left out, and the model makes it again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.recovery.continuing import last_words
from tests.recovery.unseen import Harbour, Teller, read
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Message, Retry, Router, Seam, Stream, Tags, connect, relay, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamError, StreamInterrupted
from tokenstream.events import Restarted, Resumed, ToolCallDone, ToolCallStart

AUTO = Retry(wait=0)
TEXT = "I look for the boat with the two red sails. "
REST = "It is somewhere in the north. "
CALL = '{"boat": "the red one", "knots": 7}'
FORMATS = ["openai-chat", "anthropic", "openai-responses", "gemini"]


def _call_of(script: Any, id: str) -> Any:
    return script.tool_call("find", (CALL[:8], CALL[8:20], CALL[20:]), id=id)


def answer(format: str, text: str, id: str = "call_1") -> list[bytes]:
    """Return the chunks of an answer with a text, or none, and a call whose arguments come in pieces."""
    script = testing.script().text(*text.replace(" ", " \0").split("\0")) if text else testing.script()
    chunks: list[bytes] = _call_of(script, id).finish("tool_calls").chunks(format)
    if format != "gemini":
        return chunks
    # Gemini sends the arguments in pieces if the request asks for that.
    place = next(number for number, chunk in enumerate(chunks) if b"functionCall" in chunk)
    starts: list[dict[str, Any]] = [
        {"name": "find", "id": id, "willContinue": True},
        {
            "partialArgs": [{"jsonPath": "$.boat", "stringValue": "the ", "willContinue": True}],
            "willContinue": True,
        },
        {"partialArgs": [{"jsonPath": "$.boat", "stringValue": "red one"}], "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.knots", "numberValue": 7}], "willContinue": True},
        {},
    ]
    pieces = [
        sse({"candidates": [{"content": {"role": "model", "parts": [{"functionCall": start}]}, "index": 0}]})
        for start in starts
    ]
    return [*chunks[:place], *pieces, *chunks[place + 1 :]]


REPLIES: dict[str, Callable[[str], str]] = {
    "the call at once": lambda _: "",
    "the last words, then the call": last_words,
    "the last words and more text, then the call": lambda given: last_words(given) + " " + REST,
}
NO_CALL: dict[str, Callable[[str], str]] = {
    "the last words alone": last_words,
    "prose in place of the call": lambda given: last_words(given) + " It is in the north, at 7 knots.",
    "nothing": lambda _: "",
    "another call": last_words,
}
OTHERS: dict[str, Callable[[str], str]] = {
    **REPLIES,
    **NO_CALL,
    "another text": lambda _: "The boats are all at sea. ",
}
"""The text before the call in the continuation, by what the model does."""


@dataclass
class Caller(Harbour):
    """A provider whose first answer breaks off in its call, and which then makes the call in one of its ways.

    Args:
        reply: What it does, as in `REPLIES`.
    """

    reply: str = "the call at once"

    def choose(self, number: int, given: str) -> list[bytes]:
        """Return the answer, its continuation, or the answer again."""
        if not given:
            return answer(self.format, TEXT, f"call_{number}")
        text = OTHERS[self.reply](given)
        if self.reply not in NO_CALL:
            return answer(self.format, text, "c2")
        script: Any = testing.script().text(text)
        if self.reply == "another call":
            script = script.tool_call("list_boats", {}, id="c2")
        chunks: list[bytes] = script.finish("stop").chunks(self.format)
        return chunks


def cuts(format: str) -> list[int]:
    """Return the numbers of chunks at which the answer breaks off with an open call."""
    chunks, found = answer(format, TEXT), list[int]()
    for cut in range(1, len(chunks)):
        stream = Stream(chunks[:cut], format=cast("Any", format))
        with suppress(StreamError):
            stream.final()
        found += [cut] * any(not call.complete for call in stream.message.tool_calls)
    return found


def ran(stream: Any) -> Iterator[Any]:
    """Run the calls with a router, and return the arguments with which the tool ran."""
    runs = list[Any]()
    stream.run(_router(runs))
    yield from runs


async def ran_async(stream: Any) -> AsyncIterator[Any]:
    runs = list[Any]()
    await stream.run(_router(runs))
    for run in runs:
        yield run


def _router(runs: list[Any]) -> Router:
    router = Router()

    @router.tool
    def find(boat: str, knots: int) -> str:
        """Find a boat."""
        runs.append({"boat": boat, "knots": knots})
        return "There."

    return router


def find(boat: str, knots: int) -> str:
    """Find a boat."""
    return f"{boat} {knots}"


VIEWS: dict[str, Callable[[Any], Any]] = {
    "events": lambda stream: stream,
    "text": lambda stream: stream.text,
    "deltas": lambda stream: stream.deltas,
    "tool_calls": lambda stream: stream.tool_calls,
    "validated_calls": lambda stream: stream.validated_calls(find),
    "tool_partials": lambda stream: stream.tool_partials(find),
    "run": lambda stream: ran(stream) if isinstance(stream, Stream) else ran_async(stream),
    "final": lambda _: None,
}


def calls_in(view: str, items: list[Any]) -> list[Any]:
    """Return the arguments of the calls that a program was given to run; None for a view without calls."""
    if view == "tool_partials":
        items = [draft.call for draft in items if draft.call is not None]
    elif view == "events":
        items = [event.call for event in items if isinstance(event, ToolCallDone)]
    return items if view == "run" else [call.arguments for call in items]


@in_one_test("reply", [*REPLIES, *NO_CALL])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_answer_has_the_call_once(format: str, view: str, reply: str) -> None:
    """A continuation without the call that was cut is refused, and the whole answer asked for."""
    modes = ("start", "continue", *["restart"] * (reply in NO_CALL))
    for cut in (places := cuts(format)):
        for world in ["sync", "asyncio", "trio"] if cut == places[1] else ["sync"]:
            seen = read(Caller(format, "", cut, reply=reply), AUTO, VIEWS[view], world)
            place = (cut, world, seen.notes)

            assert (None, modes) == (seen.error, seen.modes), place
            text = TEXT + (REST if "more" in reply else "")
            assert text == seen.message.text, place
            assert [json.loads(CALL)] == [call.arguments for call in seen.message.tool_calls], place
            assert all(part.complete for part in seen.message.parts), place
            if view in ("text", "deltas"):
                assert text == "".join(getattr(item, "text", item) for item in seen.items), place
            elif view != "final":
                assert [json.loads(CALL)] == calls_in(view, seen.items), place
            if view == "events":
                told = [event.discarded for event in seen.items if isinstance(event, Resumed | Restarted)]
                given_up = [getattr(each, "tool_calls", each) for each in told]
                begun = [event.id for event in seen.items if isinstance(event, ToolCallStart)]
                cut_off = [(call.id, call.complete) for (call,) in filter(None, given_up)]
                assert [(id, False) for id in begun[:-1]] == cut_off, place
                assert message_of(seen.items).parts == seen.message.parts, place


def message_of(events: list[Any]) -> Message:
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    return accumulator.message


def test_text_that_does_not_join_is_not_shown() -> None:
    """A model that says something else, and then makes the call, may have begun anew."""
    harbour = Caller("openai-chat", "", cuts("openai-chat")[1], reply="another text")
    seen = read(harbour, AUTO, VIEWS["text"])

    assert (TEXT, TEXT) == ("".join(seen.items), seen.message.text)
    assert isinstance(seen.error, StreamInterrupted)
    assert ("start", "continue", "continue") == seen.modes
    assert [False] == [call.complete for call in seen.message.tool_calls]


@pytest.mark.parametrize("reply", NO_CALL)
@pytest.mark.parametrize("view", VIEWS)
def test_without_the_call_the_answer_is_no_whole_one(view: str, reply: str) -> None:
    """No option takes such a continuation."""
    retry = Retry(wait=0, attempts=2, seam=Seam(least=0))
    seen = read(Caller("anthropic", "", cuts("anthropic")[2], reply=reply), retry, VIEWS[view])

    assert isinstance(seen.error, StreamInterrupted)
    assert ("truncated", TEXT) == (seen.message.ending, seen.message.text)
    assert "the model has not made the call again" in seen.notes
    assert "least" not in seen.notes


@pytest.mark.parametrize("view", ["text", "events"])
def test_an_answer_with_a_whole_call_before_the_cut_one_is_not_continued(view: str) -> None:
    script = testing.script().text(TEXT).tool_call("find", {"boat": "this", "knots": 1}, id="c0")
    body = _call_of(script, "c1").chunks("anthropic")[:-2]
    seen = read(Teller(lambda *_: body, "anthropic", len(body)), AUTO, VIEWS[view])

    assert ("start",) == seen.modes
    assert "it has a tool call" in seen.notes


@pytest.mark.parametrize("view", ["events", "tool_partials", "tool_calls"])
@pytest.mark.parametrize("reply", REPLIES)
def test_a_reader_behind_a_relay_has_the_same(view: str, reply: str) -> None:
    caller = Caller("anthropic", "", cuts("anthropic")[3], reply=reply)
    with connect(caller.url, json=caller.payload, client=caller.client(is_async=False), retry=AUTO) as stream:
        body = list(relay.encode(stream))
    read_back = Stream(body, format="tokenstream")
    items = list(VIEWS[view](read_back))

    assert read_back.message.parts == stream.message.parts
    assert [json.loads(CALL)] == calls_in(view, items)


def test_a_call_written_as_text_is_made_again_as_well() -> None:
    """Text of a server that leaves calls in it is read the same on each connection."""
    whole = [TEXT, '<tool_call>{"name": "find", "arg', f'uments": {CALL}}}</tool', "_call>"]

    def tell(number: int, given: str) -> list[bytes]:
        pieces = whole if number == 1 else [last_words(given), *whole[1:]]
        chunks: list[bytes] = testing.script().text(*pieces).finish("stop").chunks("openai-chat")
        return chunks

    harbour = Teller(tell, "openai-chat", 4)
    client = harbour.client(is_async=False)
    with connect(
        harbour.url, json=harbour.payload, client=client, retry=AUTO, tags=Tags(calls=True)
    ) as stream:
        text = "".join(stream.text)

    assert TEXT.strip() == text.strip()
    assert [json.loads(CALL)] == [call.arguments for call in stream.message.tool_calls]
