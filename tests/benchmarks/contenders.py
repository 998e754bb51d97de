"""Other libraries, which may be missing, the event loop of asynchronous readers, and servers."""

from __future__ import annotations

import asyncio
import atexit
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.project import ROOT
from tests.support.proxies import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

Run = Callable[[], object]


def found(name: str) -> Any:
    """Return a module that may be missing; None where it is."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


@cache
def runner() -> asyncio.Runner:
    """Return the event loop of all asynchronous readers."""
    made = asyncio.Runner()
    atexit.register(made.close)
    return made


@contextmanager
def server(module: str, *arguments: str) -> Generator[int]:
    """Run a module of a server in another process, and wait until its port is open."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", module, str(port), *arguments], cwd=ROOT) as process:
        try:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
