"""Ollama's lines: text, reasoning, tool calls, images, statistics, ends; and lines read at a glance."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.cohere_payloads import Payload, read_by, written
from tests.formats.mutations import pieces, strayed
from tests.formats.told import Told, reads_alike_in_chunks
from tests.support.recordings import Recorded, ours
from tokenstream import Decoder, Stream
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamError, StreamTruncated
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.formats import _registry as registry
from tokenstream.formats._fast.shape import Shape
from tokenstream.formats._wire.ollama import Ollama
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import Limits
from tokenstream.message import Message, OpaquePart

TIME = "2026-11-20T09:26:59.678947Z"
STATISTICS = {
    "prompt_eval_count": 17,
    "eval_count": 24,
    "total_duration": 4218611084,
    "load_duration": 1797788834,
    "prompt_eval_duration": 167135000,
    "eval_duration": 2252182000,
}
CALL = {"function": {"name": "a", "arguments": {"x": 1}}}


def line(*, done: bool = False, time: Any = TIME, **fields: Any) -> Payload:
    return {"model": "m", "created_at": time, **fields, "done": done}


def said(content: Any = "", *, time: Any = TIME, **message: Any) -> Payload:
    """Return a line of the chat endpoint."""
    return line(time=time, message={"role": "assistant", "content": content, **message})


def end(reason: Any = "stop", **fields: Any) -> Payload:
    """Return the last line of the chat endpoint."""
    return line(
        done=True, message={"role": "assistant", "content": ""}, done_reason=reason, **STATISTICS, **fields
    )


def read(*payloads: Payload) -> Told:
    return read_by(Ollama(), *map(written, payloads))


# -- what lines say -----------------------------------------------------------


def test_text_comes_line_by_line() -> None:
    """The last line has the reason, and the end is the end."""
    came = read(said("Hel"), said("lo"), end())

    assert ("Hello", "m", "stop", "stop", None) == (
        came.message.text,
        came.message.model,
        came.message.finish_reason,
        came.message.raw_finish_reason,
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
        came.message.finish_reason,
        came.message.provider_data["context"],
    )


def test_thinking_is_reasoning_before_the_text_of_its_line() -> None:
    """A line may hold both."""
    came = read(said("", thinking="Hm"), said("So.", thinking="!"), end())

    assert ("Hm!", "So.", ["reasoning", "text"]) == (
        came.message.reasoning,
        came.message.text,
        [part.kind for part in came.message.parts],
    )


def test_statistics_are_the_usage() -> None:
    """Counts under our names, and the whole report as it was sent; what is absent stays None."""
    usage = read(said("Hi"), end()).message.usage
    cached = read(line(done=True, response="Hi", done_reason="stop", eval_count=3)).message.usage

    assert usage is not None
    assert (17, 24, STATISTICS) == (usage.input_tokens, usage.output_tokens, usage.provider_data)
    assert cached is not None
    assert (None, 3, {"eval_count": 3}) == (cached.input_tokens, cached.output_tokens, cached.provider_data)
    assert read(line(done=True, response="Hi", done_reason="stop")).message.usage is None


def test_the_time_of_the_answer_is_that_of_its_first_line() -> None:
    """Each line has its own, which says nothing more."""
    came = read(said("a", time="t1"), said("b", time="t2"), end())

    assert "t1" == came.message.provider_data["created_at"]


def test_calls_come_whole_and_are_handed_out_at_once() -> None:
    """Several in a line or in several; ids where the server sends them, and made up where it does not."""
    sent = {"id": "call_x", "type": "function", "function": {"index": 0, "name": "b", "arguments": {}}}
    came = read(said("", tool_calls=[CALL, sent]), said("", tool_calls=[CALL]), end())

    assert [("call_0", "a", '{"x": 1}'), ("call_x", "b", "{}"), ("call_2", "a", '{"x": 1}')] == [
        (call.id, call.name, call.arguments_text) for call in came.calls
    ]
    assert ("tool_calls", "stop") == (came.message.finish_reason, came.message.raw_finish_reason)
    assert ({"index": 0}, {}) == (came.calls[1].provider_data, came.departures)
    first = next(each for each in came.events if isinstance(each, ToolCallDone))
    assert came.calls[0] == first.call


def test_odd_calls_are_tolerated() -> None:
    """Arguments as text, or none; a call without a name, or that is none at all."""
    calls = [
        {"function": {"name": "a", "arguments": '{"x": 1}'}},
        {"function": {"name": "b", "arguments": None}},
        {"function": {"arguments": {}}},
        "what",
    ]
    came = read(said("", tool_calls=calls), end())

    assert [("a", {"x": 1}), ("b", {})] == [(call.name, call.arguments) for call in came.calls]
    assert {"arguments_unparsed": 1, "call_nameless": 2} == came.departures
    assert ["opaque", "opaque"] == [part.kind for part in came.message.parts if part.kind == "opaque"]


def test_images_are_decoded() -> None:
    """Those of a message, and the one that an image model makes, with its progress."""
    image = base64.b64encode(b"\x89PNG").decode()
    came = read(
        said("", images=[image, "no base64!", 3]),
        line(completed=1, total=8),
        line(completed=2, total=8),
        line(done=True, image=image, done_reason="stop"),
    )

    assert [b"\x89PNG", b"\x89PNG"] == [part.data for part in came.message.parts if part.kind == "media"]
    assert (2, 8, [3]) == tuple(
        came.message.provider_data[name] for name in ("completed", "total", "message.images")
    )
    assert OpaquePart(type="image", data={"image": "no base64!"}, complete=True) in came.message.parts
    assert 1 == came.departures["media_invalid"]


def test_log_probabilities_are_joined_over_the_stream() -> None:
    """Each line may have those of its piece."""
    came = read(
        {**said("a"), "logprobs": [{"token": "a"}]}, {**said("b"), "logprobs": [{"token": "b"}]}, end()
    )

    assert [{"token": "a"}, {"token": "b"}] == came.message.provider_data["logprobs"]


def test_what_has_no_word_of_ours_is_carried() -> None:
    """Fields of the line and of its message, and what has another type than it should."""
    came = read(
        {**said(3, tool_name="t", tool_calls={"a": 1}), "remote_model": "r", "response": [1], "logprobs": 2},
        end(),
    )

    data = came.message.provider_data
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

    assert (reason, word, "", None) == (
        came.message.finish_reason,
        came.message.raw_finish_reason,
        came.message.text,
        came.error,
    )


def test_an_end_without_a_reason_is_an_end() -> None:
    """So older servers end."""
    came = read(said("Hi"), end(None))

    assert (None, None, {"finish_missing": 1}) == (came.error, came.message.finish_reason, came.departures)


def test_a_cut_is_no_end() -> None:
    """Nothing said that the answer was done, whatever was handed out."""
    came = read(said("Hi", tool_calls=[CALL]))

    assert isinstance(came.error, StreamTruncated)
    assert 1 == len(came.calls)


def test_an_error_line_is_the_providers() -> None:
    """It has nothing but the error, and the status was 200 long ago."""
    came = read(said("Hel"), {"error": "an error was encountered while running the model"})

    assert isinstance(came.error, ProviderError)
    assert ("Hel", True) == (came.message.text, "running the model" in str(came.error))


def test_a_last_line_may_lack_its_end() -> None:
    """What is whole JSON at the end of the input is taken."""
    body = written(said("Hi")) + b"\n" + written(end())
    stream = Stream([body[:40], body[40:]])

    assert ("Hi", "ollama") == (stream.final().text, stream.format)
    assert {} == dict(stream.departures)


def test_a_whole_answer_is_one_line() -> None:
    """Without streaming the last line says it all."""
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
    """Of both endpoints, of image models, and where nothing is said at all."""
    assert ("ollama", False) == registry.detect(payload, "")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"model": "m", "done": True},
        {"done": True, "response": "x"},
        {"model": "m", "response": "x"},
        {**said(), "choices": []},
    ],
)
def test_payloads_of_others_are_not_claimed(payload: Payload) -> None:
    """A model and whether it is done are always there."""
    assert Ollama.recognises(payload, "") is False


# -- at a glance --------------------------------------------------------------


class Plain(Ollama):
    """The format without its short way."""

    def __init__(self) -> None:
        super().__init__()
        self.shortcuts = False


def later(seconds: int) -> str:
    return f"2026-11-20T09:27:{seconds:02d}+02:00"


PIECES = pieces('","content":"')
TIMES = st.sampled_from([TIME, later(1), later(2), "", "x", 'a\\"b', "\n", None, 3])
TAILS = st.sampled_from([b"", b"", b"", b" ", b"}", b',"n":1', b"x", b"\xff", b',"done":true'])
SHAPES: dict[str, Callable[[Any, Any], Payload]] = {
    "chat": lambda piece, time: said(piece, time=time),
    "thinking": lambda piece, time: said("", thinking=piece, time=time),
    "generate": lambda piece, time: line(response=piece, time=time),
    "no time": lambda piece, _: {"model": "m", "message": {"content": piece}, "done": False},
    "time last": lambda piece, time: {"model": "m", "response": piece, "done": False, "created_at": time},
}


@pytest.mark.parametrize("shape", SHAPES)
@given(
    pieces=PIECES,
    times=st.lists(TIMES, min_size=8, max_size=8),
    tails=st.lists(TAILS, min_size=8, max_size=8),
    spelling=st.sampled_from([(",", ":"), (", ", ": ")]),
    ascii_only=st.booleans(),
)
def test_lines_known_by_their_bytes_give_what_decoding_gives(
    shape: str,
    pieces: list[str],
    times: list[Any],
    tails: list[bytes],
    spelling: tuple[str, str],
    ascii_only: bool,
) -> None:
    """Whatever the text and the time are, however the server spells JSON, and whatever stands behind them."""
    frames = [written(SHAPES[shape]("Hel", TIME)), written(SHAPES[shape]("lo", TIME))]
    for piece, time, tail in zip(pieces, times, tails, strict=False):
        data = json.dumps(SHAPES[shape](piece, time), separators=spelling, ensure_ascii=ascii_only).encode(
            "utf-8", "surrogatepass"
        )
        frames.append(data[:-1] + tail + data[-1:])
    frames.append(written(end()))

    assert read_by(Plain(), *frames).outcome == read_by(Ollama(), *frames).outcome


BETWEEN = [
    written(said("b", thinking="t")),
    written(said("", thinking="t")),
    written({**said("b"), "model": "other"}),
    written({**said("b"), "n": 1}),
    written({**said("b"), "response": "c"}),
    written(line(response="b")),
    written(said("")),
    written(said("b", tool_calls=[CALL])),
    written(end()),
    written(said("b\ud83d")),
    b'{"error":"e"}',
    b"nonsense",
    b"[DONE]",
    ServerSentEvent(written(said("b")), "x"),
    said("b"),
]


@pytest.mark.parametrize("between", BETWEEN, ids=repr)
@pytest.mark.parametrize(
    "first", [said("a"), line(response="a"), said("", thinking="a")], ids=["chat", "generate", "thinking"]
)
def test_what_comes_between_two_lines_is_not_overlooked(between: Any, first: Payload) -> None:
    """It goes the long way, and so does what follows it."""
    frames = [*[written(first)] * 4, between, *[written(first)] * 4]

    assert read_by(Plain(), *frames).outcome == read_by(Ollama(), *frames).outcome


def test_lines_that_are_alike_are_read_without_decoding() -> None:
    """But for their times and their texts; so are whole chunks, in lines and in server-sent events."""
    ollama = Ollama()
    assert ollama.shortcut("line", 100, b"", b"\n") is None
    for number, text in enumerate("ab"):
        ollama.feed(written(said("", thinking=text, time=later(number))))
    [piece] = ollama.feed(written(said("", thinking="c", time=later(2))))
    lines, events = ollama.shortcut("line", 1_000, b"", b"\n"), ollama.shortcut("event", 1_000)

    assert (ReasoningDelta("c"), later(2)) == (piece, piece.raw["created_at"])
    assert lines is not None
    assert ReasoningDelta("d") == lines(written(said("", thinking="d", time=later(2))) + b"\n")
    assert lines(written(said("d", time=later(2))) + b"\n") is None
    assert events is not None
    assert ReasoningDelta("d") == events(b"data: " + written(said("", thinking="d")) + b"\n\n")
    assert events is ollama.shortcut("event", 1_000)


def test_the_answer_goes_on_where_a_shape_does_not_last() -> None:
    """Lines whose layout changes each time are learnt ever less often, and read all the same."""
    layouts = [said("a"), {**said("a"), "model": "n"}]
    payloads = [deepcopy(layouts[number % 2]) for number in range(40)]

    assert "a" * 40 == read(*payloads, end()).message.text


def test_a_line_over_several_lines_has_no_shape_for_chunks() -> None:
    """Its line ends would end the frame."""
    spread = json.dumps(said("a"), indent=1).encode()
    ollama = Ollama()
    for _ in range(3):
        ollama.feed(spread)

    assert ollama.shortcut("line", 1_000, b"", b"\n") is None


def test_a_shape_is_learnt_only_where_it_is_proved() -> None:
    """A second field of the same name, bytes that are no UTF-8, or no text at all teach nothing."""
    for data, path, text in [
        (b'{"response":"a","response":"b"}', ("response",), "a"),
        (b'{"response":"a","n":"\xff"}', ("response",), "a"),
        (b'{"n":{"content":"a"},"message":{"content":"b"}}', ("message", "content"), "a"),
        (b'{"n":{"content":"a"}}', ("message", "content"), "a"),
    ]:
        value: dict[str, Any] = {"response": text, "message": {"content": text}}
        assert Shape.learn(data, value, path, changing=[("created_at",)]) is None


# -- bad input ----------------------------------------------------------------

EVERYTHING = [
    said("", thinking="Hm"),
    said("Hel"),
    {**said("lo"), "logprobs": [{"token": "lo"}]},
    said("", tool_calls=[CALL, {"id": "c", "function": {"index": 1, "name": "b", "arguments": {}}}]),
    said("", images=["AAAA"]),
    line(response="!", thinking="?"),
    line(completed=1, total=8, image="AAAA"),
    end(),
    line(done=True, response="", done_reason="stop", context=[1, 2]),
    {"error": "e"},
]


@given(payloads=strayed(EVERYTHING), decoded=st.booleans())
def test_whatever_a_server_sends_only_our_errors_come_out(payloads: list[Payload], decoded: bool) -> None:
    """And what was given is what the message holds; no call is handed out twice."""
    frames: list[Any] = [deepcopy(each) if decoded else json.dumps(each).encode() for each in payloads]
    came = read_by(Ollama(), *frames)

    assert came.error is None or isinstance(came.error, StreamError)
    assert came.text == came.message.text
    calls = [each.part for each in came.events if isinstance(each, ToolCallDone)]
    assert len(calls) == len(set(calls))
    assert Message.model_validate(came.message.model_dump()) == came.message
    assert read_by(Plain(), *frames).outcome == came.outcome


def test_a_healthy_answer_of_everything_has_no_departures() -> None:
    """What the documents describe is no stray."""
    came = read(*EVERYTHING[:8])

    assert (None, {}, "Hello!") == (came.error, came.departures, came.text)
    assert TextDelta("Hel", part=1) in came.events


def test_bounds_hold() -> None:
    """More calls than `Limits.tool_calls` end the stream with an error."""
    came = read_by(Ollama(limits=Limits(tool_calls=1)), written(said("", tool_calls=[CALL, CALL])))

    assert isinstance(came.error, LimitExceeded)
    assert 1 == len(came.calls)


@pytest.mark.parametrize(
    "recorded", [each for each in ours() if each.format == "ollama"], ids=lambda each: each.name
)
def test_an_answer_cut_anywhere_is_truncated(recorded: Recorded) -> None:
    """Up to its last line: what was given is the start of the whole, and calls are those of the whole."""
    whole = Stream([recorded.body]).final()
    calls = {call.id: call for call in whole.tool_calls}
    for cut in range(0, len(recorded.body) - 1, 3):
        decoder = Decoder("ollama")
        events = decoder.feed(recorded.body[:cut]) + decoder.end()
        handed = [each.call for each in events if isinstance(each, ToolCallDone)]

        assert whole.text.startswith(decoder.message.text)
        assert all(call == calls[call.id] for call in handed)
        assert isinstance(decoder.error, StreamTruncated), cut


@pytest.mark.parametrize(
    "recorded", [each for each in ours() if each.format == "ollama"], ids=lambda each: each.name
)
def test_lines_that_come_one_by_one_give_what_all_at_once_give(recorded: Recorded) -> None:
    """Servers flush each line; a driver may read such chunks at a glance, and nobody sees that."""
    reads_alike_in_chunks(recorded.body.splitlines(keepends=True))


def test_a_call_that_is_no_list_is_a_call() -> None:
    """It is handed out as one of a list would be."""
    message = Stream([said(tool_calls=CALL), end()]).final()

    assert [("a", '{"x": 1}', True)] == [
        (call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert "tool_calls" == message.finish_reason


def test_arguments_that_are_no_json_values_are_a_fault() -> None:
    """Only payloads made in Python can have them."""
    with pytest.raises(ProtocolError, match="not JSON values"):
        Stream([said(tool_calls=[{"function": {"name": "a", "arguments": {"x": {1}}}}])]).final()


@pytest.mark.parametrize("missing", ["model", "created_at"])
def test_a_line_of_chat_is_known_without_its_model_or_its_time(missing: str) -> None:
    """Servers that imitate Ollama leave out what its clients do not read."""
    lines = [{name: value for name, value in each.items() if name != missing} for each in (said("Hi"), end())]
    stream = Stream([json.dumps(each).encode() + b"\n" for each in lines])

    assert ("Hi", "ollama") == (stream.final().text, stream.format)


def test_done_after_the_last_line_says_it_again() -> None:
    """Proxies that wrap the lines in server-sent events add it; anything else there is counted."""
    body = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in (said("Hi"), end()))
    clean, odd = Decoder("ollama"), Decoder("ollama")
    for decoder, rest in ((clean, b"data: [DONE]\n\n"), (odd, b'data: {"done": false}\n\n')):
        decoder.feed(body + rest)
        decoder.end()

    assert ({}, {"data_after_end"}) == (dict(clean.departures), set(odd.departures))
