"""An event loop of one's own, for what is asynchronous in a place that is not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["run_apart"]

ResultT = TypeVar("ResultT")


def run_apart(function: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run an async function to its end, in a thread of its own: another loop may run in this one.

    Args:
        function: The function.

    Returns:
        What it returns.
    """
    from anyio import run

    with ThreadPoolExecutor(1, thread_name_prefix="tokenstream-loop") as threads:
        return threads.submit(run, function).result()
