"""Gemini: what each field of a chunk becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.gemini_payloads import STOP, USAGE, Payload, chunk, text, thought
from tests.formats.told import Told, tell
from tests.support.recordings import ours
from tokenstream.decoder import Decoder
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import (
    CitationAdded,
    Finish,
    MediaDelta,
    MessageStart,
    Ping,
    ReasoningDelta,
    TextDelta,
    UsageUpdate,
)
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire.gemini import Gemini
from tokenstream.limits import Limits
from tokenstream.message import (
    MediaPart,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)


def gemini(*frames: Any, plain: bool = False, limits: Limits | None = None) -> Told:
    return tell(Gemini(limits=limits), *frames, plain=plain)


def one(*parts: Payload) -> Told:
    """Read an answer of these parts, all in one chunk."""
    return gemini(chunk(*parts), STOP)


# -- text and thoughts -----------------------------------------------------------


def test_pieces_of_text_are_one_part() -> None:
    """Chunks carry deltas as parts; they have no ids, so a part goes on until another kind begins."""
    told = gemini(chunk(text("Hel")), chunk(text("lo")), chunk(text(" there"), finish="STOP"))

    assert told.message.parts == (TextPart(text="Hello there", complete=True),)
    assert told.texts == ["Hel", "lo", " there"]
    assert (told.message.finish_reason, told.message.raw_finish_reason) == ("stop", "STOP")
    assert (told.message.id, told.message.model, told.message.role) == ("r1", "gemini-x", "assistant")
    assert told.message.ending == "complete"
    assert told.rules == set()


def test_thoughts_are_reasoning() -> None:
    """`thought: true` marks them; text after them is another part."""
    told = gemini(chunk(thought("Let me")), chunk(thought(" see"), text("Yes")), STOP)

    assert told.message.parts == (
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

    assert told.message.parts == (
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
    """It often comes with the last chunk, and the next request fails without it."""
    told = gemini(chunk(text("Hi")), chunk(part, finish="STOP"))

    assert told.message.parts == (
        TextPart(text="Hi", complete=True),
        TextPart(complete=True, provider_data={"thoughtSignature": "c2ln"}),
    )


def test_a_signature_of_an_empty_thought_is_kept() -> None:
    """As reasoning, whose signature it is."""
    assert one(thought("", thoughtSignature="c2ln")).message.parts == (
        ReasoningPart(signature="c2ln", complete=True),
    )


@pytest.mark.parametrize("part", [text(""), thought(""), {}, {"thought": True}, {"text": None}])
def test_a_part_that_says_nothing_is_none(part: Payload) -> None:
    """Last chunks often have one."""
    assert gemini(chunk(text("Hi")), chunk(part), STOP).kinds == ["text"]


def test_other_fields_of_a_text_are_kept_with_it() -> None:
    """Under the API's own names."""
    told = one(text("Hi", partMetadata={"a_b": 1}))

    assert told.message.parts == (
        TextPart(text="Hi", complete=True, provider_data={"partMetadata": {"a_b": 1}}),
    )


# -- media, code, hosted tools ------------------------------------------------------


@pytest.mark.parametrize("data", ["+/8=", "-_8=", "-_8"])
def test_inline_data_are_media(data: str) -> None:
    """Base64, in the alphabet of the API or in that of a Python client."""
    told = one(text("See:"), {"inlineData": {"mimeType": "image/png", "data": data, "displayName": "a"}})

    assert told.message.parts[1] == MediaPart(
        mime_type="image/png", data=b"\xfb\xff", complete=True, provider_data={"displayName": "a"}
    )
    assert [event.data for event in told.events if isinstance(event, MediaDelta)] == [b"\xfb\xff"]


def test_media_split_the_text_around_them() -> None:
    """Each picture is a part of its own, with its signature."""
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
    told = gemini(chunk(text("a")), chunk(picture), chunk(picture), chunk(text("b")), STOP)

    assert told.kinds == ["text", "media", "media", "text"]
    assert getattr(told.message.parts[1], "provider_data", None) == {"thoughtSignature": "c2ln"}


def test_a_file_is_media_with_an_address() -> None:
    """`fileUri` tells where it is."""
    told = one({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}})

    assert told.message.parts == (MediaPart(mime_type="video/mp4", url="gs://b/v.mp4", complete=True),)


