"""The programs of docs/guides/money.md send no money twice, and none gets lost without being listed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.money.jobs import LEASE
from tests.money.provider import DONE, FORMATS, Provider
from tests.project import ROOT
from tests.support.effort import trials
from tests.support.redis_servers import RedisServer
from tokenstream.call_store import RedisCallStore

KILLS = trials(300)
"""How many processes are killed while they work; the store is killed beside every tenth of them."""
FEW_KILLS = trials(30)
"""How many are killed of each program for other providers and ways to recover."""
AGAIN = ("again", "")


class Jobs:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *command: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(command)}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def jobs(folder: Path, *arguments: str) -> Generator[Jobs]:
    """Give what starts processes, in a folder that has the bank's list of transfers."""
    program = [sys.executable, "-m", "tests.money.jobs", *arguments]
    with (
        (folder / "errors").open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            program,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        yield Jobs(process)


def make_job(number: int, rng: random.Random) -> tuple[str, dict[str, int]]:
    """Return the name of a job, and its transfers, each to somebody else."""
    name = f"job {number}"
    return name, {
        f"{who}-{number}": rng.randrange(1, 900) for who in ("ann", "ben", "eve")[: rng.randint(1, 3)]
    }


def read_exits(folder: Path) -> str:
    """Return the errors of programs that are neither the provider's nor the store's."""
    exits = folder / "exits"
    return exits.read_text(encoding="utf-8") if exits.exists() else ""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("bank", "format", "again", "most"),
    [
        ("plain", "openai-chat", "again", KILLS),
        ("keys", "openai-chat", "again", KILLS),
        *[
            (bank, format, again, FEW_KILLS)
            for bank, (format, again) in zip(cycle(["keys", "plain"]), product(FORMATS, AGAIN), strict=False)
        ],
    ],
)
def test_a_program_that_is_killed_again_and_again_sends_all_money_once_or_lists_it(
    tmp_path: Path, bank: str, format: str, again: str, most: int
) -> None:
    """Killed at random moments, alone or beside another process or its store, while the provider breaks.

    Any other end than the kill, the provider's break, other calls, or the store's error is a fault. A bank
    that takes keys gets all money, and nobody is asked.
    """
    seed = random.randrange(1 << 32)
    rng, asked, kills, jobs_done = random.Random(seed), dict[str, int](), Counter[str](), 0
    options = {"appendonly": "yes", "appendfsync": "always"}
    with (
        RedisServer(tmp_path, **options) as server,
        Provider(random.Random(seed + 1)) as provider,
        jobs(tmp_path, f"unix://{server.path}", provider.url, bank, format, again) as processes,
    ):
        longest = 0.1
        while kills["process"] < most:
            name, transfers = make_job(jobs_done, rng)
            asked |= transfers
            command = "work", name, json.dumps([*transfers.items()])
            for _ in range(rng.randrange(4)):
                running = [processes.ask(*command) for _ in range(rng.choice([1, 1, 2]))]
                time.sleep(rng.random() * longest)
                if rng.random() < 0.1:
                    server.kill()
                    server.start()
                    kills["store"] += 1
                for number in running:
                    os.kill(number, signal.SIGKILL)
                    kills["ended" if processes.ask("wait", number) >= 0 else "process"] += 1
            begun = time.monotonic()
            while processes.ask("wait", processes.ask(*command)):
                assert time.monotonic() < begun + 60, (seed, name, read_exits(tmp_path))
            longest = min(max(longest, time.monotonic() - begun), 2 * LEASE)
            jobs_done += 1

        with Redis(unix_socket_path=server.path, decode_responses=True) as client:
            listed: Any = client.hgetall("uncertain")
            # The store has one more if it was gone when the end of a transfer was to be stored.
            assert {*listed} <= {call.key for call in RedisCallStore(client).uncertain()}, seed
            keyed: Any = client.hgetall("bank")
            last: list[Any] = [client.lindex(f"history:job {number}", -1) for number in range(jobs_done)]

    assert not read_exits(tmp_path), seed
    lines = [*keyed.values()] if bank == "keys" else (tmp_path / "transfers.txt").read_text().splitlines()
    sent = Counter(lines)
    told = " ".join(listed.values())
    assert [] == [line for line, times in sent.items() if times > 1], seed
    assert sent.keys() <= {f"{to} {usd}" for to, usd in asked.items()}, seed
    assert [] == [to for to, usd in asked.items() if f"{to} {usd}" not in sent and f'"{to}"' not in told], (
        seed
    )
    assert bank == "plain" or not listed, seed
    assert all(DONE in turn for turn in last), seed
