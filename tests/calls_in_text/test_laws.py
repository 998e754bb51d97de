"""Calls in a text are the same however the text is cut, in every dialect."""

from __future__ import annotations

import random
import re

import pytest

from tests.calls_in_text.support import (
    BARE,
    TOOLS,
    WRITERS,
    Call,
    at_every_cut,
    begun_in,
    broken_in,
    calls_of,
    cuts,
    joined,
    make_call,
    read,
    text_of,
)
from tests.project import ROOT
from tests.support.text_stages import work
from tokenstream._basics.request_facts import offered_in
from tokenstream.cli._doctor.findings import _PARSERS
from tokenstream.events import ToolCallDone
from tokenstream.stages import ToolTags
from tokenstream.stages._calls.dialects import DIALECTS, NAMES, Dialect, find_call_markup

BEFORE = [
    "",
    "Let me look.\n",
    "`<tool_call>{` opens a call.\n\n",
    "```py\nx = '<|python_tag|>'\n```\nSo: ",
    "a < b ",
]
AFTER = ["", "\n\nThat is all.", " Now [1] and <b>."]


def _answer(written: str, seed: int) -> tuple[str, str, list[object], str]:
    dialect, write = WRITERS[written]
    dice = random.Random(f"{written}{seed}")
    calls = [make_call(dice) for _ in range(dice.randint(1, 4))]
    # A fence begins its line.
    before = "" if dialect in BARE else dice.choice(BEFORE[:3] if dialect == "gemma" else BEFORE)
    after = "" if dialect in BARE else dice.choice(AFTER)
    return dialect, before + write(calls) + after, list(calls), before + after.lstrip()


@pytest.mark.parametrize("written", WRITERS)
def test_calls_are_read_as_they_were_meant(written: str) -> None:
    for seed in range(12):
        dialect, text, calls, around = _answer(written, seed)
        events = read([text], dialect)

        assert calls == calls_of(events)
        assert around == text_of(events)
        assert not any(event.call.repairs for event in events if isinstance(event, ToolCallDone))


@pytest.mark.parametrize("written", WRITERS)
def test_every_cut_gives_the_same_calls(written: str) -> None:
    for seed in range(5):
        dialect, text, _, _ = _answer(written, seed)
        expected = joined(at_every_cut(text, dialect, every=1 if len(text) < 200 else 37))
        dice = random.Random(seed)
        for _ in range(10):
            sample = dice.sample(range(len(text)), min(12, len(text)))
            assert expected == joined(read(cuts(text, sample), dialect))


def _written_in(row: Dialect, opening: str) -> str:
    """Return a call as a row of the table has it, behind one of its openings."""
    arguments, one = '{"text": "x"}', row.elements
    value = f"{one.opening}text{one.name_end}{one.value_start}x{one.value_end.format('text')}"
    body = {
        "objects": f'{{"name": "look", "arguments": {arguments}}}' + "]" * (opening == "["),
        "json": arguments,
        "parameters": value,
        "python": "look(text='x')" if opening != "[" else "look(text='x')]",
        "notation": '{text:<|"|>x<|"|>}',
    }[row.body]
    head = row.before.removeprefix(opening) if row.before.startswith(opening) else row.before
    if row.body not in {"objects", "python"}:
        quote = '"' * row.before.endswith('"')
        body = f"{head}look{quote}{row.after.removesuffix('{')}{body}"
    end, close = (*row.ends, "")[0], (*row.closes, "")[0]
    return f"{'' if opening == '{' else opening}{body}{end}{close}"