@pytest.mark.parametrize("data", ["%%", 5, ["x"]])
def test_media_that_cannot_be_decoded_are_carried_as_they_came(data: Any) -> None:
    """And counted."""
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    told = one(part)

    assert told.message.parts == (OpaquePart(type="inlineData", data=part, complete=True),)
    assert told.rules == {"media_invalid"}


def test_media_without_data_are_empty() -> None:
    """Nothing is made up."""
    assert one({"inlineData": {"mimeType": "image/png"}}).message.parts == (
        MediaPart(mime_type="image/png", complete=True),
    )


def test_code_that_the_provider_runs_is_a_tool_of_its_own() -> None:
    """And what it gave is the result; each part is kept whole for the next request."""
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "c2ln"}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "x"}}
    told = one(code, result)

    assert told.message.parts == (
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
    assert told.message.finish_reason == "stop"


def test_a_hosted_tool_is_none_of_the_applications() -> None:
    """`toolCall` and `toolResponse` are named by the tool."""
    asked = {"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": "cats"}}}
    answered = {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"n": 2}}}
    told = one(asked, answered)

    assert told.message.parts == (
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


@pytest.mark.parametrize(
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
    """Nothing is dropped, and nothing is fatal."""
    assert one(part).message.parts == (OpaquePart(type=kind, data=part, complete=True),)


def test_a_part_with_two_kinds_is_two_parts() -> None:
    """Its signature belongs to the last of them."""
    told = one({"text": "a", "inlineData": {"data": "AAAA"}, "thoughtSignature": "c2ln"})

    assert told.message.parts == (
        TextPart(text="a", complete=True),
        MediaPart(data=b"\0\0\0", complete=True, provider_data={"thoughtSignature": "c2ln"}),
    )


# -- what stands beside the parts -------------------------------------------------------

WEB = {"web": {"uri": "https://a.example", "title": "A"}}
BOOK = {"retrievedContext": {"uri": "gs://b", "title": "B", "text": "As B says"}}
MAP = {"maps": {"uri": "https://m.example", "title": "M"}}
IMAGE = {"image": {"sourceUri": "https://i.example"}}


def grounding(*chunks: Payload, supports: list[Payload]) -> Payload:
    return {"groundingChunks": list(chunks), "groundingSupports": supports}


def support(start: int | None, end: int, *chunks: Any) -> Payload:
    segment: Payload = {"endIndex": end, "text": "t"} | ({} if start is None else {"startIndex": start})
    return {"segment": segment, "groundingChunkIndices": list(chunks)}


def test_each_supported_passage_names_its_sources() -> None:
    """Indices refer to the chunks of the same metadata; a start that is left out is 0."""
    metadata = grounding(WEB, BOOK, supports=[support(None, 5, 0, 1), support(6, 9, 0)])
    told = gemini(chunk(text("Hello you"), finish="STOP", groundingMetadata=metadata))

    assert [(c.url, c.title, c.text, c.start, c.end) for c in told.message.citations] == [
        ("https://a.example", "A", None, 0, 5),
        ("gs://b", "B", "As B says", 0, 5),
        ("https://a.example", "A", None, 6, 9),
    ]
    assert told.message.citations[0].provider_data == {
        "groundingChunk": WEB,
        "groundingSupport": metadata["groundingSupports"][0],
    }
    assert told.message.provider_data["groundingMetadata"] == metadata


def test_snapshots_that_repeat_a_source_name_it_once() -> None:
    """Grounding metadata are cumulative: the last ones hold the first."""
    first = grounding(WEB, supports=[support(0, 5, 0)])
    second = grounding(WEB, MAP, supports=[support(0, 5, 0), support(6, 9, 1)])
    told = gemini(
        chunk(text("a"), groundingMetadata=first),
        chunk(text("b"), groundingMetadata={}),
        chunk(text("c"), groundingMetadata=second),
        chunk(finish="STOP", groundingMetadata=second),
    )

    assert [c.url for c in told.message.citations] == ["https://a.example", "https://m.example"]
    assert told.message.text == "abc"
    assert told.kinds == ["text", "citation", "citation"]


def test_sources_without_a_passage_are_named_at_the_end() -> None:
    """Each once, whether or not its passage was sent with an earlier snapshot."""
    told = gemini(
        chunk(text("a"), groundingMetadata=grounding(WEB, IMAGE, supports=[support(0, 1, 0)])),
        chunk(finish="STOP", groundingMetadata=grounding(WEB, IMAGE, {"other": {}}, supports=[])),
    )

    assert [(c.url, c.start) for c in told.message.citations] == [
        ("https://a.example", 0),
        ("https://i.example", None),
    ]


def test_sources_that_come_after_the_finish_reason_are_named_too() -> None:
    """The end of the input is the last chance."""
    told = gemini(chunk(text("a"), finish="STOP"), chunk(groundingMetadata=grounding(WEB, supports=[])))

    assert [c.url for c in told.message.citations] == ["https://a.example"]


@pytest.mark.parametrize("indices", [[7], [-1], ["0"], [None], None, {"a": 1}])
def test_an_index_that_no_chunk_has_names_no_source(indices: Any) -> None:
    """Then the source has no passage."""
    metadata = grounding(WEB, supports=[{"segment": {"endIndex": 1}, "groundingChunkIndices": indices}])
    told = gemini(chunk(text("a"), finish="STOP", groundingMetadata=metadata))

    assert [(c.url, c.start) for c in told.message.citations] == [("https://a.example", None)]


@pytest.mark.parametrize("chunks", [None, "x", [None, "x", 3]])
def test_grounding_of_another_shape_names_no_source(chunks: Any) -> None:
    """It stays in `provider_data`."""
    metadata = {"groundingChunks": chunks, "groundingSupports": [support(0, 1, 0)]}
    told = gemini(chunk(text("a"), finish="STOP", groundingMetadata=metadata))

    assert told.message.citations == ()
    assert told.message.provider_data["groundingMetadata"] == metadata


@pytest.mark.parametrize("name", ["citations", "citationSources"])
def test_passages_that_recite_a_source_name_it(name: str) -> None:
    """Documents say `citations`, servers send `citationSources` too; snapshots repeat them."""
    first = {"endIndex": 9, "uri": "https://a.example", "license": "mit"}
    second = {"startIndex": 20, "endIndex": 30, "title": "B"}
    told = gemini(
        chunk(text("a"), citationMetadata={name: [first]}),
        chunk(text("b"), finish="STOP", citationMetadata={name: [first, second]}),
    )

    assert [(c.url, c.title, c.start, c.end) for c in told.message.citations] == [
        ("https://a.example", None, 0, 9),
        (None, "B", 20, 30),
    ]
    assert told.message.citations[0].provider_data == first
    assert told.texts == ["a", "b"]


def test_what_has_no_word_here_stays_under_its_own_name() -> None:
    """Of the candidate and of the answer; a field that says the same again gives no event."""
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}]
    first = chunk(text("a"), safetyRatings=ratings, avgLogprobs=-0.5, urlContextMetadata={"urlMetadata": []})
    first |= {"createTime": "2026-01-01T00:00:00Z", "modelStatus": {"stage": "PREVIEW"}}
    told = gemini(first, chunk(text("b"), safetyRatings=ratings, finish="STOP", finishMessage="done"))

    assert told.message.provider_data == {
        "createTime": "2026-01-01T00:00:00Z",
        "modelStatus": {"stage": "PREVIEW"},
        "safetyRatings": ratings,
        "avgLogprobs": -0.5,
        "urlContextMetadata": {"urlMetadata": []},
        "finishMessage": "done",
    }


