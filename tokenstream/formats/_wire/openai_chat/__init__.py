"""OpenAI Chat Completions, and the variations of the format that other servers send.

From one chunk to the next, a server repeats nearly everything. Therefore each level
of a chunk (answer, choice, delta) is read by a *plan*, which is made once for each
*layout* (the keys in order), and fields whose value has not changed are skipped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.chat_words import REASONING_FIELDS
from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    index_of,
    is_dict,
    is_list,
    says_nothing,
    text_of,
)
from tokenstream.errors import ProtocolError
from tokenstream.events import ReasoningDelta, ToolCallDelta
from tokenstream.formats._base import Format
from tokenstream.formats._detect.payloads import has_snowflakes_call
from tokenstream.formats._endings import has_told_all
from tokenstream.formats._fast.path import Fast, always_decode
from tokenstream.formats._fast.shape import PADDING
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.openai import CHAT_COUNTS, FINISH_REASONS, usage_of
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.openai_chat.bare import (
    BARE_FIELDS,
    ENVELOPE,
    LAST_FIELD,
    TEXT_PATHS,
    convert_to_chunk,
    has_bare_layout,
)
from tokenstream.formats._wire.openai_chat.choice import DOCUMENTED, ChoiceReader, Layout, Plans

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import DeltaCallback, Json, JsonObject
    from tokenstream.events import Event

_AnswerReader: TypeAlias = "Callable[[OpenAIChat, str, Any], None]"
_AnswerReaders: TypeAlias = "tuple[tuple[str, _AnswerReader], ...]"
"""The keys of a payload with the readers of their values, in the order in which they are called."""

# If a payload has "choices" and none of these keys, it is an error only if its `object` says so.
_ERROR_MARKS = split_names("error type event_type base_resp")
_CHUNK_MARKS = frozenset({"choices", "usage", "x_groq"})
_CHOICE_MARKS = frozenset({"index", "finish_reason"})
"""An object without content is recognised as a choice if it has at least one of these fields."""
# In Perplexity's concise streams, chunks with reasoning have another `object`.
_OBJECT_PREFIXES = ("chat.completion", "chat.reasoning")
_DELTA = ("choices", 0, "delta")
_CALL = (*_DELTA, "tool_calls", 0)
# `object` names the format in every chunk; the check for errors has read it before.
_ANSWER_SKIPPED = frozenset({"choices", "created", "object", *PADDING})


@dataclass(frozen=True, slots=True)
class _AnswerPlan:
    """The plan for reading all payloads with the same keys: the checks to make, and the readers of fields."""

    may_be_error: bool
    """True if a payload with these keys must be checked for an error."""
    is_chunk: bool
    """True if a payload with these keys is a chunk of a chat completion."""
    may_be_bare: bool
    """True if a payload with these keys may be *bare*: a chunk's content without the layers of a chunk."""
    head_readers: _AnswerReaders
    """Readers of the fields that are read before the choices."""
    field_readers: _AnswerReaders
    """Readers of the fields that are read after the choices."""


class _ChatParts(Parts):
    """The parts of an answer, some content of which the readers of choices may hold back until its end."""

    def close_all(self, *, complete: bool) -> None:
        """Add the texts that are held back, report the calls that have no name, and close every part."""
        try:
            for choice in self.choices.values():
                choice.reader.settle()
        except ProtocolError:
            # An answer that is not complete has an error already.
            if complete:
                raise
        super().close_all(complete=complete)


