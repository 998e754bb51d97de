"""Calls of Gemini that go on over several chunks."""

from __future__ import annotations

from tests.formats.gemini.payloads import STOP, Payload, call, chunk
from tests.formats.gemini.support import gemini
from tests.formats.told import Told
from tokenstream.events import ToolCallDelta


def streamed(*parts: Payload) -> Told:
    """Read a call of `f` that goes on over these parts, one to a chunk."""
    return gemini(chunk(call("f", willContinue=True)), *[chunk(part) for part in parts], STOP)


def fragments(told: Told) -> str:
    return "".join([event.fragment for event in told.events if isinstance(event, ToolCallDelta)])