@pytest.mark.parametrize("before", [False, True])
def test_why_an_answer_ended_is_told_in_a_sentence(*, before: bool) -> None:
    """It comes with the reason, or before it."""
    said: dict[str, Any] = {"finishMessage": "The call was malformed."}
    first, last = (said, {}) if before else ({}, said)
    told = gemini(chunk(text("a"), **first), chunk(text("b"), finish="MALFORMED_FUNCTION_CALL", **last))

    assert told.message.finish_message == "The call was malformed."
    assert [event.message for event in told.events if isinstance(event, Finish)] == [
        "The call was malformed."
    ]
    assert told.message.provider_data == said
    assert gemini(chunk(text("a"), finish="STOP")).message.finish_message is None


def test_log_probabilities_are_joined_over_the_stream() -> None:
    """One item for each token, with the candidates that stood beside it."""
    chosen = {"token": "a", "logProbability": -0.1}
    top = {"candidates": [{"token": "b", "logProbability": -2}]}
    result = {"chosenCandidates": [chosen], "topCandidates": [top], "logProbabilitySum": -0.1}
    told = gemini(
        chunk(text("a"), logprobsResult=result),
        chunk(text("b"), finish="STOP", logprobsResult={"chosenCandidates": [{"token": "c"}]}),
    )

    assert told.message.provider_data == {
        "logprobs": [
            {**chosen, "topCandidates": top["candidates"]},
            {"token": "c", "topCandidates": None},
        ],
        "logprobsResult": {"logProbabilitySum": -0.1},
    }


