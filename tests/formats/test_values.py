"""Values in other clothes: bytes in base64, indexes that are no int, arguments that are no text, counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.calls import payloads_in
from tests.formats.told import tell
from tests.support import registry
from tests.support.recordings import frames_of
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Decoder, Stream, testing
from tokenstream.errors import ProtocolError
from tokenstream.formats import custom
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.message import MediaPart


@in_one_test(
    ("written", "expected"),
    [
        ("+/8=", b"\xfb\xff"),
        ("-_8=", b"\xfb\xff"),
        ("-_8", b"\xfb\xff"),
        ("", b""),
        ("a", None),
        ("%%", None),
        ("AA AA", None),
        ("é", None),
    ],
)
def test_base64_is_read_in_either_alphabet(written: str, expected: bytes | None) -> None:
    """Padded or not; an image that is none is carried as it came."""
    message = {"role": "assistant", "images": [written]}
    [image] = Stream([{"model": "m", "message": message, "done": True}], format="ollama").final().parts

    assert expected == (image.data if isinstance(image, MediaPart) else None)


def _called(arguments: Any) -> str:
    part = {"functionCall": {"name": "f", "args": arguments}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    [call] = Stream([{"candidates": [candidate]}], format="gemini").final().tool_calls
    return call.arguments_text


def test_values_are_written_as_json() -> None:
    assert '{"a": ["é", null]}' == _called({"a": ["é", None]})


ODD = {"a": {1}}


def _tool_use(arguments: Any) -> dict[str, Any]:
    tool = {"toolUseId": "t", "name": "f", "input": arguments}
    return {"output": {"message": {"content": [{"toolUse": tool}]}}, "stopReason": "tool_use"}


@in_one_test(
    ("format", "payload"),
    [
        ("gemini", {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": ODD}}]}}]}),
        ("ollama", {"message": {"tool_calls": [{"function": {"name": "f", "arguments": ODD}}]}}),
        ("bedrock-converse", _tool_use(ODD)),
        ("cohere", {"event_type": "tool-calls-generation", "tool_calls": [{"name": "f", "parameters": ODD}]}),
        ("ui-message", {"type": "tool-input-available", "toolCallId": "c", "toolName": "f", "input": ODD}),
        (custom(text="text", finish="stop"), {"stop": ODD}),
    ],
)
def test_what_is_no_json_is_an_error_of_ours(format: Any, payload: dict[str, Any]) -> None:
    """An SDK of somebody else may hand over Python's own objects; no call is handed out with them."""
    stream = Stream([payload], format=format)
    with pytest.raises(ProtocolError, match=r"not JSON values|too deeply"):
        stream.final()

    assert not any(call.complete for call in stream.message.tool_calls)


@in_one_test("bad", [b"{", b'{"choices": [}', b"[{}]", b"<html>", b"a few words"])
@in_one_test("name", [name for name in testing.all_formats if name != "text"])
def test_a_payload_that_is_no_json_object_is_an_error(name: str, bad: bytes) -> None:
    """Before the text and after it, with what had come; the error has the number of the frame."""
    frames = frames_of(b"".join(testing.script().text("Hel", "lo", "!").finish("stop").chunks(name)))
    for place in range(1, len(frames) - 1):
        told = tell(registry.create(name, limits=DEFAULT_LIMITS), *frames[:place], bad, *frames[place:])

        assert isinstance(told.error, ProtocolError)
        assert place + 1 == told.error.event
        assert tell(registry.create(name, limits=DEFAULT_LIMITS), *frames[:place]).text == told.text


@pytest.mark.parametrize(
    ("details", "counts"),
    [
        ({"generated_tokens": 3, "input_length": "four", "text": "x"}, {"generated_tokens": 3}),
        ({"generated_tokens": None, "text": "x"}, {}),
    ],
)
def test_counts_among_other_fields_are_reported_with_the_fields_that_they_were_in(
    details: dict[str, Any], counts: dict[str, int]
) -> None:
    """What is no count is none of them; without any there is no report."""
    decoder = Decoder("tgi")
    token = {"id": 1, "text": "a", "special": False}
    decoder.feed(sse({"index": 1, "token": token, "details": {"finish_reason": "length", **details}}))
    usage = decoder.message.usage

    assert (None, counts.get("generated_tokens")) == (usage.input_tokens, usage.output_tokens)
    assert counts == usage.provider_data


_INDEXES = ("index", "output_index", "content_index", "summary_index")
_ANSWER = (
    testing.script()
    .text("Two ", "calls")
    .tool_call("look", {"at": "a"})
    .tool_call("look", {"at": "b"})
    .finish("tool_calls")
)
_NAMES = (
    "openai-chat",
    "openai-responses",
    "openai-realtime",
    "anthropic",
    "gemini",
    "cohere",
    "gemini-interactions",
)


def _converted(value: Any, convert: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: convert(item) if key in _INDEXES and isinstance(item, int) else _converted(item, convert)
            for key, item in value.items()
        }
    return [_converted(item, convert) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("convert", [float, str])
@in_one_test("name", _NAMES)
def test_an_index_is_the_same_number_as_a_float_and_as_text(name: Any, convert: Any) -> None:
    """JSON written by some languages has 0.0 in place of 0."""
    payloads = payloads_in(_ANSWER.chunks(name))
    converted = [_converted(each, convert) for each in payloads]
    plain, other = (Stream(body, format=name).final() for body in (payloads, converted))

    assert 2 == len(other.tool_calls)
    assert plain.parts == other.parts
    assert plain.finish_reason == other.finish_reason
