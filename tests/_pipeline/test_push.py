"""The push reader, `Decoder`: what it takes, and how it ends if the caller knows that the answer is over."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream, tap, testing
from tokenstream.errors import MisuseError, ProviderError, StreamTruncated
from tokenstream.events import Event, TextDelta, ToolCallDelta, ToolCallDone

LINE = 'create.return_value = testing.script().text("Hi").finish().chunks("openai-chat")'


def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]})


def frame(payload: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


HI = chunk({"role": "assistant", "content": "Hi"})


# -- what it takes -----------------------------------------------------------------


class Attributes:
    """An object of a test's own, as smolagents and others make them."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
        self._private = self


@dataclass
class Delta:
    """A part of a chunk as a dataclass."""

    content: str
    tool_calls: None = None


class Reason(StrEnum):
    STOP = "stop"


@dataclass
class Choice:
    delta: Any
    finish_reason: Reason | None = None
    index: int = 0


def as_sdk(payload: dict[str, Any]) -> Any:
    openai = pytest.importorskip("openai")
    return openai.types.chat.ChatCompletionChunk.model_validate(
        {"created": 1, "object": "chat.completion.chunk", **payload}
    )


def as_attributes(kind: Callable[..., Any], payload: Any) -> Any:
    if isinstance(payload, dict):
        return kind(**{name: as_attributes(kind, value) for name, value in payload.items()})
    return [as_attributes(kind, each) for each in payload] if isinstance(payload, list) else payload


FORMS: list[Callable[[dict[str, Any]], Any]] = [
    frame,
    lambda payload: bytearray(frame(payload)),
    lambda payload: memoryview(frame(payload)),
    lambda payload: frame(payload).decode(),
    dict,
    OrderedDict,
    as_sdk,
    lambda payload: as_attributes(SimpleNamespace, payload),
    lambda payload: as_attributes(Attributes, payload),
]


@in_one_test("form", FORMS)
def test_a_chunk_in_any_form_is_the_same_answer(form: Callable[[dict[str, Any]], Any]) -> None:
    """Bytes, text, dicts, an SDK's objects, objects with the same attributes; also in `Stream` and `tap`."""
    payloads = [HI, call('{"a"'), chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]})]
    payloads += [chunk({}, "tool_calls")]
    decoder = Decoder("openai-chat")
    events = [event for payload in payloads for event in decoder.feed(form(payload))]
    decoder.end()
    decoder.check()
    message = decoder.message

    assert ["Hi"] == [event.text for event in events if isinstance(event, TextDelta)]
    assert {"f"} == {event.name for event in events if isinstance(event, ToolCallDelta)}
    assert [{"a": 1}] == [event.call.arguments for event in events if isinstance(event, ToolCallDone)]
    assert ("Hi", "complete", "tool_calls") == (message.text, message.ending, message.finish_reason)
    streamed = Stream([form(payload) for payload in payloads], format="openai-chat").final()
    assert message == streamed
    tapped = tap([form(payload) for payload in payloads], format="openai-chat")
    assert len(payloads) == len([*tapped])
    assert message == tapped.message


def test_objects_of_several_kinds_may_be_within_each_other() -> None:
    decoder = Decoder("openai-chat")
    decoder.feed(SimpleNamespace(choices=[Choice(Delta("Hi"))], usage=None))
    decoder.feed(Attributes(choices=[Choice(SimpleNamespace(content="!"), Reason.STOP)]))
    decoder.end()

    assert ("Hi!", "complete", "stop") == (
        decoder.message.text,
        decoder.message.ending,
        decoder.message.finish_reason,
    )


def test_a_dict_is_the_events_own_payload() -> None:
    assert [True] * 3 == [event.raw is HI for event in Decoder("openai-chat").feed(HI)]


@in_one_test("item", [None, 3, [HI], object(), SimpleNamespace])
def test_anything_else_is_a_mistake(item: object) -> None:
    with pytest.raises(MisuseError, match="is not a piece of a body"):
        Decoder("openai-chat").feed(item)


@in_one_test("mock", [Mock(), MagicMock(choices=[MagicMock(delta=MagicMock(content="x"))])])
def test_the_error_of_a_mock_says_what_a_test_writes_instead(mock: Any) -> None:
    """A mock has any attribute, so that nothing of it can be read; the line is a whole answer."""
    for read in (lambda: Decoder("openai-chat").feed(mock), lambda: Stream([mock]).final()):
        with pytest.raises(MisuseError) as caught:
            read()
        assert LINE in str(caught.value)
    create = MagicMock()
    exec(LINE, {"create": create, "testing": testing})

    assert "Hi" == Stream(create(model="m", stream=True)).final().text


