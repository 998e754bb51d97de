"""A block that is still being written is shown whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.beside import needs_recordings
from tests.support.effort import in_steps
from tests.support.previews import blocks, recorded_answers, seen, wrong_previews
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream.stages import MarkdownBlock, MarkdownBlocks


def _given(text: str, size: int = 1) -> dict[int, list[MarkdownBlock]]:
    stage = MarkdownBlocks()
    given: dict[int, list[MarkdownBlock]] = {}
    for piece in pieces_of(text, size):
        for block in stage.feed(piece):
            # What is shown is read at once, as an interface does.
            assert block.text
            given.setdefault(block.id, []).append(block)
    for block in stage.end():
        given.setdefault(block.id, []).append(block)
    return given


def _open(text: str) -> str:
    shown = ""
    stage = MarkdownBlocks()
    for character in text:
        for block in stage.feed(character):
            shown = "" if block.closed else block.text
    return shown


@in_one_test(
    "text, expected",
    [
        ("a **b", "a **b**"),
        ("a\n-", "a"),
        ("- a **b\n  c", "- a **b\n  c**"),
        ("> a **b", "> a **b**"),
        ("> - `a", "> - `a`"),
        ("- [x]", ""),
        ("- [x] a *b", "- [x] a *b*"),
        ("- a\n- ", "- a\n"),
        ("- a\n- [ ] ", "- a\n"),
        ("# a *b", "# a *b*"),
        ("# a #", "# a"),
        ("```py\na", "```py\na\n```"),
        ("```py\na\n``", "```py\na\n```"),
        ("- ```\n  a", "- ```\n  a\n  ```"),
        ("| a | b |", ""),
        ("| a |\n|---|\n", "| a |\n|---|"),
        ("| a |\n|---|\n| **b", "| a |\n|---|\n| **b**"),
        ("| a | b |\n|---|---|\n| `b` | [c](d", "| a | b |\n|---|---|\n| `b` | c"),
        ("<!-- a", "<!-- a-->"),
        ("> <!DOCTYPE html>", "> <!DOCTYPE html>"),
        ("<?a ?> b", "<?a ?> b"),
        ("<script>a", "<script>a</script>"),
        ("<div>\n<b", "<div>\n"),
        ("[a]: /u\n\n[b][a", ""),
        ("a [b][c", "a [b]"),
    ],
)
def test_an_open_block_is_shown_whole(text: str, expected: str) -> None:
    assert expected.rstrip("\n") == _open(text).rstrip("\n")


_WORDS = st.sampled_from(
    ["one", "two **three** four", "`code`", "[link](u)", "~~no~~", "*a `b` c*", "![x](y) z"]
)
_MARKS = st.sampled_from(["", "- ", "> ", "1. ", "- [ ] ", "> - ", "# ", "  ", "- > ", "## "])
_LINES = st.one_of(
    st.tuples(_MARKS, _WORDS).map("".join),
    st.sampled_from(
        ["", "```py", "```", "---", "| a | b |", "|---|---|", "<!-- a -->", "<div>", "</div>", "==="]
    ),
)


@given(st.lists(_LINES, min_size=1, max_size=8).map("\n".join))
def test_no_preview_is_more_than_one_block(text: str) -> None:
    """The preview of one block renders as one block, unless parsers disagree and it ends as several."""
    for given_blocks in _given(text).values():
        *previews, final = given_blocks
        for block in previews:
            assert blocks(block.text) <= max(1, blocks(final.text))


@given(st.lists(st.tuples(_MARKS, _WORDS).map("".join), min_size=1, max_size=5).map("\n\n".join))
def test_the_visible_text_of_a_block_only_grows(text: str) -> None:
    _assert_only_grows(text)


_PHRASES = [
    *("He nods. *...he whispers softly* Yes.", "*...he whispers softly*", "*.py files*", "*!important* a"),
    "He nods —*...softly*— b",
    *("x *![alt](i.png) caption*", "_![alt](i.png) caption_ b", "Well, _...as he says_", "*?* is a mark"),
    "| a | b |\n|---|---|\n| `string \\| null` | `a \\| b \\| c` |",
]


@in_one_test("text", _PHRASES)
def test_no_mark_shows_that_disappears_later(text: str) -> None:
    """Prose of role-play, captions of images and tables of types: the mark is closed, or held back."""
    _assert_only_grows(text)


def _assert_only_grows(text: str) -> None:
    for given_blocks in _given(text).values():
        *previews, final = given_blocks

        assert [] == wrong_previews([block.text for block in previews], final.text)


def _judge(size: int, *, one_in: int = 1) -> tuple[int, list[object], list[int]]:
    """Return how many previews of recorded answers there are, those that are wrong, and how late they are.

    Args:
        size: How many characters come at once.
        one_in: Of so many answers one is looked at.
    """
    count = 0
    wrong: list[object] = []
    late: list[int] = []
    for answer in recorded_answers()[::one_in]:
        stage = MarkdownBlocks()
        previews: dict[int, list[str]] = {}
        fed = 0
        for piece in [*pieces_of(answer, size), ""]:
            fed += len(piece)
            for block in stage.feed(piece) if piece else stage.end():
                shown = previews.setdefault(block.id, [])
                if block.closed:
                    wrong += wrong_previews(shown, block.text, definitions=block.definitions)
                    continue
                shown.append(block.text)
                count += 1
                if count % 5 == 0:
                    late.append(len(seen(answer[block.start : fed])) - len(seen(shown[-1])))
    return count, wrong, sorted(late)


@pytest.mark.not_quick
@needs_recordings
def test_previews_of_recorded_answers_are_right() -> None:
    """Of 10,000 one may be wrong; of a hundred, 95 are at most two visible characters late."""
    count, wrong, late = _judge(size=7, one_in=4)

    assert len(wrong) * 10_000 <= count, wrong[:3]
    assert late[len(late) * 95 // 100] <= 2


@pytest.mark.slow
@needs_recordings
def test_previews_of_recorded_answers_are_right_at_every_prefix() -> None:
    count, wrong, late = _judge(size=1, one_in=in_steps(5))

    assert count > 10_000
    assert len(wrong) * 10_000 <= count, wrong[:3]
    assert late[len(late) * 95 // 100] <= 2
