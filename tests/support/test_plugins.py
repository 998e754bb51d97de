"""The plugins of these tests, each run by pytest on a few tests of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.project import ROOT
from tests.support.products import covering

_needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def _run(
    folder: Path, plugin: str, tests: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", f"tests.support.{plugin}", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# -- a bound on what a test costs ------------------------------------------------------------------------

_DEAR = """
import pytest

def test_dear():
    sum(range(10_000_000))

@pytest.mark.slow
def test_slow():
    sum(range(10_000_000))

def test_cheap():
    pass
"""


@pytest.mark.slow
def test_what_costs_too_much_has_to_be_marked_as_slow(tmp_path: Path) -> None:
    """Others pass, and so does a slow one; the figure and the ways out are told."""
    ran = _run(tmp_path, "bound", _DEAR, TOKENSTREAM_MOST_SECONDS="0.02")

    assert ran.returncode == 1
    assert "3 passed" in ran.stdout
    assert "1 error" in ran.stdout
    assert "test_it.py::test_dear takes 0." in ran.stdout
    assert "more than 0.02 s: make it cheaper, or mark it `slow`" in ran.stdout


# -- forked processes ------------------------------------------------------------------------------------

_HUNDRED = """
import os
import pathlib
import pytest

@pytest.fixture(scope="session", autouse=True)
def noted():
    yield
    pathlib.Path(f"ended-{os.getpid()}").touch()

@pytest.mark.parametrize("number", range(100))
def test_it(number):
    pathlib.Path(f"ran-{number}-{os.getpid()}").touch(exist_ok=False)
    print("said by", number)
    if number == 30:
        pytest.skip("not today")
    assert number not in (7, 70)
"""


@_needs_fork
@pytest.mark.slow
def test_each_test_is_run_once_and_reported(tmp_path: Path) -> None:
    done = _run(tmp_path, "forked", _HUNDRED, "--processes", "3")

    assert done.returncode == 1
    assert "2 failed, 97 passed, 1 skipped" in done.stdout
    assert "not today" in done.stdout
    assert re.findall(r"said by (\d+)", done.stdout) in (["7", "70"], ["70", "7"])
    assert {f"ran-{number}" for number in range(100)} == {
        path.name.rpartition("-")[0] for path in tmp_path.glob("ran-*")
    }
    assert len([*tmp_path.glob("ran-*")]) == 100
    assert len([*tmp_path.glob("ended-*")]) == 3


@_needs_fork
@pytest.mark.slow
def test_a_process_that_dies_is_reported_with_the_test_that_it_ran(tmp_path: Path) -> None:
    """What the others have found is told, too."""
    dying = _HUNDRED.replace("== 30", "== 30: os._exit(5)\n    if number == -1")
    done = _run(tmp_path, "forked", dying, "--processes", "2")

    assert done.returncode == 3
    assert "a process died in test_it.py::test_it[30]" in done.stdout


# -- what is missing ------------------------------------------------------------------------------------

_LACKING = """
import pytest
from tests.support.tables import in_one_test

@pytest.mark.parametrize("number", range(20))
def test_stores(number):
    if number > 17:
        pytest.skip("needs redis-server, of a package")

@in_one_test("kind", ["memory", "redis", "file"])
def test_kinds(kind):
    if kind != "memory":
        pytest.skip(f"needs {kind}-server and a disk")

@in_one_test("kind", ["redis"])
def test_of_one_kind(kind):
    pytest.skip("needs redis-server: install it")

def test_of_no_machine():
    pytest.skip("not today")
"""


@_needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-p", "tests.support.forked", "--processes", "2")])
def test_what_is_missing_is_reported_in_one_line_and_the_rows_by_name(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A test counts once, however many of its rows were left out."""
    ran = _run(tmp_path, "missing", _LACKING, *options)
    *_, first, second, missing, last = ran.stdout.splitlines()

    assert ran.returncode == 0
    assert "SKIPPED ROW test_it.py::test_kinds: 'redis': needs redis-server and a disk" == first
    assert "SKIPPED ROW test_it.py::test_kinds: 'file': needs file-server and a disk" == second
    assert "missing here: 4 tests need redis-server, 1 test needs file-server" == missing
    assert last.startswith("19 passed, 4 skipped")


# -- a test that hangs ------------------------------------------------------------------------------------

_HANGS = """
import asyncio

async def never():
    await asyncio.Event().wait()

def test_that_hangs():
    asyncio.run(never())
"""


@pytest.mark.slow
def test_the_report_of_a_test_that_hangs_names_it_and_what_waits(tmp_path: Path) -> None:
    done = _run(tmp_path, "hanging", _HANGS, "--timeout", "1")

    assert 1 == done.returncode
    assert "test_that_hangs hangs." in done.stdout
    assert " in never\n" in done.stdout


# -- what a test leaves behind ----------------------------------------------------------------------------

