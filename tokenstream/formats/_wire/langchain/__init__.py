"""LangChain's streams of a chat model: chunks of one message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, says_nothing, text_of
from tokenstream.errors import StreamTruncated
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.identity import Identity
from tokenstream.formats._kit.open import note_unread_texts
from tokenstream.formats._kit.openai import PROVIDERS_REASONS, reason_of
from tokenstream.formats._kit.repeated import complete_arguments, text_of_arguments
from tokenstream.formats._kit.values import failure_text
from tokenstream.formats._reader import end_at_mark
from tokenstream.formats._wire.langchain.graph_parts import DOCUMENTED, MODEL_MESSAGES
from tokenstream.formats._wire.langchain.parts import (
    COUNTED,
    MADE_UP_ID_PREFIXES,
    MESSAGE_FIELDS,
    MODEL_FIELDS,
    PROVIDER_FIELDS,
    LangChainBlocks,
    close_before_next,
    reason_in,
    report_metadata,
)
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.departures import Departures
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.limits import Limits
    from tokenstream.message import Usage


class LangChainCalls:
    """The tool calls of one answer."""

    __slots__ = ("_identity", "_last_call", "_nameless", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._identity: Identity[OpenCall] = Identity()
        """Finds the calls by their ids and indexes."""
        self._last_call: OpenCall | None = None
        """The call that began last; it may be closed."""
        self._nameless: dict[int | str, list[str]] = {}
        """Arguments that came before the name of their call, by index; they are in opaque parts, too."""

    def read(self, chunk: JsonObject) -> None:
        """Read a chunk of a call, or a whole call, whose arguments may be JSON values instead of text."""
        sent_index = chunk.get("index")
        index = sent_index if isinstance(sent_index, int | str) else None
        call = self._find_or_begin_call(chunk, index)
        arguments = chunk.get("args")
        if call is None:
            # An empty chunk has nothing to report.
            if text_of(chunk, "id") or arguments:
                self._parts.note("call_nameless")
                self._parts.whole(0, OpaquePart(type="tool_call", data=chunk))
                if index is not None and arguments is not None:
                    self._nameless.setdefault(index, []).append(text_of_arguments(arguments))
            return
        # Without arguments, the chunk only begins the call, or repeats its id.
        if arguments is None:
            note_unread_texts(call, chunk, "id", "index", "name", "error")
        elif text := text_of_arguments(arguments):
            self._parts.add_fragment(call, text)

    def read_again(self, call: JsonObject) -> None:
        """Read a whole call that chunks may have contained before; those calls are found by their ids."""
        known = self._identity.find_named([text_of(call, "id")])
        if known is None:
            self.read(call)
        else:
            if known.closed:
                self._parts.note("call_repeated")
            complete_arguments(self._parts, known, call.get("args"))

    def _find_or_begin_call(self, chunk: JsonObject, index: int | str | None) -> OpenCall | None:
        """Return the call that a chunk continues or begins; None if it begins one without a name."""
        id, name = text_of(chunk, "id"), text_of(chunk, "name")
        if name is None and (index is None or self._identity.is_shared(index)):
            call = (self._parts.find_call_in_turn(0) if chunk.get("args") else None) or self._last_call
        else:
            # Without an index, only a whole call has a name.
            call = None if index is None else self._identity.find_at(index)
        # A chunk without a name can only continue a call, even if its id is another one.
        continues = call is not None and (id is None or id == call.sent_id)
        if continues or name is None:
            return call
        close_before_next(self._parts, self._last_call)
        call = self._last_call = self._parts.open_call(0, id, name, number=index)
        self._identity.begin(call, index)
        self._identity.add_name(call, id)
        if index is not None:
            for text in self._nameless.pop(index, ()):
                self._parts.add_fragment(call, text)
        return call


_TOOL_MESSAGES = ("tool", "ToolMessageChunk")
"""Types of messages with the result of a tool."""
_CALL_FIELDS = frozenset({"tool_calls", "function_call"})
"""Additional fields with tool calls in the provider's form; `tool_call_chunks` has the same calls."""


