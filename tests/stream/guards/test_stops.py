"""`guard`: an answer is stopped where a rule says so; rules that fail, or say what is no reason."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from tests.stream.async_sources import HEL, LO, is_closed, open_after
from tests.stream.bodies import Source
from tests.stream.drivers import read_async, read_sync
from tests.stream.guards.support import ANSWER, WORDS, never, off_topic
from tests.support import chunkings
from tests.support.either import Each, inside, run_in
from tests.support.playing import silent_after, three_worlds
from tests.support.raised import misuse
from tests.support.sampling import in_turn
from tests.support.tables import in_one_test
from tokenstream import Message, Stream, connect
from tokenstream.errors import GuardFailed, MisuseError, StreamTruncated
from tokenstream.events import Event, Finish, Stopped, TextDelta, ToolCallDone
from tokenstream.stages import Budget, Repetition
from tokenstream.testing import script

FORMATS = ("openai-chat", "anthropic", "text", "gemini", "openai-responses")


def body_in(format: str = "openai-chat") -> list[bytes]:
    said = script().text(*WORDS) if format == "text" else ANSWER
    return said.finish("stop").chunks(format) if format == "text" else ANSWER.chunks(format)


def events_of(body: Any, *guards: dict[str, Any], **options: Any) -> tuple[list[Event], Stream]:
    stream = Stream(body, **options)
    for each in guards:
        assert stream is stream.guard(**each)
    return list(stream), stream


RULES: dict[str, dict[str, Any]] = {
    "a pattern": {"rule": "cat"},
    "a function": {"rule": off_topic, "first_tokens": 3},
    "a function at the end": {"rule": off_topic},
    "a function again and again": {"rule": off_topic, "first_tokens": 1, "every": 1},
    "a budget": {"rule": Budget(characters=7)},
    "a pattern that holds": {"rule": "cat", "hold": True},
    "a function that holds": {"rule": off_topic, "first_tokens": 3, "hold": True},
    "a function that holds all": {"rule": off_topic, "hold": True},
    "one that finds nothing": {"rule": "dog"},
    "one that holds and finds nothing": {"rule": never, "first_tokens": 2, "hold": True},
    "one that holds all and finds nothing": {"rule": never, "hold": True},
    "repetition": {"rule": Repetition()},
}
TEXTS = {
    "a pattern": "The cat",
    "a function": "The cat ",
    "a function at the end": "The cat sat on it",
    "a function again and again": "The cat",
    "a budget": "The cat ",
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("format", FORMATS)
def test_both_drivers_stop_at_the_same_place_at_every_chunking(rule: str, format: str) -> None:
    guard = RULES[rule]
    body = b"".join(body_in(format))
    seen = []
    for chunks in in_turn(chunkings.several(body, rule).values(), f"{rule} {format}", one_in=3):
        for view in (lambda stream: stream.guard(**guard), lambda stream: stream.guard(**guard).text):
            expected = read_sync(chunks, view, format=format)
            for backend in ("asyncio", "trio"):
                assert expected == read_async(chunks, view, backend=backend, format=format)
            assert expected["closed"] == 1
            seen.append((expected["message"].text, expected["message"].ending))

    assert 1 == len(set(seen))
    assert seen[0][1] == ("complete" if "nothing" in rule or rule == "repetition" else "stopped")


@in_one_test("rule", RULES)
def test_what_had_come_is_kept_and_no_more_is_read(rule: str) -> None:
    body = ANSWER.chunks("openai-chat")
    events, stream = events_of(body, RULES[rule])
    is_whole = "nothing" in rule or rule == "repetition"
    text = "The cat sat on it" if is_whole else "" if "holds" in rule else None

    assert is_whole is not isinstance(events[-1], Stopped)
    assert is_whole is any(isinstance(event, Finish) for event in events)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.message.text
    assert text is None or text == stream.message.text
    assert stream.message.text.startswith(TEXTS.get(rule, "").rstrip())
    assert stream.closed
    last = events[-1]
    assert stream.stop_reason == (last.reason if isinstance(last, Stopped) else None)


def test_the_source_is_closed_before_the_last_piece_is_given() -> None:
    """Whoever is long about it pays for no more tokens."""
    source = Source(ANSWER.chunks("openai-chat"))
    with Stream(source).guard("cat") as stream:
        for piece in stream.text:
            if "t" in piece.lower()[:1] and "ca" in stream.message.text:
                assert 1 == source.closed
                assert "stopped" == stream.message.ending
    assert "the text matches 'cat'" == stream.stop_reason


@pytest.mark.parametrize("hold", [False, True])
def test_a_connection_is_closed_as_soon_as_a_rule_speaks(hold: bool) -> None:
    """The server sees its client go, though the consumer has not come back for more."""
    with open_after(HEL + LO) as server, connect(server.url, json={}) as stream:
        for event in stream.guard("Hello", hold=hold):
            if stream.stop_reason is not None:
                assert stream.closed
                assert is_closed(server)
                assert isinstance(event, Stopped if hold else TextDelta)
                break

        assert ("" if hold else "Hello") == stream.message.text


def test_the_first_rule_that_speaks_stops() -> None:
    asked: list[str] = []

    def ask(message: Message) -> None:
        asked.append(message.text)

    guards: list[dict[str, Any]] = [
        {"rule": ask, "first_tokens": 2},
        {"rule": "sat"},
        {"rule": "on"},
        {"rule": Budget(tokens=500)},
    ]
    events, stream = events_of(ANSWER.chunks("openai-chat"), *guards)

    assert Stopped("the text matches 'sat'") == events[-1]
    assert (["The ca"], "The cat sat ") == (asked, stream.message.text)


def test_nothing_is_seen_of_what_is_held() -> None:
    seen: list[str] = []

    def look(message: Message) -> None:
        seen.extend((message.text, stream.message.text, stream.checkpoint().message.text))

    stream = Stream(ANSWER.chunks("openai-chat")).guard(look, first_tokens=3, hold=True)
    given = ""
    for event in stream:
        if isinstance(event, TextDelta):
            given += event.text
            assert given == stream.message.text == stream.checkpoint().message.text

    assert ["The cat ", "", ""] == seen
    assert "The cat sat on it" == given


def test_a_tool_call_that_is_not_whole_is_never_handed_out() -> None:
    said = script().tool_call("first", {"a": 1}).tool_call("rm", {"path": "note.a"}).finish("tool_calls")
    guard = Budget(characters=10)
    events, stream = events_of(said.chunks("anthropic"), {"rule": guard})

    assert ["first"] == [event.call.name for event in events if isinstance(event, ToolCallDone)]
    assert [True, False] == [call.complete for call in stream.message.tool_calls]
    assert [] == list(Stream(said.chunks("anthropic")).guard(guard).tool_calls.when_complete())


def test_an_answer_that_is_stopped_at_its_end_is_not_complete() -> None:
    """What waits for a complete answer gets nothing of it."""
    said = script().tool_call("first", {"a": 1}).finish("tool_calls")
    stream = Stream(said.chunks("openai-chat")).guard(lambda _: "not that tool")

    assert [] == list(stream.tool_calls.when_complete())
    assert ("stopped", None) == (stream.message.ending, stream.message.finish_reason)


def test_a_guard_that_raises_closes_the_stream() -> None:
    def fail(_: Message) -> str | None:
        raise ValueError("no model")

    source = Source(ANSWER.chunks("openai-chat"))
    stream = Stream(source).guard(fail, first_tokens=2)
    given: list[str] = []
    with pytest.raises(GuardFailed):
        given.extend(stream.text)
    with pytest.raises(GuardFailed) as caught:
        given.extend(stream.text)

    assert ["The ", "ca", "The ca"] == given
    assert isinstance(caught.value.__cause__, ValueError)
    assert ("The ca", "failed") == (caught.value.partial.text, caught.value.partial.ending)
    assert 1 == source.closed
    held = Stream(ANSWER.chunks("openai-chat")).guard(fail, first_tokens=2, hold=True)
    with pytest.raises(GuardFailed) as caught:
        held.final()
    assert "" == caught.value.partial.text


def test_what_is_no_reason_is_an_error() -> None:
    """`return True` stops nothing without a word."""
    wrong: Any = lambda _: True  # noqa: E731
    with pytest.raises(GuardFailed) as caught:
        Stream(ANSWER.chunks("openai-chat")).guard(wrong).final()

    assert "returns why" in str(caught.value.__cause__)


def test_an_answer_that_breaks_off_is_judged_as_far_as_it_came() -> None:
    body = ANSWER.chunks("openai-chat")[:5]
    stream = Stream(body).guard(off_topic)

    assert ("stopped", "off topic") == (stream.final().ending, stream.stop_reason)
    with pytest.raises(StreamTruncated):
        Stream(body).guard(never, hold=True).final()


@three_worlds
@pytest.mark.parametrize("beats", [False, True])
def test_time_stops_an_answer_in_which_nothing_comes(world: str, beats: bool) -> None:
    steps: list[Any] = [step for chunk in ANSWER.chunks("openai-chat")[:3] for step in (1.0, chunk)]
    steps += [step for _ in range(20 * beats) for step in (0.3, b": beat\n\n")]
    playback = silent_after(*steps)
    stream: Any = playback.stream() if world == "sync" else playback.astream()
    stream.guard(Budget(seconds=4.5))
    events: list[Event] = []

    async def read_on() -> None:
        async with inside(stream):
            events.extend([event async for event in Each(stream)])

    run_in(world, read_on)

    assert Stopped("the budget of 4.5 seconds is used up") == events[-1]
    assert events[-1] == Stopped(stream.stop_reason)
    assert ("The ca", 4.5) == (stream.message.text, round(stream.metrics.duration, 3))


def test_a_guard_is_set_before_the_first_read() -> None:
    """One that has not seen the beginning of an answer would be none."""
    stream = Stream(ANSWER.chunks("openai-chat"))
    next(stream)
    with pytest.raises(MisuseError, match="before the first read"):
        stream.guard("cat")
    stream.final()
    with pytest.raises(MisuseError, match="before the first read"):
        stream.guard("cat")


def test_a_rule_that_has_to_be_awaited_needs_an_async_stream() -> None:
    async def judge(_: Message) -> str | None:
        return None

    class Judge:
        async def __call__(self, _: Message) -> str | None:
            return None

    for rule in (judge, Judge()):
        wrong: Any = rule
        with Stream(ANSWER.chunks("openai-chat")) as stream, pytest.raises(MisuseError, match="AsyncStream"):
            stream.guard(wrong)


def test_a_reason_is_given_for_a_stop_as_well() -> None:
    stopped, silent, closed, ended = (Stream(ANSWER.chunks("openai-chat")) for _ in range(4))
    for stream in (stopped, silent, closed, ended):
        assert stream.stop_reason is None
        next(stream)
    stopped.stop("enough")
    silent.stop()
    closed.close()
    ended.final()
    ended.stop("too late")

    assert ["enough", "stop", None, None] == [s.stop_reason for s in (stopped, silent, closed, ended)]


def test_a_new_loop_gets_the_word_that_was_not_given_yet() -> None:
    stream = Stream(ANSWER.chunks("openai-chat")).guard("cat")
    for event in stream:
        if isinstance(event, TextDelta) and event.text == "t ":
            break

    assert ["Stopped"] == [type(event).__name__ for event in stream]
    with misuse("consumed"):
        iter(stream)


def test_a_guard_does_not_keep_a_stream_alive() -> None:
    """Nobody who lets go of it waits for the garbage collector."""
    gc.disable()
    try:
        stream = Stream(ANSWER.chunks("openai-chat")).guard("dog").guard(never, hold=True)
        next(stream)
        gone = weakref.ref(stream)
        stream.close()
        driver = weakref.ref(stream._driver)  # noqa: SLF001 - what must go
        del stream

        assert (None, None) == (gone(), driver())
    finally:
        gc.enable()
