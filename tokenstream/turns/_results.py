"""The turns that follow the assistant's turn: the results of the tool calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from tokenstream._basics.call_keys import ids_of
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.turns._drop import Drop, Kind, formats_with_turns, turn_method, write_user_turn
from tokenstream.turns._in_text import CallMarkup, find_markup, put_calls_in_text, write_results

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.message import Message, ToolCall

    _MakeUserTurn = Callable[[str], JsonObject]
    _WriteResult = Callable[["_Result"], JsonObject]

_DROPPED_BY_DEFAULT: tuple[Kind, ...] = ("incomplete", "invalid_tool_call")
"""Kinds of parts that `turns` leaves out of the assistant's turn by default."""
_OUTPUT_TYPES = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
"""Maps the type of a call's item in OpenAI Responses to the type of the item that answers the call."""
_ID_KEYS = {"mcp_approval_request": "approval_request_id"}
"""Maps the type of a call's item to the key for its id in the answering item; all others use `call_id`."""


_LATER = "missing results are refused later"
"""Stands for words about missing results; compared by identity."""


class _Result(NamedTuple):
    call: ToolCall
    turn: Any
    """The call as it is sent, such as in an assistant's turn of its own; None if it cannot be expressed."""
    value: Any
    failed: bool

    @property
    def text(self) -> str:
        """The result as text for the model: a str unchanged, or else JSON; an error is never blank."""
        text = self.value if isinstance(self.value, str) else _dump_json(self.call, self.value)
        # Anthropic refuses an error without text.
        return text if text.strip() or not self.failed else f"{self.call.name} failed"

    @property
    def sentence(self) -> str:
        """The result as a sentence for a user's turn, which is sent if the API cannot express the call."""
        return f"The call of {self.call.name} {'failed' if self.failed else 'gave'}: {self.text}"


