"""The package stays as easy to carry as it is: its lines, names, writes and calls have bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.house import budget, rings, rooms
from tests.house.counts import (
    Module,
    lines_by_kind,
    methods,
    modules,
    participles,
    shared_functions,
    shared_names,
    stale_names,
    type_names,
    writes,
)
from tests.house.first_program import measure
from tests.house.rooms import bounds, bounds_of_all, excess, settled, sizes
from tests.house.surface import families, surface
from tests.house.walks import WALKS, count_retry, walk
from tests.project import PACKAGE, ROOT

_FOREIGN_WRITES = {
    "all": 58,
    "_pipeline": 63,
    "recovery": 62,
    "partial_json/_lenient": 130,
    "partial_json/_strict": 125,
}
"""Assignments to attributes of objects that a function has not made, for each 1,000 functions."""
_CALLS = {"a text delta": 4, "a piece of stream.text": 8, "a line of Claude Code": 32}
"""Python calls of what happens for each piece of an answer."""
_DRAFT_CALLS, _DRAFT_MODULES = 28, 14
"""Calls of the package's own for a draft of a typed object, and the number of their modules."""
_SHORT_CALLS = {"Stream of a short answer": 522, "connect": 560}
"""Calls of the package's own for a short answer, of which two thirds are its start and its end."""
_RETRY_CALLS = (106, 411)
"""Calls of the package's own that `retry=` adds to an answer: if it comes at once, and after a 503."""
_MORE_CALLS = "This runs for every answer: decide it once, when the answer begins, or where it is needed."
_SAMPLE = '''"""A module."""

import re

TEXT = """
# No comment.

"""
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
        machine.made = made = Answer()
        made.text = ""
        machine.error = None
        machine.log.wanted += 1

Answer: TypeAlias = str
'''


@pytest.fixture(scope="module")
def package() -> list[Module]:
    return modules(PACKAGE)


def test_a_sample_is_counted() -> None:
    """A docstring is no code, a blank line of a string is; an object that a function made is not foreign."""
    sample = [Module("a.py", "(top)", _SAMPLE)]
    found = writes(sample)["all"]

    assert Counter(code=18, docstrings=2, imports=1, comments=1, blank=6) == lines_by_kind(sample)
    assert {"Answer": ["a.py", "a.py"]} == shared_names(sample)
    assert (2, 3, 1) == (found.functions, found.foreign, found.setters)


def test_a_class_of_the_formats_has_few_methods(package: list[Module]) -> None:
    """Those of `Format` are what an author of a format may write."""
    counted = methods(each for each in package if each.name.startswith("formats/"))
    assert counted["Format"] <= 30
    assert max(counted.values()) <= 45


@pytest.mark.slow
def test_each_name_means_one_thing(package: list[Module]) -> None:
    """No class or alias has the name of another one, with or without an underscore."""
    assert {} == shared_names(package)


@pytest.mark.slow
def test_few_functions_share_a_name(package: list[Module]) -> None:
    """A search for a function's name finds one function; a new one takes no name that another has."""
    counted = {"places": sum(map(len, shared_functions(package).values()))}
    remedy = "Name the new function by what it does, as no other one is; `python -m tests.house` lists them."
    assert [] == budget.beyond(counted, {"places": budget.SHARED_FUNCTIONS}, remedy)
    samples = [Module(f"{name}.py", "(top)", f"def {name}(): ...") for name in ("_x", "x", "y")]
    assert {"x": {"_x.py", "x.py"}} == shared_functions(samples)


def test_private_names_in_backticks_are_found(package: list[Module]) -> None:
    """A docstring or a comment that names what is gone sends its reader astray."""
    assert set() == stale_names(package)
    sample = Module("a/_b.py", "a", "_c = 1  # `_c`, `a._b`, `_gone`, `a._c`")
    assert {"_c", "_gone"} == stale_names([sample])


