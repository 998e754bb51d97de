"""What type checkers make of observing. It is checked and never run."""

from __future__ import annotations

from typing import Any, assert_type

from tokenstream import AsyncStream, Steps, Stream, aconnect, connect, tap
from tokenstream.otel import observe
from tokenstream.stream._tap.tap import Tap


def observed(theirs: list[dict[str, Any]]) -> None:
    """Whatever is observed stays what it is."""
    assert_type(observe(connect("url"), model="m"), Stream)
    assert_type(observe(aconnect("url"), attributes={"gen_ai.conversation.id": "c1"}), AsyncStream)
    assert_type(observe(tap(theirs), each_chunk=False), Tap[dict[str, Any]])
    assert_type(observe(Steps("fix"), provider="anthropic"), Steps)
