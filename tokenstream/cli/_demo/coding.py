"""The command `demo coding`: a run of Claude Code, drawn as a growing tree."""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from tokenstream.cli._demo.screen import open_screen
from tokenstream.errors import StreamError
from tokenstream.events import MessageStart, StepDone, StepStart, TextDelta
from tokenstream.steps import Steps
from tokenstream.steps._tree import tokens_of
from tokenstream.testing._recordings.recording import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.tree import Tree

    from tokenstream.cli._demo.screen import Screen
    from tokenstream.events import Event
    from tokenstream.steps import Step

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
