"""The package stays as easy to carry as it is: its lines, names, writes and calls have bounds."""

from __future__ import annotations

import ast
from collections import Counter

import pytest

from tests.house.counts import Module, lines_by_kind, modules, shared_names, writes
from tests.house.walks import WALKS, count_retry, shortest, walk
from tests.project import PACKAGE

_FEATURES = {
    "the origin of an answer": {"code": 330, "docstrings": 190},
    "logs of the relay": {"code": 90, "docstrings": 60},
    "cross-site requests": {"code": 100, "docstrings": 60},
    "bounds per owner": {"code": 240, "docstrings": 80},
    "send timeout": {"code": 70, "docstrings": 20},
    "advice for newcomers": {"code": 340, "docstrings": 170},
    "calls in the text": {"code": 1_520, "docstrings": 511, "tables": 135},
    "citations in the text": {"code": 340, "docstrings": 180, "tables": 25},
    "calls back in the text": {"code": 260, "docstrings": 100, "tables": 36},
    "raw strings in calls": {"code": 80, "docstrings": 40},
    "citations in private-use characters": {"code": 20, "docstrings": 10, "tables": 10},
    "keys behind a letter": {"tables": 6},
    "asynchronous sources in a thread": {"code": 150, "docstrings": 56},
    "one thread for all timers": {"code": 50, "docstrings": 35},
    "nothing left to the collector": {"code": 65, "docstrings": 50},
    "a log that nobody forges": {"code": 20, "docstrings": 10},
    "journals left before their clients": {"code": 30, "docstrings": 15},
    "rounds of a session with calls in the text": {"code": 145, "docstrings": 75},
    "tools that stream": {"code": 370, "docstrings": 205, "tables": 10},
    "short ways of a relay's tokens": {"code": 45, "docstrings": 20},
    "events of LangChain and LangGraph": {"code": 600, "docstrings": 140, "tables": 10},
    "subagents of AG-UI": {"code": 245, "docstrings": 75},
    "input for an answer in progress": {"code": 275, "docstrings": 155},
    "transcripts": {"code": 225, "docstrings": 85, "tables": 20},
    "sessions of the Live API": {"code": 115, "docstrings": 20, "tables": 20},
    "asking in sessions of the Live API": {"code": 340, "docstrings": 105},
    "bodies in parts of binary messages": {"code": 100, "docstrings": 45},
    "runs of InvokeAgent": {"code": 205, "docstrings": 85},
    "runs of a harness": {"code": 100, "docstrings": 30, "tables": 30},
    "models of a graph at once": {"code": 130, "docstrings": 80},
    "failed answers that leave nothing": {"code": 95, "docstrings": 45},
    "what the user said": {"code": 120, "docstrings": 45},
    "input for an agent at work": {"code": 295, "docstrings": 145},
    "events that come twice or late": {"code": 116, "docstrings": 60, "tables": 10},
    "calls that are begun anew": {"code": 35, "docstrings": 20},
    "answers that are spliced": {"code": 46, "docstrings": 15},
    "keys that servers repeat in errors": {"code": 40, "docstrings": 20},
    "answers of several requests, whose readers come late or go on": {"code": 60, "docstrings": 40},
    "names that calls and token counts have elsewhere": {"tables": 40},
    "short answers in a tenth less time": {"code": 65, "docstrings": 20},
    "shapes that answers share": {"code": 110, "docstrings": 55, "tables": 10},
    "starts out of their order": {"code": 160, "docstrings": 75},
    "counts in odd places": {"code": 25, "docstrings": 15},
    "answers of sessions that come late or twice": {"code": 35, "docstrings": 15},
    "errors in many shapes": {"code": 60, "docstrings": 30, "tables": 30},
    "silence under short timeouts": {"code": 15},
}
"""Features that have raised the budget, with the lines of each kind that they need."""
_BUDGET = Counter({"code": 87_070, "docstrings": 39_900, "tables": 4_100}) + sum(
    map(Counter, _FEATURES.values()), start=Counter[str]()
)
"""Lines of each kind. Whoever raises one names the feature that needs them in the commit."""
_FOREIGN_WRITES = {
    "all": 47,
    "_pipeline": 80,
    "recovery": 75,
    "partial_json/_lenient": 100,
    "partial_json/_strict": 25,
}
"""Assignments to attributes of objects that a function has not made, for each 1,000 functions."""
_CALLS = {"a text delta": 4, "a piece of stream.text": 8, "a line of Claude Code": 32}
"""Python calls of what happens for each piece of an answer."""
_DRAFT_CALLS, _DRAFT_MODULES = 28, 14
"""Calls of the package's own for a draft of a typed object, and the number of their modules."""
_SHORT_CALLS = {"Stream of a short answer": 522, "connect": 560}
"""Calls of the package's own for a short answer, of which two thirds are its start and its end."""
_RETRY_CALLS = (118, 418)
"""Calls of the package's own that `retry=` adds to an answer: if it comes at once, and after a 503."""
_SAMPLE = '''"""A module."""

TABLE = {
    "one": 1,
    "two": 2,
    "three": 3,
}
"""Numbers."""


class _Answer:
    def keep(self, text):
        # Later.
        self.text = text

    def write(self, machine):
        made = Answer()
        made.text = ""
        machine.error = None
        machine.log.wanted += 1


class Answer:
    text = "a"
'''


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return modules(PACKAGE)


