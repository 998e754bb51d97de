"""The agent of these tests as a process."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

AGENT = [sys.executable, str(Path(__file__).with_name("agent.py"))]


@contextmanager
def started(**streams: Any) -> Generator[Any]:
    """Start the agent; it ends with its input, and is killed if it does not."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **streams}
    with subprocess.Popen(AGENT, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()
