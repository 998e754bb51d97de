"""Workers that die behind a record of their answer: `python -m tests.relay.taken_over SOCKET URL JOB …`.

A job is a name and the deaths of its workers, as in "text 5 killed 8 halted": behind which record, and how;
the worker after these lives. For each job, the records are printed of a reader who came before all workers,
and of one who comes behind them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from redis.asyncio import Redis

from tokenstream import Retry, aconnect, relay
from tokenstream.relay.journal._redis import RedisStorage

LEASE, _BUSY = 2.0, 3
SIGNALS = {"killed": signal.SIGKILL, "halted": signal.SIGSTOP, "ended": signal.SIGTERM}
append = RedisStorage.append


def fork(work: Callable[[], Coroutine[Any, Any, Any]]) -> int:
    """Run a coroutine function in a process of its own; return its number."""
    if number := os.fork():
        return number
    try:
        asyncio.run(work())
    except relay.JournalError:
        # The machine is too busy to hear Redis in time.
        os._exit(_BUSY)
    finally:
        os._exit(0)


async def produce(socket: str, url: str, id: str, at: int, how: str) -> None:
    """Go on with an answer, until the record behind which this worker dies."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    async def append_one_by_one(
        self: RedisStorage, id: str, token: str, first: int, records: Sequence[bytes], **options: Any
    ) -> None:
        is_over = options.pop("over", False)
        for number, record in enumerate(records, first):
            is_last = is_over and number == first + len(records) - 1
            await append(self, id, token, number, [record], **options, over=is_last)
            if number == at:
                os.kill(os.getpid(), SIGNALS[how])

    RedisStorage.append = append_one_by_one  # type: ignore[method-assign]
    async with Redis(unix_socket_path=socket) as redis, relay.RedisJournal(redis, lease=LEASE) as journal:
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": id}], "max_tokens": 500}
        if url.endswith("responses"):
            asked = {"input": id, "background": True}
        stream = aconnect(url, json={"model": "m", **asked, "stream": True}, retry=Retry(wait=0.01))
        await journal.start(stream, id=id, take_over=120)
        await read(journal, id)


async def read(journal: relay.Journal, id: str) -> list[str]:
    return [entry.record.decode() async for entry in journal.follow(id)]


async def follow(socket: str, id: str, out: int, *, announces: bool) -> None:
    """Write the records of an answer to a pipe once it has ended, and a line before that."""
    async with Redis(unix_socket_path=socket) as redis, relay.RedisJournal(redis, lease=LEASE) as journal:
        if announces:
            await journal.announce(id, within=120)
            os.write(out, b"\n")
        os.write(out, json.dumps(await read(journal, id)).encode() + b"\n")


def run_worker(*arguments: Any) -> int:
    """Wait until a worker ends or halts, or the next one does if it was too busy; return its number."""
    while True:
        worker = fork(partial(produce, *arguments))
        _, status = os.waitpid(worker, os.WUNTRACED)
        if not os.WIFEXITED(status) or os.WEXITSTATUS(status) != _BUSY:
            return worker


def run_job(socket: str, url: str, job: str) -> dict[str, Any]:
    """Let workers die until the last one has made the answer whole; return what its readers have."""
    _, *deaths = job.split()
    read_end, write_end = os.pipe()
    readers = [fork(partial(follow, socket, job, write_end, announces=True))]
    with os.fdopen(read_end) as out:
        out.readline()
        halted = list[int]()
        for at, how in [*zip(deaths[::2], deaths[1::2], strict=True), ("0", "killed")]:
            worker = run_worker(socket, url, job, int(at), how)
            halted += [worker] * (how == "halted")
        early = json.loads(out.readline())
        for worker in halted:
            os.kill(worker, signal.SIGCONT)
            os.waitpid(worker, 0)
        readers.append(fork(partial(follow, socket, job, write_end, announces=False)))
        late = json.loads(out.readline())
    for reader in readers:
        os.waitpid(reader, 0)
    return {"job": job, "early": early, "late": late}


def main() -> None:
    _, socket, url, *jobs = sys.argv
    # All at once: each waits for its leases.
    with ProcessPoolExecutor(len(jobs), get_context("fork")) as pool:
        for result in pool.map(partial(run_job, socket, url), jobs):
            sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
