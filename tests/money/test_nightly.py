"""The batch of docs/guides/money.md never spends more than its purse has, however often it is killed."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.money.provider import Served
from tests.project import ROOT
from tests.support.replies import reply
from tests.support.wire import DONE, sse
from tokenstream import Purse
from tokenstream.testing import Recording, Request

KILLS = 6
LAST_RUNS = 10
"""The most runs to the end: a row that breaks off in each of its attempts is left to the next one."""
ROWS = 120
WORDS = 40
INPUT_PRICE, OUTPUT_PRICE = 0.25e-6, 2e-6
"""What the table of prices says of gpt-5-mini, for a token."""


def write(question: str) -> list[str]:
    return [f"{question}.{number} " for number in range(WORDS)]


class Provider(Served):
    """Answers a question with its own words, breaks in every fifth answer, and adds up what that has cost."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.asked = threading.Event()
        """Set by each request."""
        self.cost = 0.0
        """The cost of all requests, with what was sent of each answer that has broken off."""

    def answer(self, request: Request) -> Recording:
        self.asked.set()
        asked: Any = request.json
        words = write(asked["messages"][0]["content"])
        if len(asked["messages"]) > 1:
            # It goes on behind what it has said, of which it repeats the last words.
            words = words[max(0, len(asked["messages"][1]["content"].split()) - 4) :]
        deltas = [{"index": 0, "delta": {"content": word}} for word in words]
        events: list[Any] = [{"choices": [each]} for each in deltas]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": len(words)}})
        chunks = [sse({"id": "c", "model": "gpt-5-mini", **event}) for event in events] + [DONE]
        sent = chunks[: self.rng.randrange(len(chunks)) if self.rng.random() < 0.2 else None]
        self.cost += 20 * INPUT_PRICE + min(len(sent), len(words)) * OUTPUT_PRICE
        return reply((0.0005, chunk) for chunk in sent)


def start(folder: Path, url: str, most: float) -> subprocess.Popen[str]:
    """Start the program of the page, with the price of the real address for that of the test's."""
    *_, program = blocks((ROOT / "docs" / "guides" / "money.md").read_text(encoding="utf-8"), "python")
    # The table knows prices by address, and the test's is another one.
    setup = f"""
import tokenstream
ask = tokenstream.connect
def price(usage):
    return (usage.input_tokens or 0) * {INPUT_PRICE} + (usage.output_tokens or 0) * {OUTPUT_PRICE}
def connect(url, json, headers, retry):
    return ask(tokenstream.Route(url, json=json, headers=headers, price=price), retry=retry)
tokenstream.connect = connect
"""
    code = program.code.replace("most=2.0", f"most={most}").replace("attempts=3,", "attempts=3, wait=0.01,")
    assert "attempts=3, wait=0.01" in code
    environment = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", setup + code],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_batch_that_is_killed_again_and_again_stays_within_its_budget(tmp_path: Path) -> None:
    """Two processes work at a time, of which one is killed; no row is written twice."""
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    questions = [f"q{row:03d}" for row in range(ROWS)]
    (tmp_path / "questions.txt").write_text("\n".join(questions))
    # All rows cost 0.012, and each kill leaves 0.004 taken: often, that is too much.
    most, said = round(rng.uniform(0.01, 0.08), 3), ""
    with Provider(random.Random(seed + 1)) as provider:
        for _ in range(KILLS):
            provider.asked.clear()
            beside, victim = (start(tmp_path, provider.url, most) for _ in range(2))
            while not provider.asked.wait(0.01) and victim.poll() is None:
                pass
            time.sleep(rng.random() * 0.4)
            victim.send_signal(signal.SIGKILL)
            beside.send_signal(signal.SIGKILL if rng.random() < 0.5 else signal.SIGINT)
            for process in (victim, beside):
                said += process.communicate()[0]
            if victim.returncode != -signal.SIGKILL:
                # Nothing is left to do, or nothing to spend.
                break
        for _ in range(LAST_RUNS):
            last = start(tmp_path, provider.url, most).communicate()[0]
            said += last
            if "which the next run tries again" not in last or "the purse has no room" in last:
                break

        [purse] = tmp_path.glob("*.purse")
        spent = Purse(most=most, file=purse).spent
        assert provider.cost <= spent <= most, seed
    with closing(sqlite3.connect(tmp_path / "answers.db")) as database:
        rows = database.execute("SELECT row, text FROM answers").fetchall()
    assert len({row for row, _ in rows}) == len(rows), seed
    assert [] == [(row, text) for row, text in rows if text != "".join(write(questions[row]))], seed
    assert len(rows) == ROWS or "the purse has no room" in said, (seed, said)
