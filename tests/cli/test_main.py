"""`python -m tokenstream`."""

from __future__ import annotations

import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import tokenstream
from tests.cli.commands import RECORDINGS, environment, posix, run
from tests.project import PACKAGE, PYPROJECT
from tests.support.sampling import sampled
from tokenstream import __version__
from tokenstream.cli import main


def test_the_module_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tokenstream", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(PACKAGE / "__main__.py"), run_name="__main__")

    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in ("demo", "inspect", "serve"):
        assert f"    {command} " in shown


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/usr/bin/tokenstream", "tokenstream"),
        ("C:/Scripts/tokenstream.exe", "tokenstream"),
        ("tokenstream-script.py", "tokenstream"),
        ("/lib/tokenstream/__main__.py", "python -m tokenstream"),
        ("-c", "python -m tokenstream"),
    ],
)
def test_help_and_errors_name_the_program_as_it_was_called(
    called: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The console script, or the module."""
    monkeypatch.setattr(sys, "argv", [called, "inspect", "--help"])
    with pytest.raises(SystemExit):
        main()
    helped = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [called, "inspect", "nothere.sse"])

    assert 1 == main()
    assert capsys.readouterr().err.startswith(f"{name}: error: nothere.sse cannot be read")
    assert helped.startswith(f"usage: {name} inspect ")
    assert f"| {name} inspect --json -" in helped


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main([])
    shown = capsys.readouterr()
    assert "" == shown.out
    assert "    demo      watch answers arrive, beside the code" in shown.err


@pytest.mark.parametrize("arguments", [["routes", "https://api.example.com/v1/messages"], ["agents"]])
def test_an_unknown_command_is_refused_with_those_that_there_are(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    said = capsys.readouterr().err

    assert 2 == caught.value.code
    assert f"invalid choice: '{arguments[0]}'" in said
    assert all(name in said for name in ("demo", "serve", "inspect"))


def test_a_program_that_calls_main_does_not_lend_it_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gunicorn"])

    assert 1 == main(["inspect", "nothere.sse"])
    assert capsys.readouterr().err.startswith("python -m tokenstream: error: ")


@pytest.mark.slow
def test_the_console_script_runs_the_same_program() -> None:
    script = shutil.which("tokenstream", path=sysconfig.get_path("scripts"))
    assert script is not None
    done = subprocess.run([script, "--version"], capture_output=True, check=False, env=environment())

    assert (0, run("--version").stdout) == (done.returncode, done.stdout)


def test_docs_prints_the_path_of_the_main_pages(capsys: pytest.CaptureFixture[str]) -> None:
    """A coding agent reads the file; the package's own text says where it lies."""
    assert main(["docs"]) == 0

    text = Path(capsys.readouterr().out.strip()).read_text("utf-8")
    assert text.count("\n<!-- docs/guides/") == 13
    assert {*re.findall(r"\]\(([\w/.-]+\.md)", text)} <= {*re.findall(r"<!-- docs/guides/(.+) -->", text)}
    assert "llms-path.txt" in (tokenstream.__doc__ or "")


def _version(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    (line,) = capsys.readouterr().out.splitlines()
    assert 0 == caught.value.code
    return line


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The package's, Python's, and those of the optional packages."""
    line = _version(capsys)

    assert line.startswith(f"tokenstream {__version__}, Python {platform.python_version()}, ")
    assert f", rich {metadata.version('rich')}" in line


def test_the_version_names_the_packages_of_each_extra_for_users(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An extra that is new is listed, too."""
    monkeypatch.setattr(metadata, "version", lambda _: "9.9")
    extras = PYPROJECT["project"]["optional-dependencies"]
    ours = {
        name: extra
        for name, extra in extras.items()
        if not name.startswith(("test", "lint", "bench", "docs"))
    }
    packages = {re.split(r"[>\[]", requirement)[0] for extra in ours.values() for requirement in extra}

    *_, found = _version(capsys).split(", ", 2)
    assert {f"{package} 9.9" for package in packages} == set(found.split(", "))


def test_without_extras_the_version_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)

    assert _version(capsys).endswith(", no extras")


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full, which only Linux has")


@pytest.mark.slow
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
        one_in=5,
    ),
)
def test_an_output_that_is_full_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        done = run(*arguments, stdout=nowhere)

    assert 1 == done.returncode
    assert done.stderr == (
        b"python -m tokenstream: error: the output cannot be written: No space left on device\n"
    )


@pytest.mark.slow
@posix
def test_without_an_output_the_status_tells_all_the_same() -> None:
    path = str(RECORDINGS / "text.sse")

    done = run("inspect", path, preexec_fn=lambda: os.close(1))

    assert (0, b"") == (done.returncode, done.stderr)
