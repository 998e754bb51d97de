"""Assign fragments to tool calls, and detect the ends of calls.

The format does not mark the end of a call, and servers differ in how a fragment names its
call: by id, by index, by its place in the list, or not at all, which means the last call.
A call ends when another call begins, or with the choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, index_of, is_dict, says_nothing
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.open import mend_surrogates
from tokenstream.formats._kit.whole import Wholeness
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts

_LEGACY = "function_call"
_ITEM_FIELDS = ("id", "index", "type")
_BODY_FIELDS = ("name", "arguments", "input")
_ABSENT = object()
_UNSAID = (None, "")
_Key = TypeVar("_Key", bound="int | str")


class _Fragment:
    """One item of `tool_calls`."""

    __slots__ = ("arguments", "extras", "id", "index", "name", "place", "type")

    def __init__(self, item: dict[str, Any], place: int | None) -> None:
        body_key, body = _body_of(item)
        self.id = _id_of(item.get("id"))
        index = index_of(item.get("index"))
        self.index: int | str | None = index if isinstance(index, int | str) else None
        name = body.get("name")
        self.name: str = name if isinstance(name, str) and not name.isspace() else ""
        kind = item.get("type")
        self.type: str = kind if isinstance(kind, str) and kind else body_key or "function"
        self.arguments: object = body.get("input" if "input" in body else "arguments", _ABSENT)
        self.extras = fields_except(
            item, *_ITEM_FIELDS, body_key or "", *(_BODY_FIELDS if body is item else ())
        )
        if body is not item and len(body) > len(_BODY_FIELDS) - 1:
            self.extras = {**(self.extras or {}), **(fields_except(body, *_BODY_FIELDS) or {})} or None
        self.place = place

    @property
    def opens_value(self) -> bool:
        """True if the arguments look like the start of a JSON object or array."""
        arguments = self.arguments
        if isinstance(arguments, str):
            return arguments.lstrip()[:1] in ("{", "[")
        return isinstance(arguments, dict | list)


class _ChatCall:
    """A call with at least one fragment; it opens once it has a name."""

    __slots__ = (
        "fields",
        "held",
        "id",
        "index",
        "looked_at",
        "name",
        "nameless",
        "open",
        "seen_in",
        "type",
        "wholeness",
    )

    def __init__(self, fragment: _Fragment) -> None:
        self.id = fragment.id
        self.index: int | str | None = None
        self.name = ""
        self.nameless = False
        """True if a later fragment had no name: then a fragment that has a name again is a start."""
        self.type = fragment.type
        self.open: OpenCall | None = None
        self.held: list[object] = []
        """Arguments held back until the name arrives."""
        self.fields: dict[str, Any] = {}
        """Fields that only this provider has."""
        self.wholeness = Wholeness()
        self.looked_at = 0
        """Number of characters of the argument text that `wholeness` has read."""
        self.seen_in = -1
        """Number of the last list (`tool_calls` of a delta) that contained this call."""

    def since(self, start: int) -> str:
        """Return the argument text from position `start` on."""
        call = self.open
        if call is None:
            return ""
        return call.arguments.since(start) if call.has_arguments else call.placeholder[start:]

    @property
    def whole(self) -> bool:
        """True if the arguments are one whole JSON object or array, or free text."""
        call = self.open
        if call is None:
            return False
        if call.closed:
            return True
        if call.type == "custom":
            return call.has_arguments
        if call.placeholder:
            return True
        self.wholeness.add(call.arguments.since(self.looked_at))
        self.looked_at = call.arguments.length
        return self.wholeness.whole


class ChatCalls:
    """The tool calls of one choice.

    Args:
        parts: Makes the events.
        choice: The choice's index.
    """

    def __init__(self, parts: Parts, choice: int) -> None:
        self._parts = parts
        self._choice = choice
        self._by_id: dict[str, _ChatCall] = {}
        self._by_index: dict[int | str, _ChatCall] = {}
        self._by_place: dict[int, _ChatCall] = {}
        self._unnamed: list[_ChatCall] = []
        self._last: _ChatCall | None = None
        self._heard_of = 0
        self._lists = 0
        self._said: list[tuple[_ChatCall | None, str]] = []
        """The calls of a message that is repeated as it grows, each with its longest argument text so far.

        None replaces a call that was released (see `release`); if its name arrives, the call begins again.
        """
        self._echoed: tuple[_ChatCall, int] | None = None
        """The call that a `function_call` repeats, and the number of argument characters repeated so far."""

    def read(self, items: object) -> None:
        """Read the `tool_calls` of a delta."""
        self._lists += 1
        found = dicts_of(items)
        for place, item in enumerate(found):
            self._take(_Fragment(item, place if len(found) > 1 else None))

    def read_legacy(self, body: dict[str, Any]) -> None:
        """Read the `function_call` of a delta, the older form of `tool_calls`."""
        self._lists += 1
        fragment = _Fragment({"index": _LEGACY, "type": _LEGACY, "function": body}, None)
        if _LEGACY not in self._by_index and self._is_repetition(fragment):
            self._parts.note("call_twice")
        else:
            self._take(fragment)

    def _is_repetition(self, fragment: _Fragment) -> bool:
        """Return whether a `function_call` repeats the `tool_calls` of earlier deltas.

        If the `function_call` differs later, it is another call: the text that was taken
        for a repetition is then put back in front of the fragment.
        """
        text = "" if fragment.arguments in (_ABSENT, None) else fragment.arguments
        if not isinstance(text, str):
            return False
        if self._echoed is not None and fragment.name in ("", self._echoed[0].name):
            call, given = self._echoed
            rest = call.since(given)
            if rest.startswith(text):
                self._echoed = (call, given + len(text))
                return True
            if rest or not call.whole:
                fragment.name, fragment.arguments = call.name, call.since(0)[:given] + text
                return False
        for call in (*self._by_index.values(), *self._by_id.values()):
            if call.name and call.name == fragment.name and call.since(0).startswith(text):
                self._echoed = (call, len(text))
                return True
        return False

    def read_whole(self, items: object) -> None:
        """Read the `tool_calls` of a message that is repeated as it grows."""
        for place, item in enumerate(dicts_of(items)):
            fragment = _Fragment(item, None)
            call, given = self._said[place] if place < len(self._said) else (None, "")
            if call is None:
                self._lists += 1
                call = self._new(fragment)
                self._said[place : place + 1] = [(call, given)]
            text = fragment.arguments
            if isinstance(text, str):
                if text.startswith(given):
                    self._said[place] = (call, text)
                elif text:
                    self._parts.note("text_rewritten")
                fragment.arguments = text[len(given) :] if text.startswith(given) else ""
            elif call.open is not None:
                continue
            self._fill(call, fragment)

    def release(self) -> None:
        """Report calls without a name as opaque parts: nobody can run them, but their data are not lost."""
        if not self._unnamed:
            return
        unnamed, self._unnamed = self._unnamed, []
        gone = set(unnamed)
        self._by_id = _without(self._by_id, gone)
        self._by_index = _without(self._by_index, gone)
        self._by_place = _without(self._by_place, gone)
        self._said = [(None, "") if call in gone else (call, given) for call, given in self._said]
        if self._last in gone:
            self._last = None
        for call in unnamed:
            if all(isinstance(piece, str) for piece in call.held):
                arguments: object = "".join(map(str, call.held))
            else:
                arguments = call.held
            data = {"id": call.id, "type": call.type, "arguments": arguments, **call.fields}
            # The data are from earlier payloads, which may have contained halves of surrogate pairs.
            self._parts.whole(
                self._choice, OpaquePart(type="tool_call", data=mend_surrogates(fields_except(data) or {}))
            )

    # -- assigning fragments -----------------------------------------------

    def _take(self, fragment: _Fragment) -> None:
        call = self._find(fragment)
        if call is None:
            call = self._new(fragment)
        elif fragment.id or (fragment.name and call.name):
            self._parts.note("call_repeated")
        self._fill(call, fragment)

    def _find(self, fragment: _Fragment) -> _ChatCall | None:
        """Return the call that a fragment belongs to; None if the fragment begins a new call."""
        if fragment.id is not None:
            return self._find_by_id(fragment, fragment.id)
        if fragment.index is not None:
            return self._unless_new(self._by_index.get(fragment.index), fragment, "call_index_reused")
        self._parts.note("call_index_missing")
        if fragment.name:
            return self._find_continued(fragment)
        if fragment.place is not None:
            return self._by_place.get(fragment.place, self._last)
        return self._last

    def _find_by_id(self, fragment: _Fragment, id: str) -> _ChatCall | None:
        """Return the call that a fragment with an id continues; None if the fragment begins a call."""
        other = self._last if fragment.index is None else self._by_index.get(fragment.index)
        # The same id with two indexes means two calls.
        call = other if other is not None and other.id == id else self._by_id.get(id)
        if call is not None:
            return None if self._starts_anew(call, fragment) else call
        if fragment.index is None:
            self._parts.note("call_index_missing")
        if other is None:
            return None
        # The id of a call may arrive late: the fragment continues a call that has no id yet.
        same_name = not other.name or fragment.name in ("", other.name)
        if other.id is None and same_name and not other.whole:
            return other
        # Some servers make up an id for each fragment; a fragment without a name cannot begin a call.
        if fragment.index is not None and not fragment.name and other.open is not None and not other.whole:
            self._parts.note("call_repeated")
            return other
        if fragment.index is not None:
            self._parts.note("call_index_reused")
        return None

    def _unless_new(self, call: _ChatCall | None, fragment: _Fragment, rule: str) -> _ChatCall | None:
        if call is not None and self._starts_anew(call, fragment):
            self._parts.note(rule)
            return None
        return call

    def _starts_anew(self, call: _ChatCall, fragment: _Fragment) -> bool:
        """Return whether a fragment with the id or index of a known call begins another call.

        Some servers repeat the name in every fragment, and others use one index for all
        calls: the presence of a name does not tell one from the other.
        """
        if not fragment.name or not call.name:
            return False
        if fragment.index is not None and call.index not in (None, fragment.index):
            return True
        if call.seen_in == self._lists:
            return True
        if fragment.name != call.name:
            return fragment.opens_value or call.whole
        # OpenAI begins a call with a name and empty arguments, so this may be the start of another call.
        # For free text, it may also be a continuation.
        told_again = fragment.arguments == "" and fragment.id and call.nameless and call.type != "custom"
        return bool(fragment.opens_value or told_again) and call.whole

    def _find_continued(self, fragment: _Fragment) -> _ChatCall | None:
        """Return the last call if a fragment with a name, but without id and index, continues it."""
        call = self._last
        if call is None or call.seen_in == self._lists:
            return None
        if not call.name:
            return call
        begun = call.open is not None and call.open.has_arguments
        return call if fragment.name == call.name and begun and not call.whole else None

    # -- adding to a call --------------------------------------------------

    def _new(self, fragment: _Fragment) -> _ChatCall:
        """Create a call for a fragment, and hand out the last call if it is whole."""
        if self._heard_of >= self._parts.limits.tool_calls:
            raise LimitExceeded(limit="tool_calls", value=self._parts.limits.tool_calls)
        self._heard_of += 1
        call = _ChatCall(fragment)
        self._unnamed.append(call)
        self._end_previous()
        self._last = call
        return call

    def _end_previous(self) -> None:
        """Hand out the last call, because a new one begins; if its arguments are not whole, leave it open.

        Free text may always go on, so a call with free text is whole only when the choice ends.
        """
        previous = self._last
        if previous is None or previous.open is None or previous.open.type == "custom":
            return
        if previous.whole:
            self._parts.close_call(previous.open)

    def _fill(self, call: _ChatCall, fragment: _Fragment) -> None:
        """Add a fragment to a call: its id, index, place, further fields, name and arguments."""
        call.seen_in = self._lists
        if fragment.id is not None:
            call.id = call.id or fragment.id
            self._by_id[fragment.id] = call
        if fragment.index is not None:
            self._by_index[fragment.index] = call
            call.index = fragment.index
        if fragment.place is not None:
            self._by_place[fragment.place] = call
        # A call that was handed out no longer changes.
        if fragment.extras is not None and not (call.open is not None and call.open.closed):
            call.fields.update(
                mend_surrogates(fragment.extras) if self._parts.may_hold_surrogates else fragment.extras
            )
            if call.open is not None:
                call.open.provider_data = call.fields
        if call.open is None:
            self._name(call, fragment)
        elif not fragment.name:
            call.nameless = True
        self._add(call, fragment.arguments)

    def _name(self, call: _ChatCall, fragment: _Fragment) -> None:
        """Open a call once it has a name."""
        if not fragment.name:
            return
        call.name = fragment.name
        self._unnamed.remove(call)
        # The id may be from an earlier payload, which may have contained halves of surrogate pairs.
        id_sent = mend_surrogates(call.id)
        if fragment.index == _LEGACY:
            id_sent = self._parts.new_id(self._choice)
        # Copy the fields: the start event belongs to the caller, and `call.fields` will change.
        call.open = self._parts.open_call(
            self._choice,
            id_sent,
            call.name,
            type=mend_surrogates(call.type),
            provider_data={**call.fields} or None,
            number=call.index,
        )
        held, call.held = call.held, []
        for arguments in held:
            self._add(call, arguments)

    def _add(self, call: _ChatCall, arguments: object) -> None:
        """Add arguments of any form to a call; hold them back until the call has a name."""
        # Ignore empty arguments (fragments may follow an empty object), except null, which is a departure.
        if arguments is _ABSENT or (says_nothing(arguments) and arguments is not None):
            return
        if arguments is None:
            self._parts.note("arguments_null")
        elif call.open is None:
            if not call.held:
                self._parts.note("call_unnamed")
            call.held.append(arguments)
        elif call.open.closed:
            if not _is_space(arguments):
                self._parts.note("call_after_done")
        elif call.open.may_repeat and not call.open.has_arguments and _is_space(arguments):
            # White space after the repeated start of a finished call does not make it another call.
            return
        elif isinstance(arguments, str):
            self._add_text(call.open, arguments)
        else:
            self._drop_placeholder(call.open)
            self._parts.add_argument_values(call.open, arguments)

    def _add_text(self, call: OpenCall, text: str) -> None:
        """Add argument text; an empty object is held back, because it may be a placeholder."""
        # Quirk (gateways to Bedrock, 2025-12): `{}` is sent first, then the arguments; recording: none.
        if call.has_arguments or call.type == "custom":
            self._parts.add_arguments(call, text)
            return
        if text.lstrip().startswith("{"):
            self._drop_placeholder(call)
        text, call.placeholder = call.placeholder + text, ""
        if text.strip() == "{}":
            call.placeholder = text
        else:
            self._parts.add_arguments(call, text)

    def _drop_placeholder(self, call: OpenCall) -> None:
        if call.placeholder:
            call.placeholder = ""
            self._parts.note("arguments_placeholder")


def is_fragment(chunk: dict[str, Any]) -> bool:
    """Return whether a chunk contains one fragment of one call, without provider-specific fields.

    Example:
        >>> item = {"index": 0, "function": {"arguments": "{"}}
        >>> is_fragment({"choices": [{"delta": {"tool_calls": [item]}}]})
        True
    """
    found = [
        item
        for choice in dicts_of(chunk.get("choices"))
        for item in dicts_of(dict_of(choice, "delta").get("tool_calls"))
    ]
    return len(found) == 1 and _Fragment(found[0], None).extras is None


def repeats(legacy: object, items: object) -> bool:
    """Return whether a `function_call` repeats one of the `tool_calls` in the same delta.

    Args:
        legacy: The `function_call`.
        items: The `tool_calls`.

    Example:
        >>> body = {"name": "f", "arguments": "{"}
        >>> repeats(body, [{"index": 0, "function": body}]), repeats(body, None)
        (True, False)
    """
    if not is_dict(legacy) or not legacy:
        return False
    bodies = [_body_of(item)[1] for item in dicts_of(items)]
    return any(
        body.get("arguments") == legacy.get("arguments")
        and (body.get("name") == legacy.get("name") or body.get("name") in _UNSAID)
        for body in bodies
    )


def _is_space(arguments: object) -> bool:
    return isinstance(arguments, str) and arguments.isspace()


def _without(calls: dict[_Key, _ChatCall], gone: set[_ChatCall]) -> dict[_Key, _ChatCall]:
    return {key: call for key, call in calls.items() if call not in gone}


def _id_of(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    # Quirk (Mistral, 2026-11): the text "null" stands for a missing id; recording: none.
    return value if isinstance(value, str) and value.strip() and value != "null" else None


def _body_of(item: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return the object in a call that contains the name and arguments, after the key of that object."""
    for key in ("function", "custom"):
        if is_dict(item.get(key)):
            return key, dict_of(item, key)
    for key, value in item.items():
        if is_dict(value) and key not in ("arguments", "input", "extra_content"):
            return key, value
    return None, item
