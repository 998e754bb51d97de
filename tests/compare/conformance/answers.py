"""What a reader says came of a body, in plain values that can be compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import pydantic_core

SSEEvent = tuple[str, str, str]
"""Name, data and last event id of an SSE event."""


@dataclass(frozen=True)
class Call:
    """A tool call that the reader hands out to be run."""

    name: str | None
    arguments: Any
    """Parsed; where the reader gives text that is no JSON, that text."""
    id: str | None = None
    valid: bool = True
    """Whether the program that the reader's documents show would run it: its arguments are JSON."""

    @classmethod
    def of_text(cls, name: str | None, text: str | None, id: str | None = None) -> Call:
        """Return the call of a reader that leaves it to its user to parse the arguments."""
        try:
            return cls(name, pydantic_core.from_json(text or ""), id)
        except ValueError:
            return cls(name, text, id, valid=False)


@dataclass
class Answer:
    """All that a reader told of one answer; None where it has no place for a thing."""

    text: str = ""
    reasoning: str | None = None
    calls: list[Call] = field(default_factory=list)
    role: str | None = None
    finish: str | None = None
    usage: list[int | None] | None = None
    """Tokens read and written."""
    error: str | None = None
    """The class of the exception that ended the reading."""

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Answer:
        """Return what another program's JSON says."""
        answer = cls(**plain)
        answer.calls = [Call(**call) for call in plain["calls"]]
        return answer