@in_one_test("form", [str, bytes, json.loads])
def test_messages_of_a_websocket_are_fed_one_by_one(form: Callable[..., Any]) -> None:
    recording = testing.script().text("Hi").finish().chunks("openai-realtime")
    decoder = Decoder("openai-realtime")
    for message in recording:
        payload = message.removeprefix(b"data: ").strip()
        decoder.feed(payload.decode() if form is str else form(payload))
    decoder.end()
    decoder.check()

    assert "Hi" == decoder.message.text


# -- the end -------------------------------------------------------------------------

CUT, WHOLE, FAILED = "truncated", "complete", "failed"
TEXT = {"type": "text", "text": ""}
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"Hi'
ANTHROPIC = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "model": "c"}},
    {"type": "content_block_start", "index": 0, "content_block": TEXT},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
]
RESPONSES = [
    {"type": "response.created", "response": {"id": "r"}},
    {
        "type": "response.output_text.delta",
        "item_id": "i",
        "output_index": 0,
        "content_index": 0,
        "delta": "Hi",
    },
]
GEMINI = [{"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}]}]
AG_UI = [
    {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
    {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Hi"},
]
OWN = testing.script().text("Hi").finish().chunks("tokenstream")
ENDS: dict[str, tuple[str, list[Any], str, str, int]] = {
    # what is fed: the format, the chunks, the ending as ever, that if the caller knows the end, the calls
    "text": ("openai-chat", [HI], CUT, WHOLE, 0),
    "text and a reason": ("openai-chat", [HI, chunk({}, "stop")], WHOLE, WHOLE, 0),
    "nothing": ("openai-chat", [], CUT, CUT, 0),
    "only the role": ("openai-chat", [chunk({"role": "assistant"})], CUT, CUT, 0),
    "only reasoning": ("openai-chat", [chunk({"reasoning_content": "hm"})], CUT, CUT, 0),
    "a whole call": ("openai-chat", [call('{"a": 1}')], CUT, WHOLE, 1),
    "a call with an empty object": ("openai-chat", [call("{}")], CUT, WHOLE, 1),
    "a call without arguments": ("openai-chat", [call("")], CUT, WHOLE, 1),
    "half of a call's arguments": ("openai-chat", [call('{"a": ')], CUT, CUT, 0),
    "half a frame": ("openai-chat", [HALF], CUT, CUT, 0),
    "half a frame behind text": ("openai-chat", [frame(HI), HALF], CUT, CUT, 0),
    "a last frame without its blank line": ("openai-chat", [frame(HI)[:-2]], CUT, WHOLE, 0),
    "text, then an error": ("openai-chat", [HI, {"error": {"message": "boom"}}], FAILED, FAILED, 0),
    "open parts of Anthropic": ("anthropic", ANTHROPIC, CUT, CUT, 0),
    "open parts of Responses": ("openai-responses", RESPONSES, CUT, CUT, 0),
    "Gemini's text without a reason": ("gemini", GEMINI, CUT, WHOLE, 0),
    "AG-UI": ("ag-ui", AG_UI, CUT, CUT, 0),
    "tokenstream's own format": ("tokenstream", OWN[:-1], CUT, CUT, 0),
}


@in_one_test("name", ENDS)
def test_an_end_that_the_caller_knows_stands_for_the_mark_of_the_server(name: str) -> None:
    format, chunks, usual, told, calls = ENDS[name]

    for is_told, ending in ((False, usual), (True, told)):
        decoder = Decoder(format)  # type: ignore[arg-type] # names of the table
        events: list[Event] = []
        for each in chunks:
            events += decoder.feed(each)
        events += decoder.end(complete=is_told)
        handed_out = len([event for event in events if isinstance(event, ToolCallDone)])
        error = {CUT: StreamTruncated, FAILED: ProviderError}.get(ending, type(None))

        assert (ending, error) == (decoder.message.ending, type(decoder.error))
        assert calls * (ending == WHOLE) == handed_out
        has_reason = decoder.message.finish_reason is not None
        if is_told and ending == WHOLE:
            assert has_reason is not ("finish_missing" in decoder.departures)


def test_no_reason_is_invented() -> None:
    decoder = Decoder("openai-chat")
    decoder.feed(HI)
    decoder.end(complete=True)
    decoder.check()

    assert (None, "complete") == (decoder.message.finish_reason, decoder.message.ending)


def test_the_hosts_exception_passes_untouched() -> None:
    class OwnError(Exception): ...

    def source() -> Any:
        yield HI
        raise OwnError

    decoder = Decoder("openai-chat")
    with pytest.raises(OwnError):
        for each in source():
            decoder.feed(each)
    before = decoder.message.ending
    decoder.end()

    assert ("streaming", "truncated", "Hi") == (before, decoder.message.ending, decoder.message.text)
