"""A preview looks at what has arrived since the last one: the characters looked at are counted, not timed."""

from __future__ import annotations

from typing import Any

import pytest

from tokenstream.stages import MarkdownBlocks
from tokenstream.stages._markdown import blocks, preview
from tokenstream.stages._markdown.blocks import _OpenBlock
from tokenstream.stages._markdown.inline import InlineCompleter

_LINES: dict[str, tuple[str, str]] = {
    "a character": ("a\n", "a\n"),
    "rows of a sheet": ("2026-03-01,tea,4.50\n", "2026-03-01,soup,3.00\n"),
    "verse": ("**the wind goes over the hill\n", "the wind goes over the hill\n"),
    "hard breaks": ("a street  \n", "a town\\\n"),
    "a quote": ("> the wind\n", "> goes over\n"),
    "a quote in an item": ("- > the wind\n", "  > goes over\n"),
    "an item": ("1. the *wind\n", "   goes over\n"),
    "items": ("- a\n", "- b\n"),
    "items with text": ("- a\n", "- b\n  c\n"),
    "definitions, then text": ("[a]: /u\n[b]: /v\nthe [a]\n", "and `b`\n"),
    "bars": ("a | b\n", "c | d\n"),
}


class _Counted(list[str]):
    """Lines that count the characters of those that are taken out."""

    seen = 0

    def __getitem__(self, key: Any) -> Any:
        taken = super().__getitem__(key)
        self.seen += sum(map(len, taken)) if isinstance(key, slice) else len(taken)
        return taken


def _count_seen(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many characters were looked at for the previews of a text, after each four characters."""
    scanned = 0

    class Scanner(InlineCompleter):
        __slots__ = ()

        def feed(self, text: str) -> None:
            nonlocal scanned
            scanned += len(text)
            super().feed(text)

    monkeypatch.setattr(preview, "InlineCompleter", Scanner)
    prefixed = 0

    def add(prefix: str, line: str) -> str:
        nonlocal prefixed
        prefixed += len(prefix) + len(line)
        return prefix + line

    monkeypatch.setattr(preview, "add", add)
    lines = _Counted()

    class Block(_OpenBlock):
        __slots__ = ()

        def __init__(self, *options: Any) -> None:
            super().__init__(*options)
            self.lines = lines

    monkeypatch.setattr(blocks, "_OpenBlock", Block)
    stage = MarkdownBlocks()
    for at in range(0, len(text), 4):
        for block in stage.feed(text[at : at + 4]):
            assert block.text
    return scanned + prefixed + lines.seen


@pytest.mark.parametrize("name", _LINES)
def test_the_characters_looked_at_for_previews_grow_as_the_text_does(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, others = _LINES[name]
    short, long = (first + others * count for count in (200, 800))
    seen = _count_seen(short, monkeypatch)

    assert _count_seen(long, monkeypatch) < 4.4 * seen
    assert seen < 12 * len(short)
