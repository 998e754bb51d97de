"""README's first program and the smallest reader: what they load, and how much of it runs nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.project import PACKAGE, ROOT
from tokenstream import testing

PROGRAM = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"))[0]
WORDS = ["Because ", "of ", "Rayleigh ", "scattering", "."]
"""The answer that the program prints."""
SMALLEST_READER = """
from tokenstream import Decoder

decoder = Decoder("openai-chat")
for event in decoder.feed({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}):
    repr(event)
decoder.end()
assert decoder.message.text == "Hi"
"""
"""What a library pays that reads the chunks of another one."""
_NOTES_WHAT_RUNS = """
import json, sys, threading

ran = set()

def note(frame, event, _):
    code = frame.f_code
    # A function's, and not that of a module, a class or a comprehension.
    if event == "call" and code.co_flags & 1 and not code.co_name.startswith("<"):
        ran.add(code.co_filename)

threading.setprofile(note)
sys.setprofile(note)
exec(sys.argv[1])
sys.setprofile(None)
loaded = {getattr(module, "__file__", None) for module in sys.modules.values()} - {None}
print("\\n" + json.dumps({file: file in ran for file in loaded}))
"""


@contextmanager
def answering() -> Generator[dict[str, str]]:
    """Answer one question; the context has the environment of a program that asks it."""
    with testing.serve(testing.script().text(*WORDS).finish("stop")) as server:
        yield os.environ | {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "none"}


def measure() -> dict[str, int]:
    """Return the counts of `budget.FIRST_PROGRAM`."""
    with answering() as environment:
        said, counted = _measure(PROGRAM, environment)
    assert said == "".join(WORDS)
    smallest = _measure(SMALLEST_READER, dict(os.environ))[1]
    del smallest["idle lines"]
    return counted | {f"{name} by the smallest reader": count for name, count in smallest.items()}


def _measure(program: str, environment: dict[str, str]) -> tuple[str, dict[str, int]]:
    """Run a program; return what it prints, and the counts of what it loads."""
    command = [sys.executable, "-c", _NOTES_WHAT_RUNS, program]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    said, _, told = done.stdout.strip().rpartition("\n")
    loaded = {file: ran for file, ran in json.loads(told).items() if Path(file).is_relative_to(PACKAGE)}
    lines = {file: Path(file).read_bytes().count(b"\n") for file in loaded}
    return said.strip(), {
        "lines loaded": sum(lines.values()),
        "modules loaded": len(loaded),
        "idle lines": sum(lines[file] for file, ran in loaded.items() if not ran),
    }
