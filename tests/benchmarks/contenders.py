"""Other libraries, which may be missing, and the event loop of asynchronous readers."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["Run", "found", "runner"]

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
