"""What answers are made with: the borders of events, and how a provider's text deltas look."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.compare.benchmarks.bodies import ALPHABET, tokens
from tests.support.aws_eventstream import message
from tests.support.wire import bytes_of, sse
from tokenstream import testing

Payload: TypeAlias = dict[str, Any]
Frame: TypeAlias = "Callable[[str, bytes], bytes]"
"""Puts a payload between its borders, given the event's name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, one event to a chunk.

    Args:
        head: The chunks before the first text delta.
        deltas: The chunks that are one text delta each; text where the format takes text, and payloads
            where somebody else has decoded them.
        payloads: The payloads of these, as far as they are JSON.
        tail: The chunks after the last text delta.
    """

    name: str
    format: Any
    head: list[bytes]
    deltas: Sequence[Any]
    payloads: list[bytes]
    tail: list[bytes]
    text: str

    @property
    def chunks(self) -> list[bytes]:
        return [*self.head, *(delta for delta in self.deltas if isinstance(delta, bytes)), *self.tail]


# -- borders --------------------------------------------------------------------


def nameless(_: str, payload: bytes) -> bytes:
    return sse(payload.decode())


def tight(_: str, payload: bytes) -> bytes:
    return sse(payload.decode()).replace(b": ", b":", 1)


def carriage(_: str, payload: bytes) -> bytes:
    return sse(payload.decode()).replace(b"\n", b"\r\n")


def named(name: str, payload: bytes) -> bytes:
    return sse(payload.decode(), event=name)


def line(_: str, payload: bytes) -> bytes:
    return payload + b"\n"


def item(_: str, payload: bytes) -> bytes:
    return b"\n,\n" + payload


def alone(_: str, payload: bytes) -> bytes:
    return payload


def binary(name: str, payload: bytes) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, payload)


# -- making them ------------------------------------------------------------------

Event: TypeAlias = tuple[str, Payload]


def indented(payload: Payload) -> bytes:
    return json.dumps(payload, ensure_ascii=False, indent=2).encode()


@dataclass(frozen=True, slots=True)
class Shape:
    """How a provider's answers look on the wire.

    Args:
        frame: The borders of an event.
        delta: Makes a text delta of its number and its text, with random values from a source.
        head: The events before. Without head and tail, those of a script are taken.
        tail: The events after.
        last: Bytes after the last event.
        tokens: How many tokens stand in one delta.
        ids: The ids of a script, with those that the deltas have in their place.
    """

    format: Any
    frame: Frame
    delta: Callable[[int, str, random.Random], Event]
    head: tuple[Event, ...] = ()
    tail: tuple[Event, ...] = ()
    last: bytes = b""
    tokens: int = 1
    written: Callable[[Payload], bytes] = bytes_of
    ids: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str, count: int) -> Answer:
        source = random.Random(0)
        pieces = tokens(count * self.tokens, 0)
        texts = ["".join(pieces[at : at + self.tokens]) for at in range(0, len(pieces), self.tokens)]
        deltas = [self.delta(number, text, source) for number, text in enumerate(texts)]
        head = [self._chunk(event) for event in self.head]
        tail = [*(self._chunk(event) for event in self.tail), *filter(None, [self.last])]
        if not head and not tail:
            head, tail = self._around(texts)
        return Answer(
            name,
            self.format,
            head,
            [self._chunk(delta) for delta in deltas],
            [self.written(payload) for _, payload in deltas],
            tail,
            "".join(texts),
        )

    def _around(self, texts: list[str]) -> tuple[list[bytes], list[bytes]]:
        """Return what a script writes before its texts and after them."""
        script = testing.script()
        chunks, others = (
            script.text(first, *texts[1:]).finish("stop").recording(self.format).chunks()
            for first in (texts[0], f"{texts[0]}.")
        )
        at = [chunk == other for chunk, other in zip(chunks, others, strict=True)].index(False)
        for theirs, ours in self.ids.items():
            chunks = [chunk.replace(b'"%s"' % theirs.encode(), b'"%s"' % ours.encode()) for chunk in chunks]
        if self.frame is alone:
            chunks = [chunk.strip() for chunk in chunks]
        return chunks[:at], chunks[at + len(texts) :]

    def _chunk(self, event: Event) -> bytes:
        name, payload = event
        return self.frame(name, self.written(payload))


def letters(source: random.Random, most: int) -> str:
    """Return padding as Bedrock and Mistral send it: the alphabet, cut at random."""
    return ALPHABET[: source.randrange(3, most)]


def code(source: random.Random, size: int) -> str:
    return "".join(source.choices(ALPHABET, k=size))
