"""Bedrock's InvokeModelWithResponseStream: chunks in, the events of the model's own format out."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.errors import ProtocolError
from tokenstream.events import ReasoningDelta, TextDelta, UsageUpdate
from tokenstream.formats import registry
from tokenstream.formats._errors import named_exception
from tokenstream.formats._holes import HoleTemplates
from tokenstream.formats._read import dicts_of, is_dict, is_list, known
from tokenstream.formats._template import PADDING, Templates
from tokenstream.formats.base import Format
from tokenstream.formats.bedrock_invoke._glance import Glance, LastRead
from tokenstream.formats.bedrock_invoke._plain import PlainModel
from tokenstream.formats.bedrock_invoke._shapes import metrics_of
from tokenstream.framing import EventStreamMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.formats._holes import HoleTemplate
    from tokenstream.formats._template import TextTemplate
    from tokenstream.formats.base import Frame
    from tokenstream.limits import Limits

__all__ = ["BedrockInvoke"]

_SENTINEL = b"[DONE]"
_INITIAL = "initial-response"
"""What binary event streams may begin with: the response beside its stream, here empty."""
_OWN = "amazon-bedrock-"
"""What the names of Bedrock's own fields begin with, beside those of the model's payload."""
_METRICS = "amazon-bedrock-invocationMetrics"
_LAST_WORDS = frozenset({_METRICS, "amazon-bedrock-trace"})
"""Fields that stand in the last payload."""
_FIRST = ("anthropic", "bedrock-converse", "cohere")
_LAST = ("openai-chat",)
"""Formats that models speak, asked before and after the plain shapes whether a payload is theirs."""
_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")
_PATHS: tuple[tuple[str | int, ...], ...] = (
    ("delta", "text"),
    ("delta", "thinking"),
    ("contentBlockDelta", "delta", "text"),
    ("contentBlockDelta", "delta", "reasoningContent", "text"),
    ("choices", 0, "delta", "content"),
    ("choices", 0, "text"),
    ("outputs", 0, "text"),
    ("text",),
    ("outputText",),
    ("generation",),
    ("completion",),
)
"""Where models have the text of a delta."""


class BedrockInvoke(Format):
    """InvokeModelWithResponseStream: the model's own payloads, each packed into a chunk.

    The first payload tells which format the model speaks; that one reads them.

    Args:
        limits: Bounds on parts, choices, tool calls, and JSON payloads.
        pings: Whether signs of life become `Ping` events.

    Example:
        >>> invoke = BedrockInvoke()
        >>> events = invoke.feed({"chunk": {"bytes": b'{"generation": "Hel", "stop_reason": null}'}})
        >>> [event.text for event in events if isinstance(event, TextDelta)]
        ['Hel']
    """

    __slots__ = (
        "_counted",
        "_glance",
        "_holes",
        "_inner",
        "_over",
        "_path",
        "_payload",
        "_templates",
    )

    name: ClassVar[str] = "bedrock-invoke"
    framing: ClassVar[str] = "aws-eventstream"
    event_names: ClassVar[frozenset[str]] = frozenset({"chunk"})

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._inner: Format | None = None
        self._over = False
        """Whether Bedrock has said its last word: what it counted, or what its guardrail did."""
        self._counted: set[str] = set()
        """Token counts that the model itself has told."""
        self._payload: tuple[bytes, dict[str, Any]] | None = None
        """The model's payload that was read last, as it came and decoded."""
        self._templates = Templates()
        self._path: tuple[str | int, ...] = ()
        """Where the model's last payload had its text."""
        self._holes = HoleTemplates()
        """What payloads look like that count, beside their text."""
        self._glance: Glance | None = None
        """Reads the next chunk, if it is like the last one."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:
        """Tell whether a first payload is of this format."""
        if event == _INITIAL:
            return None
        if event == "chunk":
            return "bytes" in payload
        inner = payload.get("chunk")
        if not event and len(payload) == 1 and is_dict(inner):
            return isinstance(inner.get("bytes"), str | bytes)
        return isinstance(payload.get("bytes"), str) and payload.keys() <= {"bytes", "p"}

    @property
    def finished(self) -> bool:
        """Whether the answer is over, for the model or for Bedrock."""
        inner = self._inner
        return self._over or super().finished or (inner is not None and inner.finished)

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events that `frame` holds."""
        glance = self._glance
        if glance is not None and isinstance(frame, EventStreamMessage):
            plain = frame.event == "chunk" and frame.kind == "event"
            delta = glance.read_whole(frame.payload) if plain else None
            if delta is not None:
                return [delta]
        self._glance = self._payload = None
        noted = self._noted()
        events = super().feed(frame, now=now)
        self._learn(events, new=self._noted() != noted)
        return events

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return what was held back; without the end of the answer, set `error` to `StreamTruncated`."""
        self._glance = None
        if self.error is None and not self.ended and self.finished:
            if not self.parts.finished:
                self.note("finish_missing")
            self.conclude()
        if self._inner is None or self.error is not None:
            return super().end(now=now)
        self._inner.frames = self.frames
        events = self._inner.end(now=now)
        self.error = self._inner.error
        return events

    def conclude(self) -> None:
        """Mark the end of the answer: close what is open, and ignore what comes after."""
        if self._inner is not None and not self._inner.ended:
            self._inner.conclude()
        super().conclude()

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Put what `payload` says into `self.parts`."""
        inner = payload.get("chunk")
        if event != "chunk" and is_dict(inner):
            payload = inner
        if "bytes" in payload:
            self._read_chunk(payload["bytes"])
            for name, value in (known(payload, "bytes", *PADDING) or {}).items():
                self.parts.field(name, value)
            return
        if event == _INITIAL:
            return
        self.error = None if event else named_exception(payload)
        if self.error is None:
            self.parts.unknown(event or next(iter(payload), "chunk"), payload)

    # -- the model's payloads ------------------------------------------------

    def _read_chunk(self, written: object) -> None:
        data = _unpacked(written)
        if not data or data.isspace():
            self.note("empty_data")
        elif data.strip() == _SENTINEL:
            # Models with OpenAI's chunks may end as theirs do.
            format = self._inner or self
            format.read_sentinel()
            self.ended, self.assumed = True, format.assumed
        else:
            self._read_model(data)

    def _read_model(self, data: bytes) -> None:
        payload = self.decode(data)
        if not is_dict(payload):
            raise ProtocolError("the bytes of a chunk are no JSON object")
        own = {name: value for name, value in payload.items() if name.startswith(_OWN)}
        rest = {name: value for name, value in payload.items() if name not in own} if own else payload
        if rest:
            self._read_payload(rest, payload)
        for name, value in own.items():
            self.parts.field(name, value)
        # Quirk (Amazon Titan, 2025-03): where a guardrail blocks the request there are no metrics and no
        # reason, but its trace; recording: bedrock-invoke-openllmetry-test-guardrail-invoke-stream-ac9d3c56.
        self._over = self._over or not _LAST_WORDS.isdisjoint(own)
        metrics = own.get(_METRICS)
        if is_dict(metrics):
            self._count(metrics)
        if not own:
            self._payload = data, payload

    def _read_payload(self, payload: dict[str, Any], raw: dict[str, Any]) -> None:
        """Have the model's format read a payload; the first one tells which format that is."""
        payload = adapted(payload)
        inner = self._inner or self._choose(payload)
        if inner is None:
            self.parts.raw = raw
            self.parts.unknown(next(iter(payload)), payload)
            return
        inner.frames = self.frames - 1
        for event in inner.feed(payload):
            event.raw = raw
            if isinstance(event, UsageUpdate):
                self._counted |= {name for name in _COUNTS if getattr(event.usage, name) is not None}
            self.parts.emit(event)
        self.parts.raw = raw
        self.error, self.ended = inner.error, inner.ended

    def _choose(self, payload: dict[str, Any]) -> Format | None:
        names = registry.names()
        for asked in (_FIRST, (), _LAST):
            found: Format | None = None
            name = next((name for name in asked if name in names and _is_of(name, payload)), None)
            if name is not None:
                found = registry.create(name, limits=self.limits, pings=self.pings)
            elif not asked and PlainModel.recognises(payload, ""):
                found = PlainModel(limits=self.limits, pings=self.pings)
            if found is not None:
                found.departures = self.departures
                found.shortcuts = self.shortcuts
                self._inner = found
                # All that is open is the model's: what ends it ends it there.
                self.parts = found.parts
                return found
        return None

    def _count(self, metrics: dict[str, Any]) -> None:
        """Take what Bedrock has counted, where the model has not counted it itself."""
        usage = metrics_of(metrics)
        told = [name for name in _COUNTS if getattr(usage, name) is not None]
        better = self._counted.intersection(told)
        if len(better) < len(told):
            self.parts.usage(usage.model_copy(update=dict.fromkeys(better)))

    # -- the short way ---------------------------------------------------------

    def payload_shortcut(self) -> tuple[str, bytes, Callable[[bytes], Event | None]] | None:
        """Return the name of events that are read at a glance, their start, and a reader of the rest."""
        glance = self._glance
        return None if glance is None else ("chunk", glance.start, glance.read)

    def _noted(self) -> int:
        return sum(departure.count for departure in self.departures.values())

    def _learn(self, events: list[Event], *, new: bool) -> None:
        """Remember what the bytes of a payload look like that gave one piece of text and nothing else."""
        seen, event = self._payload, events[0] if self.shortcuts and len(events) == 1 else None
        if seen is None or new or self.error is not None or not isinstance(event, TextDelta | ReasoningDelta):
            self._templates.drop(self.frames)
            return
        data, payload = seen
        if _at(payload, self._path) != event.text:
            self._path = next((path for path in _PATHS if _at(payload, path) == event.text), ())
        if not self._path or (isinstance(event, ReasoningDelta) and event.signature):
            return
        inner = self._inner
        last = inner.last if isinstance(inner, PlainModel) else LastRead()
        if isinstance(inner, PlainModel) and inner.changing:
            counted = self._holes.of(data, payload, self._path, inner.changing)
            template: HoleTemplate | TextTemplate | None = counted
        else:
            self._templates.offer(data, payload, self._path, self.frames)
            template = self._templates.template
        if template is not None:
            self._glance = Glance(self, template, event, last)


