"""Works on jobs with the programs of docs/guides/money.md, each in a process that is forked from this one.

`python -m tests.money.jobs REDIS_URL PROVIDER_URL BANK FORMAT MODE` reads lines of JSON. `["work", JOB,
QUESTION]` starts a process, and is answered with its number; `["wait", NUMBER]` with the status with which it
has ended. A process that ends with an error which is nobody's but the program's notes it in the file `exits`.
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
from types import ModuleType
from typing import Any
from unittest.mock import patch

from redis.exceptions import RedisError

from tests.docs.pages import blocks
from tests.money.provider import FORMATS
from tests.project import ROOT
from tokenstream.errors import CallsDiffer, CallStoreUnavailable, StreamError

LEASE = 0.3
"""Seconds after which nobody waits for a process that was killed within a transfer."""
EXPECTED = (StreamError, CallsDiffer, CallStoreUnavailable, RedisError)
"""Errors with which a process may end: the provider has broken off, the model has decided otherwise, or the
store is gone."""
_CHANGES = {
    "openai-chat": {},
    "anthropic": {"to_openai_chat": "to_anthropic", '"stream": True,': '"stream": True, "max_tokens": 999,'},
    "openai-responses": {"to_openai_chat": "to_openai_responses", '"messages": history': '"input": history'},
}
"""What another provider needs in place of what the page has for OpenAI Chat."""


def load(redis_url: str, provider_url: str, bank: str, format: str, again: bool) -> dict[str, Any]:
    """Return the names of a program, with waits that suit a test; with the bank "keys", of the second one."""
    os.environ |= {"REDIS_URL": redis_url, "OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "k"}
    program, with_keys, *_ = blocks(
        (ROOT / "docs" / "guides" / "money.md").read_text(encoding="utf-8"), "python"
    )
    code = program.code
    for old, new in {FORMATS["openai-chat"]: FORMATS[format], **_CHANGES[format]}.items():
        assert old in code
        code = code.replace(old, new)
    money = ModuleType("money")
    space = vars(money)
    exec(compile(code, "money.py", "exec"), space)
    space["open"] = open_slowly
    space["RETRY"] = space["Retry"](attempts=4, again=again, wait=0.02)
    space["store"] = space["RedisCallStore"](space["redis"], lease=LEASE, same_calls=True)
    if bank == "keys":
        with patch.dict(sys.modules, money=money):
            exec(compile(with_keys.code, "money_with_keys.py", "exec"), {"__name__": "money_with_keys"})
    return space


@contextmanager
def open_slowly(path: str, *arguments: Any, **options: Any) -> Generator[Any]:
    """Open a file as a bank does its books: it takes a while before a transfer, and another one after it."""
    time.sleep(random.random() * 0.02)
    with Path(path).open(*arguments, **options) as file:
        yield file
    time.sleep(random.random() * 0.02)


def start(work: Any, job: str, question: str) -> int:
    number = os.fork()
    if number:
        return number
    status = 1
    # Else, all processes wait for equally long.
    random.seed()
    try:
        work(job, question)
        status = 0
    except EXPECTED:
        pass
    except BaseException:  # noqa: BLE001 - what is above belongs to the process that has forked
        with Path("exits").open("a", encoding="utf-8") as exits:
            traceback.print_exc(file=exits)
    finally:
        os._exit(status)


def main() -> None:
    redis_url, provider_url, bank, format, again = sys.argv[1:]
    space = load(redis_url, provider_url, bank, format, bool(again))
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
