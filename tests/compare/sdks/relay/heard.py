"""What an SDK hears of a script, and the law that it is what the script says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.effort import trials
from tests.support.encoders import load
from tests.support.scripts import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.message import Message
    from tokenstream.testing import Script

Played = TypeVar("Played")
"""What a reader is given: bytes, chunks, or a recording."""
PATIENT = [HealthCheck.too_slow, HealthCheck.filter_too_much]
"""Checks that scripts fail on a busy machine, or where a format has no place for much."""


@dataclass
class Heard:
    """What an SDK gives, in plain values."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    end: str | None = None
    counts: tuple[int, int] = (0, 0)

    def call(self, id: str, name: str, arguments: str) -> None:
        """Add a tool call."""
        self.calls.append((id, name, json.loads(arguments or "{}")))


@dataclass(frozen=True)
class Law(Generic[Played]):
    """An SDK reads from a script's bytes what the script says.

    Args:
        ends: The SDKs' words for our finish reasons, by format.
        hears: What the readers give besides text, tool calls and the end.
        played: Makes of a script in a format what the readers are given.
        readers: The format that each reads, and how, by name.
    """

    ends: Mapping[str, Mapping[Any, str]]
    hears: tuple[str, ...]
    played: Callable[[Script, str], Played]
    readers: Mapping[str, tuple[str, Callable[[Played], Heard]]]

    def said(self, script: Script, format: str) -> Heard:
        """Return what a script says, in the provider's words."""
        message = script.message
        heard = Heard(message.text, end=self.ends[format][message.finish_reason or ""])
        for call in message.tool_calls:
            id = call.id if load(format).names_calls else ""
            heard.call(id, call.name, call.arguments_text)
        return replace(heard, **{name: _TOLD[name](message) for name in self.hears})

    def drawn(self, reader: str, data: st.DataObject) -> tuple[Heard, Heard]:
        """Return what the next script says, and what a reader hears of it."""
        format, read = self.readers[reader]
        script = data.draw(scripts(format))
        return self.said(script, format), read(self.played(script, format))


def body_of(script: Script, format: str) -> bytes:
    """Return what is played to a reader of bodies."""
    return b"".join(script.chunks(format))


def few(test: Callable[..., None]) -> Callable[..., None]:
    """Run a law for a few scripts, and for 300 in a thorough run."""
    return given(data=st.data())(_scripts(trials(300, one_in=60))(test))


def _scripts(number: int) -> settings:
    return settings(max_examples=number, deadline=None, suppress_health_check=PATIENT)


def _counts(message: Message) -> tuple[int, int]:
    usage = message.usage
    return (usage.input_tokens or 0, usage.output_tokens or 0)


_TOLD: dict[str, Callable[[Message], Any]] = {
    "reasoning": lambda message: message.reasoning,
    "refusal": lambda message: message.refusal,
    "counts": _counts,
}
