"""What users' editors infer of stages and chains of them; checked by mypy and pyright, never run."""

from __future__ import annotations

import re
from typing import Any, assert_type

from tests.support.encoders import Encoder
from tokenstream import Decoder, ToolCall
from tokenstream.events import Event
from tokenstream.formats import text
from tokenstream.framing import (
    AWSEventStreamParser,
    EventStreamMessage,
    NDJSONParser,
    ServerSentEvent,
    SSEParser,
)
from tokenstream.partial_json import PartialJSONParser
from tokenstream.partial_json._events import JSONEvent
from tokenstream.stages import (
    Chain,
    Graphemes,
    Lines,
    MarkdownBlock,
    MarkdownBlocks,
    Redact,
    Sentences,
    Stage,
    ToolTags,
    Until,
    ValidatedCalls,
    Words,
)


class Letters:
    error: ValueError | None = None
    stop: str | None = None

    def feed(self, word: str, *, now: float = 0.0) -> list[str]:
        return [*word]

    def end(self, *, now: float = 0.0) -> list[str]:
        return []

    def check(self) -> None:
        """Do nothing."""


def stages(encoder: Encoder) -> None:
    """Each stage of the library is one for type checkers."""
    lines: Stage[bytes, bytes] = NDJSONParser()
    events: Stage[bytes, ServerSentEvent] = SSEParser()
    messages: Stage[bytes, EventStreamMessage] = AWSEventStreamParser()
    formats: list[Stage[ServerSentEvent, Event]] = [text()]
    decoder: Stage[bytes, Event] = Decoder()
    json: Stage[str, JSONEvent] = PartialJSONParser()
    calls: Stage[ToolCall, ToolCall] = ValidatedCalls(print)
    texts: list[Stage[str, str]] = [Words(), Graphemes(longest=99), Lines(), Sentences(spoken=True)]
    blocks: Stage[str, MarkdownBlock] = MarkdownBlocks(math="dollar")
    bytes_again: Stage[Event, bytes] = encoder
    assert_type(events.feed(b""), list[ServerSentEvent])
    assert_type(messages.end(now=1.0), list[EventStreamMessage])
    assert_type(lines.feed(b""), list[bytes])
    assert_type(blocks.end()[0].unresolved, tuple[str, ...])
    assert_type(formats[0].stop, str | None)
    assert_type(Chain(texts[0], texts[1]).feed(""), list[str])
    Chain(decoder, bytes_again)
    Chain(json)
    Chain(calls, calls)


def texts() -> None:
    """Stages that change a text take and give pieces of it."""
    redact = Redact(re.compile("a"), with_=lambda found: str(found[0]), max_length=3)
    assert_type(redact.feed("a"), list[str])
    assert_type(Chain(redact, Until("END", include=True)), Chain[str, str])
    assert_type(ToolTags("hermes", tools=["now", {"name": "look"}]).feed(""), list[Event])
    shaping: list[Stage[str, str]] = [redact, Until(re.compile("a"), max_length=3)]
    Chain(shaping[0])


def chains(encoder: Encoder) -> None:
    """A chain takes what its first stage takes, and gives what its last one gives."""
    assert_type(Chain[str, str](), Chain[str, str])
    assert_type(Chain(SSEParser()), Chain[bytes, ServerSentEvent])
    chain = Chain(SSEParser(), text())
    assert_type(chain, Chain[bytes, Event])
    assert_type(chain.feed(b""), list[Event])
    assert_type(chain.end(now=1.0), list[Event])
    assert_type(chain.tick(1.0), list[Event])
    assert_type(chain.deadline, float | None)
    assert_type(chain.error, Exception | None)
    assert_type(chain.stop, str | None)
    assert_type(Chain(chain, encoder), Chain[bytes, bytes])
    assert_type(Chain(SSEParser(), text(), encoder), Chain[bytes, bytes])
    assert_type(Chain(SSEParser(), text(), encoder, NDJSONParser()), Chain[bytes, bytes])
    assert_type(Chain(Letters(), Letters(), Letters(), PartialJSONParser()), Chain[str, JSONEvent])
    many = Chain(Letters(), Letters(), Letters(), Letters(), Letters())
    assert_type(many, Chain[str, Any])
    stage: Stage[bytes, Event] = chain
    assert_type(stage.feed(b""), list[Event])


def mistakes() -> None:
    """A stage that does not take what the one before it gives is an error."""
    Chain(SSEParser(), Words())  # type: ignore[misc]
    Chain(Letters(), SSEParser())  # type: ignore[misc]
