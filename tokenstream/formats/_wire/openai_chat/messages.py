"""Read the whole messages that a server sends instead of deltas, or beside them.

A message may be the only one, repeat the deltas, contain all of the answer so far, or be a
piece of the answer, which is then read like a delta. `GrowingTexts` tells the last two apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.chat_words import LEGACY, REASONING_FIELDS, REASONING_LISTS, REASONING_STEPS
from tokenstream._basics.untrusted import dicts_of, is_dict, is_list
from tokenstream.formats._kit.whole_text import GrowingTexts
from tokenstream.formats._wire.openai_chat.call import Fragment, find_repetition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._wire.openai_chat.call import ChatCall
    from tokenstream.formats._wire.openai_chat.parts import ChatContent

_TEXT_KINDS = {**dict.fromkeys(REASONING_FIELDS, "reasoning"), "content": "text", "refusal": "refusal"}
"""Maps the fields of a message that hold text to kinds of content, in the order of reading."""
_REPEATED_FIELDS = {
    **_TEXT_KINDS,
    **dict.fromkeys((*REASONING_LISTS, *REASONING_STEPS), "reasoning"),
    "audio": "audio",
    "images": "images",
    "tool_calls": "calls",
    "function_call": "calls",
}
"""Maps the fields of a message that may repeat the deltas to kinds of content."""
_COMPARED_FIELDS = frozenset({*_TEXT_KINDS, "tool_calls", "function_call"})
"""Fields whose repetition by the next message is compared, so that only what is new is read."""
_ITEM_KINDS = (None, "text")
"""The types of items in a list that hold text."""


class _MessageCall:
    """A tool call that messages have contained so far, with the key of its arguments in `GrowingTexts`."""

    __slots__ = ("call", "key")

    def __init__(self, call: ChatCall) -> None:
        self.call = call
        self.key = ""
        """The key of the call's arguments; "" until the first of them are read."""


_MatchedCalls: TypeAlias = "list[tuple[_MessageCall | None, Fragment]]"
"""The items of a message's list of calls, each with the call that it repeats, or None."""


