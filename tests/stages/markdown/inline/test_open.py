"""Inline content that is still being written is shown whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream.stages import MarkdownBlocks


def shown(text: str, *, behind: str = "", **options: Any) -> str:
    """Return what is shown of the last block of a text so far, without what stands before it."""
    blocks = MarkdownBlocks(**options).feed(behind + text)
    return blocks[-1].text.removeprefix(behind) if blocks else ""


OPEN = {
    "emphasis": [
        ("*one", "*one*"),
        ("***one", "***one***"),
        ("__one", "__one__"),
        ("~~one", "~~one~~"),
        ("a *b **c", "a *b **c***"),
        ("**_a _b.", "**_a _b.__**"),
        ("~~a **b _c", "~~a **b _c_**~~"),
        ("***a* b", "***a* b**"),
        ("这是*强调", "这是*强调*"),
        ("**a\u202f", "**a**"),
        ("**a\n", "**a**"),
        ("a**b **c", r"a\*\*b **c**"),
        ("*a <br> b", "*a <br> b*"),
        ("*a [b](c) d", "*a [b](c) d*"),
    ],
    "a run at the end": [
        ("a *", "a"),
        ("**a*", "**a**"),
        ("**a**", "**a**"),
        ("~~a~", "~~a~~"),
        ("a ** *", "a **"),
    ],
    "no emphasis": [
        ("2*3", "2*3"),
        ("header.*,", "header.*,"),
        ("all *.py files", "all *.py files*"),
        ("~5 and ~6", "~5 and ~6"),
        (r"\*a", r"\*a"),
        (r"\\*a", r"\\*a*"),
        (r"\___a", r"\___a__"),
        ("a__. b", "a__. b"),
        ("**a 2*3 b", r"**a 2\*3 b**"),
        ("**2 * ", r"**2 \***"),
        ("**a *b* ", "**a *b***"),
        ("[*a](b) c", "[*a](b) c"),
        ("a**** b", "a**** b"),
    ],
    "code": [
        ("`a", "`a`"),
        ("a `", "a"),
        ("``a`b", "``a`b``"),
        ("``a`", "``a``"),
        ("`a`", "`a`"),
        ("`a``", "`a`"),
        ("**a `b*c", "**a `b*c`**"),
        ("`a\\", "`a\\`"),
        ("`a\\\n", "`a\\`"),
        ("`a `` ", "`a `` `"),
        ("**a ``b` ", "**a ``b` ``**"),
    ],
    "links": [
        ("a [", "a"),
        ("a [text]", "a"),
        ("a [text](", "a text"),
        ("a [text](https://exa", "a text"),
        ("a [text](u 'tit", "a text"),
        ("a [text](u)", "a [text](u)"),
        ("a [text](u v", "a [text](u v"),
        ("a [text] b", "a [text] b"),
        ("a [b [c] d", "a"),
        ("a [b [c](d) e", "a [b [c](d) e"),
        ("a [b [c](d) e](f", "a [b [c](d) e](f"),
        ("a [**b** c](u", "a **b** c"),
        ("a [**b](u", "a"),
        ("**a [b](u", "**a b**"),
        ("a[0][1", "a[0]"),
        ("[![a](b)](c", "![a](b)"),
        ("**[**a**](u", ""),
        ("*a [b*](u", "*a*"),
        ("a [b](u\xa0v", "a b"),
        ("a**b **c**[d", r"a\*\*b **c**"),
        ("a\n[- b](u", "a"),
        ("a [`]`](u", "a `]`"),
        ("[" + "a" * 299, ""),
        ("x [" + "a" * 300, "x [" + "a" * 300),
    ],
    "images": [
        ("a !", "a"),
        ("a ![b", "a"),
        ("a ![b](c", "a"),
        ("a ![b](c)", "a ![b](c)"),
        ("![b] c", "![b] c"),
    ],
    "tags": [
        ("a <", "a"),
        ("a <b c='>' d", "a"),
        ("a <!-- b > c", "a"),
        ("a <!-- b --> c", "a <!-- b --> c"),
        ("a <![CDATA[ *b", "a"),
        ("a <https://b", "a"),
        ("a <b, c", "a <b, c"),
        ("if a<b and c is ", "if a"),
        ("if a<b and c is l", "if a<b and c is l"),
        ("<video controls loop muted autoplay", ""),
        ("a <b " + "c=d " * 75, "a <b " + "c=d " * 75),
        ("a <b " + "c=d " * 74, "a"),
    ],
    "characters": [
        ("a &", "a"),
        ("a &amp;", "a &amp;"),
        ("a &#x1F", "a"),
        ("AT&T is", "AT&T is"),
        ("a\\", "a"),
        ("a\\\n", "a"),
        ("a\\\nb", "a\\\nb"),
        ("**a\\\n", "**a**"),
        ("a\\\n\\\n <b", "a"),
        ("a\\\n[b\\\nc", "a"),
        ("a  \nb", "a  \nb"),
        ("**a  \n", "**a**"),
    ],
    "what would become a block": [
        ("a\n#<b", "a"),
        ("a\n=`", "a"),
        ("a\n1.**", "a"),
        ("--\n**", "--"),
        (" *-*", " *-*"),
        ("a\n>**", "a"),
        ("a\n-**[b", "a"),
    ],
}


@in_one_test(
    "text, expected",
    [
        pytest.param(text, expected, id=f"{kind}: {text[:20]!r}")
        for kind, cases in OPEN.items()
        for text, expected in cases
    ],
)
def test_open_syntax_is_closed_or_held_back(text: str, expected: str) -> None:
    assert expected == shown(text)


@pytest.mark.parametrize(
    "text, expected",
    [("[", ""), ("[x]", ""), ("[ ] a", "[ ] a"), ("[X] *a", "[X] *a*"), ("[y] a", "[y] a"), ("", "")],
)
def test_a_box_to_tick_is_held_back_until_text_follows(text: str, expected: str) -> None:
    """At the start of an item, `[ ]` is a box as soon as something stands behind it."""
    assert expected == shown(text, behind="- ")


@pytest.mark.parametrize(
    "text, expected", [("1. **", "1."), ("-![a", "-"), ("[- b](u", "- b"), ("# <b", "#")]
)
def test_in_a_line_of_its_own_no_block_can_begin(text: str, expected: str) -> None:
    assert expected == shown(text, behind="# ")


@in_one_test(
    "math, text, expected",
    [
        ("dollar", "a $x_1", "a"),
        ("dollar", "a $x_1*y*$", "a"),
        ("dollar", "a $x_1*y$ b", "a $x_1*y$ b"),
        ("dollar", "a $$x_1*y$$", "a $$x_1*y$$"),
        ("dollar", "a $", "a"),
        ("dollar", "a $$$ b", "a $$$ b"),
        ("dollar", "**a $x", "**a**"),
        ("dollar", "$" + "x" * 300, "$" + "x" * 300),
        ("dollar", r"a \(x", r"a \(x"),
        ("brackets", r"a \(x_1*y", "a"),
        ("brackets", r"a \(x_1*y\) b", r"a \(x_1*y\) b"),
        ("brackets", r"\(" + "x" * 300, r"\(" + "x" * 300),
        (None, "a $x *b", "a $x *b*"),
    ],
)
def test_a_formula_is_held_back_until_it_is_whole(math: Any, text: str, expected: str) -> None:
    """Half a formula cannot be typeset; in a whole one, marks mean nothing."""
    assert expected == shown(text, math=math)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a [b][", "a"),
        ("a [b][c]", "a"),
        ("a [b][c [d", "a [b]"),
        ("a [b](c", "a b"),
        ("a [b][c](d", "a [b]c"),
        ("a [b][" + "c" * 300, "a [b][" + "c" * 300),
    ],
)
def test_after_definitions_a_label_is_held_back(text: str, expected: str) -> None:
    """Only the whole label tells whether the text in brackets is a link."""
    assert expected == shown(text, behind="[z]: /u\n\n")


def test_of_many_marks_the_outermost_stay_open() -> None:
    """Sixteen open marks are closed; what is around them is shown as it is."""
    text = " ".join(["**a", "_b"] * 20)

    assert text + "_**" * 8 == shown(text)