class LangChain(Format):
    """The `langchain` format: a chat model's `AIMessageChunk`s, or its `AIMessage` if it does not stream.

    Args:
        parts: The parts of a session in which the message is an answer; None for a message of its own.

    Example:
        >>> langchain = LangChain()
        >>> [type(event).__name__ for event in langchain.feed({"type": "AIMessageChunk", "content": "Hel"})]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = ("_blocks", "_calls", "_first_part", "_sent_id", "_usage")

    name = "langchain"
    counted = COUNTED
    documented = DOCUMENTED
    framing = "ndjson"
    finish_reasons = PROVIDERS_REASONS
    fast = Fast(
        texts=[("content",), ("content", 0, "text"), ("content", 0, "reasoning")],
        units=frozenset({"event", "line"}),
    )

    def __init__(self, *, limits: Limits | None = None, parts: Parts | None = None) -> None:
        super().__init__(limits=limits)
        self.parts = parts or self.parts
        self._first_part = 0 if parts is None else parts.choice(0).next_part
        self._blocks = LangChainBlocks(self.parts)
        self._calls = LangChainCalls(self.parts)
        self._usage: Usage | None = None
        """The sum of all reports of token counts so far."""
        self._sent_id: str | None = None
        """The id in the first payload; LangChain may have made it up."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - objects have no names
        return (
            payload.get("type") in MODEL_MESSAGES and "content" in payload and "response_metadata" in payload
        )

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return True for messages, whatever they contain: LangChain raises errors, and sends none."""
        return payload.get("type") in (*MODEL_MESSAGES, *_TOOL_MESSAGES)

    def read(self, payload: JsonObject, event: str) -> None:
        kind = payload.get("type")
        if self.tolerates(payload, event):
            self.parts.tell_inside({**payload, "content": None}, MESSAGE_FIELDS)
        if kind in _TOOL_MESSAGES:
            self._read_tool_message(payload)
            return
        if kind not in MODEL_MESSAGES:
            # The stream of a graph also contains messages of tools and people.
            self.parts.unknown(kind if isinstance(kind, str) else "message", payload)
            return
        metadata = dict_of(payload, "response_metadata")
        is_whole = kind == "ai"
        has_their_id = text_of(payload, "id") in (None, self._sent_id)
        is_repeated = is_whole and has_their_id and self.parts.choice(0).next_part > self._first_part
        self._read_head(payload, metadata)
        if is_repeated:
            self._blocks.compare(payload.get("content"))
        else:
            self._read_additional(dict_of(payload, "additional_kwargs"))
            self._blocks.read(payload.get("content"))
        # The `tool_calls` of a chunk are left out: LangChain has parsed them from its `tool_call_chunks`.
        read_call = self._calls.read_again if is_repeated else self._calls.read
        for name in ("tool_calls", "invalid_tool_calls") if is_whole else ("tool_call_chunks",):
            for call in dicts_of(payload.get(name)):
                read_call(call)
        self._read_usage(dict_of(payload, "usage_metadata"), is_sum=is_repeated)
        report_metadata(self.parts, metadata)
        reason = reason_in(metadata, self.note)
        if reason is not None:
            self.parts.finish(0, reason_of(reason), reason)
        elif is_whole and text_of(metadata, *PROVIDER_FIELDS) is not None:
            # The integration of a provider passes on its finish reason.
            self.error = self.cut_short()
            return
        # LangChain itself adds an empty last chunk, even to a stream that was cut off: that proves nothing.
        is_marked_last = payload.get("chunk_position") == "last"
        is_end = is_whole or (is_marked_last and self._is_from_model(payload))
        if is_end:
            end_at_mark(self)

    def read_in_session(self, message: JsonObject, departures: Departures) -> None:
        """Read a message whose departures are those of a session."""
        self.departures = departures
        self.frames += 1
        self.read(message, "")

    def judge_end(self) -> None:
        # Versions before 1 do not mark the last chunk: after a finish reason, the input may just end.
        if self.error is None and self.parts.finished:
            self.ended = True

    def cut_short(self) -> StreamTruncated:
        if not self.frames:
            return super().cut_short()
        return StreamTruncated(
            f"LangChain's stream ended after {self.frames} chunk{'s' * (self.frames != 1)} without a finish "
            "reason, as it does when the provider's stream was cut; a model of your own marks its end with "
            'chunk_position="last" in its last chunk; what had arrived is in .partial'
        )

    # -- internals ---------------------------------------------------------

    def _read_tool_message(self, payload: JsonObject) -> None:
        """Report the result of a tool that the application ran, which the stream of a graph contains."""
        id, content = text_of(payload, "tool_call_id"), payload.get("content")
        if id is None:
            self.parts.unknown("tool", payload)
            return
        error = failure_text(content) if payload.get("status") == "error" else None
        self.parts.result_of_call(id, content, error)

    def _is_from_model(self, payload: JsonObject) -> bool:
        """Return whether a chunk that is marked as the last one is from the model, and not from LangChain.

        If a model's stream ends without such a mark, LangChain adds an empty chunk with the mark, even
        if the stream was cut off. If the finish reason has arrived, the answer is over in any case:
        the result is then True.
        """
        if self.parts.finished:
            return True
        content = ("content", "tool_call_chunks", "usage_metadata", "response_metadata", "additional_kwargs")
        return not all(says_nothing(payload.get(name)) for name in content)

    def _read_head(self, payload: JsonObject, metadata: JsonObject) -> None:
        """Report the id and model; an id that LangChain made up is reported as a field."""
        id = text_of(payload, "id")
        self._sent_id = self._sent_id or id
        if id is not None and id.startswith(MADE_UP_ID_PREFIXES):
            self.parts.head(model=text_of(metadata, *MODEL_FIELDS))
            self.parts.field("run_id", id)
        else:
            # Later chunks may have another id; the first one is the answer's.
            self.parts.head(id=self.parts.id or id, model=text_of(metadata, *MODEL_FIELDS))

    def _read_additional(self, fields: JsonObject) -> None:
        for name, value in fields.items():
            if name == "reasoning_content" and isinstance(value, str):
                self.parts.write(0, "reasoning", value)
            elif name == "refusal" and isinstance(value, str):
                self.parts.write(0, "refusal", value)
            elif name not in _CALL_FIELDS and not says_nothing(value):
                self.parts.field(name, value)

    def _read_usage(self, report: JsonObject, *, is_sum: bool) -> None:
        """Add token counts to those before them or, if they are a sum, replace those; report the sum."""
        if not report:
            return
        usage = COUNTED.read(report)
        self._usage = usage if self._usage is None or is_sum else self._usage + usage
        self.parts.usage(self._usage)
