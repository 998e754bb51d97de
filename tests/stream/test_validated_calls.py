"""Checked tool calls of a stream: when each comes, which come with an error, and which never come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.formats.anthropic import payloads as anthropic
from tests.formats.gemini import payloads as gemini
from tests.formats.openai_responses import payloads as responses
from tests.project import ROOT
from tests.stream.bodies import ANSWER, AsyncSource, call, chunk
from tests.support.sampling import sampled
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid, StreamTruncated
from tokenstream.message import ToolCall

RECORDINGS = ROOT / "tests" / "recordings"
BROKEN = '{"path": "/srv",]'


def get_weather(city: str) -> str:
    return f"sun in {city}"


async def get_time() -> str:
    return "noon"


def rm(path: str) -> str:
    return f"removed {path}"


def body(payloads: Iterable[dict[str, Any]]) -> list[bytes]:
    return [sse(payload, event=payload.get("type", "message")) for payload in payloads]


def anthropic_body(*texts: str, reason: str = "tool_use", last: bool = True) -> list[bytes]:
    """Return an answer that calls `rm` with each of these texts for its arguments."""
    blocks: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        blocks += [anthropic.tool(index, call_id=f"call_{index}"), anthropic.arguments(index, text)]
        blocks += [anthropic.stop(index)] if last or index < len(texts) - 1 else []
    return body(anthropic.answer(*blocks, reason=reason))


def chat_body(*texts: str, reason: str = "tool_calls") -> list[bytes]:
    return [
        *[chunk(call(index, f"call_{index}", "rm", text)) for index, text in enumerate(texts)],
        chunk({}, reason),
        DONE,
    ]


def responses_body(*texts: str) -> list[bytes]:
    items = [
        payload
        for index, text in enumerate(texts)
        for payload in responses.remove(index, text, call_id=f"call_{index}", name="rm")
    ]
    return body([responses.created(), *items, responses.ended()])


def gemini_body() -> list[bytes]:
    return body(
        [
            gemini.chunk(gemini.call("rm", willContinue=True)),
            gemini.chunk(gemini.value("$.path", stringValue="/srv")),
            gemini.chunk(gemini.value("$.path.deeper", stringValue="x")),
            gemini.chunk(gemini.call()),
            gemini.chunk(finish="STOP"),
        ]
    )


def seen(chunks: list[bytes]) -> list[tuple[str, bool]]:
    """Return the calls of a body, and of each whether it can be run."""
    return [(checked.id, checked.error is None) for checked in Stream(chunks).validated_calls(rm)]


def test_calls_come_checked_and_can_be_run() -> None:
    stream = Stream(ANSWER)
    found: list[Any] = []
    for checked in stream.validated_calls(get_weather, get_time=dict[str, int]):
        found.append((checked.name, checked.arguments, stream.message.finish_reason))

    assert [("get_weather", {"city": "Oslo"}, None), ("get_time", {}, None)] == found


@pytest.mark.anyio
async def test_an_async_stream_gives_the_same() -> None:
    stream = AsyncStream(AsyncSource(ANSWER))
    results: list[str] = []
    async for checked in stream.validated_calls(get_weather, get_time):
        result: Any = checked.run()
        results.append(result if isinstance(result, str) else await result)

    assert ["sun in Oslo", "noon"] == results


def test_choices_have_checked_calls_of_their_own() -> None:
    chunks = [
        chunk({**call(0, "call_x", "rm", '{"path": "/x"}')}, choice=1),
        chunk({"content": "no"}),
        chunk({}, "stop"),
        chunk({}, "tool_calls", choice=1),
        DONE,
    ]
    stream = Stream(chunks)

    assert [] == list(stream.validated_calls(rm))
    assert ["removed /x"] == [checked.run() for checked in stream.choice(1).validated_calls(rm)]


@pytest.mark.parametrize(
    "chunks",
    [chat_body(BROKEN), anthropic_body(BROKEN), responses_body(BROKEN), gemini_body()],
    ids=["openai-chat", "anthropic", "openai-responses", "gemini"],
)
def test_a_call_that_its_format_ended_on_broken_json_comes_with_its_error(chunks: list[bytes]) -> None:
    """Nothing else would tell the model; `tool_calls` leaves it out."""
    stream = Stream(chunks)
    [checked] = stream.validated_calls(rm)

    assert isinstance(checked.error, InvalidJSON)
    assert (checked.name, checked.complete) == ("rm", False)
    assert checked.error_for_model.startswith("The arguments of rm are no valid JSON")
    assert [] == list(stream.tool_calls)


def test_a_broken_call_comes_with_its_end() -> None:
    """An event tells of it, so nothing of what follows has come."""
    with Stream(anthropic_body(BROKEN, '{"path": "/a"}')) as stream:
        broken = next(stream.validated_calls(rm))
        came = stream.message.tool_calls

    assert "call_0" == broken.id
    assert [("call_0", BROKEN)] == [(each.id, each.arguments_text) for each in came]


def test_a_broken_call_comes_before_text_that_follows_it() -> None:
    payloads = anthropic.answer(
        anthropic.tool(0),
        anthropic.arguments(0, BROKEN),
        anthropic.stop(0),
        anthropic.block(1, "text", text=""),
        anthropic.text(1, "Hm."),
        anthropic.stop(1),
    )
    with Stream(body(payloads)) as stream:
        next(stream.validated_calls(rm))
        before = stream.message.text
        after = list(stream.text)

    assert ("", ["Hm."]) == (before, after)


@pytest.mark.parametrize(
    "chunks",
    [
        chat_body('{"path": "/s', reason="length"),
        chat_body('{"path": "/srv"}', reason="content_filter"),
        anthropic_body('{"path": "/s', reason="max_tokens", last=False),
        anthropic_body('{"path": "/srv"}', reason="max_tokens", last=False),
        [*body([responses.created(), *responses.remove()[:2]]), *body([responses.ended("incomplete")])],
    ],
)
def test_a_call_that_was_cut_never_comes(chunks: list[bytes]) -> None:
    """A model cannot correct what it could not finish."""
    stream = Stream(chunks)

    assert [] == list(stream.validated_calls(rm))
    assert 1 == len(stream.message.tool_calls)


@pytest.mark.slow
@pytest.mark.parametrize("make", sampled([anthropic_body, chat_body, responses_body], one_in=3))
def test_an_answer_that_is_cut_anywhere_gives_only_what_had_ended(make: Any) -> None:
    chunks = b"".join(make('{"path": "/a"}', BROKEN, '{"path": "/b"}'))
    whole = [("call_0", True), ("call_1", False), ("call_2", True)]
    for end in range(0, len(chunks), 7):
        found: list[tuple[str, bool]] = []
        try:
            for checked in Stream([chunks[:end]], format=None).validated_calls(rm):
                found.append((checked.id, checked.error is None))
        except StreamTruncated:
            pass

        assert whole[: len(found)] == found


def test_a_call_that_had_ended_before_the_cut_keeps_its_error() -> None:
    chunks = anthropic_body(BROKEN, '{"path": "/s', reason="max_tokens", last=False)

    assert [("call_0", False)] == seen(chunks)


def test_calls_can_wait_for_the_whole_answer() -> None:
    chunks = anthropic_body('{"path": "/a"}', BROKEN)
    waited = Stream(chunks).validated_calls(rm).when_complete()
    cut = Stream(chunks[:-2]).validated_calls(rm).when_complete()
    found: list[ToolCall] = []

    assert [True, False] == [checked.error is None for checked in waited]
    with pytest.raises(StreamTruncated):
        found.extend(iter(cut))
    assert [] == found


def test_an_error_has_what_the_answer_had_come_to() -> None:
    [checked] = Stream(chat_body('{"path": 3}')).validated_calls(rm)

    assert isinstance(checked.error, OutputInvalid)
    assert ["call_0"] == [part.id for part in checked.error.partial.tool_calls]


@pytest.mark.parametrize(
    "path",
    [
        "anthropic/parallel_tool_calls.sse",
        "anthropic/tool_call.sse",
        "openai-chat/parallel_tool_calls.sse",
        "openai-responses/reasoning_tool_calls.sse",
        "openai-responses/custom_tool.sse",
        "gemini/streamed_tool_call.sse",
        "ollama/thinking_and_tool_calls.ndjson",
    ],
)
def test_the_calls_of_recordings_are_those_of_the_plain_view(path: str) -> None:
    recorded = (RECORDINGS / path).read_bytes()
    plain = list(Stream(recorded).tool_calls)
    tools: dict[str, Any] = {each.name: str if each.type == "custom" else dict[str, Any] for each in plain}
    checked = list(Stream(recorded).validated_calls(**tools))

    assert plain
    assert [each.arguments for each in plain] == [each.arguments for each in checked]
    assert [each.model_dump() for each in plain] == [each.model_dump() for each in checked]


def test_what_is_no_tool_is_refused_before_the_loop() -> None:
    with Stream(ANSWER) as stream, pytest.raises(MisuseError, match="no tools"):
        stream.validated_calls()
