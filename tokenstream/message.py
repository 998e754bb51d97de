"""What has been said so far: values that never change and round-trip through JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from tokenstream._json import decode
from tokenstream.errors import OutputInvalid, ProtocolError

__all__ = [
    "Checkpoint",
    "Citation",
    "Ending",
    "FinishReason",
    "MediaPart",
    "Message",
    "OpaquePart",
    "Part",
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


class _Value(BaseModel):
    # Building the validators of all models would cost an import tens of milliseconds.
    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="constants",
        extra="forbid",
    )


class TextPart(_Value):
    """Text of the answer.

    Example:
        >>> TextPart(text="Hello").text
        'Hello'
    """

    kind: Literal["text"] = "text"
    text: str = ""
    complete: bool = False
    """Whether nothing can be added any more."""
    provider_data: dict[str, Any] | None = None
    """Fields that only this provider has."""


class ReasoningPart(_Value):
    """The model's reasoning, shown, summarised or encrypted.

    Example:
        >>> ReasoningPart(text="Let me see", signature="c2ln").signature
        'c2ln'
    """

    kind: Literal["reasoning"] = "reasoning"
    text: str = ""
    signature: str | None = None
    """What the provider wants back with the part, byte for byte, in the next request."""
    redacted: str | None = None
    """The encrypted reasoning, where the provider shows no text."""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class RefusalPart(_Value):
    """The words in which the model declines.

    Example:
        >>> RefusalPart(text="I can't help with that.").kind
        'refusal'
    """

    kind: Literal["refusal"] = "refusal"
    text: str = ""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class ToolCall(_Value):
    """A request by the model to run one of the application's tools.

    Example:
        >>> ToolCall(id="call_1", name="get_weather", arguments_text='{"city": "Oslo"}').arguments
        {'city': 'Oslo'}
    """

    kind: Literal["tool_call"] = "tool_call"
    id: str = ""
    """The call's id, to be named in the result; made up here where the server sends none."""
    name: str = ""
    arguments_text: str = ""
    """The arguments as the model wrote them."""
    complete: bool = False
    """Whether the call is whole; only then may it be run."""
    type: str = "function"
    """What is called: "function", "custom" (free text as input), "function_call" (the legacy form)."""
    provider_data: dict[str, Any] | None = None
    """Fields of the call that only this provider has, such as a signature to send back."""

    @property
    def arguments(self) -> Any:  # noqa: ANN401 - any JSON value
        """The arguments, parsed: usually a dict, {} where the text is empty; a custom tool's input as str.

        Raises:
            OutputInvalid: The text is no JSON, or not all of it has arrived.
        """
        if self.type == "custom":
            return self.arguments_text
        if not self.arguments_text.strip():
            return {}
        try:
            return decode(self.arguments_text)
        except ProtocolError as error:
            state = "" if self.complete else ", and the call is not complete"
            msg = f"the arguments of tool call {self.id!r} are no JSON{state}: see .arguments_text"
            raise OutputInvalid(msg, text=self.arguments_text, offset=error.offset) from error


class ServerToolCall(_Value):
    """A tool that the provider runs itself, such as a web search.

    Example:
        >>> ServerToolCall(id="srv_1", name="web_search").kind
        'server_tool_call'
    """

    kind: Literal["server_tool_call"] = "server_tool_call"
    id: str = ""
    name: str = ""
    arguments_text: str = ""
    complete: bool = False
    provider_data: dict[str, Any] | None = None
    """The rest of what the server says of the call, such as its type."""


class ServerToolResult(_Value):
    """What a tool that the provider ran gave back.

    Example:
        >>> ServerToolResult(id="srv_1", name="web_search_tool_result", content=[]).content
        []
    """

    kind: Literal["server_tool_result"] = "server_tool_result"
    id: str = ""
    """The id of the call that it answers."""
    name: str = ""
    """The result's type, in the provider's word."""
    content: Any = None
    """The result as the server sent it; errors of such tools are content too."""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class Citation(_Value):
    """A source named for what the answer says.

    Example:
        >>> Citation(url="https://example.org", title="Example").title
        'Example'
    """

    kind: Literal["citation"] = "citation"
    url: str | None = None
    title: str | None = None
    text: str | None = None
    """The cited words of the source."""
    start: int | None = None
    """Where the citing words begin in the answer, as the provider counts."""
    end: int | None = None
    """Where they end."""
    cites: int | None = None
    """Index of the part that the source is named for."""
    complete: bool = True
    provider_data: dict[str, Any] | None = None
    """The citation as the server sent it."""


class MediaPart(_Value):
    """An image, audio, or another kind of file.

    Example:
        >>> MediaPart(mime_type="image/png", data=bytes(3)).model_dump_json(include={"data"})
        '{"data":"AAAA"}'
    """

    kind: Literal["media"] = "media"
    id: str | None = None
    mime_type: str | None = None
    """The media type, where the server says it."""
    data: bytes = b""
    url: str | None = None
    """Where the media are, when they were not sent themselves."""
    transcript: str = ""
    """What the audio says, in words."""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class OpaquePart(_Value):
    """A part that this library has no word for, carried as it came.

    Example:
        >>> OpaquePart(type="compaction", data={"content": None}).type
        'compaction'
    """

    kind: Literal["opaque"] = "opaque"
    type: str = ""
    """The part's type, in the provider's word."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The part as the server sent it; what it sent later replaces field by field."""
    complete: bool = False


Part: TypeAlias = Annotated[
    TextPart
    | ReasoningPart
    | RefusalPart
    | ToolCall
    | ServerToolCall
    | ServerToolResult
    | Citation
    | MediaPart
    | OpaquePart,
    Field(discriminator="kind"),
]
"""One typed piece of a message."""


class Usage(_Value):
    """Token counts as the provider reported them; what it did not report is None.

    Example:
        >>> Usage(input_tokens=7, output_tokens=3).output_tokens
        3
    """

    input_tokens: int | None = None
    """Tokens of the request, as the provider counts (Anthropic's do not contain the cached ones)."""
    output_tokens: int | None = None
    """Tokens of the answer, reasoning included."""
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    """Input tokens read from a cache."""
    cache_write_tokens: int | None = None
    """Input tokens written to a cache."""
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    cost: float | None = None
    """What the answer cost, where a provider says so, in the provider's unit."""
    source: Literal["reported", "partial", "estimated"] = "reported"
    """Whether these are the final counts, counts from before the end, or an estimate."""
    provider_data: dict[str, Any] = Field(default_factory=dict)
    """The report as the server sent it."""


class Message(_Value):
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

    @property
    def text(self) -> str:
        """All text of the answer, joined."""
        return "".join([part.text for part in self.parts if part.kind == "text"])

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
    def complete(self) -> bool:
        """Whether the answer came to its end."""
        return self.ending == "complete"


class Checkpoint(_Value):
    """Where an answer stands: what there is of it, and what a server is told to go on from there.

    Example:
        >>> kept = Checkpoint(messages=(Message(parts=(TextPart(text="Hel"),)),), last_event_id="7")
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

    @property
    def message(self) -> Message:
        """What there is of the answer: the first alternative."""
        return self.messages[0] if self.messages else Message()
