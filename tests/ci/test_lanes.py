"""Lanes run side by side, in their order, and each tells how it went."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.ci.checks import COMPARE, ROOT, SLOW, Checks, check_count, contributors_commands, run_tests
from tests.ci.lanes import Failed, Lane, Shell, chosen, notes, run_lanes
from tests.project import PYPROJECT


def _nothing(_: Shell) -> None:
    pass


def _python(code: str, **variables: str) -> Callable[[Shell], None]:
    return lambda shell: shell.run(sys.executable, "-c", code, variables=variables)


def _names(lanes: list[Lane]) -> list[str]:
    return [lane.name for lane in lanes]


def test_a_lane_begins_after_those_that_it_waits_for_also_if_they_fail(tmp_path: Path) -> None:
    """A lane that needs what has failed fails by itself, and says more than that it was left out."""
    order = list[str]()

    def fail(_: Shell) -> None:
        order.append("install")
        raise Failed("no network")

    lanes = [
        Lane("test", lambda _: order.append("test"), ["install", "build"]),
        Lane("build", lambda _: order.append("build"), ["install"]),
        Lane("install", fail),
    ]

    outcomes = run_lanes(lanes, 3, tmp_path)

    assert ["install", "build", "test"] == order
    assert [("install", "no network"), ("build", ""), ("test", "")] == [
        (each.lane.name, each.error) for each in outcomes
    ]


def test_what_a_lane_says_is_printed_whole_when_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands, both of their outputs, and how it went."""
    code = "import os, sys; print(os.environ['SAID'], flush=True); sys.exit('and ended')"

    (outcome,) = run_lanes([Lane("talk", _python(code, SAID="hello"))], 1, tmp_path)
    lines = capsys.readouterr().out.splitlines()

    assert ["... talk", "", "=== talk"] == lines[:3]
    assert ["hello", "and ended"] == lines[-3:-1]
    assert lines[-1].startswith("--- talk: FAILED (")
    assert f"{sys.executable} ended with 1" == outcome.error


def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "said.txt", minutes=0.1 / 60)

    with pytest.raises(Failed, match="ended with -9"):
        shell.run(sys.executable, "-c", "import time; time.sleep(600)")


def test_lanes_are_chosen_with_what_they_wait_for() -> None:
    lanes = [
        Lane("install", _nothing),
        Lane("build", _nothing, ["install"]),
        Lane("types", _nothing, ["install"]),
        Lane("wheel", _nothing, ["build"]),
        Lane("newest", _nothing, ["install"], only_by_name=True),
    ]

    assert ["install", "build", "wheel"] == _names(chosen(lanes, ["wheel"]))
    assert ["install", "newest"] == _names(chosen(lanes, ["newest"]))
    assert _names(lanes[:-1]) == _names(chosen(lanes, []))
    with pytest.raises(KeyError, match="weel"):
        chosen(lanes, ["weel"])


_FAILING_ONCE = """
import pathlib, sys

SEEN = pathlib.Path(__file__).with_name("seen")

def test_fails_once():
    seen = SEEN.exists()
    SEEN.touch()
    assert seen

def test_passes():
    assert True
"""


