"""The tests of the cookbook's support desk pass, record an answer once, and notice a worse application."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cookbook.programs import environment, write_program
from tokenstream import testing


def _pytest(program: Path, *arguments: str, **variables: str) -> str:
    """Run pytest on a program as the page says, and return what it printed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-o",
        "tokenstream=true",
        "-p",
        "no:cacheprovider",
        program.name,
    ]
    done = subprocess.run(
        [*command, "--rootdir=.", *arguments],
        cwd=program.parent,
        env=environment(PYTEST_ADDOPTS="", **variables),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_the_real_answer_is_asked_for_once(tmp_path: Path) -> None:
    program = write_program("testing-an-application", tmp_path)
    hours = testing.script().text("From nine ", "to five.").finish("stop")
    with testing.serve(hours) as provider:
        url = f"{provider.url}/v1"
        recorded = _pytest(program, "--record-streams", OPENAI_BASE_URL=url, OPENAI_API_KEY="a-secret-key")
        asked = [request.json["messages"][0]["content"] for request in provider.requests]
    played = _pytest(program)
    recording = tmp_path / "recordings" / "hours.rec"

    assert ["When are you open?"] == asked
    assert "5 passed" in recorded
    assert "5 passed" in played
    assert "From nine to five." == testing.Recording.load(recording).stream().final().text
    assert "a-secret-key" not in recording.read_text()


def test_without_a_recording_the_report_says_how_to_make_one(tmp_path: Path) -> None:
    report = _pytest(write_program("testing-an-application", tmp_path))

    assert "4 passed, 1 error" in report
    assert "--record-streams" in report


def test_an_application_that_does_not_catch_errors_fails_the_tests(tmp_path: Path) -> None:
    """A handler that lets the customer see a traceback is noticed by each of the three faults."""
    program = write_program("testing-an-application", tmp_path)
    good = program.read_text(encoding="utf-8")
    program.write_text(
        good.replace("except StreamError as error", "except KeyError as error"), encoding="utf-8"
    )

    assert "3 failed" in _pytest(program)
