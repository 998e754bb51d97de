"""LlamaIndex's model streams: each response has a piece of text, and repeats the message so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import count_of, dict_of, dicts_of, is_dict, is_list, text_of
from tokenstream.events import TextDelta
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.openai import PROVIDERS_REASONS, provider_marks
from tokenstream.formats._kit.values import base64_bytes, json_text, split_names, worst_of
from tokenstream.formats._reader import end_without_finish
from tokenstream.message import MediaPart, OpaquePart, Usage

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, DeltaCallback, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenCall

_RESPONSE_FIELDS = frozenset({"delta", "raw", "additional_kwargs"})
_INPUT_COUNTS = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_token_count")
_OUTPUT_COUNTS = ("completion_tokens", "output_tokens", "candidatesTokenCount", "candidates_token_count")
_TOTAL_COUNTS = ("total_tokens", "totalTokenCount", "total_token_count")
_COUNT_FIELDS = (*_INPUT_COUNTS, *_OUTPUT_COUNTS, *_TOTAL_COUNTS)
_USAGE_FIELDS = ("usage", "usageMetadata", "usage_metadata")
_FIELDS_READ = frozenset({"tool_calls", "thinking_delta", *_COUNT_FIELDS, *_USAGE_FIELDS})
"""Names in `additional_kwargs` that are read elsewhere."""
_FINISH_REASON_FIELDS = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
"""Fields that may hold the provider's finish reason."""
_MEDIA_TYPES = split_names("audio document image video")
_KNOWN_FIELDS = _MEDIA_TYPES | split_names(
    "additional_information additional_kwargs additional_location_info arguments block_type blocks "
    "bytes cache_control cited_content content data delta detail document_mimetype format fps function id "
    "image_mimetype logprob logprobs message name num_tokens path raw role source text title token "
    "tool_call_id tool_calls tool_kwargs tool_name ttl type url video_mimetype"
)
"""The fields of `ChatResponse`, `CompletionResponse` and `ContentBlock` of llama-index-core."""


