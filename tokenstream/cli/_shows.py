"""The drawing of answers in the demo as they arrive: markdown, and a form with the fields of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from tokenstream.terminal import MarkdownPrinter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table

    from tokenstream.cli._screen import Screen
    from tokenstream.partial_json import Partial
    from tokenstream.stream import Stream

_REDRAWS_PER_SECOND = 30
"""Largest number of redraws per second."""


class Recipe(BaseModel):
    """A form, whose fields the model writes."""

    name: str
    serves: int
    vegetarian: bool
    ingredients: list[str]
    steps: list[str]


def show_markdown(screen: Screen, stream: Stream) -> None:
    """Draw markdown block by block; without rich, print the text as it arrives."""
    if screen.console is None:
        for piece in stream.text:
            screen.print_piece(piece)
        return
    with MarkdownPrinter(screen.console) as printer:
        for block in stream.text.throttle(_REDRAWS_PER_SECOND).markdown_blocks():
            printer.show(block)


def show_form(screen: Screen, stream: Stream) -> None:
    """Draw a form again for each draft; without rich, print each line of it once its value is finished."""
    drafts = stream.partials(Recipe)
    if screen.console is not None:
        _redraw(screen.console, drafts)
        return
    printed: set[str] = set()
    for draft in drafts:
        for label, text, done in _list_lines(draft):
            if done and label not in printed:
                printed.add(label)
                screen.print_line(f"{label:13} {text}")


def _redraw(console: Console, drafts: Iterator[Partial[Recipe]]) -> None:
    """Draw the form again for each draft, in the same place of the terminal."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        for draft in drafts:
            live.update(_build_form(draft), refresh=True)


def _build_form(draft: Partial[Recipe]) -> Table:
    """Return the form as a table of rich; a mark shows which values are finished."""
    from rich.table import Table
    from rich.text import Text

    form = Table("", "field", "value", min_width=60)
    for label, text, done in _list_lines(draft):
        form.add_row("✓" if done else "", label, Text(text if done or not text else f"{text}▌"))
    return form


def _list_lines(draft: Partial[Recipe]) -> Iterator[tuple[str, str, bool]]:
    """Yield the lines of the form: the label, the text so far, and True if the value is finished."""
    for name in ("name", "serves", "vegetarian"):
        yield name, str(draft.get(name, default="")), draft.is_complete(name)
    for name in ("ingredients", "steps"):
        for index, text in enumerate(draft.get(name, default=())):
            yield f"{name.removesuffix('s')} {index + 1}", str(text), draft.is_complete(name, index)
