"""The screen of the demo, plain or drawn by rich, and the functions `show` of its code, which print there."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tokenstream.events import Event, ReasoningDelta, Resumed, TextDelta, ToolCallDone
from tokenstream.message import Message
from tokenstream.terminal import MarkdownPrinter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from tokenstream.partial_json import Partial
    from tokenstream.stages import MarkdownBlock

_MAX_WIDTH = 80
"""Largest number of columns to use by default, since longer lines are hard to read."""
_FREE_COLUMNS = 5
"""Number of columns left free after a word of an answer, which the next piece of the answer may continue."""
_WORD = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")
_CAPTION = "# "
"""Text before each line of the demo's own remarks, to tell them apart from the output of a model."""
_PROMPT = ">>> "

_STYLES = {
    "title": "bold cyan",
    "code": "bold yellow",
    "dim": "dim",
    "good": "green",
    "bad": "bold red",
    "strong": "bold",
}
_FIELD_WIDTH = 14
"""Number of columns for the name of a field."""


class Screen:
    """A screen for plain text without control sequences, which is flushed after each piece."""

    console: Console | None = None
    """rich's `Console`; None for plain text."""
    answer_margin = "| "
    """Margin of each line of an answer, which tells it apart from captions where there are no colours."""

    def __init__(self, max_width: int = _MAX_WIDTH) -> None:
        self.width = min(shutil.get_terminal_size((max_width, 24)).columns, max_width)
        self._column = 0
        """Column at which the next text begins, from 0."""

    def print_answer(self, text: str, style: str = "") -> None:
        """Print the next piece of an answer, and begin a new line before a word that does not fit."""
        self._print(text, style, margin=self.answer_margin, free_columns=_FREE_COLUMNS)

    def print_line(self, text: str = "", style: str = "") -> None:
        """Print a text on lines of its own, and begin a new line before a word that does not fit."""
        self.end_line()
        self._print(f"{text}\n", style)

    def print_caption(self, text: str) -> None:
        """Print a remark of the demo on lines of its own, marked so that it is not taken for an answer."""
        self.end_line()
        self._print(f"{text}\n", "dim", margin=_CAPTION)

    def print_code(self, code: str) -> None:
        """Print a line of code as it is, after a prompt."""
        self.end_line()
        self._write(f"{_PROMPT}{code}\n", "code")

    def end_line(self) -> None:
        if self._column:
            self._print("\n", style="")

    def print_title(self, text: str) -> None:
        self.end_line()
        heading = f"-- {text} ".ljust(self.width, "-")
        self._write(f"\n{heading}\n\n", "title")

    def print_table(self, heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> None:
        """Print a table, whose cells are each a text and its style."""
        # Pairs of the upper line of a head, which may be empty, and the lower one.
        head_lines = [head.rpartition("\n")[::2] for head in heads]
        rows_of_text = [[first for first, _ in head_lines], [last for _, last in head_lines]]
        rows_of_text += [[text for text, _ in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows_of_text, strict=True)]
        rows_of_text.insert(2, ["-" * width for width in widths])
        self.print_line()
        for cells in rows_of_text:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            self._write("  ".join(padded).rstrip() + "\n", style="")

    def _print(self, text: str, style: str, *, margin: str = "", free_columns: int = 0) -> None:
        """Print a text, and begin a new line before a word that does not fit."""
        wrapped: list[str] = []
        for word in _WORD.findall(text):
            if word == "\n":
                # An empty line has a margin, too, but no space at its end.
                wrapped.append("\n" if self._column else f"{margin.rstrip()}\n")
                self._column = 0
                continue
            exceeds_width = self._column + len(word) + free_columns > self.width
            if word[0] == " " and self._column and exceeds_width:
                wrapped.append("\n")
                self._column = 0
                word = word.lstrip(" ")  # noqa: PLW2901 - the space has become the new line
            if not self._column:
                wrapped.append(margin)
                self._column = len(margin)
            self._column += len(word)
            wrapped.append(word)
        self._write("".join(wrapped), style)

    def _write(self, text: str, style: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class RichScreen(Screen):
    """A screen on a terminal, which rich draws."""

    answer_margin = ""
    """Empty: colours tell an answer apart from captions."""

    def __init__(self, console: Console, max_width: int = _MAX_WIDTH) -> None:
        super().__init__(max_width)
        # The public attribute of a `Screen` may be None; this one never is, as type checkers see.
        self.console = self._console = console

    def print_title(self, text: str) -> None:
        from rich.rule import Rule
        from rich.text import Text

        self.print_line()
        style = _STYLES["title"]
        self._console.print(Rule(Text(text, style), align="left", style=style), width=self.width)
        self.print_line()

    def print_table(self, heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style=_STYLES["strong"]
        )
        for head in heads:
            table.add_column(head, vertical="bottom", overflow="fold")
        for row in rows:
            table.add_row(*(Text(text, _STYLES.get(style, "")) for text, style in row))
        self.print_line()
        self._console.print(table)

    def _write(self, text: str, style: str) -> None:
        self._console.out(text, style=_STYLES.get(style), end="", highlight=False)


def open_screen(max_width: int = _MAX_WIDTH) -> Screen:
    """Return a screen: drawn by rich on a terminal with styles, or else plain text."""
    if not sys.stdout.isatty():
        return Screen(max_width)
    try:
        from rich.console import Console
    except ImportError:
        screen = Screen(max_width)
        screen.print_caption("In colour with rich: pip install rich")
        return screen
    console = Console()
    # A terminal without styles, such as one of TERM=dumb, cannot be drawn on either.
    return Screen(max_width) if console.color_system is None else RichScreen(console, max_width)


class Recipe(BaseModel):
    """A form, whose fields the model writes."""

    name: str
    serves: int
    vegetarian: bool
    ingredients: list[str]
    steps: list[str]


@contextmanager
def events_display(screen: Screen) -> Generator[Callable[[Event | Message], None], None, None]:
    """Return a context manager whose value is a function `show`, which takes an event or a message.

    For an event, `show` prints the content, each kind of content on lines of its own. For a message, it
    prints the ending and the parts.
    """
    printer = _EventPrinter(screen)

    def show(item: Event | Message) -> None:
        if isinstance(item, Message):
            screen.print_answer(f"ending: {item.ending}\n")
            if item.text:
                screen.print_answer(f"text: {len(item.text)} characters\n")
            for call in item.tool_calls:
                state = "complete" if call.complete else "not complete, so no loop gets it"
                screen.print_answer(f"call: {call.name}, {state}\n{call.arguments_text}\n")
        else:
            printer.print_event(item)

    yield show


@contextmanager
def form_display(screen: Screen) -> Generator[Callable[[Partial[Recipe]], None], None, None]:
    """Return a context manager whose value is a function `show`, which takes a draft of the form.

    On a terminal with rich, `show` draws the form again for each draft. Otherwise it prints each line of the
    form once the line's value is finished.
    """
    if screen.console is None:
        printed: set[str] = set()

        def show(draft: Partial[Recipe]) -> None:
            for label, text, done in _list_lines(draft):
                if done and label not in printed:
                    printed.add(label)
                    screen.print_answer(f"{label:{_FIELD_WIDTH}}{text}\n")

        yield show
        return
    from rich.live import Live

    with Live(console=screen.console, auto_refresh=False) as live:
        yield lambda draft: live.update(_build_form(draft, screen.width), refresh=True)


@contextmanager
def markdown_display(screen: Screen) -> Generator[Callable[[MarkdownBlock], None], None, None]:
    """Return a context manager whose value is a function `show`, which takes a block of markdown.

    On a terminal with rich, `show` draws the block. Otherwise it prints the source of each block once the
    block is finished.
    """
    if screen.console is None:

        def show(block: MarkdownBlock) -> None:
            if block.closed:
                # An empty line comes before each block but the first, whose id is 0.
                space = "\n" if block.id else ""
                screen.print_answer(f"{space}{block.source.strip()}\n")

        yield show
        return
    with MarkdownPrinter(screen.console) as printer:
        yield printer.show


class _EventPrinter:
    """Prints the content of events, each kind of content on lines of its own."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._kind: type[Event] | None = None
        """The class of the last event that was printed; None before the first, and after a cut."""
        self._after_cut = False
        """True after the demo's remark that the answer was cut off: the next text begins on a new line."""

    def print_event(self, event: Event) -> None:
        """Print the content that an event adds."""
        match event:
            case ReasoningDelta(text):
                if self._change_kind(event):
                    # The first piece of this reasoning.
                    text = f"reasoning: {text}"
                self._screen.print_answer(text, "dim")
            case TextDelta(text):
                self._change_kind(event)
                # After the caption about the cut, the text goes on at the beginning of a line.
                self._screen.print_answer(text.lstrip(" ") if self._after_cut else text)
                self._after_cut = False
            case ToolCallDone(call):
                self._change_kind(event)
                arguments = json.dumps(call.arguments, ensure_ascii=False)
                self._screen.print_answer(f"call: {call.name} {arguments}\n", "strong")
            case Resumed():
                self._screen.print_caption("Cut here; a second request asked the model to go on.")
                self._kind, self._after_cut = None, True
            case _:
                return

    def _change_kind(self, event: Event) -> bool:
        """Begin a new line, and return True, if an event is of another kind than the event before."""
        last_kind, self._kind = self._kind, type(event)
        if last_kind is not self._kind:
            self._screen.end_line()
        return last_kind is not self._kind


def _build_form(draft: Partial[Recipe], width: int) -> Table:
    """Return the form as a table of rich; a mark shows which values are finished."""
    from rich.table import Table
    from rich.text import Text

    form = Table("", "field", "value", width=width)
    form.columns[1].min_width = _FIELD_WIDTH
    form.columns[2].ratio = 1
    for label, text, done in _list_lines(draft):
        # "▌" marks the place at which an unfinished text grows.
        form.add_row("✓" if done else "", label, Text(text if done or not text else f"{text}▌"))
    return form


def _list_lines(draft: Partial[Recipe]) -> Iterator[tuple[str, str, bool]]:
    """Yield the lines of the form: the label, the text so far, and True if the value is finished."""
    for name in ("name", "serves", "vegetarian"):
        yield name, str(draft.get(name, default="")), draft.is_complete(name)
    for name in ("ingredients", "steps"):
        for index, text in enumerate(draft.get(name, default=())):
            yield f"{name.removesuffix('s')} {index + 1}", str(text), draft.is_complete(name, index)
