"""Wherever an answer breaks off, and however a server goes on with it: the user is given one answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests.recovery.attempts import Played, in_each_world, play
from tests.recovery.continuing import last_words, text_in, text_of
from tests.support import wire
from tests.support.effort import in_steps, trials
from tests.support.recordings import Recorded, ours
from tests.support.sampling import few
from tokenstream import Retry, Seam, Stream, resilient, testing
from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StatusError, StreamError
from tokenstream.events import Event, MessageStart, PartDone, PartStart, Restarted, Resumed, ToolCallStart
from tokenstream.recovery import Attempt

CONTINUED = frozenset(
    {"anthropic", "bedrock-converse", "bedrock-invoke", "cohere"}
    | {"gemini", "ollama", "openai-chat", "openai-responses"}
)

WHITE_SPACE = "final assistant content cannot end with trailing whitespace"
REFUSALS = {
    "refuses as Anthropic does": (
        "This model does not support assistant message prefill. "
        "The conversation must end with a user message."
    ),
    "refuses as Google does": "Requests ending with a model turn are not supported.",
}
SERVERS = ["goes on exactly", "echoes the prefix", "refuses white space", *REFUSALS]


def whole_answers() -> Iterator[Any]:
    for recorded in ours():
        if recorded.format not in CONTINUED or recorded.format not in testing.all_formats:
            continue
        stream = Stream(recorded.body, format=recorded.format)
        try:
            message = stream.final()
        except StreamError:
            continue
        if message.complete:
            yield pytest.param(recorded, id=recorded.name)


ANSWERS = list(whole_answers())


def pieces_of(text: str, chance: random.Random) -> list[str]:
    """Cut a text as models send it, or in one piece, or in single characters."""
    most = chance.choice([1, 12, len(text) or 1])
    pieces: list[str] = []
    while text:
        size = chance.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


class Server:
    """Breaks off in its answer, and goes on with it as its kind does.

    Args:
        recorded: The answer.
        cut: How many bytes of it come first.
        kind: How it goes on.
        breaks: How many of its attempts to go on break off as well.
    """

    def __init__(self, recorded: Recorded, cut: int, kind: str, breaks: int = 0) -> None:
        self._format = recorded.format
        self._body = recorded.body
        self._cut = cut
        self._kind = kind
        self._breaks = breaks
        self._text = whole_text(recorded.body, recorded.format)
        self._chance = random.Random(f"{recorded.name} {cut}")
        self.asked: list[Attempt] = []

    @property
    def retry(self) -> Retry:
        """What it is asked for again with: it makes no call again, for which one more attempt is left."""
        prefill: Any = "echo" if self._kind == "echoes the prefix" else True
        return Retry(again=True, wait=0, attempts=3 + self._breaks, seam=Seam(prefill=prefill))

    def open(self, attempt: Attempt) -> list[bytes]:
        self.asked.append(attempt)
        if attempt.mode == "start":
            return [self._body[: self._cut]]
        if attempt.mode == "restart":
            return [self._body]
        turns = attempt.continuation(self._format)
        given = attempt.message.text
        own = turns[-1] if attempt.prefill else turns[-2]
        assert words_of(own).strip()
        assert all(words.strip() for turn in turns for words in texts_in(turn))
        if attempt.prefill:
            assert turns[-1]["role"] in ("assistant", "model")
            if self._kind in REFUSALS:
                raise StatusError(REFUSALS[self._kind], status=400)
            if words_of(own)[-1].isspace():
                raise StatusError(WHITE_SPACE, status=400)
            begin = given.rstrip() if self._kind == "echoes the prefix" else ""
        else:
            assert turns[-1]["role"] == "user"
            assert last_words(given) in words_of(turns[-1])
            begin = last_words(given)
        rest = begin + self._text[len(given.rstrip()) :]
        script = testing.script()
        if rest:
            script = script.text(*pieces_of(rest, self._chance))
        body = b"".join(script.finish("stop").chunks(self._format))
        if self._breaks:
            self._breaks -= 1
            body = body[: self._chance.randrange(len(body))]
        return [body]


def words_of(turn: Any) -> str:
    """Return the words that a turn ends with, in any provider's shape; none where it ends with others."""
    content: Any = turn.get("content", turn.get("parts"))
    while not isinstance(content, str):
        if not content:
            return ""
        content = content[-1]
        content = content.get("text") or content.get("citationsContent", {}).get("content")
    return content


