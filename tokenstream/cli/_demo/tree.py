"""Output of a run of agents, for the demo: a tree that grows, or a line for each begin and end of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import MessageStart, StepDone, StepStart, TextDelta
from tokenstream.steps._tree import tokens_of

if TYPE_CHECKING:
    from rich.tree import Tree

    from tokenstream.cli._screen import Screen
    from tokenstream.events import Event
    from tokenstream.steps import Step, Steps

_GAP = 3
"""Number of columns between the details of a step and its text."""
_MARKS = {
    "running": ("…", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "stopped": ("■", "red"),
}


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

    Args:
        width: Number of columns for a line.
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