class ToolResults(Mapping[str, Any]):
    """The results of an answer's tool calls: a mapping from call ids, and the turns for the next request.

    The mapping has the order of the calls, and its values are the tools' return
    values. If a call failed or could not be run, its value is the text that tells
    the model why, and its id is in `errors`. The turns follow the assistant's turn;
    without calls there are no turns.

    A call that the API cannot express, for example because its arguments are not
    JSON, can only be left out of the assistant's turn, with `drop=`. Its result is
    then a message from the user, since an API refuses a result without its call.

    Args:
        message: The answer that called the tools.
        values: The result of each call, by its id: a str, or a value that can be written as JSON. The id may
            also be one under which the call was handed out before a restart of the answer.
        errors: Ids of the calls that failed.
        missing: Words for the model about calls that have no result, such as "The user has stopped it."; they
            become the result of each, and it counts as failed. None if each call has a result.

    Raises:
        MisuseError: An id is not a tool call's id in the message; or a call has no result, without which an
            API refuses the next request.

    Example:
        >>> from tokenstream.message import Message, ToolCall
        >>> call = ToolCall(id="c1", name="now", arguments_text='{"city": "Oslo"}', complete=True)
        >>> results = ToolResults(Message(parts=(call,)), {"c1": {"degrees": 3}})
        >>> results["c1"], results.to_openai_chat()
        ({'degrees': 3}, [{'role': 'tool', 'tool_call_id': 'c1', 'content': '{"degrees":3}'}])
    """

    __slots__ = ("_errors", "_ids", "_message", "_values")

    def __init__(
        self,
        message: Message,
        values: Mapping[str, object],
        errors: Collection[str] = (),
        *,
        missing: str | None = None,
    ) -> None:
        self._keep(message, values, errors)
        if missing is _LATER:
            return
        if missing is not None:
            unanswered = {call.id: missing for call in self._unanswered}
            self._keep(message, {**values, **unanswered}, {*errors, *unanswered})
        self._check_answered()

    @classmethod
    def so_far(cls, message: Message, values: Mapping[str, object], errors: Collection[str] = ()) -> Self:
        """Return the results that there are so far; only the turns need a result for each call.

        Args:
            message: The answer that called the tools.
            values: The results, by the ids of their calls.
            errors: Ids of the calls that failed.

        Raises:
            MisuseError: An id is not a tool call's id in the message.

        Example:
            >>> from tokenstream.message import Message, ToolCall
            >>> call = ToolCall(id="call_1", name="get_time", arguments_text="{}", complete=True)
            >>> len(ToolResults.so_far(Message(parts=(call,)), {}))
            0
        """
        return cls(message, values, errors, missing=_LATER)

    def _keep(self, message: Message, values: Mapping[str, object], errors: Collection[str]) -> None:
        """Keep the results of calls, in the order of the calls."""
        if not hasattr(values, "items"):
            raise MisuseError(f"`values` is a dict, {{call.id: result}}, and not {type(values).__name__}")
        calls = message.tool_calls
        self._ids = {id: call.id for call in calls for id in ids_of(call)} | {
            call.id: call.id for call in calls
        }
        """Maps each id under which a call was handed out to its id in the message."""
        given = {self._ids[id]: value for id, value in values.items() if id in self._ids}
        for id in (*values, *errors):
            if self._ids.get(id) not in given:
                raise MisuseError(
                    f"{id!r} has no result in `values`, or is not the id of a tool call of the message: "
                    "write {call.id: result}"
                )
        self._message = message
        self._values = {call.id: given[call.id] for call in calls if call.id in given}
        self._errors = frozenset([self._ids[id] for id in errors])

    @property
    def _unanswered(self) -> list[ToolCall]:
        """The calls that need a result and have none; a call that was cut off is left out of the turns."""
        return [call for call in self._message.tool_calls if call.complete and call.id not in self._values]

    def _check_answered(self) -> None:
        unanswered = [f"{call.name} ({call.id})" for call in self._unanswered]
        if unanswered:
            raise MisuseError(
                f"no result was given for {', '.join(unanswered)}, and an API refuses calls without results: "
                "give each of them one, or words for the model with missing="
            )

    @property
    def message(self) -> Message:
        """The answer that called the tools."""
        return self._message

    @property
    def errors(self) -> frozenset[str]:
        """Ids of the calls that failed; their values tell the model why."""
        return self._errors

    def __getitem__(self, id: str) -> Any:  # noqa: ANN401 - whatever the tool gave back
        return self._values[self._ids.get(id, id)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        # The values may be private.
        return f"<ToolResults of {len(self._values)} calls, {len(self._errors)} failed>"

    # -- back to the provider ------------------------------------------------

    def turns(
        self, format: str | None = None, *, drop: Drop = _DROPPED_BY_DEFAULT, dialect: str | None = None
    ) -> list[JsonObject]:
        """Return the turns that the next request adds: the assistant's turn, and the turns with the results.

        If no part of the answer can be sent, for example because it is a single broken call,
        there is no assistant's turn. For an empty answer there are no turns at all.

        Args:
            format: The name of the request's format; None for the format of the answer. Mistral
                answers in the format of OpenAI Chat: pass "mistral" for its requests.
            drop: The kinds of parts to leave out of the assistant's turn; "all" leaves out every
                part that the format cannot express. By default: incomplete parts and broken calls.
            dialect: The dialect, such as "hermes", in which to write the calls and their results into
                texts, for a server that accepts none; None for calls of the API.

        Raises:
            MisuseError: Requests in that format have no turns, or calls cannot be written in that dialect.
            NotExpressible: The format cannot express a part of the answer that `drop` does not name.

        Example:
            >>> from tokenstream.message import Message, ToolCall
            >>> call = ToolCall(id="c1", name="get_time", arguments_text="{}", complete=True)
            >>> results = ToolResults(Message(parts=(call,), format="openai-chat"), {"c1": "noon"})
            >>> [turn["role"] for turn in results.turns()]
            ['assistant', 'tool']
        """
        name = self._message.format if format is None else format
        # The name of the method that makes the turns in this format: `Message` and this class both have it.
        method = turn_method(name)
        if method is None:
            names = ", ".join(formats_with_turns())
            raise MisuseError(f"a request in the format {name!r} has no turns; name one that has: {names}")
        message = self._message
        if dialect is not None:
            message, drop = put_calls_in_text(message, dialect, drop)
        try:
            turn: Any = getattr(message, method)(drop=drop)
        except NotExpressible as error:
            if error.kinds:
                raise
            # The error names no kind of part: nothing of the answer is left to send, so there is no
            # assistant's turn.
            turn = []
        result_turns: list[JsonObject] = (
            getattr(self, method)() if dialect is None else self._write_in_text(method, dialect)
        )
        return [*(turn if isinstance(turn, list) else [turn]), *result_turns]

    def to_openai_chat(self, *, dialect: str | None = None) -> list[JsonObject]:
        """Return the turns that answer the calls, to follow the assistant's turn in `messages`.

        Args:
            dialect: The dialect in which the assistant's turn has the calls in its text, and a user's turn
                then the results; None for results of the API.

        Example:
            >>> [*history, message.to_openai_chat(), *results.to_openai_chat()]  # doctest: +SKIP
        """
        if dialect is not None:
            return self._write_in_text("to_openai_chat", dialect)

        def write_result(result: _Result) -> JsonObject:
            if "function_call" in result.turn:
                # The call was made in the legacy form, which has no ids.
                return {"role": "function", "name": result.call.name, "content": result.text}
            return {"role": "tool", "tool_call_id": result.call.id, "content": result.text}

        return self._answer_calls("to_openai_chat", write_result)

    def to_openai_responses(self) -> list[JsonObject]:
        """Return the items that answer the calls, to follow the assistant's items in `input`.

        Only functions and custom tools return a plain value. Any other tool, such as a computer,
        must return the whole item that answers its call, as a dict.

        Raises:
            MisuseError: A tool of another type returned something other than a dict.
        """

        def write_result(result: _Result) -> JsonObject:
            """Return the input item with a call's result; its type depends on that of the call's item."""
            # The turn consists of one item, the call's.
            call_type = result.turn[0]["type"]
            output_type = _OUTPUT_TYPES.get(call_type)
            if output_type is not None:
                return {"type": output_type, "call_id": result.call.id, "output": result.text}
            if not is_dict(result.value):
                raise MisuseError(
                    f"the call {result.call.id!r} is a {call_type!r}: "
                    "its tool must return the item that answers it, as a dict"
                )
            return {_ID_KEYS.get(call_type, "call_id"): result.call.id, **result.value}

        return self._answer_calls("to_openai_responses", write_result)

    def to_anthropic(self) -> list[JsonObject]:
        """Return the turn that answers the calls, to follow the assistant's turn in `messages`.

        The list has one turn, or none if there are no results.
        """

        def write_result(result: _Result) -> JsonObject:
            failed = {"is_error": True} if result.failed else {}
            return {"type": "tool_result", "tool_use_id": result.call.id, "content": result.text, **failed}

        return self._answer_in_one("to_anthropic", write_result, type="text")

    def to_gemini(self) -> list[JsonObject]:
        """Return the turn that answers the calls, to follow the model's turn in `contents`.

        The list has one turn, or none if there are no results.
        """

        def write_result(result: _Result) -> JsonObject:
            # The result gets an id only if the server has sent the call with an id.
            sent_call = result.turn["parts"][0]["functionCall"]
            id = {"id": sent_call["id"]} if "id" in sent_call else {}
            response = {"error": result.text} if result.failed else {"output": _to_plain(result)}
            return {"functionResponse": {**id, "name": result.call.name, "response": response}}

        return self._answer_in_one("to_gemini", write_result, "parts")

    def to_bedrock(self) -> list[JsonObject]:
        """Return the turn that answers the calls, to follow the assistant's turn in Converse's `messages`.

        The list has one turn, or none if there are no results.
        """

        def write_result(result: _Result) -> JsonObject:
            # The API refuses a block that is only white space.
            content = [{"text": result.text}] if result.text.strip() else []
            failed = {"status": "error"} if result.failed else {}
            return {"toolResult": {"toolUseId": result.call.id, "content": content, **failed}}

        return self._answer_in_one("to_bedrock", write_result)

    def to_ollama(self) -> list[JsonObject]:
        """Return the turns that answer the calls, to follow the assistant's turn in Ollama's `messages`."""

        def write_result(result: _Result) -> JsonObject:
            # The result gets an id only if the call is sent with an id.
            sent_call = result.turn["tool_calls"][0]
            id = {"tool_call_id": sent_call["id"]} if "id" in sent_call else {}
            return {"role": "tool", "tool_name": result.call.name, **id, "content": result.text}

        return self._answer_calls("to_ollama", write_result)

    def to_cohere(self) -> list[JsonObject]:
        """Return the turns that answer the calls, to follow the assistant's turn in Cohere's `messages`."""
        return self._answer_calls(
            "to_cohere",
            lambda result: {"role": "tool", "tool_call_id": result.call.id, "content": result.text},
        )

    def to_mistral(self) -> list[JsonObject]:
        """Return the turns that answer the calls, to follow the assistant's turn in Mistral's `messages`."""

        def write_result(result: _Result) -> JsonObject:
            call = result.call
            return {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result.text}

        turns = self._answer_calls("to_mistral", write_result)
        while len(turns) > 1 and turns[-1]["role"] == "user":
            # The API refuses a user's turn after a tool's turn, and several user's turns in a row. The
            # sentence is therefore added to the turn before it.
            sentence = turns.pop()["content"]
            turns[-1]["content"] += f"\n\n{sentence}"
        return turns

    # -- within ------------------------------------------------------------

    def _write_in_text(self, method: str, dialect: str) -> list[JsonObject]:
        """Return a user's turn with the results in a dialect, and about calls that it cannot express."""
        markup = find_markup(dialect)
        self._check_answered()
        text = write_in_text(self, markup)
        return [write_user_turn(text, method)] if text else []

    def _answer_in_one(
        self, method: str, write_result: _WriteResult, key: str = "content", **of_text: str
    ) -> list[JsonObject]:
        """Return a user's turn that has the pieces of all results under a key, or no turn without results.

        For a call that the API cannot express, a piece with text states the result.
        """
        pieces = self._answer_calls(method, write_result, lambda text: {**of_text, "text": text})
        return [{"role": "user", key: pieces}] if pieces else []

    def _answer_calls(
        self,
        method: str,
        write_result: _WriteResult,
        make_user_turn: _MakeUserTurn = lambda text: {"role": "user", "content": text},
    ) -> list[JsonObject]:
        """Return the results of calls in the assistant's turn, then messages on calls an API refuses."""
        self._check_answered()
        results = [
            _Result(
                call, _turn_of(self._message, call, method), self._values[call.id], call.id in self._errors
            )
            for call in self._message.tool_calls
            if call.id in self._values
        ]
        # For a call that the API cannot express, there is no turn.
        return [write_result(result) for result in results if result.turn] + [
            make_user_turn(result.sentence) for result in results if not result.turn
        ]


def write_in_text(results: ToolResults, markup: CallMarkup | None) -> str:
    """Return the text of a user's turn with results, in words if there is no markup; "" for no results."""
    each = [
        _Result(call, markup and markup.write_call(call), results[call.id], call.id in results.errors)
        for call in results.message.tool_calls
        if call.id in results
    ]
    written = [result.text for result in each if result.turn]
    texts = [write_results(written)] if written else []
    return "\n\n".join([*texts, *[result.sentence for result in each if not result.turn]])


def keep_results(results: ToolResults, calls: Iterable[ToolCall]) -> ToolResults:
    """Return the results of some of an answer's calls, of which some may be missing."""
    message = results.message.model_copy(update={"parts": tuple(calls)})
    values = {call.id: results[call.id] for call in message.tool_calls if call.id in results}
    return ToolResults.so_far(message, values, results.errors & values.keys())


def _turn_of(message: Message, call: ToolCall, method: str) -> object:
    """Return an assistant's turn that has a single call; None if the API cannot express the call."""
    try:
        # "all" leaves out what the API cannot express; if that is the call, the turn would be empty, which is
        # an error.
        return getattr(message.model_copy(update={"parts": (call,)}), method)(drop="all")
    except NotExpressible:
        return None


def _dump_json(call: ToolCall, value: object, nan: Literal["constants", "strings"] = "constants") -> str:
    """Return a tool's return value as JSON, with NaN and infinities as Python's constants or as strings."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value, inf_nan_mode=nan).decode()
    except (PydanticSerializationError, ValueError) as error:
        raise MisuseError(
            f"the result of the tool {call.name!r} for {call.id!r} cannot be written as JSON: "
            f"it is, or is part of, a {type(value).__name__}; "
            "return a str, or a value that pydantic can write"
        ) from error


def _to_plain(result: _Result) -> Json:
    """Return a result as plain JSON data; NaN and infinities become strings."""
    from pydantic_core import from_json

    return from_json(_dump_json(result.call, result.value, "strings"))