def _unpacked(written: object) -> bytes:
    """Return the bytes of a chunk, which are base64 on the wire.

    Raises:
        ProtocolError: They are not.
    """
    if isinstance(written, bytes):
        return written
    if not isinstance(written, str):
        raise ProtocolError("a chunk has no bytes")
    try:
        return binascii.a2b_base64("".join(written.split()), strict_mode=True)
    except ValueError:
        raise ProtocolError("the bytes of a chunk are no base64") from None


def adapted(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload in the words of OpenAI, where it has their shape under names of its own.

    Mistral's chat models on Bedrock call a delta `message`, and a finish reason `stop_reason`.

    Example:
        >>> adapted({"choices": [{"message": {"content": "Hel"}, "stop_reason": "stop"}]})
        {'choices': [{'delta': {'content': 'Hel'}, 'finish_reason': 'stop'}]}
    """
    choices = payload.get("choices")
    if not is_list(choices) or "object" in payload:
        return payload
    if not any("message" in choice and "delta" not in choice for choice in dicts_of(choices)):
        return payload
    names = {"message": "delta", "stop_reason": "finish_reason"}
    return {
        **payload,
        "choices": [
            {names.get(name, name): value for name, value in choice.items()} for choice in dicts_of(choices)
        ],
    }


def _is_of(name: str, payload: dict[str, Any]) -> bool:
    return registry.load(name).recognises(payload, "") is True


def _at(value: Any, path: tuple[str | int, ...]) -> object:  # noqa: ANN401 - any JSON value
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
