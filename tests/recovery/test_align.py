"""A loop over events that is not given again what it was given: `Retry(align=True)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.relay.provider_tools import told_result
from tests.support.sampling import sampled
from tokenstream import Retry, relay, testing
from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamTruncated
from tokenstream.events import (
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    Restarted,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import ServerToolCall, ServerToolResult, TextPart, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.events import Event
    from tokenstream.message import Part

ALIGN = Retry(mode="restart", wait=0, align=True, attempts=4)
FORMATS = ["openai-chat", "anthropic", "openai-responses", "cohere", "bedrock-converse", "gemini", "ollama"]


def chunks_of(format: str, *, city: str = "Oslo", id: str = "call_a") -> list[bytes]:
    script = testing.script().text("Let me look at the weather. ")
    script = script.tool_call("get_weather", {"city": city, "days": 3}, id=id)
    return script.tool_call("book", {"table": 4}, id=id + "2").finish("tool_calls").chunks(format)


def shape_of(events: list[Any]) -> list[Any]:
    """Return events with neighbouring deltas joined, and without ids and what has no content."""
    shape: list[Any] = []
    for event in events:
        kind = type(event).__name__
        text = getattr(event, "text", None) or getattr(event, "fragment", None)
        if kind in {"UsageUpdate", "Unknown"}:
            continue
        if text is not None and shape and shape[-1][:2] == [kind, event.part]:
            shape[-1][2] += text
        elif text is not None:
            shape.append([kind, event.part, text])
        elif isinstance(event, ToolCallDone):
            shape.append([kind, event.part, event.call.name, event.call.arguments])
        elif not isinstance(event, MessageStart):
            shape.append([kind, event.part, getattr(event, "name", "")])
    return shape


@pytest.mark.slow
@in_each_world
@pytest.mark.parametrize("format", sampled(FORMATS, one_in=3))
def test_the_events_are_those_of_one_answer_at_every_cut(world: str, format: str) -> None:
    """Neither a delta nor a start nor an end comes twice, and ids stay those that were given first."""
    first, again = chunks_of(format), chunks_of(format, id="call_b")
    plain = play(world, [first], ALIGN, format=format)
    for cut in range(1, len(first)):
        played = play(world, [first[:cut], again], ALIGN, format=format)

        assert shape_of(played.given) == shape_of(plain.given)
        assert not any(isinstance(event, Restarted) for event in played.given)
        assert len([event for event in played.given if isinstance(event, MessageStart)]) == 1
        started = [event.id for event in played.given if isinstance(event, ToolCallStart)]
        done = [event.call.id for event in played.given if isinstance(event, ToolCallDone)]
        assert started == done == [call.id for call in played.message.tool_calls]


RICH = {
    "anthropic": testing.script().text("Once ").citation(url="http://a", title="t").text("upon", " a"),
    "gemini": testing.script().text("Once ").media(b"png", "image/png").text("upon", " a"),
    "openai-chat": testing.script().text("Once ").media(b"png", "image/png").text("upon", " a"),
    "openai-responses": testing.script().text("c", "c").tool_call("f", {"a": 1}).text("c", "abc"),
    "ui-message": testing.script().reasoning("hm", signature="abc").text("Once ", "upon"),
    "tokenstream": testing.script().reasoning("hm", signature="abc").media(b"png", "image/png").text("Once"),
}


@in_each_world
@pytest.mark.parametrize("format", sampled(sorted(RICH), one_in=3))
def test_an_equal_answer_goes_on_at_every_cut(world: str, format: str) -> None:
    """Also where it has citations, media and signatures, which have events of their own."""
    whole = RICH[format].finish("stop").chunks(format)
    plain = play(world, [whole], ALIGN, format=format)
    for cut in range(1, len(whole)):
        played = play(world, [whole[:cut], whole], ALIGN, format=format)

        assert played.error is None
        assert shape_of(played.given) == shape_of(plain.given)
        assert played.message.parts == plain.message.parts


@in_each_world
@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "ui-message"])
def test_a_text_that_is_longer_than_the_one_that_ended_differs(world: str, format: str) -> None:
    """The loop already has what follows it."""
    script = testing.script().text("Hello").reasoning("hm").text("World", "!").finish("stop")
    longer = testing.script().text("Hello there").reasoning("hm").text("World", "!").finish("stop")
    first = script.chunks(format)
    cut = next(place for place, chunk in enumerate(first) if b"World" in chunk) + 1
    played = play(world, [first[:cut], longer.chunks(format)], ALIGN, format=format)

    assert isinstance(played.error, StreamTruncated)
    assert "there" not in "".join(event.text for event in played.given if isinstance(event, TextDelta))


@pytest.mark.slow
@in_each_world
def test_the_events_add_up_to_the_message(world: str) -> None:
    """What a loop makes of them is what the stream makes of its answer."""
    first, again = chunks_of("anthropic"), chunks_of("anthropic", id="call_b")
    for cut in range(1, len(first)):
        played = play(world, [first[:cut], again], ALIGN)
        accumulator = Accumulator()
        for event in played.given:
            accumulator.feed(event)

        assert accumulator.message.text == played.message.text
        assert accumulator.message.tool_calls == played.message.tool_calls


@in_each_world
@pytest.mark.parametrize("format", ["openai-chat", "anthropic"])
def test_another_answer_raises_what_broke_off_the_first(world: str, format: str) -> None:
    """Nothing of it is given, and it is not asked for once more."""
    first, other = chunks_of(format), chunks_of(format, city="Bergen")
    cut = len(first) - 3
    played = play(world, [first[:cut], other, first], ALIGN, format=format)

    assert isinstance(played.error, StreamTruncated)
    assert "Bergen" not in str(shape_of(played.given))
    assert len(played.asked) == 2
    assert played.error.partial.text == "Let me look at the weather. "


@in_each_world
@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini"])
def test_a_call_of_another_tool_is_another_answer(world: str, format: str) -> None:
    """The arguments are equal; whoever has run the first tool must not run the second one."""
    first, other = (
        testing.script().tool_call(name, {"city": "Oslo"}, id="a").text("On it").finish("stop").chunks(format)
        for name in ("look", "book")
    )
    end = {"gemini": 1, "openai-chat": 2, "anthropic": 3}[format]
    played = play(world, [first[:-end], other], ALIGN, format=format)

    assert isinstance(played.error, StreamTruncated)
    assert ["look"] == [event.name for event in played.given if isinstance(event, ToolCallStart)]
    assert ["look"] == [call.name for call in played.error.partial.tool_calls]


@in_each_world
def test_a_shorter_answer_raises(world: str) -> None:
    """Its end comes before all that was given has come again."""
    first = testing.script().text("Hello wonderful world").finish("stop").chunks("openai-chat")
    short = testing.script().text("Hello").finish("stop").chunks("openai-chat")
    played = play(world, [first[:4], short], ALIGN)

    assert isinstance(played.error, StreamTruncated)
    assert not any(isinstance(event, Finish) for event in played.given)


@in_each_world
def test_a_second_cut_that_comes_before_the_first_is_aligned_with_all_that_was_given(world: str) -> None:
    """Three attempts make one answer."""
    whole = testing.script().text("Hello wonderful world of streams").finish("stop").chunks("openai-chat")
    played = play(world, [whole[:5], whole[:3], whole[:6], whole], ALIGN)

    assert (
        "".join(event.text for event in played.given if isinstance(event, TextDelta)) == played.message.text
    )
    assert played.message.text == "Hello wonderful world of streams"


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "openai-responses"])
def test_two_answers_that_break_off_in_different_parts_are_both_known(format: str) -> None:
    """The first one breaks off in its call, the second one behind that."""
    call = testing.script().tool_call("pay", {"usd": 1, "to": "Ann"})
    whole = call.text("Paid ", "her", " now.").finish("stop").chunks(format)
    plain = play("sync", [whole], ALIGN, format=format)
    for later in range(3, len(whole)):
        played = play("sync", [whole[:3], whole[:later], whole], ALIGN, format=format)

        assert shape_of(played.given) == shape_of(plain.given)
        assert played.message.parts == plain.message.parts


def test_texts_that_are_cut_elsewhere_are_aligned_by_character() -> None:
    """The second answer may come in other pieces."""
    first = testing.script().text("Hello ", "wonder").chunks("openai-chat")
    again = testing.script().text("Hel", "lo wonderful", " world").finish("stop").chunks("openai-chat")
    played = play("sync", [first, again], ALIGN)

    assert [event.text for event in played.given if isinstance(event, TextDelta)] == [
        "Hello ",
        "wonder",
        "ful",
        " world",
    ]


def test_a_signature_is_given_once() -> None:
    """Wherever the answer breaks off around it."""
    script = (
        testing.script().reasoning("Think hard about it", signature="c2lnbmVk").text("Hello").finish("stop")
    )
    whole = script.chunks("anthropic")
    for cut in range(1, len(whole)):
        played = play("sync", [whole[:cut], whole], ALIGN)
        signatures = [event.signature for event in played.given if getattr(event, "signature", None)]

        assert signatures == ["c2lnbmVk"]
        assert played.error is None


@pytest.mark.few_rows(3)
@in_each_world
@pytest.mark.parametrize(
    "format", ["anthropic", "openai-responses", "gemini", "ui-message", "ag-ui", "tokenstream"]
)
def test_each_result_of_a_tool_is_given_once_at_every_cut(world: str, format: Any) -> None:
    """Each has the id under which its call was given first, although the provider's ids differ each time."""
    answers = [list(relay.encode(results_of(id), format)) for id in ("call_a", "call_b")]
    plain = play(world, answers[:1], ALIGN, format=format)
    expected = [event for event in plain.given if isinstance(event, ToolResult)]
    for cut in range(1, len(answers[0])):
        played = play(world, [answers[0][:cut], answers[1]], ALIGN, format=format)
        started = [event.id for event in played.given if isinstance(event, ToolCallStart)]
        servers = [part.id for part in parts_started(played.given) if part.kind == "server_tool_call"]
        ids = [servers[0] if event.provider_executed else started[0] for event in expected]

        assert {*servers} == {
            part.id
            for part in (*parts_started(played.given), *played.message.parts)
            if isinstance(part, ServerToolCall | ServerToolResult)
        }
        assert {servers[0]} == {
            event.content.id
            for event in played.given
            if isinstance(event, PartDone) and isinstance(event.content, ServerToolCall | ServerToolResult)
        }
        assert ids == [event.id for event in played.given if isinstance(event, ToolResult)]
        assert {"call_a"} >= {*dict(plain.message.tool_results)}
        assert len(plain.message.tool_results) == len(played.message.tool_results)


def parts_started(events: Iterable[Event]) -> list[Part]:
    return [event.content for event in events if isinstance(event, PartStart)]


def results_of(id: str) -> list[Event]:
    """Return an answer with the result of a provider's tool, and that of a call with an id."""
    server_id = f"srv_{id}"
    call = ServerToolCall(id=server_id, name="look_up", arguments_text="{}", complete=True)
    result = ServerToolResult(id=server_id, name="look_up_tool_result", content="sun", complete=True)
    own = ToolCall(id=id, name="book", arguments_text="{}", complete=True)
    return [
        PartStart(call, part=0),
        PartDone(call, part=0),
        PartStart(result, part=1),
        PartDone(result, part=1),
        told_result(result),
        TextDelta("Sun.", part=2),
        PartDone(TextPart(text="Sun.", complete=True), part=2),
        ToolCallStart(id, "book", part=3),
        ToolCallDelta(id, "{}", part=3),
        ToolCallDone(own, part=3),
        ToolResult(id, "booked"),
        TextDelta("Booked.", part=4),
        Finish("stop"),
    ]
