"""What a format has a place for, and its words: what encoders ask while they write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._json import decode
from tokenstream.errors import NotExpressible, ProtocolError
from tokenstream.formats._read import is_dict
from tokenstream.message import Usage
from tokenstream.turns._drop import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.events import ReasoningDelta, ToolCallDone
    from tokenstream.message import FinishReason
    from tokenstream.turns import Drop, Kind

__all__ = ["CREATED", "MODEL", "PHRASES", "Vocabulary"]

_CALLS: frozenset[Kind] = frozenset({"tool_call", "custom_tool_call"})
PHRASES: dict[Kind, str] = {
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
}
"""What parts are called in errors."""

MODEL = "scripted-1"
"""The model's name where nobody has told it."""
CREATED = "2026-01-01T00:00:00Z"
"""A moment: what is sent depends on no clock."""


class Vocabulary:
    """Knows what a format has a place for, and how it calls what an answer has come to.

    Args:
        drop: What to leave out that the format has no place for: names of kinds, or "all".
    """

    name: ClassVar[str]
    """The format's name."""
    content_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    messages: ClassVar[bool] = False
    """Whether the provider sends it over a WebSocket; each chunk is then one message."""
    expresses: ClassVar[frozenset[Kind]]
    """The kinds of parts that it has a place for."""
    counts: ClassVar[frozenset[str]] = frozenset({"input_tokens", "output_tokens", "total_tokens"})
    """The fields of a `Usage` that it has a place for."""
    words: ClassVar[Mapping[FinishReason, str]]
    """The provider's words for the finish reasons that it has."""
    choices: ClassVar[bool] = False
    """Whether an answer may have alternatives."""
    names_calls: ClassVar[bool] = True
    """Whether the ids of tool calls are sent."""
    made_up: ClassVar[str] = ""
    """The answer's id where nobody has told it."""

    def __init__(self, *, drop: Drop = ()) -> None:
        self.drop = names_of(drop)
        self.id: str | None = None
        """The answer's id, once it is known."""
        self.model: str | None = None
        self.usage = Usage()
        """The token counts so far."""
        self._kinds: dict[tuple[int, int], Kind] = {}
        """What each part is that has begun, by choice and index."""

    @property
    def answer_id(self) -> str:
        """The answer's id; once it was asked for it does not change."""
        self.id = self.id or self.made_up
        return self.id

    @property
    def answer_model(self) -> str:
        """The model's name; once it was asked for it does not change."""
        self.model = self.model or MODEL
        return self.model

    def has_calls(self) -> bool:
        """Tell whether there were calls of the application's tools, sent or left out."""
        return not _CALLS.isdisjoint(self._kinds.values())

    def counted(self, names: Mapping[str, str]) -> dict[str, int]:
        """Return the token counts that there are in the provider's names.

        Args:
            names: The provider's name for each of ours.
        """
        counts = {theirs: getattr(self.usage, ours) for ours, theirs in names.items()}
        return {name: count for name, count in counts.items() if count is not None}

    def expressed(self, reason: FinishReason) -> FinishReason:
        """Return the finish reason that is sent for one.

        It is that one where there is a word for it. "tool_calls" is "stop" where a
        provider has no word for it, since who reads an answer with calls knows it.
        With `drop="all"` whatever has no word is "stop".

        Raises:
            NotExpressible: There is no word for it.
        """
        if reason in self.words:
            return reason
        if "all" in self.drop or (reason == "tool_calls" and self.has_calls()):
            return "stop"
        raise self.refused(f"the finish reason {reason!r}")

    def word(self, reason: FinishReason) -> str:
        """Return the provider's word for a finish reason, or for what stands for it.

        Raises:
            NotExpressible: It has none.
        """
        return self.words[self.expressed(reason)]

    def refused(self, what: str, kind: Kind | None = None) -> NotExpressible:
        """Return the error for what the format has no place for.

        Args:
            what: That, in the words of the answer.
            kind: Its name for `drop=`, where it has one.
        """
        return NotExpressible(
            f"the format {self.name!r} has no place for {what}: leave it out, or take another format",
            kinds={} if kind is None else {kind: 1},
        )

    def omit(self, what: str, kind: Kind) -> tuple[()]:
        """Return nothing, where what the format has no place for is to be left out.

        Args:
            what: That, in the words of the answer.
            kind: Its name for `drop=`.

        Raises:
            NotExpressible: It is not to be left out.
        """
        if self.drop & {kind, "all"}:
            return ()
        raise self.refused(what, kind)

    def unsigned(self, event: ReasoningDelta) -> str:
        """Return the text of reasoning, of which a signature has no place.

        Raises:
            NotExpressible: There is a signature, and it is not to be left out.
        """
        if event.signature is not None:
            self.omit("a signature of reasoning", "signature")
        return event.text

    def object_of(self, event: ToolCallDone) -> dict[str, Any] | None:
        """Return a call's arguments as an object; None where they are none, and are left out.

        Raises:
            NotExpressible: They are none, and not to be left out.
        """
        try:
            arguments = decode(event.call.arguments_text or "{}")
        except ProtocolError:
            arguments = None
        if is_dict(arguments):
            return arguments
        self.omit(
            f"arguments of a tool call that are no JSON object (part {event.part} of the answer)",
            "invalid_tool_call",
        )
        return None
