"""The report on departures says what the code does: the same names, rules and details, all in use."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest

from tests.docs.pages import PAGES, name_of
from tests.project import PACKAGE, ROOT, parsed_with, source_of
from tests.support.recordings import Recorded, folder_of, ours, shared
from tests.support.tables import in_one_test
from tokenstream import Stream, StreamError
from tokenstream.departures import RULES, Affects, DepartureName, Departures
from tokenstream.events import Event, ReasoningDelta, TextDelta

pytestmark = pytest.mark.not_quick

_PAGE = (ROOT / "docs" / "reports" / "departures.md").read_text(encoding="utf-8")
_NAMES = re.findall(r"^\| (\w+) \| `(\w+)` \| (.+?) \| (.+?) \|$", _PAGE, re.MULTILINE)
_DETAILS: list[str] = re.findall(r"^\| `(\w+)` \| .+? \| .+? \|$", _PAGE, re.MULTILINE)
# The repairs of partial JSON are noted, too, and have a list of their own.
_PATHS = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "departures.py" and "partial_json" not in path.parts
]


def _choices(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.IfExp):
        return _choices(expression.body) | _choices(expression.orelse)
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return {expression.value}
    return set()


def _noted(tree: ast.AST) -> set[str]:
    """Return the details that stand in the calls of anything named `note`."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note"
        for argument in node.args[:1]
        for name in _choices(argument)
    }


def test_the_page_gives_each_of_the_names_in_the_words_of_the_code() -> None:
    """A reader of `stream.departures[name].rule` finds the same sentence on the page."""
    names = get_args(DepartureName)

    assert 24 == len({*names})
    assert list(names) == list(RULES)
    assert [*RULES.items()] == [(name, rule.replace("`", "")) for _, name, rule, _ in _NAMES]


def test_each_detail_is_counted_under_the_name_that_the_page_gives() -> None:
    told = {detail: row for row in _NAMES for detail in re.findall(r"`(\w+)`", row[3])}
    for detail, (affects, name, rule, _) in told.items():
        departures = Departures()
        departures.note(detail, event=3)
        departures.note(detail, event=4, count=2)
        [(noted, departure)] = departures.items()

        assert affects in get_args(Affects)
        assert (name, affects, rule.replace("`", "")) == (noted, departure.affects, departure.rule)
        assert {detail: 3} == departure.details == departures.details
        assert (3, 3) == (departure.count, departure.first_event)
    assert sum(len(row[3].split(", ")) for row in _NAMES) == len(told)
    assert sorted(told) == sorted(_DETAILS)


@in_one_test("page", [page for page in PAGES if "reports" not in page.parts], ids=name_of)
def test_a_page_names_a_departure_as_the_stream_does(page: Path) -> None:
    """`stream.departures` has nothing under the name of a detail; the reports have the details."""
    text = page.read_text(encoding="utf-8")
    told = set(re.findall(r"departures?\b[^`|\n]{0,60}`(\w+)`|count(?:ed|s)(?: as)? \[?`(\w+)`", text))

    assert set() == {name for names in told for name in names} & {*_DETAILS} - {*RULES}


@in_one_test("detail", _DETAILS)
def test_a_detail_is_noted_somewhere(detail: str) -> None:
    """A detail that no code notes any more leaves the list."""
    assert any(f'"{detail}"' in source_of(path) for path in _PATHS)


def test_no_detail_is_noted_that_has_no_name() -> None:
    """A detail that is noted is one of the closed list; a misspelt one would be a KeyError at a user's."""
    chosen = [(path, _noted(module)) for path, module in parsed_with(r'\.note\((?!\s*")', _PATHS)]
    literal = [(path, {*re.findall(r'\.note\(\s*"(\w+)"', source_of(path))}) for path in _PATHS]
    unknown = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path, names in chosen + literal
        for name in names
        if name not in _DETAILS
    }

    assert set() == unknown
    assert len(set().union(*(names for _, names in literal))) > len(_DETAILS) / 2


def test_the_check_of_the_details_sees_the_code() -> None:
    code = ast.parse('parts.note("a" if word == "x" else "b")\nself.note("c", event=1)\nother("d")')

    assert {"a", "b", "c"} == _noted(code)


@pytest.mark.few_rows(8)
@in_one_test("recorded", [*ours(), *shared()], ids=lambda recorded: recorded.name, by=folder_of)
def test_an_answer_without_a_departure_of_content_is_what_was_streamed(recorded: Recorded) -> None:
    """The texts are the deltas, and each call is whole; only a guess leaves the finish reason open."""
    stream, events = Stream([recorded.body]), list[Event]()
    with stream, suppress(StreamError):
        events.extend(stream)
    affected = {departure.affects for departure in stream.departures.values()}
    whole = [] if "content" in affected else [each for each in stream.messages if each.complete]
    for message in whole:
        for index, part in enumerate(message.parts):
            if part.kind in {"text", "reasoning"}:
                said = [
                    event.text
                    for event in events
                    if isinstance(event, TextDelta | ReasoningDelta)
                    and (message.choice, index) == (event.choice, event.part)
                ]

                assert part.text == "".join(said)
        assert all(call.complete for call in message.tool_calls)
        # TGI gives its reason only to who asks for details.
        assert {"guess", "tgi"} & {*affected, recorded.format} or message.finish_reason is not None
