"""Ollama: what lines say, finish reasons, errors, whole answers, and how a line is recognised."""

from __future__ import annotations

import base64
import json

import pytest

from tests.formats.cohere.payloads import Payload, read_by, written
from tests.formats.ollama.support import CALL, STATISTICS, TIME, end, line, read, said
from tests.support import registry
from tests.support.chunkings import sized
from tests.support.formats import Ollama
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream
from tokenstream.events import ReasoningDelta, ToolCallDone
from tokenstream.message import OpaquePart


def test_text_comes_line_by_line() -> None:
    came = read(said("Hel"), said("lo"), end())

    assert ("Hello", "m", "stop", "stop", None) == (
        came.message.text,
        came.message.model,
        came.reason,
        came.raw_reason,
        came.message.id,
    )
    assert (None, {}, True) == (came.error, came.departures, came.format.ended)


def test_generate_says_it_elsewhere() -> None:
    """`response` and `thinking` stand in the line itself; the context for the next request comes last."""
    came = read(
        line(response="", thinking="Hm"),
        line(response="Hel"),
        line(response="lo"),
        line(done=True, response="", done_reason="length", context=[1, 2], **STATISTICS),
    )

    assert ("Hm", "Hello", "length", [1, 2]) == (
        came.message.reasoning,
        came.message.text,
        came.reason,
        came.data["context"],
    )


def test_thinking_is_reasoning_before_the_text_of_its_line() -> None:
    """A line may hold both."""
    came = read(said("", thinking="Hm"), said("So.", thinking="!"), end())

    assert ("Hm!", "So.", ["reasoning", "text"]) == (came.message.reasoning, came.message.text, came.kinds)


@in_one_test("place", ["message", "line"])
@in_one_test("field", ["reasoning_content", "reasoning"])
@in_one_test("size", [1, 7, 10_000])
def test_reasoning_of_servers_that_imitate_ollama_is_reasoning(place: str, field: str, size: int) -> None:
    """Such servers name the field as the OpenAI Chat servers behind them do."""

    def thought(text: str) -> Payload:
        return said("", **{field: text}) if place == "message" else {**line(response=""), field: text}

    body = b"".join(written(thought(text)) + b"\n" for text in ("Hm", ", a", " cat?"))
    body += written(said("Miau")) + b"\n" + written(end()) + b"\n"
    chunks = sized(body, size)
    stream = Stream(chunks, format="ollama")

    assert [event.text for event in stream if isinstance(event, ReasoningDelta)] == ["Hm", ", a", " cat?"]
    assert ("Hm, a cat?", "Miau") == (stream.message.reasoning, stream.message.text)
    assert stream.message.provider_data == {"created_at": TIME}


def test_reasoning_in_two_fields_is_used_once() -> None:
    """A text that differs from the first one is kept beside it."""
    came = read(
        said("", thinking="Hm", reasoning_content="Hm"), said("", thinking="!", reasoning="Aha"), end()
    )

    assert (came.message.reasoning, came.data["reasoning"]) == ("Hm!", "Aha")
    assert came.departures == {"reasoning_twice": 1}


def test_statistics_are_the_usage() -> None:
    usage = read(said("Hi"), end()).message.usage
    cached = read(line(done=True, response="Hi", done_reason="stop", eval_count=3)).message.usage

    assert (17, 24, STATISTICS) == (usage.input_tokens, usage.output_tokens, usage.provider_data)
    assert cached is not None
    assert (None, 3, {"eval_count": 3}) == (cached.input_tokens, cached.output_tokens, cached.provider_data)
    assert not read(line(done=True, response="Hi", done_reason="stop")).message.usage


def test_the_time_of_the_answer_is_that_of_its_first_line() -> None:
    """Each line has its own, which says nothing more."""
    came = read(said("a", time="t1"), said("b", time="t2"), end())

    assert "t1" == came.data["created_at"]


def test_calls_come_whole_and_are_handed_out_at_once() -> None:
    sent = {"id": "call_x", "type": "function", "function": {"index": 0, "name": "b", "arguments": {}}}
    came = read(said("", tool_calls=[CALL, sent]), said("", tool_calls=[CALL]), end())

    assert [("call_0", "a", '{"x": 1}'), ("call_x", "b", "{}"), ("call_2", "a", '{"x": 1}')] == [
        (call.id, call.name, call.arguments_text) for call in came.calls
    ]
    assert ("tool_calls", "stop") == (came.reason, came.raw_reason)
    assert ({"index": 0}, {}) == (came.calls[1].provider_data, came.departures)
    first = next(each for each in came.events if isinstance(each, ToolCallDone))
    assert came.calls[0] == first.call


