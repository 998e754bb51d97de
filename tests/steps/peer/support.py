"""The agent of these tests as a process, and a reader of its messages."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.steps._agents.reader import TextAgentReader

if TYPE_CHECKING:
    from collections.abc import Generator

AGENT = [sys.executable, str(Path(__file__).with_name("agent.py"))]


@contextmanager
def started(*options: str, **streams: Any) -> Generator[Any]:
    """Start the agent; it ends with its input, and is killed if it does not."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **streams}
    with subprocess.Popen([*AGENT, *options], **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


class Prompts(TextAgentReader):
    """Reads the messages of the agent in these tests: each prompt is a turn."""

    name: ClassVar[str] = "prompts"

    @classmethod
    def recognises(cls, line: dict[str, Any]) -> bool:
        return line.get("method") in ("session/prompt", "session/update")

    def read_sent(self, method: str, params: Any, id: int | str | None) -> None:
        if method == "session/prompt":
            self._open_turn()

    def read(self, line: dict[str, Any]) -> None:
        if line.get("method") == "session/request_permission":
            self.ask(self._open_turn().step, line)
        if line.get("method") == "session/update":
            self._add_text("text", line["params"].get("text", ""), is_whole=False)

    def read_answer(self, method: str, answer: dict[str, Any]) -> None:
        if method == "session/prompt":
            self._end_answer("stop")
            self._end_turn(None if "result" in answer else self._failure("refused"))
