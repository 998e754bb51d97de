"""Types of what `Steps.follow` takes; for type checkers alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

if TYPE_CHECKING:
    from tokenstream.limits import Deadlines


class TrioStream(Protocol):
    """A stream of bytes as trio has it."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray: ...


class AnyIOStream(Protocol):
    """A stream of bytes as anyio has it."""

    async def receive(self, max_bytes: int = 65536) -> bytes: ...


Lines: TypeAlias = IO[bytes] | IO[str] | list[str] | list[bytes]
"""The output of an agent that a `for` loop reads."""
AsyncLines: TypeAlias = asyncio.StreamReader | TrioStream | AnyIOStream
"""The output of an agent that an `async for` loop reads."""
ExitCode: TypeAlias = int | Callable[..., int | Awaitable[int] | None] | None
"""The exit code of an agent's process, or a function that returns it."""
Until: TypeAlias = Literal["turn", "idle"] | Callable[[Any], object] | None
"""The point at which a loop ends early."""


class FollowOptions(TypedDict, total=False):
    """The options of `Steps.follow` that every source takes."""

    agent: str | None
    exit_code: ExitCode
    stderr: IO[bytes] | IO[str] | AsyncLines | None
    deadlines: Deadlines