# -- usage ----------------------------------------------------------------------------


def test_usage_is_the_last_report_and_counts_the_thoughts() -> None:
    """`candidatesTokenCount` leaves them out; our output tokens are all tokens of the answer."""
    report = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 59,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 2},
            {"modality": "AUDIO", "tokenCount": 3},
            {"modality": "IMAGE", "tokenCount": 4},
        ],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        "trafficType": "ON_DEMAND",
    }
    early = {"promptTokenCount": 9, "thoughtsTokenCount": 30, "totalTokenCount": 39}
    told = gemini(chunk(text("a")) | {"usageMetadata": early}, STOP | {"usageMetadata": report})
    usage = told.message.usage

    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 50, 59)
    assert (usage.reasoning_tokens, usage.cached_tokens) == (30, 4)
    assert (usage.input_audio_tokens, usage.input_image_tokens, usage.output_audio_tokens) == (3, 4, 20)
    assert usage.provider_data == report
    assert [e.usage.output_tokens for e in told.events if isinstance(e, UsageUpdate)] == [30, 50]


def test_a_count_that_a_later_report_leaves_out_stands() -> None:
    """The sum is made of the last word on each count."""
    told = gemini(
        chunk(text("a")) | {"usageMetadata": {"thoughtsTokenCount": 30}},
        STOP | {"usageMetadata": {"candidatesTokenCount": 5}},
    )

    assert told.message.usage is not None
    assert told.message.usage.output_tokens == 35


def test_a_report_without_counts_has_none() -> None:
    """The first ones on Vertex AI say nothing but the kind of traffic."""
    told = gemini(chunk(text("a")) | {"usageMetadata": {"trafficType": "ON_DEMAND"}}, STOP)

    assert told.message.usage is not None
    assert told.message.usage.output_tokens is None
    assert told.message.usage.provider_data == {"trafficType": "ON_DEMAND"}


def report(count: int) -> Payload:
    return {
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": count, "totalTokenCount": 1 + count}
    }


def test_the_counts_of_plain_text_are_given_ever_more_rarely_and_all_at_the_end() -> None:
    """Every chunk has some; to read each would cost more than all else. None is lost at the end."""
    chunks = [chunk(text("x")) | report(count) for count in range(1, 301)]
    for frames in (chunks, [*chunks, STOP]):
        told = gemini(*frames)
        given = [event.usage.output_tokens for event in told.events if isinstance(event, UsageUpdate)]

        assert given[:5] == [1, 3, 7, 15, 31]
        assert given[-1] == 300
        assert len(given) < 11
        assert told.message.usage is not None
        assert told.message.usage.output_tokens == 300


# -- ends -----------------------------------------------------------------------------

REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "LANGUAGE": "content_filter",
    "RECITATION": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "CONTINUATION": "pause",
    "NO_IMAGE": "unknown",
    "IMAGE_OTHER": "unknown",
    "OTHER": "unknown",
    "ESCALATION": "unknown",
    "PUP_LIMITED_DISABLED": "unknown",
    "FINISH_REASON_UNSPECIFIED": "unknown",
    "A_NEW_ONE": "unknown",
}


@pytest.mark.parametrize("raw", REASONS)
def test_each_finish_reason_has_a_word_and_completes_the_answer(raw: str) -> None:
    """Also one that nobody knows yet."""
    told = gemini(chunk(text("a")), chunk(finish=raw))

    assert (told.message.finish_reason, told.message.raw_finish_reason) == (REASONS[raw], raw)
    assert told.message.ending == "complete"


