"""Measure the processor time of a row in engines, beside asyncio: `python -m tests.machines celery dbos`.

It is the difference between 220 rows and 20, without the start of processes; those of Ray and Spark are not
seen, as others wait for them. Redis has a share in it.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

from tests.machines.engines import Machines, Provider

FEW, MANY = 20, 220


def find_seconds(engine: str, count: int) -> float:
    """Return the processor time of an engine's processes for so many rows."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider()
        with Machines(Path(folder), engine, provider, count) as machines:
            status = machines.run().wait(600)
        if status or len(provider.whole) != count or max(provider.whole.values()) > 1:
            raise SystemExit(machines.said)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


for name in ["asyncio", *sys.argv[1:]]:
    taken = (find_seconds(name, MANY) - find_seconds(name, FEW)) / (MANY - FEW)
    sys.stdout.write(f"{name:8} {1000 * taken:6.1f} ms a row\n")
    sys.stdout.flush()