def test_odd_calls_are_tolerated() -> None:
    calls = [
        {"function": {"name": "a", "arguments": '{"x": 1}'}},
        {"function": {"name": "b", "arguments": None}},
        {"function": {"arguments": {}}},
        "what",
    ]
    came = read(said("", tool_calls=calls), end())

    assert [("a", {"x": 1}), ("b", {})] == [(call.name, call.arguments) for call in came.calls]
    assert {"arguments_unparsed": 1, "call_nameless": 2} == came.departures
    assert ["opaque", "opaque"] == [part.kind for part in came.parts if part.kind == "opaque"]


def test_images_are_decoded() -> None:
    image = base64.b64encode(b"\x89PNG").decode()
    came = read(
        said("", images=[image, "no base64!", 3]),
        line(completed=1, total=8),
        line(completed=2, total=8),
        line(done=True, image=image, done_reason="stop"),
    )

    assert [b"\x89PNG", b"\x89PNG"] == [part.data for part in came.parts if part.kind == "media"]
    assert (2, 8, [3]) == tuple(came.data[name] for name in ("completed", "total", "message.images"))
    assert OpaquePart(type="image", data={"image": "no base64!"}, complete=True) in came.parts
    assert 1 == came.departures["media_invalid"]


def test_log_probabilities_are_joined_over_the_stream() -> None:
    came = read(
        {**said("a"), "logprobs": [{"token": "a"}]}, {**said("b"), "logprobs": [{"token": "b"}]}, end()
    )

    assert [{"token": "a"}, {"token": "b"}] == came.data["logprobs"]


def test_what_has_no_word_of_ours_is_carried() -> None:
    came = read(
        {**said(3, tool_name="t", tool_calls={"a": 1}), "remote_model": "r", "response": [1], "logprobs": 2},
        end(),
    )

    data = came.data
    assert (3, "t", {"a": 1}, "r", [1], 2) == tuple(
        data[name]
        for name in (
            "message.content",
            "message.tool_name",
            "message.tool_calls",
            "remote_model",
            "response",
            "logprobs",
        )
    )
    assert None is came.error


# -- ends ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("length", "length"), ("load", "unknown"), ("unload", "unknown"), ("x", "unknown")],
)
def test_finish_reasons_have_words_of_ours(word: str, reason: str) -> None:
    """A model that is only loaded answers with nothing, and that is whole."""
    came = read(end(word))

    assert (reason, word, "", None) == (came.reason, came.raw_reason, came.message.text, came.error)


def test_an_end_without_a_reason_is_an_end() -> None:
    came = read(said("Hi"), end(None))

    assert (None, None, {"finish_missing": 1}) == (came.error, came.reason, came.departures)


def test_an_error_line_is_the_providers() -> None:
    """An error line has nothing but the error, and the status was 200 long ago."""
    came = read(said("Hel"), {"error": "an error was encountered while running the model"})

    assert ("Hel", True) == (came.message.text, "running the model" in str(came.failure))


def test_a_last_line_may_lack_its_end() -> None:
    """What is whole JSON at the end of the input is taken."""
    body = written(said("Hi")) + b"\n" + written(end())
    stream = Stream([body[:40], body[40:]])

    assert ("Hi", "ollama") == (stream.final().text, stream.format)
    assert {} == dict(stream.departures)


def test_a_whole_answer_is_one_line() -> None:
    decoder = Decoder()
    decoder.feed(json.dumps({**end(), "message": {"role": "assistant", "content": "Hi"}}, indent=2).encode())
    decoder.end()

    assert ("ollama", "Hi", "complete") == (decoder.format, decoder.message.text, decoder.message.ending)


def test_lines_may_come_as_server_sent_events() -> None:
    """A proxy that wraps them adds its own sentinel, which says nothing; what comes after is counted."""
    frames = [*map(written, [said("Hi"), said("!"), end()]), b"[DONE]"]
    body = b"".join([b"data: %b\n\n" % frame for frame in frames])
    stream = Stream([body])
    more = read_by(Ollama(), *frames, written(said("x")))

    assert ("Hi!", "ollama", {}) == (stream.final().text, stream.format, dict(stream.departures))
    assert {"data_after_end": 1} == more.departures


# -- recognising --------------------------------------------------------------


@pytest.mark.parametrize(
    "payload", [said("Hi"), line(response="Hi"), line(completed=1, total=8), end("load")]
)
def test_a_first_line_is_recognised(payload: Payload) -> None:
    assert ("ollama", False) == registry.detect(payload, "")
