"""How long importing takes, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.benchmarks.tables import Table, judge

if TYPE_CHECKING:
    from tests.benchmarks.timing import Plan

__all__ = ["imports"]

_BAR = 1.3
_PYDANTIC = "pydantic and one model"
_STATEMENTS = {
    _PYDANTIC: "from pydantic import BaseModel\nclass Model(BaseModel):\n    text: str",
    "import tokenstream": "import tokenstream",
    "… and the names of the core": "from tokenstream import Decoder, Limits, Message, ToolCall",
    "… and Stream, AsyncStream": "from tokenstream import AsyncStream, Message, Stream",
    "… and a first stream, read": (
        "from tokenstream import Stream\n"
        'Stream([b\'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\\n\\n\'],'
        ' format="openai-chat").final()'
    ),
}
_JUDGED = ("import tokenstream", "… and Stream, AsyncStream")


def _seconds(statement: str) -> float:
    program = f"import time\nbegun = time.process_time()\n{statement}\nprint(time.process_time() - begun)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


def imports(plan: Plan) -> list[Table]:
    """Return the table of import times."""
    best: dict[str, float] = {}
    for _ in range(plan.imports):
        for name, statement in _STATEMENTS.items():
            best[name] = min(_seconds(statement), best.get(name, 60.0))
    base = best[_PYDANTIC]
    rows = [[name, f"{taken * 1e3:.1f}", f"{taken / base:.2f}"] for name, taken in best.items()]
    notes = [
        judge(f"{name}: {best[name] / base:.2f} × pydantic", "at most 1.3", reached=best[name] <= _BAR * base)
        for name in _JUDGED
    ]
    return [Table(f"import, the fastest of {plan.imports}", ["", "ms", "× pydantic"], rows, notes)]
