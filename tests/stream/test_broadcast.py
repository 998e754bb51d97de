"""One stream for several consumers, in `for` loops."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, Source, chunk
from tokenstream import Router, Stream
from tokenstream.accumulator import Accumulator
from tokenstream.errors import ConcurrentRead, MisuseError, StreamClosed, StreamConsumed, StreamTruncated
from tokenstream.events import TextDelta
from tokenstream.stream import Broadcast, BroadcastReader

PIECES = ["The ", "sky ", "is ", "blue", "."]


_SAID: list[Stream] = []


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    """Close what a test leaves unread."""
    yield
    while _SAID:
        _SAID.pop().close()


def said(*, pieces: list[str] = PIECES) -> Stream:
    _SAID.append(Stream(pieces, format="pieces"))
    return _SAID[-1]


def letters(count: int) -> list[str]:
    return [f"{number} " for number in range(count)]


def in_threads(*loops: Callable[[], object]) -> None:
    """Run loops in threads of their own, to their ends."""
    errors: list[BaseException] = []

    def run(loop: Callable[[], object]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    for error in errors:
        raise error


class Steps:
    """Gives pieces, each once it was told to."""

    def __init__(self, pieces: list[str]) -> None:
        self.go = threading.Semaphore(0)
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        assert self.go.acquire(timeout=10)
        return next(self._pieces)


# -- views -----------------------------------------------------------------------


def test_in_one_thread_each_reader_gets_the_pieces_of_a_plain_stream() -> None:
    """Whoever of them reads first."""
    one, two = said().tee(2)

    assert [(piece, piece) for piece in PIECES] == list(zip(one.text, two.text, strict=True))


def test_a_reader_has_all_views_and_what_a_stream_knows() -> None:
    """The same as of a stream that nobody shares."""

    def seen(stream: Any) -> list[Any]:
        return [
            list(stream.text),
            list(stream.text.words()),
            list(stream.reasoning),
            [(type(delta), delta.text) for delta in stream.deltas],
            [call.name for call in stream.tool_calls],
            [call.name for call in stream.tool_calls.when_complete()],
            [call.arguments for call in stream.validated_calls(get_weather=dict, get_time=dict)],
            list(stream.field("city", tool="get_weather")),
            stream.result(dict[str, str], tool="get_weather"),
            list(stream.choice(0).text),
            stream.message,
            stream.messages,
            stream.metrics.chunks,
            stream.format,
            stream.stop_reason,
        ]

    shared = Stream(ANSWER)
    reader = shared.broadcast().reader()

    assert seen(Stream(ANSWER)) == seen(reader)


def test_a_slow_view_gets_one_larger_piece() -> None:
    """It holds nobody up, and nothing is queued for it."""
    fast, slow = said().tee(2)
    first = next(slow.text)
    assert PIECES == list(fast.text)

    assert ["The ", "The sky is blue."] == [first, *slow.text]


def test_views_of_one_reader_may_be_alternated() -> None:
    """As those of a stream."""
    (reader,) = said().tee(1)
    one, two = reader.text, reader.text.words()

    assert ["The ", "The", "sky ", " sky"] == [next(one), next(two), next(one), next(two)]


def test_the_stream_is_one_more_reader() -> None:
    """Its views are as those of the others."""
    stream = said()
    head = next(stream.text)
    (reader,) = stream.tee(1)

    assert ["The ", "The ", "sky ", "The sky "] == [
        head,
        *islice(stream.text, 2),
        next(reader.text),
    ]
    assert "The sky is blue." == reader.final().text == stream.message.text


# -- events ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["wait", "drop_oldest", "raise"])
def test_every_reader_gets_every_event(policy: Any) -> None:
    """Those of a plain stream, also where it begins when another one has read to the end."""
    expected = list(Stream(ANSWER))
    one, two, three = Stream(ANSWER).tee(3, policy=policy)
    pairs = list(zip(one, two, strict=True))

    assert [(event, event) for event in expected] == pairs
    assert expected == list(three)
    assert 0 == three.dropped


def test_events_of_the_stream_itself_go_on_where_they_were() -> None:
    """What was read before the stream was shared is not given again."""
    stream, plain = Stream(ANSWER), list(Stream(ANSWER))
    before = [next(stream), next(stream)]
    stream.broadcast()

    assert plain == [*before, *stream]


def test_a_late_joiner_gets_what_the_events_have_come_to_and_then_each() -> None:
    """Fed to an accumulator they make an equal message."""
    stream = said(pieces=letters(40))
    hub = stream.broadcast(policy="drop_oldest", size=4)
    text = stream.text
    for _ in range(20):
        next(text)
    late, accumulator = hub.reader(), Accumulator()
    events = list(late)
    for event in events:
        accumulator.feed(event)

    assert stream.message.text == accumulator.message.text
    assert stream.message.parts == accumulator.message.parts
    assert letters(40)[20:] == [event.text for event in events if isinstance(event, TextDelta)][1:]


def test_drop_oldest_goes_on_with_what_is_held() -> None:
    """The reader that is behind skips, and counts; others get everything."""
    fast, slow = said(pieces=letters(20)).tee(2, policy="drop_oldest", size=5)
    before = [next(slow)]
    count = len(list(fast))
    after = list(slow)

    assert count == len(before) + slow.dropped + len(after)
    assert (5, 0) == (len(after), fast.dropped)


def test_raise_tells_only_the_reader_that_is_behind() -> None:
    """By how much it was behind; its views go on."""
    fast, slow = said(pieces=letters(20)).tee(2, policy="raise", size=5)
    next(slow)
    text = slow.text
    next(text)
    count = len(list(fast))
    for _ in range(2):
        with pytest.raises(MisuseError, match=rf"'reader 2' fell {count - 1} events behind"):
            next(slow)

    assert "".join(letters(20)[1:]) == "".join(text)


def test_in_one_thread_a_full_queue_is_misuse_that_names_the_reader() -> None:
    """Waiting for oneself would never end; once that reader has caught up, reading goes on."""
    stream = said(pieces=letters(20))
    hub = stream.broadcast(size=5)
    fast, slow = hub.reader(), hub.reader(name="the log")
    next(slow)
    got = 0
    with pytest.raises(MisuseError, match="'the log'"):
        for _ in fast:
            got += 1
    assert 6 == got
    for _ in range(3):
        next(slow)

    assert got + 3 == got + len([next(fast) for _ in range(3)])
    slow.close()
    assert 23 == got + 3 + len(list(fast))


def test_a_reader_that_has_read_only_views_holds_nobody_up() -> None:
    """Nor one that has read nothing."""
    fast, views, _idle = said(pieces=letters(20)).tee(3, size=2)
    next(views.text)

    assert 23 == len(list(fast))


def test_a_reader_that_another_thread_reads_is_waited_for() -> None:
    """Nothing is lost on it."""
    stream = said(pieces=letters(300))
    hub = stream.broadcast(size=3)
    readers = [hub.reader() for _ in range(3)]
    counts: list[int] = []
    for reader in readers:
        next(reader)
    in_threads(*(lambda reader=reader: counts.append(len(list(reader))) for reader in readers))

    assert [302] * 3 == counts


def test_a_reader_whose_thread_has_ended_is_not_waited_for() -> None:
    """It may be held by the error that ended its consumer; it is told when it is read again."""
    fast, dead = said(pieces=letters(20)).tee(2, size=3)
    in_threads(lambda: next(dead))

    assert 23 == len(list(fast))
    with pytest.raises(MisuseError, match="events behind"):
        next(dead)


# -- threads ---------------------------------------------------------------------


def test_readers_in_threads_get_everything() -> None:
    """Views, shaped ones too, and events, however the threads take turns."""
    stream = said(pieces=letters(300))
    hub = stream.broadcast(size=8)
    texts: list[str] = []
    counts: list[int] = []

    def words() -> None:
        texts.append("".join(hub.reader().text.words()))

    def text() -> None:
        texts.append("".join(hub.reader().text))

    def events() -> None:
        counts.append(len(list(hub.reader())))

    in_threads(text, words, events, text, words, events)

    assert ["".join(letters(300))] * 4 == texts
    assert len(counts) == 2


def test_readers_in_threads_read_typed_objects() -> None:
    """Each has a parser of its own, and a result that was found is found once."""
    steps = [f'{{"name": "step {number}", "minutes": {number}}}' for number in range(60)]
    text = '{"title": "A long one", "steps": [' + ", ".join(steps) + "]}"
    stream = Stream([text[at : at + 7] for at in range(0, len(text), 7)], format="pieces")
    hub = stream.broadcast()
    whole = json.loads(text)
    got: dict[str, Any] = {}

    def items() -> None:
        got["items"] = list(hub.reader().items(dict, at="steps"))

    def partials() -> None:
        *_, last = hub.reader().partials(dict[str, Any])
        got["partials"] = last.final()

    def field() -> None:
        got["field"] = "".join(hub.reader().field("title"))

    def result() -> None:
        got["result"] = hub.reader().result(dict[str, Any])

    in_threads(items, partials, field, result)

    assert {"items": whole["steps"], "partials": whole, "field": "A long one", "result": whole} == got


def test_while_one_thread_waits_for_the_source_others_look_at_what_has_come() -> None:
    """They need not wait for the next item."""
    steps = Steps(["one ", "two "])
    stream = Stream(steps, format="pieces")
    one, two = stream.tee(2)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(one.text))
    steps.go.release()
    loop.start()
    first = next(two.text)
    steps.go.release(5)
    loop.join(10)

    assert ("one ", ["one ", "two "]) == (first, pieces)


def test_stop_ends_all_readers() -> None:
    """From any thread; what has come is kept."""
    steps = Steps(letters(9))
    stream = Stream(steps, format="pieces")
    one, two = stream.tee(2)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda r=r: texts.append("".join(r.text))) for r in (one, two)]
    for thread in threads:
        thread.start()
    steps.go.release()
    assert "0 " == next(stream.text)
    stream.stop("enough")
    steps.go.release()
    for thread in threads:
        thread.join(10)

    assert (["0 "] * 2, "stopped", "enough") == (texts, stream.message.ending, one.stop_reason)


def test_one_reader_is_read_by_one_thread_at_a_time() -> None:
    """The second is told, and the first goes on."""
    steps = Steps(["one "])
    (reader,) = Stream(steps, format="pieces").tee(1)
    pieces: list[str] = []
    loop = threading.Thread(target=lambda: pieces.extend(reader.text))
    loop.start()
    while not reader._driver.is_reading:  # noqa: SLF001 - nothing public tells
        pass
    with pytest.raises(ConcurrentRead, match=r"stream\.tee\(n\) or stream\.broadcast\(\)"):
        next(reader.text)
    steps.go.release(3)
    loop.join(10)

    assert ["one "] == pieces


# -- coming and going ----------------------------------------------------------------


def test_a_reader_that_is_closed_holds_nobody_up() -> None:
    """Its loop ends, a new one is refused, and closing twice is fine."""
    stay, leave = said(pieces=letters(20)).tee(2, size=3)
    next(leave)
    with leave:
        leave.close()

    assert 23 == len(list(stay))
    assert [] == list(leave.text)[1:]
    with pytest.raises(StreamClosed, match="reader was closed"):
        iter(leave)


def test_a_reader_that_is_forgotten_leaves_nothing_behind() -> None:
    """It is collected at once, and holds nobody up."""
    stream = said(pieces=letters(20))
    hub = stream.broadcast(size=3)
    stay, leave = hub.reader(), hub.reader()
    next(leave)
    gone = weakref.ref(leave)
    gc.disable()
    try:
        del leave
        assert gone() is None
    finally:
        gc.enable()

    assert 23 == len(list(stay))


def test_a_stream_whose_readers_are_forgotten_warns_as_any_other() -> None:
    """Nothing holds it but its readers."""
    source = Source([chunk({"content": "Hel"})] * 3)
    readers = Stream(source).tee(2)
    next(readers[0].text)
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="never closed"):
            del readers
    finally:
        gc.enable()

    assert 1 == source.closed


def test_closing_the_stream_closes_it_for_all() -> None:
    """At the end of `with`, too."""
    source = Source(ANSWER)
    with Stream(source) as stream:
        (reader,) = stream.tee(1)
        text = reader.text
        first = next(text)

    assert (["Let "], "stopped", 1) == ([first, *text], reader.message.ending, source.closed)


# -- the end -----------------------------------------------------------------------


def test_an_error_reaches_every_reader_behind_what_came_before() -> None:
    """And again, each time it is read."""
    one, two = Stream(Source(ANSWER[:4])).tee(2)
    for reader in (one, two):
        got: list[str] = []
        for _ in range(2):
            with pytest.raises(StreamTruncated):
                got.extend(reader.text)
            with pytest.raises(StreamTruncated):
                list(reader)
        assert "truncated" == reader.message.ending


def test_a_loop_over_events_that_were_read_is_refused_as_on_a_stream() -> None:
    """The views give the answer again."""
    one, two = said().tee(2)
    list(one)
    with pytest.raises(StreamConsumed):
        list(one)

    assert (PIECES, 8) == ([*two.text] and PIECES, len(list(two)))


def test_a_router_runs_on_a_reader() -> None:
    """Beside other readers; where a handler raises, only its reader is closed."""
    router, seen = Router(), list[str]()

    @router.on(TextDelta)
    def show(event: TextDelta) -> None:
        seen.append(event.text)

    @router.tool("get_weather", dict)
    def get_weather(asked: dict[str, str]) -> str:
        return asked["city"]

    broken = Router()

    @broken.on(TextDelta)
    def fail(event: TextDelta) -> None:
        raise LookupError(event.text)

    one, two, three = Stream(ANSWER).tee(3)
    next(three.text)
    with pytest.raises(LookupError):
        two.run(broken)
    results = one.run(router)

    assert (["Let ", "me ", "see."], "Oslo") == (seen, results["call_a"])
    assert "complete" == three.final().ending


# -- options and refusals --------------------------------------------------------


def test_a_stream_has_one_hub() -> None:
    """Other options than its own are refused."""
    stream = said()
    hub = stream.broadcast(policy="raise", size=7)
    assert hub is stream.broadcast() is stream.broadcast(size=7)

    with pytest.raises(MisuseError, match="policy='raise' and size=7"):
        stream.tee(2, policy="wait")
    assert isinstance(hub, Broadcast)
    assert isinstance(hub.reader(), BroadcastReader)


def test_options_may_be_chosen_until_a_reader_of_events_has_begun() -> None:
    """So that who shares a stream without a word on them keeps nobody from it."""
    stream = said(pieces=letters(20))
    stream.broadcast()
    next(stream.text)
    (one,) = stream.tee(1, policy="drop_oldest", size=30)
    assert 23 == len(list(one))
    with pytest.raises(MisuseError, match="'drop_oldest' and size=30"):
        stream.broadcast(size=31)

    other = said()
    assert 8 == len(list(other.tee(1)[0]))
    with pytest.raises(MisuseError, match="'wait' and size=1024"):
        other.broadcast(policy="raise")


@pytest.mark.parametrize(
    ("options", "told"),
    [({"policy": "drop"}, "'wait', 'drop_oldest', 'raise'"), ({"size": 0}, "size= takes a whole number")],
)
def test_options_that_are_none_are_refused(options: dict[str, Any], told: str) -> None:
    """In words that say which there are."""
    with pytest.raises(MisuseError, match=told):
        said().broadcast(**options)


def test_a_view_that_was_made_before_is_refused() -> None:
    """It would take events from the readers; the error says to ask anew."""
    stream = said()
    text = stream.text
    stream.tee(2)

    with pytest.raises(ConcurrentRead, match="ask for views after that"):
        next(text)


def test_a_listener_is_told_of_all_that_comes_and_of_the_end() -> None:
    """By whoever reads; it may stop to listen."""
    stream = said()
    told: list[str] = []
    end = stream.broadcast().listen(lambda: told.append(stream.message.ending))
    stream.final()
    end()

    assert ["streaming", "complete"] == [told[0], told[-1]]
    assert 9 == len(told)


@pytest.mark.parametrize("end", [Stream.close, Stream.stop])
def test_a_listener_is_told_of_an_end_that_nobody_reads(end: Callable[[Stream], None]) -> None:
    """Before the call comes back."""
    stream = said()
    told: list[str] = []
    stream.broadcast().listen(lambda: told.append(stream.message.ending))
    next(stream.text)
    end(stream)

    assert "stopped" == told[-1]
