"""One tool call, as far as its fragments have arrived, and one such fragment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import is_one_value, looks_whole
from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, has_text, index_of, is_dict
from tokenstream.formats._kit.repeated import Wholeness

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts

_ITEM_FIELDS = ("id", "index", "type")
BODY_FIELDS = ("name", "arguments", "input")
_BODY_NAMES = frozenset(BODY_FIELDS)
ABSENT = object()
"""Stands for the arguments of a fragment that has none."""


class Fragment:
    """One item of `tool_calls`, with its fields in one form for all servers.

    Args:
        item: The item as the server sent it.
        position: The item's position in the list; None if it is the only item.
    """

    __slots__ = ("arguments", "extras", "id", "index", "is_unread", "name", "position", "type")

    def __init__(self, item: JsonObject, position: int | None) -> None:
        # The body, mostly the object in the field `function`, has the name and the arguments.
        body_key, body = _body_of(item)
        self.id = _id_of(item.get("id"))
        index = index_of(item.get("index"))
        self.index: int | str | None = index if isinstance(index, int | str) else None
        name = body.get("name")
        self.name: str = name if isinstance(name, str) and not name.isspace() else ""
        """The tool's name; "" if the item has none."""
        kind = item.get("type")
        self.type: str = kind if isinstance(kind, str) and kind else body_key or "function"
        self.arguments: object = body.get("input" if "input" in body else "arguments", ABSENT)
        """The arguments: text, a JSON value, or `ABSENT`."""
        self.extras = fields_except(
            item, *_ITEM_FIELDS, body_key or "", *(BODY_FIELDS if body is item else ())
        )
        """Fields that only this provider has; None if there are none."""
        unread = None if self.name and body is not item else fields_except(self.extras or {}, "extra_content")
        if body is not item and not body.keys() <= _BODY_NAMES:
            unread = fields_except(body, *BODY_FIELDS)
            self.extras = {**(self.extras or {}), **(unread or {})} or None
        self.is_unread = unread is not None and self.arguments is ABSENT and has_text(unread)
        """True if texts under names that are not known may be arguments: it has no others."""
        self.position = position

    @property
    def opens_value(self) -> bool:
        """True if the arguments look like the start of a JSON object or array."""
        arguments = self.arguments
        if isinstance(arguments, str):
            return arguments.lstrip()[:1] in ("{", "[")
        return isinstance(arguments, dict | list)

    @property
    def is_blank(self) -> bool:
        return isinstance(self.arguments, str) and not self.arguments.strip()

    @property
    def is_whole(self) -> bool:
        """True if the arguments look like a whole JSON object or array."""
        arguments = self.arguments
        return looks_whole(arguments) if isinstance(arguments, str) else isinstance(arguments, dict | list)


def find_repetition(fields: JsonObject, parts: Parts) -> bool:
    """Return whether a `function_call` repeats one of the `tool_calls` beside it, and note it."""
    legacy = dict_of(fields, "function_call")
    bodies = [_body_of(item)[1] for item in dicts_of(fields.get("tool_calls"))]
    # Only the first fragment of a call has the name.
    names = (None, "", legacy.get("name"))
    if not legacy or not any(
        body.get("name") in names and body.get("arguments") == legacy.get("arguments") for body in bodies
    ):
        return False
    # Quirk (llama-cpp-python, 2026-11): each fragment of a call in both fields;
    # recording: chat-llama-cpp-python-forced-tool.
    parts.note("call_twice")
    parts.tell_fields(legacy, BODY_FIELDS)
    return True


