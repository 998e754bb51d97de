"""Works on jobs with the program of docs/guides/money.md, each in a process that is forked from this one.

`python -m tests.money.jobs REDIS_URL PROVIDER_URL` reads lines of JSON: `["work", JOB, QUESTION]` starts a
process, and is answered with its number; `["wait", NUMBER]` with the status with which it has ended.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.docs_pages import blocks
from tests.project import ROOT

LEASE = 0.3
"""Seconds after which nobody waits for a process that was killed within a transfer."""


def load(redis_url: str, provider_url: str) -> dict[str, Any]:
    """Return the names of the program, with waits that suit a test."""
    os.environ |= {"REDIS_URL": redis_url, "OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "k"}
    program, *_ = blocks((ROOT / "docs" / "guides" / "money.md").read_text(encoding="utf-8"), "python")
    space: dict[str, Any] = {"__name__": "money"}
    exec(compile(program.code, "money.py", "exec"), space)
    space["open"] = open_slowly
    space["RETRY"] = space["Retry"](attempts=4, mode="restart", wait=0.02)
    space["store"] = space["RedisCallStore"](space["redis"], lease=LEASE, same_calls=True)
    return space


@contextmanager
def open_slowly(path: str, *arguments: Any, **options: Any) -> Generator[Any]:
    """Open a file as a bank does its books: it takes a while before a transfer, and another one after it."""
    time.sleep(random.random() * 0.02)
    with Path(path).open(*arguments, **options) as file:
        yield file
    time.sleep(random.random() * 0.02)


def start(work: Any, job: str, question: str) -> int:
    """Work on a job in a process of its own; return its number."""
    number = os.fork()
    if number:
        return number
    status = 1
    # Else, all processes wait for equally long.
    random.seed()
    try:
        work(job, question)
        status = 0
    except BaseException:  # noqa: BLE001 - what is above belongs to the process that has forked
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    space = load(*sys.argv[1:])
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        if command == "work":
            answer = start(space["work"], *arguments)
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
