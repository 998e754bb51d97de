"""The command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.wire import DONE, sse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Shown = Callable[..., tuple[int, str]]
    Told = Callable[..., tuple[int, Any]]

posix = pytest.mark.skipif(
    os.name != "posix", reason="uses signals, links, terminals or pipes, which Windows has not"
)

COMMAND = [sys.executable, "-m", "tokenstream"]
RECORDINGS = Path(str(files("tokenstream.cli").joinpath("recordings")))
"""The demo's recordings: whole answers in three formats."""


def environment(**changes: str) -> dict[str, str]:
    # A user's output is buffered, and a proxy cannot reach a server on loopback.
    names = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**names, "PYTHONUTF8": "1", "NO_PROXY": "127.0.0.1,localhost", **changes}


def run(*arguments: str, given: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=given,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
        **options,
    )


@contextmanager
def started(*arguments: str, **options: Any) -> Generator[Any]:
    """Start the command, with pipes for its input and all that it prints; it is killed in the end."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*COMMAND, *arguments], **pipes, env=environment(), **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serving(*arguments: str) -> Generator[tuple[Any, str, list[str]]]:
    with started("serve", "--port", "0", *arguments, encoding="utf-8") as process:
        first = process.stdout.readline()
        yield process, first.split(" ", maxsplit=1)[0], [first]


def chat(delta: dict[str, Any] | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": None, **fields}
    return sse({"object": "chat.completion.chunk", "choices": [choice]})


CHAT = (RECORDINGS / "openai-chat.sse").read_bytes()
CUT = chat({"role": "assistant", "content": "Half an"})
"""An answer that breaks off."""
SHORT = chat({"role": "assistant", "content": "Hi"}) + chat(finish_reason="stop") + DONE
"""An answer that is whole."""
