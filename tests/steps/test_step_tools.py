"""Tools that a router runs for a stream that a step follows are steps below it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.steps.answers import asking, async_stream_of, stream_of
from tokenstream import Router, Steps
from tokenstream.events import StepDone, StepStart
from tokenstream.router import ToolFailed


def router_of(run: Steps, *, look_up: bool = True) -> Router:
    """Return a router with one tool, which fails in its own ways."""
    router = Router()

    @router.tool
    def weather(city: str) -> str:
        if city == "Rome":
            raise ToolFailed("there is no station in Rome")
        if city == "Pisa":
            raise RuntimeError("the line is down")
        if look_up:
            with run.step(f"look up {city}"):
                pass
        return f"rain in {city}"

    return router


def tree(steps: Any) -> list[Any]:
    return [
        (step.name, step.cause.id if step.cause else None, step.state, step.result, tree(step.steps))
        for step in steps
    ]


TREE: list[Any] = [
    ("weather", "call_0", "done", "rain in Oslo", [("look up Oslo", None, "done", None, [])]),
    ("weather", "call_1", "failed", None, []),
    ("weather", "call_2", "done", "rain in Bern", [("look up Bern", None, "done", None, [])]),
]


def test_each_call_is_a_step() -> None:
    """Told apart by what caused it, with what it gave; steps within nest below."""
    with Steps() as run, run.step("ask") as step:
        stream = step.follow(stream_of(asking("Oslo", "Rome", "Bern")))
        results = stream.run(router_of(run))

    assert tree(step.steps) == TREE
    assert ["there is no station in Rome"] == [step.error for step in step.steps if step.error]
    assert {"call_1"} == set(results.errors)


@pytest.mark.parametrize("kind", ["thread", "task"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tools_of_an_async_stream_are_steps_too(backend: str, kind: str) -> None:
    async def main() -> list[Any]:
        with Steps() as run, run.step("ask") as step:
            router = router_of(run)
            if kind == "task":
                plain = router_of(run)
                router = Router()
                entry: Any = plain._tools["weather"].function  # noqa: SLF001 - the same tool

                @router.tool
                async def weather(city: str) -> str:
                    await anyio.lowlevel.checkpoint()
                    told: str = entry(city)
                    return told

            async with step.follow(async_stream_of(asking("Oslo", "Rome", "Bern"))) as stream:
                await stream.run(router)
        return sorted(tree(step.steps), key=lambda found: str(found[1]))

    assert TREE == anyio.run(main, backend=backend)


def test_a_tool_that_raises_has_failed_and_so_has_the_step() -> None:
    """The error is the application's own."""
    run = Steps()
    with pytest.raises(RuntimeError, match="line is down"), run, run.step("ask") as step:
        step.follow(stream_of(asking("Oslo", "Pisa"))).run(router_of(run))
    (ask,) = run.steps

    assert ["done", "failed"] == [step.state for step in ask.steps]
    assert ("failed", "RuntimeError: the line is down") == (ask.state, ask.error)


def test_an_interface_is_told_of_the_calls_in_their_place() -> None:
    """Each after what was said before it, with its end."""
    with Steps() as run, run.step("ask") as step:
        step.follow(stream_of(asking("Oslo", "Rome"))).run(router_of(run, look_up=False))
    told = [event for event in run.events() if isinstance(event, StepStart | StepDone)]

    assert [
        ("1", None, None),
        ("2", "call_0", None),
        ("2", None, "done"),
        ("3", "call_1", None),
        ("3", None, "failed"),
        ("1", None, "done"),
    ] == [
        (event.id, event.cause.id if event.cause else None, None)
        if isinstance(event, StepStart)
        else (event.id, None, event.state)
        for event in told
    ]
