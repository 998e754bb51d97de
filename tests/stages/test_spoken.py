"""What is spoken of Markdown is what a renderer shows of it, in letters and digits; markdown-it-py judges."""

from __future__ import annotations

import html
import random
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.markdown.test_law import BY_HAND
from tests.support.beside import needs_recordings
from tests.support.markdown import fragmentations, new_renderer
from tests.support.markdown_documents import BODIES, PREFIXES, commonmark_examples, gfm_examples, made_up
from tests.support.previews import recorded_answers
from tests.support.tables import in_one_test
from tokenstream.stages import Sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token

_RENDERER = new_renderer()
_UNSEEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|<!\w[^>]*>"
    r"|<(script|style|textarea|pre)\b.*?(?:</\1>|\Z)|</?[A-Za-z][^<>]*>",
    re.DOTALL,
)
_NO_WORD = re.compile(r"[\W_]+")


def words(text: str) -> str:
    return _NO_WORD.sub("", text)


def spoken(pieces: Iterable[str]) -> str:
    stage = Sentences(spoken=True)
    sentences = [sentence for piece in pieces for sentence in stage.feed(piece)]
    return "".join(sentences + stage.end())


def seen_words(text: str) -> str:
    """Return the letters and digits that a renderer shows, without code blocks and addresses.

    Among them are the numbers of lists, and the texts in place of images.
    """
    return words("\n".join(_seen(_RENDERER.parse(text))))


def _seen(tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "list_item_open":
            yield f"{token.info} "
        elif token.type == "html_block":
            yield html.unescape(_UNSEEN.sub(" ", token.content))
        elif token.type == "inline":
            yield "".join(_seen_inline(token.children or []))


def _seen_inline(tokens: list[Token]) -> Iterator[str]:
    in_address = False
    for token in tokens:
        if token.type == "link_open" and token.markup == "autolink":
            in_address = not str(token.attrs["href"]).startswith("mailto:")
        elif token.type == "link_close":
            in_address = False
        elif token.type in {"text", "code_inline"} and not in_address:
            yield token.content
        elif token.type == "image":
            yield from _seen_inline(token.children or [])
        elif token.type in {"softbreak", "hardbreak", "html_inline"}:
            yield " "


_UNDEFINED = re.compile(r"\]\[|\[a|<|\[x\]|t['\"]")
"""References that are read as links before their definition is known, and HTML, which renderers pass on."""


def _differs(text: str) -> bool:
    return words(spoken([text])) != seen_words(text)


@needs_recordings
def test_what_is_spoken_of_recorded_answers_is_what_is_shown() -> None:
    answers = recorded_answers()

    assert len(answers) > 100
    assert [] == list(filter(_differs, answers))


@pytest.mark.slow
def test_what_is_spoken_of_the_examples_of_the_specifications_is_what_is_shown() -> None:
    """The exceptions are odd links, undefined references, and a row with more cells than its table."""
    examples = [*commonmark_examples(), *(text for _, text in gfm_examples())]
    different = list(filter(_differs, examples))

    assert len(different) <= 50
    assert 1 == len([text for text in different if "[" not in text and "<" not in text])


SHOWN = {
    "words around a break": (
        "| A | B |\n|---|---|\n| up<br>down | x |\n\none<br/>two",
        "A, B\n\nup down, x\n\none two",
    ),
    "words around a comment": ("a<!-- c -->b", "a b"),
    "words in elements": ("x <p>a</p><p>b</p>", "x \na\n\nb\n"),
    "an address": ("See <https://a.example/b?c=1>.", "See ."),
    "a table without outer bars": ("Tea | 2\n--- | :-:\nfoo | **b**\n\nx | y", "Tea, 2\n\nfoo, b\n\nx | y"),
    "a table in a quote": ("> Tea | 2\n> --- | ---\n> a |\n\nb", "Tea, 2\n\na\n\nb"),
    "a row in an item": ("- | a | b |\n", "a, b"),
    "a bar after brackets": ("[a] b | c\n--- | ---\nd | e", "[a] b, c\n\nd, e"),
    "a bar in a long line": ("a | " + "b " * 200 + "|\n--- | ---", "a | " + "b " * 200 + "|\n"),
    "a bar in a cell": ("| T |\n|---|\n| `a \\| b` |\n| c \\| d |", "T\n\na | b\nc | d"),
    "the marks at the end of a heading": ("## Two ##\n# C#\n# a #b\n## \\##", "Two\nC#\na #b\n##"),
    "numbers of sources": ("It is high.[1][2] It was [a][b].", "It is high.[1][2] It was a."),
    "code that is indented": ("So:\n\n    x = 1\n\n    y = 2\nb", "So:\n\nb"),
    "text that is indented in a list": ("1. a\n\n   b\n\n       c = 1\n- d\n\n  e", "1. a\n\nb\n\nd\n\ne"),
    "code in an item": ("2. ```\n   x\n   ```\n3. y", "2. 3. y"),
    "a heading of two lines": ("Ti\ntle\n=====\n\na\n---\nb", "Ti\ntle\n\n\na\n\nb"),
    "raw HTML": ("<script>\nx()\n</script> a\n\n<style>b</style>\n<!-- c\n\nd --> e", " a\n\n\n\n\n e"),
    "a tag over two lines": ('a <b\ntitle="c">d</b>', "a d"),
    "no tag": ("a <b, c> d", "a <b, c> d"),
    "no link": ("[a](b c) [d](e 'f')", "[a](b c) d"),
    "a definition over two lines": ("[a]: /u\n  'title'\n\nb", "\n\nb"),
    "no definition": ("[a]: /u x y\n[b", "[a]: /u x y\n[b"),
    "footnotes": ("a[^1]\n\n[^1]: The note.\n[^n]:  x", "a\n\nThe note.\nx"),
    "an image in a link": ("[![alt](a.png)](b) c", "alt c"),
}


@in_one_test("name", SHOWN)
def test_markdown_is_spoken_as_it_is_shown(name: str) -> None:
    text, expected = SHOWN[name]

    assert {expected.strip()} == {spoken(pieces).strip() for pieces in fragmentations(text)}


@in_one_test("document", BY_HAND)
def test_what_is_spoken_does_not_depend_on_the_pieces(document: str) -> None:
    assert 1 == len({spoken(pieces) for pieces in fragmentations(document)})


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(PREFIXES), max_size=3), st.sampled_from(BODIES)), max_size=8)
)
def test_what_is_spoken_of_made_up_lines_does_not_depend_on_the_pieces(
    lines: list[tuple[list[str], str]],
) -> None:
    document = "\n".join("".join(marks) + body for marks, body in lines)

    assert 1 == len({spoken(pieces) for pieces in fragmentations(document)})


def test_hardly_any_made_up_document_is_spoken_otherwise_than_shown() -> None:
    """The exceptions are lines on which the parsers do not agree: E2 in docs/guides/ui/details.md."""
    chance = random.Random(3)
    documents = [text for text in (made_up(chance) for _ in range(3_000)) if not _UNDEFINED.search(text)]

    assert len(documents) > 300
    assert sum(map(_differs, documents)) * 50 <= len(documents)
