"""Children of this process, which have what it has loaded and change it for themselves."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")


def in_children(tasks: Iterable[Callable[[], _T]], processes: int) -> Iterator[tuple[int, _T | None]]:
    """Yield the number of each task and what it returns, as soon as it ends; None of a child that died.

    What a child has started ends with it, and temporary folders of its tests are removed.
    """
    running: dict[int, tuple[int, Path]] = {}
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        try:
            for number, task in enumerate(tasks):
                if len(running) == processes:
                    yield _ended(running)
                place = Path(folder, str(number))
                place.mkdir()
                running[_started(task, place)] = number, place
            while running:
                yield _ended(running)
        finally:
            for child in running:
                os.kill(child, signal.SIGINT)
            while running:
                _ended(running)


def in_child(task: Callable[[], _T]) -> _T | None:
    """Return what a task returns in a child; None if the child dies."""
    ((_, result),) = in_children([task], 1)
    return result


def _started(task: Callable[[], object], place: Path) -> int:
    if child := os.fork():
        return child
    status = 1
    try:
        # A group of its own: see `_ended`.
        os.setsid()
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(place)
        (place / "result").write_bytes(pickle.dumps(task()))
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def _ended(running: dict[int, tuple[int, Path]]) -> tuple[int, Any]:
    child, status = os.wait()
    number, place = running.pop(child)
    # Programs that its tests have started and left.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    result = pickle.loads((place / "result").read_bytes()) if status == 0 else None
    shutil.rmtree(place, ignore_errors=True)
    return number, result
