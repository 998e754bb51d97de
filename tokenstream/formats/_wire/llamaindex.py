"""LlamaIndex's model streams: each response has a piece of text, and repeats the message so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, is_list, says_nothing, text_of
from tokenstream.events import TextDelta
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.reasons import PROVIDERS_REASONS, reason_of
from tokenstream.formats._kit.values import base64_bytes, json_text
from tokenstream.message import MediaPart, OpaquePart, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_FIELDS = frozenset({"delta", "raw", "additional_kwargs"})
_INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count")
_OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount", "candidates_token_count")
_TOTAL = ("total_tokens", "totalTokenCount", "total_token_count")
_REPORTS = ("usage", "usageMetadata", "usage_metadata")
_TOLD = frozenset({"tool_calls", "thinking_delta", *_INPUT, *_OUTPUT, *_TOTAL, *_REPORTS})
"""Names in `additional_kwargs` that are read elsewhere."""
_ENDS = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
"""Fields that may hold the provider's finish reason."""
_MEDIA = frozenset({"audio", "document", "image", "video"})


class LlamaIndex(Format):
    """The `llamaindex` format: a model's `ChatResponse`s or `CompletionResponse`s.

    Args:
        limits: Bounds on parts, tool calls, and JSON payloads.
        pings: Whether frames without content, such as pings, become `Ping` events.

    Example:
        >>> llamaindex = LlamaIndex()
        >>> response = {"text": "Hel", "delta": "Hel", "raw": None, "additional_kwargs": {}}
        >>> [type(event).__name__ for event in llamaindex.feed(response)]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = ("_calls", "_due", "_length", "_others", "_thoughts")

    name: ClassVar[str] = "llamaindex"
    framing: ClassVar[str] = "ndjson"
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = PROVIDERS_REASONS
    finish_is_last: ClassVar[bool] = False
    fast: ClassVar[Fast | None] = Fast(texts=[("delta",)], units=frozenset({"event", "line"}))

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self._calls: dict[int | str, _RepeatedCall] = {}
        self._due = False
        """True if the raw chunks are of a kind that ends with a finish reason."""
        self._length = 0
        """Characters of text reported so far."""
        self._thoughts = ""
        """The reasoning reported so far; a response has a new piece of it, or all of it."""
        self._others = 0
        """Number of blocks of other kinds reported so far."""

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - objects have no names
        """Return whether a first payload is a response of a chat or completion model."""
        return payload.keys() >= _FIELDS and ("blocks" in dict_of(payload, "message") or "text" in payload)

    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        """Return True: no payload is an error, since LlamaIndex raises errors."""
        return True

    def follow(self, delta: Event) -> Callable[[Any], bool | None] | None:
        """Return a callback that counts the text of deltas like this one."""
        return self._count if isinstance(delta, TextDelta) else None

    def _count(self, delta: Any) -> None:  # noqa: ANN401 - a delta
        self._length += len(delta.text)

    def read(self, payload: dict[str, Any], event: str) -> None:
        """Pass the content of `payload` to `self.parts`."""
        if not payload.keys() & {"message", "text"}:
            self.parts.unknown(text_of(payload, "type") or "response", payload)
            return
        message, raw, fields = (dict_of(payload, name) for name in ("message", "raw", "additional_kwargs"))
        blocks = dicts_of(message.get("blocks"))
        whole = dict_of(raw, "response") or raw
        self.parts.head(
            id=self.parts.id or text_of(whole, "id", "responseId", "response_id"),
            model=text_of(whole, "model", "modelVersion", "model_version"),
            role=text_of(message, "role"),
        )
        self._read_reasoning(text_of(fields, "thinking_delta"), blocks)
        self._read_text(payload, blocks)
        called = [block for block in blocks if block.get("block_type") == "tool_call"]
        for place, call in enumerate(
            called or dicts_of(dict_of(message, "additional_kwargs").get("tool_calls"))
        ):
            self._read_call(place, call)
        self._read_others(blocks)
        logprobs = payload.get("logprobs")
        if is_list(logprobs) and logprobs:
            self.parts.items("logprobs", logprobs)
        for report in (fields, *(dict_of(holder, name) for holder in (fields, whole) for name in _REPORTS)):
            self._read_usage(report)
        for name, value in {**dict_of(message, "additional_kwargs"), **fields}.items():
            if name not in _TOLD and not says_nothing(value):
                self.parts.field(name, value)
        self._read_end(raw)

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return the held-back events; if a finish reason is missing, set `error` to `StreamTruncated`."""
        if self.error is None and self.frames and not self.ended:
            if self.parts.finished:
                self.ended = True
            elif not self._due:
                # This stream has no mark of its end.
                self.note("finish_missing")
                self._end_calls()
                self.conclude()
        return super().end(now=now)

    # -- internals ---------------------------------------------------------

    def _read_text(self, payload: dict[str, Any], blocks: list[dict[str, Any]]) -> None:
        """Add the new text: the delta, or what the whole text has beyond the text reported so far."""
        text = payload.get("delta")
        if not isinstance(text, str):
            texts = [text_of(block, "text") or "" for block in blocks if block.get("block_type") == "text"]
            text = ("".join(texts) or text_of(payload, "text") or "")[self._length :]
        self._length += len(text)
        self.parts.write(0, "text", text)

    def _read_reasoning(self, delta: str | None, blocks: list[dict[str, Any]]) -> None:
        """Add the new reasoning: the delta, or what the whole has beyond the reasoning so far."""
        thinking = [block for block in blocks if block.get("block_type") == "thinking"]
        if delta is None:
            thoughts = "".join(text_of(block, "content") or "" for block in thinking)
            if thoughts in self._thoughts:
                thoughts = ""
            delta = thoughts.removeprefix(self._thoughts)
        self._thoughts += delta
        self.parts.write(0, "reasoning", delta)

    def _read_call(self, place: int, item: dict[str, Any]) -> None:
        """Read a call, which each response repeats with more of its arguments."""
        function = dict_of(item, "function") or item
        id, name = text_of(item, "tool_call_id", "id", "call_id"), text_of(function, "tool_name", "name")
        call = self._calls.get(place if id is None else id)
        if call is None:
            if name is None:
                return
            call = _RepeatedCall(self.parts.open_call(0, id or self.parts.new_id(0), name))
            self._calls[place if id is None else id] = call
        arguments = next(
            (function[key] for key in ("tool_kwargs", "arguments", "input") if key in function), None
        )
        if isinstance(arguments, str):
            self._add_arguments(call, arguments)
        elif is_dict(arguments):
            # Store the values until the end: unlike text, which only gets longer, they may still change.
            call.values = arguments

    def _add_arguments(self, call: _RepeatedCall, text: str) -> None:
        """Add the part of a call's arguments that is new."""
        if call.open.closed:
            return
        if text.startswith(call.text):
            self.parts.add_arguments(call.open, text[len(call.text) :])
            call.text = text
        elif not call.text.startswith(text):
            self.note("text_rewritten")

    def _end_calls(self) -> None:
        for call in self._calls.values():
            if not call.open.closed and not call.text and call.values is not None:
                self.parts.add_arguments(call.open, json_text(call.values))

    def _read_others(self, blocks: list[dict[str, Any]]) -> None:
        """Add the blocks of other kinds that are new: media, or opaque parts."""
        others = [
            block for block in blocks if block.get("block_type") not in ("text", "thinking", "tool_call")
        ]
        for block in others[self._others :]:
            kind = text_of(block, "block_type") or "block"
            data = base64_bytes(block.get(kind) or block.get("data")) if kind in _MEDIA else None
            if data:
                part = self.parts.open(
                    0, MediaPart(mime_type=text_of(block, f"{kind}_mimetype"), url=text_of(block, "url"))
                )
                self.parts.add_media(part, data)
                self.parts.close(part)
            else:
                self.parts.whole(0, OpaquePart(type=kind, data=block))
        self._others = max(self._others, len(others))

    def _read_usage(self, report: dict[str, Any]) -> None:
        before, after = int_of(report, *_INPUT), int_of(report, *_OUTPUT)
        if before is not None or after is not None:
            total = int_of(report, *_TOTAL)
            counts = {name: report[name] for name in (*_INPUT, *_OUTPUT, *_TOTAL) if name in report}
            self.parts.usage(
                Usage(input_tokens=before, output_tokens=after, total_tokens=total, provider_data=counts)
            )

    def _read_end(self, raw: dict[str, Any]) -> None:
        """Read the finish reason from a provider's raw chunk, and note whether one is expected."""
        choices = dicts_of(raw.get("choices")) or dicts_of(raw.get("candidates"))
        response = dict_of(raw, "response")
        holders = (*choices[:1], raw, dict_of(raw, "delta"), dict_of(raw, "messageStop"))
        reason = next((word for holder in holders if (word := text_of(holder, *_ENDS))), None)
        status = text_of(response, "status")
        if reason is None and status not in (None, "in_progress", "queued"):
            reason = text_of(dict_of(response, "incomplete_details"), "reason") or status
        self._due = (
            self._due
            or bool(choices)
            or "done" in raw
            or (text_of(raw, "type") or "").startswith("response.")
        )
        if reason is not None and reason != "FINISH_REASON_UNSPECIFIED":
            self._end_calls()
            self.parts.finish(0, reason_of(reason), reason)


class _RepeatedCall:
    """A tool call that each response repeats, with more arguments."""

    __slots__ = ("open", "text", "values")

    def __init__(self, call: OpenCall) -> None:
        self.open = call
        self.text = ""
        """The arguments reported so far, if they are text."""
        self.values: dict[str, Any] | None = None
        """The latest arguments, if they are JSON values."""
