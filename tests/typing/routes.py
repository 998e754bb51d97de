"""Types of routes: what a Route and a Retry take, and what reports and decisions are."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel, TypeAdapter
from redis import Redis

from tokenstream import (
    AsyncStream,
    Message,
    Purse,
    Retry,
    Route,
    Routes,
    Stream,
    Usage,
    aconnect,
    connect,
    resilient,
)
from tokenstream.recovery import Attempt, AttemptReport, Seam
from tokenstream.stream._pauses import Leg


class Order(BaseModel):
    dish: str


def price(usage: Usage) -> float:
    return float(usage.output_tokens or 0)


def write(attempt: Attempt) -> dict[str, Any]:
    return {"n": attempt.number}


def decide(attempt: Attempt) -> object:
    return attempt.skip() if attempt.route == "local" else attempt.with_payload({})


def good(message: Message) -> bool:
    return bool(message.text)


def routes(url: str) -> None:
    """A route is a request, in place of an address or beside the first one."""
    route = Route(url, json=write, headers={"a": "b"}, price=price, format="anthropic", attempts=2)
    assert_type(route.name, str)
    retry = Retry(routes=Routes(route, hedge_after=0.8), accept=Order, most=0.1, on_retry=decide)
    assert_type(connect(route, retry=retry), Stream)
    assert_type(aconnect(url, json={}, retry=Retry(routes=[route], accept=good)), AsyncStream)
    others = Routes(route, Route(open=list), hedge_after=2)
    assert_type(others.hedge_after, float | None)
    Retry(accept=TypeAdapter(list[int]), routes=others, within=60, on=["rate_limited", "empty"])
    asked = Route(open=lambda attempt: [attempt.number], format="anthropic", price=price, attempts=2)
    assert_type(resilient(asked, Retry(routes=[route, asked])), Stream)
    Retry(routes=[list])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    Route(url, json={}, format="gemni")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Routes(order="latency")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Retry(timeout=60)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Retry(on=["nonsense"])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


def seams() -> None:
    """A seam has its options, of which each is checked."""
    assert_type(Retry(seam=Seam(least=0.9, prefill="echo")).seam, Seam)
    assert_type(Seam().least, float)
    Seam(prefill="yes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def reports(report: AttemptReport, stream: Stream) -> None:
    assert_type(report.route, str | None)
    assert_type(report.cost, float | None)
    assert_type(stream.cost, float | None)
    assert_type(report.left_out, tuple[str, ...])
    assert_type(stream.message.route, str | None)


def purses() -> None:
    """A purse takes the place of the highest cost, and is in memory, in a file or in Redis."""
    purse = Purse(most=5.0, tokens=10, file="night.purse")
    assert_type(Retry(most=purse).most, float | Purse | None)
    assert_type(purse.spent, float)
    assert_type(purse.tokens_spent, int)
    Purse(tokens=10, redis=Redis(), name="night")
    Purse(tokens=10, redis="redis://localhost", lease=30)
    Purse(5.0)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def pauses(stream: Stream, later: AsyncStream, attempt: Attempt) -> None:
    """Each leg of a paused answer is reported, and `request` makes the next request of the first one."""
    Retry(pauses={"pause": 8, "length": 2})
    Retry(pauses={"stop": 2})  # type: ignore[dict-item] # pyright: ignore[reportArgumentType]
    assert_type(attempt.tokens_left(1024), int)
    assert_type(stream.pauses, tuple[Leg, ...])
    assert_type(later.pauses, tuple[Leg, ...])
    assert_type(attempt.request({"messages": []}), dict[str, Any])
    assert_type(stream.pauses[0].why, str | None)
