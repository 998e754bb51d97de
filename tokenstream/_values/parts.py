"""The elements of messages: typed parts, and token counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, Self, TypeAlias, overload

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticUndefined
from typing_extensions import TypeVar

from tokenstream._basics.call_keys import find_call_place
from tokenstream._basics.elsewhere import OF_CALL, OF_USAGE, OF_VALUE, explain_missing, explain_names
from tokenstream._basics.json import decode
from tokenstream._basics.visible import show_media
from tokenstream.errors import CallUncertain, InvalidJSON, MisuseError, OutputInvalid, ProtocolError
from tokenstream.limits import DEFAULT_LIMITS

ArgumentsT_co = TypeVar("ArgumentsT_co", covariant=True, default=Any)
ResultT_co = TypeVar("ResultT_co", covariant=True, default=Any)
_PartT = TypeVar("_PartT", bound=BaseModel)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping

    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream.partial_json._repairs import Repair

    YieldT = TypeVar("YieldT")
    ReturnT = TypeVar("ReturnT")
    OnProgress: TypeAlias = Callable[[YieldT], object] | None

    class _TypedCall(Generic[ArgumentsT_co, ResultT_co]):
        """Gives type checkers the type of a call's arguments, and of its result."""
else:

    class _UntypedCall:
        # At run time all calls are one class: a generic pydantic model would make a
        # class, and build a validator, for each pair of types.
        __slots__ = ()

        def __class_getitem__(cls, types: object) -> type:
            """Return the class itself, so that `ToolCall[WeatherArgs]` is `ToolCall`."""
            return cls

    _TypedCall = _UntypedCall


@explain_missing(OF_VALUE)
class Value(BaseModel):
    """An immutable value that round-trips through JSON."""

    # Building the validators of all models would add tens of milliseconds to the import.
    model_config = ConfigDict(
        frozen=True,
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        ser_json_inf_nan="constants",
        extra="forbid",
    )

    @classmethod
    def model_construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:  # noqa: ANN401 - as in pydantic
        """Return an object with these values, unchecked, and with defaults for the other fields."""
        plan = _PLANS[cls]
        if plan is not None and plan[0].keys() >= values.keys() >= plan[1]:
            return make_value(cls, values, _fields_set)
        return super().model_construct(_fields_set, **values)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with these values, unchecked, in place of its own."""
        kind = type(self)
        plan = None if update is None or deep else _PLANS[kind]
        # An object that was made without a field stays without it.
        if update is None or plan is None or not vars(self).keys() >= plan[1]:
            return super().model_copy(update=update, deep=deep)
        return make_value(kind, {**vars(self), **update}, self.__pydantic_fields_set__ | update.keys())

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # A field that is None says nothing.
        kind = vars(self).get("mime_type")
        return [(name, show_media(each, kind)) for name, each in super().__repr_args__() if each is not None]


ValueT = TypeVar("ValueT", bound=Value)
_Plan: TypeAlias = tuple[dict[str, Any], frozenset[str]]
"""The defaults of all fields of a class, in their order, and the names of those without one."""


class _ValuePlans(dict[type[Value], _Plan | None]):
    """The plans of classes; None for a class whose objects pydantic has to make and copy."""

    __slots__ = ()

    def __missing__(self, kind: type[Value]) -> _Plan | None:
        """Return the plan of a class, and keep it if the class is of this library and has only fields."""
        if not kind.__module__.startswith("tokenstream.") or kind.__private_attributes__:
            return None
        defaults = {name: field.default for name, field in kind.model_fields.items()}
        required = frozenset([name for name, value in defaults.items() if value is PydanticUndefined])
        self[kind] = defaults, required
        return defaults, required


_PLANS = _ValuePlans()
_new = object.__new__
_SLOTS = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_set_values, _set_given, _set_extra, _set_private = [vars(BaseModel)[name].__set__ for name in _SLOTS]


def make_value(kind: type[ValueT], values: JsonObject, fields_set: set[str] | None = None) -> ValueT:
    """Return an object with these values, unchecked, and with defaults for the other fields.

    pydantic's own `model_construct` takes twenty times as long.
    """
    plan: Any = _PLANS[kind]
    made = _new(kind)
    _set_values(made, plan[0] | values)
    _set_given(made, {*values} if fields_set is None else fields_set)
    _set_extra(made, None)
    _set_private(made, None)
    return made


Phase: TypeAlias = Literal["commentary", "final_answer"]
"""The role of a text: a remark along the way, such as between tool calls, or the answer itself."""


class TextPart(Value):
    """Text of the answer.

    Example:
        >>> TextPart(text="Hello").text
        'Hello'
    """

    kind: Literal["text"] = "text"
    text: str = ""
    complete: bool = False
    """True once nothing more can be added to the text."""
    provider_data: dict[str, Any] | None = None
    """Fields that only this provider sends."""
    phase: Phase | None = None
    """Commentary or the final answer; None if the server does not state it."""


class ReasoningPart(Value):
    """The model's reasoning: readable, summarised or encrypted.

    Example:
        >>> ReasoningPart(text="Let me see", signature="c2ln").signature
        'c2ln'
    """

    kind: Literal["reasoning"] = "reasoning"
    text: str = ""
    signature: str | None = None
    """The provider's signature, to be sent back unchanged with the part in the next request."""
    redacted: str | None = None
    """The encrypted reasoning, if the provider sends no readable text."""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class RefusalPart(Value):
    """The words with which the model declines to answer.

    Example:
        >>> RefusalPart(text="I can't help with that.").kind
        'refusal'
    """

    kind: Literal["refusal"] = "refusal"
    text: str = ""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


