"""Fixtures shared by the tests of the commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tokenstream.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Shown, Told

pytestmark = pytest.mark.not_quick


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names cannot reach a server on loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Run `inspect`, and return its status and what it prints; bytes are the contents of a file."""

    def inspect(*arguments: object) -> tuple[int, str]:
        file = tmp_path / "body"
        for content in arguments:
            if isinstance(content, bytes):
                file.write_bytes(content)
        names = [str(file if isinstance(argument, bytes) else argument) for argument in arguments]
        return main(["inspect", *names]), capsys.readouterr().out

    return inspect


@pytest.fixture
def inspected(shown: Shown) -> Told:
    """Run `inspect --json`, and return its status and its lines."""

    def inspect(*arguments: object) -> tuple[int, list[Any]]:
        status, lines = shown("--json", *arguments)
        return status, list(map(json.loads, lines.splitlines()))

    return inspect


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run `doctor --json`, and return its status and its verdict with the evidence."""

    def examine(*arguments: str) -> tuple[int, Any]:
        return main(["doctor", "--json", *arguments]), json.loads(capsys.readouterr().out)

    return examine
