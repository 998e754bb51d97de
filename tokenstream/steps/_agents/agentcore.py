"""Reads the bodies of agents on Bedrock AgentCore that yield text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import text_of
from tokenstream.steps._agents import TextAgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError

TEXT = "agentcore.text"
"""The type of the line that stands for a JSON string, which has no object of its own."""


class AgentCore(TextAgentReader):
    """Reads an agent on AgentCore that yields strings: one answer, which ends with the body.

    AgentCore passes on whatever its agent yields. If these are the lines of another agent, such as those of
    claude-agent-sdk, the reader of that agent reads them.
    """

    name: ClassVar[str] = "agentcore"

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for a string, and for the object with which AgentCore reports an exception."""
        return line.get("type") == TEXT or is_exception(line)

    def read(self, line: dict[str, Json]) -> None:
        """Add a string to the answer."""
        if line.get("type") == TEXT:
            self._add_text("text", text_of(line, "text") or "", is_whole=False)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the answer with the body; return the error of the run, or None."""
        self._end_answer("stop")
        return super().end(exit_code)

    def _ends_without_a_line(self) -> bool:
        """Return True: the end of the body is the end of the answer."""
        return True


def is_exception(line: dict[str, Json]) -> bool:
    """Return True for the object with which AgentCore reports an exception of its agent."""
    return "error_type" in line and "error" in line and "message" in line
