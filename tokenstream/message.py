"""Messages and checkpoints: immutable values that round-trip through JSON."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from tokenstream._basics.call_keys import AnswerIdentity  # noqa: TC001 - the type of a field
from tokenstream._basics.elsewhere import explain_names_of_messages
from tokenstream._basics.untrusted import dicts_of, int_of, is_list, text_of
from tokenstream._values.parts import (
    Citation,
    FoundImage,
    MediaPart,
    OpaquePart,
    Part,
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
    from tokenstream._basics.loose import JsonObject
    from tokenstream.turns._drop import Drop
    from tokenstream.turns._results import ToolResults

__all__ = [
    "CallResult",
    "Checkpoint",
    "Citation",
    "Ending",
    "FinishReason",
    "Join",
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
"""The reason why generation ended, normalised across providers."""

_TURNS = {
    **dict.fromkeys(("to_anthropic", "to_bedrock", "to_cohere", "to_gemini"), "_blocks"),
    **dict.fromkeys(("to_mistral", "to_ollama", "to_openai_chat"), "_chat"),
    "to_openai_responses": "_openai_responses",
    "put_calls_in_text": "_in_text",
    "ToolResults": "_results",
}
"""Names in `turns` that a message asks for, each with its module: all that this level reaches above it."""


def _ask_turns(name: str) -> Any:  # noqa: ANN401 - a name of another module
    return getattr(import_module(f"tokenstream.turns.{_TURNS[name]}"), name)


def _write(message: Message, name: str, *options: object) -> JsonObject:
    turn: JsonObject = _ask_turns(name)(message, *options)
    return turn


class Join(Value):
    """A place in a message at which its answer had broken off or paused, and a later request continued it.

    Example:
        >>> Join(part=0, at=120, dropped=40, confidence=1.0).mode
        'continue'
    """

    mode: Literal["resume", "continue", "pause"] = "continue"
    """The way, as in `Resumed`: "continue" if a model was asked to go on, "pause" after a pause."""
    part: int
    """Index of the part with the new text."""
    at: int
    """Number of characters of the part that are from earlier requests."""
    dropped: int = 0
    """Number of repeated characters that were dropped at the beginning of the new text."""
    confidence: float = 1.0
    """Confidence from 0 to 1 that nothing is missing or doubled here."""
    id: str | None = None
    """The provider's id of the continuation."""
    model: str | None = None
    """The model that wrote the continuation."""
    format: str | None = None
    """The format of the continuation, if it is another one than the message's; otherwise None."""


class CallResult(Value):
    """The result of a tool that is beside its call, and not a part: usually, the application ran the tool.

    `Message.tool_results` makes the turns for the next request from such results.

    Example:
        >>> CallResult(id="call_1", output={"degrees": 7}).error is None
        True
    """

    id: str
    """The id of the call, which is a part of the same message or of an earlier one."""
    output: Any = None
    """The tool's result, as the server sent it; read-only, because the event of the result shares it."""
    error: str | None = None
    """A description of the tool's failure; None if the tool has succeeded."""
    provider_executed: bool = False
    """True if the server has run the tool itself, False if the application has run it."""


