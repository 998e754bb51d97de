"""Google Gemini's generateContent, as sent by the Gemini API and Vertex AI."""

from __future__ import annotations

import re
from base64 import b64encode
from enum import Enum
from itertools import zip_longest
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    fields_except,
    index_of,
    int_of,
    is_dict,
    is_list,
    text_of,
)
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.count_paths import GOOGLE_USAGE
from tokenstream.formats._kit.values import reasons_of, split_names, worst_of
from tokenstream.formats._wire.gemini.parts import GeminiParts

if TYPE_CHECKING:
    from tokenstream._basics.loose import DeltaCallback, Json, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Frame
    from tokenstream.formats._fast.shape import KeyPath
    from tokenstream.formats._kit.open import OpenChoice
    from tokenstream.formats._kit.values import Mark
    from tokenstream.message import FinishReason

FINISH_REASONS = reasons_of(
    # PUP_LIMITED_DISABLED: the user has violated the "Prohibited Use Policy (PUP)", so that input is not
    # processed. ESCALATION: "Request was filtered by an escalation rule." NO_IMAGE, IMAGE_OTHER: the image
    # that the model was to generate is missing; an answer without it is not a success.
    stop="STOP",
    length="MAX_TOKENS",
    content_filter="SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII MODEL_ARMOR IMAGE_SAFETY "
    "IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION PUP_LIMITED_DISABLED ESCALATION",
    error="MALFORMED_FUNCTION_CALL MALFORMED_RESPONSE UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS "
    "MISSING_THOUGHT_SIGNATURE NO_IMAGE IMAGE_OTHER",
    pause="CONTINUATION",
)
"""Maps Gemini's words to finish reasons; any other word is "unknown".

The words and their meanings: `FinishReason` of https://googleapis.github.io/python-genai/genai.html.
"""
_WORDS_BY_NUMBER = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
"""Maps the numbers that gRPC uses to Gemini's words; from 6 on, the Gemini API's and Vertex AI's differ."""
_FILTER_NUMBERS = frozenset({"6", "7", "8"})
"""Numbers that mean a content filter, although another one in the Gemini API than in Vertex AI."""
_NO_REASON = "FINISH_REASON_UNSPECIFIED"

_FREE_NAMES = split_names("args response part_metadata partMetadata metadata")
"""Fields in which the application or the model chose the names, so that these stay as they are."""
_DEEPEST = 50
"""The deepest level on which names are converted."""
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def to_camel_case(payload: JsonObject) -> JsonObject:
    """Return a payload with the API's names; the same object if it already has these names.

    A dict made from a Python client's objects may hold enum members and bytes. They
    are converted to the values that the API sends.
    """
    renamed: JsonObject = _rename(payload, 0) if _has_snake_case(payload) else payload
    return renamed


def _has_snake_case(payload: JsonObject) -> bool:
    """Return whether the payload, a candidate or a part has a name in snake_case."""
    if _is_snake_case(payload):
        return True
    for candidate in dicts_of(payload.get("candidates")):
        content = candidate.get("content")
        parts = dicts_of(content.get("parts")) if is_dict(content) else []
        if _is_snake_case(candidate) or any(_is_snake_case(part) for part in parts):
            return True
    return False


def _is_snake_case(fields: JsonObject) -> bool:
    return "_" in "".join(fields)


def _rename(value: object, depth: int) -> Json:
    """Return a value with names in camelCase, and with enum members and bytes as the API sends them.

    Two things are left unchanged: the content of the fields in `_FREE_NAMES`, in which the application or
    the model chose the names, and everything below the level `_DEEPEST`.
    """
    if depth > _DEEPEST:
        return value
    if is_dict(value):
        return {
            _UNDERSCORE.sub(lambda match: match[1].upper(), name): (
                inner if name in _FREE_NAMES else _rename(inner, depth + 1)
            )
            for name, inner in value.items()
        }
    if is_list(value):
        return [_rename(inner, depth + 1) for inner in value]
    # Enum members and bytes are from the objects of a Python client.
    if isinstance(value, Enum):
        return value.value
    return b64encode(value).decode() if isinstance(value, bytes) else value


