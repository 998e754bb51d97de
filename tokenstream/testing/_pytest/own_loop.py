"""A separate event loop, for running async code from sync code."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ResultT = TypeVar("ResultT")


def run_apart(function: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run an async function to its end in a loop and thread of its own, beside any loop that is running."""
    from anyio import run

    with ThreadPoolExecutor(1, thread_name_prefix="tokenstream-loop") as threads:
        return threads.submit(run, function).result()