CallStatus: TypeAlias = Literal["new", "running", "done", "failed", "unknown"]
"""The state of a call in a store. "unknown": it had begun, nobody will end it, and it has no result."""


class CallState(NamedTuple):
    """The state of a tool call in a store.

    Example:
        >>> CallState("done", '"sun in Oslo"').status
        'done'
    """

    status: CallStatus
    """Only the caller that gets "new" may run the tool."""
    result: str | None = None
    """For "done", the result as JSON, or None if it could not be kept; for "failed", words for the model."""


WORDED = (TextPart, ReasoningPart, RefusalPart)
"""The classes of parts that consist of words."""
BESIDE = frozenset({"citation", "opaque"})
"""Kinds of parts that come in the middle of a text that goes on."""
MADE_UP_ID, READ_FROM = "made_up_id", "read_from"
OUR_FIELDS = frozenset({MADE_UP_ID, READ_FROM})
"""Fields of a part's `provider_data` that say how the part was read, and go into no request: a call's id was
made up; the field of reasoning, unless it is `reasoning_content`."""
OWN_ENDS = frozenset({"stop", "tool_calls"})
"""Finish reasons of an answer that the model itself has ended."""


def with_words_of(part: _PartT, source: object) -> _PartT:
    """Return a part with the words of another state of it, or without any, and as complete as that is."""
    words = {"complete": getattr(source, "complete", False)}
    if isinstance(part, WORDED):
        words["text"] = getattr(source, "text", "")
    if isinstance(part, ReasoningPart):
        words["signature"] = getattr(source, "signature", None) or part.signature
    return part.model_copy(update=words)


def amendment_of(event: AnyEvent) -> Any:  # noqa: ANN401 - a part, or None
    """Return a part without its words that the end of the part brings; None if earlier events have it."""
    return with_words_of(event.content, None) if getattr(event, "is_amended", False) else None


def _read_begun(self: ToolCall | ServerToolCall) -> Json:
    """The arguments as far as the model has written them; None if nothing is visible yet.

    Unlike `arguments`, they can be read while the call arrives, and after a cut. The rules are those of
    `ToolCallDelta.partial_arguments`, but the value is this part's own, and does not grow.

    Example:
        >>> call = ToolCall(id="1", name="weather", arguments_text='{"city": "Os')
        >>> call.partial_arguments
        {'city': 'Os'}
    """
    from tokenstream.partial_json import PartialJSONParser

    text = self.arguments_text
    if getattr(self, "type", None) == "custom":
        return text or None
    parser = PartialJSONParser()
    parser.feed(text)
    return parser.value


