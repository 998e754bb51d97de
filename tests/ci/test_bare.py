"""The machine of README's lanes has Python, git and the tools of POSIX, and nothing else of this one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ci.bare import BareMachine
from tests.ci.lanes import Failed, Shell

pytestmark = pytest.mark.slow

_LOOK = """
env
echo user $(id -u)
echo beside $(ls -A ..), at home $(ls -A "$HOME")
for program in git sh sed python3 pip uv node npm docker nginx redis-server chromium; do
    command -v $program >/dev/null && echo has $program || echo lacks $program
done
git config user.name || echo nobody commits
python3 -c 'print(__import__("sys").flags.isolated, "is Python")'
"""


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that every user may pass through, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_a_bare_machine_shows_nothing_of_the_one_that_it_is_on(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENSTREAM_REQUIRE_SDKS", "1")
    monkeypatch.setenv("PYTHONPATH", "nowhere")
    monkeypatch.setenv("PIP_TIMEOUT", "99")
    shell, machine = Shell(work / "said.txt"), BareMachine(work)
    machine.clone.mkdir()

    machine.run(shell, _LOOK, TOKENSTREAM_MOST_SECONDS="5")
    lines = shell.said().splitlines()
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    has = {line.removeprefix("has ") for line in lines if line.startswith("has ")}

    assert {"git", "sh", "sed", "python3"} == has
    assert {"nobody commits", "0 is Python", "beside a clone, at home"} <= {line.rstrip() for line in lines}
    assert {"C", "99", "5"} == {
        variables[name] for name in ("LANG", "PIP_TIMEOUT", "TOKENSTREAM_MOST_SECONDS")
    }
    assert {"TOKENSTREAM_REQUIRE_SDKS", "PYTHONPATH"}.isdisjoint(variables)
    assert all(" " in variables[name] and "ü" in variables[name] for name in ("HOME", "TMPDIR"))
    assert "user 0" not in lines


def test_a_command_runs_once(work: Path) -> None:
    """What fails there fails its lane."""
    shell, machine = Shell(work / "said.txt"), BareMachine(work)
    machine.clone.mkdir()

    machine.run(shell, "echo before >>tries")
    with pytest.raises(Failed, match="sh ended with 3"):
        machine.run(shell, "echo one try >>tries; exit 3")
    assert ["before", "one try"] == (machine.clone / "tries").read_text(encoding="utf-8").splitlines()
