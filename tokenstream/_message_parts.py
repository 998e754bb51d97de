"""What messages are made of: typed parts, and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypeVar

from tokenstream._json import decode
from tokenstream.errors import InvalidJSON, MisuseError, OutputInvalid, ProtocolError
from tokenstream.limits import DEFAULT_LIMITS

__all__ = [
    "COUNTS",
    "Citation",
    "FoundImage",
    "MediaPart",
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
    "Value",
]


ArgumentsT_co = TypeVar("ArgumentsT_co", covariant=True, default=Any)
ResultT_co = TypeVar("ResultT_co", covariant=True, default=Any)

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import Repair

    class _Typed(Generic[ArgumentsT_co, ResultT_co]):
        """Tells type checkers what a call's arguments are, and what running it gives."""
else:

    class _Typed:
        # A generic pydantic model would make a class, and build its validator, for each
        # pair of types; at run time there is one kind of call.
        __slots__ = ()

        def __class_getitem__(cls, types: object) -> type:
            return cls


class Value(BaseModel):
    """A value that never changes and round-trips through JSON."""

    # Building the validators of all models would cost an import tens of milliseconds.
    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="constants",
        extra="forbid",
    )


Phase: TypeAlias = Literal["commentary", "final_answer"]
"""Role of a text: said on the way, such as between tool calls, or the answer itself."""


class TextPart(Value):
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
    phase: Phase | None = None
    """Commentary or the final answer; None where the server does not say."""


class ReasoningPart(Value):
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


class RefusalPart(Value):
    """The words in which the model declines.

    Example:
        >>> RefusalPart(text="I can't help with that.").kind
        'refusal'
    """

    kind: Literal["refusal"] = "refusal"
    text: str = ""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class ToolCall(_Typed[ArgumentsT_co, ResultT_co], Value):
    """A request by the model to run one of the application's tools.

    `ToolCall[WeatherArgs]` is one whose arguments were checked and are a
    `WeatherArgs`, as `stream.validated_calls(WeatherArgs)` gives it. At run time
    it is the same class: the types are for type checkers.

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
    def arguments(self) -> ArgumentsT_co:
        """The arguments, parsed: usually a dict, {} where the text is empty; a custom tool's input as str.

        Those of a call that was checked are what its tool declares: a
        `WeatherArgs`, or a dict of the values that a function is called with.

        Raises:
            InvalidJSON: The text is no JSON, or not all of it has arrived.
            OutputInvalid: It is not what the tool declares, or nested too deeply.
        """
        parsed: ArgumentsT_co = self._parsed()
        return parsed

    @property
    def error(self) -> OutputInvalid | None:
        """Why the call cannot be run; None where it can, or where nothing was checked."""
        return None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in the arguments, where they were read with `lenient`: each by name and place."""
        return ()

    @property
    def error_for_model(self) -> str:
        """What the model needs to hear to correct the call: what to answer it with; "" without `error`."""
        return ""

    def run(self) -> ResultT_co:
        """Call the tool's function with the arguments, and return what it returns.

        What an async function returns is to be awaited: `await call.run()`.

        Raises:
            OutputInvalid: The call has an `error`.
        """
        raise MisuseError(
            f"tool call {self.id!r} has no function to run: loop over "
            "stream.validated_calls(function), and run the calls that it gives"
        )

    def _parsed(self) -> Any:  # noqa: ANN401 - any JSON value
        if self.type == "custom":
            return self.arguments_text
        if not self.arguments_text.strip():
            return {}
        try:
            return decode(self.arguments_text)
        except ProtocolError as error:
            raise self._unreadable() from error

    def _unreadable(self) -> OutputInvalid:
        from tokenstream.partial_json._parser import fault_in

        text = self.arguments_text
        fault = fault_in(text, max_depth=DEFAULT_LIMITS.depth)
        state = "" if self.complete else ", and the call is not complete"
        if isinstance(fault, InvalidJSON):
            offset = fault.offset
            return InvalidJSON(
                f"the arguments of tool call {self.id!r} are no JSON from character {offset:,} on{state}: "
                "see .arguments_text",
                text=text,
                offset=offset,
            )
        return OutputInvalid(
            f"the arguments of tool call {self.id!r} are nested too deeply, or hold too long a number: "
            "see .arguments_text",
            text=text,
        )


class ServerToolCall(Value):
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


class ServerToolResult(Value):
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


class Citation(Value):
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


class MediaPart(Value):
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


class OpaquePart(Value):
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


class FoundImage(Value):
    """An image that the provider's search found, shown beside the answer and no part of it.

    Example:
        >>> FoundImage(url="https://a.test/cat.png", page_url="https://a.test/cats").page_url
        'https://a.test/cats'
    """

    url: str
    page_url: str | None = None
    """The page that it stands on."""
    title: str | None = None
    width: int | None = None
    """In pixels."""
    height: int | None = None


class Usage(Value):
    """Token counts as the provider reported them; what it did not report is None.

    Example:
        >>> Usage(input_tokens=7, output_tokens=3).output_tokens
        3
        >>> (Usage(input_tokens=7) + Usage(input_tokens=5, output_tokens=3)).input_tokens
        12
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
    """Whether these are the final counts, counts from before the end, or an estimate.

    Of an answer that was stopped, was cut or failed before its counts came, the
    output tokens are estimated by what it said: four bytes are one.
    """
    provider_data: dict[str, Any] = Field(default_factory=dict)
    """The report as the server sent it; of a sum, the last one that there was."""

    def __add__(self, other: Usage) -> Usage:
        """Return what two answers used together; `sum(usages, start=Usage())` adds many.

        A count that only one of them has is that one's. The sum is "estimated"
        where either is, "reported" where both are, and otherwise "partial".
        """
        if not isinstance(other, Usage):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
            return NotImplemented
        added: dict[str, Any] = {name: _sum_of(getattr(self, name), getattr(other, name)) for name in COUNTS}
        sources = (self.source, other.source)
        added["source"] = next(word for word in ("estimated", "partial", "reported") if word in sources)
        return Usage(**added, provider_data=other.provider_data or self.provider_data)


COUNTS = tuple(name for name in Usage.model_fields if name not in {"source", "provider_data"})
"""The names of the counts."""


def _sum_of(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other