@explain_names(OF_CALL)
class ToolCall(_TypedCall[ArgumentsT_co, ResultT_co], Value):
    """A request by the model to run one of the application's tools.

    `ToolCall[WeatherArgs]` is a call whose checked arguments are a `WeatherArgs`, as
    returned by `stream.validated_calls(WeatherArgs)`. The type parameters are for type
    checkers only; at run time there is one class.

    Example:
        >>> ToolCall(id="call_1", name="weather", arguments_text='{"city": "Oslo"}').arguments
        {'city': 'Oslo'}
    """

    kind: Literal["tool_call"] = "tool_call"
    id: str = ""
    """The call's id, to be quoted in the result; generated by this library if the server sends none."""
    name: str = ""
    arguments_text: str = ""
    """The arguments as the model wrote them."""
    complete: bool = False
    """True once the call is complete; only then may it be run."""
    type: str = "function"
    """The kind of tool: "function", "custom" (free text as input) or "function_call" (the legacy form)."""
    provider_data: dict[str, Any] | None = None
    """Fields of the call that only this provider sends, such as a signature that has to be sent back."""

    @property
    def arguments(self) -> ArgumentsT_co:
        """The parsed arguments: usually a dict, {} for an empty text; a str for a custom tool.

        The arguments of a checked call have the type that the tool declares: a `WeatherArgs`,
        or a dict of the values with which a function is called. They can be read even if the call's
        `error` is a `CallUncertain`.

        Raises:
            InvalidJSON: The text is not JSON, or has not arrived completely.
            OutputInvalid: The arguments do not fit the tool's declaration, or are nested too deeply.
        """
        # `CheckedCall`, the class of checked calls, overrides this property.
        parsed: ArgumentsT_co = self._parsed()
        return parsed

    partial_arguments = property(_read_begun)

    @property
    def key(self) -> str:
        """The call's key: equal for the same call after a retry, in a follower, and in another process.

        It is a hash of the answer's identity, the name, the arguments, and the number of equal calls
        before. A call from `validated_calls` or a router has the key of its validated arguments, under which
        stores know it; any other has that of its JSON, which is another one if a default is written out.
        "" for a call that has not ended, or is in no stream's answer. An answer's identity
        is its id in a relay's journal, else the stream's `answer_id`, else the first id of its message,
        else random. The message's id and a random one differ if the request is repeated, and so do the keys.
        """
        place = find_call_place(self)
        return "" if place is None else place.key

    @property
    def error(self) -> OutputInvalid | CallUncertain | None:
        """The reason why a checked call cannot be run; None if it can be run, or was not checked."""
        # A checked call is a `CheckedCall`, which has the reason.
        return None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the arguments, and in the name, each with its name and position."""
        repairs: tuple[Repair, ...] = self.__dict__.get("_repairs", ())
        return repairs

    @property
    def error_for_model(self) -> str:
        """The `error` explained to the model, to be sent as the call's result; "" if there is no error."""
        # Only the calls that `validated_calls` and routers give are checked: `CheckedCall` has the error.
        return ""

    # Yielded values are a call's progress. The second overload of each pair is for calls with a store.
    @overload
    def run(
        self: ToolCall[Any, Generator[YieldT, Any, ReturnT]], *, on_progress: OnProgress[YieldT] = None
    ) -> ReturnT: ...
    @overload
    def run(
        self: ToolCall[Any, Awaitable[Generator[YieldT, Any, ReturnT]]],
        *,
        on_progress: OnProgress[YieldT] = None,
    ) -> Awaitable[ReturnT]: ...
    @overload
    def run(
        self: ToolCall[Any, AsyncIterator[YieldT]], *, on_progress: OnProgress[YieldT] = None
    ) -> Awaitable[YieldT | None]: ...
    @overload
    def run(
        self: ToolCall[Any, Awaitable[AsyncIterator[YieldT]]], *, on_progress: OnProgress[YieldT] = None
    ) -> Awaitable[YieldT | None]: ...
    # A generator whose type is given as an iterator may return anything.
    @overload
    def run(self: ToolCall[Any, Iterator[YieldT]], *, on_progress: OnProgress[YieldT] = None) -> Any: ...  # noqa: ANN401 - see above
    @overload
    def run(self, *, on_progress: OnProgress[Any] = None) -> ResultT_co: ...
    def run(self, *, on_progress: OnProgress[Any] = None) -> Any:
        """Call the tool's function with the arguments and return its result.

        The result of an async function has to be awaited: `await call.run()`. A generator is run to its
        end, and its return value is the result. An async generator is awaited; its result is the last value
        that it yields, or None if it yields nothing.

        Args:
            on_progress: Called with each value that a generator yields, while it runs; None to call nothing.

        Raises:
            OutputInvalid: The call has an `error`.
            MisuseError: The call is not from `validated_calls` or a router, so it has no function.
        """
        # Only the calls that `validated_calls` and routers give have a function: `CheckedCall` runs it.
        raise MisuseError(
            f"tool call {self.id!r} has no function to run: loop over "
            "stream.validated_calls(function), and run the calls that it gives"
        )

    @property
    def state(self) -> CallState | None:
        """The store's state of the call, with `validated_calls(…, once=store)`; None without a store.

        Only if its `status` is "new", the application may do what the call asks for.
        """
        # Only checked calls have a store.
        return None

    def finish(self, result: object) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        """Store the result of a call that the application has run itself.

        `call.run()` does this for a tool that is a function; a tool that is only a type has no function to
        run. On an `AsyncStream`: `await call.finish(result)`.

        Args:
            result: The result, which is stored as JSON. If JSON cannot express it, or it is too long, the
                store only keeps that the call has run: whoever gets the same call again gets a
                `CallUncertain` as its `error`.

        Raises:
            MisuseError: The call is not from `validated_calls(…, once=store)`, or is not "new".
        """
        raise self._make_storeless_error("finish(result)")

    def fail(self, error: BaseException | str) -> Any:  # noqa: ANN401 - None, or an awaitable of None
        """Store that a call which the application has run itself has failed; it is not run again.

        Args:
            error: The error, or a description of it for the model.

        Raises:
            MisuseError: The call is not from `validated_calls(…, once=store)`, or is not "new".
        """
        raise self._make_storeless_error("fail(error)")

    def _make_storeless_error(self, method: str) -> MisuseError:
        return MisuseError(
            f"tool call {self.id!r} has no store for call.{method}: loop over "
            "stream.validated_calls(…, once=store)"
        )

    def _parsed(self) -> Json:
        """Return the arguments as JSON values, or the text of a custom tool's call."""
        if self.type == "custom":
            return self.arguments_text
        if not self.arguments_text.strip():
            return {}
        try:
            return decode(self.arguments_text)
        except ProtocolError as error:
            raise self._unreadable() from error

    def _unreadable(self) -> OutputInvalid:
        """Return the error for arguments that cannot be decoded."""
        from tokenstream.partial_json._parser import find_fault

        text = self.arguments_text
        fault = find_fault(text, max_depth=DEFAULT_LIMITS.depth)
        state = "" if self.complete else ", and the call is not complete"
        if isinstance(fault, InvalidJSON):
            offset = fault.offset
            return InvalidJSON(
                f"the arguments of tool call {self.id!r} are not JSON from character {offset:,} on{state}: "
                "see .arguments_text",
                text=text,
                offset=offset,
            )
        return OutputInvalid(
            f"the arguments of tool call {self.id!r} are nested too deeply, or contain too long a number: "
            "see .arguments_text",
            text=text,
        )


