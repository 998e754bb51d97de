"""Gemini: text, thoughts, media, code and tools that the provider runs, and where a body ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.gemini.payloads import STOP, Payload, call, chunk, text, thought
from tests.formats.gemini.support import gemini, one
from tests.support.reading import read
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream.events import MediaDelta
from tokenstream.message import (
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)

# -- text and thoughts -----------------------------------------------------------


def test_pieces_of_text_are_one_part() -> None:
    """Chunks carry deltas as parts; they have no ids, so a part goes on until another kind begins."""
    told = gemini(chunk(text("Hel")), chunk(text("lo")), chunk(text(" there"), finish="STOP"))

    assert told.parts == (TextPart(text="Hello there", complete=True),)
    assert told.texts == ["Hel", "lo", " there"]
    assert (told.reason, told.raw_reason) == ("stop", "STOP")
    assert (told.message.id, told.message.model, told.message.role) == ("r1", "gemini-x", "assistant")
    assert told.ending == "complete"
    assert told.rules == set()


def test_thoughts_are_reasoning() -> None:
    """`thought: true` marks them; text after them is another part."""
    told = gemini(chunk(thought("Let me")), chunk(thought(" see"), text("Yes")), STOP)

    assert told.parts == (
        ReasoningPart(text="Let me see", complete=True),
        TextPart(text="Yes", complete=True),
    )
    assert told.message.reasoning == "Let me see"


def test_a_part_with_a_signature_stands_alone() -> None:
    """The API asks that signed parts are sent back as they came, joined with nothing."""
    told = gemini(
        chunk(thought("a")),
        chunk(thought("b", thoughtSignature="c2ln")),
        chunk(text("c")),
        chunk(text("d", thoughtSignature="dHdv"), text("e")),
        STOP,
    )

    assert told.parts == (
        ReasoningPart(text="a", complete=True),
        ReasoningPart(text="b", signature="c2ln", complete=True),
        TextPart(text="c", complete=True),
        TextPart(text="d", complete=True, provider_data={"thoughtSignature": "dHdv"}),
        TextPart(text="e", complete=True),
    )
    assert told.message.text == "cde"
    assert told.texts == ["c", "d", "e"]


@pytest.mark.parametrize("part", [text("", thoughtSignature="c2ln"), {"thoughtSignature": "c2ln"}])
def test_a_signature_without_text_is_kept_as_a_part(part: Payload) -> None:
    """A signature often comes with the last chunk, and the next request fails without it."""
    told = gemini(chunk(text("Hi")), chunk(part, finish="STOP"))

    assert told.parts == (
        TextPart(text="Hi", complete=True),
        TextPart(complete=True, provider_data={"thoughtSignature": "c2ln"}),
    )


def test_a_signature_of_an_empty_thought_is_kept() -> None:
    assert one(thought("", thoughtSignature="c2ln")).parts == (
        ReasoningPart(signature="c2ln", complete=True),
    )


@pytest.mark.parametrize("part", [text(""), thought(""), {}, {"thought": True}, {"text": None}])
def test_a_part_that_says_nothing_is_none(part: Payload) -> None:
    """Last chunks often have one."""
    assert gemini(chunk(text("Hi")), chunk(part), STOP).kinds == ["text"]


def test_other_fields_of_a_text_are_kept_with_it() -> None:
    told = one(text("Hi", partMetadata={"a_b": 1}))

    assert told.parts == (TextPart(text="Hi", complete=True, provider_data={"partMetadata": {"a_b": 1}}),)


# -- media, code, hosted tools ------------------------------------------------------


@pytest.mark.parametrize("data", ["+/8=", "-_8=", "-_8"])
def test_inline_data_are_media(data: str) -> None:
    """Base64, in the alphabet of the API or in that of a Python client."""
    told = one(text("See:"), {"inlineData": {"mimeType": "image/png", "data": data, "displayName": "a"}})

    assert told.parts[1] == MediaPart(
        mime_type="image/png", data=b"\xfb\xff", complete=True, provider_data={"displayName": "a"}
    )
    assert [event.data for event in told.events if isinstance(event, MediaDelta)] == [b"\xfb\xff"]


def test_media_split_the_text_around_them() -> None:
    """Each picture is a part of its own, with its signature."""
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
    told = gemini(chunk(text("a")), chunk(picture), chunk(picture), chunk(text("b")), STOP)

    assert told.kinds == ["text", "media", "media", "text"]
    assert getattr(told.parts[1], "provider_data", None) == {"thoughtSignature": "c2ln"}


def test_a_file_is_media_with_an_address() -> None:
    told = one({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}})

    assert told.parts == (MediaPart(mime_type="video/mp4", url="gs://b/v.mp4", complete=True),)


@pytest.mark.parametrize("data", ["%%", 5, ["x"]])
def test_media_that_cannot_be_decoded_are_carried_as_they_came(data: Any) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    told = one(part)

    assert told.parts == (OpaquePart(type="inlineData", data=part, complete=True),)
    assert told.rules == {"media_invalid"}


def test_media_without_data_are_empty() -> None:
    assert one({"inlineData": {"mimeType": "image/png"}}).parts == (
        MediaPart(mime_type="image/png", complete=True),
    )


def test_code_that_the_provider_runs_is_a_tool_of_its_own() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "c2ln"}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "x"}}
    told = one(code, result)

    assert told.parts == (
        ServerToolCall(
            name="executableCode",
            arguments_text='{"language": "PYTHON", "code": "print(1)"}',
            complete=True,
            provider_data=code,
        ),
        ServerToolResult(
            id="x",
            name="codeExecutionResult",
            content={"outcome": "OUTCOME_OK", "output": "1\n"},
            complete=True,
            provider_data=result,
        ),
    )
    assert told.reason == "stop"


def test_a_hosted_tool_is_none_of_the_applications() -> None:
    """`toolCall` and `toolResponse` are named by the tool."""
    asked = {"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "cats"}}}
    answered = {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"n": 2}}}
    told = one(asked, answered)

    assert told.parts == (
        ServerToolCall(
            id="t1",
            name="GOOGLE_SEARCH_WEB",
            arguments_text='{"q": "cats"}',
            complete=True,
            provider_data=asked,
        ),
        ServerToolResult(
            id="t1", name="GOOGLE_SEARCH_WEB", content={"n": 2}, complete=True, provider_data=answered
        ),
    )
    assert told.message.tool_calls == ()


@in_one_test(
    ("part", "kind"),
    [
        ({"functionResponse": {"name": "f", "response": {}}}, "functionResponse"),
        ({"audioTranscription": {"text": "a"}}, "audioTranscription"),
        ({"hologram": {"x": 1}}, "hologram"),
        ({"hologram": {"x": 1}, "thought": True}, "hologram"),
        ({"text": ["x"]}, "text"),
        ({"functionCall": "x"}, "functionCall"),
        ({"inlineData": "x"}, "inlineData"),
        ({"fileData": 1}, "fileData"),
        ({"executableCode": "x"}, "executableCode"),
        ({"codeExecutionResult": []}, "codeExecutionResult"),
        ({"toolCall": 1}, "toolCall"),
        ({"toolResponse": 1}, "toolResponse"),
    ],
)
def test_a_part_of_another_kind_or_shape_is_carried_as_it_came(part: Payload, kind: str) -> None:
    assert one(part).parts == (OpaquePart(type=kind, data=part, complete=True),)


def test_a_part_with_two_kinds_is_two_parts() -> None:
    told = one({"text": "a", "inlineData": {"data": "AAAA"}, "thoughtSignature": "c2ln"})

    assert told.parts == (
        TextPart(text="a", complete=True),
        MediaPart(data=b"\0\0\0", complete=True, provider_data={"thoughtSignature": "c2ln"}),
    )


@pytest.mark.parametrize("empty", ["", {}, None])
def test_an_empty_field_beside_the_content_is_no_part(empty: Any) -> None:
    """Some libraries write all fields that a part may have."""
    others = dict.fromkeys(("inlineData", "executableCode", "fileData"), empty)
    came = gemini(
        chunk({"text": "Hi", **others, "functionCall": empty}), chunk({**call("now"), **others}), STOP
    )

    assert ["text", "tool_call"] == came.kinds


# Any chunk may have a finish reason.
_CHUNKS: list[Payload] = [chunk({"text": piece}, finish="STOP") for piece in ("Hel", "lo – ", "漢字")]
_SSE = b"".join(map(sse, _CHUNKS))
_ARRAY = json.dumps(_CHUNKS, ensure_ascii=False, indent=2).encode() + b"\n"


def _verdict(body: bytes, cause: Exception | None) -> str:
    got = read([body], breaks_with=cause, format="gemini")
    assert (got.error is None) is (got.message.ending == "complete")
    return got.message.ending


@pytest.mark.slow
@pytest.mark.parametrize("cause", [None, ConnectionResetError()], ids=["ends", "breaks"])
def test_an_array_that_is_never_closed_is_truncated(cause: Exception | None) -> None:
    closed = len(_ARRAY.rstrip())

    assert {"truncated"} == {_verdict(_ARRAY[:cut], cause) for cut in range(1, closed)}
    assert {"complete"} == {_verdict(_ARRAY[:cut], cause) for cut in (closed, len(_ARRAY))}


@pytest.mark.slow
@pytest.mark.parametrize("cause", [None, ConnectionResetError()], ids=["ends", "breaks"])
def test_an_event_stream_that_is_cut_inside_an_event_is_truncated(cause: Exception | None) -> None:
    """Between events nothing tells a cut; an event that lacks its blank line alone is whole."""
    whole = {len(b"".join(map(sse, _CHUNKS[:count]))) for count in range(1, len(_CHUNKS) + 1)}
    between = {cut - back for cut in whole for back in (0, 1, 2)}
    cuts = range(1, len(_SSE) + 1)
    verdicts = {cut: _verdict(_SSE[:cut], cause) for cut in cuts if cut not in between}

    assert {"truncated"} == set(verdicts.values())
    assert {"complete"} == {_verdict(_SSE[:cut], None) for cut in between}
    assert "complete" == _verdict(_SSE + b": bye", cause)
