"""The command `python -m tokenstream demo coding`, which follows a recorded run of Claude Code.

The recording is one of the real program, with a scripted model.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from tokenstream.cli._demo.tree import StepPrinter, build_tree
from tokenstream.cli._screen import open_screen
from tokenstream.errors import StreamError
from tokenstream.steps import Steps
from tokenstream.testing._recordings.recording import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream.cli._screen import Screen

_CODE = (
    'agent = Popen(["claude", "-p", task, *flags], stdout=PIPE)',
    "for line in run.follow(agent.stdout): show(run)",
)
_SECONDS = 0.15
"""Seconds between two lines of the agent."""
_HEADS = ("turn", "state", "tokens\nin + out", "cost", "result")


def run(*, fast: bool = False) -> int:
    """Play the run; return the exit status, which is 0 if all turns are done.

    Args:
        fast: True to leave out the pauses between the lines.
    """
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