@pytest.mark.slow
def test_a_class_is_named_by_a_noun(package: list[Module]) -> None:
    """A participle alone says what was done to an object, and not what the object is."""
    assert [] == participles(type_names(package))
    assert ["Told", "AsyncTaken"] == participles(["Told", "AsyncTaken", "WholeText", "Feed"])


def test_the_package_stays_within_its_budget(package: list[Module]) -> None:
    now = sizes(package)
    beyond = [said for name in bounds() if (said := excess(now, settled(), name))]

    if beyond:
        pytest.fail("\n".join(beyond), pytrace=False)


@pytest.mark.slow_rows("nodes")
@pytest.mark.parametrize("name", rings.COUNTS)
def test_each_ring_stays_within_its_own_budget(package: list[Module], name: str) -> None:
    """An agent's reader takes no room of the core; and lines can be packed, their syntax cannot."""
    assert [] == rings.beyond(name, package)
    assert sum(rings.ceilings(name).values()) <= budget.ceiling((bounds() | bounds_of_all())[name])


def test_a_package_beyond_its_budget_names_the_rooms_that_grew() -> None:
    most = budget.ceiling(budget.LINES)
    before = {"framing": Counter(lines=budget.LINES - 500), "relay": Counter(lines=500)}
    now = {
        "framing": Counter(lines=budget.LINES - 510),
        "relay": Counter(lines=520 + most - budget.LINES),
        "voice": Counter(lines=20),
    }

    said = excess(now, before, "lines")

    assert f"has {most + 30:,} lines, 30 more than the {most:,} that it may have" in said
    assert f"these rooms grew: relay by {520 + most - budget.LINES - 500:,}, voice by 20. If your" in said
    assert "Otherwise take away 30 lines" in said
    assert not excess({"framing": Counter(lines=most)}, before, "lines")


def test_a_format_has_room() -> None:
    """A class of a hundred lines with its encoder, and an agent's reader, before a batch of issues ends."""
    room = budget.ceiling(budget.LINES) - budget.LINES
    for ring, lines in {"answer": 200, "relay": 140, "guests": 150}.items():
        assert room * budget.SHARES[ring] >= lines
    assert budget.ceiling(budget.CODE) - budget.CODE >= 400
    assert budget.ceiling(budget.MODULES) - budget.MODULES >= 2
    assert budget.MORE_MEMBERS >= 2