@pytest.mark.parametrize(
    ("row", "opening"),
    [(row, opening) for row in DIALECTS for opening in row.openings],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_each_row_of_the_table_is_read_and_reported_at_every_cut(row: Dialect, opening: str) -> None:
    text = _written_in(row, opening)
    names = [row.name] if row.named_only else []
    offered = offered_in({"tools": TOOLS[:1]})

    assert [Call("look", {"text": "x"})] == calls_of(at_every_cut(text, *names, every=1))
    assert row.name == find_call_markup(f" {text}\n", offered)
    assert (None if row.named_only else row.name) == find_call_markup(f"So: \n{text} Well.", offered)
    assert find_call_markup(f"~~~\n{text}\n~~~\n", offered) is None


def test_a_fence_with_a_call_may_follow_other_code() -> None:
    """The backticks that close the code are never taken for the beginning of the call's fence."""
    text = "```py\nx = 1\n```\n```tool_code\nlook(n=1)\n```"

    assert [Call("look", {"n": 1})] == calls_of(at_every_cut(text, "gemma", every=1))


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", "```tool_call\n{}\n```\n", "[{}]"])
def test_a_fence_of_json_is_a_call_only_if_it_is_the_whole_text(fence: str) -> None:
    call = '{"name": "look", "arguments": {"text": "x"}}'
    text = fence.replace("{}", call)
    offered = offered_in({"tools": TOOLS[:1]})

    assert [Call("look", {"text": "x"})] == calls_of(read(list(text), "llama_json"))
    assert "llama_json" == find_call_markup(text, offered)
    for other in (f"You may write:\n\n{text}", f"So:\n\n```py\n1\n```\n\n{text}"):
        for pieces in ([other], list(other)):
            assert other == text_of(read(pieces, "llama_json"))
        assert find_call_markup(other, offered) is None
    for other in (f"{text}\nis how.", text.replace("look", "other"), text.replace("arguments", "age")):
        assert find_call_markup(other, offered) is None


@pytest.mark.parametrize("written", WRITERS)
def test_a_text_that_is_cut_off_gives_the_same_at_every_cut(written: str) -> None:
    dialect, text, calls, _ = _answer(written, 3)
    for size in range(1, len(text), 1 + len(text) // 60):
        beginning = text[:size]
        events = read([beginning], dialect)

        assert joined(events) == joined(read(list(beginning), dialect))
        sure = calls_of(
            [event for event in events if isinstance(event, ToolCallDone) and not event.call.repairs]
        )
        assert sure == calls[: len(sure)]


@pytest.mark.parametrize("written", [each for each in WRITERS if WRITERS[each][0] not in BARE | {"gemma"}])
def test_all_dialects_may_be_read_at_once(written: str) -> None:
    for seed in range(5):
        _, text, calls, around = _answer(written, seed)
        events = read([text])

        assert calls == calls_of(events)
        assert around == text_of(events)


@pytest.mark.parametrize("written", WRITERS)
def test_markup_in_code_is_text(written: str) -> None:
    dialect, write = WRITERS[written]
    markup = write([make_call(random.Random(written))])
    span = markup.replace("\n", " ").replace("``", "")
    for text in (f"So:\n~~~~xml\n{markup}\n~~~~\nYes.", f"So: `` {span} ``!"):
        for pieces in ([text], list(text), cuts(text, range(0, len(text), 7))):
            events = read(pieces, dialect)
            assert text == text_of(events)
            assert not begun_in(events)


_QUOTED = (
    'He wrote "',
    "'",
    "So: (“",
    "Er schrieb „",
    "il dit «",
    "x='''",
    "As he said:\n> a ",
    "So:\n\n    ",
)
"""Texts behind which a call is quoted."""
_LAST_WORDS = (
    "See `run.c`",
    'I open "b.md"',
    "the cats'",
    "'x'",
    "“Emma”",
    "1. `p`\n2. `q`",
    'As f("b")',
    "*'a'*",
)
"""Texts that end with a mark that quotes nothing behind it."""


@pytest.mark.parametrize("written", [each for each in WRITERS if WRITERS[each][0] not in BARE | {"gemma"}])
def test_only_a_mark_that_opens_quotes_and_only_without_known_tools(written: str) -> None:
    """A known name tells a call from its quotation, and a name that is not known is never a call."""
    dialect, write = WRITERS[written]
    call = make_call(random.Random(written))
    # A paragraph that begins with a quoted opening is quoted as a whole.
    markup = write([call, call]).replace("\n\n", "\n")
    for before in (*_QUOTED, *_LAST_WORDS):
        text = before + markup
        for pieces in ([text], list(text), cuts(text, range(0, len(text), 7))):
            assert [] == begun_in(read(pieces, dialect, tools=["other"]))
            assert [call, call] == calls_of(read(pieces, dialect))
            assert [call.name] * 2 * (before in _LAST_WORDS) == begun_in(read(pieces, dialect, tools=()))


@pytest.mark.parametrize("written", WRITERS)
def test_a_call_of_an_unknown_tool_is_text(written: str) -> None:
    """An answer of structured output, or about another program's tools, does not become a call."""
    dialect, write = WRITERS[written]
    text = write([make_call(random.Random(written))])
    for pieces in ([text], list(text)):
        events = read(pieces, dialect, tools=["other"])

        assert text == text_of(events)
        assert not begun_in(events)


@pytest.mark.parametrize("written", WRITERS)
def test_a_damaged_answer_gives_the_same_at_every_cut(written: str) -> None:
    for seed in range(12):
        dialect, text, _, _ = _answer(written, seed)
        dice = random.Random(f"damage {written}{seed}")
        place = dice.randrange(len(text))
        put_in = dice.choice(["", "\x00", "}", "<", '"', "</tool_call>", "a" * 300])
        damaged = text[:place] + put_in + text[place + dice.randint(0, 9) :]
        events = read([damaged], dialect)

        assert joined(events) == joined(read(list(damaged), dialect))
        assert joined(events) == joined(
            read(cuts(damaged, dice.sample(range(len(damaged)), min(12, len(damaged)))), dialect)
        )
        assert len(calls_of(events)) + broken_in(events) <= len(begun_in(events))


@pytest.mark.parametrize(
    "opening", ["<tool_call>", "<function=", "[TOOL_CALLS]", "<|channel|>commentary to=", "<"]
)
def test_false_openings_are_given_back_within_a_chunk(opening: str) -> None:
    """No more is held back than an opening, and the little that may follow it."""
    text = f"{opening} x ".join(["a"] * 200)
    stage, given = ToolTags(tools=TOOLS), 0
    for position in range(0, len(text), 5):
        given += len(text_of(stage.feed(text[position : position + 5])))
        assert position + 5 - given <= len(opening) + 80
    assert len(text) == given + len(text_of(stage.end()))


_UNITS = [
    "<tool_call>",
    "<tool_call> x ",
    '<tool_call>{"',
    "<|channel|>commentary to=",
    "`<function=a>",
    "<",
    "[[",
]


@pytest.mark.parametrize("size", [1, 50_000])
@pytest.mark.parametrize("unit", _UNITS)
def test_a_text_of_openings_is_read_once(unit: str, size: int) -> None:
    """Twice the text takes twice the effort."""
    short, long = (work(lambda: ToolTags(tools=TOOLS), unit * count, size) for count in (1_000, 2_000))

    assert long <= 2.5 * short


def test_the_page_has_each_dialect_of_the_table() -> None:
    page = (ROOT / "docs" / "guides" / "tool-calls" / "in-text.md").read_text("utf-8")
    rows = [re.split(r"\s*\|\s*", row) for row in page.replace("\\|", "\0").splitlines() if row[:3] == "| `"]
    told = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[1])}

    assert {*NAMES} == told.keys()
    for name, (_, _, begins, _, parsers, *_) in told.items():
        openings = [opening for row in DIALECTS if row.name == name for opening in row.openings]
        assert any(opening in begins.replace("\0", "|") for opening in openings)
        assert re.findall(r"`(\w+)`", parsers) == re.findall(r"\b(?!or\b)\w+", _PARSERS.get(name, ""))