@pytest.mark.slow
def test_a_test_that_failed_beside_other_lanes_is_tried_again_alone(tmp_path: Path) -> None:
    """The end of all lanes says which. A test that fails twice fails its lane, and one without a reason."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_it.py").write_text(_FAILING_ONCE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "0", "-q", "-c", os.devnull]

    def test(shell: Shell, again: str = "it has a clock") -> None:
        words = [*command, "--rootdir", str(folder), str(folder)]
        run_tests(shell, tmp_path, folder, words, again=again, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    [without] = run_lanes([Lane("without", partial(test, again=""))], 1, tmp_path)
    (folder / "seen").unlink()
    [once] = run_lanes([Lane("once", test)], 1, tmp_path)
    said = (tmp_path / "0.txt").read_text(encoding="utf-8")
    (folder / "test_it.py").write_text("def test_it(): assert False", encoding="utf-8")
    [twice] = run_lanes([Lane("twice", test)], 1, tmp_path)

    assert (True, False, "") == (bool(without.error), without.tried_again, notes([without]))
    assert ("", True) == (once.error, once.tried_again)
    assert notes([once]).startswith("once: tried again after FAILED test_it.py::test_fails_once")
    assert "1 failed, 1 passed" in said
    assert "1 passed" in said.partition("1 failed, 1 passed")[2]
    assert (True, True) == (bool(twice.error), twice.tried_again)


def test_the_page_for_contributors_says_what_each_lane_is_for(tmp_path: Path) -> None:
    """Two are not on every machine: they need recordings beside the checkout, and its history."""
    page = (ROOT / ".github" / "checks.md").read_text(encoding="utf-8")
    pythons = {tag: f"python{tag}" for tag in ("3.11", "3.12", "3.13")}

    lanes = {re.sub(r" 3\.\d+", " …", lane.name) for lane in Checks(tmp_path, pythons).lanes()}
    rows = re.findall(r"^\| ([^|]*) \|", page.partition("| lane |")[2], re.MULTILINE)

    assert lanes | {"recordings"} == set(rows)


def test_the_page_for_contributors_has_three_commands() -> None:
    """A lane runs them in their order; the checks that it has have lanes of their own only by name."""
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    commands = re.findall(r"(?ms)^```sh\n(.*?)^```", page)
    alone = [lane.name for lane in Checks(ROOT, {"3.11": "python3.11"}).lanes() if lane.only_by_name]

    assert ["python3", "pytest", "ruff"] == [command.split()[0] for command in commands]
    assert len(alone) - 4 == len(commands[2].split("&&"))


def test_the_number_of_tests_in_the_readme_is_that_of_the_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = re.search(r" some ([\d,]+), in ", readme)
    assert told is not None
    right = int(told[1].replace(",", ""))

    check_count(
        f"== 9 passed in 1.00s ==\n=== {right - 900} passed, 290 skipped, 7 deselected in 2s ===\n", readme
    )
    with pytest.raises(Failed, match="write some 20,000"):
        check_count("== 19990 passed in 1.00s ==\n", readme)


def test_a_contributor_runs_no_command_of_the_readme_twice(tmp_path: Path) -> None:
    """What differs in a word is another command. A shell of its own enters the environment again."""
    (tmp_path / ".github").mkdir()
    pages = {
        "README.md": "```sh\nuvx demo\n```\n```sh\nmake venv && . venv/on && add tests && pytest\n```\n",
        ".github/CONTRIBUTING.md": "```sh\nmake venv && . venv/on && add tests lint\n```\n"
        "```sh\npytest\n```\n```sh\npytest -x && mypy\n```\n",
    }
    for name, text in pages.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert [". venv/on", "add tests lint", "pytest -x", "mypy"] == contributors_commands(tmp_path).split("\n")
    assert "pytest" not in contributors_commands(ROOT).split("\n")
    assert {"README: tests", "CONTRIBUTING"} == {
        lane.name for lane in chosen(Checks(ROOT, {"3.11": "python3.11"}).lanes(), ["CONTRIBUTING"])
    }


_ELSEWHERE = {mark: f"tests/{mark}" for mark in ("browser", "cookbook", "site")}
_ELSEWHERE["agents"] = "tests/compare/agents"
"""Marks that the slow tests leave to lanes of their own, and where the tests are that have them."""


def test_what_the_slow_tests_leave_out_has_a_lane() -> None:
    options = PYPROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    lines = (ROOT / "tests" / "ci" / "checks.py").read_text(encoding="utf-8").splitlines()
    run = {
        mark
        for mark, folder in _ELSEWHERE.items()
        for line in lines
        if re.search(rf"{folder} -m '?{mark}\b|all_speeds}} {folder}\b", line)
    }

    assert run == {*_ELSEWHERE}
    assert run == {*re.findall(r"not (\w+)", SLOW)}
    assert {"slow", *run} == {*re.findall(r"not (\w+)", options[options.index("-m") + 1])}


def test_the_folder_that_pytest_leaves_out_has_lanes() -> None:
    """One runs all of it but real agents, of whatever speed, and another those."""
    left_out = [name for name in PYPROJECT["tool"]["pytest"]["ini_options"]["norecursedirs"] if "/" in name]
    selection = COMPARE.partition("'")[2].partition("'")[0]

    assert left_out == [COMPARE.split()[1]]
    assert [] == [mark for mark in re.findall(r"not (\w+)", selection) if mark not in _ELSEWHERE]
    assert "not" in selection


@pytest.mark.parametrize("mark", _ELSEWHERE)
def test_a_mark_of_a_lane_of_its_own_is_in_its_folder_alone(mark: str) -> None:
    """The lane looks at no other tests."""
    is_marked = re.compile(rf"^(@|pytestmark = .*)pytest\.mark\.{mark}\b", re.MULTILINE)
    marked = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if is_marked.search(path.read_text(encoding="utf-8"))
    }

    assert [] == [name for name in marked if not name.startswith(f"{_ELSEWHERE[mark]}/")]
    assert marked or mark == "cookbook"
