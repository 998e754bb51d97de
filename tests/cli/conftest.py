"""Fixtures shared by the tests of the commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tokenstream.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names cannot reach a server on loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def inspected(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[Any]]]:
    """Run `inspect --json`, and return its status and its lines."""

    def inspect(*arguments: object) -> tuple[int, list[Any]]:
        status = main(["inspect", "--json", *map(str, arguments)])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return inspect


@pytest.fixture
def body(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(content: bytes) -> Path:
        path = tmp_path / "body"
        path.write_bytes(content)
        return path

    return written