class OpenAIChat(Format[_ChatParts]):
    """The `openai-chat` format, which Azure, DeepSeek, Mistral, OpenRouter, vLLM and others send, too.

    Example:
        >>> format = OpenAIChat()
        >>> for event in format.feed(b'{"choices":[{"index":0,"delta":{"content":"Hel"}}]}'):
        ...     print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
        >>> format.feed(b'{"choices":[{"index":0,"delta":{"content":"lo"}}]}')
        [TextDelta(choice=0, part=0, text='lo')]
    """

    __slots__ = ("_created", "_is_in_envelope", "_messages_grow")

    _parts_class = _ChatParts
    # `read` checks for errors, by the payload's layout.
    checks_errors = False
    name = "openai-chat"
    documented = DOCUMENTED
    counted = CHAT_COUNTS
    is_one_answer = True
    finish_reasons = FINISH_REASONS
    sentinel = b"[DONE]"
    fast = Fast(
        texts=[
            (*_DELTA, "content"),
            *[(*_DELTA, name) for name in REASONING_FIELDS],
            (*_DELTA, "refusal"),
            *[
                (*_CALL, *body)
                for body in (("function", "arguments"), ("function", "input"), ("custom", "input"))
            ],
            *TEXT_PATHS,
        ],
        # The time of the first chunk is the time of the answer, so the time of a delta has no meaning.
        changing=[("created",)],
        turns=True,
    )

    def _set_up(self) -> None:
        self._created: object = None
        """The time of the answer; None until it was reported."""
        self._is_in_envelope = False
        """True if the content is in an envelope, as on DashScope's own route, which has no sentinel."""

        self._messages_grow: bool | None = None
        """True if each message contains all so far, False if each is a piece, None if this is not known."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:  # noqa: ARG003 - names mean nothing here
        """Return whether a first payload is of a chat completion; None if a later one must decide."""
        kind = payload.get("object")
        if isinstance(kind, str) and kind.startswith(_OBJECT_PREFIXES):
            return True
        choices = payload.get("choices")
        if not is_list(choices):
            return has_bare_layout(payload)
        if not choices:
            # Azure begins with a chunk about the prompt, and other servers with an empty chunk.
            return True if "prompt_filter_results" in payload else None
        listed = dicts_of(choices)
        if any("delta" in choice or "message" in choice for choice in listed):
            # Snowflake's tool calls are in other fields of the delta.
            return not has_snowflakes_call(payload)
        if not listed or any("text" in choice for choice in listed):
            return False
        if any(isinstance(choice.get("finish_reason"), str) for choice in listed):
            # A legacy completion has its text beside the reason.
            return True
        # A choice without content so far may also be of a legacy completion.
        return None if all(choice.keys() & _CHOICE_MARKS for choice in listed) else False

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the answer that a chunk with content belongs to; None if it has no id."""
        return text_of(payload, "id") or None if dicts_of(payload.get("choices")) else None

    def take_request(self, asked: object) -> None:
        """Note whether a request makes DashScope send pieces of text (`incremental_output`), or all so far.

        Without this knowledge, text must be held back until it shows which of the two arrives.
        """
        if is_dict(asked):
            is_in_pieces = dict_of(asked, "parameters").get("incremental_output")
            self._messages_grow = not is_in_pieces if isinstance(is_in_pieces, bool) else None

    def follow(self, delta: Event) -> DeltaCallback | None:
        """Return a function that says which later deltas must be decoded; None if none of them must.

        The function returns False for a delta whose payload must be decoded; see `Format.follow`.
        """
        raw = delta.raw
        has_other_calls = isinstance(delta, ToolCallDelta) and not _is_single_fragment(raw)
        has_two_texts = "choices" in raw and not BARE_FIELDS.isdisjoint(raw)
        if has_other_calls or has_two_texts:
            # The payloads contain more than the text of the delta.
            return always_decode
        if isinstance(delta, ReasoningDelta):
            # The details of reasoning may repeat later what the deltas say.
            state = self.parts.choices.get(delta.choice)
            keep = None if state is None else state.reader.reasoning.follow()
            if keep is not None:
                return always_decode if "id_changed" in self.departures.details else keep
        if "id_changed" in self.departures.details:
            # The ids of payloads alternate. Each change is a departure, which decoding counts.
            fields, id = self.parts.fields, raw.get("id")
            return lambda _: fields.get("id") == id  # False if the last decoded payload had another id
        return None

    def judge_end(self) -> None:
        if self._is_in_envelope and self.error is None and self.parts.finished:
            # No terminal event is missing.
            self.ended = True
        if self.assumed and self.error is None:
            try:
                for choice in self.parts.choices.values():
                    # Content that is held back counts, too, where an answer may have been cut off.
                    choice.reader.settle()
            except ProtocolError as error:
                self.error = self.doubt or error

    # -- the answer --------------------------------------------------------

    def read(self, payload: JsonObject, event: str) -> None:
        plan = _ANSWER_PLANS[tuple(payload)]
        if plan.may_be_error or event == "error" or payload.get("object") == "error":
            error = provider_error(payload, event)
            if error is not None and (plan.is_chunk or not self.reader.doubts(self, error, payload, event)):
                # Read the chunk's content before the error: some servers send text and usage with an error.
                # A chunk of the answer itself that has an error says how the answer has ended.
                was_whole = has_told_all(self) and not plan.is_chunk
                if plan.is_chunk:
                    with suppress(ProtocolError):
                        self._read_answer(payload, plan)
                self.reader.fail(self, error, was_whole=was_whole)
                return
        # A bare payload, of a server's native route, has a chunk's content in fewer layers, or in one more.
        chunk = convert_to_chunk(payload) if plan.may_be_bare else None
        if chunk is not None:
            self._is_in_envelope = ENVELOPE in payload
            self._read_answer(chunk, _ANSWER_PLANS[tuple(chunk)])
            # A bare payload may mark the end of the answer, as the sentinel does.
            if payload.get(LAST_FIELD) is True:
                self.read_sentinel()
        elif plan.is_chunk:
            self._read_answer(payload, plan)
        else:
            self._read_other(payload, event)

    def _read_other(self, data: JsonObject, event: str) -> None:
        name = text_of(data, "type", "object") or event
        if name != "ping":
            self.parts.unknown(name, data)

    def _read_answer(self, payload: JsonObject, plan: _AnswerPlan) -> None:
        """Read a chunk: its head, its choices, and then its other fields if their values are new."""
        # The fields that were reported, with their values; most chunks repeat them.
        last_values = self.parts.fields
        if not last_values:
            self._report_head(payload)
        if self._created is None:
            self._read_created(payload)
        for key, reader in plan.head_readers:
            value = payload[key]
            if value is not None and value != last_values.get(key):
                reader(self, key, value)
        self._read_choices(payload.get("choices"))
        for key, reader in plan.field_readers:
            value = payload[key]
            if value is not None and value != last_values.get(key):
                reader(self, key, value)

    def _report_head(self, payload: JsonObject) -> None:
        role = next(filter(None, map(_find_role, dicts_of(payload.get("choices")))), None)
        id, model = text_of(payload, "id"), text_of(payload, "model")
        self.parts.head(id=id, model=model, role=role)
        # Read now, like the other fields whose values most chunks repeat.
        self.parts.fields.update(id=id, model=model)

    def _read_head(self, key: str, value: object) -> None:
        """Store the answer's id or model, and report the value if it is text."""
        self.parts.fields[key] = value
        if isinstance(value, str):
            self.parts.head(**{key: value})

    def _read_created(self, payload: JsonObject) -> None:
        """Report the time of the answer if the payload has it; called until a time was reported."""
        # Some servers send the time of each chunk, and Azure begins with 0: the first other time is reported.
        created = payload.get("created")
        if not says_nothing(created) and created != 0:
            self._created = created
            self.parts.field("created", created)

    def read_answer_field(self, key: str, value: object) -> None:
        if not says_nothing(value):
            self.parts.other_field(key, value)

    def _read_usage(self, key: str, value: object) -> None:
        if not is_dict(value):
            self.read_answer_field(key, value)
        elif value:
            # Recorded only so that later chunks with the same value are skipped.
            self.parts.fields[key] = value
            self.parts.usage(usage_of(value))

    def _read_groq(self, key: str, value: object) -> None:
        if not is_dict(value):
            self.read_answer_field(key, value)
            return
        usage = value.get("usage")
        if is_dict(usage) and usage:
            self.note("usage_misplaced")
            self.parts.usage(usage_of(usage))
        other_fields = fields_except(value, "usage", "error")
        if other_fields is not None:
            self.read_answer_field(key, other_fields)
        if value.get("error"):
            self.error = provider_error({"error": value["error"]})

    def _read_sources(self, key: str, value: object) -> None:
        """Cite the sources of the whole answer, in its first choice."""
        choices = self.parts.choices
        if choices:
            # Recorded only so that later chunks with the same value are skipped.
            self.parts.fields[key] = value
            next(iter(choices.values())).reader.content.read_sources(value)
        else:
            # No choice has arrived that could cite the sources.
            self.read_answer_field(key, value)

    # -- choices -----------------------------------------------------------

    def _read_choices(self, choices: Json) -> None:
        """Pass each choice of a payload to the `ChoiceReader` for its index."""
        if choices.__class__ is not list:
            if is_dict(choices):
                self._read_choices([choices])
            else:
                self.read_answer_field("choices", choices)
            return
        states = self.parts.choices
        for position, choice in enumerate(choices):
            # Null in place of a choice is ignored; any other value is an error.
            if choice.__class__ is dict:
                index = choice.get("index", position)
                state = states.get(index) if index.__class__ is int else None
                reader = (
                    self._get_or_create_reader(index, position, choice) if state is None else state.reader
                )
                reader.read(choice)
                if reader.error is not None:
                    self.error = reader.error
            elif choice is not None:
                raise ProtocolError("every choice must be a JSON object")

    def _get_or_create_reader(self, index: object, position: int, choice: JsonObject) -> ChoiceReader:
        """Return the reader of a choice with a new index; without a number, its position is the index."""
        state = self.parts.choice(position if index is None else index_of(index))
        reader: ChoiceReader | None = state.reader
        if reader is None:
            reader = state.reader = ChoiceReader(self.parts, state.index, messages_grow=self._messages_grow)
            if _find_role(choice) is None:
                self.note("role_missing")
        return reader

    HEAD_READERS: ClassVar[dict[str, _AnswerReader]] = {"id": _read_head, "model": _read_head}
    ANSWER_READERS: ClassVar[dict[str, _AnswerReader]] = {
        "usage": _read_usage,
        "x_groq": _read_groq,
        "search_results": _read_sources,
        "citations": _read_sources,
    }


