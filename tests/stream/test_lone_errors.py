"""The only error of tasks that ran side by side is raised itself, with what it was caused by."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.support.uncollected import left_by_async
from tokenstream import Deadlines
from tokenstream.recovery._hedge import Contender, race
from tokenstream.recovery._open import AsyncOpener
from tokenstream.steps._program import AccompaniedReader
from tokenstream.stream._reading.reader import leave_group

pytestmark = pytest.mark.anyio


class Struck(BaseException):
    """Stands for what may strike any task, as a Ctrl-C does."""


async def strike() -> Any:
    await anyio.lowlevel.checkpoint()
    try:
        raise OSError("reset")
    except OSError as error:
        raise Struck from error


async def read_beside() -> None:
    await AccompaniedReader([anyio.sleep_forever]).read(strike)


async def leave_struck_group() -> None:
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    tasks.start_soon(strike)
    await leave_group(tasks)


async def hedge() -> None:
    opener = AsyncOpener(strike, "text")
    first, second = (Contender(strike, opener, None, Deadlines(), time.monotonic) for _ in range(2))
    await race(first, second, 0.0, lambda _: None)


each_place = pytest.mark.parametrize("run", [read_beside, leave_struck_group, hedge])


@each_place
async def test_the_error_keeps_its_cause(run: Callable[[], Awaitable[None]]) -> None:
    """Whoever reads the log sees why the task has failed, and no group around it."""
    with pytest.raises(Struck) as caught:
        await run()

    error = caught.value
    assert "OSError('reset')" == repr(error.__cause__) == repr(error.__context__)


@each_place
async def test_an_error_that_is_dropped_leaves_nothing(run: Callable[[], Awaitable[None]]) -> None:
    async def drop() -> None:
        with suppress(Struck):
            await run()

    assert {} == await left_by_async(drop)
