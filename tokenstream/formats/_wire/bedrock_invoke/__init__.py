"""Bedrock's InvokeModelWithResponseStream: the native stream of each model, packed into chunks."""

from __future__ import annotations

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from contextlib import suppress
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dicts_of, fields_except, is_dict, is_list
from tokenstream.errors import ProtocolError
from tokenstream.events import UsageUpdate
from tokenstream.formats import _registry as registry
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.errors import named_exception
from tokenstream.formats._reader import FrameReader, end_at_mark
from tokenstream.formats._wire.bedrock_invoke.plain import COUNT_FIELDS, METRICS, PlainModel
from tokenstream.framing import EventStreamMessage
from tokenstream.framing._frames import INITIAL_RESPONSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Frame
    from tokenstream.formats._fast.entry import Read
    from tokenstream.formats._fast.shape import KeyPath

BYTES_PER_GROUP = 3
"""Four characters of base64 encode this many bytes, so a start of whole groups can be compared as base64."""

# A chunk is the payload in base64 between these bytes; random padding, if any, follows it.
_START, _BETWEEN, _END = b'{"bytes":"', b'","p":"', b'"}'


def unpack(encoded: object) -> bytes:
    """Return the bytes of a chunk, which are base64 on the wire."""
    if isinstance(encoded, bytes):
        return encoded
    if not isinstance(encoded, str):
        raise ProtocolError("a chunk has no bytes")
    # White space in base64 is harmless, but strict decoding would refuse it.
    try:
        return a2b_base64("".join(encoded.split()), strict_mode=True)
    except ValueError:
        raise ProtocolError("the bytes of a chunk are not base64") from None


def may_have_payload(encoded: object) -> bool:
    """Return whether bytes, which agents use for text, begin like a model's payload or the sentinel."""
    try:
        data = unpack(encoded).strip()
    except ProtocolError:
        return False
    return data[:1] == b"{" or data in (b"", b"[DONE]")


def make_chunk_reader(start: bytes, read: Read) -> tuple[bytes, Read]:
    """Return the first bytes of chunks with similar payloads, and a function that reads the other bytes.

    `start` has a multiple of `BYTES_PER_GROUP` bytes. The function returns None if a chunk must be decoded.
    """

    def read_rest(rest: bytes) -> Event | None:
        if rest[-2:] != _END:
            return None
        # The payload may be followed by a field with random padding.
        encoded, between, padding = rest[:-2].partition(_BETWEEN)
        if between and not padding.isalnum():
            # The chunk contains more than the payload and padding.
            return None
        try:
            data = a2b_base64(encoded, strict_mode=True)
        except BinasciiError:
            return None
        return read(data)

    return _START + b2a_base64(start, newline=False), read_rest


_SENTINEL = b"[DONE]"
_ADDED_PREFIX = "amazon-bedrock-"
"""Prefix of the fields that Bedrock adds to a model's payload."""
_METRICS = "amazon-bedrock-invocationMetrics"
_LAST_FIELDS = frozenset({_METRICS, "amazon-bedrock-trace"})
"""Fields that occur only in the last payload."""
_TRIED_FIRST = ("anthropic", "bedrock-converse", "cohere")
"""Formats that are tried first for the model's first payload, in this order."""
_TRIED_LAST = ("openai-chat",)
"""Formats that are tried for the model's first payload if `PlainModel` does not recognise it."""
_USAGE_FIELDS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")
_TEXTS: tuple[KeyPath, ...] = (
    ("delta", "text"),
    ("delta", "thinking"),
    ("delta", "partial_json"),
    ("contentBlockDelta", "delta", "text"),
    ("contentBlockDelta", "delta", "reasoningContent", "text"),
    ("contentBlockDelta", "delta", "toolUse", "input"),
    ("choices", 0, "delta", "content"),
    ("choices", 0, "text"),
    ("outputs", 0, "text"),
    ("text",),
    ("outputText",),
    ("generation",),
    ("completion",),
)
"""Paths to a delta's text in the payloads of the models."""
_CHANGING: tuple[KeyPath, ...] = tuple((name,) for name in sorted(COUNT_FIELDS))