class ServerToolCall(Value):
    """A call of a tool that the provider itself runs, such as a web search.

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
    """Further fields of the call, such as its type."""

    partial_arguments = property(_read_begun)


class ServerToolResult(Value):
    """The result of a tool that the provider itself ran.

    Example:
        >>> ServerToolResult(id="srv_1", name="web_search_tool_result", content=[]).content
        []
    """

    kind: Literal["server_tool_result"] = "server_tool_result"
    id: str = ""
    """The id of the call to which this result belongs."""
    name: str = ""
    """The provider's name for the type of result."""
    content: Any = None
    """The result as the server sent it; errors of the tool are content, too.

    While a result arrives in pieces, this is the text so far.
    """
    complete: bool = False
    provider_data: dict[str, Any] | None = None
    error: str | None = None
    """A description of the tool's failure; None if the tool has succeeded."""


class Citation(Value):
    """A source that the answer cites.

    Example:
        >>> Citation(url="https://example.org", title="Example").title
        'Example'
    """

    kind: Literal["citation"] = "citation"
    url: str | None = None
    title: str | None = None
    text: str | None = None
    """The cited words in the source."""
    start: int | None = None
    """The start of the words in the answer that cite the source, in the provider's units."""
    end: int | None = None
    """The end of the words in the answer that cite the source."""
    cites: int | None = None
    """The index of the part that cites the source."""
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
    """The media type; None if the server does not state it."""
    data: bytes = b""
    url: str | None = None
    """The address of the media, if the server did not send the data themselves."""
    transcript: str = ""
    """The words that are spoken in the audio."""
    complete: bool = False
    provider_data: dict[str, Any] | None = None


class OpaquePart(Value):
    """A part of a kind that is unknown to this library, passed on unchanged.

    Example:
        >>> OpaquePart(type="compaction", data={"content": None}).type
        'compaction'
    """

    kind: Literal["opaque"] = "opaque"
    type: str = ""
    """The provider's name for the type of part."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The part as the server sent it; fields that are sent later replace earlier ones."""
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
    """An image that the provider's search found; meant to be displayed, but not one of the answer's parts.

    Example:
        >>> FoundImage(url="https://a.test/cat.png", page_url="https://a.test/cats").page_url
        'https://a.test/cats'
    """

    url: str
    page_url: str | None = None
    """The web page that contains the image."""
    title: str | None = None
    width: int | None = None
    """Width in pixels."""
    height: int | None = None


def _find_basis(fields: JsonObject) -> Literal["reported", "none"]:
    """Return the basis of a usage from its other fields: "none" if it has neither counts nor a report."""
    is_empty = not fields.get("provider_data") and set(map(fields.get, COUNTS)) == {None}
    return "none" if is_empty else "reported"


