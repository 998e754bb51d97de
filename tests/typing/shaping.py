"""What an editor infers of the views that a text makes of itself."""

from __future__ import annotations

import re
from typing import assert_type

import regex

from tokenstream import AsyncStream, Stream
from tokenstream.stages import Chain, MarkdownBlock, Redact, Throttle, Words
from tokenstream.stream import AsyncTextView, AsyncView, TextView, View


def views(stream: Stream) -> None:
    """Each step is a text again, until the last one."""
    assert_type(stream.text, TextView)
    assert_type(stream.answer.words(), TextView)
    assert_type(stream.choice(1).answer, TextView)
    assert_type(stream.message.answer, str)
    assert_type(stream.field("title").words(), TextView)
    assert_type(stream.reasoning.sentences(first=20, longest=200, spoken=True), TextView)
    assert_type(stream.text.sentences(max_delay=2, timer=True), TextView)
    assert_type(stream.text.graphemes().throttle(20, timer=True), TextView)
    assert_type(stream.text.lines().smooth(max_delay=0.3), TextView)
    assert_type(stream.text.redact(re.compile("a"), with_=lambda _: "b").until(regex.compile("c")), TextView)
    assert_type(stream.text.throttle(hz=20).accumulate(), View[str])
    for piece in stream.text.words().throttle(20):
        assert_type(piece, str)
    for block in stream.text.markdown_blocks(math="dollar"):
        assert_type(block, MarkdownBlock)
        assert_type(block.text, str)
    stream.text.accumulate().words()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    stream.text.throttle()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def asynchronous_views(stream: AsyncStream) -> None:
    assert_type(stream.text, AsyncTextView)
    assert_type(stream.answer, AsyncTextView)
    assert_type(stream.choice(1).answer.sentences(), AsyncTextView)
    assert_type(stream.field("title").words().smooth(), AsyncTextView)
    assert_type(stream.text.accumulate(hz=10), AsyncView[str])
    async for piece in stream.text.redact("a").words().throttle(20):
        assert_type(piece, str)
    async for block in stream.text.throttle(20).markdown_blocks():
        assert_type(block, MarkdownBlock)


def stages() -> None:
    """A stage by itself gives lists of text."""
    assert_type(Throttle(20).feed("a", now=1.0), list[str])
    assert_type(Throttle(20).deadline, float | None)
    assert_type(Chain(Redact("a"), Words()).feed("a"), list[str])
