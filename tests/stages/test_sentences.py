"""Sentences are given for speech: whole, as early as can be, and without markdown where that is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tests.support.text_stages import HOSTILE, borders, cut, grows_too_fast, letter_borders, texts
from tests.support.texts import fragmentations, pieces_of, run
from tokenstream.stages import Sentences

# A bar stands between two sentences.
CASES = """
Dr. Smith met Mrs. Jones. |They talked.
The U.S. economy grew. |Prices fell.
It was made in the U.S.A. by hand.
Bring fruit, e.g. Apples or pears. |Then go.
Cats vs. Dogs is an old question. |Really.
Apples, pears, etc. |Then we left.
Apples, pears, etc. are fruit. |Yes.
Ph.D. Students work hard. |Next.
No. 5 is alive. |Yes.
No. |I do not.
See Fig. 3 and p. 12 there. |Next.
Das ist z. B. Obst, d. h. Äpfel u. a. Sorten. |Ja.
C'est un fruit, p. ex. Une pomme. |Oui.
It takes max. 5 minutes, i.e. (hardly) long. |Yes.
<speed ratio="1.05"/>Hello, thanks for waiting. |Next.
J. K. Rowling wrote it. |Good.
It is by J.R.R. Tolkien himself. |Good.
So do I. |Then we left.
Isaac I. Asimov wrote it. |Good.
I met Al. |He left.
Pi is 3.14 or so. |Next.
I was born on Jan 1, 1980. |Another sentence.
The code is 12345. |Let me check that.
It needs Python 3.12. |Next.
See https://a.b/c?d=E.F for more. |Next.
Write to me@x.org. |Then wait.
Use .NET here. |Or not.
Open file.tar.gz now! |Done.
Really?Yes.
He said "Stop." |Then he left.
He said 'Stop there.' before leaving. |Next.
“Really?”, she asked. |Next.
« Oui. » dit-il. |« Non. »
He left [it was late.] |Next.
Is it (really?) true? |Yes.
Explore these (say “done.”) |Next.
It is so.[1] |Next one.[2][3] |Last.
Wait... what? |Yes.
Wait… |What?
Wait. . . what? |Ok.
What?! |No way!!! |Ok.
It works! |it really does.
It is so. it really is.
你好。|我很好！|你呢？|好。
他说：“你好。”|我走了。
Hello!|你好。|World.
价格是3.50元。|好。
आप कैसे हैं? |मैं ठीक हूँ। |धन्यवाद।
1. Open the door. |2. Close it.
Do this:\\n|1. Open it.\\n|2. Close it.
Do this:\\n|a) Open it.\\n|b) Close it.\\n\\n|Done.
- One thing\\n|- Another thing\\n\\n|**3.** A third.
# Title\\n\\n|Text here. |More.
One line\\r\\n|another line
**Bold.** |Next one.
Is it? - Yes: it is.
\\n\\n Hello.  \\n\\n|World.
"""
ROWS = [row.replace("\\n", "\n").replace("\\r", "\r").split("|") for row in CASES.strip().splitlines()]


@in_one_test("row", ROWS, ids="|".join)
def test_a_text_comes_sentence_by_sentence(row: list[str]) -> None:
    """In any pieces; and a sentence is out with the first character of the next."""
    for pieces in fragmentations("".join(row)):
        assert row == run(Sentences(), pieces)
    sentences = Sentences()
    came = [at for at, character in enumerate("".join(row)) for _ in sentences.feed(character)]

    assert borders(row) == came
    assert ([row[-1]], []) == (sentences.end(), sentences.end())


OPTIONS = st.fixed_dictionaries(
    {}, optional={"first": st.integers(1, 20), "longest": st.integers(1, 30), "spoken": st.booleans()}
)


@given(OPTIONS, cut())
@example({"spoken": True}, ("a |", ["a ", "|"]))
@example({"spoken": True}, ("-" * 300 + "\nHi.\n", list("-" * 300 + "\nHi.\n")))
@example({"spoken": True}, ("```\n" + "`" * 400 + "\nHi.\n", list("```\n" + "`" * 400 + "\nHi.\n")))
@example({"spoken": True}, ("x [a\\\rb](c) d", list("x [a\\\rb](c) d")))
def test_every_fragmentation_gives_the_same_pieces(
    options: dict[str, Any], drawn: tuple[str, list[str]]
) -> None:
    text, pieces = drawn

    assert run(Sentences(**options), [text]) == run(Sentences(**options), pieces)


@given(st.integers(1, 20) | st.none(), st.integers(1, 30) | st.none(), texts())
def test_the_pieces_joined_are_the_text(first: int | None, longest: int | None, text: str) -> None:
    pieces = run(Sentences(first=first, longest=longest), [text])

    assert (text, True) == ("".join(pieces), all(pieces))
    assert max(map(len, pieces), default=0) <= (longest or len(text))


@given(texts())
def test_no_piece_ends_within_a_letter(text: str) -> None:
    assert set(borders(run(Sentences(), [text]))) <= letter_borders(text)


def test_the_very_first_piece_may_be_a_clause() -> None:
    assert ["Well, 1,000 cats: ", "that, I say, is much. ", "Yes, it is."] == run(
        Sentences(first=8), ["Well, 1,000 cats: that, I say, is much. Yes, it is."]
    )
    assert ["Ja, ", "22,1 Grad, oder?"] == run(Sentences(first=1), ["Ja, 22,1 Grad, oder?"])
    assert ["He came - ", "late - home."] == run(Sentences(first=5), ["He came - late - home."])
    assert ["Well-known—", "yes."] == run(Sentences(first=5), ["Well-known—yes."])
    assert ["你好，", "世界，是的。"] == run(Sentences(first=2), ["你好，世界，是的。"])
    assert ["No. ", "Well, yes."] == run(Sentences(first=3), ["No. Well, yes."])


@in_one_test(
    "options, pieces, given_",
    [
        ({"first": 4}, ["Well, ", "t"], [[], ["Well, "]]),
        # Marks around a spoken sentence are no reason to wait for longer.
        ({"spoken": True}, ["**One.** ", "_T"], [[], ["One. "]]),
    ],
)
def test_a_clause_and_a_spoken_sentence_are_out_with_the_first_character_after_them(
    options: Any, pieces: list[str], given_: list[list[str]]
) -> None:
    assert given_ == [*map(Sentences(**options).feed, pieces)]


def test_a_sentence_that_is_too_long_is_cut_where_it_hurts_least() -> None:
    assert ["one, two, ", "three four ", "five"] == run(Sentences(longest=12), ["one, two, three four five"])
    assert ["one two ", "three four"] == run(Sentences(longest=11), ["one two three four"])
    assert ["abcdefgh", "ijk"] == run(Sentences(longest=8), ["abcdefghijk"])
    assert ["ab👍🏽", "👍🏽cd"] == run(Sentences(longest=5), ["ab👍🏽👍🏽cd"])
    assert ["世界世", "界"] == run(Sentences(longest=3), ["世界世界"])
    assert ["一，二，", "三四五"] == run(Sentences(longest=6), ["一，二，三四五"])


@pytest.mark.parametrize(
    ("first", "longest", "text", "expected"),
    [
        pytest.param(None, 9, "</b>，한국。![i](u)!", ["</b>，한국。!", "[i](u)!"], id="half a reference"),
        pytest.param(2, 6, "abcdefg    - \n\n3\tbc", ["abcdef", "g    ", "- \n\n3\t", "bc"], id="a clause"),
    ],
)
def test_a_long_sentence_is_cut_at_the_same_positions_however_it_arrives(
    first: int | None, longest: int, text: str, expected: list[str]
) -> None:
    """Undecided marks after a sentence do not count towards its length."""
    for pieces in fragmentations(text):
        assert expected == run(Sentences(first=first, longest=longest), pieces)


SPOKEN: dict[str, tuple[str, list[str]]] = {
    "headings": ("# One\n\n## Two ##\nx #no\n", ["One\n\n", "Two\n", "x #no\n"]),
    "underlined headings": ("One\n===\ntwo\n---\n", ["One\n\n", "two\n\n"]),
    "emphasis": ("**Bold** and *it* and ***both***, _so_ ~~gone~~.", ["Bold and it and both, so gone."]),
    "emphasis over a border": ("**One. Two.** Three.", ["One. ", "Two. ", "Three."]),
    "within words": ("st**r**aw snake_case_name 2*3 2 * 3 ~5", ["straw snake_case_name 2*3 2 * 3 ~5"]),
    "inline code": ("Call `print(*x)` or ``a`b``. Then go.", ["Call print(*x) or a`b. ", "Then go."]),
    "a fence": ("Do:\n```py\nprint('Hi. You')\n```\nDone.", ["Do:\n", "Done."]),
    "a fence of tildes, never closed": ("Do:\n~~~\n```\nx. Y", ["Do:\n"]),
    "a fence in a list": ("- a\n  ````\n  ```\n  ````\n- b", ["a\n", "b"]),
    "no fence": ("```x``` is code.", ["x is code."]),
    "links": ("See [the **docs**](https://a.b/c_(d) 'T'), [x][y] or [z].", ["See the docs, x or [z]."]),
    "images": ("![a cat](cat.png) [![alt](a)](b) !", ["a cat alt !"]),
    "addresses": ("<https://a.b> <me@x.org> https://c.d", [" me@x.org https://c.d"]),
    "a definition, a footnote": ("So[^1]. B\n\n[x]: http://y\n[^1]: note", ["So. ", "B\n\n\n", "note"]),
    "html": ("<b>a</b> < b <!-- no. No. -->and &amp; &lt;c> &no", ["a < b and & <c> &no"]),
    "lists and boxes": ("- [x] a\n* [ ] b\n+ c\n  1. d\n", ["a\n", "b\n", "c\n", "1. d\n"]),
    "quotes": ("> a\n> > - b\n", ["a\n", "b\n"]),
    "rules": ("a\n\n---\n***\nb", ["a\n\n\n\n", "b"]),
    "a table": ("| a | **b** |\n|---|:-:|\n| &amp; | 2 |\n", ["a, b\n\n", "&, 2\n"]),
    "single marks as cells": (
        "| & | b |\n| < | b |\n| ! | b |\n| ~ | b |\n| \\ | b |\n| [ | b |\n| * | b |\n",
        ["&, b\n", "<, b\n", "!, b\n", "~, b\n", "\\, b\n", "[, b\n", "*, b\n"],
    ),
    "a cell that begins with a mark": ("| & Co | b |\n| \\d | b |\n", ["& Co, b\n", "\\d, b\n"]),
    "escapes": ("\\*a\\* \\# c:\\d\\\ne", ["*a* # c:\\d\n", "e"]),
    "what only begins like it": ("[a](b\n<c d\n![x\n`e\n", ["[a](b\n", "<c d\n", "![x\n", "e\n"]),
    "nothing but code": ("```\nx\n```\n", []),
    "lines that end with CR": ("a\r```\rcode\r```\rhello\r", ["a\r", "hello\r"]),
    "the end in the middle": ("a [b", ["a [b"]),
}


@in_one_test("name", SPOKEN)
def test_markdown_is_not_read_aloud(name: str) -> None:
    text, expected = SPOKEN[name]
    for pieces in fragmentations(text):
        assert expected == run(Sentences(spoken=True), pieces)


MANY: list[tuple[str, bool]] = [(name, spoken) for name in HOSTILE for spoken in (False, True)]


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("case", sampled(MANY, one_in=12, slow_one_in=2), ids=str)
def test_the_time_is_linear_and_the_held_text_is_bounded(case: tuple[str, bool], size: int) -> None:
    name, spoken = case
    assert "" == grows_too_fast(lambda: Sentences(first=5, longest=200, spoken=spoken), HOSTILE[name], size)
    sentences = Sentences(longest=50, spoken=spoken)
    for piece in pieces_of(HOSTILE[name] * 200, size):
        sentences.feed(piece)

    assert sum(map(len, sentences.end())) <= 2_500
