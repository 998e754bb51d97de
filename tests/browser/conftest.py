"""The chat of examples/, served as its users serve it, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.project import PACKAGE, ROOT
from tests.support.chromium import chromium, context, page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

__all__ = ["chat", "chromium", "context", "page", "url"]

_PATIENCE = 30.0


@contextmanager
def chat(folder: Path, *, pace: float) -> Generator[str]:
    """Serve the chat, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    said = folder / "said"
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "examples.chat.app:app",
        "--port",
        str(port),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{ROOT}",
        "CHAT_PACE": str(pace),
    }
    with (
        said.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            _await(url, process, said)
            yield url
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes], said: Path) -> None:
    due = time.monotonic() + _PATIENCE
    while time.monotonic() < due and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(said.read_text("utf-8", "replace"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chat(tmp_path_factory.mktemp("chat"), pace=0.02) as served:
        yield served