def test_what_a_batch_leaves_is_what_the_next_one_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that fell is the bound from then on; one that rose is none."""
    monkeypatch.setattr(rooms, "_BUDGET", tmp_path / "budget.py")
    monkeypatch.setattr(rooms, "SETTLED", tmp_path / "rooms.json")
    (tmp_path / "rooms.json").write_text(json.dumps({"rings": {"relay": dict.fromkeys(rings.COUNTS, 95)}}))
    (tmp_path / "budget.py").write_text(
        f"LINES = {budget.LINES:_}\nCODE = 1\nMODULES = {budget.MODULES}\nNODES = 1\n", encoding="utf-8"
    )
    now = {"relay": Counter({"lines": budget.LINES + 7, "lines of code": 1_200, "modules": 5})}

    rooms.settle(now, {"relay": Counter({"lines": 98, "nodes": 90, "lines of tests": 70})})

    left = (tmp_path / "budget.py").read_text(encoding="utf-8")
    assert f"LINES = {budget.LINES:_}\nCODE = 1_200\nMODULES = 5\nNODES = 90\n" == left
    assert now == rooms.settled()
    assert {"relay": {"lines": 95, "nodes": 90, "lines of tests": 70}} == rooms.settled("rings")


@pytest.mark.slow
def test_the_first_program_loads_little_that_it_does_not_need() -> None:
    """Whoever must judge the library reads what an ordinary program loads."""
    counted = measure()

    assert counted.keys() == budget.FIRST_PROGRAM.keys()
    most = {name: budget.ceiling(count) for name, count in budget.FIRST_PROGRAM.items()}
    assert [] == budget.beyond(counted, most, "Import what a first answer does not need where it is used.")


def test_the_interface_stays_small() -> None:
    """Whoever adds a name or an option removes one."""
    remedy = "Make a public name or an option private, or raise the bound and say why: a reviewer decides."
    assert [] == budget.beyond(surface(), budget.SURFACE, remedy)


def test_families_that_users_see_grow_by_few_members() -> None:
    """A change from outside may add one."""
    most = {name: count + budget.MORE_MEMBERS for name, count in budget.FAMILIES.items()}
    remedy = "Others used the room up: say so in the pull request, and the maintainers raise the bound."
    assert [] == budget.beyond(families(), most, remedy)
    assert ["faults: 30, 1 more than the bound of 29. Do."] == budget.beyond(
        {"faults": 30, "stages": 3}, {"faults": 29, "stages": 3}, "Do."
    )


def test_each_count_of_the_interface_has_a_bound() -> None:
    """None is counted and then forgotten, and the package has something of each."""
    assert [*budget.SURFACE] == [name for name, count in surface().items() if count > 0]
    assert [*budget.FAMILIES] == [name for name, count in families().items() if count > 0]


@pytest.mark.slow
def test_few_write_into_objects_of_others(package: list[Module]) -> None:
    """A fact that one class keeps is written by that class."""
    found = writes(package)

    counted = {room: found[room].per_thousand for room in _FOREIGN_WRITES}
    remedy = "Give the class a method that writes its own attribute, and call that."
    assert [] == budget.beyond(counted, _FOREIGN_WRITES, remedy)


@pytest.mark.parametrize("name", _CALLS)
def test_a_piece_of_an_answer_takes_few_calls(name: str) -> None:
    """What an application does most is bounded to the call."""
    assert [] == budget.beyond({name: walk(WALKS[name]).calls}, {name: _CALLS[name]}, _MORE_CALLS)


def test_a_draft_takes_few_calls_in_few_modules() -> None:
    """A form that fills in costs little for each piece, and its way through the package can be read."""
    counter = walk(WALKS["a draft of partials(Order)"])

    assert [] == budget.beyond({"draft": counter.own}, {"draft": _DRAFT_CALLS}, _MORE_CALLS)
    assert len(counter.modules) <= _DRAFT_MODULES


@pytest.mark.parametrize("name", _SHORT_CALLS)
def test_a_short_answer_takes_few_calls(name: str) -> None:
    """Most answers have few events, so that what they wait for is the library's start and end."""
    assert [] == budget.beyond({name: walk(WALKS[name]).own}, {name: _SHORT_CALLS[name]}, _MORE_CALLS)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="each version of Python has bytecodes of its own")
def test_events_and_answers_take_few_bytecodes() -> None:
    """A slow-down that adds no call is seen, too, on a machine that is busy."""
    counting = [sys.executable, "-m", "tests.house.bytecodes"]
    printed = subprocess.run(counting, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    counted = dict(json.loads(line) for line in printed.splitlines())

    assert counted.keys() == budget.BYTECODES.keys()
    for kind, most in {"bytecodes": budget.BYTECODES, "c_calls": budget.C_CALLS}.items():
        assert [] == budget.beyond({name: counted[name][kind] for name in most}, most, _MORE_CALLS)


@pytest.mark.parametrize("failures", range(len(_RETRY_CALLS)))
def test_a_retry_takes_few_calls(failures: int) -> None:
    """Whoever follows a retry through the package reads this much; who needs none, much less."""
    counted, bound = {"retry": count_retry(failures)}, {"retry": _RETRY_CALLS[failures]}
    assert [] == budget.beyond(counted, bound, _MORE_CALLS)


@pytest.mark.slow
@pytest.mark.parametrize("name", WALKS)
def test_a_walk_stays_within_the_package(name: str) -> None:
    """Each walk calls something of the package, and comes to its end."""
    counter = walk(WALKS[name])

    assert 0 < len(counter.functions) <= counter.calls
