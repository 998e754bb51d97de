"""What a whole short answer costs, from the request to its message, beside the SDKs on the same bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.compare.benchmarks.answers import ANSWERS
from tests.compare.benchmarks.sdks import SDKS, client_for, openai_stream
from tests.compare.benchmarks.tables import Table
from tests.compare.benchmarks.turns import fastest
from tokenstream import Stream, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.contenders import Run
    from tests.compare.benchmarks.shapes import Answer
    from tests.compare.benchmarks.timing import Plan

COUNTS = (1, 10, 100)
"""Numbers of text deltas: two thirds of real answers have at most thirty events."""
_URLS = {
    "openai-chat": "https://api.openai.com/v1/chat/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
}
_AT_ONCE = 10
_OURS, _CONNECT = "tokenstream Stream, over the chunks", "tokenstream connect"
_THEIRS = "openai Stream, over a response"


def _read(stream: Stream) -> None:
    with stream:
        for _ in stream:
            pass
        assert stream.message.complete


def _make_request(answer: Answer) -> Run:
    client, asked = client_for(answer), {"model": "m", "messages": [], "stream": True}
    return lambda: _read(connect(_URLS[answer.name], json=asked, client=client))


def _receive_bytes(answer: Answer) -> Run:
    client = client_for(answer)

    def run() -> None:
        with client.stream("POST", _URLS[answer.name], json={"model": "m"}) as response:
            assert any([*response.iter_raw()])

    return run


def _ask_sdk(answer: Answer) -> Run:
    opened = SDKS[answer.name].opened
    return lambda: "".join(opened(answer))


def _repeat(make: Callable[[Answer], Run], answer: Answer) -> Run:
    run = make(answer)

    def repeated() -> None:
        for _ in range(_AT_ONCE):
            run()

    return repeated


def short(plan: Plan) -> list[Table]:
    """Return one table for each provider: µs for a whole answer of so many text deltas."""
    return [_measure(name, plan) for name in _URLS if SDKS[name].installed]


def _measure(name: str, plan: Plan) -> Table:
    sdk = SDKS[name].name
    makers: dict[str, Callable[[Answer], Run]] = {
        _OURS: lambda answer: lambda: _read(Stream(answer.chunks)),
        _CONNECT: _make_request,
        "httpx2 alone: the request and the bytes": _receive_bytes,
        sdk: _ask_sdk,
    }
    if name == "openai-chat":
        makers[_THEIRS] = lambda answer: partial(openai_stream, answer)
    taken: dict[str, list[float]] = {contender: [] for contender in makers}
    for count in COUNTS:
        answer = ANSWERS[name](name, count)
        prepared: list[Callable[[], Run]] = [partial(_repeat, make, answer) for make in makers.values()]
        for contender, seconds in zip(makers, fastest(prepared, plan.rounds, plan.seconds), strict=True):
            taken[contender].append(seconds / _AT_ONCE * 1e6)
    rows = [[contender, *(f"{each:,.0f}" for each in micros)] for contender, micros in taken.items()]
    return Table(f"{name}: µs per whole answer", ["text deltas", *map(str, COUNTS)], rows)
