"""Processes whose pipes are streams of asyncio, of trio, or of anyio on either."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import trio

from tests.support.timing import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

KINDS = ("asyncio", "trio", "anyio-asyncio", "anyio-trio")
_PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


@asynccontextmanager
async def _asyncio_process(command: list[str]) -> AsyncGenerator[Any]:
    process = await asyncio.create_subprocess_exec(*command, **_PIPES)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        # asyncio closes the pipes of a process that has ended only when the loop runs again.
        vars(process)["_transport"].close()


@asynccontextmanager
async def _trio_process(command: list[str]) -> AsyncGenerator[Any]:
    process = await trio.lowlevel.open_process(command, **_PIPES)
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                assert stream is not None
                await stream.aclose()


@asynccontextmanager
async def _anyio_process(command: list[str]) -> AsyncGenerator[Any]:
    async with await anyio.open_process(command, **_PIPES) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


def run_with_process(kind: str, command: list[str], test: Callable[[Any], Awaitable[None]]) -> None:
    opened = {"asyncio": _asyncio_process, "trio": _trio_process}.get(kind, _anyio_process)

    async def main() -> None:
        with anyio.fail_after(PATIENCE):
            async with opened(command) as process:
                await test(process)

    anyio.run(main, backend="trio" if "trio" in kind else "asyncio")
