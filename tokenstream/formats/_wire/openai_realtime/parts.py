"""Turns the output items of responses into parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, index_of, text_of
from tokenstream.formats._kit.identity import WHOLE, Identity
from tokenstream.formats._kit.open import OpenCall
from tokenstream.formats._kit.repeated import complete_arguments
from tokenstream.formats._kit.sessions import SessionParts
from tokenstream.formats._kit.values import base64_bytes, failure_text, split_names
from tokenstream.formats._wire.openai_realtime.words import RealtimeContent, RealtimeItem, output_format
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import FinishReason

_AUDIO_TYPES = frozenset({"audio", "output_audio"})
_CUT_STATUSES = frozenset({"incomplete", "in_progress"})
_CALL_TYPES = frozenset({"function_call", "mcp_call"})


class RealtimeOutputs(SessionParts):
    """Turns the output items of a session's responses into parts of the message.

    Each delta names a response, one of its output items, and one of the item's content parts.
    """

    __slots__ = ("_identity", "audio_format")

    def _set_up(self) -> None:
        super()._set_up()
        self._identity = Identity[RealtimeItem]()
        """Finds the items of the open responses."""
        self.audio_format: JsonObject = {}
        """The format of output audio, as the session or the response states it."""

    def read_audio_format(self, holder: JsonObject) -> None:
        self.audio_format = output_format(holder) or self.audio_format

    @property
    def has_open(self) -> bool:
        return any(not item.ended for item in self._identity.items)

    # -- responses ---------------------------------------------------------

    def end_response(self, response: str, *, complete: bool) -> None:
        """Close the open parts of a response, and forget its items; hand out open calls if it is complete."""
        items = [item for item in self._identity.items if item.response == response]
        for item in items:
            if not item.ended:
                has_open_content = any(not content.part.closed for content in item.contents.values())
                if item.call is not None or item.other is not None or has_open_content:
                    self.note("part_unclosed")
                self._close_item(item, whole=complete)
        self._identity.drop(items)

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        super().finish(choice, reason, raw_reason)
        # Nothing more comes for them.
        self._identity.drop(self._identity.items)

    def close_all(self, *, complete: bool) -> None:
        super().close_all(complete=complete)
        self._identity.drop(self._identity.items)

    # -- items -------------------------------------------------------------

    def find_item(
        self, payload: JsonObject, item: JsonObject | None = None, item_type: str = ""
    ) -> RealtimeItem | None:
        """Return the item that a payload, or the item in it, names by its id, its call's id or its index.

        Without any of them, or if several calls have the index, their order and arguments tell them apart.
        """
        names = [text_of(payload, "item_id"), text_of(payload, "call_id")]
        if item is not None:
            names += [text_of(item, "id"), text_of(item, "call_id")]
            item_type = text_of(item, "type") or ""
        found, (response, index) = self._identity.find_named(names), _place_of(payload)
        if found is None and index is not None and not self._identity.is_shared(index):
            found = self._identity.find_at(index, item_type)
        elif found is None:
            whole = payload if item is None else item
            fitting = [each for each in self._identity.items if each.fits(response, item_type)]
            if index is None and not any(names):
                self.note("part_index_missing")
            elif index is None and not any(map(self._identity.is_known, names)):
                # By an unknown id, an item is meant that has none yet, or one with just these arguments.
                fitting = [each for each in fitting if not each.id or each.likeness(whole) == WHOLE]
            found = self.find_by_order(fitting, whole if "arguments" in whole else None)
        return found

    def start_item(self, payload: JsonObject, item: JsonObject) -> RealtimeItem:
        """Start an output item and return it; if it was started before, return it unchanged."""
        identity, id, (response, index) = self._identity, text_of(item, "id"), _place_of(payload)
        item_type, known = text_of(item, "type") or "", identity.find_named([id])
        if known and item_type in ("", known.type) and known.likeness(item) >= 0:
            self.note("content_twice")
            return known
        # Without a place, it is the next one.
        index = index or (response, len(identity.items))
        other = identity.find_at(index)
        if other and not other.ended:
            self.note("part_index_reused")
        self.check_room(len(identity.items))
        started = RealtimeItem(id or "", response, item_type)
        identity.begin(started, index)
        identity.add_name(started, id)
        identity.add_name(started, text_of(item, "call_id"))
        # The content parts of a message, which have start events, become the parts.
        if item_type != "message":
            self._OPENERS.get(item_type, RealtimeOutputs._open_other)(self, started, item)
        return started

    def end_item(self, payload: JsonObject, item: JsonObject) -> None:
        """End an output item, and add its content, except the content that earlier events have reported."""
        ended = self.find_item(payload, item)
        if ended is None:
            self.note("part_unannounced")
            ended = self.start_item(payload, item)
        if ended.ended:
            self.note("part_end_unmatched")
            self.add_missing_arguments(ended, item)
            return
        for index, content in enumerate(dicts_of(item.get("content"))):
            self.add_missing_content(ended, index, content)
        if ended.call is None and ended.type in _CALL_TYPES:
            # The start of the call had no name.
            self._OPENERS[ended.type](self, ended, item)
        self.add_missing_arguments(ended, item)
        self._close_item(ended, whole=text_of(item, "status") not in _CUT_STATUSES, content=item)

    def repeat_item(self, payload: JsonObject, item: JsonObject) -> bool:
        """Compare the arguments of a call with those that arrived; return False if no event had the item."""
        reported = self.find_item(payload, item)
        if reported is not None:
            self.add_missing_arguments(reported, item)
        return reported is not None

    # -- content -----------------------------------------------------------

    def get_or_open_content(self, payload: JsonObject, type: str) -> RealtimeContent | None:  # noqa: A002 - the field's name
        """Return the content part that a delta adds to, open by now; None if the item is not a message."""
        item = self.find_item(payload, item_type="message")
        if item is None:
            self.note("part_unannounced")
            item = self.start_item(payload, {"id": payload.get("item_id"), "type": "message"})
        if item.type != "message":
            return None
        index = self._content_index(payload)
        content = item.contents.get(index)
        if content is not None and (content.part.whole_text or not content.part.closed):
            return content
        self.note("part_unannounced" if content is None else "part_after_close")
        return self._open_content(item, index, type)

    def start_content(self, payload: JsonObject) -> None:
        """Start a content part; one of no known message, or a second start, only counts as a departure."""
        item, part = self.find_item(payload, item_type="message"), dict_of(payload, "part")
        if item is None or item.type != "message":
            self.note("part_unannounced" if item is None else "delta_misfits")
            return
        index = self._content_index(payload)
        if index in item.contents:
            self.note("content_twice")
            return
        self._open_content(item, index, text_of(part, "type") or "text")
        self.add_missing_content(item, index, part, is_end=False)

    def add_missing_content(
        self, item: RealtimeItem, index: int, whole: JsonObject, *, is_end: bool = True
    ) -> None:
        """Add the text, transcript and audio of a content part, except those that deltas have reported.

        Nothing is added to a part that is closed, or to an item that is not a message. Deltas add to what the
        start of a part contains, but only repeat what its end tells (`is_end`).
        """
        content = item.contents.get(index)
        if content is None:
            if item.type != "message":
                return
            content = self._open_content(item, index, text_of(whole, "type") or "text")
        if content.part.closed:
            return
        for field, kind in (("text", "text"), ("transcript", "media")):
            text = text_of(whole, field)
            if text and field not in content.reported:
                self.write_text(content, text, field=field, whole=is_end)
            elif text and content.part.kind == kind:
                self.tell(content.part, text, len(text))
        audio = text_of(whole, "audio")
        if audio and "audio" not in content.reported:
            self.write_audio(content, audio)

    def end_content(self, payload: JsonObject) -> None:
        """End a content part; the payload repeats all content of the part."""
        item = self.find_item(payload, item_type="message")
        content = None if item is None else item.contents.get(self._content_index(payload))
        if item is None or content is None or content.part.closed:
            self.note("part_end_unmatched")
            return
        self.add_missing_content(item, self._content_index(payload), dict_of(payload, "part"))
        self.close(content.part)

    def write_text(self, content: RealtimeContent, text: str, *, field: str, whole: bool = False) -> None:
        """Add a piece, or all, of the text of a content part, or of its audio's transcript (`field`)."""
        if not self._report_in(content, "text" if field == "text" else "media", field):
            return
        if whole:
            self.add_whole(content.part, text)
        elif field == "text":
            self.add(content.part, text)
        else:
            self.add_media(content.part, transcript=text)

    def write_audio(self, content: RealtimeContent, encoded: str) -> None:
        """Add audio in base64 to a content part with audio; for any other part, only count a departure."""
        if not self._report_in(content, "media", "audio"):
            return
        data = base64_bytes(encoded)
        if data is None:
            self.add_undecodable_media(0, "audio", {"data": encoded})
        else:
            self.add_media(content.part, data)

    def _report_in(self, content: RealtimeContent, kind: str, field: str) -> bool:
        """Record that a field is reported, so that the part's end does not repeat it; False if it misfits."""
        if content.part.kind != kind:
            self.note("delta_misfits")
            return False
        content.reported.add(field)
        return True

    def _content_index(self, payload: JsonObject) -> int:
        """Return the index of a payload's content part; 0, and a departure, if it has none."""
        index = index_of(payload.get("content_index"))
        if isinstance(index, int):
            return index
        self.note("part_index_missing")
        return 0

    def _open_content(self, item: RealtimeItem, index: int, type: str) -> RealtimeContent:  # noqa: A002 - the field's name
        """Open a content part as audio or text, with its ids and its index on the wire as provider data."""
        # `fields_except` leaves out empty ids.
        data = fields_except({"response_id": item.response, "item_id": item.id}) or {}
        data["content_index"] = index
        start: TextPart | MediaPart
        if type in _AUDIO_TYPES:
            if self.audio_format:
                data["format"] = self.audio_format
            mime_type = text_of(self.audio_format, "type")
            start = MediaPart(id=item.id or None, mime_type=mime_type, provider_data=data)
        else:
            start = TextPart(provider_data=data)
        content = item.contents[index] = RealtimeContent(self.open(0, start))
        return content

    # -- calls -------------------------------------------------------------

    def write_arguments(self, payload: JsonObject, fragment: str) -> None:
        """Add a fragment to an open call's arguments; drop others, because the end event repeats all."""
        item = self.find_item(payload, item_type="function_call")
        if item is None or item.call is None:
            self.note("part_unannounced")
            self.note_lost_arguments(fragment)
            return
        self.add_fragment(item.call, fragment)
        item.arguments_reported = True

    def end_arguments(self, payload: JsonObject, type: str) -> None:  # noqa: A002 - the field's name
        """Add a call's arguments, unless there were deltas; the end of the item will close the call."""
        item = self.find_item(payload, item_type=type)
        if item is None:
            self.note("part_unannounced")
            item = self.start_item(payload, {**payload, "id": payload.get("item_id"), "type": type})
        elif item.call is None and item.type == type:
            # The start of the call had no name.
            self._OPENERS[type](self, item, payload)
        self.add_missing_arguments(item, payload)

    def add_missing_arguments(self, item: RealtimeItem, holder: JsonObject) -> None:
        """Add to a call what its deltas lack of its whole arguments."""
        call, text = item.call, text_of(holder, "arguments")
        if call is None or text is None:
            return
        if isinstance(call, OpenCall):
            # By OpenAI's documents, an item is whole at its end.
            complete_arguments(self, call, text, replaces="all")
        elif item.arguments_reported and not call.closed:
            self.tell(call, text, len(text))
        elif not call.closed:
            item.arguments_reported = True
            self.add_whole(call, text)

    # -- opening and closing -------------------------------------------------

    def _open_call(self, item: RealtimeItem, start: JsonObject) -> None:
        name = text_of(start, "name")
        if not name:
            self.note("call_unnamed")
            return
        data = fields_except(start, *_CALL_FIELDS) or {}
        if item.id:
            data["id"] = item.id
        item.call = self.open_call(0, text_of(start, "call_id"), name, provider_data=data or None)

    def _open_server_call(self, item: RealtimeItem, start: JsonObject) -> None:
        call = ServerToolCall(
            id=item.id,
            name=text_of(start, "name") or "",
            provider_data=fields_except(start, "id", "name", "arguments", "output", "error", "status"),
        )
        item.call = self.open(0, call)

    def _open_result(self, item: RealtimeItem, start: JsonObject) -> None:
        """Open nothing: the result of a call that the server has run is no part (LocalAI)."""

    def _open_other(self, item: RealtimeItem, start: JsonObject) -> None:
        item.other = self.open(0, OpaquePart(type=item.type, data=start))

    def _close_item(self, item: RealtimeItem, *, whole: bool, content: JsonObject | None = None) -> None:
        """Close all parts of an item; hand out a call of the application's tools if the item is whole."""
        item.ended = True
        if isinstance(item.call, OpenCall):
            self.end_at_mark(item.call, whole=whole)
        elif item.call is not None:
            # The server has run this tool, and its end event contains the result.
            self.close(item.call)
            self._add_server_result(item, content or {})
        elif item.other is not None:
            if content is not None:
                self.amend(item.other, OpaquePart(type=item.type, data=content))
            self.close(item.other)
        elif item.type == "function_call_output" and content is not None:
            self.answer_call(content)
        elif item.type == "function_call":
            # The name of the call never arrived.
            self.note("call_nameless")
            self.note_lost_arguments((content or {}).get("arguments"))
            self.whole(0, OpaquePart(type=item.type, data=content or {}))
        else:
            for message_content in item.contents.values():
                self.close(message_content.part)

    def _add_server_result(self, item: RealtimeItem, content: JsonObject) -> None:
        name = "error" if content.get("error") else "output"
        if content.get(name) is not None:
            error = failure_text(content[name]) if name == "error" else None
            self.whole(0, ServerToolResult(id=item.id, name=item.type, content=content[name], error=error))

    _OPENERS: ClassVar[dict[str, Callable[[RealtimeOutputs, RealtimeItem, JsonObject], None]]] = {
        "function_call": _open_call,
        "mcp_call": _open_server_call,
        "function_call_output": _open_result,
    }


def _place_of(payload: JsonObject) -> tuple[str, tuple[str, int] | None]:
    """Return the id of a payload's response, and the place of its item there; None for a missing one."""
    response, index = text_of(payload, "response_id") or "", index_of(payload.get("output_index"))
    return response, (response, index) if isinstance(index, int) else None


# Those from "event_id" on belong to the event, and not to the call.
_CALL_FIELDS = split_names(
    "id type object status role name call_id arguments event_id item_id response_id output_index "
    "previous_item_id"
)
