"""Checks the arguments of tool calls against the application's tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode, is_one_value, says_no_arguments
from tokenstream._basics.request_facts import meant_name
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._basics.words import words_for_model
from tokenstream._values.parts import set_repairs
from tokenstream.errors import InvalidJSON, LimitExceeded, OutputInvalid, ProtocolError
from tokenstream.formats._kit.values import split_names
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.partial_json._repairs import Lenient, Repair, check_lenient
from tokenstream.stages._text import SoundStage
from tokenstream.stages._tools.call import CallDraft, CallPartials, CheckedCall, make_async_error
from tokenstream.stages._tools.kinds import TypeTool, gather

if TYPE_CHECKING:
    from tokenstream.message import ToolCall

__all__ = ["CallDraft", "ValidatedCalls"]

_MOST_LAYERS = 8
"""The number of times that arguments are unwrapped, since each string may hold another one."""
_CONTAINER_ERRORS = split_names(
    "dataclass_type dict_type frozen_set_type iterable_type list_type mapping_type "
    "model_attributes_type model_type named_tuple_type set_type tuple_type typed_dict_type"
)
"""The types of pydantic's errors for a value that is not the object or list that the schema wants."""


def unwrap(
    text: str, error: OutputInvalid, read: Callable[[str], object]
) -> tuple[object, str, list[Repair]] | None:
    """Read arguments in which a string holds the JSON of an object or list that the schema wants; else None.

    A string that the schema accepts stays a string.
    """
    try:
        value: object = decode(text)
    except ProtocolError:
        return None
    repairs: list[Repair] = []
    position = 0
    for _ in range(_MOST_LAYERS):
        unwrapped, strings = _unwrap_once(value, error)
        if not strings:
            return None
        for each in strings:
            # Each place is looked for after the one before it, and none once one was not found.
            position = text.find(json.dumps(each), position) if position >= 0 else position
            repairs.append(Repair("json_in_string", max(position, 0)))
        value, mended = unwrapped, json.dumps(unwrapped, ensure_ascii=False)
        try:
            return read(mended), mended, repairs
        except OutputInvalid as refused:
            error = refused
    return None


def _unwrap_once(value: object, error: OutputInvalid) -> tuple[object, list[str]]:
    """Return arguments with one layer of strings decoded, and the strings."""
    if isinstance(value, str):
        inner = _decode_inner(value)
        return (value, []) if inner is None else (inner, [value])
    strings: list[str] = []
    for fault in error.errors or ():
        if fault.get("type") in _CONTAINER_ERRORS:
            strings += _unwrap_at(value, fault.get("loc", ()))
    return value, strings


def _unwrap_at(value: object, path: Iterable[object]) -> list[str]:
    """Decode the string at a path of the arguments, in place; return it in a list, or an empty list."""
    for key in path:
        is_there = (is_dict(value) and key in value) or (
            is_list(value) and isinstance(key, int) and 0 <= key < len(value)
        )
        if not is_there:
            return []
        holder: Any = value
        value = holder[key]
        if isinstance(value, str):
            inner = _decode_inner(value)
            if inner is None:
                return []
            holder[key] = inner
            return [value]
    return []


def _decode_inner(text: str) -> object:
    """Return the object, the list or the text in a text, which may hold one of them in turn; else None."""
    try:
        inner: object = decode(text)
    except ProtocolError:
        return None
    return inner if is_dict(inner) or is_list(inner) or isinstance(inner, str) else None