def texts_in(turn: Any) -> Iterator[str]:
    """Give all texts of a turn, in any provider's shape."""
    if isinstance(turn, list):
        for each in turn:
            yield from texts_in(each)
    elif isinstance(turn, dict):
        for name, value in turn.items():
            if isinstance(value, str):
                if name in ("text", "content"):
                    yield value
            else:
                yield from texts_in(value)


@cache
def whole_text(body: bytes, format: str) -> str:
    text, _ = read_text(body, format)
    return text


def read_text(source: Any, format: Any) -> tuple[str, StreamError | None]:
    """Return what the text view gives of a body, and what it raises."""
    return given_by(Stream(source, format=format), "text")


def given_by(stream: Stream, view: str) -> tuple[Any, StreamError | None]:
    given: list[Any] = []
    error = None
    read: Any = {
        "text": lambda: stream.text,
        "calls": lambda: ((call.name, call.arguments_text) for call in stream.tool_calls),
        "events": lambda: stream,
    }[view]
    try:
        given.extend(read())
    except StreamError as raised:
        error = raised
    assert view == "events" or error is not None or stream.closed
    stream.close()
    return "".join(given) if view == "text" else given, error


def check(recorded: Recorded, kind: str, cuts: int, breaks: int = 0) -> None:
    format, chance = recorded.format, random.Random(recorded.name)
    text = whole_text(recorded.body, recorded.format)
    calls, _ = given_by(Stream(recorded.body, format=format), "calls")
    places = sorted(chance.sample(range(len(recorded.body)), k=min(cuts, len(recorded.body))))
    for number, cut in enumerate(places):
        server = Server(recorded, cut, kind, breaks)
        stream = resilient(server.open, server.retry, format=format)
        events, error = given_by(stream, "events")
        check_events(events, stream, error, server)
        assert error is not None or server.asked[-1].mode != "continue" or stream.message.text == text
        if number % 4:
            continue

        server = Server(recorded, cut, kind, breaks)
        given, error = given_by(resilient(server.open, server.retry, format=format), "text")
        if error is None:
            assert given == text
        else:
            assert text.startswith(given)
            assert server.asked[-1].mode != "continue"

        server = Server(recorded, cut, kind, breaks)
        given, error = given_by(resilient(server.open, server.retry, format=format), "calls")
        assert given == calls[: len(given)]
        assert error is not None or server.asked[-1].mode == "continue" or given == calls