@explain_names(OF_USAGE)
class Usage(Value):
    """Token counts as the provider reported them; None for each count that it did not report.

    A usage is false if the provider has sent no report at all.

    Example:
        >>> Usage(input_tokens=7, output_tokens=3).output_tokens
        3
        >>> (Usage(input_tokens=7) + Usage(input_tokens=5, output_tokens=3)).input_tokens
        12
        >>> bool(Usage()), Usage().basis
        (False, 'none')
    """

    input_tokens: int | None = None
    """Tokens of the request, as the provider counts them (Anthropic's count excludes cached tokens)."""
    output_tokens: int | None = None
    """Tokens of the answer, including reasoning."""
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    """Input tokens that were read from a cache."""
    cache_write_tokens: int | None = None
    """Input tokens that were written to a cache."""
    cache_write_1h_tokens: int | None = None
    """Of the tokens written to a cache, those that stay there for an hour, which costs more."""
    context_tokens: int | None = None
    """Input of the last of several requests that the provider made for the answer: what the context holds."""
    other_input_tokens: int | None = None
    """Of the counts above, those of another model that a tool has asked, such as Anthropic's advisor."""
    other_output_tokens: int | None = None
    other_cached_tokens: int | None = None
    other_cache_write_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    web_searches: int | None = None
    """Searches that the provider bills, each with a fee."""
    cost: float | None = None
    """The cost of the answer in the provider's unit; None if the provider reports none."""
    provider_data: dict[str, Any] = Field(default_factory=dict)
    """The report as the server sent it; for a sum, the last report."""
    basis: Literal["reported", "partial", "estimated", "none"] = Field(default_factory=_find_basis)
    """Basis of the counts: final counts, counts from before the end, an estimate, or none if nothing came.

    If an answer was stopped, cut off or failed before its counts arrived, the number of
    output tokens is estimated: one for every four bytes of the answer.
    """

    def __bool__(self) -> bool:
        """Return False if no token counts were sent."""
        return self.basis != "none"

    def __add__(self, other: Usage) -> Usage:
        """Return the sum of two usages; `sum(usages)` adds many.

        A count that only one usage has is used unchanged, so a usage without counts adds nothing.
        Of two `context_tokens`, the sum has those of `other`.
        The sum's `basis` is "estimated" or "partial" if either is, and else "reported".
        Its `provider_data` is that of `other` or, if that is empty, that of this usage.
        """
        if not isinstance(other, Usage):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
            return NotImplemented
        added: JsonObject = {name: _add(name, getattr(self, name), getattr(other, name)) for name in COUNTS}
        bases = (self.basis, other.basis)
        words = ("estimated", "partial", "reported", "none")
        added["basis"] = next(word for word in words if word in bases)
        return Usage(**added, provider_data=other.provider_data or self.provider_data)

    def __radd__(self, other: int) -> Usage:
        """Return the usage itself for the 0 with which `sum(usages)` begins."""
        return self if other == 0 else NotImplemented


def make_usage(report: JsonObject, **counts: float | None) -> Usage:
    """Return the counts that a server's report has, which are known to be numbers."""
    basis = "reported" if report else "none"
    values = {**counts, "provider_data": report.copy(), "basis": basis}
    return make_value(Usage, values, {*counts, "provider_data"})


COUNTS = tuple(name for name in Usage.model_fields if name not in {"basis", "provider_data"})
_COUNTS = frozenset(COUNTS)
CONTEXT = "context_tokens"
"""The count that is a level: later ones replace it, and none is added to it."""


def set_repairs(call: ToolCall[Any, Any], repairs: tuple[Repair, ...]) -> None:
    """Attach the repairs that were made in a call, which `ToolCall.repairs` returns."""
    # Not a field: a call that is read again from its JSON is equal.
    vars(call)["_repairs"] = repairs


def set_dialect(call: ToolCall[Any, Any], dialect: str) -> None:
    """Note the dialect in which a call was written in a text, where the server has not seen it."""
    vars(call)["_dialect"] = dialect


def dialect_of(part: object) -> str | None:
    """Return the dialect in which a call was written in a text; None for any other part."""
    dialect: str | None = getattr(part, "__dict__", {}).get("_dialect")
    return dialect


def counts_of(usage: Usage) -> JsonObject:
    values, given = vars(usage), usage.__pydantic_fields_set__
    return {name: values[name] for name in _COUNTS & given if values[name] is not None}


def _add(name: str, one: float | None, other: float | None) -> float | None:
    if one is None or other is None or name == CONTEXT:
        return one if other is None else other
    return one + other
