"""The speech of the cookbook begins while the answer arrives, and holds nothing back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cookbook.programs import environment, write_program
from tests.support.timing import wait_for
from tokenstream import testing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the voice is a shell script")

_VOICE = """#!/bin/sh
printf '<%s' "$(cat)" >> spoken.txt
exec sleep 0.3
"""


@contextmanager
def _program(provider: testing.Server, folder: Path) -> Generator[subprocess.Popen[str]]:
    """Run the program with a voice that writes down what it says, and takes a while for each sentence."""
    for name in ("espeak-ng", "say"):
        (folder / name).write_text(_VOICE)
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    with subprocess.Popen(
        [sys.executable, str(write_program("speech", folder)), "Why?"],
        cwd=folder,
        env=environment(OPENAI_BASE_URL=f"{provider.url}/v1", PATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _spoken(folder: Path) -> list[str]:
    path = folder / "spoken.txt"
    return [words.strip() for words in path.read_text().split("<")[1:]] if path.exists() else []


def test_speech_begins_while_the_answer_arrives(tmp_path: Path) -> None:
    script = testing.script().text("It is far. It").silence(60).text(" is so far.").finish("stop")
    with testing.serve(script, pace="recorded") as provider, _program(provider, tmp_path):
        wait_for(lambda: bool(_spoken(tmp_path)), seconds=10)

        assert ["It is far."] == _spoken(tmp_path)
        assert "answering" == provider.exchanges[0].outcome


def test_an_answer_is_spoken_without_marks_of_markdown(tmp_path: Path) -> None:
    script = testing.script().text("It is **3.5 km**. It", " is far. Go!").finish("stop")
    with testing.serve(script) as provider, _program(provider, tmp_path) as program:
        printed, errors = program.communicate(timeout=20)

    assert ["It is 3.5 km.", "It is far.", "Go!"] == _spoken(tmp_path)
    assert ("It is 3.5 km. It is far. Go!", "") == (printed, errors)


def test_speaking_does_not_hold_back_reading(tmp_path: Path) -> None:
    numbers = [f"This is number {number}. " for number in range(9)]
    script = testing.script().text(*numbers).finish("stop")
    with testing.serve(script) as provider, _program(provider, tmp_path) as program:
        assert program.stdout is not None
        printed = program.stdout.read(len("".join(numbers)))

        assert "".join(numbers) == printed
        assert len(_spoken(tmp_path)) < 5


def test_a_broken_answer_is_spoken_as_far_as_it_came(tmp_path: Path) -> None:
    script = testing.script().text("It is far. ", "It is ", "so far.").finish("stop")
    fault = testing.faults.close(event=3)
    with testing.serve(script, fault=fault) as provider, _program(provider, tmp_path) as program:
        printed, _ = program.communicate(timeout=20)

    assert ["It is far.", "It is", "Sorry, I lost the connection."] == _spoken(tmp_path)
    assert "It is far. It is \nThe answer broke off (network).\n" == printed


def test_ctrl_c_stops_the_voice_and_leaves_the_provider(tmp_path: Path) -> None:
    """No sentence is begun after that."""
    script = testing.script().text("One is one. Two is two. Three").silence(60).text(".").finish("stop")
    with testing.serve(script, pace="recorded") as provider, _program(provider, tmp_path) as program:
        wait_for(lambda: bool(_spoken(tmp_path)), seconds=10)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=20)
        provider.exchanges[0].over.wait(10)

    assert "abandoned" == provider.exchanges[0].outcome
    assert "" == errors
    assert ["One is one."] == _spoken(tmp_path)
