"""One law over all that recovers an answer, in draws by seed: routes, cuts, hedges, purses, stores, leaves.

What is handed out is what a perfect connection hands out, or its beginning and an error; each call is handed
out and run at most once; each token that is billed is told once, in the reports, `stream.cost` and the purse.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.recovery.law.draws import Draw
from tests.recovery.law.laws import find_breaches
from tests.recovery.law.reading import Places, Seen, run
from tests.support.redis_servers import RedisServer, server

__all__ = ["server"]

# A body that is closed early leaves its generator to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

FIRST = int(os.environ.get("TOKENSTREAM_SEED", "0"))
DRAWS = int(os.environ.get("TOKENSTREAM_DRAWS", "6000"))
BLOCK = 250
"""The number of draws in a test."""


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with Redis(unix_socket_path=server.path) as client:
        yield client


def check(seed: int, redis: Redis, folder: Path) -> Seen:
    """Play a draw, and the process after it, and hold the laws; return what the first one had."""
    redis.flushall()
    draw, places = Draw.of(seed), Places(folder, redis)
    seen = run(draw, places)
    found = find_breaches(seen, places)
    if draw.view == "validated_calls" and draw.returns:
        found += find_breaches(run(draw.again(), places), places)

    repeated = f"TOKENSTREAM_SEED={seed} TOKENSTREAM_DRAWS=1 pytest -n 0 -m slow tests/recovery/law"
    assert not found, "\n".join([f"seed {seed}: repeat it with {repeated}", *found, repr(draw)])
    return seen


def test_the_law_holds_for_a_few_draws(redis: Redis, tmp_path: Path) -> None:
    """Among them are readers who leave at each gate, and answers that were asked for again in each way."""
    all_seen = [check(seed, redis, tmp_path) for seed in range(60)]

    gates = {seen.draw.leave.gate for seen in all_seen if seen.draw.leave is not None and seen.has_left}
    assert {"item", "wire", "purse", "turn"} == gates
    modes = {report.mode for seen in all_seen for report in seen.stream.attempts}
    assert {"start", "restart", "continue", "resume", "hedge"} == modes


@pytest.mark.slow
@pytest.mark.parametrize("block", range(FIRST, FIRST + DRAWS, BLOCK))
def test_the_law_holds_for_thousands_of_draws(block: int, redis: Redis, tmp_path: Path) -> None:
    for seed in range(block, min(block + BLOCK, FIRST + DRAWS)):
        check(seed, redis, tmp_path)