def _id_of(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    # Quirk (Mistral, 2026-04): the text "null" stands for a missing id; zed-industries/zed#53605.
    return value if isinstance(value, str) and value.strip() and value != "null" else None


def _body_of(item: JsonObject) -> tuple[str | None, JsonObject]:
    """Return the key of the object with a call's name and arguments (None: the item), and the object."""
    for key in ("function", "custom"):
        if is_dict(item.get(key)):
            return key, dict_of(item, key)
    # A call of a kind that is not known has its body under another key.
    for key, value in item.items():
        if is_dict(value) and key not in ("arguments", "input", "extra_content"):
            return key, value
    return None, item


class ChatCall:
    """A tool call of which a fragment has arrived; its part is opened once the call has a name."""

    __slots__ = (
        "checked_length",
        "fields",
        "has_nameless_fragment",
        "id",
        "index",
        "is_reported",
        "is_unread",
        "is_waiting",
        "last_list",
        "name",
        "part",
        "pending",
        "repeats_name",
        "type",
        "wholeness",
    )

    def __init__(self, fragment: Fragment) -> None:
        # The call's identity, as far as it has arrived.
        self.id = fragment.id
        self.index: int | str | None = None
        self.name = ""
        self.has_nameless_fragment = False
        """True if a later fragment had no name: another fragment with a name then begins another call."""
        self.repeats_name = False
        """True if a later fragment had a name, as all fragments of some servers do."""
        self.type = fragment.type
        # The call in the message.
        self.part: OpenCall | None = None
        """The call in the message; None until the name arrives."""
        self.is_waiting = False
        """True if the call has a name that another piece may continue, and is not opened yet."""
        self.is_unread = False
        """True if texts that were not read may be the call's arguments."""
        self.is_reported = False
        """True once the call was reported as an opaque part, because it had no name."""
        self.pending: list[object] = []
        """Arguments held back until the name arrives."""
        self.fields: JsonObject = {}
        """Fields that only this provider has."""
        # The argument text.
        self.wholeness = Wholeness()
        """Follows the brackets of the argument text, to notice when it is whole."""
        self.checked_length = 0
        """Number of characters of the argument text that `wholeness` has read."""
        self.last_list = -1
        """Number of the last list (`tool_calls` of a delta) that contained this call."""

    def take(self, fragment: Fragment, list_number: int) -> None:
        """Take over a fragment's id, index and further fields."""
        self.last_list = list_number
        if fragment.id is not None:
            self.id = self.id or fragment.id
        if fragment.index is not None:
            self.index = fragment.index
        part = self.part
        # A call that was handed out no longer changes.
        if fragment.extras is not None and not (part is not None and part.closed):
            self.fields.update(fragment.extras)
            if part is not None:
                part.provider_data = self.fields
        if part is not None and fragment.name:
            self.repeats_name = True
        elif part is not None:
            self.has_nameless_fragment = True

    def is_continued_by(self, fragment: Fragment) -> bool:
        """Return True if a fragment has the id of this call or, without two ids, its index.

        One with arguments that begin anew is of another call.
        """
        if fragment.opens_value:
            return False
        if fragment.id is not None and self.id is not None:
            return fragment.id == self.id
        return fragment.index is not None and fragment.index == self.index

    def give_up(self) -> JsonObject:
        """Return the data of a call without a name, which is reported with them and then forgotten."""
        self.is_reported = True
        if all(isinstance(piece, str) for piece in self.pending):
            arguments: object = "".join(map(str, self.pending))
        else:
            arguments = self.pending
        return {"id": self.id, "type": self.type, "arguments": arguments, **self.fields}

    @property
    def lacks_arguments(self) -> bool:
        """True if the call is open, and has no arguments, or only a `{}` that others may replace."""
        part = self.part
        return part is not None and not part.closed and (part.is_empty or part.placeholder != "")

    @property
    def is_whole(self) -> bool:
        """True if the call is closed, or its arguments are one whole JSON object or array, or free text."""
        part = self.part
        if part is None:
            return False
        if part.closed:
            # A closed call takes no more fragments.
            return True
        if part.type == "custom":
            # Its arguments are free text.
            return part.has_arguments
        if part.placeholder:
            return is_one_value(part.arguments.join() + part.placeholder)
        self.wholeness.add(part.arguments.since(self.checked_length))
        self.checked_length = part.arguments.length
        return self.wholeness.whole