class MessageReader:
    """Reads the messages of one choice.

    Args:
        content: Reads content into parts.
        grows: True if each message is known to contain the ones before it; False if each is known to be a
            piece; None to find out.
    """

    __slots__ = (
        "_call_key_count",
        "_calls",
        "_content",
        "_last_items",
        "_message_fields",
        "_read_delta",
        "_texts",
        "_whole_calls",
    )

    def __init__(
        self, content: ChatContent, read_delta: Callable[[JsonObject], None], *, grows: bool | None = None
    ) -> None:
        # The readers of new content.
        self._content = content
        self._read_delta = read_delta
        # The content of earlier messages, by which the next message's repetitions are found.
        self._message_fields: set[str] = set()
        """Names of the fields whose content has arrived in messages, and not in deltas."""
        self._texts = GrowingTexts(content.parts.note, self._report_change, grows=grows)
        """Knows the texts and the arguments of calls, and finds what is new in them."""
        self._last_items: dict[int, object] = {}
        """The last item other than text at each position of a list in `content`."""
        self._calls: list[_MessageCall] = []
        self._call_key_count = 0
        """Number of keys that were given to calls' arguments in `_texts`."""
        self._whole_calls: list[JsonObject] = []
        """The calls of the last message that repeats those of the deltas, which are compared at the end."""

    def read(self, message: JsonObject) -> None:
        """Read a message: only what neither the deltas nor earlier messages have sent."""
        fields = self._new_fields(message)
        if self._texts.grows is False:
            # The message is a piece, and so a delta under another name.
            self._read_delta(fields)
            return
        calls = self._match_calls(fields)
        texts = self._texts_in(message, fields, calls)
        begins_call = any(call is None for call, _ in calls)
        self._write(self._judge_calls(calls, begins_another=begins_call))
        self._write(self._texts.judge(texts, begins_other=begins_call))
        self._read_compared(fields, texts)
        # Read the calls after the text, in the order of a stream.
        self._read_calls(fields, calls)

    def settle(self) -> None:
        """Add the text that is held back, and what the calls of the deltas lack, at the end of the answer."""
        self._write(self._texts.settle_at_end())
        calls, self._whole_calls = self._whole_calls, []
        self._content.calls.read_whole(calls)

    def _new_fields(self, message: JsonObject) -> JsonObject:
        """Return a message's fields without repeated ones; texts and calls may still repeat in part."""
        fields = {name: value for name, value in message.items() if name not in _REPEATED_FIELDS}
        kinds_so_far, grows = self._content.kinds, self._texts.grows
        for name, kind in _REPEATED_FIELDS.items():
            value = message.get(name)
            # The number 0 is content, a token of the text; other empty values are not.
            if not value and value != 0:
                continue
            # If an earlier message had the field, too, `kinds_so_far` may have its kind from there, and not
            # from a delta. A piece is then new in any case; of a text or a call, a comparison will find what
            # is new.
            was_in_messages = name in self._message_fields
            may_have_more = was_in_messages and (grows is False or name in _COMPARED_FIELDS)
            if kind in kinds_so_far and not may_have_more:
                # Deltas have sent this content, or an earlier message has sent it whole.
                self._content.parts.note("text_twice")
                if kind == "calls" and not was_in_messages:
                    self._whole_calls = _list_message_calls({name: value})
                continue
            self._message_fields.add(name)
            fields[name] = value
        if find_repetition(fields, self._content.parts):
            del fields["function_call"]
        return fields

    # -- texts -------------------------------------------------------------

    def _texts_in(self, message: JsonObject, fields: JsonObject, calls: _MatchedCalls) -> dict[str, str]:
        texts = {name: fields[name] for name in _TEXT_KINDS if isinstance(fields.get(name), str)}
        # An empty text has a meaning, too: after other text, the message does not contain all so far.
        texts.update(dict.fromkeys([name for name in _TEXT_KINDS if message.get(name) == ""], ""))
        items = fields.get("content")
        if is_list(items):
            texts.update({_item_key(n): text for n, item in enumerate(items) if (text := _text_of(item))})
        elif message.get("content") == []:
            texts[_item_key(0)] = ""
        for call, fragment in calls:
            if call is not None and isinstance(fragment.arguments, str):
                texts[call.key] = fragment.arguments
        return texts

    def _read_compared(self, fields: JsonObject, texts: dict[str, str]) -> None:
        """Read the fields of a message, except its calls, as a delta with only what is new in them."""
        delta = {name: value for name, value in fields.items() if name not in _CALL_FIELDS}
        for name in _TEXT_KINDS:
            if isinstance(delta.get(name), str):
                # Besides this text's end, other texts that were held back may now prove to be new.
                delta.update(self._join(self._texts.read(name, texts[name])) or {name: ""})
        if is_list(delta.get("content")):
            new_items: list[Any] = []
            for position, item in enumerate(delta["content"]):
                new_items += self._read_item(position, item)
            delta["content"] = new_items
        self._read_delta(delta)

    def _read_item(self, position: int, item: object) -> list[Any]:
        """Return what is new in an item of a `content` list: the end of a text, or all of another item."""
        text = _text_of(item)
        if not text:
            is_new = self._last_items.get(position) != item
            self._last_items[position] = item
            return [item] if is_new else []
        own_key = _item_key(position)
        # Besides this text's end, other texts that were held back may now prove to be new.
        new_texts = self._texts.read(own_key, text)
        self._write(pair for pair in new_texts if pair[0] != own_key)
        new = "".join(added for key, added in new_texts if key == own_key)
        return [{**item, "text": new} if is_dict(item) else new]

    def _join(self, new_texts: Iterable[tuple[str, str]]) -> JsonObject:
        """Return new texts as a delta; texts of the items of a list are joined in the field `content`."""
        delta: JsonObject = {}
        for key, text in new_texts:
            name = "content" if key.startswith(_ITEM) else key
            delta[name] = delta.get(name, "") + text
        return delta

    def _write(self, new_texts: Iterable[tuple[str, str]]) -> None:
        calls = {call.key: call.call for call in self._calls}
        pairs = list(new_texts)
        delta = self._join(pair for pair in pairs if pair[0] not in calls)
        if delta:
            self._read_delta(delta)
        for key, text in pairs:
            if key in calls:
                self._content.calls.add_arguments(calls[key], text)

    def _report_change(self, key: str, text: str) -> None:
        """Report the changed form of a text as a field: the text that was reported before stays as it is."""
        if not key.startswith(_CALL):
            self._content.parts.field(f"message.{key}", text, self._content.choice)

    # -- calls -------------------------------------------------------------

    def _match_calls(self, fields: JsonObject) -> _MatchedCalls:
        """Return the items of `tool_calls` and `function_call`, each with the call it repeats, or None."""
        items = _list_message_calls(fields)
        matched: _MatchedCalls = []
        free = [*self._calls]
        for position, item in enumerate(items):
            fragment = Fragment(item, None)
            at_position = self._calls[position] if position < len(self._calls) else None
            call = _find_repeated_call(fragment, free, at_position)
            if call is not None and call in free:
                free.remove(call)
            matched.append((call, fragment))
        return matched

    def _judge_calls(self, calls: _MatchedCalls, *, begins_another: bool) -> list[tuple[str, str]]:
        """Compare calls with earlier ones, to decide if messages grow; return texts now known to be new."""
        if self._texts.grows is not None or not calls:
            return []
        for known, fragment in calls:
            grows = None if known is None else self._judge_call(known, fragment)
            if grows is not None:
                return self._texts.settle(grows=grows)
        repeated_count = sum(call is not None for call, _ in calls)
        if begins_another and repeated_count < len(self._calls):
            # An earlier call is missing beside the new one, so the message does not contain all so far.
            return self._texts.settle(grows=False)
        return []

    def _judge_call(self, known: _MessageCall, fragment: Fragment) -> bool | None:
        """Return what a repeated call shows: True if messages grow, False if they are pieces, else None.

        In a message that contains all so far, a call keeps its id and name; a piece of a call has neither.
        """
        if known.call.id is None:
            return None
        if fragment.id is None:
            return False
        arguments = fragment.arguments
        if not isinstance(arguments, str) or not arguments or fragment.name != known.call.name:
            return None
        return True if fragment.opens_value or self._texts.continues(known.key, arguments) else None

    def _read_calls(self, fields: JsonObject, matched: _MatchedCalls) -> None:
        """Read the calls of a message: begin the new ones, and add to the known ones what is new."""
        if self._texts.grows is False or not matched:
            # The message has proved to be a piece, or has no calls, but perhaps other values in their place.
            self._read_delta({name: fields[name] for name in _CALL_FIELDS if name in fields})
            return
        calls = self._content.calls
        calls.begin_list()
        for known, fragment in matched:
            message_call = known or _MessageCall(calls.begin(fragment))
            if known is None:
                self._calls.append(message_call)
            elif known.call.is_reported:
                # The call was reported as an opaque part, since it had no name; read all of it again.
                known.call, known.key = calls.begin(fragment), ""
            if not message_call.key:
                # The call has just begun.
                self._call_key_count += 1
                message_call.key = f"{_CALL}{self._call_key_count}"
            elif not isinstance(fragment.arguments, str) and message_call.call.part is not None:
                # Arguments that are a JSON value arrive whole, so this is a repetition.
                continue
            if isinstance(fragment.arguments, str):
                # Besides the end of these arguments, other texts that were held back may now prove to be new.
                new_texts = self._texts.read(message_call.key, fragment.arguments)
                self._write(pair for pair in new_texts if pair[0] != message_call.key)
                fragment.arguments = "".join(new for key, new in new_texts if key == message_call.key)
            calls.add(message_call.call, fragment)


