"""The law of routes: an answer is the truth, or an error says what is missing; no more than the policy."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, Read, read_route
from tests.support.effort import trials
from tests.support.sampling import sampled
from tokenstream import Message, Retry, Route, Routes, Usage, testing
from tokenstream.errors import StreamError

# httpx leaves the generators of a body that is closed early.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

_APIS = ("openai-chat", "anthropic", "gemini")
_FAULTS = ("whole", "reset", "early_end", "error_event", "status", "refused", "html", "stall", "connect")
_WORLDS = ("sync", "sync", "asyncio", "trio")
_CALL = {"path": "/tmp/x", "deep": True}
_JSON = '{"dish": "soup", "guests": 4}'
_SCRIPTS = {
    "text": None,
    "json": testing.script().text('{"dish": ', '"soup", ', '"guests": ', "4}").finish(),
    "call": testing.script().tool_call("remove", _CALL, id="call_1").finish("tool_calls"),
}


@dataclass
class Case:
    """One case, drawn from a seed: providers with faults, and a policy."""

    kind: str
    world: str
    mode: Any
    apis: list[str]
    plans: list[list[Behaviour]]
    attempts: list[int]
    most: float | None
    """The bound on the costs, where a token costs 1; None for no bound."""
    order: Any
    """The order of the routes; what the first answer of a case has shown counts for the second."""
    is_judged: bool
    """True if `accept` asks for the truth, so that the answer is held back until it is whole."""
    hedge_after: float | None
    """The seconds after which the next route is asked as well; None without a race."""
    skipped: int | None
    """The number of the attempt that `on_retry` skips, of each answer; None if it skips none."""

    @classmethod
    def draw(cls, seed: int) -> Case:
        random_ = random.Random(seed)
        kind = random_.choice(["text", "text", "json", "call"])
        count = random_.choice([2, 2, 3])
        plans = [
            [
                Behaviour(
                    random_.choice(_FAULTS),
                    random_.randrange(14),
                    status=random_.choice([400, 401, 403, 404, 429]),
                    # Too long a wait for any policy: the next route is asked, or the error is raised.
                    headers={"retry-after": "3600"},
                    script=_SCRIPTS[kind],
                )
                # As many as two answers can ask for.
                for _ in range(6)
            ]
            for _ in range(count)
        ]
        world = random_.choice(_WORLDS)
        return cls(
            kind,
            world,
            random_.choice(["auto", "auto", "restart", "continue"]),
            [random_.choice(_APIS) for _ in range(count)],
            plans,
            [random_.randint(1, 3) for _ in range(count)],
            random_.choice([None, None, random_.uniform(1, 120)]),
            random_.choice(["given", "latency"]),
            random_.random() < 0.3,
            None if world == "sync" else random_.choice([None, None, 0.0, 0.002]),
            random_.choice([None, None, 2, 3]),
        )


def check(seed: int) -> None:
    """Play a case, and hold the law for both of its answers."""
    case = Case.draw(seed)
    providers = [Provider(api, *plan) for api, plan in zip(case.apis, case.plans, strict=True)]
    routes = [
        _route(provider, number, is_async=case.world != "sync")
        for provider, number in zip(providers, case.attempts, strict=True)
    ]
    for _ in range(2):
        check_answer(case, providers, routes)


def check_answer(case: Case, providers: list[Provider], routes: list[Route]) -> None:
    """Ask for an answer by the routes of a case, and hold the law."""
    before = [len(provider.requests) for provider in providers]
    view = "tool_calls" if case.kind == "call" else "text"
    found = read_route(case.world, routes[0], _policy(case, routes), view=view)

    truth = _JSON if case.kind == "json" else TRUTH
    if case.kind == "call":
        # A call is handed out whole and once, or not at all; also before an error.
        assert [call.arguments for call in found.given] in ([], [_CALL])
        assert found.error is not None or found.given or found.message.ending == "stopped"
    elif found.message.ending == "stopped":
        assert case.most is not None
        assert truth.startswith(found.text)
    elif found.error is None:
        assert found.text == found.message.text == truth
    else:
        assert truth.startswith(found.text), "an error has only words of the truth before it"
        assert truth.startswith(found.error.partial.text)
        # An answer that began again may have broken off earlier than the one before.
        assert case.mode != "auto" or found.error.partial.text.startswith(found.text)
        assert not (case.is_judged and found.text), "nothing is delivered that was not accepted"
    assert_ending(found.error, found.message)
    assert_policy(case, found)
    asked = [len(each.requests) - had for each, had in zip(providers, before, strict=True)]
    # Never more requests than the policy allows; a continuation that a server refuses counts as well.
    assert all(number <= most for number, most in zip(asked, case.attempts, strict=True)), asked
    assert [each.open for each in providers] == [0] * len(providers), "a body was left open"
    # A race that is decided at once cancels the other request before it is sent.
    unsent = len(found.reports) - sum(asked)
    assert 0 <= unsent <= len([report for report in found.reports if report.mode == "hedge"])


def _policy(case: Case, routes: list[Route]) -> Retry:
    def decide(attempt: Any) -> Any:
        return attempt.skip() if attempt.number == case.skipped else None

    truth = _JSON if case.kind == "json" else TRUTH
    return Retry(
        mode=case.mode,
        routes=Routes(*routes[1:], order=case.order, hedge_after=case.hedge_after),
        wait=0,
        most=case.most,
        on_retry=decide if case.skipped else None,
        accept=(lambda message: bool(message.tool_calls) or message.text == truth)
        if case.is_judged
        else None,
    )


def assert_ending(error: StreamError | None, message: Message) -> None:
    """An answer without an error is complete, and only one with a finish reason is complete with an error."""
    assert message.complete or error is not None or message.ending == "stopped"
    assert message.finish_reason is not None or not message.complete


def assert_policy(case: Case, found: Read) -> None:
    """Nothing waits longer than the policy allows, and nothing more is asked for once its money is spent."""
    assert {report.wait for report in found.reports if report.mode != "hedge"} <= {0.0}
    spent = 0.0
    for report in found.reports:
        # Both attempts of a race begin before the money of either is known.
        assert case.most is None or spent < case.most or report.mode == "hedge"
        spent += report.cost or 0.0


def _route(provider: Provider, attempts: int, *, is_async: bool) -> Route:
    return provider.route(is_async=is_async, attempts=attempts, name=provider.format, price=_price)


def _price(usage: Usage) -> float:
    return float((usage.input_tokens or 0) + (usage.output_tokens or 0))


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("seed", sampled(range(200), one_in=4))
def test_the_text_is_the_truth_or_an_error_says_what_is_missing(seed: int) -> None:
    """Three APIs, nine faults, text and JSON and calls, two or three routes, all modes and drivers."""
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(24))
def test_the_same_holds_for_five_thousand_cases(block: int) -> None:
    """TOKENSTREAM_SEED shifts the seeds, to try others."""
    shift = int(os.environ.get("TOKENSTREAM_SEED", "0")) * 10_000
    first = 200 + block * 200
    for seed in range(first, first + trials(200)):
        try:
            check(shift + seed)
        except AssertionError as error:
            error.add_note(f"seed {shift + seed}")
            raise