def test_lines_are_counted_by_kind() -> None:
    """A docstring is no code, and neither is a table."""
    counts = lines_by_kind([_sample()])

    assert Counter(code=10, docstrings=2, tables=5, comments=1, empty=6) == counts


def test_a_name_without_its_underscore_is_the_same_name() -> None:
    """Readers see the class, not the underscore."""
    assert {"Answer": ["a.py", "a.py"]} == shared_names([_sample()])


def test_only_writes_to_objects_of_others_are_foreign() -> None:
    """An object that the function has made is its own, as is `self`."""
    found = writes([_sample()])["all"]

    assert (2, 2, 1) == (found.functions, found.foreign, found.setters)


@pytest.mark.slow
def test_each_name_means_one_thing(package: list[Module]) -> None:
    """No class has the name of another one, with or without an underscore."""
    assert {} == shared_names(package)


@pytest.mark.slow
def test_the_package_has_a_budget_of_lines(package: list[Module]) -> None:
    """It grows with a feature, and with nothing else."""
    counts = lines_by_kind(package)

    beyond = [kind for kind, most in _BUDGET.items() if counts[kind] > most]
    assert beyond == [], counts


@pytest.mark.slow
def test_few_write_into_objects_of_others(package: list[Module]) -> None:
    """A fact that one class keeps is written by that class."""
    found = writes(package)

    beyond = [room for room, most in _FOREIGN_WRITES.items() if found[room].per_thousand > most]
    assert beyond == []


@pytest.mark.parametrize("name", _CALLS)
def test_a_piece_of_an_answer_takes_few_calls(name: str) -> None:
    """What an application does most is bounded to the call."""
    assert shortest(name).calls <= _CALLS[name]


def test_a_draft_takes_few_calls_in_few_modules() -> None:
    """A form that fills in costs little for each piece, and its way through the package can be read."""
    counter = shortest("a draft of partials(Order)")

    assert counter.own <= _DRAFT_CALLS
    assert len(counter.modules) <= _DRAFT_MODULES


@pytest.mark.parametrize("name", _SHORT_CALLS)
def test_a_short_answer_takes_few_calls(name: str) -> None:
    """Most answers have few events, so that what they wait for is the library's start and end."""
    assert shortest(name).own <= _SHORT_CALLS[name]


@pytest.mark.parametrize("failures", range(len(_RETRY_CALLS)))
def test_a_retry_takes_few_calls(failures: int) -> None:
    """Whoever follows a retry through the package reads this much; who needs none, much less."""
    assert count_retry(failures) <= _RETRY_CALLS[failures]


@pytest.mark.slow
@pytest.mark.parametrize("name", WALKS)
def test_a_walk_stays_within_the_package(name: str) -> None:
    """Each walk calls something of the package, and comes to its end."""
    counter = walk(WALKS[name])

    assert 0 < len(counter.functions) <= counter.calls


def _sample() -> Module:
    return Module("a.py", "(top)", _SAMPLE.splitlines(), ast.parse(_SAMPLE))
