"""What reaches a statement is counted by function, and once: by the first part that reaches it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.evidence import __main__ as program
from tests.evidence import parts
from tests.evidence.counts import Reached, reached
from tests.evidence.functions import functions
from tests.evidence.parts import PROGRAMS, Part, measure, settings
from tests.project import ROOT

_MODULE = '''"""A module."""

ALWAYS = 1


class Answer:
    """An answer."""

    def read(self, text):
        """Return the text."""
        if not text:
            return (
                ALWAYS
            )

        def inner():
            return text

        return inner()

    def promise(self):
        """Have no statement."""


def left():
    return 1
'''
_RUNS = {"recordings": "read('a')", "programs": "read('a'); Answer().read('')"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Reached]:
    """Return what two programs reach of a made package: the second one does more."""
    folder = tmp_path_factory.mktemp("made")
    package = folder / "made"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "room" / "module.py").write_text(_MODULE, encoding="utf-8")
    measured = dict[str, Path]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PACKAGE", package)
        for name, call in _RUNS.items():
            file = measured[name] = settings(folder / name)
            program = folder / f"{name}.py"
            program.write_text(f"from made.room.module import Answer\nAnswer().{call}", encoding="utf-8")
            command = [sys.executable, "-m", "coverage", "run", f"--rcfile={file}", str(program)]
            subprocess.run(command, cwd=folder, check=True)
            combine = [sys.executable, "-m", "coverage", "combine", f"--rcfile={file}", "-q"]
            subprocess.run(combine, cwd=folder, check=True)
    return reached(package, measured)


def test_docstrings_and_heads_are_no_part_of_a_functions_body() -> None:
    """A function within another one has its own body; its head is a statement of the outer one."""
    bodies = {each.name: sorted(each.body) for each in functions(_MODULE)}

    assert {
        "Answer.read": [11, 12, 13, 14, 15, 16, 18, 19],
        "Answer.read.inner": [17],
        "left": [26],
    } == bodies


@pytest.mark.slow
def test_a_statement_is_counted_once_for_what_reaches_it_first(found: list[Reached]) -> None:
    """One of several lines is one; what neither reaches is counted, too."""
    assert {
        "Answer.read": {11: "recordings", 12: "programs", 16: "recordings", 19: "recordings"},
        "Answer.read.inner": {17: "recordings"},
        "left": {26: "neither"},
    } == {each.function.name: dict(each.statements) for each in found}


def test_the_tests_that_run_programs_are_there() -> None:
    """A file or a test that is renamed would be left out."""
    for name in PROGRAMS.arguments:
        if name.startswith("tests/"):
            path, _, test = name.partition("::")
            assert (ROOT / path).exists()
            assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_without_recordings_of_servers_the_check_says_what_it_could_not_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contributor has none of them, and is told what keeps a change within the bound."""
    monkeypatch.setattr(program, "SHARED", tmp_path)

    assert program.main(["--check"]) == 0

    said = capsys.readouterr().out
    assert "those of this repository alone" in said
    assert "not checked: how many statements no recording and no program reaches" in said
    assert "tests/recordings/" in said


@pytest.mark.slow
def test_a_part_that_ends_early_is_an_error(tmp_path: Path) -> None:
    """Half of a measurement would look as if nothing reached the rest."""
    with pytest.raises(RuntimeError, match="ended with 1"):
        measure(Part("broken", "tests.evidence.not_there", ends=(0,)), tmp_path)