_ITEM = "content["
_CALL = "tool_calls["
_CALL_FIELDS = ("tool_calls", "function_call")


def _list_message_calls(fields: JsonObject) -> list[JsonObject]:
    items = dicts_of(fields.get("tool_calls"))
    legacy = fields.get("function_call")
    return [*items, {"index": LEGACY, "type": LEGACY, "function": legacy}] if is_dict(legacy) else items


def _item_key(position: int) -> str:
    return f"{_ITEM}{position}]"


def _text_of(item: object) -> str | None:
    if is_dict(item) and item.get("type") in _ITEM_KINDS:
        item = item.get("text")
    return item if isinstance(item, str) else None


def _find_repeated_call(
    fragment: Fragment, free: list[_MessageCall], at_position: _MessageCall | None
) -> _MessageCall | None:
    """Return the known call that an item of a message repeats; None if the item begins a call."""
    for known in free:
        has_same_index = fragment.index in (None, known.call.index)
        if fragment.id is not None and known.call.id == fragment.id and has_same_index:
            return known
    for known in free:
        may_be_same = None in (fragment.id, known.call.id)
        if fragment.index is not None and known.call.index == fragment.index and may_be_same:
            return known
    if fragment.index is not None or at_position not in free:
        return None
    return at_position if None in (fragment.id, at_position.call.id) else None
