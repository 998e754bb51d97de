"""Nothing of what has read an agent's events waits for the garbage collector; only its run is kept.

A run itself is a tree whose steps know the run and the steps around them. Whoever keeps a step keeps all of
it, and the collector frees it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.steps.follow.support import GRAPH
from tests.support.tables import in_one_test
from tests.support.uncollected import left_beside, left_by, left_by_async
from tokenstream import Steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RECORDINGS = Path(__file__).parent / "agents" / "recordings"
AGENTS = ("acp-own-opencode", "claude-code-own-two-tools-partial", "codex-server-own-app-server")
RUNS: dict[str, list[Any]] = {
    "a graph": GRAPH,
    **{name: (RECORDINGS / f"{name}.jsonl").read_text("utf-8").splitlines() for name in AGENTS},
}


@in_one_test("events", RUNS.values(), ids=RUNS)
def test_a_run_that_was_followed_leaves_nothing_but_its_steps(events: list[Any]) -> None:
    def run() -> Steps:
        with Steps() as kept:
            list(kept.follow(events))
        return kept

    assert left_beside(run) == {}


def test_a_run_that_was_left_early_leaves_nothing() -> None:
    def run() -> None:
        with Steps() as left, left.follow(GRAPH) as followed:
            for _ in followed:
                break

    assert left_by(run) == {}


@pytest.mark.anyio
async def test_an_asynchronous_run_that_was_left_early_leaves_nothing() -> None:
    async def events() -> AsyncIterator[Any]:
        for event in GRAPH:
            await anyio.lowlevel.checkpoint()
            yield event

    async def run() -> None:
        with Steps() as left:
            async with left.follow(events()) as followed:
                async for _ in followed:
                    break

    assert await left_by_async(run) == {}
