"""Engines ask the same rows, and a worker is killed: each row is right, and no answer is paid twice."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.machines.engines import ENGINES, Machines, Provider, person
from tests.support.packages import needed
from tests.support.timing import wait_for
from tokenstream import Purse

ROWS, BAD, SLOW, BOUND = 20, 7, 19, 1_000_000


def find_reader(port: int) -> int:
    """Return the process that is connected to a port of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [inode] = [line[9] for line in lines if line[2].endswith(f":{port:04X}") and line[3] == "01"]
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Some are gone by now, or another user's.
        with suppress(OSError):
            if str(link.readlink()) == f"socket:[{inode}]":
                return int(link.parts[2])
    raise AssertionError(port)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "asyncio"])
def test_a_worker_that_is_killed_costs_no_answer(engine: str, tmp_path: Path) -> None:
    """The others go on with their rows; the next one goes on with its row."""
    needed(engine)
    provider = Provider(bad=BAD, slow=SLOW)
    with Machines(tmp_path, engine, provider, ROWS) as machines, Redis.from_url(machines.redis) as client:
        store: Any = client
        run = machines.run()

        def is_in_the_middle() -> bool:
            """Return True once all other answers are kept."""
            kept = [store.get(key) for key in store.keys("people:[0-9]*")]
            return provider.hangs.is_set() and sum(b'"stop"' in each for each in kept) == ROWS - 2

        wait_for(is_in_the_middle, seconds=75, seen=lambda: machines.said)
        victim = find_reader(machines.port)
        os.kill(victim, signal.SIGKILL)
        if victim == run.pid:
            run.wait()
            run = machines.run()
        assert run.wait(90) == 0, machines.said
        spent = Purse(tokens=BOUND, redis=machines.redis, name="people:purse").tokens_spent

    log, files = machines.said, [*tmp_path.glob("answers.jsonl"), *tmp_path.glob("failed.jsonl")]
    lines = "".join(file.read_text() for file in files) or log
    rows = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    found: dict[int, Any] = {row["id"]: row for row in rows}
    good = [row for row in machines.table if row["id"] != BAD]
    assert [row | person(row["id"]) for row in good] == [found[row["id"]] for row in good]
    assert ("invalid_request", ROWS) == (found[BAD]["error"], len(found))
    assert f"row {BAD}: invalid_request" in log
    assert engine == "json" or f"{ROWS} of {ROWS}" in log
    assert {1} == set(provider.whole.values())
    assert provider.tokens <= spent <= BOUND