@explain_names_of_messages
class Message(Value):
    """One answer of a model, as far as it has arrived.

    Example:
        >>> message = Message(parts=(TextPart(text="Hello"),), ending="complete")
        >>> Message.model_validate_json(message.model_dump_json()) == message
        True
        >>> message.text
        'Hello'
    """

    choice: int = 0
    """The index of this alternative answer."""
    id: str | None = None
    model: str | None = None
    role: str = "assistant"
    parts: tuple[Part, ...] = ()
    """The parts of the message, in the order in which they began."""
    usage: Usage = Field(default_factory=Usage)
    """Token counts; false, and without counts, until the provider reports some."""
    finish_reason: FinishReason | None = None
    """The reason why generation ended; None if the server sent none."""
    raw_finish_reason: str | None = None
    """The finish reason in the provider's own term."""
    ending: Ending = "streaming"
    """The verdict on how the message ended."""
    provider_data: dict[str, Any] = Field(default_factory=dict)
    """Fields of the answer that are unknown to this library, by name."""
    format: str | None = None
    """The name of the answer's format; None if unknown."""
    finish_message: str | None = None
    """The provider's explanation of the finish reason, if it sends one."""
    joined: tuple[Join, ...] = ()
    """The places at which the text of another request was joined; empty for an answer of one request."""
    route: str | None = None
    """The name of the `Route` that wrote the answer or, if it was continued at another route, its end; None
    without routes."""
    results: tuple[CallResult, ...] = ()
    """The results of tools that came with the answer and are not among its parts, in their order."""

    @property
    def text(self) -> str:
        """All text of the answer, joined."""
        return "".join([part.text for part in self.parts if part.kind == "text"])

    @property
    def answer(self) -> str:
        """The text without the model's remarks, which have the phase "commentary"; joined as `text` is."""
        texts = [part for part in self.parts if part.kind == "text"]
        return "".join([part.text for part in texts if part.phase != "commentary"])

    def join_text(self, separator: str = "\n\n") -> str:
        r"""Return the text with a separator between its parts, which `text` joins without one.

        Args:
            separator: The text to put between two parts.

        Example:
            >>> Message(parts=(TextPart(text="I look."), TextPart(text="It rains."))).join_text()
            'I look.\n\nIt rains.'
        """
        return separator.join([part.text for part in self.parts if part.kind == "text" and part.text])

    @property
    def reasoning(self) -> str:
        """All visible reasoning, joined."""
        return "".join([part.text for part in self.parts if part.kind == "reasoning"])

    @property
    def refusal(self) -> str:
        """The words with which the model declined to answer, joined."""
        return "".join([part.text for part in self.parts if part.kind == "refusal"])

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Calls of the application's tools; calls that the provider itself runs are only in `parts`."""
        return tuple(part for part in self.parts if part.kind == "tool_call")

    @property
    def tool_results(self) -> ToolResults:
        """The results that came with the answer, of the calls in `tool_calls`.

        Its method `turns` writes them for the next request, after the assistant's turn.

        Results of tools that the provider itself runs are only in `parts`. The results of a router are
        returned by `stream.run`, and are not here.

        Example:
            >>> call = ToolCall(id="call_1", name="get_time", arguments_text="{}", complete=True)
            >>> message = Message(parts=(call,), results=(CallResult(id="call_1", output="noon"),))
            >>> message.tool_results["call_1"], len(message.tool_results.turns("openai-chat"))
            ('noon', 2)
        """
        kind: type[ToolResults] = _ask_turns("ToolResults")
        called = {call.id for call in self.tool_calls}
        # A later result of a call replaces an earlier one.
        last = {result.id: result for result in self.results if result.id in called}
        values = {id: result.output if result.error is None else result.error for id, result in last.items()}
        return kind.so_far(self, values, [id for id, result in last.items() if result.error is not None])

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources that the answer cites."""
        return tuple(part for part in self.parts if part.kind == "citation")

    @property
    def images(self) -> tuple[FoundImage, ...]:
        """The images that the provider's search found; images that the model made are `MediaPart`s."""
        return tuple(
            FoundImage(
                url=url,
                page_url=text_of(item, "origin_url"),
                title=text_of(item, "title"),
                width=int_of(item, "width"),
                height=int_of(item, "height"),
            )
            for item in dicts_of(self.provider_data.get("images"))
            if (url := text_of(item, "image_url")) is not None
        )

    @property
    def related_questions(self) -> tuple[str, ...]:
        """Follow-up questions that the provider suggests."""
        found = self.provider_data.get("related_questions")
        return tuple(item for item in found if isinstance(item, str)) if is_list(found) else ()

    @property
    def complete(self) -> bool:
        """True if the answer arrived completely: `ending` is "complete"."""
        return self.ending == "complete"

    # -- back to the provider ------------------------------------------------

    def to_openai_chat(
        self, *, drop: Drop = (), reasoning_field: str = "reasoning_content", dialect: str | None = None
    ) -> dict[str, Any]:
        """Return the assistant's turn for OpenAI Chat Completions: one of its `messages`.

        Args:
            drop: Kinds of content to leave out, or "all" for everything that the API does not accept.
            reasoning_field: The name of the server's field for plain-text reasoning.
            dialect: The dialect, such as "hermes", in which to write the calls into the text, for a server
                that accepts none; None for calls of the API.

        Raises:
            NotExpressible: The message has content that the API does not accept, or no content at all; or the
                dialect cannot express a call.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_openai_chat()
            {'role': 'assistant', 'content': 'Hi'}
        """
        message = self
        if dialect is not None:
            message, drop = _ask_turns("put_calls_in_text")(self, dialect, drop)
        return _write(message, "to_openai_chat", drop, reasoning_field)

    def to_openai_responses(self, *, drop: Drop = ()) -> list[dict[str, Any]]:
        """Return the assistant's turn for OpenAI Responses: items of its `input`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_openai_responses()
            [{'type': 'message', 'role': 'assistant', 'content': 'Hi'}]
        """
        items: list[dict[str, Any]] = _ask_turns("to_openai_responses")(self, drop)
        return items

    def to_anthropic(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Anthropic Messages: one of its `messages`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_anthropic()
            {'role': 'assistant', 'content': [{'type': 'text', 'text': 'Hi'}]}
        """
        return _write(self, "to_anthropic", drop)

    def to_gemini(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Gemini's generateContent: one of its `contents`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_gemini()
            {'role': 'model', 'parts': [{'text': 'Hi'}]}
        """
        return _write(self, "to_gemini", drop)

    def to_bedrock(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Bedrock's Converse API: one of its `messages`, as for boto3.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_bedrock()
            {'role': 'assistant', 'content': [{'text': 'Hi'}]}
        """
        return _write(self, "to_bedrock", drop)

    def to_ollama(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Ollama's native chat API: one of its `messages`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_ollama()
            {'role': 'assistant', 'content': 'Hi'}
        """
        return _write(self, "to_ollama", drop)

    def to_cohere(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Cohere's v2 chat API: one of its `messages`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_cohere()
            {'role': 'assistant', 'content': 'Hi'}
        """
        return _write(self, "to_cohere", drop)

    def to_mistral(self, *, drop: Drop = ()) -> dict[str, Any]:
        """Return the assistant's turn for Mistral's native chat API: one of its `messages`.

        The argument and the errors are those of `Message.to_openai_chat`.

        Example:
            >>> Message(parts=(TextPart(text="Hi"),)).to_mistral()
            {'role': 'assistant', 'content': 'Hi'}
        """
        return _write(self, "to_mistral", drop)


class Checkpoint(Value):
    """The state of an unfinished answer: its messages so far, and the position at which to resume it.

    A `Job` has it, with which another process goes on.

    Example:
        >>> kept = Checkpoint(messages=(Message(parts=(TextPart(text="Hel"),)),), position=7)
        >>> Checkpoint.model_validate_json(kept.model_dump_json()).message.text
        'Hel'
    """

    messages: tuple[Message, ...] = ()
    """The alternative answers so far, by index."""
    format: str | None = None
    """The answer's format; None if it was not yet known."""
    last_event_id: str | None = None
    """The id of the SSE event up to which `messages` goes; None if the server sent none."""
    events_seen: int = 0
    """Number of events that were decoded."""
    tool_calls_delivered: tuple[str, ...] = ()
    """Ids of the tool calls that were delivered to the reader."""
    version: int = 2
    """Version of the checkpoint's contents; a checkpoint with another version cannot be read."""
    position: int | str | None = None
    """The position after which to resume: OpenAI's `sequence_number` or Google's `event_id`; None if
    the answer cannot be resumed."""
    state: dict[str, Any] | None = None
    """The format's own state, with which it is resumed, the provider's error that ended it, and the ending
    if nothing is left to ask for; None for none of them."""
    identity: AnswerIdentity | None = None
    """The beginning of the keys of the answer's tool calls: a source, and an id."""

    @property
    def message(self) -> Message:
        """The first alternative answer so far."""
        return self.messages[0] if self.messages else Message()
