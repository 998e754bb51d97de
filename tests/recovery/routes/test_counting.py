"""The attempts of routes: how many each has, when the next one is asked, and how long the stream waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recovery.attempts import in_each_world
from tests.recovery.routes.providers import TRUTH, Behaviour, Provider, ask, read
from tokenstream import Retry, Route, aconnect, connect
from tokenstream.errors import MisuseError, StatusError
from tokenstream.recovery import Attempt

DOWN = Behaviour("status")
NAMES = ("chat.test", "claude.test", "gemini.test")


def refusing(status: int, **headers: str) -> Behaviour:
    return Behaviour("refused", status=status, headers=headers)


SLOW_DOWN = {"error": {"message": "slow down"}}
LIMITED = Behaviour("refused", status=429, body=SLOW_DOWN, headers={"retry-after-ms": "1"})
PATIENT = {"attempts": 5, "wait": 9}
COUNTS: list[Any] = [
    (DOWN, {"wait": 0}, [3, None], [2, 3, 1]),
    (DOWN, {"attempts": 3, "wait": 0}, [None], [3, 1, 0]),
    *((refusing(status), PATIENT, [None], [1, 1, 0]) for status in (400, 401, 403, 404, 413)),
    # More than five minutes: another provider may answer now.
    (refusing(429, **{"retry-after": "3600"}), {"attempts": 5}, [None], [1, 1, 0]),
    # The last route is asked until it answers; while one is left, a refusal counts.
    (LIMITED, {"wait": 0}, [None], [2, 6, 0]),
]
"""What the first routes do, the options, the attempts of the other routes, and the requests of each."""


@pytest.mark.parametrize(("fault", "options", "others", "counts"), COUNTS)
@in_each_world
def test_a_route_has_its_own_attempts_and_then_the_next_one_is_asked(
    world: str, fault: Behaviour, options: dict[str, Any], others: list[int | None], counts: list[int]
) -> None:
    """Those of the retry are of the first request alone; one that refuses to serve is left at once."""
    second = [fault] * (9 if fault is DOWN else 5 if fault is LIMITED else 0)
    first, *rest = providers = _providers([fault] * 9, second, [])

    def make_retry(is_async: bool) -> Retry:
        pairs = zip(rest, others, strict=False)
        return Retry(routes=[each.route(is_async=is_async, attempts=own) for each, own in pairs], **options)

    found = read(world, first, make_retry)

    assert [len(each.requests) for each in providers] == counts
    routes = [name for name, count in zip(NAMES, counts, strict=True) for _ in range(count)]
    assert [report.route for report in found.reports] == routes
    assert found.text == TRUTH if counts != [3, 1, 0] else isinstance(found.error, StatusError)
    assert all(report.wait <= (0.0011 if fault is LIMITED else 0.0) for report in found.reports)


def test_each_route_backs_off_on_its_own() -> None:
    first, second, third = _providers([DOWN] * 9, [DOWN] * 9, [])
    retry = Retry(routes=[second.route(attempts=3), third.route()], wait=0.001)
    waits = [report.wait for report in read("sync", first, lambda _: retry).reports[1:]]

    assert [wait > 0 for wait in waits] == [True, False, True, True, False]
    assert 0.0005 <= waits[0] <= 0.001
    assert 0.0005 <= waits[2] <= 0.001 <= waits[3] <= 0.002


@in_each_world
def test_a_function_is_asked_for_the_wait_of_another_try_but_of_no_other_route(world: str) -> None:
    """Another provider may answer now, whatever the one before has done."""
    first, second, _ = _providers([DOWN] * 2, [], [])
    asked: list[int] = []

    def wait(attempt: Attempt) -> float:
        asked.append(attempt.number)
        return 0.001

    found = read(world, first, second.then(attempts=2, wait=wait))

    assert found.text == TRUTH
    assert [report.wait for report in found.reports] == [0.0, 0.001, 0.0]
    assert asked == [2]


@in_each_world
def test_a_wait_of_a_function_that_is_not_within_the_time_is_not_begun(world: str) -> None:
    first, second, _ = _providers([DOWN], [], [])

    found = read(world, first, second.then(attempts=2, wait=lambda _: 6, within=5))

    assert found.text == TRUTH
    assert (len(first.requests), [report.wait for report in found.reports]) == (1, [0.0, 0.0])

    first, _, _ = _providers([DOWN], [], [])
    found = read(world, first, lambda _: Retry(attempts=2, wait=lambda _: 6, within=5))

    assert found.error is not None
    assert any("Retry.within allows (5 s)" in note for note in found.error.__notes__)


@in_each_world
@pytest.mark.parametrize(
    ("own", "policy", "count"), [(None, 1, 1), (1, None, 1), (2, None, 2), (2, 1, 1), (None, None, 2)]
)
def test_a_function_comes_after_the_attempts_of_the_route_that_is_asked_first(
    world: str, own: int | None, policy: int | None, count: int
) -> None:
    """The attempts are those of the route alone, so one of them is enough; the function has its own."""
    first, second, _ = _providers([DOWN] * 9, [DOWN] * 2, [])

    def other() -> object:
        start: Any = connect if world == "sync" else aconnect
        return start(second.url, json=second.payload, client=second.client(is_async=world != "sync"))

    retry = Retry(attempts=policy, routes=Route(open=other, attempts=3), wait=0)
    found = ask(world, first, retry, attempts=own)

    assert found.text == TRUTH
    assert [len(first.requests), len(second.requests)] == [count, 3]


@pytest.mark.parametrize("extra", [{"json": {}}, {"headers": {}}, {"method": "GET"}, {"format": "gemini"}])
def test_no_part_of_a_request_is_beside_its_route(extra: dict[str, object]) -> None:
    """The error says where it belongs."""
    route = Route("https://chat.test/v1/chat/completions", json={})

    with pytest.raises(MisuseError, match=rf"{next(iter(extra))}= to Route"):
        connect(route, **extra)  # type: ignore[arg-type] # what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "localhost"}, "http"),
        ({"attempts": 0}, "attempts="),
        ({"name": ""}, "name="),
        ({"price": 3}, "price="),
        ({"rest": -1}, "rest="),
        ({"deadlines": 5}, "deadlines="),
        ({"timeout": 5}, "deadlines=Deadlines"),
        ({"payload": {}}, "json="),
    ],
)
def test_what_a_route_cannot_take_is_refused_with_the_name(options: dict[str, object], words: str) -> None:
    with pytest.raises((MisuseError, TypeError), match=words):
        Route(**{"url": "https://chat.test/v1", "json": {}, **options})  # type: ignore[arg-type] # refused


def _providers(*plans: list[Behaviour]) -> tuple[Provider, Provider, Provider]:
    first, second, third = plans
    return Provider("openai-chat", *first), Provider("anthropic", *second), Provider("gemini", *third)
