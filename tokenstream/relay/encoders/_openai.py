"""What the encoders of OpenAI's APIs share: token counts, errors, chunks, and an answer's items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream.relay.encoders._encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.message import Citation, FinishReason, Usage
    from tokenstream.relay.encoders._encoder import Payload, Payloads

__all__ = [
    "COUNTS",
    "CREATED",
    "CUT",
    "ChunkEncoder",
    "Places",
    "citation_of",
    "cut_short",
    "error_of",
    "report_of",
]

Places: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""Where a report has each count: the fields on the way to it."""

CREATED = 1_767_225_600
"""A moment, in seconds since the epoch: what is sent depends on no clock."""
CUT: frozenset[FinishReason] = frozenset({"length", "content_filter", "cancelled"})
"""Finish reasons that cut what was being said."""

_INPUT, _OUTPUT = "prompt_tokens_details", "completion_tokens_details"
COUNTS: Places = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "total_tokens": ("total_tokens",),
    "cached_tokens": (_INPUT, "cached_tokens"),
    "cache_write_tokens": (_INPUT, "cache_write_tokens"),
    "input_audio_tokens": (_INPUT, "audio_tokens"),
    "reasoning_tokens": (_OUTPUT, "reasoning_tokens"),
    "output_audio_tokens": (_OUTPUT, "audio_tokens"),
    "accepted_prediction_tokens": (_OUTPUT, "accepted_prediction_tokens"),
    "rejected_prediction_tokens": (_OUTPUT, "rejected_prediction_tokens"),
}
"""The token counts of Chat Completions, and of the older completions."""

_ERRORS: dict[ErrorKind, tuple[str, str | None]] = {
    "overloaded": ("server_error", "server_overloaded"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "invalid_request": ("invalid_request_error", "invalid_prompt"),
    "authentication": ("authentication_error", "invalid_api_key"),
    "unknown": ("error", None),
}
"""The type and the code of an error of each kind; the others are the server's."""


def error_of(kind: ErrorKind, message: str, code: str | None) -> dict[str, Any]:
    """Return an error as OpenAI's APIs tell it.

    Args:
        kind: Whose problem it is.
        message: The provider's words.
        code: The provider's code; by default its own for `kind`.

    Example:
        >>> error_of("rate_limited", "Slow down", None)["code"]
        'rate_limit_exceeded'
    """
    name, usual = _ERRORS.get(kind, ("server_error", "server_error"))
    return {"message": message, "type": name, "param": None, "code": code or usual}


def report_of(usage: Usage, places: Places) -> dict[str, Any] | None:
    """Return token counts in the provider's names; None where there are none.

    Args:
        usage: The counts; a total that is missing is their sum.
        places: Where the report has each of them.

    Example:
        >>> from tokenstream.message import Usage
        >>> report_of(Usage(input_tokens=7, output_tokens=3), COUNTS)
        {'prompt_tokens': 7, 'completion_tokens': 3, 'total_tokens': 10}
    """
    counts = usage.model_dump(exclude_none=True, include=set(places))
    if {"input_tokens", "output_tokens"} <= counts.keys():
        counts.setdefault("total_tokens", counts["input_tokens"] + counts["output_tokens"])
    report: dict[str, Any] = {}
    for name, (*groups, field) in places.items():
        if name in counts:
            holder = report
            for group in groups:
                holder = holder.setdefault(group, {})
            holder[field] = counts[name]
    return report or None


def citation_of(encoder: Encoder, citation: Citation) -> dict[str, Any] | None:
    """Return a source as a URL citation; None where it is left out.

    Args:
        encoder: Who asks; it knows what is to be left out.
        citation: The source.

    Raises:
        NotExpressible: It has no URL.
    """
    if citation.url is not None:
        # Clients that check types refuse null: what is not known is an empty title, or an empty place.
        start = citation.start or 0
        return {
            "url": citation.url,
            "title": citation.title or "",
            "start_index": start,
            "end_index": start if citation.end is None else citation.end,
        }
    encoder.omit("a citation without a URL", "citation")
    return None


def cut_short(encoder: Encoder, reason: FinishReason) -> None:
    """Say that there is no place for a whole call that a finish reason seems to cut.

    Args:
        encoder: Who asks; it knows what is to be left out.
        reason: The finish reason.

    Raises:
        NotExpressible: It is not to be left out.
    """
    encoder.omit(f"a tool call that is whole before the finish reason {reason!r}", "tool_call")


class ChunkEncoder(Encoder, ABC):
    """Writes chunks that are alike but for their choices, and `[DONE]`."""

    object: ClassVar[str]
    """What a chunk says that it is."""
    places: ClassVar[Places] = COUNTS
    counts: ClassVar[frozenset[str]] = frozenset(COUNTS)
    choices: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(**options)
        self._envelope: dict[str, Any] = {}

    @property
    def envelope(self) -> dict[str, Any]:
        """What every chunk says; it does not change once one was sent."""
        if not self._envelope:
            self._envelope = {
                "id": self.answer_id,
                "object": self.object,
                "created": CREATED,
                "model": self.answer_model,
            }
        return self._envelope

    def chunk(self, choice: dict[str, Any]) -> Payload:
        """Return a chunk.

        Args:
            choice: Its one choice.
        """
        return "", {**self.envelope, "choices": [choice], "usage": None}

    @abstractmethod
    def last(self, choice: int, word: str) -> Payloads:
        """Return what ends a choice.

        Args:
            choice: Its index.
            word: The provider's word for why.
        """

    def tail(self) -> Payloads:
        """The finish reason of each choice, the token counts, and the sentinel."""
        for choice, event in self.finishes.items():
            yield from self.last(choice, self.word(event.reason))
        report = report_of(self.usage, self.places)
        if report is not None:
            yield "", {**self.envelope, "choices": [], "usage": report}
        yield "", "[DONE]"

    def fail(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """An error object in the place of a chunk."""
        return [("", {"error": error_of(kind, message, code)})]
