"""Engines that run the programs of docs/guides/many-machines.md, and the provider that these ask."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cookbook.programs import EXAMPLES, environment
from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.proxies import free_port
from tests.support.redis_servers import RedisServer
from tests.support.replies import refusal, reply
from tokenstream import testing
from tokenstream.testing import Recording, Request

PAGE = ROOT / "docs" / "guides" / "many-machines.md"
NAMES = ("rows", "celery_rows", "dbos_rows", "temporal_rows", "lambda_rows", "tables")
"""The programs of the page, in their order."""
WITH_NEW_SQLITE = """
import runpy, sys, pysqlite3
sys.modules["sqlite3"] = pysqlite3
runpy.run_path(sys.argv[1], run_name="__main__")
"""
LAMBDA = """
import json, lambda_rows, rows
records = [{"messageId": f"{row['id']}", "body": json.dumps(row)} for row in rows.read("people.jsonl")]
assert lambda_rows.handler({"Records": records}, None) == {"batchItemFailures": []}
"""
TEMPORAL = """
import rows, temporal_rows
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

def answer(row):
    try:
        return ActivityEnvironment().run(temporal_rows.answer, row)
    except ApplicationError:
        return answer(row)

table = rows.read("people.jsonl")
rows.write(map(answer, table), len(table))
"""
"""Its package has no server, but an environment for an activity."""
ENGINES: dict[str, list[str]] = {
    "celery": ["celery_rows.py", "people.jsonl"],
    "dbos": ["-c", WITH_NEW_SQLITE, "dbos_rows.py", "people.jsonl"],
    "json": ["-c", LAMBDA],
    "temporalio": ["-c", TEMPORAL],
    "ray": ["tables.py", "ray", "people.jsonl"],
    "pyspark": ["tables.py", "spark", "people.jsonl"],
    "asyncio": [str(EXAMPLES / "batch.py"), "people.jsonl"],
}
"""The program that is run for each package; AWS Lambda has none."""
WORKERS = {"celery": "-m celery -A celery_rows worker -c 2 -l INFO"}


class Provider:
    """Answers each row; breaks in the first answer of many, and counts those that it has sent whole.

    Args:
        bad: The row that it refuses; None to break nothing.
        slow: The row in whose first answer it hangs.
    """

    def __init__(self, bad: int | None = None, slow: int | None = None) -> None:
        self.asked, self.whole, self.tokens = Counter[int](), Counter[int](), 0
        self.hangs = threading.Event()
        self._bad, self._slow = bad, slow

    def answer(self, request: Request) -> Recording:
        row = int(re.findall(r"person (\d+)", request.json["messages"][0]["content"])[0])
        self.asked[row] += 1
        fate = row % 5 if self._bad is not None and self.asked[row] == 1 else 0
        if row == self._bad:
            return refusal(400, "no")
        if fate in (1, 3):
            return reply(status=429 if fate == 1 else 503, headers={"retry-after-ms": "1"})
        text = json.dumps(person(row))
        script = testing.script().text(text[:9], text[9:]).usage(input_tokens=9, output_tokens=9)
        chunks = [(0.0, chunk) for chunk in script.finish().chunks("openai-chat")]
        if fate and row == self._slow:
            self.hangs.set()
            return reply(chunks[:2], cut="stall")
        if fate == 2:
            return reply(chunks[:2], cut="close")
        self.whole[row] += 1
        self.tokens += 18
        return reply(chunks)


def person(row: int) -> dict[str, str]:
    return {"name": f"Ann {row}", "city": "Oslo"}


class Machines(AbstractContextManager["Machines"]):
    """Redis, a provider, and the processes of an engine, whose table is in a folder."""

    def __init__(self, folder: Path, engine: str, provider: Provider, count: int) -> None:
        self.table: list[dict[str, Any]] = [{"id": row, "text": f"person {row}"} for row in range(count)]
        for name, block in zip(NAMES, blocks(PAGE.read_text(encoding="utf-8"), "python"), strict=False):
            (folder / f"{name}.py").write_text(block.code)
        (folder / "people.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in self.table))
        self.redis, self._stack = f"redis://127.0.0.1:{(port := free_port())}/0", ExitStack()
        self._redis = RedisServer(folder, port=str(port))
        self._server = testing.serve(provider.answer)
        self._folder, self._engine, self._said = folder, engine, folder / "said.txt"

    def __enter__(self) -> Self:
        self._stack.enter_context(self._redis)
        self.port = int(self._stack.enter_context(self._server).url.rpartition(":")[2])
        if self._engine in WORKERS:
            self._start(WORKERS[self._engine].split())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def said(self) -> str:
        return self._said.read_text()

    def run(self) -> subprocess.Popen[bytes]:
        """Begin the engine's program, which asks all rows."""
        return self._start(ENGINES[self._engine])

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        variables = environment(OPENAI_BASE_URL=f"http://127.0.0.1:{self.port}/v1", REDIS_URL=self.redis)
        variables["PYTHONPATH"] += f"{os.pathsep}{self._folder}"
        variables["PYSPARK_PYTHON"] = sys.executable
        variables["PYSPARK_SUBMIT_ARGS"] = "--master local[2,4] pyspark-shell"
        with self._said.open("ab") as log:
            program = [sys.executable, *words]
            process = subprocess.Popen(program, cwd=self._folder, env=variables, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        return process
