"""Tool calls, which arrive whole in one part, or value by value in many parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_dict, text_of
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.parts import OpenCall, Parts
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.gemini.arguments import StreamedArguments, steps_of
from tokenstream.formats._wire.gemini.sources import Sources

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenChoice

_CALL_FIELDS = ("name", "id", "args", "partialArgs", "willContinue")
_MISSING = object()


class Candidate:
    """State of a choice that `OpenChoice` has no field for."""

    __slots__ = ("arguments", "call", "sources")

    def __init__(self) -> None:
        self.call: OpenCall | None = None
        """The call whose arguments are still arriving."""
        self.arguments = StreamedArguments()
        """The arguments of this call."""
        self.sources = Sources()


class CallParts(Parts):
    """Parts where one call of each candidate may extend over many payloads."""

    __slots__ = ()

    def candidate(self, choice: OpenChoice) -> Candidate:
        """Return the `Candidate` of a choice, which is created on first use."""
        if choice.reader is None:
            choice.reader = Candidate()
        found: Candidate = choice.reader
        return found

    def add_call(self, choice: int, value: object, more: dict[str, Any]) -> bool:
        """Read a call or a piece of a call; return whether the value could be read.

        Args:
            choice: The choice's index.
            value: The value of the field `functionCall`.
            more: The other fields of the part that has this field.
        """
        if not is_dict(value):
            return False
        state = self.choice(choice)
        candidate = self.candidate(state)
        call = self._call_of(candidate, value)
        if call is None:
            if not text_of(value, "name"):
                return self._read_nameless(value)
            call = self._start(state, candidate, value, more)
        elif more:
            call.provider_data = {
                **(call.provider_data or {}),
                **(mend_surrogates(more) if self.may_hold_surrogates else more),
            }
        if value.get("willContinue") is True:
            self._add_values(choice, candidate, call, value)
            candidate.call = call
        else:
            if candidate.call is None and "partialArgs" not in value:
                self._add_whole(call, value.get("args"))
            else:
                self._add_values(choice, candidate, call, value)
                self.add_arguments(call, candidate.arguments.end())
            candidate.call = None
            self.close_call(call)
        return True

    def _call_of(self, candidate: Candidate, value: dict[str, Any]) -> OpenCall | None:
        """Return the open call that a piece continues; None if it begins a call, or no call is open."""
        call, name = candidate.call, text_of(value, "name")
        if call is None or name is None:
            return call
        known_id = (call.provider_data or {}).get("id")
        # Without ids, a piece with the open call's name may also begin another call of the same tool. It
        # continues the open call if it has partial values, or neither arguments nor a continuation.
        goes_on = "partialArgs" in value or not ("args" in value or value.get("willContinue"))
        if name == call.name and text_of(value, "id") == known_id and (known_id or goes_on):
            self.note("call_repeated")
            return call
        self.end_call(candidate)
        return None

    def _read_nameless(self, value: dict[str, Any]) -> bool:
        """Count a departure for a call without a name that continues no call; return whether it is empty."""
        if fields_except(value, "willContinue") is None:
            self.note("part_end_unmatched")
            return True
        self.note("call_nameless")
        return False

    def _start(
        self, state: OpenChoice, candidate: Candidate, value: dict[str, Any], more: dict[str, Any]
    ) -> OpenCall:
        """Open a call; all its data except the arguments are in its first piece."""
        candidate.arguments = StreamedArguments()
        sent, rest = text_of(value, "id"), fields_except(value, *_CALL_FIELDS)
        # A missing id is no departure, since the API may omit it; a sent id is stored in the data, too.
        data = {**({"id": sent} if sent else {}), **more, **({"functionCall": rest} if rest else {})}
        made_up = sent or self.new_id(state.index)
        name = text_of(value, "name") or ""
        return self.open_call(state.index, made_up, name, provider_data=data or None)

    def _add_whole(self, call: OpenCall, arguments: object) -> None:
        """Add the arguments of a call that arrived in one piece."""
        if isinstance(arguments, str):
            self.note("arguments_unparsed")
            self.add_arguments(call, arguments)
        else:
            self.add_arguments(call, json_text({} if arguments is None else arguments))

    def _add_values(self, choice: int, candidate: Candidate, call: OpenCall, value: dict[str, Any]) -> None:
        """Add the arguments in a piece of a call: values with paths, or whole members."""
        arguments = candidate.arguments
        reordered = arguments.reordered
        fragments: list[str] = []
        if not is_dict(value.get("args", {})):
            arguments.broken = True
        for name, member in dict_of(value, "args").items():
            fragments.append(arguments.put(name, member))
        for argument in dicts_of(value.get("partialArgs")):
            steps, found = steps_of(argument.get("jsonPath")), _value_of(argument)
            if steps is None:
                arguments.broken = True
            elif found is not _MISSING:
                fragments.append(arguments.add(steps, found, more=argument.get("willContinue") is True))
            elif fields_except(argument, "jsonPath", "willContinue") is not None:
                # Without this value, the call would differ from what the model wrote.
                arguments.broken = True
                self._report_misfit(choice, argument)
            elif not arguments.stop(steps):
                self._report_misfit(choice, argument)
        if arguments.reordered and not reordered:
            self.note("arguments_reordered")
        self.add_arguments(call, "".join(fragments))

    def _report_misfit(self, choice: int, argument: dict[str, Any]) -> None:
        self.note("delta_misfits")
        self.items("partialArgs", [argument], choice)

    def end_call(self, candidate: Candidate, *, stopped: bool = True) -> None:
        """Close the open call, if any, since no more pieces of it can arrive.

        Args:
            candidate: The candidate with the call.
            stopped: True if the model went on or stopped by itself; otherwise the call was cut off.
        """
        call, candidate.call = candidate.call, None
        if call is None:
            return
        if stopped:
            self.note("part_unclosed")
            self.add_arguments(call, candidate.arguments.end())
        self.close_call(call, whole=stopped and not candidate.arguments.goes_on)


def _value_of(argument: dict[str, Any]) -> object:
    """Return the value of a partial argument; `_MISSING` if the argument has no readable value."""
    text, number = argument.get("stringValue"), argument.get("numberValue")
    if isinstance(text, str):
        return text
    if isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number):
        return number
    flag = argument.get("boolValue")
    if isinstance(flag, bool):
        return flag
    return None if "nullValue" in argument else _MISSING