_LEAVES = """
import socket

import pytest

from tests.support import leftovers

leftovers._SECONDS = 0.01
kept = []

@pytest.fixture(scope="module")
def shared():
    kept.append(socket.socket())
    yield
    kept[0].close()

def test_that_shares(shared):
    pass

def test_that_leaves(shared):
    kept.append(socket.socket())

def test_that_closes_what_was_left():
    kept.pop().close()

def test_that_fails():
    kept.append(socket.socket())
    assert False

@getattr(pytest.mark, "cook" + "book")
def test_that_runs_another_program():
    kept.append(socket.socket())

@pytest.mark.leaves_behind("so that another test finds it")
def test_on_purpose():
    kept.append(socket.socket())

@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_that_leaves_garbage():
    circle = [socket.socket()]
    circle.append(circle)
"""


@pytest.mark.slow
@pytest.mark.parametrize("asked", [False, True], ids=["always", "asked"])
def test_the_test_that_leaves_something_is_the_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, asked: bool
) -> None:
    """A shared fixture may keep things, a test may do so on purpose, and one that fails is told only once.

    Tests of other programs fail only where that is asked for.
    """
    monkeypatch.delenv("TOKENSTREAM_LEFTOVERS", raising=False)
    variables = {"TOKENSTREAM_LEFTOVERS": "1"} if asked else {}
    done = _run(tmp_path, "leftovers", _LEAVES, "-rA", **variables)
    words = [line.split() for line in done.stdout.splitlines() if line.startswith(("ERROR ", "FAILED "))]

    other = {("ERROR", "test_that_runs_another_program")} if asked else set[tuple[str, str]]()
    assert {(word, test.rpartition("::")[2]) for word, test, *_ in words} == {
        ("ERROR", "test_that_leaves"),
        ("FAILED", "test_that_fails"),
        *other,
    }
    # The summary may tell it once more.
    told, _, _ = done.stdout.partition("short test summary info")
    assert told.count("The test leaves behind:\n  an open socket") == 1 + asked


# -- products of tables ----------------------------------------------------------------------------------

_TABLES = """
import pytest

@pytest.mark.parametrize("digit", range(3))
@pytest.mark.parametrize("letter", "ab")
@pytest.mark.slow_rows("a-2")
def test_a_product(digit, letter):
    pass

@pytest.mark.pairs
@pytest.mark.parametrize("digit", range(3))
@pytest.mark.parametrize("letter", "ab")
def test_pairs(digit, letter):
    pass

@pytest.mark.parametrize("digit", range(4))
@pytest.mark.parametrize("letter", "abc")
@pytest.mark.parametrize("sign", "+-")
def test_three_tables(sign, letter, digit):
    pass

@pytest.mark.few_rows(3)
@pytest.mark.parametrize("digit", range(9))
def test_few(digit):
    pass

@pytest.mark.parametrize(("digit", "letter"), [(0, "a"), (1, "a"), (2, "b")])
def test_a_table(digit, letter):
    pass
"""


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 2), st.data())
def test_nothing_is_seen_less_often_than_it_should_be(
    sizes: list[int], size: int, data: st.DataObject
) -> None:
    full = list(product(*(range(each) for each in sizes)))
    items = data.draw(st.lists(st.sampled_from(full), min_size=1, unique=True))
    kept = covering(items, size)

    def seen(numbers: Iterable[int]) -> set[object]:
        return {each for at in numbers for each in combinations(enumerate(items[at]), min(size, len(sizes)))}

    assert seen(range(len(items))) == seen(kept)


@pytest.mark.slow
def test_the_markers_choose_what_runs_by_default(tmp_path: Path) -> None:
    def chosen(expression: str, name: str = "test_it.py", profile: str = "full") -> set[str]:
        options = ("--co", "-m", expression, name)
        said = _run(tmp_path, "products", _TABLES, *options, HYPOTHESIS_PROFILE=profile).stdout
        return {line.partition("::")[2] for line in said.splitlines() if "::" in line}

    usual, slow = chosen("not slow and not site"), chosen("slow")
    whole = {f"test_a_product[{letter}-{digit}]" for letter in "ab" for digit in range(3)}

    assert usual & slow == set()
    assert whole <= usual | slow
    assert "test_a_product[a-2]" in slow
    assert len(usual & whole) == 3
    assert {f"test_pairs[{letter}-{digit}]" for letter in "ab" for digit in range(3)} <= usual
    assert len([test for test in usual if test.startswith("test_few")]) == 3
    assert {f"test_few[{digit}]" for digit in range(9)} <= usual | slow
    assert {"test_a_table[0-a]", "test_a_table[1-a]", "test_a_table[2-b]"} <= usual

    triples = {
        f"test_three_tables[{sign}-{letter}-{digit}]"
        for sign in "+-"
        for letter in "abc"
        for digit in range(4)
    }
    seen = triples & (usual | slow)

    assert 12 <= len(seen) < 18
    assert len({test.partition("[")[2][1:] for test in seen}) == 12
    assert triples <= usual | chosen("slow", profile="thorough")
    assert triples <= usual | chosen("slow", "test_it.py::test_three_tables")
