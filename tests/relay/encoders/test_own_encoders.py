"""Encoders that somebody writes: what is missing in them is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from tests.support.encoders import Encoder
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    MediaDelta,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ProviderData,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
)
from tokenstream.message import Citation, FinishReason, OpaquePart, ToolCall
from tokenstream.relay._encoders.losses import PHRASES


class _Unwritten(Encoder):
    """Says that it has a place for all, and has none."""

    name = "unwritten"
    expresses = frozenset(PHRASES)
    words: ClassVar[Mapping[FinishReason, str]] = {"stop": "stop"}


@pytest.mark.parametrize(
    "event",
    [
        TextDelta("a"),
        ReasoningDelta("a"),
        RefusalDelta("a"),
        ToolCallStart("c", "f"),
        CitationAdded(Citation(url="https://a.example")),
        MediaDelta(b"a"),
    ],
)
def test_an_encoder_that_lacks_a_method_says_so(event: Event) -> None:
    """Nothing of an answer is lost without notice."""
    with pytest.raises(NotImplementedError):
        _Unwritten().feed(event)


def test_an_encoder_without_an_end_says_so() -> None:
    """Arguments are met behind their call, and the end behind all."""
    encoder = _Unwritten()
    for event in (ToolCallStart("c", "f"), ToolCallDelta("c", "{}")):
        with pytest.raises(NotImplementedError):
            encoder.feed(event)
    assert [] == encoder.feed(Finish("stop"))
    with pytest.raises(NotImplementedError):
        encoder.end()


@pytest.mark.parametrize(
    "event",
    [
        MessageStart(id="a"),
        PartStart(OpaquePart(type="x", data={})),
        PartDelta("a"),
        PartDone(),
        ToolCallDone(ToolCall(id="c", name="f", complete=True), part=1),
        ProviderData({"x": 1}),
        Unknown("x", {}),
    ],
)
def test_an_encoder_has_to_write_nothing_for_what_has_no_content(event: Event) -> None:
    """Heads and borders of parts are nothing unless a format has something for them."""
    encoder = _Unwritten()
    encoder.feed(PartStart(OpaquePart(type="x", data={})))

    assert ([], []) == (encoder.feed(event), encoder.unsent_head())
