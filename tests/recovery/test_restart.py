"""An answer that is asked for again from zero: what each way of reading it is given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.attempts import in_each_world, play
from tests.recovery.continuing import text_in
from tests.support.either import Each, inside, run_in
from tokenstream import Message, Retry, Router, ToolCall, aresilient, resilient, testing
from tokenstream.errors import ProviderError, StreamInterrupted, StreamTruncated
from tokenstream.events import Restarted

RESTART = Retry(again=True, wait=0)
ANSWER = testing.script().text("Hello wonderful world").usage(input_tokens=3, output_tokens=5).finish("stop")
WHOLE = ANSWER.chunks("openai-chat")
OTHER = testing.script().text("Hello terrible world").finish("stop").chunks("openai-chat")
CUT = 3
"""Chunks after which an answer breaks off in the middle of its text."""


def test_the_error_says_why_a_function_is_not_asked_again() -> None:
    """A function without a parameter can only ask for all of the answer."""
    long = testing.script().text("Hello wonderful and ", "good world").finish("stop").chunks("openai-chat")
    stream = resilient(lambda: long[:2], Retry(wait=0))
    with pytest.raises(StreamTruncated) as caught:
        list(stream.text)

    assert "Retry(again=True) does that" in "".join(caught.value.__notes__)
    assert ("Hello wonderful and ", 1) == (caught.value.partial.text, len(stream.attempts))


@in_each_world
def test_text_that_ends_before_what_was_given_raises(world: str) -> None:
    """An answer that is shorter than what was shown is another one."""
    short = testing.script().text("Hello").finish("stop").chunks("openai-chat")
    played = play(world, [WHOLE[:CUT], short], RESTART, lambda stream: stream.text)

    assert "".join(played.given) == "Hello wonder"
    assert isinstance(played.error, StreamTruncated)


@in_each_world
def test_the_loop_over_events_is_told_of_what_is_discarded(world: str) -> None:
    """What comes before `Restarted` is of one answer, what comes behind it of the other."""
    played = play(world, [WHOLE[:CUT], OTHER], RESTART)
    (at,) = [place for place, event in enumerate(played.given) if isinstance(event, Restarted)]
    before, after = played.given[:at], played.given[at + 1 :]

    assert played.given[at].discarded.text == text_in(before) == "Hello wonder"
    assert text_in(after) == played.message.text == "Hello terrible world"
    assert isinstance(played.given[at].error, StreamTruncated)
    assert played.message.complete


@in_each_world
def test_several_restarts_compare_with_all_that_was_given(world: str) -> None:
    """A third answer goes on where the second one had come to."""
    bodies = [WHOLE[:CUT], WHOLE[: CUT - 1], WHOLE[: CUT + 1], WHOLE]
    played = play(world, bodies, Retry(again=True, wait=0, attempts=4), lambda stream: stream.text)

    assert "".join(played.given) == "Hello wonderful world"
    assert [report.mode for report in played.reports] == ["start", "restart", "restart", "restart"]


@in_each_world
def test_a_restart_that_shows_nothing_leaves_what_was_given(world: str) -> None:
    """When no attempt is left, the partial answer is the one that was shown."""
    played = play(world, [WHOLE[:CUT], WHOLE[:1], []], RESTART)

    assert played.error is not None
    assert played.error.partial.text == played.message.text == "Hello wonder"
    assert not any(isinstance(event, Restarted) for event in played.given)
    assert len(played.asked) == 3


@in_each_world
@pytest.mark.parametrize("format", ["anthropic", "openai-responses", "openai-realtime"])
def test_an_attempt_that_shows_nothing_leaves_no_trace(world: str, format: str) -> None:
    """The events are those of the second answer alone, as if it had been the first."""
    whole = ANSWER.chunks(format)
    plain = play(world, [whole], Retry(wait=0), format=format)
    played = play(world, [whole[:2], whole], Retry(wait=0), format=format)

    assert played.given == plain.given
    assert len(played.reports) == 2


@in_each_world
def test_another_tool_call_in_the_place_of_one_that_was_handed_out_raises(world: str) -> None:
    """What was run cannot be taken back."""
    first = testing.script().tool_call("now", {"zone": "UTC"}).tool_call("book", {}).finish("tool_calls")
    other = testing.script().tool_call("now", {"zone": "CET"}).finish("tool_calls").chunks("anthropic")
    chunks = first.chunks("anthropic")
    played = play(world, [chunks[:-4], other], RESTART, lambda stream: stream.tool_calls)

    assert [call.arguments for call in played.given][:1] == [{"zone": "UTC"}]
    assert isinstance(played.error, StreamTruncated)
    assert played.error.tool_calls_delivered == tuple(call.id for call in played.given)


@in_each_world
@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [("1", "true", False), ('{"a": [0]}', '{"a": [false]}', False), ('{"a": NaN}', '{"a": NaN}', True)],
)
def test_items_are_equal_as_in_json(world: str, first: str, second: str, *, is_same: bool) -> None:
    """In Python, true equals 1, and NaN nothing."""
    scripts = [testing.script().text(f"[{item}, ", "2, ", '"x"]').finish("stop") for item in (first, second)]
    whole, other = (script.chunks("openai-chat") for script in scripts)
    played = play(world, [whole[:-3], other], RESTART, lambda stream: stream.items(Any, lenient=True))

    assert len(played.given) == (3 if is_same else 2)
    assert isinstance(played.error, StreamTruncated) != is_same


@in_each_world
def test_drafts_begin_again(world: str) -> None:
    """A whole value replaces the one before, so nothing need be compared."""
    whole = testing.script().text('{"a": "one", "b": "two"}').finish("stop").chunks("openai-chat")
    other = testing.script().text('{"a": "three"}').finish("stop").chunks("openai-chat")
    played = play(world, [whole[:CUT], other], RESTART, lambda stream: stream.partials(dict[str, str]))

    assert played.given[-1].value == {"a": "three"}
    assert played.error is None


@in_each_world
def test_tokens_add_up_over_attempts(world: str) -> None:
    """An attempt that told none makes the sum a partial one."""
    head, *rest = ANSWER.chunks("anthropic")
    anthropic = [head.replace(b'"input_tokens":0', b'"input_tokens":3'), *rest]
    played = play(world, [anthropic[:5], anthropic], RESTART)
    usage = played.message.usage

    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (6, 5, "partial")
    assert [report.usage and report.usage.input_tokens for report in played.reports] == [3, 3]


@in_each_world
def test_an_attempt_that_was_refused_costs_nothing(world: str) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "o"}}
    played = play(world, [[overloaded], ANSWER.chunks("anthropic")], Retry(wait=0), format="anthropic")
    usage = played.message.usage

    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (3, 5, "reported")
    assert isinstance(played.reports[0].error, ProviderError)


@in_each_world
def test_an_exception_of_the_transport_is_the_cause(world: str) -> None:
    played = play(world, [[*WHOLE[:CUT], ConnectionResetError("gone")], WHOLE], RESTART)
    first, second = played.reports

    assert isinstance(first.error, StreamInterrupted)
    assert isinstance(first.error.__cause__, ConnectionResetError)
    assert (first.error.partial.text, first.error.partial.ending) == ("Hello wonder", "truncated")
    assert (second.error, second.mode) == (None, "restart")
    assert played.asked[1].error is first.error
    assert played.asked[1].message.text == "Hello wonder"


def test_a_call_that_was_run_is_not_run_again_and_its_result_moves_to_the_new_id() -> None:
    """The results belong to the message that the next request carries."""
    router, ran = Router(), []

    @router.tool
    def now(zone: str) -> str:
        ran.append(zone)
        return "noon"

    bodies = []
    for id in ("call_a", "call_b"):
        script = testing.script().tool_call("now", {"zone": "UTC"}, id=id).text("done").finish("tool_calls")
        bodies.append(script.chunks("anthropic"))
    bodies[0] = bodies[0][:-4]
    with resilient(lambda: bodies.pop(0), RESTART) as stream:
        results = stream.run(router)

    assert ran == ["UTC"]
    assert dict(results) == {"call_b": "noon"}
    assert isinstance(stream.message, Message)
    assert all(isinstance(call, ToolCall) for call in stream.message.tool_calls)


@in_each_world
def test_once_a_view_has_met_another_answer_the_stream_is_what_was_given(world: str) -> None:
    told: list[Any] = []

    def view(stream: Any) -> Any:
        told.append(stream)
        return stream.text

    played = play(world, [WHOLE[:CUT], OTHER], RESTART, view)
    (stream,) = told

    assert (stream.message.text, stream.message.ending) == ("Hello wonder", "stopped")
    assert played.error is not None
    assert played.message.text == played.error.partial.text
    if world == "sync":
        with pytest.raises(StreamTruncated):
            stream.final()
        late = stream.text
        assert next(late) == "Hello wonder"
        with pytest.raises(StreamTruncated):
            next(late)


@in_each_world
def test_what_a_shorter_second_answer_has_come_to_is_not_all_that_was_given(world: str) -> None:
    """The error has the longest that was given, and its own cause."""
    bodies = [WHOLE[: CUT + 1], WHOLE[: CUT - 1], OTHER]
    played = play(world, bodies, RESTART, lambda stream: stream.text)

    assert played.error is not None
    assert "".join(played.given) == played.error.partial.text == "Hello wonderful"
    assert played.error is played.reports[0].error


@in_each_world
def test_stopping_where_a_retry_is_told_of_ends_the_stream(world: str) -> None:
    """Nothing is asked for again."""
    asked: list[int] = []

    def opened() -> list[bytes]:
        asked.append(1)
        return WHOLE[:1]

    async def main() -> None:
        ask: Any = resilient if world == "sync" else aresilient
        stream = ask(opened, Retry(wait=0, on_retry=lambda _: stream.stop("enough")))
        async with inside(stream):
            assert [event async for event in Each(stream)] == []
        assert (stream.message.ending, stream.closed) == ("stopped", True)

    run_in(world, main)
    assert len(asked) == 1
