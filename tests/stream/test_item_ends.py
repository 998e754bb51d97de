"""The law of ends: an item comes with the event that decides it, and not with whatever comes after that."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import anyio
import pytest

from tests.support import chunkings, wire
from tests.support.clocks import on
from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE, wait_for
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import NotExpressible, StreamTruncated
from tokenstream.events import Finish, PartDone, PartStart, TextDelta, ToolCallStart

_FORMATS = testing.all_formats
every_format = pytest.mark.parametrize("format", _FORMATS)


def _joined(items: Sequence[str]) -> str:
    return "".join(items)


def _last(items: Sequence[str]) -> str:
    return items[-1] if items else ""


def _closed(blocks: Sequence[Any]) -> str:
    return "".join([block.text for block in blocks if block.closed])


VIEWS: dict[str, tuple[Callable[..., Any], Callable[[Any], str]]] = {
    "text": (lambda text, **_: text, _joined),
    "words": (lambda text, **_: text.words(), _joined),
    "graphemes": (lambda text, **_: text.graphemes(), _joined),
    "lines": (lambda text, **_: text.lines(), _joined),
    "sentences": (lambda text, **_: text.sentences(), _joined),
    "throttle": (lambda text, **timer: text.throttle(0.01, **timer), _joined),
    "words, throttle": (lambda text, **timer: text.words().throttle(0.01, **timer), _joined),
    "smooth": (lambda text, **timer: text.smooth(0.05, **timer), _joined),
    "sentences, smooth": (lambda text, **timer: text.sentences().smooth(0.05, **timer), _joined),
    "accumulate": (lambda text, **timer: text.throttle(0.01, **timer).accumulate(), _last),
    "smooth, accumulate": (lambda text, **timer: text.smooth(0.05, **timer).accumulate(), _last),
    "blocks": (lambda text, **_: text.markdown_blocks(), _closed),
    "smooth, blocks": (lambda text, **timer: text.smooth(0.05, **timer).markdown_blocks(), _closed),
    "redact, words": (lambda text, **_: text.redact("secret").words(), _joined),
    "until": (lambda text, **_: text.until("STOP"), _joined),
}
"""Each view of a text, and the text that its items have."""

SCRIPTS = {
    "text": testing.script().text("One two. ", "Three *four*").finish("stop"),
    "text, call": testing.script()
    .text("One two. ", "Three")
    .tool_call("f", {"a": "x" * 40})
    .finish("tool_calls"),
    "text, call, text": testing.script()
    .text("One", " two")
    .tool_call("f", {"a": 1})
    .text("Three")
    .finish("stop"),
    "reasoning, text": testing.script().reasoning("One ", "two").text("Three ", "four").finish("stop"),
    "cut": testing.script().text("One two. ", "Three").finish("length"),
}


class Answer(NamedTuple):
    """An answer as chunks, and what a reader must have before it asks for the next chunk.

    `due` has, for each chunk, the text that had ended with it; the last value is that of the end.
    """

    chunks: list[bytes]
    due: list[str]

    @property
    def text(self) -> str:
        return self.due[-1]


def _observe(chunks: list[bytes], **options: Any) -> Answer:
    """Return an answer with the texts that have ended with each chunk, as its events tell."""
    due, arrived, ended = list[str](), "", ""

    def feed() -> Iterator[bytes]:
        for at, each in enumerate(chunks):
            if at:
                due.append(ended)
            yield each
        due.append(ended)

    for event in Stream(feed(), **options):
        if isinstance(event, TextDelta):
            arrived += event.text
        elif isinstance(event, ToolCallStart | PartStart | PartDone | Finish):
            ended = arrived
    return Answer(chunks, [*due, arrived])


def _answers(format: str) -> dict[str, Answer]:
    found = dict[str, Answer]()
    for name, script in SCRIPTS.items():
        try:
            chunks = script.chunks(format)
        except NotExpressible:
            continue
        found[name] = _observe(chunks, format=format)
    return found


class Reading:
    """The items that a view has given, and the first that came too late."""

    def __init__(self, answer: Answer, view: str) -> None:
        self.shape, self._text_of = VIEWS[view]
        self._answer, self._view = answer, view
        self.items: list[Any] = []
        self.late: tuple[str, int, str, str] | None = None

    def has(self, count: int) -> bool:
        """Return True if the view has given all text that has ended with the first `count` chunks."""
        return not count or self._text_of(self.items).startswith(self._answer.due[count - 1])

    def check(self, count: int) -> None:
        """Note what is missing when the source is asked for more than the first `count` chunks."""
        if self.late is None and not self.has(count):
            self.late = (self._view, count, self._text_of(self.items), self._answer.due[count - 1])

    def feed(self) -> Iterator[bytes]:
        for at, each in enumerate(self._answer.chunks):
            self.check(at)
            yield each
        self.check(len(self._answer.chunks))

    def feed_thread(self, changed: threading.Condition) -> Iterator[bytes]:
        """Yield the chunks to a reader in another thread, each once the reader has what is due."""
        for at, each in enumerate([*self._answer.chunks, b""]):
            with changed:
                changed.wait_for(partial(self.has, at), PATIENCE / 4)
            self.check(at)
            if at < len(self._answer.chunks):
                yield each

    async def feed_task(self, changed: list[anyio.Event]) -> AsyncIterator[bytes]:
        """Yield the chunks to a reader in another task, each once the reader has what is due."""
        for at, each in enumerate([*self._answer.chunks, b""]):
            with anyio.move_on_after(PATIENCE / 4):
                while not self.has(at):
                    await changed[0].wait()
            self.check(at)
            if at < len(self._answer.chunks):
                yield each


def read_sync(reading: Reading, **options: Any) -> None:
    with Stream(reading.feed(), **options) as stream:
        for item in reading.shape(stream.text):
            reading.items.append(item)


def read_timed(reading: Reading, **options: Any) -> None:
    """Read a view in a `for` loop with a timer: a thread reads the source."""
    changed = threading.Condition()
    with Stream(reading.feed_thread(changed), **options) as stream:
        for item in reading.shape(stream.text, timer=True):
            reading.items.append(item)
            with changed:
                changed.notify_all()


def read_async(reading: Reading, backend: str = "asyncio", *, shared: bool = False, **options: Any) -> None:
    """Read a view in an `async for` loop: a task reads the source."""

    async def main() -> None:
        changed = [anyio.Event()]
        async with AsyncStream(reading.feed_task(changed), **options) as stream:
            reader = stream.broadcast().reader() if shared else stream
            async for item in reading.shape(reader.text):
                reading.items.append(item)
                changed[0].set()
                changed[0] = anyio.Event()

    anyio.run(main, backend=backend)


def read_shared(reading: Reading, **options: Any) -> None:
    with Stream(reading.feed(), **options) as stream:
        for item in reading.shape(stream.broadcast().reader().text):
            reading.items.append(item)


DRIVERS: dict[str, Callable[..., None]] = {
    "for": read_sync,
    "for, with a timer": read_timed,
    "async for": read_async,
    "async for, on trio": partial(read_async, backend="trio"),
    "of a broadcast": read_shared,
    "of a broadcast, async": partial(read_async, shared=True),
}


def check(answer: Answer, driver: str, views: Sequence[str] = tuple(VIEWS), **options: Any) -> None:
    for view in views:
        reading = Reading(answer, view)
        DRIVERS[driver](reading, **options)

        assert reading.late is None, reading.late
        assert VIEWS[view][1](reading.items) == answer.text, view


def items_of(chunks: list[bytes], view: str = "words", **options: Any) -> list[Any]:
    """Return the items of a view; of Markdown, the closed blocks with their ids."""
    with Stream(chunks, **options) as stream:
        items = list(VIEWS[view][0](stream.text))
    return [(block.id, block.text) for block in items if block.closed] if view == "blocks" else items


@every_format
def test_an_item_comes_with_the_end_of_its_text_in_a_for_loop(format: str) -> None:
    for answer in _answers(format).values():
        check(answer, "for", format=format)


@pytest.mark.slow
@pytest.mark.parametrize("driver", list(DRIVERS)[1:])
@every_format
def test_an_item_comes_with_the_end_of_its_text_in_every_loop(format: str, driver: str) -> None:
    for answer in _answers(format).values():
        check(answer, driver, format=format)


@every_format
def test_an_item_comes_with_the_end_of_its_text_in_every_chunking(format: str) -> None:
    for name, answer in _answers(format).items():
        views = ("words", "sentences", "blocks")
        expected = [items_of(answer.chunks, view, format=format) for view in views]
        for chunks in chunkings.several(b"".join(answer.chunks), name).values():
            check(_observe(chunks, format=format), "for", ["words", "smooth", "blocks"], format=format)

            assert [items_of(chunks, view, format=format) for view in views] == expected


# -- what decides, besides the end of a part ---------------------------------------------


SAID = [wire.chat({"role": "assistant", "content": ""}), wire.chat({"content": "One two"})]
FINISH = wire.chat({}, "stop")


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_item_comes_with_the_end_mark_if_nothing_else_has_ended_its_text(driver: str) -> None:
    """A server that sends no finish reason."""
    check(Answer([*SAID, wire.DONE], ["", "", "One two", "One two"]), driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_text_that_is_held_for_a_match_comes_with_the_end_mark(driver: str) -> None:
    said = [*SAID, wire.chat({"content": " se"}), FINISH, wire.DONE]

    check(Answer(said, ["", "", "", "One two", "One two se", "One two se"]), driver, ["redact, words"])


def test_a_match_that_a_call_interrupts_is_still_found() -> None:
    """What hides a secret holds text back for it until it is certain."""
    call = wire.chat(wire.chat_call(0, "{}", id="c", name="f"))
    chunks = [*SAID, wire.chat({"content": " sec"}), call, wire.chat({"content": "ret"}), FINISH, wire.DONE]

    assert "".join(Stream(chunks).text.redact("secret").words()) == "One two [redacted]"


@pytest.mark.parametrize("driver", DRIVERS)
def test_text_after_the_finish_reason_is_an_item_of_its_own(driver: str) -> None:
    chunks = [*SAID, FINISH, wire.chat({"content": "Three"}), wire.DONE]
    due = ["", "", "One two", "One two", "One twoThree", "One twoThree"]

    check(Answer(chunks, due), driver)
    assert items_of(chunks) == ["One", " two", "Three"]
    assert Stream(chunks).final().text == "One twoThree"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_part_that_begins_ends_the_item_of_a_part_that_is_still_open(driver: str) -> None:
    """A server that forgets the end of a text, or goes on with it later: that is another item."""
    chunks = [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_delta(0, "text_delta", text="One two"),
        wire.claude_open(1, type="tool_use", id="c", name="f", input={}),
        wire.claude_delta(1, "input_json_delta", partial_json="{}"),
        wire.claude_delta(0, "text_delta", text="Three"),
        wire.claude_delta(0, "text_delta", text=" four"),
        wire.claude_close(1),
        wire.claude_close(0),
        wire.claude_end(),
    ]
    said, all_said = "One two", "One twoThree four"
    due = ["", "", "", said, said, said, said, said, all_said, all_said, all_said]

    check(Answer(chunks, due), driver)
    assert items_of(chunks) == ["One", " two", "Three", " four"]


def test_parts_that_take_turns_cut_no_word_of_each_other() -> None:
    chunks = [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_open(1, type="thinking", thinking="", signature=""),
        wire.claude_delta(0, "text_delta", text="Hel"),
        wire.claude_delta(1, "thinking_delta", thinking="Hm"),
        wire.claude_delta(0, "text_delta", text="lo wor"),
        wire.claude_close(1),
        wire.claude_delta(0, "text_delta", text="ld"),
        wire.claude_close(0),
        wire.claude_end(),
    ]

    assert items_of(chunks) == ["Hello", " world"]


def test_a_citation_cuts_no_word() -> None:
    citation = {"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0}
    chunks = [
        wire.claude_start(),
        wire.claude_open(0, type="text", text=""),
        wire.claude_delta(0, "text_delta", text="Hel"),
        wire.claude_delta(0, "citations_delta", citation={**citation, "end_char_index": 1}),
        wire.claude_delta(0, "text_delta", text="lo"),
        wire.claude_close(0),
        wire.claude_end(),
    ]

    assert items_of(chunks) == ["Hello"]


@pytest.mark.parametrize("view", ["words", "sentences", "lines", "blocks"])
def test_a_reader_that_begins_late_is_given_the_same_items(view: str) -> None:
    """The ends are kept with the text."""
    chunks = SCRIPTS["text, call, text"].chunks("openai-chat")
    early = items_of(chunks, view)
    with Stream(chunks) as stream:
        stream.final()
        late = list(VIEWS[view][0](stream.text))

    assert early == ([(block.id, block.text) for block in late if block.closed] if view == "blocks" else late)


@in_one_test("view", sorted(VIEWS))
def test_text_that_came_while_another_view_was_read_is_given_before_the_error(view: str) -> None:
    """The answer breaks off behind a call, and the view of the calls is the first to meet the error."""
    script = testing.script().text("One two").tool_call("f", {"a": 1}).text("Three", " four")
    shape, joined = VIEWS[view]
    with Stream(script.chunks("anthropic")) as stream:
        calls, items = iter(stream.tool_calls), iter(shape(stream.text))
        next(calls)
        given = [next(items)]
        with pytest.raises(StreamTruncated):
            list(calls)
        with pytest.raises(StreamTruncated):
            given.extend(items)

    assert joined(given) == "One twoThree four"


def test_the_reasoning_ends_with_the_start_of_the_text() -> None:
    stream = Stream(SCRIPTS["reasoning, text"].chunks("openai-chat"))

    assert list(stream.reasoning.words()) == ["One", " two"]
    assert list(stream.text.words()) == ["Three", " four"]


@pytest.mark.parametrize("size", [5, 9, 999])
def test_the_last_word_of_a_string_comes_with_its_closing_quote(size: int) -> None:
    text = '{"a": [{"t": "One two"}, {"t": "Three"}], "b": "four"}'
    given = list[str]()

    def feed() -> Iterator[str]:
        for at in range(0, len(text), size):
            if at > text.index("Three") + 5:
                assert given == ["One", " two", "Three"]
            yield text[at : at + size]
        assert given == ["One", " two", "Three"]

    with Stream(feed(), format="pieces") as stream:
        for word in stream.field("a.*.t").words():
            given.append(word)

    assert given == ["One", " two", "Three"]


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini"])
def test_the_last_draft_comes_with_the_end_of_its_text(format: Any) -> None:
    chunks = testing.script().text('{"a": 1, ', '"b": 2, ', '"c": 3}').finish("stop").chunks(format)
    drafts = list[Any]()

    def feed() -> Iterator[bytes]:
        yield from chunks
        assert drafts[-1].complete

    with Stream(feed(), format=format) as stream:
        for draft in stream.partials(dict[str, int]).throttle(0.01):
            drafts.append(draft)

    assert (len(drafts), drafts[-1].value) == (2, {"a": 1, "b": 2, "c": 3})


# -- an even pace up to the end ----------------------------------------------------------


BURST = "The quick brown fox jumps over the lazy dog. " * 4


def _paced(driver: str, **options: Any) -> list[str]:
    """Return what `smooth` gives of an answer that comes in one piece."""
    chunks = [b"".join(testing.script().text(BURST).finish("stop").chunks("openai-chat"))]
    if driver == "async for":

        async def main() -> list[str]:
            async def feed() -> AsyncIterator[bytes]:
                for each in chunks:
                    yield each

            async with AsyncStream(feed(), **options) as stream:
                return [piece async for piece in stream.text.smooth(0.3)]

        return anyio.run(main)
    with Stream(iter(chunks), **options) as stream:
        return list(stream.text.smooth(0.3, timer=driver != "for"))


def _hundredths() -> Callable[[], float]:
    """Return a clock that is a hundredth of a second later at each look, however busy the machine is."""
    return count(0.0, 0.01).__next__


@pytest.mark.parametrize("driver", ["for, with a timer", "async for"])
def test_the_last_burst_is_spread_although_the_answer_is_over(driver: str) -> None:
    """A proxy that buffers sends the end with the text."""
    pieces = on(_hundredths(), _paced, driver)

    assert "".join(pieces) == BURST
    assert max(map(len, pieces)) < len(BURST) / 3


@pytest.mark.parametrize("driver", ["for, with a timer", "async for"])
def test_a_clock_that_stands_still_ends_no_pace_late(driver: str) -> None:
    """A clock of the program's own, as of a replay: the rest comes at once."""
    pieces = on(lambda: 0.0, _paced, driver)

    assert pieces == [BURST[0], BURST[1:]]


def test_a_stream_that_is_stopped_gives_the_rest_at_once() -> None:
    """Who stops an answer waits for nothing."""
    chunks = testing.script().text(BURST).finish("stop").chunks("openai-chat")
    with Stream(iter(chunks)) as stream:
        view = stream.text.smooth(PATIENCE, timer=True)
        first = next(view)
        wait_for(lambda: stream.message.text != "")
        stream.stop()
        rest = list(view)

    assert first + "".join(rest) == stream.message.text
    assert len(rest) <= 1


def test_a_loop_without_a_timer_gets_the_last_burst_at_once() -> None:
    """Nothing would wake the loop at the time of the next piece."""
    pieces = on(_hundredths(), _paced, "for")

    assert "".join(pieces) == BURST
    assert len(pieces[-1]) > len(BURST) * 2 / 3
