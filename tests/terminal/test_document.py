"""Blocks that rich draws, one by one and together."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.markdown import Markdown

from tests.support.beside import needs_recordings
from tests.support.previews import recorded_answers
from tests.support.sampling import sampled
from tests.terminal.blocks import ANSWER, WHOLE, blocks_of, rows_at_once
from tokenstream.terminal import MarkdownPrinter


def _console(columns: int = 60) -> Console:
    return Console(file=StringIO(), width=columns, color_system=None)


def _lines(console: Console) -> list[str]:
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().split("\n")[:-1]]


def _printed(text: str, size: int, columns: int) -> list[str]:
    console = _console(columns)
    with MarkdownPrinter(console) as printer:
        for block in blocks_of(text, size):
            printer.show(block)
    return _lines(console)


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "---\n\na\n\n---\n\n***\n",
        "# a\n## b\n### c\n\nd\n- e\n",
        "> a\n\n> b\n\n1. c\n\n\n2. d\n\n- e\n\n      code\n",
        "a\n\n    code\n\n<https://example.org> and https://example.org\n",
        "[a]: /u\n\nb\n\n[c]: /v\n\nd\n",
        "#\n\n- \n\n>\n",
    ],
)
def test_blocks_printed_one_by_one_are_what_rich_makes_of_the_whole(text: str, columns: int) -> None:
    console = _console(columns)
    text = text.replace("<https://example.org>", "https://example.org")
    console.print(Markdown(text, hyperlinks=False))

    assert _lines(console) == _printed(text, WHOLE, columns)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 20, 80])
@pytest.mark.parametrize("deep", sampled([1, 9, 10, 20, 28, 29, 30, 55, 60, 70, 100], one_in=3))
def test_nothing_is_too_deep_to_be_shown(deep: int, columns: int) -> None:
    """What is so deep that rich would leave it out is shown as it was written."""
    lists = "".join(f"{'  ' * level}- a{level}\n" for level in range(deep))
    for text, last in (
        (lists, f"a{deep - 1}"),
        ("> " * deep + "inside", "inside"),
        ("1. " * deep + "in", "in"),
    ):
        shown = "".join(rows_at_once(text, _console(columns)))

        assert shown.replace(" ", "").replace("▌", "").endswith(last)


@pytest.mark.not_quick
@needs_recordings
@pytest.mark.parametrize("share", sampled(range(5), one_in=5))
def test_recorded_answers_are_what_they_are_at_once(share: int) -> None:
    answers = [text for text in recorded_answers() if len(text) < 5_000][share::5]
    whole = [rows_at_once(text, _console()) for text in answers]

    assert whole == [_printed(text, 37, 60) for text in answers]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a Vec<String> of <b>them</b>", "a Vec<String> of <b>them</b>"),
        ("one<br>two<BR />three", "one\ntwo\nthree"),
        ("<details>\n<summary>More</summary>\n\nText\n", "<details>\n<summary>More</summary>\n\nText"),
        ("see ![a cat](cat.png) here", "see 🌆 a cat (cat.png) here"),
        ("- ![a cat](data:image/png;base64,AAAA)", "\n • 🌆 a cat"),
        ("<https://example.org>, <me@example.org>", "https://example.org, me@example.org"),
        ("[*a* b](/u)", "a b (/u)"),
        ("> - <?php\n> ", "\n▌  • <?php"),
    ],
)
def test_nothing_of_the_text_is_left_out(text: str, shown: str) -> None:
    """Alone, rich drops tags and HTML blocks, prints an image before its item, and an address twice."""
    assert shown.split("\n") == rows_at_once(text, _console())
