"""The functions named `show` in the demo's code, which draw events, a form, or markdown."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tokenstream.events import ReasoningDelta, Resumed, TextDelta, ToolCallDone
from tokenstream.message import Message
from tokenstream.terminal import MarkdownPrinter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rich.table import Table

    from tokenstream.cli._screen import Screen
    from tokenstream.events import Event
    from tokenstream.partial_json import Partial
    from tokenstream.stages import MarkdownBlock

_FIELD_WIDTH = 14
"""Number of columns for the name of a field."""


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
            _print_parts(screen, item)
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
        yield _FormPrinter(screen).show
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
                # An empty line stands before each block but the first, whose id is 0.
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
        """Begin a new line if an event is of another kind than the event before.

        Returns:
            True if the event is of another kind.
        """
        last_kind, self._kind = self._kind, type(event)
        if last_kind is not self._kind:
            self._screen.end_line()
        return last_kind is not self._kind


def _print_parts(screen: Screen, message: Message) -> None:
    """Print the ending of a message, and a line or two for each text and tool call."""
    screen.print_answer(f"ending: {message.ending}\n")
    if message.text:
        screen.print_answer(f"text: {len(message.text)} characters\n")
    for call in message.tool_calls:
        state = "complete" if call.complete else "not complete, so no loop gets it"
        screen.print_answer(f"call: {call.name}, {state}\n{call.arguments_text}\n")


class _FormPrinter:
    """Prints each line of a form once its value is finished."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._printed: set[str] = set()
        """Names of the fields whose line was printed."""

    def show(self, draft: Partial[Recipe]) -> None:
        """Print the lines whose values have been finished since the last draft."""
        for label, text, done in _list_lines(draft):
            if done and label not in self._printed:
                self._printed.add(label)
                self._screen.print_answer(f"{label:{_FIELD_WIDTH}}{text}\n")


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
