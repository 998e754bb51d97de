"""Laws of inline previews: they grow, depend on the text alone, settle, and cost linear time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.beside import needs_recordings
from tests.support.previews import blocks, inline_contents, recorded_answers, seen_inline, wrong_previews
from tests.support.sampling import sampled
from tests.support.texts import pieces_of
from tokenstream.stages._markdown.inline import InlineCompleter

_WORDS = st.sampled_from(
    ["word", "two words", "2 * 3", "a_b", "1.5", "中文", "é", "a < b", "AT&T is", "&amp;", r"\*"]
)


def _within(before: str, after: str) -> Callable[[str], str]:
    return lambda inner: inner if before in inner else f"{before}{inner}{after}"


def _marked(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(_within("**", "**")),
        inner.map(_within("~~", "~~")),
        inner.map(_within("[", "](https://a.b/c_d(e) 'title')")),
        st.lists(inner, min_size=2, max_size=3).map(" ".join),
    )


_CONTENT = st.recursive(
    st.one_of(
        _WORDS,
        st.sampled_from(
            ["`code`", "`` a`b ``", "![alt](img.png)", "<br>", "<https://a.b>", "a  \nb", "a\\\nb"]
        ),
    ),
    _marked,
    max_leaves=8,
)


def _preview_of(text: str, **options: Any) -> str:
    content = InlineCompleter(**options)
    content.feed(text)
    return content.preview()


@given(st.lists(_CONTENT, min_size=1, max_size=3).map(lambda parts: f"w {' '.join(parts)} w"))
def test_the_visible_text_of_valid_content_only_grows(text: str) -> None:
    previews = [_preview_of(text[:end]) for end in range(len(text) + 1)]

    assert [] == wrong_previews(previews, text)
    assert text == previews[-1]


_HOSTILE = st.lists(
    st.sampled_from(
        [
            *"*_~`[]()!<>&\\ \n.a1-#=$\"'|",
            "**",
            "](",
            "![",
            "<!--",
            "-->",
            "``",
            "](u)",
            "\\(",
            "中",
            "\u202f",
            "</b>",
            "<b a a a ",
        ]
    ),
    max_size=40,
).map(lambda parts: "a" + "".join(parts).replace("\n", "\na"))
_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "item": st.booleans(),
        "one_line": st.booleans(),
        "references": st.booleans(),
        "math": st.sampled_from([None, "dollar", "brackets"]),
    },
)


@given(text=_HOSTILE, size=st.integers(1, 7), options=_OPTIONS)
def test_a_preview_depends_on_the_text_alone(text: str, size: int, options: dict[str, Any]) -> None:
    """The preview is the same however the text was cut, and whether earlier previews were read or not."""
    content = InlineCompleter(**options)
    for at in range(0, len(text), size):
        content.feed(text[at : at + size])

        assert _preview_of(text[: at + size], **options) == content.preview()


@given(text=_HOSTILE)
def test_a_preview_is_one_block_of_the_same_lines(text: str) -> None:
    preview = _preview_of(text)
    lines = preview.split("\n")
    changed = str.maketrans("", "", "\\[*_~` \t\u202f")

    assert blocks(preview) <= 1
    for line, whole in zip(lines, text.split("\n"), strict=False):
        assert whole.translate(changed).startswith(line.translate(changed))


@given(text=_HOSTILE, options=_OPTIONS)
def test_settled_text_never_changes(text: str, options: dict[str, Any]) -> None:
    content = InlineCompleter(**options)
    settled = ""
    for character in text:
        content.feed(character)
        preview = content.preview()

        assert preview.startswith(settled)
        assert len(settled) <= content.settled <= len(preview)

        settled = preview[: content.settled]

    assert text.startswith(settled)


@pytest.mark.not_quick
@needs_recordings
@pytest.mark.parametrize("share", sampled(range(6), one_in=6))
def test_previews_of_recorded_answers_are_right(share: int) -> None:
    wrong = []
    late = []
    contents = {content for answer in recorded_answers() for content in inline_contents(answer)}
    for content in sorted(contents)[share::6]:
        completer = InlineCompleter(one_line=True)
        previews = []
        for end, character in enumerate(content, start=1):
            completer.feed(character)
            previews.append(completer.preview())
            if end % 7 == 0:
                late.append(len(seen_inline(content[:end])) - len(seen_inline(previews[-1])))
        wrong += wrong_previews(previews, content, inline=True)

    assert [] == wrong
    assert sorted(late)[len(late) * 95 // 100] <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    sampled(
        [
            "*a",
            "a**b",
            "[",
            "[a](",
            "`a``",
            "<!--",
            "![[]()",
            "*_",
            "a[",
            "[*a]",
            "<a b='",
            "&a",
            "\\\n",
            "[a](b '",
        ],
        one_in=4,
    ),
)
def test_hostile_content_is_read_in_linear_time(unit: str) -> None:
    """Three times the text takes about three times as long, not nine times, with all previews read."""

    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        best = float("inf")
        for _ in range(3):
            content = InlineCompleter()
            start = time.process_time()
            for piece in pieces_of(text, 40):
                content.feed(piece)
                content.preview()
            best = min(best, time.process_time() - start)
        return best

    assert seconds(60_000) < 6 * seconds(20_000) + 0.01
