"""A section of a page that is made by a module, between two comments that say so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

END = "<!-- end of what was made -->"


def table(columns: Iterable[str], rows: Iterable[str]) -> str:
    """Return a table in Markdown.

    Args:
        rows: The rows, as they stand in Markdown.
    """
    heads = [*columns]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows])


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Args:
        module: The module that makes it, as `python -m` takes it.
        make: Returns the paragraphs that it should have.
    """

    page: Path
    module: str
    make: Callable[[], list[str]]

    @property
    def begin(self) -> str:
        return f"<!-- made by python -m {self.module} -->"

    def render(self) -> str:
        """Return it as it should stand on the page."""
        return "\n\n".join([self.begin, *self.make(), END])

    def on_the_page(self) -> str:
        text = self.page.read_text("utf-8")
        begin = text.index(self.begin)
        return text[begin : text.index(END, begin) + len(END)]

    def write(self) -> None:
        text = self.page.read_text("utf-8")
        self.page.write_text(text.replace(self.on_the_page(), self.render()), "utf-8")
        sys.stdout.write(f"written: {self.page.name}\n")