_KNOWN_IN_CHUNKS = ("candidates", "usageMetadata", "modelVersion", "responseId")
_ADDED_BY_SDK = ("sdkHttpResponse", "automaticFunctionCallingHistory", "parsed")
_KNOWN_IN_CONTENT = frozenset({"parts", "role"})
_KNOWN_IN_CANDIDATES = ("content", "index", "finishReason", "logprobsResult")
_FIELDS_OF_GEMINI_LIVE = split_names(
    "setupComplete serverContent toolCall toolCallCancellation goAway sessionResumptionUpdate"
)
_FIELDS_OF_OTHERS = split_names("choices object type event_type")
_TEXT: KeyPath = ("candidates", 0, "content", "parts", 0, "text")
_COUNTS = ("candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount", "promptTokenCount")
_DETAILS = ("candidatesTokensDetails", "promptTokensDetails")
_DISTINCTIVE_FIELDS = ("promptFeedback", "modelVersion", "responseId")
_WRAPPED_FIELDS = split_names("candidates promptFeedback prompt_feedback usageMetadata usage_metadata")


class Gemini(Format[GeminiParts]):
    """The `gemini` format: the chunks of generateContent's stream, or a whole answer in one payload.

    Example:
        >>> gemini = Gemini()
        >>> chunk = {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]}
        >>> [type(event).__name__ for event in gemini.feed(chunk)]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = ()

    _parts_class = GeminiParts
    name = "gemini"
    counted = GOOGLE_USAGE
    # Of `GenerateContentResponse` and `Candidate` in google-genai.
    documented = split_names(
        "avgLogprobs citationMetadata continuationToken createTime finishMessage groundingMetadata "
        "modelStatus promptFeedback safetyRatings tokenCount urlContextMetadata"
    )
    is_one_answer = True
    # Some proxies end all streams with OpenAI's sentinel.
    sentinel = b"[DONE]"
    finish_is_last = False
    finish_reasons = FINISH_REASONS
    # The HTTP statuses of these codes are 409, 500, 500 and 501 (google/rpc/code.proto). A retry does not
    # bring lost data back.
    retryable = MappingProxyType(
        {"ABORTED": True, "UNKNOWN": True, "DATA_LOSS": False, "UNIMPLEMENTED": False}
    )
    fast = Fast(
        texts=[_TEXT, ("response", *_TEXT)],
        changing=[
            *[("usageMetadata", name) for name in _COUNTS],
            *[("usageMetadata", name, 0, "tokenCount") for name in _DETAILS],
        ],
        units=frozenset({"event", "element"}),
        # The Gemini API ends lines with CRLF, Vertex AI with LF.
        crlf=True,
    )

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:  # noqa: ARG003 - events have no names
        """Return whether a first payload is of this format; None if the payload contains only usage."""
        payload = to_camel_case(_unwrap_response(payload))
        if payload.keys() & _FIELDS_OF_OTHERS or payload.keys() & _FIELDS_OF_GEMINI_LIVE:
            return False
        if is_list(payload.get("candidates")):
            return all(is_dict(candidate) for candidate in payload["candidates"])
        if not is_dict(payload.get("usageMetadata")):
            # A blocked prompt has no candidates.
            return is_dict(payload.get("promptFeedback"))
        return True if any(name in payload for name in _DISTINCTIVE_FIELDS) else None

    def feed(self, frame: Frame, *, now: float = 0.0) -> list[Event]:
        parts = self.parts
        # A payload that arrives decoded may be from an SDK, which may use the other base64 alphabet.
        parts.begin_payload(decoded=isinstance(frame, dict))
        events = super().feed(frame, now=now)
        # `read` knows if the payload is a plain delta, whose counts are reported only now and then.
        if parts.is_plain_delta and events:
            # Any event of the payload serves: only its `raw`, the payload, is needed.
            events += parts.count_delta(events[0])
        return events

    def follow(self, delta: Event) -> DeltaCallback:
        return self.parts.store_delta

    def read(self, payload: JsonObject, event: str) -> None:
        chunk = to_camel_case(_unwrap_response(payload))
        if chunk is payload and _is_plain_delta(chunk):
            # `feed` reports the counts of this payload later. It finds them only in a payload that needed
            # neither unwrapping nor renaming, as the condition says.
            self.parts.is_plain_delta = True
        self.parts.head(id=text_of(chunk, "responseId"), model=text_of(chunk, "modelVersion"))
        blocked = text_of(dict_of(chunk, "promptFeedback"), "blockReason")
        for candidate in dicts_of(chunk.get("candidates")):
            self._read_candidate(candidate, blocked)
        self.parts.report_unknown_fields(chunk, (*_KNOWN_IN_CHUNKS, *_ADDED_BY_SDK))
        self.parts.store_usage(dict_of(chunk, "usageMetadata"))
        if not self.parts.is_plain_delta:
            self.parts.emit_usage()
        if blocked and not chunk.get("candidates"):
            self.parts.finish(0, "content_filter", blocked)

    def judge_end(self) -> None:
        # If each candidate has its finish reason, the end of the input is the terminal event.
        if self.error is None and self.parts.finished:
            self.ended = True

    # -- internals -----------------------------------------------------------

    def _read_candidate(self, candidate: JsonObject, blocked: str | None) -> None:
        """Read a candidate's parts, its further data, and then its finish reason; `blocked` is another."""
        index = index_of(candidate.get("index"))
        choice = self.parts.choice(0 if index is None else index)
        content = dict_of(candidate, "content")
        for part in dicts_of(content.get("parts")):
            self.parts.read_part(choice.index, part)
        if not content.keys() <= _KNOWN_IN_CONTENT:
            self.parts.report_unknown_fields(content, _KNOWN_IN_CONTENT, choice.index)
        self._read_metadata(choice, candidate)
        choice.finish_message = text_of(candidate, "finishMessage") or choice.finish_message
        # A decoded payload may be an SDK's object, whose unset fields have default values.
        reason = reason_of(candidate, filled=self.parts.decoded)
        if reason is not None:
            marks: list[Mark] = [(meaning_of(reason), reason)]
            if blocked:
                marks.append(("content_filter", blocked))
            self.parts.finish(choice.index, *worst_of(marks, self.note))

    def _read_metadata(self, choice: OpenChoice, candidate: JsonObject) -> None:
        """Report a candidate's further fields, its citations and log probabilities."""
        self.parts.report_unknown_fields(candidate, _KNOWN_IN_CANDIDATES, choice.index)
        sources = self.parts.candidate(choice).sources
        for citation in sources.cite_grounding(dict_of(candidate, "groundingMetadata")):
            self.parts.cite(choice.index, citation)
        for citation in sources.cite_quotations(dict_of(candidate, "citationMetadata")):
            self.parts.cite(choice.index, citation)
        self._read_logprobs(choice.index, dict_of(candidate, "logprobsResult"))

    def _read_logprobs(self, choice: int, result: JsonObject) -> None:
        """Report log probabilities: each chosen token together with the alternatives to it.

        Further fields of the result are reported as one field.
        """
        chosen = dicts_of(result.get("chosenCandidates"))
        top = dicts_of(result.get("topCandidates"))
        # One of the lists may be shorter.
        empty: JsonObject = {}
        items = [
            {**token, "topCandidates": alternatives.get("candidates")}
            for token, alternatives in zip_longest(chosen, top, fillvalue=empty)
        ]
        if items:
            self.parts.items("logprobs", items, choice)
        further = fields_except(result, "chosenCandidates", "topCandidates")
        if further:
            self.parts.field("logprobsResult", further, choice)


