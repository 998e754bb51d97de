"""What encoders send, as names and payloads that can be read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from tests.support.encoders import create, load
from tests.support.packages import needed
from tokenstream import Decoder, relay, testing
from tokenstream.errors import TokenStreamError
from tokenstream.events import Event
from tokenstream.framing import AWSEventStreamParser, SSEParser
from tokenstream.message import Message, RefusalPart, TextPart
from tokenstream.relay._encoders.losses import Loss
from tokenstream.testing import Script

ANSWER = (
    testing.script(id="a1", model="tide-1")
    .reasoning("Hm", ".")
    .text("Let me", " look.")
    .tool_call("tide", ('{"port":', '"Brest"}'))
    .usage(input_tokens=9, output_tokens=4)
    .finish()
)
"""An answer with a part of each common kind."""


def sent(script: Script, format: str) -> list[tuple[str, Any]]:
    """Return a script's events on the wire: the name and the payload of each, padding left out."""
    return payloads_of(script.chunks(format))


def relayed(format: str, *events: Event, lossy: bool = False) -> list[bytes]:
    encoder = create(format, lossy=lossy)
    return [*(chunk for event in events for chunk in encoder.feed(event)), *encoder.end()]


def losses_of(format: str, *events: Event) -> dict[Loss, tuple[str, ...]]:
    """Return what an encoder says that it has left out of an answer."""
    encoder = create(format, lossy=True)
    for event in events:
        encoder.feed(event)
    if not encoder.finishes:
        encoder.finish_without_reason("stopped")
    encoder.end()
    return encoder.losses.by_kind()


def text_in(format: str, message: Message) -> str:
    """Return the text that readers of a format get: a refusal is text where there is no place for it."""
    shown = TextPart if "refusal" in load(format).expresses else TextPart | RefusalPart
    return "".join(part.text for part in message.parts if isinstance(part, shown))


def payloads_of(chunks: Iterable[bytes]) -> list[tuple[str, Any]]:
    """Return the name and the payload of each chunk, every one of which is an event."""
    return [_payload_of(chunk) for chunk in chunks]


def bare(chunks: Iterable[bytes]) -> list[Any]:
    """Return the payload of each chunk, of a format whose events have no names."""
    return [payload for _, payload in payloads_of(chunks)]


def read(chunks: Iterable[bytes], format: str, *remarks: str) -> tuple[Message, TokenStreamError | None]:
    """Return what our reader makes of chunks, in which it has nothing else to remark."""
    decoder = decoded(chunks, format)
    assert set(remarks) == set(decoder.departures.details)
    return decoder.message, decoder.error


def decoded(chunks: Iterable[bytes], format: Any) -> Decoder:
    """Return a decoder that has read an answer to its end."""
    decoder = Decoder(format)
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()
    return decoder


def _payload_of(chunk: bytes) -> tuple[str, Any]:
    if chunk.startswith(b"{"):
        return "", json.loads(chunk)
    if chunk.startswith((b"event: ", b"data: ")):
        (event,) = SSEParser().feed(chunk)
        return event.event, json.loads(event.data) if event.data.startswith("{") else event.data
    (message,) = AWSEventStreamParser().feed(chunk)
    payload = json.loads(message.payload)
    payload.pop("p", None)
    if "bytes" in payload:
        payload = json.loads(base64.b64decode(payload["bytes"]))
    return message.event, payload


def read_by_anthropics_sdk(events: Iterable[Event]) -> Any:
    """Return the message that Anthropic's SDK makes of a relayed answer."""
    stream: Any = needed("anthropic.lib.streaming._messages")
    types: Any = needed("anthropic.types")
    # As the SDK does with what it receives: it validates nothing.
    construct: Any = needed("anthropic._models").construct_type
    snapshot, kept = None, dict[int, bytes]()
    for payload in relay.payloads(events, "anthropic"):
        event = construct(type_=types.RawMessageStreamEvent, value=payload)
        snapshot = stream.accumulate_event(event=event, current_snapshot=snapshot, json_bufs=kept)
    assert snapshot is not None
    return snapshot