@pytest.mark.parametrize(("number", "raw"), [(1, "STOP"), (2, "MAX_TOKENS"), (5, "OTHER"), (9, "9")])
def test_a_finish_reason_may_be_a_number(number: int, raw: str) -> None:
    """As gRPC's clients write it, who also fill in what was not sent: 0 is no reason."""
    filled = text("a", thought=False, thoughtSignature="")
    told = gemini(chunk(filled, finishReason=0), chunk(filled, finishReason=number))

    assert told.message.raw_finish_reason == raw
    assert told.message.parts == (TextPart(text="aa", complete=True),)
    assert isinstance(gemini(chunk(filled, finishReason=0)).error, StreamTruncated)


def test_an_input_that_ends_without_a_finish_reason_is_truncated() -> None:
    """There is no other end."""
    told = gemini(chunk(text("Hel")) | {"usageMetadata": USAGE})

    assert isinstance(told.error, StreamTruncated)
    assert (told.message.text, told.message.ending) == ("Hel", "truncated")
    assert told.message.usage is not None


def test_stop_on_every_chunk_is_not_the_end() -> None:
    """Translating proxies send it so: the text goes on, in one part more, and the last word counts."""
    told = gemini(*[chunk(text(piece), finish="STOP") for piece in "abcd"], chunk(finish="MAX_TOKENS"))

    assert told.message.text == "abcd"
    assert [part.text for part in told.message.parts if part.kind == "text"] == ["a", "bcd"]
    assert (told.message.finish_reason, told.message.raw_finish_reason) == ("length", "MAX_TOKENS")
    assert [event.raw_reason for event in told.events if isinstance(event, Finish)] == ["STOP", "MAX_TOKENS"]
    assert told.rules == {"finish_repeated", "content_after_finish"}


def test_the_sentinel_of_others_ends_the_answer() -> None:
    """Proxies that speak OpenAI's language to all clients send it."""
    told = gemini(chunk(text("a"), finish="STOP"), b"[DONE]", chunk(text("b")))

    assert (told.message.text, told.message.ending) == ("a", "complete")
    assert told.rules == {"data_after_end"}
    assert gemini(chunk(text("a")), b"[DONE]").rules == {"finish_missing"}


def test_an_answer_that_stops_without_content_is_counted() -> None:
    """A silent failure of the model: complete, empty, and worth asking again."""
    assert gemini(STOP).rules == {"answer_empty"}
    assert gemini(chunk(finish="SAFETY")).rules == set()


def test_a_prompt_that_was_blocked_is_filtered_content() -> None:
    """There is no candidate then, and HTTP says 200."""
    told = gemini({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE})

    assert (told.message.finish_reason, told.message.raw_finish_reason) == ("content_filter", "SAFETY")
    assert told.message.ending == "complete"
    assert told.message.provider_data["promptFeedback"] == {"blockReason": "SAFETY"}


def test_prompt_feedback_beside_a_candidate_blocks_nothing() -> None:
    """Older models send ratings of the prompt with the first chunk."""
    told = gemini(chunk(text("a"), finish="STOP") | {"promptFeedback": {"safetyRatings": [{"x": 1}]}})

    assert told.message.finish_reason == "stop"


def test_candidates_are_choices() -> None:
    """Each has its own parts and its own end; an index that is left out is 0."""
    first, second = chunk(text("a")), chunk(text("b"), index=1)
    both = {"candidates": [*first["candidates"], *second["candidates"]]}
    told = gemini(both, both, chunk(finish="STOP"))

    assert [message.text for message in told.messages] == ["aa", "bb"]
    assert isinstance(told.error, StreamTruncated)
    assert [m.finish_reason for m in gemini(both, STOP, chunk(finish="SAFETY", index=1)).messages] == [
        "stop",
        "content_filter",
    ]


# -- errors -----------------------------------------------------------------------------


