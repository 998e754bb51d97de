"""What has been said so far: values that never change and round-trip through JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from tokenstream._basics.elsewhere import of_message
from tokenstream._message_parts import (
    Citation,
    FoundImage,
    MediaPart,
    OpaquePart,
    Part,
    Phase,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    Usage,
    Value,
)

if TYPE_CHECKING:
    from tokenstream.turns import Drop

__all__ = [
    "Checkpoint",
    "Citation",
    "Ending",
    "FinishReason",
    "FoundImage",
    "MediaPart",
    "Message",
    "OpaquePart",
    "Part",
    "Phase",
    "ReasoningPart",
    "RefusalPart",
    "ServerToolCall",
    "ServerToolResult",
    "TextPart",
    "ToolCall",
    "Usage",
]

Ending: TypeAlias = Literal["streaming", "complete", "truncated", "stopped", "failed"]
"""The verdict on how a message ended."""

FinishReason: TypeAlias = Literal[
    "stop",
    "stop_sequence",
    "length",
    "tool_calls",
    "content_filter",
    "refusal",
    "pause",
    "cancelled",
    "error",
    "unknown",
]
"""Why generation ended, in words that do not depend on the provider."""


class Message(Value):
    """One answer of a model, as far as it has come.

    Example:
        >>> message = Message(parts=(TextPart(text="Hello"),), ending="complete")
        >>> Message.model_validate_json(message.model_dump_json()) == message
        True
        >>> message.text
        'Hello'
    """

    choice: int = 0
    """Which of the alternative answers this is."""
    id: str | None = None
    model: str | None = None
    role: str = "assistant"
    parts: tuple[Part, ...] = ()
    """What the message is made of, in the order in which it came."""
    usage: Usage | None = None
    """Token counts; None until the provider reports some."""
    finish_reason: FinishReason | None = None
    """Why generation ended; None when no reason was sent."""
    raw_finish_reason: str | None = None
    """The provider's own word for it."""
    ending: Ending = "streaming"
    """How the message ended."""
    provider_data: dict[str, Any] = Field(default_factory=dict)
    """Fields of the answer that this library has no word for."""
    format: str | None = None
    """The name of the format that it came in; None where none is known."""
    finish_message: str | None = None
    """The provider's sentence on why generation ended, where it sends one."""

    @property
    def text(self) -> str:
        """All text of the answer, joined."""
        return "".join([part.text for part in self.parts if part.kind == "text"])

    def join_text(self, separator: str = "\n\n") -> str:
        r"""Return the text with something between its parts, which `text` joins as they are.

        Args:
            separator: What stands between two parts.

        Example:
            >>> Message(parts=(TextPart(text="Let me look."), TextPart(text="It rains."))).join_text()
            'Let me look.\n\nIt rains.'
        """
        return separator.join([part.text for part in self.parts if part.kind == "text" and part.text])

    @property
    def reasoning(self) -> str:
        """All reasoning that was shown, joined."""
        return "".join([part.text for part in self.parts if part.kind == "reasoning"])

    @property
    def refusal(self) -> str:
        """The words in which the model declined, joined."""
        return "".join([part.text for part in self.parts if part.kind == "refusal"])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of the application's tools; those that the provider runs itself are in `parts`."""
        return tuple(part for part in self.parts if part.kind == "tool_call")

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources that were named."""
        return tuple(part for part in self.parts if part.kind == "citation")

    @property
    def images(self) -> tuple[FoundImage, ...]:
        """The images that the provider's search found; those that the model made are `MediaPart`s."""
        from tokenstream.formats._kit.found import images_in

        return images_in(self.provider_data)

    @property
    def related_questions(self) -> tuple[str, ...]:
        """The questions that the provider suggests to ask next."""
        from tokenstream.formats._kit.found import questions_in

        return questions_in(self.provider_data)

    @property
    def complete(self) -> bool:
        """Whether the answer came to its end."""
        return self.ending == "complete"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            told = of_message(name)
            if told is not None:
                raise AttributeError(told)
            return super().__getattr__(name)

    # -- back to the provider ------------------------------------------------

    def to_openai_chat(
        self, *, drop: Drop = (), reasoning_field: str = "reasoning_content"
    ) -> dict[str, Any]:
        """Return the assistant's turn for OpenAI Chat Completions: one of its `messages`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.
            reasoning_field: Where the server looks for reasoning that is plain text.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_openai_chat()
            {'role': 'assistant', 'content': 'Hi'}
        """
        from tokenstream.turns._openai_chat import to_openai_chat

        return to_openai_chat(self, drop, reasoning_field)

    def to_openai_responses(self, *, drop: Drop = ()) -> list[dict[str, Any]]:
        """Return the assistant's turn for OpenAI Responses: items of its `input`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_openai_responses()
            [{'type': 'message', 'role': 'assistant', 'content': 'Hi'}]
        """
        from tokenstream.turns._openai_responses import to_openai_responses

        return to_openai_responses(self, drop)

    def to_anthropic(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Anthropic Messages: one of its `messages`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_anthropic()
            {'role': 'assistant', 'content': [{'type': 'text', 'text': 'Hi'}]}
        """
        from tokenstream.turns._anthropic import to_anthropic

        return to_anthropic(self, drop)

    def to_gemini(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Gemini's generateContent: one of its `contents`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_gemini()
            {'role': 'model', 'parts': [{'text': 'Hi'}]}
        """
        from tokenstream.turns._gemini import to_gemini

        return to_gemini(self, drop)

    def to_bedrock(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Bedrock's Converse: one of its `messages`, as boto3 takes it.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_bedrock()
            {'role': 'assistant', 'content': [{'text': 'Hi'}]}
        """
        from tokenstream.turns._bedrock import to_bedrock

        return to_bedrock(self, drop)

    def to_ollama(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Ollama's own chat: one of its `messages`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_ollama()
            {'role': 'assistant', 'content': 'Hi'}
        """
        from tokenstream.turns._ollama import to_ollama

        return to_ollama(self, drop)

    def to_cohere(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Cohere's v2 chat: one of its `messages`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_cohere()
            {'role': 'assistant', 'content': 'Hi'}
        """
        from tokenstream.turns._cohere import to_cohere

        return to_cohere(self, drop)

    def to_mistral(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Mistral's own chat: one of its `messages`.

        Args:
            drop: What to leave out: names of kinds, or "all" that has no place there.

        Raises:
            NotExpressible: The message holds what has no place there, or nothing at all.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_mistral()
            {'role': 'assistant', 'content': 'Hi'}
        """
        from tokenstream.turns._mistral import to_mistral

        return to_mistral(self, drop)


class Checkpoint(Value):
    """Where an answer stands: what there is of it, and what a server is told to go on from there.

    `Stream.from_checkpoint` goes on with one, in another process too.

    Example:
        >>> kept = Checkpoint(messages=(Message(parts=(TextPart(text="Hel"),)),), position=7)
        >>> Checkpoint.model_validate_json(kept.model_dump_json()).message.text
        'Hel'
    """

    messages: tuple[Message, ...] = ()
    """What there is of each alternative answer, by index."""
    format: str | None = None
    """The format that the answer came in; None while it was not known."""
    last_event_id: str | None = None
    """The id of the last SSE event, where the server gave one."""
    events_seen: int = 0
    """Events that had been decoded."""
    tool_calls_delivered: tuple[str, ...] = ()
    """Ids of the tool calls that had been handed out."""
    version: int = 1
    """What is kept here, and how: another number is another way."""
    position: int | str | None = None
    """What a server is asked to go on after: OpenAI's `sequence_number`, Google's `event_id`; None where
    the answer cannot be gone on with."""
    state: dict[str, Any] | None = None
    """What the format needs in order to read on, for `from_checkpoint` alone; None where it cannot."""

    @property
    def message(self) -> Message:
        """What there is of the answer: the first alternative."""
        return self.messages[0] if self.messages else Message()
