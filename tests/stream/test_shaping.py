"""A text is shaped for an interface where it is read: in any loop, and by time."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import permutations
from typing import Any

import anyio
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER, chunk
from tests.support import wire
from tests.support.playing import Playback, silent_after
from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Retry, Stream, resilient, stages, testing
from tokenstream.errors import MisuseError, OutputInvalid, StreamError, StreamTruncated
from tokenstream.stages._text import pacing
from tokenstream.stream import TextView

pytestmark = pytest.mark.anyio

SKY = ["The", " sky", " is", " blue."]
SHAPES: dict[str, Callable[[Any], Any]] = {
    "throttle": lambda text: text.throttle(hz=20),
    "smooth": lambda text: text.smooth(max_delay=0.2),
    "accumulate": lambda text: text.accumulate(),
    "throttle, accumulate": lambda text: text.throttle(hz=20).accumulate(),
    "smooth, accumulate": lambda text: text.smooth().accumulate(),
    "sentences": lambda text: text.sentences(max_delay=0.2),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def pieces(*texts: str) -> Stream:
    return at_one_time(list(texts), format="pieces")


def at_one_time(source: Any, **options: Any) -> Stream:
    """Return a stream that comes all at once, whatever else the machine does meanwhile."""
    with testing.VirtualClock():
        return Stream(source, **options)


# -- what a loop is given ----------------------------------------------------


def test_a_text_is_given_less_often() -> None:
    assert list(pieces(*SKY).text.throttle(hz=20)) == ["The", " sky is blue."]


def test_a_text_so_far_is_given_for_what_repaints_it() -> None:
    assert list(pieces(*SKY).text.accumulate()) == ["The", "The sky is blue."]
    assert list(pieces(*SKY).text.throttle(hz=20).accumulate()) == ["The", "The sky is blue."]


def test_reasoning_and_a_field_are_shaped_alike() -> None:
    assert list(at_one_time(ANSWER).reasoning.throttle(hz=20)) == ["Hm. ", "Weather."]
    assert list(pieces('{"a": "x', "y", 'z"}').field("a").throttle(hz=20)) == ["x", "yz"]


def test_each_view_begins_at_the_start_of_the_text() -> None:
    stream = pieces(*SKY)
    text = stream.text
    first = next(text)
    calm = text.throttle(hz=20)

    assert (first, list(calm), list(text)) == ("The", ["The", " sky is blue."], [" sky is blue."])


def test_a_view_may_be_read_in_two_loops() -> None:
    text = pieces(*SKY).text.throttle(hz=20)

    assert ([next(text)], list(text), list(text)) == (["The"], [" sky is blue."], [])


def test_a_view_that_is_closed_gives_nothing_more_and_makes_no_others() -> None:
    with pieces(*SKY) as stream:
        text = stream.text.throttle(hz=20)
        text.close()

        assert list(text) == []
        with pytest.raises(MisuseError, match="this view was closed"):
            list(text.accumulate())


# -- orders ------------------------------------------------------------------


@in_one_test(
    ("shape", "said"),
    [
        (lambda text: text.accumulate().throttle(hz=5), "accumulate.. gives the whole text each time"),
        (lambda text: text.throttle(hz=5).throttle(hz=5), "keep one of them"),
        (lambda text: text.smooth().throttle(hz=5), "keep one of them"),
        (lambda text: text.throttle(hz=5).smooth(), "keep one of them"),
        (lambda text: text.throttle(hz=5).words(), "put .words.. first"),
        (lambda text: text.words().lines(), "keep one of them"),
        (lambda text: text.words().redact("a"), "put .redact.. first"),
        (lambda text: text.accumulate().markdown_blocks(), "keep one of them"),
        (lambda text: text.markdown_blocks().throttle(hz=5), "put .throttle.. first"),
        (lambda text: text.markdown_blocks().words(), "put .words.. first"),
        (lambda text: text.markdown_blocks().accumulate(), "keep one of them"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_where_it_is_asked_for(
    shape: Callable[[Any], Any], said: str
) -> None:
    with pieces(*SKY) as stream, pytest.raises(MisuseError, match=said):
        shape(stream.text)


def test_blocks_and_patches_cannot_be_shaped_further() -> None:
    """The error says the right order; type checkers know no such methods."""
    with pieces("{}") as stream:
        blocks, patches = stream.text.markdown_blocks(), stream.partials(dict[str, str]).patches()

    with pytest.raises(MisuseError, match=r"put .throttle.. first"):
        patches.throttle(hz=5)  # type: ignore[attr-defined]
    for view, name in ((blocks, "patches"), (blocks, "colour"), (patches, "words")):
        with pytest.raises(AttributeError, match=f"object has no attribute '{name}'"):
            getattr(view, name)


STEPS: dict[str, Callable[[Any], Any]] = {
    "redact": lambda text: text.redact("sky", with_="sea"),
    "until": lambda text: text.until("!"),
    "words": lambda text: text.words(),
    "sentences": lambda text: text.sentences(),
    "throttle": lambda text: text.throttle(hz=20),
    "smooth": lambda text: text.smooth(),
}


@in_one_test("order", list(permutations(STEPS, 3)), ids=" ".join)
def test_three_in_any_order_give_the_same_text_or_are_refused(order: tuple[str, ...]) -> None:
    stream = pieces("The s", "ky is", " blue. It", " is! Not")
    text: Any = stream.text
    try:
        for step in order:
            text = STEPS[step](text)
    except MisuseError:
        stream.close()
        return
    expected = "The sky is blue. It is! Not"
    if "redact" in order:
        expected = expected.replace("sky", "sea")
    if "until" in order:
        expected = expected.partition("!")[0]

    assert "".join(text).strip() == expected.strip()
    stream.close()


@pytest.mark.parametrize("hz", [0, -3])
def test_a_wrong_rate_is_reported_where_it_is_given(hz: float) -> None:
    with pieces() as stream:
        for shape in (stream.text.throttle, stream.text.accumulate):
            with pytest.raises(MisuseError, match="hz="):
                shape(hz)


# -- one stage, three ways --------------------------------------------------------

ALONE: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "redact": (lambda text: text.redact("a b", with_="*"), lambda: stages.Redact("a b", "*")),
    "until": (lambda text: text.until("b a"), lambda: stages.Until("b a")),
    "words": (lambda text: text.words(), stages.Words),
    "graphemes": (lambda text: text.graphemes(), stages.Graphemes),
    "lines": (lambda text: text.lines(), stages.Lines),
    "sentences": (lambda text: text.sentences(), stages.Sentences),
    "markdown_blocks": (lambda text: text.markdown_blocks(), stages.MarkdownBlocks),
}


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(("shape", "stage"), ALONE.values(), ids=ALONE.keys())
@given(texts=st.lists(st.text("ab <>/.!*`\n\u0301\U0001f469\u200d", min_size=1, max_size=6), max_size=8))
def test_a_loop_is_given_what_the_stage_gives_by_itself(
    shape: Callable[[Any], Any], stage: Callable[[], Any], texts: list[str]
) -> None:
    async def read() -> list[Any]:
        async with AsyncStream(texts, format="pieces") as stream:
            return [piece async for piece in shape(stream.text)]

    alone = stage()
    expected = [piece for text in texts for piece in alone.feed(text)]
    expected += alone.end()
    with Stream(texts, format="pieces") as stream:
        assert list(shape(stream.text)) == expected
    assert anyio.run(read) == expected


@pytest.mark.few_rows(3)
@pytest.mark.parametrize(("shape", "stage"), ALONE.values(), ids=ALONE.keys())
@given(texts=st.lists(st.text("ab .\n", min_size=1, max_size=6), max_size=8))
def test_what_is_joined_for_an_interface_is_cut_into_the_same_pieces_again(
    shape: Callable[[Any], Any], stage: Callable[[], Any], texts: list[str]
) -> None:
    """Also by a reader that begins late; an order that would run pieces into each other is refused."""

    def cut(text: str) -> list[str]:
        return [*(alone := stage()).feed(text), *alone.end()]

    for name, outer in SHAPES.items():
        with pieces(*texts) as stream:
            stream.final()
            try:
                given = [*outer(shape(stream.text))]
            except MisuseError:
                continue
        assert cut("".join(given[-1:] if "accumulate" in name else given)) == cut("".join(texts))


# -- failures ----------------------------------------------------------------


@every_shape
def test_what_is_held_is_given_before_the_error(shape: Callable[[Any], Any]) -> None:
    stream = Stream([chunk({"content": piece}) for piece in SKY], format="openai-chat")
    view = shape(stream.text)
    seen: list[str] = []
    with pytest.raises(StreamTruncated) as caught:
        seen.extend(view)

    whole = seen[-1] if "sky" in seen[-1] and seen[-1].startswith("The") else "".join(seen)
    assert whole == caught.value.partial.text == "The sky is blue."
    assert stream.closed
    with pytest.raises(StreamTruncated):
        next(view)


def test_an_error_in_its_place_is_met_after_what_came_before_it() -> None:
    stream = pieces('[{"a": "x', "y", 'z"}, {"a": 1}, {"a": "u', 'v"}]')
    view = stream.field("*.a").throttle(hz=20)
    seen: list[Any] = []
    while True:
        try:
            seen.append(next(view))
        except OutputInvalid as error:
            seen.append(type(error))
        except StopIteration:
            break

    assert seen[:1] == ["x"]
    assert "".join(piece if isinstance(piece, str) else "|" for piece in seen) == "xyz|uv"


def test_an_answer_that_begins_again_as_another_one_is_an_error() -> None:
    """What was given cannot be taken back; what was held is given before."""
    bodies = iter([[chunk({"content": "The sky"}), chunk({"content": " is"})], [chunk({"content": "A sea"})]])
    stream = resilient(lambda _: next(bodies), Retry(attempts=2, again=True, wait=0), format="openai-chat")
    seen: list[str] = []
    with pytest.raises(StreamError):
        seen.extend(stream.text.throttle(hz=20))

    assert "".join(seen) == "The sky is"
    assert stream.message.text == "The sky is"


# -- time --------------------------------------------------------------------


async def said_and_silent(seconds: float) -> AsyncIterator[str]:
    yield "The"
    yield " sky"
    await anyio.sleep(seconds)
    yield " is blue."


@pytest.mark.not_quick
async def test_an_asynchronous_loop_is_given_in_time_what_is_held() -> None:
    seen: list[str] = []
    given = anyio.Event()

    async def silent_until_it_is_given() -> AsyncIterator[str]:
        yield "The"
        yield " sky"
        await given.wait()
        yield " is blue."

    with anyio.fail_after(PATIENCE):
        async with AsyncStream(silent_until_it_is_given(), format="pieces") as stream:
            async for piece in stream.text.throttle(hz=20):
                seen.append(piece)
                if len(seen) == 2:
                    given.set()

    assert seen == ["The", " sky", " is blue."]


@pytest.mark.slow
def test_trio_outside_a_block_says_what_is_needed() -> None:
    """A read that is given a time would lose what comes; nothing is lost by asking."""

    async def read() -> list[str]:
        stream = AsyncStream(said_and_silent(0.01), format="pieces")
        seen = []
        with pytest.raises(MisuseError, match="inside `async with`"):
            seen = [piece async for piece in stream.text.throttle(hz=20)]
        async with stream:
            seen += [piece async for piece in stream.text.throttle(hz=1000)]
        return seen

    async def inside() -> list[str]:
        async with AsyncStream(said_and_silent(0.3), format="pieces") as stream:
            return [piece async for piece in stream.text.throttle(hz=20)]

    assert "".join(trio.run(read)) == "The sky is blue."
    assert trio.run(inside) == ["The", " sky", " is blue."]


async def test_a_cancelled_wait_loses_nothing() -> None:
    async with AsyncStream(said_and_silent(0.2), format="pieces") as stream:
        view = stream.text.smooth(max_delay=0.15)
        seen = ""
        while True:
            try:
                with anyio.fail_after(0.01):
                    seen += await anext(view)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                break

    assert seen == "The sky is blue."


# -- by a clock that tests turn ------------------------------------------------


def two_thousand_a_second(pieces: int = 800) -> Playback:
    steps: list[Any] = []
    for number in range(pieces):
        steps += [chunk({"content": f"{number} "}), 1 / 2000]
    return silent_after(*steps, chunk({}, "stop"), wire.DONE)


def read_by_a_clock(shape: Callable[[Any], Any], pieces: int = 800) -> list[tuple[float, str]]:
    playback = two_thousand_a_second(pieces)
    with playback.stream(format="openai-chat") as stream:
        return [(playback.clock(), piece) for piece in shape(stream.text)]


async def read_asynchronously(shape: Callable[[Any], Any]) -> list[tuple[float, str]]:
    playback = two_thousand_a_second()
    async with playback.astream(format="openai-chat") as stream:
        return [(playback.clock(), piece) async for piece in shape(stream.text)]


@pytest.mark.slow
def test_thirty_updates_a_second_out_of_two_thousand() -> None:
    seen = read_by_a_clock(lambda text: text.throttle(hz=30), 4_000)

    assert "".join(piece for _, piece in seen) == "".join(f"{number} " for number in range(4_000))
    clocks = [now for now, _ in seen]
    assert max(sum(begin <= now < begin + 1 for now in clocks) for begin in clocks) <= 31
    late = [now - int(word) / 2000 for now, piece in seen for word in piece.split()]
    assert max(late) <= 0.034


@pytest.mark.slow
@pytest.mark.parametrize("shape", [shape for name, shape in SHAPES.items() if "smooth" not in name])
def test_both_loops_are_given_the_same_at_the_same_time(shape: Callable[[Any], Any]) -> None:
    """On asyncio and trio, where the source can be told how long a read may take.

    Only loops that have a timer spread the last burst of a smoothed text.
    """
    expected = read_by_a_clock(shape)
    clocks = pytest.approx([now for now, _ in expected], abs=1e-4)
    for run in (anyio.run, trio.run):
        seen = run(read_asynchronously, shape)

        assert [piece for _, piece in seen] == [piece for _, piece in expected]
        assert [now for now, _ in seen] == clocks


@pytest.mark.slow
def test_an_interface_that_is_slow_gets_larger_pieces() -> None:
    playback = two_thousand_a_second(4_000)
    clock: Any = playback.clock
    seen = []
    with playback.stream(format="openai-chat") as stream:
        for piece in stream.text.throttle(hz=30):
            clock.advance(0.2)
            seen.append(piece)

    assert len(seen) <= 12


DRIBBLE = "Well then, let me look at what we have got there today. Yes, I see."


def dribbled() -> Playback:
    """Return the replay of a word a second."""
    words = [chunk({"content": f"{word} "}) for word in DRIBBLE.split(" ")]
    return silent_after(*(step for word in words for step in (word, 1.0)), chunk({}, "stop"), wire.DONE)


def test_words_of_a_sentence_that_dribbles_are_given_in_time() -> None:
    """A voice is silent for four seconds at most; without a time, for as long as the sentence takes."""
    loops: list[list[tuple[float, str]]] = []
    shapes: list[Callable[[TextView], TextView]] = [
        lambda text: text.sentences(max_delay=3.5),
        lambda text: text.sentences(max_delay=3.5, timer=True),
        lambda text: text.sentences(),
    ]
    for shape in shapes:
        playback = dribbled()
        with playback.stream(format="openai-chat") as stream:
            loops.append([(playback.clock(), piece) for piece in shape(stream.text)])
    timely, timed, plain = loops

    async def read() -> list[tuple[float, str]]:
        playback = dribbled()
        async with playback.astream(format="openai-chat") as stream:
            return [(playback.clock(), piece) async for piece in stream.text.sentences(max_delay=3.5)]

    for loop in (timed, anyio.run(read), trio.run(read)):
        assert [piece for _, piece in loop] == [piece for _, piece in timely]
        assert [at for at, _ in loop] == pytest.approx([at for at, _ in timely], abs=1e-4)
    assert [(3.5, "Well then, let me ")] == [(round(at, 3), piece) for at, piece in timely[:1]]
    assert plain[0] == (12.0, "Well then, let me look at what we have got there today. ")
    assert "".join(piece for _, piece in timely) == f"{DRIBBLE} " == "".join(piece for _, piece in plain)


def test_a_for_loop_is_given_words_in_time_where_a_thread_reads() -> None:
    given = threading.Event()

    def silent_until_it_is_given() -> Iterator[str]:
        yield "The sky "
        assert given.wait(PATIENCE)
        yield "is blue."

    with Stream(silent_until_it_is_given(), format="pieces") as stream:
        text = stream.text.sentences(max_delay=0.02, timer=True)
        seen = [next(text)]
        given.set()
        seen.extend(text)

    assert seen == ["The sky ", "is blue."]


# -- how often stages are made -------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the stages made from now on."""
    names: list[str] = []
    homes = {"Redact": stages, "Words": stages, "Throttle": stages, "Accumulate": pacing}
    for name, home in homes.items():
        monkeypatch.setattr(home, name, _noting(names, getattr(home, name)))
    return names


def _noting(names: list[str], make: Callable[..., Any]) -> Callable[..., Any]:
    def make_and_note(*args: object, **named: object) -> Any:
        names.append(make.__name__)
        return make(*args, **named)

    return make_and_note


def test_a_chain_makes_each_of_its_stages_once(made: list[str]) -> None:
    view = pieces(*SKY).text.redact("blue", "grey").words().throttle(hz=20).accumulate()

    assert list(view) == ["The", "The sky is grey."]
    assert made == ["Redact", "Words", "Throttle", "Accumulate"]


def test_views_that_share_a_stage_do_not_mix_their_texts(made: list[str]) -> None:
    shared = pieces(*SKY).text.redact("blue", "grey")
    words, lines = shared.words(), shared.lines()

    assert [next(words), next(shared), next(words)] == ["The", "The sky", " sky"]
    assert ["".join(lines), "".join(shared), "".join(words)] == ["The sky is grey.", " is grey.", " is grey."]
    assert made == ["Redact", "Words", "Redact", "Redact"]
