"""Time per event: contenders in turns over the same bytes."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from tests.benchmarks.bodies import BODIES
from tests.benchmarks.contenders import Contender, floor, ours
from tests.benchmarks.peers import peers
from tests.benchmarks.tables import Table, judge

if TYPE_CHECKING:
    from tests.benchmarks.bodies import Body

__all__ = ["Plan", "contenders_for", "time_format"]

_LONG_SECONDS = 0.02
_ENOUGH_OF_LONG = 4
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Args:
        events: Pieces of text in a body.
        fewer: The same for one byte per chunk, where each byte costs.
        seconds: How long each table may take, beyond its rounds.
        rounds: How often every contender has its turn at least.
        sizes: Events before the windows whose cost is compared.
        windows: Windows of each size; the fastest counts.
        memory: Events of the body whose memory is measured.
        open_streams: Streams that are open at once.
        imports: Processes for each import.
        documents: Characters of the JSON documents that grow.
        objects: Objects of the list that fills in.
        recordings: Recordings that are replayed.
        merged_streams: Streams that are read side by side.
        merged_tokens: Tokens of each of them.
    """

    events: int = 2_000
    fewer: int = 100
    seconds: float = 8.0
    rounds: int = 20
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    windows: int = 25
    memory: int = 1_000_000
    open_streams: int = 1_000
    imports: int = 15
    documents: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    objects: int = 1_000
    recordings: int = 1_000
    merged_streams: int = 1_000
    merged_tokens: int = 250
    chunkings: tuple[str, ...] = field(default=("one event", "64 KB", "one byte"))


_DECODER, _STREAM, _ASYNC = "tokenstream Decoder.feed", "tokenstream Stream", "tokenstream AsyncStream"
_BARS = {
    ("openai-chat", "one event"): {_DECODER: 2.0, _STREAM: 2.3, _ASYNC: 2.8},
    ("openai-chat", "64 KB"): {_DECODER: 3.6, _STREAM: 3.6},
}
"""What each may cost, in `orjson.loads` of the payloads."""
_JUDGED = (_DECODER, _STREAM)
_ANTHROPIC_BAR = 15.0


def contenders_for(format: str) -> list[Contender]:
    """Return who reads a format; nothing decodes JSON where there is none."""
    return [*(floor() if format != "text" else []), *peers(format), *ours()]


def _fastest(contenders: list[Contender], body: Body, plan: Plan) -> dict[str, float]:
    """Return the seconds that the fastest run of each took.

    Time of the processor, not of the wall: nobody waits for anything here, and
    the turns that other processes take would count against the long runs only.
    """
    best: dict[str, float] = {}
    runs = dict.fromkeys([contender.name for contender in contenders], 0)
    stop = perf_counter() + plan.seconds
    rounds = 0
    while rounds < plan.rounds or perf_counter() < stop:
        rounds += 1
        gc.collect()
        for contender in contenders:
            name = contender.name
            slow = best.get(name, 1.0) > _LONG_SECONDS
            if slow and runs[name] >= _ENOUGH_OF_LONG:
                continue
            for _ in range(1 if slow else _AT_ONCE):
                run = contender.prepare(body)
                begun = process_time()
                run()
                taken = process_time() - begun
                best[name] = min(taken, best.get(name, taken))
                runs[name] += 1
    return best


def _rows(contenders: list[Contender], best: dict[str, float], events: int) -> list[list[str]]:
    first = next((c.name for c in contenders if c.kind == "floor"), None)
    others = [best[c.name] for c in contenders if c.kind == "peer"]
    rows = []
    for contender in contenders:
        taken = best[contender.name]
        rows.append(
            [
                contender.name,
                f"{taken / events * 1e6:.2f}",
                f"{taken / best[first]:.2f}" if first else "–",
                f"{taken / min(others):.2f}" if others else "–",
            ]
        )
    return rows


def _verdicts(format: str, chunking: str, best: dict[str, float]) -> list[str]:
    """Say which bars were reached, where there are bars."""
    said = []
    loads = best.get("orjson.loads")
    for name, bar in _BARS.get((format, chunking), {}).items() if loads else ():
        ratio = best[name] / best["orjson.loads"]
        said.append(judge(f"{name}: {ratio:.2f} × orjson.loads", f"at most {bar}", reached=ratio <= bar))
    for name in _JUDGED:
        taken = best[name]
        if chunking != "one event":
            continue
        borders = best.get("httpx-sse, events only")
        if format == "openai-chat" and borders:
            what = f"{name}: {taken / borders:.2f} × httpx-sse, events only"
            said.append(judge(what, "at most 1", reached=taken <= borders))
        sdk = best.get("anthropic .stream()")
        if sdk:
            what = f"{name}: {sdk / taken:.0f} × as fast as anthropic .stream()"
            said.append(judge(what, "at least 15", reached=sdk >= _ANTHROPIC_BAR * taken))
    return said


def time_format(format: str, plan: Plan) -> list[Table]:
    """Return one table for each chunking of a format."""
    tables = []
    contenders = contenders_for(format)
    for chunking in plan.chunkings:
        count = plan.fewer if chunking == "one byte" else plan.events
        body = BODIES[format](count).cut(chunking)
        best = _fastest(contenders, body, plan)
        mean = sum(map(len, body.chunks)) / body.events
        loads = contenders[0].name if contenders[0].kind == "floor" else "floor"
        tables.append(
            Table(
                f"{format}, {chunking} per chunk: {body.events:,} events of {mean:.0f} bytes",
                ["", "µs per event", f"× {loads}", "× fastest peer"],
                _rows(contenders, best, body.events),
                _verdicts(format, chunking, best),
            )
        )
    return tables
