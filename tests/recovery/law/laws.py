"""The laws of a draw; each gives what is against it, in sentences that begin with the law's name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import isclose
from typing import Any

from tests.recovery.law.leaving import Left
from tests.recovery.law.reading import Places, Seen
from tests.support.timing import AT_ONCE
from tokenstream.errors import MisuseError, OutputIncomplete, StreamError

MOST_OF_INPUT = 0.005
"""More than the input of a first request costs."""


def find_breaches(seen: Seen, places: Places) -> list[str]:
    calls, rest, money = _judge_calls(seen, places), _judge_rest(seen), _judge_money(seen)
    return [*_judge_error(seen), *_judge_words(seen), *calls, *rest, *money]


def _judge_error(seen: Seen) -> Iterator[str]:
    """Without an error, an answer is complete, but for a bound of money and a reader who leaves."""
    error, message = seen.error, seen.message
    if (
        isinstance(error, MisuseError)
        and error.kind == "consumed"
        and seen.has_left
        and not seen.providers.open
    ):
        # A loop that begins after `stop` is refused.
        return
    if error is not None and not isinstance(error, (StreamError, OutputIncomplete, Left)):
        yield f"error: {error!r}"
    if isinstance(error, OutputIncomplete) and not (seen.draw.purse or seen.has_left):
        yield f"error: without a bound, {error!r}"
    if isinstance(error, StreamError) and not isinstance(error, OutputIncomplete) and message.complete:
        yield f"error: of a complete answer, {error!r}"
    may_stop = seen.has_left or (seen.draw.purse and message.ending == "stopped")
    if error is None and not may_stop and not message.complete:
        yield f"error: none, and the answer is {message.ending}"


def _judge_words(seen: Seen) -> Iterator[str]:
    """The text is that of a perfect connection, or its beginning."""
    whole, message = seen.draw.text, seen.message
    partial = getattr(seen.error, "partial", None)
    for name, text in (
        ("view", seen.text),
        ("message", message.text),
        ("error", partial.text if partial else ""),
    ):
        if not whole.startswith(text):
            yield f"words: of the {name}, {text[-60:]!r}"
    if seen.draw.is_judged and not (seen.has_left or message.complete) and seen.text:
        yield f"words: {seen.text[-40:]!r} was given before it was accepted"
    if not message.complete:
        return
    if message.text != whole:
        yield f"words: a complete answer ends with {message.text[-40:]!r}"
    given_all = seen.draw.view in ("text", "sentences", "events", "final")
    if given_all and seen.error is None and not seen.has_left and seen.text != whole:
        yield f"words: a complete answer was shown to {seen.text[-40:]!r}"


def _judge_calls(seen: Seen, places: Places) -> Iterator[str]:
    """Each call is handed out once, in order, and is run at most once; a complete answer has them all."""
    wanted, message = seen.draw.calls, seen.message
    had = [(call.name, call.arguments) for call in message.tool_calls if call.complete]
    if seen.calls != wanted[: len(seen.calls)]:
        yield f"calls: {seen.calls} were handed out"
    if places.runs and max(places.runs.values()) > 1:
        yield f"calls: {dict(places.runs)} were run"
    if message.complete and had != wanted:
        yield f"calls: a complete answer has {had}"
    given_all = seen.draw.view in ("tool_calls", "validated_calls", "events")
    if message.complete and given_all and seen.error is None and not seen.has_left and seen.calls != wanted:
        yield f"calls: of a complete answer, {seen.calls} were handed out"


def _judge_rest(seen: Seen) -> Iterator[str]:
    """Nothing stays open, and each request has its report."""
    providers = seen.providers
    if providers.open:
        yield f"open: {providers.open} bodies"
    if seen.tasks_left:
        yield f"open: {seen.tasks_left} tasks"
    yield from (f"asked: {wrong}" for wrong in providers.wrong)
    reports = seen.stream.attempts
    for number, plan in enumerate(seen.draw.routes):
        requests = [bill for bill in providers.bills if bill.route == number and bill.resumes is None]
        if sum(bill.fault != "later" for bill in requests) > plan.attempts:
            yield f"asked: route {number}, {len(requests)} times"
    waits = {report.wait for report in reports if report.mode != "hedge"}
    if max(waits, default=0.0) > 0.001:
        yield f"reports: waits of {waits}"
    unsent = len(reports) - len(providers.bills)
    hedges = sum(report.mode == "hedge" for report in reports)
    if not 0 <= unsent <= hedges + seen.has_left:
        told = [(report.mode, report.route) for report in reports]
        yield f"reports: {told} of {[(bill.route, bill.fault) for bill in providers.bills]}"


def _judge_money(seen: Seen) -> Iterator[str]:
    """Each token that is billed is told once: in the reports, in the sum of them, and in the purse."""
    stream, draw = seen.stream, seen.draw
    if not draw.purse:
        if stream.cost:
            yield f"money: {stream.cost} without any price"
        return
    if stream.cost is None:
        yield "money: nobody knows the cost"
        return
    reports = [
        (report.mode, report.route, report.usage.output_tokens, report.cost) for report in stream.attempts
    ]
    told = f"{stream.cost:.4f} in {reports}"
    if not isclose(stream.cost, sum(report.cost or 0.0 for report in stream.attempts), abs_tol=1e-6):
        yield f"money: the sum is not {told}"
    read_all = not seen.has_left and draw.hedge_after is None
    bills, is_stopped = seen.providers.bills, seen.message.ending == "stopped"
    # What has arrived ahead of an answer that was stopped is not read.
    bounds = [bill.bounds(read_all=read_all and not (is_stopped and bill is bills[-1])) for bill in bills]
    least, most = sum(each[0] for each in bounds), sum(each[1] for each in bounds)
    # A hedge may be given up before its request is sent, which its report need not know.
    most += max(0, len(reports) - len(bounds)) * MOST_OF_INPUT
    if stream.cost < least - 1e-6:
        yield f"money: less than {least:.4f} is told, {told}"
    if stream.cost > most + 1e-6:
        yield f"money: more than {most:.4f} is told, {told}"
    if seen.purse is not None:
        yield from _judge_purse(seen, stream.cost, told)


def _judge_purse(seen: Seen, cost: float, told: str) -> Iterator[str]:
    purse: Any = seen.purse
    for thread in threading.enumerate():
        # One may still put back what was taken.
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(AT_ONCE)
    spent = purse.spent - seen.spent_before
    if not isclose(spent, cost, abs_tol=1e-6):
        yield f"purse: {spent:.4f} is spent, {told}"
    if purse.spent > purse.most + 1e-9:
        yield f"purse: {purse.spent} of {purse.most} is spent"
