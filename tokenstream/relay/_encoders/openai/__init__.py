"""Encoders of OpenAI's APIs, and what they share, such as token counts, errors, citations and chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tokenstream._values.error_kinds import word_for
from tokenstream.formats._kit.openai import CHAT_COUNTS
from tokenstream.relay._encoders.encoder import Encoder, Payload, Payloads

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.formats._kit.count_paths import Counts
    from tokenstream.message import Citation
    from tokenstream.relay._encoders.vocabulary import FinishWords

CREATED = 1_767_225_600
"""The time of creation, in seconds since the epoch; constant, to make the output independent of a clock."""

COUNTS = CHAT_COUNTS.without("input_image_tokens", "web_searches")
"""The token counts in Chat Completions and in the legacy Completions."""

_ERRORS: dict[ErrorKind, tuple[str, str | None]] = {
    "overloaded": ("server_error", "server_overloaded"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "invalid_request": ("invalid_request_error", "invalid_prompt"),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "authentication": ("authentication_error", "invalid_api_key"),
    "unknown": ("error", None),
}
"""Maps kinds of errors to OpenAI's types and codes; any other kind is a server error."""


def make_error(kind: ErrorKind, message: str, code: str | None) -> JsonObject:
    """Return an error object of OpenAI's APIs, by default with the code that OpenAI uses for `kind`."""
    error_type, default_code = word_for(kind, _ERRORS, ("server_error", "server_error"))
    return {"message": message, "type": error_type, "param": None, "code": code or default_code}


def make_error_body(kind: ErrorKind, message: str, code: str | None = None) -> JsonObject:
    return {"error": make_error(kind, message, code)}


def convert_citation(encoder: Encoder, citation: Citation) -> JsonObject | None:
    """Return a citation as a URL citation; None if the citation is left out."""
    if citation.url is not None:
        # Typed clients reject null, so unknown values are an empty title or an empty span.
        start = citation.start or 0
        return {
            "url": citation.url,
            "title": citation.title or "",
            "start_index": start,
            "end_index": start if citation.end is None else citation.end,
        }
    encoder.omit_kind("unlinked_citation")
    return None


class ChunkEncoder(Encoder, ABC):
    """Encodes an answer as chunks that differ only in their choices, followed by `[DONE]`."""

    object: ClassVar[str]
    """The value of the field `object` of a chunk."""
    token_counts: ClassVar[Counts] = COUNTS
    """The places of the token counts in the report of the usage."""
    counts = COUNTS.fields
    words: ClassVar[FinishWords] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
    choices = True

    def reset(self) -> None:
        super().reset()
        self._envelope: JsonObject = {}
        """The fields that all chunks have; empty before the first chunk."""

    @property
    def envelope(self) -> JsonObject:
        """The fields that are equal in all chunks; they are set when the first chunk is made."""
        if not self._envelope:
            self._envelope = {
                "id": self.answer_id,
                "object": self.object,
                "created": CREATED,
                "model": self.answer_model,
            }
        return self._envelope

    def make_chunk(self, choice: JsonObject) -> Payload:
        return "", {**self.envelope, "choices": [choice], "usage": None}

    @abstractmethod
    def encode_last(self, choice: int, word: str) -> Payloads:
        """Return the payloads that end a choice, for the provider's word for the finish reason."""

    def encode_tail(self) -> Payloads:
        for choice, event in self.finishes.items():
            yield from self.encode_last(choice, self.word_for(event.reason))
        report = self.token_counts.write(self.usage)
        if report:
            yield "", {**self.envelope, "choices": [], "usage": report}
        yield "", "[DONE]"

    make_error_body = staticmethod(make_error_body)

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        return [("", make_error_body(kind, message, code))]