def test_an_error_among_the_chunks_is_the_providers() -> None:
    """With the time to wait that Google tells in a `RetryInfo`."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]
    error = {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}
    told = gemini(chunk(text("Hel")) | {"usageMetadata": USAGE}, {"error": error})

    assert isinstance(told.error, ProviderError)
    assert (told.error.kind, told.error.retry_after, told.error.code) == ("rate_limited", 17.0, "429")
    assert told.error.retryable
    assert told.message.text == "Hel"


@pytest.mark.parametrize(
    ("status", "code", "kind", "retryable"),
    [
        ("UNAVAILABLE", 503, "overloaded", True),
        ("INTERNAL", 500, "server", True),
        ("DEADLINE_EXCEEDED", 504, "server", True),
        ("INVALID_ARGUMENT", 400, "invalid_request", False),
        ("PERMISSION_DENIED", 403, "authentication", False),
    ],
)
def test_the_status_of_an_error_says_whose_it_is(status: str, code: int, kind: str, retryable: bool) -> None:
    """And whether asking again may help."""
    told = gemini({"error": {"code": code, "message": "m", "status": status}})

    assert isinstance(told.error, ProviderError)
    assert (told.error.kind, told.error.retryable) == (kind, retryable)


def test_an_error_in_an_array_is_found_before_any_candidate() -> None:
    """So the API answers without `alt=sse`."""
    decoder = Decoder()
    decoder.feed(b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}\n]\n')

    assert isinstance(decoder.error, ProviderError)
    assert decoder.error.kind == "overloaded"


@pytest.mark.parametrize("index", [-1, 1.5, "x", True, [0], {}])
def test_an_index_that_is_none_is_an_error(index: Any) -> None:
    """A candidate that nobody can place."""
    told = gemini(chunk(text("a")), chunk(text("b"), index=index))

    assert isinstance(told.error, ProtocolError)
    assert told.error.event == 2
    assert told.message.text == "a"


def test_bounds_hold() -> None:
    """On parts and on choices."""
    many = [chunk(text("a", thoughtSignature="c2ln"))] * 5
    told = gemini(*many, limits=Limits(parts=3))
    assert isinstance(told.error, LimitExceeded)
    assert told.error.limit == "parts"

    told = gemini(*[chunk(text("a"), index=index) for index in (0, 10**9, 2)], limits=Limits(choices=2))
    assert isinstance(told.error, LimitExceeded)
    assert told.error.limit == "choices"


# -- spelling, whole answers, detection -----------------------------------------------------


SNAKE: Payload = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "a", "thought": True},
                    {"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "c2ln"},
                ],
            },
            "finish_reason": "STOP",
            "safety_ratings": [{"category": "X"}],
        }
    ],
    "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 4},
    "model_version": "gemini-x",
    "response_id": "r1",
}


def test_names_may_be_written_with_underscores() -> None:
    """As proxies and Python clients do; what the model named keeps its spelling."""
    told = gemini(SNAKE)

    assert told.message.reasoning == "a"
    assert told.message.tool_calls[0].arguments == {"a_b": 1}
    assert told.message.tool_calls[0].provider_data == {"thoughtSignature": "c2ln"}
    assert (told.message.id, told.message.finish_reason) == ("r1", "tool_calls")
    assert told.message.usage is not None
    assert told.message.usage.output_tokens == 4
    assert told.events[0].raw == SNAKE


def test_only_the_parts_may_be_written_with_underscores() -> None:
    """The spelling is looked at where it can differ."""
    told = gemini(chunk({"inline_data": {"mime_type": "image/png", "data": "AAAA"}}), chunk(finish="STOP"))

    assert told.message.parts == (MediaPart(mime_type="image/png", data=b"\0\0\0", complete=True),)


def test_deep_values_keep_their_names() -> None:
    """What is nested deeper than any of the API's own fields is not looked at."""
    deep: Any = {"a_b": 1}
    for _ in range(80):
        deep = {"x": deep}
    told = gemini({"some_field": deep, **chunk(text("a"), finish="STOP")})

    assert json.dumps(deep) == json.dumps(told.message.provider_data["someField"])


def test_bytes_that_a_client_spells_in_another_alphabet_are_those_of_the_api() -> None:
    """Payloads of SDKs' objects have base64 for URLs; signatures go back as the server sent them."""
    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"), plain=True)
    assert getattr(told.message.parts[0], "provider_data", None) == {"thoughtSignature": "a+/b"}

    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"))
    assert getattr(told.message.parts[0], "provider_data", None) == {"thoughtSignature": "a-_b"}


def test_what_sdks_add_to_an_answer_is_left_out() -> None:
    """The HTTP head and the like are none of the answer."""
    told = gemini(chunk(text("a"), finish="STOP") | {"sdkHttpResponse": {"headers": {}}, "parsed": {"a": 1}})

    assert told.message.provider_data == {}


