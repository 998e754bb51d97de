"""`guard` on recorded answers, choices, decoded text and sessions."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests._sources.sockets import answer as talk_answer
from tests.stream.drivers import read_sync
from tests.stream.guards.support import ANSWER, never
from tests.stream.responses.support import opened, saying
from tests.support import chunkings
from tests.support.either import Each, got, inside, run_in, stream_in
from tests.support.playing import three_worlds
from tests.support.recordings import folder_of, ours
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat
from tokenstream import Message, Stream
from tokenstream.errors import MisuseError
from tokenstream.events import Event, Stopped, TextDelta
from tokenstream.stages import Budget, Repetition


@pytest.mark.few_rows(8)
@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name, by=folder_of)
def test_no_recorded_answer_is_changed_by_guards_that_let_it_go(recorded: Any) -> None:
    plain = read_sync([recorded.body], lambda stream: stream, format=recorded.format)

    def view(stream: Any, *, hold: bool = False) -> Any:
        stream.guard("no such thing").guard(Repetition()).guard(Budget(tokens=10**9))
        return stream.guard(never, first_tokens=3, hold=hold)

    for chunks in ([recorded.body], chunkings.per_event(recorded.body)):
        for hold in (False, True):
            seen = read_sync(chunks, partial(view, hold=hold), format=recorded.format)
            assert plain["items"] == seen["items"]
            assert plain["message"] == seen["message"]
            assert plain["error"] == seen["error"]


@pytest.mark.parametrize("hold", [False, True])
@three_worlds
def test_an_answer_that_was_waited_for_is_stopped_all_the_same(world: str, hold: bool) -> None:
    body = ANSWER.chunks("openai-chat")[1:]
    events: list[Event] = []

    async def read() -> None:
        async with inside(stream_in(world)(body).guard("The", hold=hold)) as stream:
            await got(stream.wait_open(first="event"))
            events.extend([event async for event in Each(stream)])

    run_in(world, read)

    assert Stopped("the text matches 'The'") == events[-1]
    assert ("" if hold else "The ") == "".join(e.text for e in events if isinstance(e, TextDelta))


def test_each_choice_is_looked_at() -> None:
    chunks = [
        chat({"content": "Hel"}),
        chat({"content": "ca"}, index=1),
        chat({"content": "lo"}),
        chat({}, "stop"),
        chat({"content": "t"}, index=1),
        chat({"content": " and dog"}, index=1),
        chat({}, "stop", index=1),
        DONE,
    ]
    asked: list[str] = []

    def ask(message: Message) -> None:
        asked.append(message.text)

    stream = Stream(chunks).guard("cat").guard(ask)
    stream.final()

    assert [("Hello", "complete"), ("cat", "stopped")] == [(m.text, m.ending) for m in stream.messages]
    assert ("the text matches 'cat'", ["Hello"]) == (stream.stop_reason, asked)


def test_text_that_is_at_hand_is_guarded_too() -> None:
    payloads = [json.loads(chunk[6:]) for chunk in ANSWER.chunks("openai-chat")[:-1]]

    assert ["a", "cat"] == list(Stream(["a", "cat", "b"], format="pieces").guard("cat").text)
    assert ["The ", "ca", "t "] == list(Stream(payloads).guard("cat").text)
    assert "The cat " == "".join(Stream(ANSWER.chunks("openai-chat")).guard("cat").text.words())


def test_each_answer_of_a_session_has_guards_of_its_own() -> None:
    """One for all of them would look at none, and is refused."""
    said = [*talk_answer("r1", "Hel", "lo"), *talk_answer("r2", "World")]
    with opened(saying(*said)) as connection, Stream(connection, format="openai-realtime") as stream:
        seen = [("".join(answer.guard("Hel").text), answer.stop_reason) for answer in stream.responses]
    with opened(saying(*said)) as connection, Stream(connection, format="openai-realtime") as stream:
        stream.guard("Hel")
        with pytest.raises(MisuseError, match="on each"):
            next(stream.responses)

    assert [("Hel", "the text matches 'Hel'"), ("World", None)] == seen
