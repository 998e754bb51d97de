"""The command `python -m tokenstream demo agents`, which draws a run of three agents as a growing tree.

A planner asks two other agents at once. The recordings were written for this demo,
according to the providers' documentation.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tokenstream._connect import aconnect
from tokenstream.cli._demo.tree import StepPrinter, build_tree
from tokenstream.cli._screen import open_screen
from tokenstream.errors import StreamError
from tokenstream.router import Router, ToolFailed
from tokenstream.steps import Steps
from tokenstream.stream._reading.reader import only_error
from tokenstream.testing._serve.server import ReplayServer, Reply, paced

if TYPE_CHECKING:
    from rich.console import Console

    from tokenstream.cli._screen import Screen
    from tokenstream.message import ToolCall
    from tokenstream.steps import RunEvents
    from tokenstream.stream import AsyncStream

_REDRAWS_PER_SECOND = 20
"""Number of times per second that the tree is drawn again."""
_EVENTS_PER_SECOND = 30.0
"""Number of events per second of an answer."""
_FIRST_EVENT_SECONDS = {
    "plan": 0.5,
    "weather-1": 0.6,
    "weather-2": 0.4,
    "guide-1": 0.9,
    "guide-2": 0.5,
    "write": 0.5,
}
"""Maps each recording to the seconds until its first event."""
_TOOL_SECONDS = 0.7


def run(*, fast: bool = False) -> int:
    """Play the agents' run; return the exit status, which is 0 if no step failed.

    Args:
        fast: True to leave out the pauses of the server and of the tools.
    """
    screen = open_screen()
    screen.print_line(
        "A planner asks two agents at once, and each calls its tools. The answers are recordings, sent over "
        f"HTTP{'' if fast else ' at the pace of a model'}; Steps() is the tree."
    )
    screen.print_line()
    with ReplayServer({f"/{name}": reply_of(name, fast=fast) for name in _FIRST_EVENT_SECONDS}) as server:
        try:
            steps = asyncio.run(_play(screen, _TripPlan(server.url, 0.0 if fast else _TOOL_SECONDS)))
        except BaseExceptionGroup as errors:
            # The drawing has failed, because a pipe was closed for example: raise only its error.
            raise only_error(errors) from None
    if screen.console is None:
        # On a screen that cannot be redrawn, the tree is printed only now.
        screen.print_line()
        for line in str(steps).split("\n"):
            screen.print_line(line)
    return 0 if steps.state == "done" else 1


def reply_of(name: str, *, fast: bool) -> Reply:
    """Return the server's reply: a recording, at the pace of a model or without pauses."""
    body = files("tokenstream.cli").joinpath("recordings", "agents", f"{name}.sse").read_bytes()
    return Reply(
        chunks=paced(body, rate=None)
        if fast
        else paced(body, rate=_EVENTS_PER_SECOND, first=_FIRST_EVENT_SECONDS[name])
    )


async def _play(screen: Screen, plan: _TripPlan) -> Steps:
    """Run the agents, and draw their steps at the same time; return the tree of steps."""
    events = plan.steps.events()
    async with asyncio.TaskGroup() as tasks:
        if screen.console is None:
            tasks.create_task(_print_steps(screen, events))
        else:
            tasks.create_task(_draw_tree(screen.console, plan.steps, events))
        try:
            with plan.steps:
                await plan.run()
        except* StreamError:
            # The tree contains the failed step and its error.
            pass
    return plan.steps


# -- the agents --------------------------------------------------------------------


@dataclass(slots=True)
class _TripPlan:
    """The run of the agents, which plan a weekend.

    Args:
        tool_seconds: Time that each tool takes.
    """

    url: str
    tool_seconds: float
    steps: Steps

    def __init__(self, url: str, tool_seconds: float) -> None:
        self.url, self.tool_seconds = url, tool_seconds
        self.steps = Steps("a weekend in Oslo")

    async def run(self) -> None:
        """Run the planner, then one agent for each of the planner's tool calls, then the planner again.

        The agents for the tool calls run at the same time. The planner's second answer is the plan.
        """
        with self.steps.step("plan", agent="planner") as step:
            async with step.follow(self._ask("plan")) as stream:
                calls = (await stream.final()).tool_calls
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(self._delegate(call))
        with self.steps.step("write", agent="planner") as step:
            async with step.follow(self._ask("write")) as stream:
                await stream.final()

    async def _delegate(self, call: ToolCall) -> None:
        """Run another agent for one of the planner's tool calls."""
        with self.steps.step(call, agent=f"{call.name} agent") as step:
            # The first answer of the agent calls its tools, the second one is the result.
            async with step.follow(self._ask(f"{call.name}-1")) as stream:
                await stream.run(self._make_router())
            async with step.follow(self._ask(f"{call.name}-2")) as stream:
                await stream.final()

    def _ask(self, name: str) -> AsyncStream:
        """Return the stream of a recorded answer, which the server sends at the path `/{name}`."""
        return aconnect(f"{self.url}/{name}", json={"stream": True})

    def _make_router(self) -> Router:
        """Return a router with the tools of the agents."""
        router = Router()

        @router.tool
        async def get_forecast(city: str, day: str) -> dict[str, Any]:
            await asyncio.sleep(self.tool_seconds)
            # One call fails, so that the tree shows a failed step, too.
            if day == "Sunday":
                raise ToolFailed(f"there is no forecast for {city} on {day} yet")
            return {"city": city, "day": day, "degrees": 7, "sky": "clear"}

        @router.tool
        async def find_museums(city: str, open_on: list[str]) -> list[str]:
            with self.steps.step(f"look up what is open in {city}"):
                await asyncio.sleep(self.tool_seconds)
            # An invented result: one museum for each day that was asked for, two at most.
            return ["Munch", "Fram"][: len(open_on)]

        return router


# -- output ------------------------------------------------------------------------


async def _print_steps(screen: Screen, events: RunEvents) -> None:
    """Print a line when a step begins, and another when it ends."""
    printer = StepPrinter(screen)
    async for event in events:
        printer.print_event(event)


async def _draw_tree(console: Console, steps: Steps, events: RunEvents) -> None:
    """Redraw the tree at a fixed rate until the run is over."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        while not events.over:
            # The events are dropped, since the steps contain them; taking the last ones sets `over`.
            events.ready()
            live.update(build_tree(steps, console.width), refresh=True)
            await asyncio.sleep(1 / _REDRAWS_PER_SECOND)
