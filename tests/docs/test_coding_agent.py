"""The example of a coding agent, with a program on the path that prints what the real agent has printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.examples import run_example
from tests.project import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="the program on the path is a script"),
]
FOLDER = ROOT / "tests/steps/agents/recordings"
PROGRAM = """#!{python}
import pathlib, sys
pathlib.Path(__file__ + ".arguments").write_text("\\n".join(sys.argv[1:]))
sys.stdout.buffer.write(pathlib.Path({lines!r}).read_bytes()[:{size}])
sys.stdout.flush()
sys.exit({exit_code})
"""


def ask_agent(
    folder: Path, program: str, lines: str, *arguments: str, size: int | None = None, exit_code: int = 0
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the example with a program that prints a recording; return its output, and the arguments."""
    fake = folder / program
    path = str(FOLDER / f"{lines}.jsonl")
    fake.write_text(PROGRAM.format(python=sys.executable, lines=path, size=size, exit_code=exit_code))
    fake.chmod(0o755)
    done = run_example("coding_agent.py", *arguments, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
    noted = folder / f"{program}.arguments"
    return done, noted.read_text().split("\n") if noted.exists() else []


@pytest.mark.parametrize(
    ("program", "lines", "tools"),
    [
        ("claude", "claude-code-own-two-tools-partial", ["Bash", "Bash"]),
        ("codex", "codex-own-exec-command", ["shell"]),
        ("gemini", "gemini-cli-own-tools", None),
        ("opencode", "opencode-own-run", None),
    ],
)
def test_the_example_prints_the_steps_and_the_tree(
    tmp_path: Path, program: str, lines: str, tools: list[str] | None
) -> None:
    done, given = ask_agent(tmp_path, program, lines, "mend the tests", program)
    shown, _, end = done.stdout.partition("\n\nmend the tests done ")
    names = [line.split()[1] for line in end.splitlines() if "── " not in line and "─ " in line][1:]

    assert (0, "") == (done.returncode, done.stderr)
    assert "mend the tests" == given[-1]
    assert "hello" in shown
    assert "\ndone" in end
    if tools is not None:
        assert len(tools) == len(names)
        assert all(f"\n{tool} " in shown for tool in tools)


def test_an_agent_that_dies_is_reported(tmp_path: Path) -> None:
    done, _ = ask_agent(
        tmp_path, "claude", "claude-code-own-two-tools-partial", "mend the tests", size=9_000, exit_code=3
    )

    assert 1 == done.returncode
    assert "I will run two commands." in done.stdout
    assert "\nfailed: StreamTruncated: " in done.stdout
    assert done.stderr.startswith("StreamTruncated: claude-code ended without the line that ends a turn")
    assert "exit code 3" in done.stderr


def test_an_agent_that_is_not_installed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done, _ = ask_agent(tmp_path, "claude", "claude-code-own-two-tools-partial", "mend the tests", "codex")

    assert (1, "", "codex is not installed, or not in a folder of PATH\n") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_without_a_task_the_example_says_how_it_is_called(tmp_path: Path) -> None:
    for arguments in ([], ["mend the tests", "nobody"]):
        done, given = ask_agent(tmp_path, "claude", "claude-code-own-two-tools-partial", *arguments)

        assert (1, "", []) == (done.returncode, done.stdout, given)
        assert "python examples/coding_agent.py TASK [AGENT]" in done.stderr
