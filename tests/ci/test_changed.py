"""The tests that a change concerns, among those that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.ci import changed
from tests.ci.changed import WAITING, concerned, concerned_since, modules_that_wait
from tests.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_changed_test_is_concerned_if_it_waits() -> None:
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
        each for each in modules_that_wait() if each.startswith(("tests/session/", "tests/_sources/"))
    ]


def test_every_folder_that_waits_is_there() -> None:
    """A folder that has moved would be left out silently."""
    assert [folder for folder in WAITING if not any((ROOT / folder).rglob("test_*.py"))] == []


def test_without_a_history_all_that_waits_is_concerned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the files may have none."""
    everything = modules_that_wait()
    monkeypatch.setattr(changed, "ROOT", tmp_path)
    monkeypatch.setattr(changed, "modules_that_wait", lambda: everything)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert concerned_since() == everything
