"""A stream goes through its phases in the order of their table, and decides its verdict once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stream.bodies import ANSWER, AsyncSource
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ConnectError, MisuseError, StreamError
from tokenstream.stream._driver import Driver
from tokenstream.stream._phase import NEXT, EndVerdict, Phase, PhaseStep
from tokenstream.testing import Script

pytestmark = pytest.mark.anyio

OPENING, READING, DRAINING, ENDED = Phase
HALF = ANSWER[:4]
OVERLOADED = Script().text("Let ").error("overloaded", kind="overloaded").chunks("openai-chat")
SCENARIOS: dict[str, tuple[list[Any], list[Phase]]] = {
    "a whole answer": ([*ANSWER], [READING, DRAINING, ENDED]),
    "a cut answer": ([*HALF], [READING, DRAINING, ENDED]),
    "an error of the provider's": ([*OVERLOADED], [READING, DRAINING, ENDED]),
    "an error of the source": ([*HALF, OSError("no cable")], [READING, DRAINING, ENDED]),
    "nothing": ([], [READING, DRAINING, ENDED]),
    "what is not a piece of a body": ([3], [READING, ENDED]),
}


@pytest.fixture
def phases(monkeypatch: pytest.MonkeyPatch) -> list[Phase]:
    """Return the phases that streams come to."""
    come_to: list[Phase] = []
    go: Callable[[Driver, PhaseStep], None] = Driver._change_phase  # noqa: SLF001 - the one place where phases change

    def noted(driver: Driver, step: PhaseStep) -> None:
        go(driver, step)
        come_to.append(driver.phase)

    monkeypatch.setattr(Driver, "_change_phase", noted)
    return come_to


def giving(items: list[Any]) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


def test_the_table_in_the_documentation_is_the_one_that_is_followed() -> None:
    """Line by line, and no line is missing."""
    rows = re.findall(r"^ *\| (\w+) +\| (\w+) +\| (\w+) +\| ", Phase.__doc__ or "", re.MULTILINE)

    assert rows[1:] == [(phase.value, step.value, then.value) for (phase, step), then in NEXT.items()]


def test_every_phase_can_be_ended_and_none_is_left_again() -> None:
    """Whatever happens, there is a verdict, and it stands; only recovery leads back to reading."""
    assert {phase for phase, step in NEXT if step is PhaseStep.ENDED} == {OPENING, READING, DRAINING}
    assert not [step for phase, step in NEXT if phase is ENDED]
    order = list(Phase)

    back = {key for key, then in NEXT.items() if order.index(then) < order.index(key[0])}
    assert back == {(DRAINING, PhaseStep.OPENED)}


@pytest.mark.parametrize(("items", "expected"), SCENARIOS.values(), ids=SCENARIOS)
async def test_a_stream_goes_through_its_phases(
    items: list[Any], expected: list[Phase], phases: list[Phase]
) -> None:
    """In either colour, and whatever comes."""
    for read in (Stream(giving(items)), AsyncStream(AsyncSource(giving(items)))):
        phases.clear()
        try:
            if isinstance(read, Stream):
                read.final()
            else:
                await read.final()
        except (StreamError, MisuseError):
            pass

        assert [READING, *phases] == expected
        assert read.closed


@pytest.mark.parametrize("read_first", [0, 1])
async def test_a_stream_that_is_stopped_or_closed_ends_at_once(read_first: int, phases: list[Phase]) -> None:
    for end in ("stop", "close"):
        stream = Stream(iter(ANSWER))
        for _ in range(read_first):
            next(stream)
        getattr(stream, end)()

        assert phases == [READING, ENDED]
        phases.clear()
        async with AsyncStream(AsyncSource(ANSWER)) as astream:
            for _ in range(read_first):
                await anext(astream)
            astream.stop()

        assert phases == [READING, ENDED]
        phases.clear()


async def test_a_source_that_cannot_be_opened_is_never_read(phases: list[Phase]) -> None:
    """Its error is all that there is."""

    class Manager:
        def __enter__(self) -> None:
            raise OSError("no cable")

        def __exit__(self, *error: object) -> None: ...

    manager: Any = Manager()
    with pytest.raises(ConnectError, match="no cable"):
        Stream(manager).final()

    assert phases == [DRAINING, ENDED]


@pytest.mark.parametrize(("first", "stopped"), [("request_end", True), ("decide", False)])
def test_whichever_comes_first_is_the_verdict(first: str, stopped: bool) -> None:
    """A stop that comes when the end is decided changes nothing; the first reason stands."""
    verdict = EndVerdict()
    if first == "decide":
        verdict.decide()
    verdict.request_end("enough")
    verdict.request_end("too late")

    assert verdict.end_request == ("enough" if stopped else None)
    assert verdict.decide() is stopped
