"""What an editor infers of several streams side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, assert_type

from tokenstream import AsyncStream, Message, Stream, merge
from tokenstream.errors import CostExceeded, StreamError
from tokenstream.events import Event
from tokenstream.stream._fan_out.lanes import LabelledEvent
from tokenstream.stream._fan_out.merge import AsyncMerge, Merge


def several(a: Stream, b: Stream) -> None:
    """Labels keep their type, and the loop is that of the streams."""
    assert_type(merge({"a": a, "b": b}), Merge[str])
    assert_type(merge({1: a}, fail_fast=False), Merge[int])
    named: dict[Literal["plan", "write"], Stream] = {"plan": a, "write": b}
    with merge(named) as merged:
        for label, event in merged:
            assert_type(label, Literal["plan", "write"])
            assert_type(event, Event)
        assert_type(next(merged), LabelledEvent[Literal["plan", "write"]])
        assert_type(merged.streams, Mapping[Literal["plan", "write"], Stream])
        assert_type(merged.messages["plan"], Message)
        assert_type(merged.errors.get("plan"), StreamError | CostExceeded | None)
        assert_type(merged.failed, Literal["plan", "write"] | None)
    merge([a])  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]


async def several_asynchronous(a: AsyncStream) -> None:
    assert_type(merge({"a": a}), AsyncMerge[str])
    async with merge({"a": a}) as merged:
        async for label, event in merged:
            assert_type(label, str)
            assert_type(event, Event)
