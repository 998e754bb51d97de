"""What other threads may do while one reads: `stop()`, `message`, `metrics`, and nothing else."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import pytest

from tests.stream.blocked import PATIENCE, SILENT, Loop, alone, opened
from tests.stream.bodies import ANSWER, USAGE, call, chunk
from tests.stream.broadcast.support import in_threads
from tests.support import wire
from tests.support.loopback import LAST_CHUNK, Loopback, Script, chunked_head, http_chunk
from tests.support.raised import misuse
from tests.support.sampling import sampled
from tests.support.wire import DONE
from tokenstream import Message, Stream
from tokenstream.errors import MisuseError, StreamTruncated
from tokenstream.events import TextDelta


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def words(count: int) -> list[str]:
    return [f"{number % 97} " for number in range(count)]


def text_only(count: int) -> list[bytes]:
    """Return an answer of text, long enough for its pieces to be joined in blocks meanwhile."""
    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in words(count)),
        chunk({}, "stop"),
        USAGE,
        DONE,
    ]


def everything(count: int) -> list[bytes]:
    """Return an answer whose reasoning, text, calls and choices grow in turns."""
    body = [chunk({"role": "assistant"}), chunk({"role": "assistant"}, choice=1)]
    for number, word in enumerate(words(count // 5)):
        body += [
            chunk({"reasoning_content": word}),
            chunk({"content": word}),
            chunk({"content": word}, choice=1),
            chunk(call(number // 40, f"call_{number // 40}", "f", "" if number % 40 else '{"a": "')),
            chunk(call(number // 40, None, None, '"}' if number % 40 == 39 else word)),
        ]
    return [*body, chunk({}, "tool_calls"), chunk({}, "stop", choice=1), USAGE, DONE]


def blocks_in_turns(count: int) -> list[bytes]:
    """Return an answer of several text blocks that grow in turns."""
    body = [wire.claude_start(), *(wire.claude_open(index, type="text", text="") for index in range(3))]
    body += [
        wire.claude_delta(number % 3, "text_delta", text=word) for number, word in enumerate(words(count))
    ]
    return [*body, *(wire.claude_close(index) for index in range(3)), wire.claude_end()]


BODIES: dict[str, Callable[[int], list[bytes]]] = {
    "text": text_only,
    "everything": everything,
    "blocks in turns": blocks_in_turns,
}
every_body = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())


def grown(before: Message, after: Message, whole: Message) -> bool:
    """Tell whether a message went on from another one, and is a beginning of the whole one."""
    old, now, final = ([told(part) for part in message.parts] for message in (before, after, whole))
    return all(
        (
            len(old) <= len(now) <= len(final),
            [part.kind for part in after.parts] == [part.kind for part in whole.parts[: len(now)]],
            all(longer.startswith(text) for text, longer in zip(old, now, strict=False)),
            all(longer.startswith(text) for text, longer in zip(now, final, strict=False)),
            before.finish_reason in (None, after.finish_reason),
            # The event that was being read when the stream was stopped may be the last one.
            before.ending in ("streaming", after.ending) or settled(before.ending, after),
        )
    )


def settled(ending: str, after: Message) -> bool:
    return (ending, after.ending) == ("stopped", "complete") and after.finish_reason is not None


def told(part: Any) -> str:
    return str(getattr(part, "text", None) or getattr(part, "arguments_text", ""))


class Observer:
    """Asks for the message all the time, in a thread of its own, and holds it against the one before."""

    def __init__(self, stream: Stream, whole: list[Message]) -> None:
        self.error: BaseException | None = None
        self.looks = 0
        self._stream, self._whole = stream, whole
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._observe()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self.error = error

    def _observe(self) -> None:
        stream = self._stream
        last, lasts, size, duration = stream.message, stream.messages, 0, 0.0
        while not self._over.is_set():
            message, messages, metrics = stream.message, stream.messages, stream.metrics
            assert grown(last, message, self._whole[0]), [last, message]
            assert len(lasts) <= len(messages) <= len(self._whole)
            for before, now, whole in zip(lasts, messages, self._whole, strict=False):
                assert grown(before, now, whole), [before, now]
            assert size <= metrics.bytes
            assert duration <= (metrics.duration or 0.0)
            last, lasts, size, duration = message, messages, metrics.bytes, metrics.duration or 0.0
            self.looks += 1


@contextmanager
def observed(stream: Stream, whole: list[Message], count: int = 3) -> Generator[list[Observer]]:
    """Have several threads look at a stream while it is read."""
    with Observer(stream, whole) as first:
        if count == 1:
            yield [first]
        else:
            with observed(stream, whole, count - 1) as others:
                yield [first, *others]


def whole_of(body: list[bytes]) -> list[Message]:
    stream = Stream(body)
    stream.final()
    return stream.messages


@pytest.mark.slow
@every_body
def test_every_message_that_others_see_is_a_beginning_that_never_goes_back(
    body: Callable[[int], list[bytes]],
) -> None:
    chunks = body(700)
    whole = whole_of(chunks)
    stream = Stream(chunks)
    with observed(stream, whole) as observers:
        for _ in stream:
            pass
        enough = time.monotonic() + PATIENCE
        while min(each.looks for each in observers) < 2 and time.monotonic() < enough:
            time.sleep(0.001)

    assert min(each.looks for each in observers) >= 2
    assert stream.messages == whole
    assert stream.message.ending == "complete"


@pytest.mark.slow
@pytest.mark.parametrize("seed", sampled(range(4), one_in=4))
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_stop_at_any_moment_gives_one_verdict(cut: bool, seed: int) -> None:
    chunks = everything(300)
    if cut:
        del chunks[200:]
    whole = whole_of(everything(300))
    chance = random.Random(seed)
    for _ in range(8):
        stream = Stream(iter(chunks))
        delay = chance.random() * 0.02
        seen: list[str] = []

        def stop(stream: Stream = stream, delay: float = delay, seen: list[str] = seen) -> None:
            time.sleep(delay)
            stream.stop()
            seen.extend(stream.message.ending for _ in range(200))

        stopper = threading.Thread(target=stop)
        texts: list[str] = []
        with observed(stream, whole, 1):
            stopper.start()
            try:
                # A loop that began only after the stop would be refused.
                for event in iter(stream.__next__, None):
                    if isinstance(event, TextDelta) and not event.choice:
                        texts.append(event.text)
            except StreamTruncated:
                assert cut
                assert stream.message.ending == "truncated"
            stopper.join()

        message = stream.message
        assert "".join(texts) == message.text
        ended = "truncated" if cut else "complete"
        assert message.ending in ("stopped", ended)
        assert message.complete == (message.finish_reason is not None)
        # A stop that comes while the end is being settled is too late, and changes nothing.
        early = {"stopped"} if message.ending == "stopped" else {"streaming", message.ending}
        assert all(ending in early or settled(ending, message) for ending in seen)
        assert stream.closed


@pytest.mark.slow
def test_a_stop_at_any_moment_closes_the_connection_and_loses_nothing() -> None:
    chance = random.Random(1)
    body = [wire.chat({"role": "assistant"}), *(wire.chat({"content": word}) for word in words(400))]
    script: Script = [
        chunked_head(),
        *(piece for item in body for piece in (http_chunk(item), 0.0002)),
        LAST_CHUNK,
    ]
    for _ in range(6):
        with Loopback(script) as server, opened(alone, server.url) as stream, Loop(stream.text) as loop:
            time.sleep(chance.random() * 0.1)
            asked_at = time.monotonic()
            stream.stop()

            assert loop.ended() - asked_at < PATIENCE
            assert loop.error is None
            assert stream.message.ending == "stopped"
            assert stream.message.text == "".join(loop.items)
            assert all(connection.closed_within(PATIENCE) for connection in server.connections)


# -- one reader at a time --------------------------------------------------


def refused(read: Callable[[], object]) -> None:
    """Assert that a read is refused; one that waited for the first reader would not come back."""
    with misuse("concurrent", match="only one may"):
        read()


def test_a_second_reader_is_refused_while_the_first_waits_for_bytes() -> None:
    gate = threading.Event()
    script: Script = [*SILENT["chunked"][:-1], gate, *map(http_chunk, ANSWER[4:]), LAST_CHUNK]
    with Loopback(script) as server, opened(alone, server.url) as stream, Loop(stream.text) as loop:
        loop.got(2)
        refused(stream.__next__)
        refused(stream.reasoning.__next__)
        refused(stream.final)
        gate.set()
        loop.ended()

        assert loop.error is None
        assert loop.items == ["Let ", "me ", "see."]
        assert stream.message.ending == "complete"


def test_a_second_reader_is_refused_while_the_first_waits_for_the_response() -> None:
    for in_with in (False, True):
        gate = threading.Event()
        script: Script = [gate, chunked_head(), *map(http_chunk, ANSWER), LAST_CHUNK]
        with Loopback(script) as server, opened(alone, server.url) as stream:

            def read(stream: Stream = stream, in_with: bool = in_with) -> list[str]:
                with stream if in_with else nullcontext():
                    return list(stream.text)

            with Loop(read) as loop:
                connection = server.connection()
                while not connection.requests:
                    time.sleep(0.002)
                refused(stream.__next__)
                gate.set()

            assert (loop.items, loop.error) == (["Let ", "me ", "see."], None)
            assert len(server.requests) == 1


def test_readers_that_push_each_other_lose_and_double_nothing() -> None:
    chunks = text_only(600)
    expected = list(Stream(chunks))
    stream = Stream(iter(chunks))
    taken: list[Any] = []
    start = threading.Barrier(4)

    def read() -> None:
        start.wait(PATIENCE)
        while True:
            try:
                taken.append(next(stream))
            except MisuseError as error:
                if error.kind != "concurrent":
                    raise
            except StopIteration:
                return

    in_threads(*[read] * 4)

    assert sorted(map(repr, taken)) == sorted(map(repr, expected))
    assert stream.message.text == "".join(words(600))
    assert stream.message.ending == "complete"


def test_a_stream_that_is_opened_in_one_thread_is_read_and_closed_in_others() -> None:
    with (
        Loopback([chunked_head(), *map(http_chunk, ANSWER), LAST_CHUNK]) as server,
        opened(alone, server.url) as stream,
    ):
        view = stream.text
        with Loop(lambda: [next(view)]) as first:
            pass
        with Loop(lambda: [next(view)]) as second:
            pass
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join()

        assert (first.items, second.items) == (["Let "], ["me "])
        assert (stream.message.text, stream.message.ending) == ("Let me ", "stopped")
        assert server.connection().closed_within(PATIENCE)


def test_message_and_metrics_answer_while_the_reader_waits() -> None:
    """Until the reader is stopped, nothing would end its wait."""
    with (
        Loopback(SILENT["chunked"]) as server,
        opened(alone, server.url) as stream,
        Loop(stream.text) as loop,
    ):
        loop.got(2)
        message, metrics = stream.message, stream.metrics
        stream.stop()

        assert (message.text, message.ending) == ("Let me ", "streaming")
        assert metrics.content_chunks == 2
