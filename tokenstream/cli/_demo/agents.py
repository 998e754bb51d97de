"""The commands `demo agents` and `demo coding`: runs of agents, drawn as a growing tree."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tokenstream._connect import aconnect
from tokenstream.cli._demo.screen import open_screen
from tokenstream.errors import StreamError
from tokenstream.events import MessageStart, StepDone, StepStart, TextDelta
from tokenstream.router import Router, ToolFailed
from tokenstream.steps import Steps
from tokenstream.steps._tree import tokens_of
from tokenstream.stream._reading.reader import raise_only
from tokenstream.testing._recordings.recording import Arrival, Recording
from tokenstream.testing._serve.server import ReplayServer, Reply, paced

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console
    from rich.tree import Tree

    from tokenstream.cli._demo.screen import Screen
    from tokenstream.events import Event
    from tokenstream.message import ToolCall
    from tokenstream.steps import RunEvents, Step
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

_CODE = (
    'agent = Popen(["claude", "-p", task, *flags], stdout=PIPE)',
    "for line in run.follow(agent.stdout): show(run)",
)
_SECONDS = 0.15
"""Seconds between two lines of the agent."""
_HEADS = ("turn", "state", "tokens\nin + out", "cost", "result")

_GAP = 3
"""Number of columns between the details of a step and its text."""
_MARKS = {
    "running": ("…", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "stopped": ("■", "red"),
}


def run(*, fast: bool = False) -> int:
    """Play the agents' run; return the exit status, which is 0 if no step failed."""
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
            raise_only(errors)
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


def run_coding(*, fast: bool = False) -> int:
    """Play the run; return the exit status, which is 0 if all turns are done."""
    screen = open_screen()
    screen.print_caption("A program starts Claude Code, and follows what it does:")
    for line in _CODE:
        screen.print_code(line)
    screen.print_caption("Here, a recording takes the place of the process. Steps() is the tree.")
    screen.print_line()
    agent = load_run().process(pace="instant" if fast else "recorded", clock=time.monotonic)
    steps = Steps("two commands")
    try:
        with agent, _display(screen, steps) as show, steps:
            for _ in steps.follow(agent.stdout, exit_code=agent.wait):
                show()
    except StreamError as error:
        screen.print_line(f"{type(error).__name__}: {error}", "bad")
        return 1
    screen.print_caption("From run.turns:")
    screen.print_table(
        _HEADS,
        [
            [
                (str(number), ""),
                (turn.state, "good" if turn.state == "done" else "bad"),
                (f"{turn.usage.input_tokens} + {turn.usage.output_tokens}", ""),
                ("-" if turn.cost is None else f"${turn.cost:.4f}", ""),
                (str(turn.result), ""),
            ]
            for number, turn in enumerate(steps.turns, 1)
        ],
    )
    return 0 if all(turn.state == "done" for turn in steps.turns) else 1


def load_run() -> Recording:
    """Return the recorded run, with a pause before each line."""
    lines = files("tokenstream.cli").joinpath("recordings", "coding", "claude-code.jsonl").read_bytes()
    arrivals = tuple(
        Arrival(_SECONDS * number, line) for number, line in enumerate(lines.splitlines(keepends=True), 1)
    )
    return Recording(arrivals, name="claude-code", exit_code=0)


@contextmanager
def _display(screen: Screen, steps: Steps) -> Generator[Callable[[], None]]:
    """Return a context manager whose value is a function that shows the run as it is now.

    On a terminal with rich, the function draws the tree again. Otherwise it prints a line for each step that
    has begun or ended, and the tree is printed at the end.
    """
    if screen.console is not None:
        from rich.live import Live

        console = screen.console
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(build_tree(steps, console.width), refresh=True)
        return
    printer, events = StepPrinter(screen), steps.events()

    def show() -> None:
        for event in events.ready():
            printer.print_event(event)

    try:
        yield show
    finally:
        # If the run has failed, the tree shows where.
        show()
        screen.print_line()
        for line in str(steps).split("\n"):
            screen.print_line(line)
        screen.print_line()


class StepPrinter:
    """Prints a line when a step begins, and another when it ends.

    Args:
        screen: The screen to print on.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._names: dict[str, tuple[str, str]] = {}
        """The indentation of each step's lines, and its name."""
        self._texts: dict[str | None, list[str]] = {}
        """The pieces of each step's text."""

    def print_event(self, event: Event) -> None:
        """Print a line for an event, if it begins or ends a step."""
        match event:
            case StepStart(id, name, parent, agent, cause):
                indent = "" if parent is None else f"{self._names[parent][0]}  "
                self._names[id] = indent, name
                # The agent of an inner step has the name of the step's tool, so it is not printed.
                details = [
                    f"({agent})" if parent is None and agent else "",
                    f"for {cause.id}" if cause else "",
                ]
                words = " ".join([f"{indent}{name}", *filter(None, details), "begins"])
                self._screen.print_line(words, "dim")
            case MessageStart(another=True):
                self._texts.setdefault(event.step, []).append(" ")
            case TextDelta(text):
                self._texts.setdefault(event.step, []).append(text)
            case StepDone(id, state, error):
                indent, name = self._names[id]
                outcome = " ".join((error or "".join(self._texts.get(id, ()))).split())
                style = "good" if state == "done" else "bad"
                words = f"{indent}{name} is {state}{f': {outcome}' if outcome else ''}"
                self._screen.print_line(words, style)
            case _:
                pass


def build_tree(steps: Steps, width: int) -> Tree:
    """Return the tree of all steps, with the time and the tokens of the whole run as its title."""
    from rich.text import Text
    from rich.tree import Tree

    usage = steps.total_usage
    spent = f", {tokens_of(usage)}" if usage else ""
    tree = Tree(Text(f"{steps.name}: {steps.seconds:.1f} s{spent}", style="bold"), guide_style="dim")
    _add_steps(tree, steps.steps, width - 4)
    return tree


def _add_steps(tree: Tree, steps: tuple[Step, ...], width: int) -> None:
    """Add a line to a tree for each step, and for the steps inside it.

    The line ends with the step's error or the end of its text, as far as there is room.
    """
    from rich.text import Text

    for step in steps:
        mark, style = _MARKS[step.state]
        label = Text.assemble((f"{mark} ", style), (step.name, "bold"), (_write_details(step), "dim"))
        text = " ".join((step.error or step.text).split())
        columns = width - label.cell_len - _GAP
        if text and columns > _GAP:
            label.append(" " * _GAP + (text if len(text) <= columns else f"…{text[1 - columns :]}"))
        label.no_wrap = True
        label.overflow = "ellipsis"
        # rich indents inner steps by four columns.
        _add_steps(tree.add(label), step.steps, width - 4)


def _write_details(step: Step) -> str:
    """Return the details of a step: the arguments of its tool call or its agent, and its time."""
    # A step that delegates a call has the agent in place of the arguments; only its inner steps show these.
    if step.cause is not None and step.parent is not None:
        return f" {step.cause.arguments_text} {step.seconds:.1f} s"
    return f" ({step.agent}) {step.seconds:.1f} s" if step.parent is None else f" {step.seconds:.1f} s"
