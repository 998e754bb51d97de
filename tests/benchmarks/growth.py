"""Whether an event costs the same after a thousand events as after a million."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, cycle, islice
from time import process_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bodies import BODIES, middle_of, openai_chat
from tests.benchmarks.tables import Table, judge
from tests.support.wire import sse
from tokenstream import Decoder, Limits, Stream

if TYPE_CHECKING:
    from tests.benchmarks.timing import Plan

__all__ = ["ENDLESS", "WINDOW", "growth", "lazily", "windows"]

WINDOW = 1_000
_MOST_DEVIATION = 0.10
_DISTINCT = 1_000

ENDLESS = Limits(body=1 << 40)
"""A million events as OpenAI sends them are more bytes than the default bound on a body."""

Step = Callable[[], object]
Make = Callable[[str, ExitStack], Step]


def lazily(format: str, count: int, *, ascii_only: bool = False) -> Iterator[bytes]:
    """Give the chunks of a body of `count` text deltas without ever holding them all.

    A thousand distinct ones come again and again, so that the input costs no memory.
    """
    head, middle, tail = middle_of(BODIES[format](_DISTINCT, ascii_only=ascii_only))
    return chain(head, islice(cycle(middle), count), tail)


def _decoder(format: Any, opened: ExitStack) -> Step:
    head, middle, _ = middle_of(BODIES[format](_DISTINCT))
    decoder = Decoder(format, limits=ENDLESS)
    opened.callback(decoder.check)
    feed = decoder.feed
    for chunk in head:
        feed(chunk)
    chunks = cycle(middle)

    def step() -> None:
        for chunk in islice(chunks, WINDOW):
            feed(chunk)

    return step


def _pulling(items_of: Callable[[Stream], Iterator[Any]]) -> Make:
    def make(format: Any, opened: ExitStack) -> Step:
        head, middle, _ = middle_of(BODIES[format](_DISTINCT))
        items = items_of(
            opened.enter_context(Stream(chain(head, cycle(middle)), format=format, limits=ENDLESS))
        )

        def step() -> None:
            for _ in islice(items, WINDOW):
                pass

        return step

    return make


_READERS: dict[str, Make] = {
    "Decoder.feed": _decoder,
    "Stream": _pulling(iter),
    "Stream.text": _pulling(lambda stream: iter(stream.text)),
}


def windows(make: Make, format: str, plan: Plan) -> dict[int, float]:
    """Return the fastest window after each size, in seconds.

    One reader for each size, all alive at once; their windows take turns, so that
    a busy moment of the machine meets all of them.
    """
    with ExitStack() as opened:
        steps: dict[int, Step] = {}
        for size in plan.sizes:
            step = steps[size] = make(format, opened)
            for _ in range(size // WINDOW):
                step()
        best: dict[int, float] = {}
        for _ in range(plan.windows):
            gc.collect()
            for size, step in steps.items():
                begun = process_time()
                step()
                taken = process_time() - begun
                best[size] = min(taken, best.get(size, taken))
    return best


def growth(plan: Plan) -> list[Table]:
    """Return the table of marginal costs, and the one of single bytes."""
    rows, notes = [], []
    for format in ("openai-chat", "anthropic", "text"):
        for name, make in _READERS.items():
            best = windows(make, format, plan)
            rows.append([f"{format}, {name}", *(f"{best[s] / WINDOW * 1e6:.2f}" for s in plan.sizes)])
            away = max(best.values()) / min(best.values()) - 1
            rows[-1].append(f"{away:.1%}")
            if format == "openai-chat":
                notes.append(judge(f"{name}: {away:.1%}", "within 10 %", reached=away <= _MOST_DEVIATION))
    head = ["µs per event after …", *(f"{size:,}" for size in plan.sizes), "deviation"]
    title = f"growth: the fastest of {plan.windows} windows of {WINDOW:,} events"
    return [Table(title, head, rows, notes), _bytes_growth(plan)]


def _bytes_growth(plan: Plan) -> Table:
    """Measure bodies of several sizes that come byte by byte, and a single long event."""
    sizes = [plan.fewer, plan.fewer * 10]
    rows = []
    for name, body_of in _BYTEWISE.items():
        per_byte = []
        for size in sizes:
            body = body_of(size)
            per_byte.append(min(_bytewise(body) for _ in range(3)) / len(body) * 1e9)
        rows.append([name, *(f"{each:.0f}" for each in per_byte), f"{per_byte[-1] / per_byte[0] - 1:+.1%}"])
    head = ["ns per byte, one byte per chunk", *(f"{size:,} events" for size in sizes), "growth"]
    return Table("growth: byte by byte through Decoder.feed", head, rows)


def _bytewise(body: bytes) -> float:
    decoder = Decoder("openai-chat")
    chunks = [body[at : at + 1] for at in range(len(body))]
    begun = process_time()
    for chunk in chunks:
        decoder.feed(chunk)
    return process_time() - begun


def _many(size: int) -> bytes:
    return b"".join(openai_chat(size).chunks)


def _one(size: int) -> bytes:
    """Return one event as long as `size` events together."""
    long = b"x" * (len(_many(size)) - 100)
    return sse('{"choices":[{"index":0,"delta":{"content":"' + long.decode() + '"}}]}')


_BYTEWISE: dict[str, Callable[[int], bytes]] = {"many events": _many, "one event as long as they are": _one}