class LlamaIndex(Format):
    """The `llamaindex` format: a model's `ChatResponse`s or `CompletionResponse`s.

    Example:
        >>> llamaindex = LlamaIndex()
        >>> response = {"text": "Hel", "delta": "Hel", "raw": None, "additional_kwargs": {}}
        >>> [type(event).__name__ for event in llamaindex.feed(response)]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = (
        "_calls",
        "_expects_finish",
        "_last_thinking",
        "_longest_piece",
        "_other_blocks_seen",
        "_reasoning",
        "_sent_as_deltas",
        "_text_length",
    )

    name = "llamaindex"
    framing = "ndjson"
    finish_reasons = PROVIDERS_REASONS
    finish_is_last = False
    fast = Fast(texts=[("delta",)], units=frozenset({"event", "line"}))

    def _set_up(self) -> None:
        self._calls: dict[int | str, _RepeatedCall] = {}
        """The calls so far, by id; by index if they have no id."""
        self._expects_finish = False
        """True if the provider's raw chunks are of a kind that ends with a finish reason."""
        self._text_length = 0
        """Number of characters of text reported so far."""
        # Reasoning arrives as deltas, in blocks, or as both; blocks may repeat what has arrived either way.
        # `_find_new_reasoning` compares the blocks of a response with the following, to add only what is new.
        self._reasoning = ""
        """The reasoning reported so far; a response contains either a new piece or all reasoning so far."""
        self._last_thinking = ""
        """The text of the thinking blocks in the last response that had any."""
        self._longest_piece = 0
        """Length of the longest piece of reasoning so far; a repetition of several pieces is longer."""
        self._sent_as_deltas = ""
        """The reasoning up to the last piece that did not arrive in a block; blocks may repeat it."""
        # Other content.
        self._other_blocks_seen = 0
        """Number of blocks reported so far that are neither text, reasoning nor calls."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - objects have no names
        return payload.keys() >= _RESPONSE_FIELDS and (
            "blocks" in dict_of(payload, "message") or "text" in payload
        )

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return True: no payload is an error, since LlamaIndex raises errors."""
        return True

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a callback that counts the characters of later text deltas; None if the delta is not text.

        The fast path reads these deltas without `read`, which counts the characters of all others.
        """
        return self._count_text if isinstance(delta, TextDelta) else None

    def _count_text(self, delta: AnyEvent) -> None:
        """Count the text of a delta that was not decoded, since later responses may repeat it."""
        self._text_length += len(delta.text)

    def read(self, payload: JsonObject, event: str) -> None:
        self.parts.tell_inside(payload, _KNOWN_FIELDS)
        # A response has no type; an event of another format may have one of these fields beside its type.
        if "type" in payload or not payload.keys() & {"message", "text"}:
            self.parts.unknown(text_of(payload, "type") or "response", payload)
            return
        message, raw, fields = (dict_of(payload, name) for name in ("message", "raw", "additional_kwargs"))
        blocks = dicts_of(message.get("blocks"))
        # Events of OpenAI's Responses API contain the response.
        provider_response = dict_of(raw, "response") or raw
        self.parts.head(
            id=self.parts.id or text_of(provider_response, "id", "responseId", "response_id"),
            model=text_of(provider_response, "model", "modelVersion", "model_version"),
            role=text_of(message, "role"),
        )
        self._read_reasoning(text_of(fields, "thinking_delta"), blocks)
        self._read_text(payload, blocks)
        message_fields = dict_of(message, "additional_kwargs")
        calls = [block for block in blocks if block.get("block_type") == "tool_call"]
        for index, call in enumerate(calls or dicts_of(message_fields.get("tool_calls"))):
            self._read_call(index, call)
        self._read_other_blocks(blocks)
        logprobs = payload.get("logprobs")
        if is_list(logprobs) and logprobs:
            self.parts.items("logprobs", logprobs)
        # The token counts may be fields of the response, or in an object there or in the provider's chunk.
        self._read_usage(fields)
        for holder in (fields, provider_response):
            for name in _USAGE_FIELDS:
                self._read_usage(dict_of(holder, name))
        self.parts.report_unknown_fields({**message_fields, **fields}, _FIELDS_READ)
        self._read_end(raw)

    def judge_end(self) -> None:
        """End the answer with the input, unless the provider's chunks should end with a finish reason."""
        if self.error is None and self.frames and not self.ended:
            if self.parts.finished:
                self.ended = True
            elif not self._expects_finish:
                # This stream has no mark of its end.
                self.note("finish_missing")
                self._add_pending_arguments()
                end_without_finish(self)

    # -- internals ---------------------------------------------------------

    def _read_text(self, payload: JsonObject, blocks: list[JsonObject]) -> None:
        """Add the new text: the delta; or, without a delta, what is new in the whole text."""
        text = payload.get("delta")
        if not isinstance(text, str):
            texts = [text_of(block, "text") or "" for block in blocks if block.get("block_type") == "text"]
            text = ("".join(texts) or text_of(payload, "text") or "")[self._text_length :]
        self._text_length += len(text)
        self.parts.write(0, "text", text)

    def _read_reasoning(self, delta: str | None, blocks: list[JsonObject]) -> None:
        """Add the new reasoning, which only the blocks may contain if `delta` is None."""
        thinking = [block for block in blocks if block.get("block_type") == "thinking"]
        in_blocks = "".join(text_of(block, "content") or "" for block in thinking)
        new = delta or ""
        if delta is None and in_blocks:
            new = self._find_new_reasoning(in_blocks)
        self._last_thinking = in_blocks or self._last_thinking
        self._reasoning += new
        self._longest_piece = max(self._longest_piece, len(new))
        if delta is not None:
            self._sent_as_deltas = self._reasoning
        self.parts.write(0, "reasoning", new)

    def _find_new_reasoning(self, in_blocks: str) -> str:
        """Return the reasoning in the blocks of a response without what was reported before.

        The blocks contain either all reasoning so far or a new piece. They add nothing if they repeat the
        blocks of the response before, reasoning that deltas have sent, or several pieces at once. A text that
        is no longer than a single piece is new even if the same words were reported before.
        """
        is_repeated = (
            in_blocks == self._last_thinking
            or in_blocks in self._sent_as_deltas
            or (len(in_blocks) > self._longest_piece and in_blocks in self._reasoning)
        )
        return "" if is_repeated else in_blocks.removeprefix(self._reasoning)

    def _read_call(self, index: int, item: JsonObject) -> None:
        """Read a call, which each response repeats with more arguments; its index tells one without an id."""
        function = dict_of(item, "function") or item
        id, name = text_of(item, "tool_call_id", "id", "call_id"), text_of(function, "tool_name", "name")
        key = index if id is None else id
        call = self._calls.get(key)
        if call is None:
            if name is None:
                # The name may follow in a later response, which repeats the call.
                return
            call = _RepeatedCall(self.parts.open_call(0, id or "", name))
            self._calls[key] = call
        names = ("tool_kwargs", "arguments", "input")
        arguments = next((function[name] for name in names if name in function), None)
        if isinstance(arguments, str):
            self._add_arguments(call, arguments)
        elif is_dict(arguments):
            # Store the values until the end: unlike text, which only gets longer, they may still change.
            call.values = arguments
        if arguments is None:
            note_unread_texts(call.part, {**item, **function})

    def _add_arguments(self, call: _RepeatedCall, text: str) -> None:
        if call.part.closed:
            return
        if text.startswith(call.text):
            self.parts.add_arguments(call.part, text[len(call.text) :])
            call.text = text
        elif not call.text.startswith(text):
            # The text is neither an extension nor a repetition of the arguments so far.
            self.note("text_rewritten")

    def _add_pending_arguments(self) -> None:
        """Add the arguments that arrived as JSON values, which cannot change after the end of the answer."""
        for call in self._calls.values():
            if not call.part.closed and not call.text and call.values is not None:
                self.parts.add_arguments(call.part, json_text(call.values))

    def _read_other_blocks(self, blocks: list[JsonObject]) -> None:
        """Add the new blocks that are neither text, reasoning nor calls: media, or opaque parts."""
        # Each response repeats the blocks of the responses before it.
        others = [
            block for block in blocks if block.get("block_type") not in ("text", "thinking", "tool_call")
        ]
        for block in others[self._other_blocks_seen :]:
            kind = text_of(block, "block_type") or "block"
            data = base64_bytes(block.get(kind) or block.get("data")) if kind in _MEDIA_TYPES else None
            if data:
                part = self.parts.open(
                    0, MediaPart(mime_type=text_of(block, f"{kind}_mimetype"), url=text_of(block, "url"))
                )
                self.parts.add_media(part, data)
                self.parts.close(part)
            else:
                self.parts.whole(0, OpaquePart(type=kind, data=block))
        self._other_blocks_seen = max(self._other_blocks_seen, len(others))

    def _read_usage(self, report: JsonObject) -> None:
        usage = Usage(
            input_tokens=count_of(report, *_INPUT_COUNTS),
            output_tokens=count_of(report, *_OUTPUT_COUNTS),
            total_tokens=count_of(report, *_TOTAL_COUNTS),
            provider_data={name: report[name] for name in _COUNT_FIELDS if name in report},
        )
        if usage.input_tokens is not None or usage.output_tokens is not None:
            self.parts.usage(usage)

    def _read_end(self, raw: JsonObject) -> None:
        """Read the finish reason from the provider's raw chunk.

        Also record whether the provider's chunks end with a finish reason; an answer without one is then
        truncated.
        """
        choices = dicts_of(raw.get("choices")) or dicts_of(raw.get("candidates"))
        # Chunks of OpenAI and Gemini, of Ollama, and of OpenAI's Responses API end with a finish reason.
        if choices or "done" in raw or (text_of(raw, "type") or "").startswith("response."):
            self._expects_finish = True
        # The places where providers put the reason: the first choice, the chunk, or Bedrock's `messageStop`.
        holders = (*choices[:1], raw, dict_of(raw, "delta"), dict_of(raw, "messageStop"))
        reason = next((word for holder in holders if (word := text_of(holder, *_FINISH_REASON_FIELDS))), None)
        # In OpenAI's Responses API, the response has a status instead, perhaps with details.
        marks = provider_marks(dict_of(raw, "response"), reason)
        if marks:
            self._add_pending_arguments()
            self.parts.finish(0, *worst_of(marks, self.note))


class _RepeatedCall:
    """A tool call that each response repeats, with more arguments."""

    __slots__ = ("part", "text", "values")

    def __init__(self, call: OpenCall) -> None:
        self.part = call
        self.text = ""
        """The arguments reported so far, if they are text."""
        self.values: dict[str, Any] | None = None
        """The latest arguments, if they are JSON values."""