def check_events(events: list[Event], stream: Stream, error: StreamError | None, server: Server) -> None:
    message = stream.message
    accumulator = Accumulator()
    for event in events:
        accumulator.feed(event)
    assert accumulator.message.text == message.text
    assert accumulator.message.parts == message.parts
    if error is not None:
        return
    if server.asked[-1].mode != "continue":
        return
    seams = [event for event in events if isinstance(event, Resumed)]
    assert message.complete
    assert len([event for event in events if isinstance(event, MessageStart)]) <= 1
    assert not any(isinstance(event, Restarted) for event in events)
    assert seams
    assert all((seam.mode, seam.confidence >= 0.8) == ("continue", True) for seam in seams)
    discarded = {call.id for seam in seams for call in seam.discarded}
    left_out = {event.part for event in events if isinstance(event, ToolCallStart) and event.id in discarded}
    places = {event.part for event in events if event.part is not None}
    assert places - left_out <= set(range(len(message.parts))) <= places
    began = {event.part for event in events if isinstance(event, PartStart)}
    ended = [event.part for event in events if isinstance(event, PartDone)]
    assert sorted(began) == sorted(ended)
    assert all(part.complete for part in message.parts)


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("recorded", few(ANSWERS, one_in=5))
def test_an_answer_that_a_model_goes_on_with(recorded: Recorded, kind: str) -> None:
    check(recorded, kind, 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("recorded", ANSWERS)
def test_an_answer_that_a_model_goes_on_with_anywhere(recorded: Recorded, kind: str) -> None:
    check(recorded, kind, trials(200, one_in=100))


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    "name", ["anthropic/text", "gemini/thoughts", "openai-responses/text", "ollama/chat"]
)
def test_an_answer_that_breaks_off_again_and_again(name: str, kind: str) -> None:
    """Each continuation goes on with all that there is by then."""
    (recorded,) = [each for each in ours() if each.name == name]
    check(recorded, kind, 3, breaks=3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("recorded", ANSWERS)
def test_an_answer_that_breaks_off_again_and_again_anywhere(recorded: Recorded, kind: str) -> None:
    check(recorded, kind, trials(20), breaks=3)


# -- typed views --------------------------------------------------------------

JSON = (
    '{"title": "Crêpes  with lemon", "serves": 4, "vegetarian": true,'
    ' "tip": "The first\\n one is \\"never\\" right.",'
    ' "steps": ["Whisk the batter", "Let it rest ", "  Bake", "Bake"], "notes": {"pan": null, "heat": 0.75}}'
)
TYPED: dict[str, Callable[[Any], Any]] = {
    "partials": lambda stream: [draft.value for draft in stream.partials(dict[str, Any])][-1],
    "items": lambda stream: list(stream.items(str, at="steps")),
    "field": lambda stream: "".join(stream.field("title")),
    "result": lambda stream: stream.result(dict[str, Any]),
    "text": lambda stream: "".join(stream.text),
    "events": lambda stream: text_of(Played(given=list(stream))),
}


def json_server(format: str, cut: int, asked: list[Attempt]) -> Callable[[Attempt], list[bytes]]:
    """Return what opens an answer in JSON that breaks off behind so many characters, and goes on."""

    def opened(attempt: Attempt) -> list[bytes]:
        asked.append(attempt)
        if attempt.mode == "start":
            return testing.script().text(JSON[:cut]).chunks(format)
        begun = attempt.message.text.rstrip() if attempt.mode == "continue" else ""
        return testing.script().text(JSON[len(begun) :]).finish("stop").chunks(format)

    return opened


def check_typed(format: Any, view: str, step: int, retry: Retry) -> Iterator[Attempt]:
    """Break the answer off every so many characters, and give the last attempt at it."""
    read = TYPED[view]
    expected = read(testing.script().text(JSON).finish("stop").stream(format))
    for cut in range(7, len(JSON), step):
        asked: list[Attempt] = []
        stream = resilient(json_server(format, cut, asked), retry, format=format)

        assert expected == read(stream)
        assert len(asked) == 2
        stream.close()
        yield asked[-1]


each_view = pytest.mark.parametrize("view", TYPED)
each_format = pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini"])
few_or_many = pytest.mark.parametrize("step", [49, pytest.param(7 * in_steps(3), marks=pytest.mark.slow)])


@few_or_many
@each_view
@each_format
def test_typed_views_of_a_continued_answer_give_what_those_of_a_whole_one_do(
    format: str, view: str, step: int
) -> None:
    """JSON goes on behind a prefix as if it had never broken off."""
    for attempt in check_typed(format, view, step, Retry(again=True, wait=0, seam=Seam(prefill=True))):
        assert (attempt.mode, attempt.prefill, attempt.why) == ("continue", True, None)


@few_or_many
@each_view
@each_format
def test_json_begins_again_where_there_is_no_prefix(format: str, view: str, step: int) -> None:
    """A model would go on in prose; no view gives again what it gave, and a loop over events is told."""
    for attempt in check_typed(format, view, step, Retry(again=True, wait=0)):
        assert attempt.mode == "restart"
        assert "JSON" in (attempt.why or "")


# -- every driver --------------------------------------------------------------

PROSE = "Once upon a time there was a king of Thule, who was true to his grave.  His love gave him a cup."
CUTS = [3, 26, 27, 71, 95]


def half_and_rest(format: str, cut: int, begin: str) -> tuple[list[bytes], list[bytes]]:
    """Return the two bodies of an answer; `begin` is what the second one says again."""
    rest = begin + PROSE[len(PROSE[:cut].rstrip()) :]
    second = testing.script().text(rest) if rest else testing.script()
    return testing.script().text(PROSE[:cut]).chunks(format), second.finish("stop").chunks(format)


@in_each_world
@pytest.mark.parametrize("words", REFUSALS.values(), ids=REFUSALS)
def test_every_driver_asks_by_a_user_s_turn_where_a_prefix_is_refused(world: str, words: str) -> None:
    """The refusal costs no attempt, and is not shown. The shortest of these answers has three characters."""
    retry = Retry(again=True, wait=0, attempts=2, seam=Seam(prefill=True, least=0))
    for cut in CUTS:
        first, second = half_and_rest("gemini", cut, last_words(PROSE[:cut]))
        played = play(world, [first, StatusError(words, status=400), second], retry, format="gemini")

        assert text_in(played.given) == played.message.text == PROSE
        assert [attempt.prefill for attempt in played.asked] == [False, True, False]
        assert [event.mode for event in played.given if isinstance(event, Resumed)] == ["continue"]
        assert played.error is None


# -- what goes back ------------------------------------------------------------


def test_a_source_goes_back_with_the_text_that_it_is_of() -> None:
    place = {
        "type": "web_search_result_location",
        "cited_text": "It opened in 1932.",
        "url": "https://example.org/bridge",
        "title": "The bridge",
        "encrypted_index": "T",
    }
    first = [
        wire.claude_start(),
        wire.claude_open(0, type="thinking", thinking="", signature=""),
        wire.claude_delta(0, "thinking_delta", thinking="Hm."),
        wire.claude_close(0),
        wire.claude_open(1, type="text", text=""),
        wire.claude_delta(1, "text_delta", text="It opened in 1932"),
        wire.claude_delta(1, "citations_delta", citation=place),
        wire.claude_close(1),
        wire.claude_open(2, type="text", text=""),
        wire.claude_delta(2, "text_delta", text=", on a day in"),
    ]
    second = testing.script().text(" March.").finish("stop").chunks("anthropic")
    played = play(
        "sync", [first, second], Retry(again=True, wait=0, seam=Seam(prefill=True)), format="anthropic"
    )

    assert "It opened in 1932, on a day in March." == played.message.text
    assert [
        {"type": "text", "text": "It opened in 1932", "citations": [place]},
        {"type": "text", "text": ", on a day in"},
    ] == played.asked[1].continuation("anthropic")[0]["content"]


@pytest.mark.parametrize("event", ["response.completed", "response.output_item.done"])
def test_a_whole_text_that_repeats_an_ended_part_is_not_given_twice(event: str) -> None:
    """The text was whole when the answer broke off, and the server repeats it before it ends the answer."""
    script = testing.script().text("Tides rise and fall twice a day.").finish("stop")
    body = b"".join(script.chunks("openai-responses"))
    bodies = iter([body[: body.index(f"event: {event}".encode())], body])
    retry = Retry(again=True, wait=0, seam=Seam(prefill="echo"))
    stream = resilient(lambda _: [next(bodies)], retry, format="openai-responses")

    assert stream.final().text == "Tides rise and fall twice a day."
