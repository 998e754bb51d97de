"""OpenAI's legacy completions and llama.cpp's native completions: each continues a prompt with text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dicts_of, index_of, is_dict, is_list, says_nothing, text_of
from tokenstream.errors import ProtocolError
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.openai import (
    CHAT_COUNTS,
    FINISH_REASONS,
    finish_reason,
    report_logprobs,
    usage_of,
)
from tokenstream.formats._kit.values import counts_in, marks_in, scalar_text, split_names, worst_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.parts import TextKind
    from tokenstream.formats._kit.values import ReasonsOfWords
    from tokenstream.message import FinishReason

_CompletionReader: TypeAlias = "Callable[[OpenAICompletions, int, str, Any], None]"

_HEAD_FIELDS = ("id", "model")
# `object` names the format.
_KNOWN_FIELDS = split_names("choices created object usage").union(_HEAD_FIELDS)
_SKIPPED_CHOICE_FIELDS = frozenset({"index", "finish_reason"})
_REASONING_FIELDS = ("reasoning_content", "reasoning")

# -- llama.cpp's native route, on which a payload is one choice
_NATIVE_TEXT = "content"
_NATIVE_LISTS = {"tokens": "tokens", "completion_probabilities": "logprobs", "probs": "logprobs"}
"""Maps the fields that hold lists to the names under which the lists are reported."""
_NATIVE_USAGE = {"tokens_evaluated": "input_tokens", "tokens_predicted": "output_tokens"}
_KNOWN_NATIVE_FIELDS = frozenset({"content", "index", "model", "stop", *_NATIVE_LISTS, *_NATIVE_USAGE})
_STOP_TYPES: ReasonsOfWords = {"eos": "stop", "limit": "length", "word": "stop_sequence"}
_STOP_FLAGS = {"stopped_eos": "eos", "stopped_limit": "limit", "stopped_word": "word"}
"""Maps flags, one of which older servers set in the last payload, to the newer words for them."""


class OpenAICompletions(Format):
    """The `openai-completions` format: `text_completion` objects, as sent by OpenAI, vLLM and others.

    Example:
        >>> completions = OpenAICompletions()
        >>> for piece in (b"Hel", b"lo"):
        ...     for event in completions.feed(b'{"choices":[{"index":0,"text":"%b"}]}' % piece):
        ...         print(type(event).__name__)
        MessageStart
        PartStart
        TextDelta
        TextDelta
    """

    __slots__ = ("_created_reported", "_is_native")

    name = "openai-completions"
    counted = CHAT_COUNTS
    # Of OpenAI's `Completion`, vLLM's and SGLang's answers, Together's, and llama.cpp's on both routes.
    documented = split_names(
        "logprobs service_tier system_fingerprint text usage kv_transfer_params matched_stop "
        "prompt_logprobs prompt_token_ids stop_reason token_ids prompt seed token_id top_logprobs warnings "
        "__verbose prompt_progress timings generation_settings has_new_line id_slot multimodal slot_id "
        "stop_type stopped_eos stopped_limit stopped_word stopping_word tokens_cached truncated"
    )
    is_one_answer = True
    finish_reasons: ClassVar[Mapping[str, FinishReason]] = {**FINISH_REASONS, **_STOP_TYPES}
    sentinel = b"[DONE]"
    # Some servers send the time of each payload, and llama.cpp the number of tokens so far.
    fast = Fast(
        texts=[("choices", 0, "text"), (_NATIVE_TEXT,)],
        changing=[("created",), ("tokens_predicted",), ("tokens_evaluated",)],
        turns=True,
    )

    def _set_up(self) -> None:
        self._created_reported = False
        """True once the time of the answer was reported; many payloads repeat it."""
        self._is_native = False
        """True once a choice of llama.cpp's native route has ended; that route has no sentinel."""

    @property
    def may_go_on(self) -> bool:
        """True once a choice has ended on llama.cpp's own route, where another choice may follow.

        A request to this route may have several prompts, and the answer then has one choice for each.
        """
        return self._is_native

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - names mean nothing here
        choices = payload.get("choices")
        if is_list(choices):
            if any("delta" in choice or "message" in choice for choice in dicts_of(choices)):
                return False
            if payload.get("object") == "text_completion":
                return True
            return any(isinstance(choice.get("text"), str) for choice in dicts_of(choices))
        # llama.cpp's native route sends no choices.
        return _is_native(payload)

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        """Return the id of the answer that a payload with content belongs to; None if it has no id."""
        return text_of(payload, "id") or None if dicts_of(payload.get("choices")) else None

    def read(self, payload: JsonObject, event: str) -> None:
        if _is_native(payload):
            self._read_native(payload)
        elif "choices" in payload or is_dict(payload.get("usage")):
            self._read_answer(payload)
        else:
            self.parts.unknown(text_of(payload, "type", "object") or event or "event", payload)

    def judge_end(self) -> None:
        if self._is_native and self.error is None and self.parts.finished:
            # On llama.cpp's native route, the end of the input follows the last choice.
            self.conclude()

    def _read_answer(self, payload: JsonObject) -> None:
        choices = payload.get("choices")
        self._read_head(payload)
        if is_list(choices) or is_dict(choices):
            self._read_choices(choices)
        elif choices is not None:
            self.parts.field("choices", choices)
        usage = payload.get("usage")
        self.parts.usage_in(payload, usage_of)
        if not (says_nothing(usage) or is_dict(usage)):
            self.parts.field("usage", usage)
        self.parts.report_unknown_fields(payload, _KNOWN_FIELDS)

    def _read_head(self, payload: JsonObject) -> None:
        self.parts.head(id=text_of(payload, "id"), model=text_of(payload, "model"))
        created = payload.get("created")
        # Some servers send the time of each payload: the first time is reported.
        if not self._created_reported and isinstance(created, int) and created:
            self._created_reported = True
            self.parts.field("created", created)

    def _read_choices(self, choices: list[Any] | JsonObject) -> None:
        listed: list[Any] = choices if is_list(choices) else [choices]
        for position, choice in enumerate(listed):
            if is_dict(choice):
                index = choice.get("index")
                state = self.parts.choice(position if index is None else index_of(index))
                self._read_choice(state.index, choice)
            elif choice is not None:
                raise ProtocolError("every choice must be a JSON object")

    def _read_choice(self, index: int, choice: JsonObject) -> None:
        for name, value in choice.items():
            if name not in _SKIPPED_CHOICE_FIELDS and value is not None:
                self._CHOICE_READERS.get(name, OpenAICompletions._read_field)(self, index, name, value)
        word = choice.get("finish_reason")
        if isinstance(word, str) and word:
            self.parts.finish(index, finish_reason(word), word)
        elif not says_nothing(word):
            # Not text, so it is not a finish reason: only report the field.
            self.parts.field("finish_reason", word, index)

    def _read_field(self, index: int, name: str, value: object) -> None:
        if not says_nothing(value):
            self.parts.other_field(name, value, index)

    def _read_text(self, index: int, name: str, value: object) -> None:
        """Add a choice's text or, by its name, reasoning; scalars become text, others unknown fields."""
        kind: TextKind = "text" if name == "text" else "reasoning"
        if isinstance(value, str):
            self.parts.write(index, kind, value)
        elif (text := scalar_text(value)) is not None:
            self.note("text_parsed")
            self.parts.write(index, kind, text)
        else:
            self._read_field(index, name, value)

    def _read_items(self, index: int, name: str, value: object) -> None:
        if not says_nothing(value):
            self.parts.items(name, value if is_list(value) else [value], index)

    # -- llama.cpp's native route ------------------------------------------

    def _read_native(self, payload: JsonObject) -> None:
        # `_is_native` has checked that the payload has the text and `stop`.
        index = payload.get("index")
        choice = self.parts.choice(0 if index is None else index_of(index)).index
        model = text_of(payload, "model")
        if model is not None or not self.parts.started:
            # The first payload begins the answer, even without a model.
            self.parts.head(model=model)
        self.parts.write(choice, "text", payload[_NATIVE_TEXT])
        for name, reported_name in _NATIVE_LISTS.items():
            items = payload.get(name)
            if is_list(items) and items:
                self.parts.items(reported_name, items, choice)
        is_last = payload["stop"]
        usage = counts_in(payload, _NATIVE_USAGE) if is_last else None
        if usage is not None:
            self.parts.usage(usage)
        self.parts.report_unknown_fields(payload, _KNOWN_NATIVE_FIELDS, choice)
        if is_last:
            self._finish_native(choice, payload)

    def _finish_native(self, choice: int, payload: JsonObject) -> None:
        """Report the finish reason of a choice of llama.cpp's native route.

        The answer may go on with another choice: a request may have several prompts, which a server with one
        slot answers one after the other.
        """
        flagged = [word for name, word in _STOP_FLAGS.items() if payload.get(name) is True]
        marks = marks_in(_STOP_TYPES, text_of(payload, "stop_type"), *flagged, other="unknown")
        self.parts.finish(choice, *worst_of(marks or [("unknown", None)], self.note))
        # From now on, the end of the input ends the answer: this route has no sentinel.
        self._is_native = True

    _CHOICE_READERS: ClassVar[dict[str, _CompletionReader]] = {
        "text": _read_text,
        **dict.fromkeys(_REASONING_FIELDS, _read_text),
        "logprobs": lambda self, index, name, value: report_logprobs(self.parts, name, value, index),
        "token_ids": _read_items,
    }


def _is_native(payload: JsonObject) -> bool:
    return isinstance(payload.get(_NATIVE_TEXT), str) and isinstance(payload.get("stop"), bool)
