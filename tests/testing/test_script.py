"""Scripts: what they say, and what they refuse."""

from __future__ import annotations

import json

import pytest

from tokenstream import testing
from tokenstream.errors import MisuseError, NotExpressible, ProviderError, StreamTruncated
from tokenstream.events import Finish, TextDelta, ToolCallDelta, ToolCallDone, Unknown

WEATHER = {"city": "Oslo", "days": 3}


def test_a_script_is_the_message_that_its_stream_comes_to() -> None:
    script = (
        testing.script()
        .reasoning("Let me see.")
        .text("It is ")
        .tool_call("get_weather", WEATHER)
        .usage(input_tokens=7, output_tokens=9)
        .finish("stop")
    )
    read = script.stream("anthropic").final()

    assert ["reasoning", "text", "tool_call"] == [part.kind for part in read.parts]
    assert script.message.parts == read.parts
    assert ("tool_calls", "complete") == (script.message.finish_reason, script.message.ending)
    assert ("tool_calls", "complete") == (read.finish_reason, read.ending)


def test_each_method_gives_a_longer_script_and_changes_none() -> None:
    """A beginning that tests share stays as it is."""
    beginning = testing.script().text("Hello")
    ended = beginning.finish("stop")

    assert ("Hello", "truncated") == (beginning.message.text, beginning.message.ending)
    assert ("Hello", "complete") == (ended.message.text, ended.message.ending)


def test_text_comes_in_pieces_like_a_model_s() -> None:
    """Nobody's handler is tested with an answer of one piece."""
    pieces = [
        event.text
        for event in testing.script().text("Hello dear world").events
        if isinstance(event, TextDelta)
    ]

    assert ["Hello", " dear", " world"] == pieces


@pytest.mark.parametrize("text", ["", " ", "\n\n", "a  b\t", " leading", "trailing \n", "漢字\u2028🌊" * 9])
def test_no_character_of_a_text_is_lost(text: str) -> None:
    """White space at either end is part of the answer."""
    assert text == testing.script().text(text).finish().message.text


def test_text_after_text_is_one_part() -> None:
    message = testing.script().text("Hel").silence(1).text("lo").finish().message

    assert ["Hello"] == [part.text for part in message.parts if part.kind == "text"]


def test_arguments_are_json_however_they_are_given() -> None:
    text = json.dumps(WEATHER)
    for arguments in (WEATHER, text, (text[:5], text[5:])):
        call = testing.script().tool_call("get_weather", arguments).finish().message.tool_calls[0]
        assert ("call_1", "get_weather", WEATHER, True) == (call.id, call.name, call.arguments, call.complete)


def test_fragments_of_arguments_can_be_given() -> None:
    """A test can fix the fragments if they matter to it."""
    events = testing.script().tool_call("rm", ('{"pa', 'th": 1}'), id="a").events

    assert [("a", '{"pa'), ("a", 'th": 1}')] == [
        (event.id, event.fragment) for event in events if isinstance(event, ToolCallDelta)
    ]


def test_calls_are_numbered_through_the_answer() -> None:
    script = (
        testing.script().tool_call("ls").tool_call("rm", {"path": "/"}, id="mine").tool_call("ls").finish()
    )

    assert ["call_1", "mine", "call_3"] == [call.id for call in script.message.tool_calls]


def test_a_call_without_arguments_has_none() -> None:
    assert {} == testing.script().tool_call("now").finish().message.tool_calls[0].arguments


def test_a_call_that_is_cut_is_never_done() -> None:
    script = testing.script().tool_call("rm", '{"path": "/tm')

    assert not any(isinstance(event, ToolCallDone) for event in script.events)
    assert [False] == [call.complete for call in script.message.tool_calls]
    stream = script.stream("openai-chat")
    with pytest.raises(StreamTruncated) as caught:
        stream.final()
    assert () == caught.value.tool_calls_delivered


@pytest.mark.parametrize(
    ("reason", "calls", "expected"),
    [
        ("stop", False, "stop"),
        ("stop", True, "tool_calls"),
        ("length", True, "length"),
        ("length", False, "length"),
    ],
)
def test_stop_after_calls_means_that_they_are_to_be_run(reason: str, calls: bool, expected: str) -> None:
    """Every provider has a word of its own for it; what is cut stays cut."""
    script = testing.script().text("x")
    script = script.tool_call("now") if calls else script
    script = script.finish("stop" if reason == "stop" else "length")

    assert [expected] == [event.reason for event in script.events if isinstance(event, Finish)]
    assert expected == script.message.finish_reason


def test_nothing_is_said_after_the_end() -> None:
    """The mistake is told where it is made."""
    with pytest.raises(MisuseError, match=r"after finish\(\)"):
        testing.script().text("Hello").finish().text("again")