def _unwrap_response(payload: JsonObject) -> JsonObject:
    """Return the chunk that Google's tools put in a field `response`, with the fields beside it."""
    response = payload.get("response")
    if not is_dict(response) or "candidates" in payload or not response.keys() & _WRAPPED_FIELDS:
        return payload
    return {**{name: value for name, value in payload.items() if name != "response"}, **response}


def _is_plain_delta(chunk: JsonObject) -> bool:
    """Return whether a chunk is only a piece of text or thought, perhaps with token counts."""
    candidates = dicts_of(chunk.get("candidates"))
    if len(candidates) != 1 or "promptFeedback" in chunk:
        return False
    candidate = candidates[0]
    parts = dict_of(candidate, "content").get("parts")
    if not is_list(parts) or len(parts) != 1 or not is_dict(parts[0]):
        return False
    has_only_text = parts[0].keys() <= {"text", "thought"} and bool(text_of(parts[0], "text"))
    return has_only_text and not candidate.keys() & {"finishReason", "logprobsResult"}


def reason_of(candidate: JsonObject, *, filled: bool = False) -> str | None:
    """Return a candidate's finish reason, or None if the candidate has none yet.

    A number stands for one of Gemini's words, 0 for no reason; an unknown number is returned as text. In a
    payload that an SDK's object has `filled`, unset fields have default values.
    """
    number = int_of(candidate, "finishReason")
    if number:
        return _WORDS_BY_NUMBER.get(number, str(number))
    word = text_of(candidate, "finishReason")
    return None if filled and word == _NO_REASON else word


def meaning_of(reason: str) -> FinishReason:
    """Return the finish reason for one of Gemini's words or numbers."""
    if reason in _FILTER_NUMBERS:
        return "content_filter"
    return FINISH_REASONS.get(reason.upper(), "unknown")
