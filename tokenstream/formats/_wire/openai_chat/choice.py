"""Read one choice of a chunk: its delta or whole message, and its other fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from tokenstream._basics.chat_words import ITEM_FIELDS, REASONING_FIELDS, REASONING_LISTS, REASONING_STEPS
from tokenstream._basics.untrusted import are_text, has_text, is_dict, is_list, says_nothing, text_of
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import finish_reason, report_logprobs, usage_of
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.openai_chat.parts import ChatContent
from tokenstream.message import TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.formats._wire.openai_chat.messages import MessageReader
    from tokenstream.formats._wire.openai_chat.reasoning import ChatReasoning

Layout: TypeAlias = tuple[str, ...]
PlanT = TypeVar("PlanT")

_MOST_PLANS = 256
_LONGEST_LAYOUT = 2048


class Plans(dict[Layout, PlanT]):
    """The plans by layout; a plan says how to read all objects with the same layout: their keys, in order.

    A plan is made when it is first asked for. Few are kept, because servers choose the names of keys.

    Args:
        make: Returns the plan for a layout.

    Example:
        >>> plans = Plans(len)
        >>> plans[tuple({"index": 0, "delta": {}})]
        2
    """

    __slots__ = ("_make_plan",)

    def __init__(self, make: Callable[[Layout], PlanT]) -> None:
        super().__init__()
        self._make_plan = make

    def __missing__(self, layout: Layout) -> PlanT:
        if not are_text(layout):
            raise ProtocolError("an object of the payload has a key that is not text")
        plan = self._make_plan(layout)
        # A layout of very many or very long keys is not kept.
        if sum(map(len, layout)) + len(layout) <= _LONGEST_LAYOUT:
            # So many layouts are unusual or an attack. Drop all plans; plans in use are soon made again.
            if len(self) >= _MOST_PLANS:
                self.clear()
            self[layout] = plan
        return plan


_FieldReader: TypeAlias = "Callable[[ChoiceReader, str, Any], None]"
_FieldReaders: TypeAlias = "tuple[tuple[str, _FieldReader], ...]"
"""The keys of an object with the readers of their values, in the order in which they are called."""
_DeltaPlan: TypeAlias = "tuple[tuple[str, ...], _FieldReaders, bool, bool]"
"""The plan for reading a delta; `_plan_delta` says what its four items are."""

# Of OpenAI's reference, also of its harmony format (`channel`), and of the SDKs or pages of Azure,
# OpenRouter, Groq, Together, Cerebras, Perplexity, xAI, Writer, vLLM, SGLang, llama.cpp, Fireworks,
# Databricks, Hugging Face, DashScope, Qianfan, MiniMax and Zhipu.
DOCUMENTED = split_names(
    "annotations audio channel content created finish_reason function_call images logprobs metadata "
    "moderation refusal service_tier system_fingerprint tool_calls usage content_filter_offsets "
    "content_filter_results prompt_filter_results context end_turn alignment error native_finish_reason "
    "openrouter_metadata provider safeguard_results executed_tools mcp_list_tools usage_breakdown "
    "x_groq prompt seed token_id top_logprobs warnings reasoning_logprobs time_info tokens citations "
    "related_questions search_results status type debug_output encrypted_content output_files "
    "graph_data image_data llm_data translation_data web_search_data kv_transfer_params prompt_logprobs "
    "prompt_token_ids stop_reason token_ids matched_stop __verbose prompt_progress timings perf_metrics "
    "raw_output request_id ban_round flag is_end is_truncated need_clear_history sentence_id base_resp "
    "input_sensitive output_sensitive content_filter web_search databricks_output name sla_metrics"
)
"""The fields of a chunk that a page or an SDK of some server has, also those that are not read."""

_REASONING_NAMES = frozenset((*REASONING_FIELDS, *REASONING_LISTS, *REASONING_STEPS))
_CHANNEL_FIELD = "channel"
# Quirk (Groq with gpt-oss, 2026-02): a delta names the model's channel, unless it is the channel of
# the final answer; recording: chat-groq-pydai-1845b004.
_TEXT_STARTS = {
    "commentary": TextPart.model_construct(phase="commentary"),
    "final": TextPart.model_construct(phase="final_answer"),
}
"""Maps the channel that a delta names to the empty part with which a text in that channel begins."""


class ChoiceReader:
    """Reads one choice of an answer, of which each chunk may contain a piece.

    Args:
        parts: Makes the events.
        messages_grow: True if each whole message contains all so far, False if each is a piece, None
            if this is not known.
    """

    __slots__ = (
        "_has_choice_text",
        "_last_delta_values",
        "_last_values",
        "_messages",
        "_messages_grow",
        "_parts",
        "_reasoning",
        "content",
        "error",
        "index",
    )

    def __init__(self, parts: Parts, choice: int, *, messages_grow: bool | None = None) -> None:
        self._parts = parts
        self._messages_grow = messages_grow
        self.index = choice
        self.content = ChatContent(parts, choice)
        self._reasoning: ChatReasoning | None = None
        """Reads the reasoning; None before the first of it."""
        self.error: StreamError | None = None
        """The provider's error in this choice, or the error for a choice that is not read."""
        self._last_values: dict[str, object] = {}
        """The last value of each field of the choice, which need not be read again."""
        self._last_delta_values: dict[str, object] = {}
        """The last value of each field of the delta, which need not be read again."""
        self._messages: MessageReader | None = None
        """Reads whole messages; None before the first of them."""
        self._has_choice_text = False
        """True once a `text` of the choice was read as content, and not taken for a repetition."""

    def read(self, choice: JsonObject) -> None:
        """Read the choice of a chunk: its delta, its other fields, and then its finish reason."""
        delta: Any = choice.get("delta")
        if delta.__class__ is dict:
            self._read_delta(delta)
        # Chunks repeat many fields; a reader records here the values that need not be read again.
        last_values = self._last_values
        for key, reader in _CHOICE_PLANS[tuple(choice)]:
            value = choice[key]
            if value is not None and value != last_values.get(key):
                reader(self, key, value)
        if delta is not None and delta.__class__ is not dict:
            # A delta that is not an object is reported as an unknown field.
            self.read_field("delta", delta)
        # The finish reason closes the parts that the other fields wrote to.
        finish = choice.get("finish_reason")
        if finish:
            self._read_finish("finish_reason", finish)

    @property
    def reasoning(self) -> ChatReasoning:
        """Reads the reasoning, which may be in several fields; created on first use, as for the calls."""
        if self._reasoning is None:
            from tokenstream.formats._wire.openai_chat.reasoning import ChatReasoning

            self._reasoning = ChatReasoning(self.content)
        return self._reasoning

    def settle(self) -> None:
        """Add the text that is held back, and report the calls that have no name: nothing may follow."""
        if self._messages is not None:
            self._messages.settle()
        if self.content.begun_calls is not None:
            self.content.begun_calls.report_nameless()

    def read_field(self, key: str, value: object) -> None:
        """Report an unknown field of the choice, and note its value, so that a repetition is skipped."""
        self._report_field(self._last_values, key, value)

    def read_delta_field(self, key: str, value: object) -> None:
        """Report an unknown field of the delta, and note its value, so that a repetition is skipped."""
        self._report_field(self._last_delta_values, key, value)

    def _report_field(self, last_values: dict[str, object], key: str, value: object) -> None:
        """Report an unknown field; if the field is a list that each chunk continues, report its new items."""
        if says_nothing(value):
            return
        state = self.content.state
        if not (state.is_unread or self.content.is_read or key in _NO_CONTENT):
            state.is_unread = has_text(value)
            if state.is_unread and state.finish is not None:
                # These may be the words of the answer, whose end has come before.
                state.void_finish()
        if key in ITEM_FIELDS:
            self._parts.items(key, value if is_list(value) else [value], self.index)
            return
        may_go_on = last_values is self._last_delta_values and key not in _NO_CONTENT
        if may_go_on and is_list(value) and any(map(is_dict, value)):
            # A list may have the next pieces of content: it replaces no earlier one.
            self._parts.other_items(key, value, self.index)
            return
        last_values[key] = value
        self._parts.other_field(key, value, self.index)

    # -- the choice --------------------------------------------------------

    def _read_finish(self, key: str, value: object) -> None:
        """Report the finish reason, after the calls without a name; it is only a field if it ends nothing.

        It is no text, or the choice has texts under unknown names and none under those that are read.
        """
        if not isinstance(value, str) or (self.content.state.is_unread and not self.content.is_read):
            self.read_field(key, value)
        else:
            self.settle()
            self._parts.finish(self.index, finish_reason(value), value)

    def _read_message(self, key: str, value: object) -> None:
        """Read a whole message, which may be the only content, repeat the deltas, or grow with each chunk."""
        if not is_dict(value):
            self.read_field(key, value)
            return
        if self._messages is None:
            from tokenstream.formats._wire.openai_chat.messages import MessageReader

            self._messages = MessageReader(self.content, self._read_delta, grows=self._messages_grow)
        self._messages.read(value)

    def _read_choice_text(self, key: str, value: object) -> None:
        # Quirk (Together, 2026-08): `text` repeats the delta; recording: chat-together-arize-ad940ef2.
        if not isinstance(value, str):
            self.read_field(key, value)
        elif "text" in self.content.kinds and not self._has_choice_text:
            if value:
                self._parts.note("text_twice")
        elif value:
            # From now on, `text` is the content, and not taken for a repetition of deltas.
            self._has_choice_text = True
            self.content.write("text", value)

    def _read_usage(self, key: str, value: object) -> None:
        if not is_dict(value):
            self.read_field(key, value)
        elif value:
            self._last_values[key] = value
            self._parts.note("usage_misplaced")
            self._parts.usage(usage_of(value))

    def _read_error(self, key: str, value: object) -> None:
        self.error = provider_error({"error": value})
        if self.error is None:
            self.read_field(key, value)

    # -- the delta ---------------------------------------------------------

    def _read_delta(self, delta: JsonObject) -> None:
        """Read a delta: its channel, reasoning, and then its other fields."""
        reasoning_keys, field_readers, calls_in_two_fields, has_channel = _DELTA_PLANS[tuple(delta)]
        # The channel of a delta names the phase of the text in it, and so the part that the text begins.
        self.content.text_start = (
            _TEXT_STARTS.get(text_of(delta, _CHANNEL_FIELD) or "") if has_channel else None
        )
        if calls_in_two_fields:
            from tokenstream.formats._wire.openai_chat.call import find_repetition

            if find_repetition(delta, self._parts):
                self._read_delta({**delta, "function_call": None})
                return
        calls = self.content.begun_calls
        if calls is not None and not (delta.get("tool_calls") or delta.get("function_call")):
            # The name of a call is whole once something else follows.
            calls.open_waiting()
        # The number 0 is a piece of reasoning; other empty values are not.
        if reasoning_keys and any(delta[key] or delta[key] == 0 for key in reasoning_keys):
            self.reasoning.read(delta)
        # Chunks repeat many fields. A field's reader records a value here if its repetition may be skipped;
        # content is never recorded.
        last_values = self._last_delta_values
        for key, reader in field_readers:
            value = delta[key]
            if value is not None and value != last_values.get(key):
                reader(self, key, value)

    def _read_content(self, key: str, value: object) -> None:
        """Read `content`: text, a number as text, or a list of parts; report any other value as unknown."""
        if not isinstance(value, str):
            # Quirk (Cloudflare Workers AI, 2026-09): a token of digits is sent as a number;
            # cloudflare/ai#651.
            value = self.content.scalar_as_text(value)
        if isinstance(value, str):
            self.content.write("text", value)
        elif value and (is_list(value) or is_dict(value)):
            self.content.read_list(value)
        else:
            self.read_delta_field(key, value)

    def _read_refusal(self, key: str, value: object) -> None:
        if isinstance(value, str):
            self.content.write("refusal", value)
        else:
            self.read_delta_field(key, value)

    def _read_calls(self, key: str, value: object) -> None:
        """Read `tool_calls`; report any other value than a list or an object as unknown."""
        if is_list(value) or is_dict(value):
            self.content.record_kind("calls")
            self.content.calls.read(value)
        else:
            self.read_delta_field(key, value)

    def _read_legacy_call(self, key: str, value: object) -> None:
        """Read `function_call`, the older form of `tool_calls`; report anything but an object as unknown."""
        if is_dict(value) and value:
            self.content.record_kind("calls")
            self.content.calls.read_legacy(value)
        else:
            self.read_delta_field(key, value)

    def _refuse(self, key: str, value: object) -> None:
        """Store the error for a tool call of Snowflake Cortex, whose pieces are not those of this format."""
        from tokenstream.formats._detect.unknown import SNOWFLAKE, refusal

        self.error = refusal(SNOWFLAKE)

    CHOICE_READERS: ClassVar[dict[str, _FieldReader]] = {
        "message": _read_message,
        "text": _read_choice_text,
        "logprobs": lambda self, key, value: report_logprobs(self._parts, key, value, self.index),
        "usage": _read_usage,
        "error": _read_error,
    }
    DELTA_READERS: ClassVar[dict[str, _FieldReader]] = {
        "content": _read_content,
        "refusal": _read_refusal,
        "audio": lambda self, _key, value: self.content.read_audio(value),
        "images": lambda self, _key, value: self.content.read_images(value),
        "annotations": lambda self, _key, value: self.content.read_annotations(value),
        "search_results": lambda self, _key, value: self.content.read_sources(value),
        "citations": lambda self, _key, value: self.content.read_sources(value),
        "tool_calls": _read_calls,
        "function_call": _read_legacy_call,
        "executed_tools": lambda self, _key, value: self.content.read_executed(value),
        "extra_content": lambda self, _key, value: self.reasoning.read_extra(value),
        "tool_use_id": _refuse,
        "usage": _read_usage,
    }