def test_another_choice_goes_on_after_the_end_of_the_first() -> None:
    script = testing.script().text("Yes").finish().choice(1).text("No").finish("length")

    read = script.stream("openai-chat")
    read.final()
    assert [("Yes", "stop"), ("No", "length")] == [(each.text, each.finish_reason) for each in read.messages]
    assert [each.text for each in script.messages] == [each.text for each in read.messages]


def test_usage_may_come_after_the_end() -> None:
    before = testing.script().text("Hi").usage(input_tokens=3, output_tokens=1).finish()
    behind = testing.script().text("Hi").finish().usage(input_tokens=3, output_tokens=1)

    assert before.chunks("openai-chat") == behind.chunks("openai-chat")


def test_the_head_is_what_the_script_says() -> None:
    message = testing.script(id="msg_7", model="mine-1").text("Hi").finish().stream("anthropic").final()

    assert ("msg_7", "mine-1") == (message.id, message.model)


def test_an_error_in_the_middle_is_the_provider_s() -> None:
    stream = testing.script().text("Hel").error("Too many requests", kind="rate_limited").stream("anthropic")

    with pytest.raises(ProviderError, match="Too many requests") as caught:
        stream.final()
    assert ("rate_limited", "Hel") == (caught.value.kind, caught.value.partial.text)
    assert "failed" == testing.script().text("Hel").error().message.ending


def test_an_error_may_be_all_that_comes() -> None:
    assert 1 == len(testing.script().error("Overloaded").chunks("anthropic"))


def test_a_payload_is_sent_as_it_is() -> None:
    """A provider may send payloads that no other method of a script covers."""
    script = (
        testing.script().text("a").raw({"type": "new_thing", "x": 1}, event="new_thing").text("b").finish()
    )
    stream = script.stream("anthropic")

    assert ["new_thing"] == [event.name for event in stream if isinstance(event, Unknown)]
    assert "ab" == stream.message.text


def test_pauses_are_times_of_arrival() -> None:
    recording = testing.script().text("a").silence(2).text("b").silence(0.5).finish().recording("anthropic")

    assert [0.0, 2.0, 2.5] == sorted({at for at, _ in recording.arrivals})


def test_a_rate_spreads_the_deltas() -> None:
    stream = testing.script(rate=10).text("a", "b", "c").finish().stream("openai-chat", pace="recorded")
    stream.final()

    assert 0.0 == stream.metrics.ttft
    assert pytest.approx(0.2) == stream.metrics.last_content


def test_the_formats_of_a_script_are_those_that_can_say_it() -> None:
    """A test of all providers takes these."""
    words = testing.script().text("Hello").finish()
    calls = testing.script().text("Hello").tool_call("now").finish()

    assert {*testing.all_formats} == {*words.formats}
    assert {"openai-chat", "anthropic", "gemini", "ollama"} <= set(calls.formats)
    assert "text" not in calls.formats


def test_what_a_format_cannot_express_is_named() -> None:
    with pytest.raises(NotExpressible, match=r"'text' has no place for .*tool call \(part 1"):
        testing.script().text("Hello").tool_call("now").finish().chunks("text")
    with pytest.raises(NotExpressible, match=r"'anthropic' has no place for a second choice"):
        testing.script().choice(1).text("Hello").chunks("anthropic")
    with pytest.raises(NotExpressible, match=r"'text' has no place for usage\.input_tokens"):
        testing.script().text("Hello").usage(input_tokens=1).chunks("text")
    with pytest.raises(NotExpressible, match="the finish reason 'pause'"):
        testing.script().text("Hello").finish("pause").chunks("openai-chat")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MisuseError, match="openai-chat, anthropic, openai-responses"):
        testing.script().text("Hello").chunks("openai")


def test_whatever_a_model_says_has_a_word() -> None:
    script = (
        testing.script()
        .reasoning("Hm.", signature="s1")
        .text("Oslo")
        .citation(url="https://example.com/oslo", title="Oslo")
        .media(b"png", "image/png")
        .refusal("No.")
    )

    kinds = ["reasoning", "text", "citation", "media", "refusal"]
    assert kinds == [part.kind for part in script.message.parts]
    assert [("s1", b"png", 1)] == [
        (reasoning.signature, media.data, citation.cites)
        for reasoning, _, citation, media, _ in [script.message.parts]
        if reasoning.kind == "reasoning" and media.kind == "media" and citation.kind == "citation"
    ]


def test_mistral_s_own_api_is_written_as_it_sends() -> None:
    stream = testing.script().tool_call("ls", {"path": "/srv/x"}).finish().stream("mistral")

    assert [{"path": "/srv/x"}] == [call.arguments for call in stream.final().tool_calls]
    assert "openai-chat" == stream.format
