"""Answers in markdown, cut into blocks that are being written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.terminals import Terminal, TerminalConsole
from tests.support.texts import pieces_of
from tokenstream.stages import MarkdownBlocks
from tokenstream.terminal import MarkdownPrinter
from tokenstream.terminal._document import MarkdownDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from tokenstream.stages import MarkdownBlock

WHOLE = 1_000_000
"""A size of pieces in which each block comes at once."""

ANSWER = (
    """\
# Cafés in 東京

Two of us 👩‍👩‍👧 flew from 🇳🇴 to 🇯🇵, and **everything** was `fine`: 東京東京東京東京東京東京東京東京東京, \
as [we said](https://example.org/a/long/address) before. A naïve Zoë̈ says ✅ ❤️ 👍🏽.

```python
def café(guests: int) -> str:
    return "👩‍👩‍👧 東京 🇳🇴" * guests  # a line that is longer than the screens of all tests
"""
    + "".join(f"    step({number})\n" for number in range(15))
    + """\
```

---

1. first 👩‍👩‍👧 with many words, so that it takes two rows at least
   - second 東京東京東京東京東京東京
     - third

       with a paragraph
2. last

| city | what 👩‍👩‍👧 |
|---|---|
"""
    + "".join(f"| 東京 {number} | a cell with some words in it |\n" for number in range(12))
    + """\

> It is said
> that 🇳🇴 is cold.

The end.
"""
)


def rows_at_once(text: str, console: Console) -> list[str]:
    """Return the rows of a whole text that is drawn as one document, without a printer's blocks."""
    return MarkdownDocument(text, code_theme="monokai", hyperlinks=False).rows(console)


@dataclass
class _Written:
    id: int
    kind: str
    text: str
    closed: bool
    definitions: str = ""

    @property
    def source(self) -> str:
        return self.text


Written: Any = _Written
"""Makes a block that no text makes, or one whose preview a test chooses."""


def blocks_of(text: str, size: int) -> Iterator[MarkdownBlock]:
    blocks = MarkdownBlocks()
    for piece in pieces_of(text, size):
        yield from blocks.feed(piece)
    yield from blocks.end()


def shown_on(terminal: Terminal, blocks: Iterable[MarkdownBlock]) -> Terminal:
    with MarkdownPrinter(TerminalConsole(terminal)) as printer:
        for block in blocks:
            printer.show(block)
    return terminal
