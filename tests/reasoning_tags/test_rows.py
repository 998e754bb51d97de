"""The markups of reasoning in the table: each is read, can be named, and is told where it is not read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls_in_text.support import cuts
from tests.calls_in_text.test_streams import HERMES
from tests.reasoning_tags.support import MARKUPS, decoded, parts_of
from tests.support.tables import in_one_test
from tests.support.wire import DONE, chat
from tokenstream import Tags
from tokenstream.stages._calls.dialects import THOUGHTS, Dialect

THOUGHT, ANSWER = "I add the two: 2 + 2.", "It is 4, as [this](b) <b>shows</b>."
WHOLE = [("reasoning", THOUGHT), ("text", ANSWER)]


def name_of(written: str) -> str:
    return written.partition(",")[0]


def read(pieces: list[str], **options: Any) -> tuple[list[tuple[str, str]], set[str]]:
    """Return the stripped parts of an answer whose text arrives in pieces, and its departures."""
    sent = [*[chat({"content": piece}) for piece in pieces], chat({}, "stop"), DONE]
    decoder, _ = decoded(sent, **options)
    return [(kind, said.strip()) for kind, said in parts_of(decoder.message)], {*decoder.departures.details}


def at_every_cut(text: str, **options: Any) -> tuple[list[tuple[str, str]], set[str]]:
    """Return the parts and departures of a text, which are the same by character, and in pieces."""
    expected = read([text], **options)
    for pieces in (list(text), cuts(text, range(0, len(text), 5)), cuts(text, range(0, len(text), 7))):
        assert expected == read(pieces, **options)
    return expected


def test_each_row_has_a_case() -> None:
    assert THOUGHTS.keys() == {name_of(written) for written in MARKUPS}


@in_one_test("written", [*MARKUPS], by=str)
def test_reasoning_is_read_by_every_name_and_reported_where_it_is_not(written: str) -> None:
    opening, end, before, after = MARKUPS[written]
    text = opening + THOUGHT + end + before + ANSWER + after
    for names in (True, [name_of(written)]):
        parts, departures = at_every_cut(text, tags=Tags(reasoning=names))

        assert WHOLE == parts
        assert not departures & {"reasoning_in_text", "reasoning_late"}
    parts, departures = at_every_cut(text)

    assert [("text", text.strip())] == parts
    assert "reasoning_in_text" in departures


@in_one_test("written", [*MARKUPS], by=str)
def test_an_end_whose_opening_was_in_the_prompt_is_enough(written: str) -> None:
    """The text waits for it with "starts_inside"; else, the message has it as reasoning."""
    _, end, before, after = MARKUPS[written]
    text = THOUGHT + end + before + ANSWER + after
    waiting, _ = at_every_cut(text, tags=Tags(reasoning=[name_of(written), "starts_inside"]))
    late, departures = at_every_cut(text, tags=Tags(reasoning=True))

    assert WHOLE == waiting == late == at_every_cut(text, tags=Tags(reasoning="starts_inside"))[0]
    assert "reasoning_late" in departures
    assert "reasoning_in_text" in read([text])[1]


@pytest.mark.slow
@pytest.mark.parametrize("written", MARKUPS)
def test_every_cut_gives_the_same(written: str) -> None:
    opening, end, before, after = MARKUPS[written]
    answer = f"{before}It writes {opening} and {end.strip()} around it.{after}"
    for text in (opening + THOUGHT + end + answer, THOUGHT + end + answer):
        for options in ({"tags": Tags(reasoning=True)}, {"tags": Tags(reasoning="starts_inside")}):
            expected = read([text], **options)
            for place in range(1, len(text)):
                assert expected == read(cuts(text, [place]), **options)


@in_one_test("written", [*MARKUPS])
def test_a_call_follows_the_reasoning(written: str) -> None:
    opening, end, _, _ = MARKUPS[written]
    options: dict[str, Any] = {"tags": Tags(reasoning=True, calls=True), "tools": ["look"]}
    parts, _ = read(list(opening + THOUGHT + end + HERMES), **options)

    assert [("reasoning", THOUGHT), ("tool_call", '{"at": "x"}')] == parts


_ABOUT = (
    "It writes {} and {} around what it thinks.",
    "It begins with `{}` and ends with `{}`.",
    "See:\n\n```\n{}a{}b\n```\n\nSo it is.",
    'He said "{}" and ({}).',
    "In short: {}so it thinks{}so it says.",
)


@in_one_test(
    ("row", "words"),
    [(row, words) for row in THOUGHTS.values() for words in _ABOUT],
    by=lambda row, _: str(row.name),
)
def test_a_page_about_the_markup_stays_text(row: Dialect, words: str) -> None:
    is_tag = row.ends[0] == f"</{row.openings[0][1:]}"
    if is_tag and words in {_ABOUT[0], _ABOUT[4]}:
        return
    text = words.format(row.openings[0], row.ends[0])
    for options in ({"tags": Tags(reasoning=True)}, {}):
        parts, departures = at_every_cut(text, **options)

        assert [("text", text)] == parts
        assert not departures & {"reasoning_in_text", "reasoning_late"}


def test_a_tag_around_the_answer_is_left_out_after_reasoning_alone() -> None:
    """One in the same line as the answer is the application's own."""
    for text, expected in (
        ("<think>a</think><answer>4</answer>", "<answer>4</answer>"),
        ("<answer>\n4\n</answer>", "<answer>\n4\n</answer>"),
        ("<think>a</think>So:\n<answer>\n4\n</answer>", "So:\n<answer>\n4\n</answer>"),
    ):
        assert expected == at_every_cut(text, tags=Tags(reasoning=True))[0][-1][1]


def test_a_bracket_in_a_sentence_of_the_answer_is_no_mark() -> None:
    text = "[THINK]Hm.[/THINK]Magistral writes [THINK] first, and then [/THINK] last."

    assert [("reasoning", "Hm."), ("text", text.partition("[/THINK]")[2])] == at_every_cut(
        text, tags=Tags(reasoning=True)
    )[0]