class ValidatedCalls(SoundStage):
    """Checks the arguments of tool calls; a stage that turns finished calls into calls that can be run.

    A call that cannot be run is returned, too: it has an `error`, and `error_for_model`
    is a message with which the model can correct it.

    Args:
        tools: Types (pydantic models, dataclasses, TypedDicts) or functions,
            which the model calls by their own names; or a `tokenstream.Tools` that contains them.
        lenient: True to read arguments that are almost JSON; for all tools, or by tool name.
            `feed` refuses arguments without an end, as with "closed".
        named: Tools by the name that the model uses; required for a `TypeAdapter` or a
            callable object.

    Example:
        >>> def get_weather(city: str, days: int = 1) -> str:
        ...     return f"sun in {city} for {days} days"
        >>> tools = ValidatedCalls(get_weather)
        >>> from tokenstream.message import ToolCall
        >>> text = '{"city": "Oslo", "days": 3}'
        >>> [call] = tools.feed(ToolCall(name="get_weather", arguments_text=text, complete=True))
        >>> call.arguments, call.run()
        ({'city': 'Oslo', 'days': 3}, 'sun in Oslo for 3 days')
        >>> [call] = tools.feed(ToolCall(name="get_weather", arguments_text="{}", complete=True))
        >>> print(call.error_for_model)
        The arguments of get_weather are not valid:
        - city: is missing
        Call get_weather again with all of its arguments, corrected.
    """

    def __init__(
        self, /, *tools: object, lenient: Lenient | Mapping[str, Lenient] = False, **named: object
    ) -> None:
        lenient_by_name = lenient if isinstance(lenient, Mapping) else None
        lenient_for_all = check_lenient(lenient) if lenient_by_name is None else False
        self._tools = gather(tools, named)
        self._lenient: Mapping[str, Lenient] = lenient_by_name or dict.fromkeys(self._tools, lenient_for_all)
        """The leniency with which arguments that are not JSON are read, by tool."""
        self._may_await = True
        """False for a stream that cannot await the results of tools."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which the model calls the tools."""
        return tuple(self._tools)

    def refuse_async(self) -> None:
        """Refuse asynchronous functions, for a stream that cannot await their results.

        Raises:
            MisuseError: A tool is an `async def`.
        """
        for tool in self._tools.values():
            if not isinstance(tool, TypeTool) and tool.is_async:
                raise make_async_error(tool.name)
        self._may_await = False

    def drafting(self, call: ToolCall) -> CallPartials:
        """Return a stage that reads the arguments of a call as they arrive.

        Args:
            call: The call so far.
        """
        call = self._meant(call)
        lenient: Lenient = self._lenient.get(call.name, False)
        return CallPartials(self._tools.get(call.name), is_free_text=call.type == "custom", lenient=lenient)

    def lacks_end(self, call: ToolCall) -> bool:
        """Return True if lenient reading would accept a call's arguments only by adding an end to them.

        The answer may have been cut off within such arguments.

        Args:
            call: A finished call.
        """
        lenient: Lenient = self._lenient.get(self._meant(call).name, False)
        # Strict and "closed" reading never add an end; a complete call and free text ("custom") need none.
        if lenient is not True or call.complete or call.type == "custom":
            return False
        text = call.arguments_text
        # "closed" allows every repair except the addition of an end.
        return bool(text.strip()) and _repair(text, "closed") is None and _repair(text, lenient) is not None

    def settle(self, call: ToolCall) -> list[ToolCall]:
        """Check a call that is not `complete`, once it is known that the answer was not cut off in it.

        Lenient reading adds an end that its arguments lack. A call of which nothing else is wrong has ended
        badly, and cannot be run: its markup, or its server, has other text in place of its end. The result is
        the call with its arguments checked, in a list.

        Args:
            call: A finished call.
        """
        call = self._meant(call)
        # Unlike `feed`, this accepts arguments to which an end has to be added.
        checked = self._check_call(call, self._lenient.get(call.name, False))
        is_known = call.name in self._tools
        return checked or [self._refuse_unended(call) if is_known else self._refuse_unknown(call)]

    def feed(self, call: ToolCall, *, now: float = 0.0) -> list[ToolCall]:
        """Return the call with its arguments checked.

        Args:
            call: A finished call. If it is not `complete` although its arguments are JSON, or are
                empty, the answer was cut off, and nothing is returned.
            now: Unused; every stage has this parameter.
        """
        return self._check_call(call, "closed" if self._lenient.get(call.name, False) else False)

    def end(self, *, now: float = 0.0) -> list[ToolCall]:
        """Return an empty list: this stage holds nothing back."""
        return []

    def describe(self, name: str, text: str) -> str | None:
        """Return the arguments of a call in a form that all equal arguments have in common.

        It is None for a call of no tool, and for arguments without such a form.

        Args:
            name: The tool's name.
            text: The arguments as JSON.
        """
        tool = self._tools.get(name)
        return None if tool is None else tool.describe_call(text)

    # -- within ------------------------------------------------------------

    def _meant(self, call: ToolCall) -> ToolCall:
        """Return a call by the name of its tool, before which a model may have written a namespace."""
        name = call.name if call.name in self._tools else meant_name(call.name, self._tools) or call.name
        if name == call.name:
            return call
        renamed = call.model_copy(update={"name": name})
        set_repairs(renamed, (*call.repairs, Repair("tool_name", 0)))
        return renamed

    def _check_call(self, call: ToolCall, lenient: Lenient) -> list[ToolCall]:
        """Return a call with its arguments checked, or with an error; nothing if the answer was cut off."""
        call = self._meant(call)
        text = call.arguments_text
        repairs: tuple[Repair, ...] = ()
        is_free_text = call.type == "custom"
        if not call.complete and (is_free_text or _find_fault(text) is None):
            # Nothing is wrong with the arguments except that the call did not end.
            return []
        tool = self._tools.get(call.name)
        if tool is None:
            return [self._refuse_unknown(call)]
        # The arguments of a complete call are JSON already, or free text.
        repaired = _repair(text, lenient) if lenient and not call.complete else None
        if repaired is not None:
            text, repairs = repaired
            call = call.model_copy(update={"complete": True})
        elif is_free_text:
            text = tool.as_json(text)
        elif says_no_arguments(text):
            text = "{}"
        try:
            arguments = tool.read(text)
        except OutputInvalid as error:
            # Lenient reading also looks into strings that hold JSON, but "closed" does not.
            unwrapped = unwrap(text, error, tool.read) if self._lenient.get(call.name) is True else None
            if unwrapped is None:
                return [self._refuse_invalid(call, _find_fault(text) or error, text, repairs)]
            arguments, text, more_repairs = unwrapped
            repairs = (*repairs, *more_repairs)
        return [
            CheckedCall.of(call, self.describe, repairs).accept(arguments, tool, may_await=self._may_await)
        ]

    def _refuse_invalid(
        self, call: ToolCall, error: OutputInvalid, text: str, repairs: tuple[Repair, ...]
    ) -> ToolCall:
        """Return a call with the error for arguments that are not JSON, or do not fit the tool."""
        offset = error.offset if isinstance(error, InvalidJSON) else None
        if offset is not None:
            reported: OutputInvalid = InvalidJSON(
                f"the arguments of tool call {call.id!r} are not JSON from character {offset:,} on; "
                "see .arguments_text, and answer the model with .error_for_model",
                text=call.arguments_text,
                offset=offset,
            )
        else:
            reported = OutputInvalid(
                f"the arguments of tool call {call.id!r} are not what its tool declares; see .errors "
                "for what is wrong, and answer the model with .error_for_model",
                text=call.arguments_text,
                offset=error.offset,
                errors=error.errors,
            )
        return CheckedCall.of(call, self.describe, repairs).refuse(
            reported, words_for_model(call.name, text, offset, reported.errors)
        )

    def _refuse_unended(self, call: ToolCall) -> ToolCall:
        """Return a call with the error for one that has ended badly, although its arguments may be JSON."""
        error = OutputInvalid(
            f"tool call {call.id!r} has ended with other text than its end, or without its arguments; see "
            ".arguments_text, and answer the model with .error_for_model",
            text=call.arguments_text,
        )
        words = f"The call of {call.name} is not whole. Call {call.name} again, and write nothing else in it."
        return CheckedCall.of(call, self.describe).refuse(error, words)

    def _refuse_unknown(self, call: ToolCall) -> ToolCall:
        names = ", ".join(self._tools)
        error = OutputInvalid(
            f"tool call {call.id!r} names an unknown tool; the tools are {names}; see .name, and "
            "answer the model with .error_for_model",
            text=call.arguments_text,
        )
        words = f"There is no tool of that name. The tools are: {names}. Call one of these."
        return CheckedCall.of(call, self.describe).refuse(error, words)


def _repair(text: str, lenient: Lenient) -> tuple[str, tuple[Repair, ...]] | None:
    """Repair almost-JSON; return the JSON and the repairs, or None if the text cannot be read."""
    from tokenstream.partial_json._parser import mend

    try:
        return mend(text, lenient, max_depth=DEFAULT_LIMITS.depth)
    except (InvalidJSON, LimitExceeded):
        return None


def _find_fault(text: str) -> OutputInvalid | None:
    """Return the reason why arguments are not JSON; None if they are JSON, or empty."""
    if not text.strip() or is_one_value(text):
        return None
    from tokenstream.partial_json._parser import find_fault

    fault = find_fault(text, max_depth=DEFAULT_LIMITS.depth)
    if isinstance(fault, InvalidJSON):
        return fault
    limit_error = {"type": "limit", "loc": (), "msg": "is nested too deeply, or holds too long a number"}
    return OutputInvalid("the arguments outgrow what can be read", text=text, errors=[limit_error])
