"""A stream with `Tags.calls` gives the calls of a text like those of the API itself."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import anyio
import pytest

from tests.calls_in_text.support import BARE, NAMES, WRITERS, make_call
from tests.support.chunkings import bytewise, several
from tests.support.reading import aread, read
from tests.support.text_stages import work
from tests.support.wire import DONE, chat, chat_call
from tokenstream import (
    AsyncStream,
    Decoder,
    Limits,
    Message,
    MisuseError,
    Router,
    Stream,
    StreamTruncated,
    Tags,
    Tools,
    tap,
    testing,
)
from tokenstream.errors import LimitExceeded
from tokenstream.events import Finish, PartDone, ToolCallDelta, ToolCallDone, ToolCallStart

HERMES = '<tool_call>\n{"name": "look", "arguments": {"at": "x"}}\n</tool_call>'
FUNCTION = """<tool_call>
<function=look>
<parameter=n>
3
</parameter>
<parameter=at>
3
</parameter>
</function>
</tool_call>"""


def look(at: str, n: int = 0) -> str:
    """Look at something."""
    return f"{at}{n}"


def body(text: str, finish: str | None = "stop", size: int = 7) -> list[bytes]:
    """Return an answer whose text is cut into pieces; without a finish reason, it is cut off."""
    pieces = [chat({"content": text[start : start + size]}) for start in range(0, len(text), size)]
    return [chat({"role": "assistant"}), *pieces, *([] if finish is None else [chat({}, finish), DONE])]


@pytest.mark.parametrize("written", WRITERS)
def test_a_call_in_the_text_is_a_call_of_the_message(written: str) -> None:
    dialect, write = WRITERS[written]
    call = make_call(random.Random(f"{written}2"))
    before = "" if dialect in BARE else "Let me look.\n"
    stream = Stream(body(before + write([call, call])), tags=Tags(calls=dialect), tools=[*NAMES])
    events = list(stream)
    message = stream.message

    assert before == message.text
    assert ["text"] * bool(before) + ["tool_call"] * 2 == [part.kind for part in message.parts]
    assert [("call_0", call.name), ("call_1", call.name)] == [
        (each.id, each.name) for each in message.tool_calls
    ]
    assert all(each.complete for each in message.tool_calls)
    assert ("tool_calls", "stop") == (message.finish_reason, message.raw_finish_reason)
    assert {"call_read", "finish_unaware"} <= {*stream.departures.details}
    assert "call_in_text" not in stream.departures.details
    assert 2 == sum(isinstance(event, ToolCallDone) for event in events)
    assert [event.part for event in events if isinstance(event, ToolCallStart)] == [
        index for index, part in enumerate(message.parts) if part.kind == "tool_call"
    ]


def test_arguments_arrive_as_they_are_written() -> None:
    text = '<tool_call>{"name": "look", "arguments": {"at": "' + "x" * 50 + '"}}</tool_call>'
    decoder = Decoder(tags=Tags(calls=True))
    seen: list[tuple[int, str]] = []
    for position, character in enumerate(text):
        for event in decoder.feed(chat({"content": character})):
            if isinstance(event, ToolCallStart | ToolCallDelta | ToolCallDone):
                seen.append((position, type(event).__name__))

    assert (text.index('",'), "ToolCallStart") == seen[0]
    assert (len(text) - 1, "ToolCallDone") == seen[-1]
    assert len(seen) > 50


def test_every_chunking_gives_the_same_in_both_colours() -> None:
    sent = b"".join(body(f"<think>Hm <tool_call></think>\n\nSo:\n{HERMES}\nand\n{FUNCTION} Done."))
    options: dict[str, Any] = {"tags": Tags(calls=True, reasoning=True), "tools": [look]}
    expected = read([sent], **options)

    assert "Hm <tool_call>" == expected.message.reasoning
    assert [{"at": "x"}, {"n": 3, "at": "3"}] == [call.arguments for call in expected.message.tool_calls]
    assert "So:\nand\nDone." == expected.message.text
    for chunks in (bytewise(sent), *several(sent, "calls").values()):
        assert expected.message == read(chunks, **options).message
        assert expected.message == anyio.run(partial(aread, chunks, **options)).message


def test_parameters_get_the_types_of_the_schema() -> None:
    table = Tools(look)
    lists = (table.to_openai_chat, table.to_openai_responses, table.to_anthropic, table.to_gemini)
    namespace = [{"type": "namespace", "name": "look", "tools": table.to_openai_responses()}]
    every: list[Any] = [table, namespace, *[to_list() for to_list in (*lists, table.to_bedrock)]]
    for tools in every:
        known = Stream(body(FUNCTION), tags=Tags(calls="qwen"), tools=tools).final()
        assert [{"n": 3, "at": "3"}] == [call.arguments for call in known.tool_calls]
    unknown = Stream(body(FUNCTION), tags=Tags(calls="qwen")).final()

    assert [{"n": "3", "at": "3"}] == [call.arguments for call in unknown.tool_calls]
    with Stream(body(FUNCTION), tags=Tags(calls=True), tools=[look]) as stream:
        assert ["33"] == [call.run() for call in stream.validated_calls(look)]


_FORMS = ["look", "functions.look", "default_api.look", "look<|channel|>commentary", "functions.look<|end|>"]


@pytest.mark.parametrize("name", _FORMS)
@pytest.mark.parametrize("is_in_text", [True, False])
def test_a_name_with_a_namespace_or_a_channel_is_the_known_tool(name: str, is_in_text: bool) -> None:
    call = chat_call(0, '{"at": "x"}', id="c", name=name)
    sent = body(HERMES.replace("look", name)) if is_in_text else [chat(call), chat({}, "tool_calls"), DONE]
    for tools, found in [(["look"], "look"), (["look", name], name), (["now"], name), (None, name)]:
        message = Stream(sent, tags=Tags(calls=True), tools=tools).final()

        assert [found] * (not is_in_text or tools != ["now"]) == [each.name for each in message.tool_calls]
        for each in message.tool_calls:
            assert ["tool_name"] * (found != name) == [repair.name for repair in each.repairs]


@pytest.mark.parametrize("name", _FORMS)
@pytest.mark.parametrize("is_in_text", [True, False])
def test_a_view_that_is_given_a_tool_knows_it_by_such_a_name(name: str, is_in_text: bool) -> None:
    call = chat_call(0, '{"at": "x"}', id="c", name=name)
    sent = body(HERMES.replace("look", name)) if is_in_text else [chat(call), chat({}, "tool_calls"), DONE]
    options: dict[str, Any] = {"tags": Tags(calls=True)}
    (checked,) = Stream(sent, **options).validated_calls(look)
    *_, draft = Stream(sent, **options).tool_partials(look)
    results = Stream(sent, **options).run(Router(Tools(look)))

    assert ("look", "x0") == (checked.name, checked.run())
    assert ["tool_name"] * (name != "look") == [repair.name for repair in checked.repairs]
    assert draft.call is not None
    assert draft.call.error is None
    assert ["x0"] == [*results.values()]
    (unknown,) = Stream(sent, **options).validated_calls(other=look)
    assert unknown.error is not None


@pytest.mark.parametrize("option", ["calls", "reasoning"])
@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("plain words, `or` so ", 1.25),
        ("for (i = 0; i < n && a[i] <= b; i++)\n", 2),
        ("<li><a>x</a></li>\n", 2.5),
    ],
)
def test_what_begins_no_opening_costs_little(unit: str, most: float, option: str) -> None:
    sent = body(unit * 100, size=4)
    costs: list[int] = []
    tags: dict[str, Any] = {option: True}
    every: list[dict[str, Any]] = [{}, {"tags": Tags(**tags)}]
    for options in every:
        # What is made once, for all streams, is left out.
        Stream(sent, **options).final()
        costs.append(work(lambda: Decoder("openai-chat", **options), sent))  # noqa: B023 - called at once

    assert costs[1] <= most * costs[0]


def test_bare_dialects_need_their_name_and_known_tools() -> None:
    """Structured output does not become a call."""
    text = '{"name": "look", "parameters": {"at": "x"}}'
    named = Stream(body(text), tags=Tags(calls=("llama_json",)), tools=["look"]).final()
    others = [
        Stream(body(text), tags=Tags(calls=True), tools=["look"]),
        Stream(body(text), tags=Tags(calls="llama_json")),
        Stream(body('{"name": "look", "age": 3}'), tags=Tags(calls="llama_json"), tools=["look"]),
    ]

    assert [{"at": "x"}] == [call.arguments for call in named.tool_calls]
    for stream in others:
        assert not stream.final().tool_calls
        assert "{" == stream.message.text[0]


@pytest.mark.parametrize("finish", ["length", "content_filter", None])
@pytest.mark.parametrize("size", range(30, len(HERMES)))
def test_an_answer_that_is_cut_off_hands_out_no_call_without_its_end(finish: str | None, size: int) -> None:
    stream = Stream(body(HERMES[:size], finish), tags=Tags(calls=True))
    events: list[object] = []
    try:
        events += stream
    except StreamTruncated:
        assert finish is None

    assert not any(isinstance(event, ToolCallDone) for event in events)
    assert [False] == [call.complete for call in stream.message.tool_calls]
    assert "" == stream.message.text


def test_an_end_tag_that_is_missing_at_the_finish_is_repaired() -> None:
    stream = Stream(body(HERMES.removesuffix("\n</tool_call>")), tags=Tags(calls=True))
    with stream:
        events = list(stream)
    [call] = stream.message.tool_calls
    checked = list(Stream(body(HERMES[:-12]), tags=Tags(calls=True)).validated_calls(look))

    assert ["missing_end"] == [repair.name for repair in call.repairs]
    assert [["missing_end"]] == [[repair.name for repair in each.repairs] for each in checked]
    assert [ToolCallDone, Finish] == [type(event) for event in events[-2:]]
    assert "tool_calls" == stream.message.finish_reason


def test_a_repaired_call_is_equal_to_itself_from_its_json() -> None:
    """Repairs are told beside a call, whose content is that of any other."""
    message = Stream(body(HERMES.removesuffix("\n</tool_call>")), tags=Tags(calls=True)).final()
    [call] = message.tool_calls

    assert call.repairs
    assert message == Message.model_validate_json(message.model_dump_json())
    assert repr(call).startswith("ToolCall(")
    assert call.repairs == message.model_copy(deep=True).tool_calls[0].repairs


def test_markup_that_fails_is_an_incomplete_call() -> None:
    text = '<tool_call>{"name": "look", "arguments": {"at": "x"} oops}</tool_call> Hm.'
    stream = Stream(body(text), tags=Tags(calls=True))
    events = list(stream)
    [call] = stream.message.tool_calls

    assert not call.complete
    assert "Hm." == stream.message.text
    assert 1 == sum(isinstance(event, PartDone) and event.part == 0 for event in events)
    assert "stop" == stream.message.finish_reason
    assert "call_invalid" in stream.departures.details


def test_auto_reads_calls_only_of_a_request_with_tools() -> None:
    own = [chat(chat_call(0, id="a", name="look", arguments='{"at": "y"}'))]
    given = Stream(body(HERMES), tags=Tags(calls="auto"), tools=["look"]).final()
    none = Stream(body(HERMES), tags=Tags(calls="auto")).final()
    both = Stream([*own, *body(HERMES)[1:]], tags=Tags(calls="auto"), tools=["look"]).final()

    assert [{"at": "x"}] == [call.arguments for call in given.tool_calls]
    assert (HERMES, ()) == (none.text, none.tool_calls)
    assert ([{"at": "y"}], HERMES) == ([call.arguments for call in both.tool_calls], both.text)


@pytest.mark.parametrize("limits", [Limits(tool_calls=3), Limits(parts=3)])
def test_calls_in_a_text_are_bounded(limits: Limits) -> None:
    stream = Stream(body(HERMES * 5), tags=Tags(calls=True), limits=limits)
    with pytest.raises(LimitExceeded):
        list(stream)

    assert 3 == len(stream.message.tool_calls)


@pytest.mark.parametrize(
    "head",
    [
        "<tool_call>\n<function=look>\n<parameter=n>\n",
        '<tool_call>{"name": "look", "arguments": "',
        '<tool_call>{"name": "look", "',
        "<|tool_call>call:look{at:",
        '<|python_start|>[look(at="',
    ],
)
def test_a_value_that_is_held_back_whole_is_bounded(head: str) -> None:
    sent = body(head + "a" * 2_000, size=100)
    stream = Stream(sent, tags=Tags(calls=True), tools=[look], limits=Limits(text=1_000))
    with pytest.raises(LimitExceeded, match=r"Limits\.text"):
        list(stream)

    assert [("look", False)] == [(call.name, call.complete) for call in stream.message.tool_calls]


@pytest.mark.parametrize("format", testing.all_formats)
def test_every_format_reads_calls_in_its_text(format: Any) -> None:
    script = testing.script().text("So: ", HERMES[:20], HERMES[20:], " Yes.").finish("stop")
    plain = Stream(script.chunks(format), format=format).final()
    message = Stream(script.chunks(format), format=format, tags=Tags(calls=True)).final()

    assert HERMES in plain.text
    assert "So: Yes." == message.text
    assert [("look", {"at": "x"})] == [(call.name, call.arguments) for call in message.tool_calls]
    assert plain.ending == message.ending


@pytest.mark.parametrize("format", testing.all_formats)
def test_text_with_beginnings_of_openings_stays_as_it_is(format: Any) -> None:
    script = testing.script().text(*(["a ", "word ", "if a <", " b[", "i] ", "<", "/i> "] * 9)).finish("stop")
    every: list[dict[str, Any]] = [{"tags": Tags(calls=True)}, {"tags": Tags(calls=True, reasoning=True)}]
    for options in every:
        read = Stream(script.chunks(format), format=format, **options)
        plain = Stream(script.chunks(format), format=format)

        assert plain.final().text == read.final().text
        assert {*plain.departures.details} == {*read.departures.details}


def test_a_tap_and_the_async_stream_take_the_option() -> None:
    tapped = tap(body(HERMES), tags=Tags(calls=True), tools=[look])
    for _ in tapped:
        pass

    async def main() -> Any:
        return await AsyncStream(body(HERMES), tags=Tags(calls=True)).final()

    assert 1 == len(tapped.message.tool_calls)
    assert tapped.message.tool_calls == anyio.run(main).tool_calls


@pytest.mark.parametrize(
    "wrong",
    ["nonsense", "nemotron", "internlm", "functiongemma", "granite", "jamba", ("hermes", "x"), 3, [None]],
)
def test_a_name_that_is_no_dialect_is_refused(wrong: Any) -> None:
    with pytest.raises(MisuseError, match=r"dialects are anthropic, cohere"):
        Stream([], tags=Tags(calls=wrong))