class _ChunkReader(FrameReader["BedrockInvoke"]):
    __slots__ = ()

    def read_facts(self, format: BedrockInvoke, payload: JsonObject, event: str) -> tuple[list[Event], bool]:
        """Read nothing after the end: the model's format, which has ended, would count the frame, too."""
        return ([], True) if format.error is None else super().read_facts(format, payload, event)


class BedrockInvoke(Format):
    """The `bedrock-invoke` format: the model's native payloads, each packed into a chunk.

    The first payload decides which format the model uses; that format then reads all payloads.

    Example:
        >>> invoke = BedrockInvoke()
        >>> events = invoke.feed({"chunk": {"bytes": b'{"generation": "Hel", "stop_reason": null}'}})
        >>> [event.text for event in events if hasattr(event, "text")]
        ['Hel']
    """

    __slots__ = ("_chunk_reader", "_counted", "_data", "_inner", "_last_arrived")

    name = "bedrock-invoke"
    reader = _ChunkReader()
    is_one_answer = True
    framing = "aws-eventstream"
    documented = frozenset[str]()
    event_names = frozenset({"chunk"})
    # For the model's payloads: an AWS message is decoded first, because its checksum must be verified.
    fast = Fast(texts=_TEXTS, changing=_CHANGING, counts=_CHANGING, units=frozenset())

    def _set_up(self) -> None:
        self._inner: Format | None = None
        """The format of the model's payloads; None until the first payload."""
        self._last_arrived = False
        """True once the last payload has arrived, which has Bedrock's token counts or a guardrail's trace."""
        self._counted: set[str] = set()
        """Names of the token counts that the model itself has reported."""
        self._data = b""
        """The model's last payload, if all events of the frame are from it; else empty."""
        self._chunk_reader: tuple[bytes, Read] | None = None
        """The first bytes of chunks like the last one, and a function that reads the bytes after them."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:
        """Return whether a stream's first payload is of this format; None for the initial message of AWS."""
        if event == INITIAL_RESPONSE:
            return None
        if event == "chunk":
            return may_have_payload(payload.get("bytes"))
        # Without an event name, the name may be a key of the payload, or be missing. `p` is padding.
        inner = payload.get("chunk")
        if not event and len(payload) == 1 and is_dict(inner):
            return may_have_payload(inner.get("bytes"))
        return payload.keys() <= {"bytes", "p"} and may_have_payload(payload.get("bytes"))

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the answer that a chunk begins, as the model's format knows it; else None."""
        inner, chunk = self._inner, payload.get("chunk")
        packed = (chunk if is_dict(chunk) else payload).get("bytes")
        if inner is None or packed is None:
            return None
        decoded = None
        with suppress(ProtocolError):
            decoded = self.reader.decode(self, unpack(packed))
        return inner.begun_by(decoded, "") if is_dict(decoded) else None

    @property
    def finished(self) -> bool:
        """True once the model's payloads or Bedrock's fields say that the answer is over."""
        inner = self._inner
        return self._last_arrived or super().finished or (inner is not None and inner.finished)

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        """Return the events of a frame: read it on the fast path if possible; otherwise, decode it."""
        _chunk_reader = self._chunk_reader
        if _chunk_reader is not None and isinstance(frame, EventStreamMessage):
            start, read = _chunk_reader
            fits = frame.event == "chunk" and frame.kind == "event" and frame.payload.startswith(start)
            delta = read(frame.payload[len(start) :]) if fits else None
            if delta is not None:
                return [delta]
        self._data, self._chunk_reader = b"", None
        # Not `Format.feed`, whose fast path would read the chunk, and not the payload in it.
        events = self.reader.feed_plainly(self, frame)
        fast = self.fast_path
        if fast is not None:
            # Learn from this payload how to read similar payloads without decoding them. If the frame had
            # other content, too, `_data` is empty, and an empty payload teaches nothing.
            fast.learn_from(self._data or {}, events)
            # The start consists of whole groups of bytes, since base64 encodes each group by itself.
            split = fast.make_split_reader(BYTES_PER_GROUP)
            # The first item of `split` is the name of an SSE event, which a payload in a chunk does not have.
            self._chunk_reader = None if split is None else make_chunk_reader(*split[1:])
        return events

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return the callback of the model's format for later deltas like this one; None if there is none.

        The fast path calls it for each delta that it reads.
        If the payloads have token counts that the model's format does not store, return
        `always_decode`, which has each later payload decoded.
        """
        inner = self._inner
        if inner is None:
            return None
        has_counts = is_dict(delta.raw) and not COUNT_FIELDS.isdisjoint(delta.raw)
        if has_counts and not isinstance(inner, PlainModel):
            # Only `PlainModel` stores deltas to read their counts later.
            return always_decode
        return inner.follow(delta)

    def end(self, *, now: float = 0.0) -> list[Event]:
        # No chunk follows, on the fast path or otherwise.
        self._chunk_reader = None
        if self.error is None and not self.ended and self.finished:
            # The last payload has arrived (`finished`), although no frame has ended the answer.
            end_at_mark(self)
        if self._inner is None or self.error is not None:
            return super().end(now=now)
        # The model's format has all parts, so it closes them and judges whether the answer has ended.
        # The error of a cut answer states the number of frames.
        self._inner.frames = self.frames
        events = self._inner.end(now=now)
        self.error = self._inner.error
        return events

    def conclude(self) -> None:
        if self._inner is not None and not self._inner.ended:
            self._inner.conclude()
        super().conclude()

    def read(self, payload: JsonObject, event: str) -> None:
        # Without an event name, the name is the key of the payload.
        inner = payload.get("chunk")
        if event != "chunk" and is_dict(inner):
            payload = inner
        if "bytes" in payload:
            self._read_chunk(payload["bytes"])
            if fields_except(payload, "bytes", *PADDING) is not None:
                # The fast path must not learn from this frame: its events are not only the model's.
                self._data = b""
                self.parts.report_unknown_fields(payload, ("bytes",))
            return
        if event == INITIAL_RESPONSE:
            # The initial message of AWS has no content.
            return
        # A named exception was recognised before; without an event name, the name is the key of the payload.
        self.error = None if event else named_exception(payload)
        if self.error is None:
            self.parts.unknown(event or next(iter(payload), "chunk"), payload)

    # -- the model's payloads ------------------------------------------------

    def _read_chunk(self, encoded: object) -> None:
        """Read a chunk's bytes, which are a payload of the model, or the sentinel."""
        data = unpack(encoded)
        if not data or data.isspace():
            self.note("empty_data")
        elif data.strip() == _SENTINEL:
            # A model that sends OpenAI's chunks may also send OpenAI's sentinel.
            format = self._inner or self
            format.read_sentinel()
            # `assumed` means that only the sentinel marks the end, so that the input must also end cleanly.
            self.ended, self.assumed = True, format.assumed
        else:
            self._read_model(data)

    def _read_model(self, data: bytes) -> None:
        """Read a payload of the model, and the fields that Bedrock has added to it."""
        payload = self.reader.decode(self, data)
        if not is_dict(payload):
            raise ProtocolError("the bytes of a chunk are not a JSON object")
        added = {name: value for name, value in payload.items() if name.startswith(_ADDED_PREFIX)}
        of_model = {name: value for name, value in payload.items() if name not in added} if added else payload
        if of_model:
            self._read_payload(of_model, payload)
        for name, value in added.items():
            self.parts.field(name, value)
        # Quirk (Amazon Titan, 2025-03): where a guardrail blocks the request there are no metrics and no
        # reason, but its trace; recording: bedrock-invoke-openllmetry-test-guardrail-invoke-stream-ac9d3c56.
        self._last_arrived = self._last_arrived or not _LAST_FIELDS.isdisjoint(added)
        metrics = added.get(_METRICS)
        if is_dict(metrics):
            self._report_metrics(metrics)
        if not added:
            # The fast path may learn from this payload: all of it is the model's.
            self._data = data

    def _read_payload(self, payload: JsonObject, raw: JsonObject) -> None:
        """Pass a payload, without Bedrock's fields, to the model's format, which the first one chooses."""
        payload = rename_fields(payload)
        # The stage must see each event once: not in `inner.feed`, but when this format returns the events.
        stage, self.parts.stage = self.parts.stage, None
        inner = self._inner or self._choose_format(payload)
        if inner is None:
            # No format fits this payload; the next payload may decide.
            self.parts.stage = stage
            self.parts.raw = raw
            self.parts.unknown(next(iter(payload)), payload)
            return
        # `feed` of the model's format counts this frame, too; the numbers of frames must agree.
        inner.frames = self.frames - 1
        events = inner.feed(payload)
        self.parts.stage = stage
        for event in events:
            event.raw = raw
            if isinstance(event, UsageUpdate):
                # Bedrock counts the same tokens in the last payload; these counts are then left out.
                self._counted |= {name for name in _USAGE_FIELDS if getattr(event.usage, name) is not None}
            self.parts.emit(event)
        self.parts.raw = raw
        # A departure in the model's payload keeps this payload from the fast path.
        self.noted_at = max(self.noted_at, inner.noted_at)
        self.error, self.ended = inner.error, inner.ended

    def _choose_format(self, payload: JsonObject) -> Format | None:
        """Choose the model's format by its first payload, and share its `parts`; None if no format fits."""
        # Some events of Cohere fit the table of `PlainModel`, too, so these formats are tried before it.
        name = _find_recognised(_TRIED_FIRST, payload)
        if name is None and PlainModel.recognises(payload, ""):
            chosen: Format = PlainModel(limits=self.limits)
        else:
            name = name or _find_recognised(_TRIED_LAST, payload)
            if name is None:
                return None
            chosen = registry.create(name, limits=self.limits)
        chosen.departures = self.departures
        chosen.shortcuts = self.shortcuts
        self._inner = chosen
        # The model's format opens and closes all parts, so `parts` must be the same object.
        chosen.parts.adopt_pauses(self.parts)
        self.parts = chosen.parts
        return chosen

    def _report_metrics(self, metrics: JsonObject) -> None:
        """Report Bedrock's token counts, except those that the model reported itself."""
        usage = METRICS.read(metrics)
        in_metrics = [name for name in _USAGE_FIELDS if getattr(usage, name) is not None]
        from_model = self._counted.intersection(in_metrics)
        if len(from_model) < len(in_metrics):
            # Counts that the model has reported itself become None here.
            self.parts.usage(usage.model_copy(update=dict.fromkeys(from_model)), counted=METRICS)

    def payload_shortcut(self) -> tuple[str, bytes, Callable[[bytes], Event | None]] | None:
        return None if self._chunk_reader is None else ("chunk", *self._chunk_reader)


def rename_fields(payload: JsonObject) -> JsonObject:
    """Return a payload with OpenAI's names for Mistral's on Bedrock, `message` and `stop_reason`.

    Example:
        >>> rename_fields({"choices": [{"message": {"content": "Hel"}, "stop_reason": "stop"}]})
        {'choices': [{'delta': {'content': 'Hel'}, 'finish_reason': 'stop'}]}
    """
    choices = payload.get("choices")
    if not is_list(choices) or "object" in payload:
        # OpenAI's own payloads have `object`; a `message` in them is a whole answer, not a delta.
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


def _find_recognised(names: tuple[str, ...], payload: JsonObject) -> str | None:
    registered = registry.names()
    for name in names:
        # "" is the name of the SSE event: a payload inside a chunk has none.
        if name in registered and registry.load(name).recognises(payload, "") is True:
            return name
    return None
