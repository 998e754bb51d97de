"""`python -m tokenstream`."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import RECORDINGS, run
from tests.project import PACKAGE
from tests.support.sampling import sampled


def test_the_module_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its help names the commands."""
    monkeypatch.setattr(sys, "argv", ["tokenstream", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(PACKAGE / "__main__.py"), run_name="__main__")

    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in ("demo", "inspect", "serve"):
        assert f"    {command} " in shown


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full, which only Linux has")


@full
@pytest.mark.parametrize(
    "arguments",
    sampled(
        [
            ["--help"],
            ["demo", "--fast"],
            ["inspect", str(RECORDINGS / "text.sse")],
            ["inspect", "--json", str(RECORDINGS / "text.sse")],
            ["serve", "--port", "0", str(RECORDINGS)],
        ],
        one_in=2,
    ),
)
def test_an_output_that_is_full_is_one_line(arguments: list[str]) -> None:
    """A failed write is reported once, with a status other than 0 and without a traceback."""
    with Path("/dev/full").open("wb") as nowhere:
        done = run(*arguments, stdout=nowhere)

    assert 1 == done.returncode
    assert done.stderr == (
        b"python -m tokenstream: error: the output cannot be written: No space left on device\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="closes file descriptors, which Windows has not")
def test_without_an_output_the_status_tells_all_the_same() -> None:
    """As in `… inspect answer.sse >&-`."""
    path = str(RECORDINGS / "text.sse")

    assert (0, b"") == _said(run("inspect", path, preexec_fn=lambda: os.close(1)))


def _said(done: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes]:
    return done.returncode, done.stderr
