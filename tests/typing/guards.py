"""What users' editors infer of guards; checked by mypy and pyright, never run."""

from __future__ import annotations

import re
from typing import assert_type

from tokenstream import AsyncStream, Message, Stream
from tokenstream.errors import GuardFailed
from tokenstream.events import Event
from tokenstream.stages import Budget, Chain, Repetition, Words


def off_topic(message: Message) -> str | None:
    return message.text or None


async def judge(message: Message) -> str | None:
    """A rule that has to be awaited."""
    return message.text or None


def rules(stream: Stream) -> None:
    """Each gives the stream back."""
    assert_type(stream.guard("a|b").guard(re.compile("c")), Stream)
    assert_type(stream.guard(off_topic, first_tokens=20, every=5, hold=True), Stream)
    assert_type(stream.guard(Budget(tokens=5, characters=6, seconds=1.5)), Stream)
    assert_type(stream.guard(Repetition()).guard(Repetition(times=3, longest=100)), Stream)
    assert_type(stream.guard(lambda message: message.text), Stream)
    assert_type(stream.stop_reason, str | None)
    stream.guard(judge)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def rules_beside(stream: AsyncStream) -> None:
    """The same, and those that have to be awaited."""
    assert_type(stream.guard(judge, first_tokens=20).guard(off_topic).guard("a"), AsyncStream)
    assert_type(stream.guard(judge, hold=True), AsyncStream)
    assert_type(stream.stop_reason, str | None)


def stages(event: Event, error: GuardFailed) -> None:
    """By themselves they are stages, of events and of text."""
    assert_type(Budget(tokens=3).feed(event), list[Event])
    assert_type(Chain(Words(), Repetition()).feed("a"), list[str])
    assert_type(error.partial, Message)
