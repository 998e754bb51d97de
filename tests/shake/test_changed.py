"""The tests that a change concerns, among those that wait."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT
from tests.shake import changed
from tests.shake.changed import (
    WAITING,
    begun_at,
    changed_since,
    concerned,
    concerned_since,
    modules_that_wait,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_changed_test_is_concerned_if_it_waits() -> None:
    """A module of the tests that waits for nothing is not."""
    assert concerned(["tests/session/test_live.py", "tests/formats/test_none.py"]) == [
        "tests/session/test_live.py"
    ]


def test_a_changed_helper_concerns_what_imports_it_directly_or_not() -> None:
    """The scripted servers of sessions are used in other folders as well."""
    found = concerned(["tests/session/servers.py"])

    assert {"tests/session/test_live.py", "tests/relay/test_session_websocket.py"} <= {*found}
    assert "tests/session/test_turns.py" not in found


def test_a_changed_room_concerns_its_folder() -> None:
    """Rooms whose tests wait for nothing concern none."""
    assert concerned(["tokenstream/formats/_base.py", "docs/index.md"]) == []
    found = concerned(["tokenstream/session/_live.py", "tokenstream/_sources/kinds.py"])
    assert found == [
        each for each in modules_that_wait() if each.startswith(("tests/session/", "tests/sources/"))
    ]


def test_every_folder_that_waits_is_there() -> None:
    """A folder that has moved would be left out silently."""
    assert [folder for folder in WAITING if not any((ROOT / folder).rglob("test_*.py"))] == []


class _Checkout:
    """A history of commits, each with a file of its own and of this many hours after the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git("init", "-q", "-b", "main")

    def commit(self, name: str, hour: int) -> None:
        (self._folder / name).write_text(name, encoding="utf-8")
        self._git("add", name)
        self._git("commit", "-q", "-m", name, date=f"{1_700_000_000 + 3_600 * hour} +0000")

    def leave(self, branch: str) -> None:
        self._git("checkout", "-q", "-b", branch, "--track", "main")

    def _git(self, *words: str, date: str = "") -> None:
        who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {f"GIT_{role}_DATE": date for role in ("AUTHOR", "COMMITTER") if date}
        subprocess.run(["git", *words], cwd=self._folder, env={**os.environ, **who, **dates}, check=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Checkout:
    """A checkout with three commits, of which the first is older than a day."""
    monkeypatch.setattr(changed, "ROOT", tmp_path)
    made = _Checkout(tmp_path)
    for hour, name in ((0, "old.py"), (20, "yesterday.py"), (30, "today.py")):
        made.commit(name, hour)
    return made


@pytest.mark.usefixtures("checkout")
def test_where_nothing_has_left_its_upstream_a_day_of_changes_counts(tmp_path: Path) -> None:
    """What is not committed counts as well."""
    (tmp_path / "new.py").touch()

    assert changed_since(begun_at()) == ["new.py", "today.py", "yesterday.py"]


def test_a_branch_counts_from_where_it_has_left_its_upstream(checkout: _Checkout) -> None:
    """However long ago that was."""
    checkout.leave("work")
    checkout.commit("first.py", 40)
    checkout.commit("second.py", 140)

    assert changed_since(begun_at()) == ["first.py", "second.py"]


def test_without_a_history_all_that_waits_is_concerned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the files may have none."""
    monkeypatch.setattr(changed, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert concerned_since() == [*WAITING]
