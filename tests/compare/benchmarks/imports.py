"""How long importing takes, and the first text, each in a process of its own.

The package is measured as pip installs it: copied, with its bytecode beside it. In a
checkout that writes none, every start would compile a hundred modules.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.compare.benchmarks.tables import Table
from tests.project import PACKAGE, ROOT

if TYPE_CHECKING:
    from tests.compare.benchmarks.timing import Plan

_PYDANTIC = "pydantic and one model"
_STATEMENTS = {
    _PYDANTIC: "from pydantic import BaseModel\nclass Model(BaseModel):\n    text: str",
    "import tokenstream": "import tokenstream",
    "… and the names of the core": "from tokenstream import Decoder, Limits, Message, ToolCall",
    "… and Stream, AsyncStream": "from tokenstream import AsyncStream, Message, Stream",
    "… and the first text of a stream": (
        "from tokenstream import Stream\n"
        'text = Stream([b\'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\\n\\n\'],'
        ' format="openai-chat").text\nassert next(text) == "a"'
    ),
    # The README's first program without its network, but with httpx and its client. Where click is
    # installed, httpx loads its own command line with it: that is not part of reading an answer.
    "… and the first text of connect": (
        "sys.modules['click'] = None\nimport httpx\nfrom tokenstream import connect\n"
        'body = b\'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\\n\\n\'\n'
        'head = {"content-type": "text/event-stream"}\n'
        "transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=head, content=body))\n"
        'stream = connect("http://a.test/v1", json={}, client=httpx.Client(transport=transport))\n'
        'assert next(stream.text) == "a"'
    ),
}


def _installed(folder: str) -> None:
    """Put the package there as pip would."""
    shutil.copytree(PACKAGE, Path(folder) / "tokenstream", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder, quiet=1)


def _seconds(statement: str, folder: str) -> float:
    paths = [folder, *(path for path in sys.path if path and Path(path) != ROOT)]
    program = (
        f"import sys\nsys.path[:] = {paths!r}\nimport time\nbegun = time.process_time()\n"
        f"{statement}\nprint(time.process_time() - begun)"
    )
    # Without `site`, whose own start is nobody's import, and which would find the checkout.
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def imports(plan: Plan) -> list[Table]:
    taken: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    with tempfile.TemporaryDirectory() as folder:
        _installed(folder)
        for _ in range(plan.imports):
            for name, statement in _STATEMENTS.items():
                taken[name].append(_seconds(statement, folder))
    best = {name: min(times) for name, times in taken.items()}
    base = best[_PYDANTIC]
    rows = [
        [name, f"{best[name] * 1e3:.1f}", f"{median(times) * 1e3:.1f}", f"{best[name] / base:.2f}"]
        for name, times in taken.items()
    ]
    title = f"import, installed with its bytecode, {plan.imports} runs each"
    return [Table(title, ["", "ms, the fastest", "median", "× pydantic"], rows)]
