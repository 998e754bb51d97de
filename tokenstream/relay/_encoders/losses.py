"""Losses of one answer in a format: names for what it cannot express, and a record of what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.errors import NotExpressible
from tokenstream.turns._drop import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

Loss: TypeAlias = (
    Kind
    | Literal[
        "usage",
        "encrypted_reasoning",
        "tool_call_end",
        "tool_result",
        "unlinked_citation",
        "citation_text",
        "citation_span",
        "image",
        "audio",
        "video",
        "file",
        "media_url",
        "transcript",
        "phase",
        "characters",
        "choice",
        "step",
        "finish_reason",
        "stopped",
    ]
)
"""A kind of part, a field or an ending that a protocol may be unable to express."""

PHRASES: dict[Loss, str] = {
    "text": "text",
    "reasoning": "reasoning",
    "refusal": "a refusal",
    "tool_call": "a tool call",
    "custom_tool_call": "a call of a custom tool",
    "server_tool_call": "a call of a tool that the provider runs",
    "server_tool_result": "the result of a tool that the provider runs",
    "citation": "a citation",
    "media": "media",
    "opaque": "a part that only its own provider knows",
    "invalid_tool_call": "arguments of a tool call that are no JSON object",
    "incomplete": "a part that was cut off",
    "signature": "a signature of reasoning",
    "usage": "token counts",
    "encrypted_reasoning": "encrypted reasoning",
    "tool_call_end": "the end of a tool call",
    "tool_result": "the result of a tool",
    "unlinked_citation": "a citation without a URL",
    "citation_text": "the cited words of a source",
    "citation_span": "the place in the answer that a citation is for",
    "image": "an image",
    "audio": "audio",
    "video": "a video",
    "file": "a file of any other type",
    "media_url": "media that were not sent themselves",
    "transcript": "the words of audio",
    "phase": "the phase of text",
    "characters": "some characters",
    "choice": "a second choice",
    "step": "the steps of a run",
    "finish_reason": "a finish reason",
    "stopped": "an answer that was stopped",
}
"""Descriptions of what each name of a loss stands for, for error messages."""
_USUAL = frozenset({"encrypted_reasoning", "phase", "reasoning", "signature", "usage"})
"""Names of what healthy answers lose in a format that has no place for it; all others are of content."""
_WHOLE = ""
"""The detail for a loss of everything that a name stands for."""


class Losses:
    """Decides what an encoder may leave out of an answer, and keeps what it has left out."""

    def __init__(self, format: str, *, allowed: bool) -> None:
        self.allowed = allowed
        self.unknown_events: set[str] = set()
        """Names of the classes of events that the encoder does not know, and has therefore left out."""
        self._format = format
        self._details: dict[Loss, dict[str, None]] = {}
        """The losses so far: for each kind its details, in order, or `_WHOLE`."""

    def __contains__(self, kind: Loss) -> bool:
        """Return True if all of a kind was left out before."""
        return _WHOLE in self._details.get(kind, ())

    def add(
        self, what: str, kind: Loss, details: Iterable[str] | None = None, *, part: int | None = None
    ) -> None:
        """Record that something is left out; its description never has text of the answer.

        `details` is what is lost of the kind, if that is more than `what`. NotExpressible if nothing may be
        left out.
        """
        if not self.allowed:
            place = "" if part is None else f" (part {part} of the answer)"
            raise make_error(self._format, f"{what}{place}")
        if details is None:
            details = () if what == PHRASES[kind] else (what,)
        self._details.setdefault(kind, {}).update(dict.fromkeys(details or (_WHOLE,)))

    def by_kind(self) -> dict[Loss, tuple[str, ...]]:
        """Return what was left out: the details of each kind, or () for all of the kind."""
        return {kind: () if kind in self else tuple(details) for kind, details in self._details.items()}

    @property
    def has_content(self) -> bool:
        """True if more was left out than what whoever chooses the format does without."""
        return bool(self.unknown_events or self._details.keys() - _USUAL)

    def describe(self) -> str:
        """Return what was left out, for the log; "" if there is nothing."""
        lost = [f"{kind} ({', '.join(each)})" if each else kind for kind, each in self.by_kind().items()]
        return ", ".join([*lost, *sorted(self.unknown_events)])


def make_error(format: str, what: str) -> NotExpressible:
    message = f"the format {format!r} has no place for {what}: leave it out, or take another format"
    return NotExpressible(message, kinds={})
