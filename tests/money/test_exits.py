"""The programs of docs/guides/money.md end with no error of their own, wherever a provider breaks."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from tests.money.jobs import EXPECTED, load
from tests.money.provider import DONE, FORMATS, Provider
from tests.support.redis_servers import RedisServer, server

__all__ = ["server"]

JOBS = 6
"""How many jobs each program works on, of three transfers each."""


@pytest.mark.parametrize("bank", ["plain", "keys"])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_a_program_ends_with_what_it_was_asked_for_or_with_the_error_of_the_provider(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, again: bool, bank: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "")
    seed = random.randrange(1 << 32)
    with Redis(unix_socket_path=server.path, decode_responses=True) as client:
        client.flushall()
        with Provider(random.Random(seed)) as provider:
            program = load(f"unix://{server.path}", provider.url, bank, format, again)
            for number in range(JOBS):
                transfers = [(f"{who}-{number}", 5) for who in ("ann", "ben", "eve")]
                text = ""
                while not text:
                    try:
                        text = program["work"](f"job {number}", json.dumps(transfers))
                    except EXPECTED as error:
                        sys.stderr.write(f"{type(error).__name__}\n")
                assert DONE in text, seed
        by_key = [*client.hgetall("bank").values()]
        assert not program["store"].uncertain(), seed

    sent = Counter(by_key if bank == "keys" else (tmp_path / "transfers.txt").read_text().splitlines())
    assert 3 * JOBS == len(sent), seed
    assert {1} == {*sent.values()}, seed