_NO_CONTENT = DOCUMENTED.difference(ChoiceReader.DELTA_READERS, ["tokens"])
"""Fields of choices and deltas that never hold content, so that they leave no doubt of an end."""
_CHOICE_SKIPPED = frozenset({"delta", "finish_reason", "index"})
# The role is in the answer's head; an index in a delta repeats the index of the choice.
_DELTA_SKIPPED = frozenset({"role", "index"})
_READING_ORDER = {
    key: rank for rank, key in enumerate((*ChoiceReader.CHOICE_READERS, *ChoiceReader.DELTA_READERS))
}


def _find_reading_rank(key: str) -> int:
    return _READING_ORDER.get(key, len(_READING_ORDER))


def _plan_choice(layout: Layout) -> _FieldReaders:
    """Return each key of a choice with its reader, in order, but not those that `read` reads itself."""
    keys = sorted((key for key in layout if key not in _CHOICE_SKIPPED), key=_find_reading_rank)
    return tuple((key, ChoiceReader.CHOICE_READERS.get(key, ChoiceReader.read_field)) for key in keys)


def _plan_delta(layout: Layout) -> _DeltaPlan:
    """Return the plan for reading deltas that have the keys in `layout`.

    The plan is a tuple of:

    1. the keys of reasoning;
    2. each other key with its reader, in the order of reading;
    3. True if the delta has both `tool_calls` and `function_call`;
    4. True if the delta has a channel.
    """
    keys = sorted((key for key in layout if key not in _DELTA_SKIPPED), key=_find_reading_rank)
    reasoning_keys = tuple(key for key in keys if key in _REASONING_NAMES)
    field_readers = tuple(
        (key, ChoiceReader.DELTA_READERS.get(key, ChoiceReader.read_delta_field))
        for key in keys
        if key not in _REASONING_NAMES
    )
    calls_in_two_fields = "tool_calls" in keys and "function_call" in keys
    return reasoning_keys, field_readers, calls_in_two_fields, _CHANNEL_FIELD in keys


_CHOICE_PLANS = Plans(_plan_choice)
_DELTA_PLANS = Plans(_plan_delta)