def _find_role(choice: JsonObject) -> str | None:
    role: str | None = ""
    delta: Any = choice.get("delta")
    if delta.__class__ is dict and delta and not choice.get("message"):
        # The usual case.
        return text_of(delta, "role")
    for key in ("delta", "message"):
        value = choice.get(key)
        for holder in dicts_of(value) if value else ():
            role = role or text_of(holder, "role")
    return role


def _is_single_fragment(chunk: JsonObject) -> bool:
    """Return whether a chunk contains one fragment of one call, without provider-specific fields."""
    from tokenstream.formats._wire.openai_chat.call import Fragment

    choices = dicts_of(chunk.get("choices"))
    items = [item for choice in choices for item in dicts_of(dict_of(choice, "delta").get("tool_calls"))]
    return len(items) == 1 and Fragment(items[0], position=None).extras is None


def _plan_answer(layout: Layout) -> _AnswerPlan:
    head_readers = OpenAIChat.HEAD_READERS
    readers = OpenAIChat.ANSWER_READERS
    # Search results are read before citations: they describe a source better, and a source is reported once.
    keys = sorted(
        (key for key in layout if key not in _ANSWER_SKIPPED and key not in head_readers),
        key=lambda key: key != "search_results",  # False comes first
    )
    return _AnswerPlan(
        may_be_error="choices" not in layout or not _ERROR_MARKS.isdisjoint(layout),
        is_chunk=not _CHUNK_MARKS.isdisjoint(layout),
        may_be_bare="choices" not in layout and "type" not in layout and not BARE_FIELDS.isdisjoint(layout),
        head_readers=tuple((key, head_readers[key]) for key in layout if key in head_readers),
        field_readers=tuple((key, readers.get(key, OpenAIChat.read_answer_field)) for key in keys),
    )


_ANSWER_PLANS = Plans(_plan_answer)