def test_a_chunk_in_an_envelope_is_read() -> None:
    """Google's command-line tools wrap each chunk as `response`."""
    told = gemini({"response": chunk(text("a"), finish="STOP"), "traceId": "t"})

    assert told.message.text == "a"
    assert told.message.provider_data == {"traceId": "t"}


def test_a_whole_answer_is_one_chunk() -> None:
    """`generateContent` answers so, indented over many lines."""
    decoder = Decoder()
    whole = chunk(thought("b"), text("a"), finish="STOP") | {"usageMetadata": USAGE}
    decoder.feed(json.dumps(whole, indent=2).encode())
    decoder.end()

    assert decoder.format == "gemini"
    assert (decoder.message.text, decoder.message.reasoning, decoder.message.complete) == ("a", "b", True)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n "])
def test_an_array_is_read_as_it_arrives(start: bytes) -> None:
    """Without `alt=sse`: each chunk is out with its closing brace."""
    decoder = Decoder(content_type="application/json; charset=UTF-8")
    body = start + json.dumps([chunk(text("Hel")), chunk(text("lo")), STOP], indent=2).encode()
    seen = [event for at in range(len(body)) for event in decoder.feed(body[at : at + 1])]
    first = next(i for i in range(len(body)) if decoder_at(body[: i + 1]).message.text)

    assert [event.text for event in seen if isinstance(event, TextDelta)] == ["Hel", "lo"]
    assert body[: first + 1].endswith(b"}")
    assert decoder.end() == [] or decoder.message.complete
    assert decoder.message.ending == "complete"


def decoder_at(body: bytes) -> Decoder:
    decoder = Decoder()
    decoder.feed(body)
    return decoder


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (chunk(text("a")), True),
        (SNAKE, True),
        ({"candidates": []}, True),
        ({"response": {"candidates": []}}, True),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, True),
        ({"usageMetadata": USAGE, "modelVersion": "g"}, True),
        ({"usage_metadata": {}, "response_id": "r"}, True),
        ({"usageMetadata": USAGE}, None),
        ({"candidates": "x"}, False),
        ({"candidates": ["x"]}, False),
        ({"modelVersion": "g"}, False),
        ({"promptFeedback": "x"}, False),
        ({"usageMetadata": USAGE, "serverContent": {}}, False),
        ({"candidates": [], "choices": []}, False),
        ({"type": "x", "candidates": []}, False),
        ({}, False),
    ],
)
def test_a_chunk_is_known_by_its_fields(payload: Payload, answer: bool | None) -> None:
    """Usage alone may be another protocol's, so a later payload decides."""
    assert Gemini.recognises(payload, "") is answer
    if answer:
        assert registry.detect(payload, "") == ("gemini", False)


def test_signs_of_life_are_given_where_they_are_asked_for() -> None:
    """Empty data is one."""
    format = Gemini(pings=True)

    assert [type(event) for event in format.feed(b" ")] == [Ping]
    assert format.fresh(limits=Limits(), pings=False).pings is False


def test_every_event_carries_the_payload_that_it_came_from() -> None:
    """Also where it was read without decoding."""
    frames = [chunk(text("a")), chunk(text("b")), chunk(text("c")), STOP]
    told = gemini(*frames)

    assert [event.raw for event in told.events if isinstance(event, TextDelta)] == frames[:3]
    assert [event.raw for event in told.events if isinstance(event, MessageStart)] == frames[:1]


def test_reasoning_events_carry_their_signature() -> None:
    """As an event with no text, after the text."""
    told = one(thought("a", thoughtSignature="c2ln"))

    assert [(e.text, e.signature) for e in told.events if isinstance(e, ReasoningDelta)] == [
        ("a", None),
        ("", "c2ln"),
    ]


def test_citations_are_events_too() -> None:
    """In their choice."""
    told = gemini(chunk(text("a"), index=3, finish="STOP", citationMetadata={"citations": [{"uri": "u"}]}))

    assert [(e.choice, e.citation.url) for e in told.events if isinstance(e, CitationAdded)] == [(3, "u")]


def test_our_recordings_hold_every_kind_of_part() -> None:
    """So that other tests that use them see each."""
    bodies = b"".join(recorded.body for recorded in ours() if recorded.format == "gemini")

    for name in (
        b"functionCall",
        b"thoughtSignature",
        b"inlineData",
        b"executableCode",
        b"groundingMetadata",
    ):
        assert name in bodies
