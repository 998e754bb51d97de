"""Workers that die behind a record of their answer: the next one goes on, and readers notice nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT
from tests.relay.journals import message_of
from tests.support.effort import in_steps
from tests.support.redis_servers import RedisServer
from tokenstream import testing
from tokenstream.relay.journal import Entry

pytestmark = pytest.mark.not_quick

TEXT = "A river does not mind a stone. It parts, goes around, and is one river again."


_PATHS = {"openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses"}


class Model:
    """A model that goes on with the text it is given, and counts the requests of each job.

    In the background, it writes the same answer for each job, and replays it from any event.
    """

    def __init__(self, kind: str) -> None:
        self._kind, self.asked, self.goes_on = kind, Counter[str](), False
        self.format: Any = "openai-responses" if kind == "background" else "openai-chat"

    def answer(self, request: testing.Request) -> testing.Recording:
        if self._kind == "background":
            if request.method == "POST":
                self.asked[request.json["input"]] += 1
            found = re.search(r"starting_after=(\d+)", request.path)
            return self._replay(int(found[1]) + 1 if found else 0)
        job, *turns = [str(turn["content"]) for turn in request.json["messages"]]
        self.asked[job] += 1
        so_far = turns[0] if turns else ""
        self.goes_on |= bool(so_far)
        text = "A river." if self._kind == "short" else TEXT
        script = testing.script()
        if self._kind == "reasoning" and not so_far:
            script = script.reasoning("I think of rivers.", " And of stones.")
        # A model repeats the end of what it goes on with.
        rest = [so_far[-20:]] * bool(so_far) + [
            text[at : at + 11] for at in range(len(so_far), len(text), 11)
        ]
        script = script.text(*rest)
        if self._kind == "call":
            script = script.tool_call("pay", {"usd": 100})
        return script.finish("tool_calls" if self._kind == "call" else "stop").recording(self.format)

    @staticmethod
    def _replay(first: int) -> testing.Recording:
        """Return the answer from an event on, slow enough for one record in each write."""
        script = testing.script().text(*[TEXT[at : at + 11] for at in range(0, len(TEXT), 11)])
        chunks = script.finish().chunks("openai-responses")[first:]
        return testing.Recording(
            tuple(
                testing.Arrival(0.04 * number, chunk.replace(b'"background":false', b'"background":true'))
                for number, chunk in enumerate(chunks)
            ),
            headers={"content-type": "text/event-stream"},
        )


def told(records: list[str]) -> tuple[Any, ...]:
    """Return what a reader of these records has in the end."""
    entries = [Entry(at, record.encode(), replayed=False) for at, record in enumerate(records, 1)]
    message, error = message_of(entries)
    calls = [(call.name, call.arguments) for call in message.tool_calls]
    return message.text, message.reasoning, calls, message.ending, error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "call", "short", "reasoning", "background"])
def test_readers_have_the_whole_answer_whenever_a_worker_dies(kind: str, tmp_path: Path) -> None:
    """Killed, halted until the answer has ended, or told to end; and its successor killed, too."""
    model = Model(kind)
    with RedisServer(tmp_path) as redis, testing.serve(model.answer, pace="recorded") as server:

        def run(*jobs: str) -> dict[str, list[str]]:
            url = f"{server.url}{_PATHS[model.format]}"
            command = [sys.executable, "-m", "tests.relay.taken_over", redis.path, url, *jobs]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            results = [json.loads(line) for line in done.stdout.splitlines()]
            assert [each for each in results if each["early"] != each["late"]] == []
            return {each["job"]: each["early"] for each in results}

        whole = run(kind)[kind]
        jobs = list[str]()
        for at in range(1, len(whole), in_steps(3)):
            jobs += [f"{kind} {at} killed", f"{kind} {at} halted", f"{kind} {at} ended"]
            jobs.append(f"{kind} {at} killed {at + 3} killed")
        found = dict[str, list[str]]()
        for first in range(0, len(jobs), 4):
            found |= run(*jobs[first : first + 4])

    assert {job: told(records) for job, records in found.items()} == dict.fromkeys(jobs, told(whole))
    if kind == "background":
        # A model is asked once, whatever becomes of the workers.
        assert model.asked == dict.fromkeys([kind, *jobs], 1)
        assert [job for job in jobs if any('"restarted"' in record for record in found[job])] == []
        return
    # A short text could not be found again, so it is asked for anew.
    assert model.goes_on == (kind != "short")
    assert [job for job in jobs if model.asked[job] > len(job.split()) // 2 + 1] == []
