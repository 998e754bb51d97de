"""Output items of responses, which become parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.events import MessageStart
from tokenstream.formats._kit.open import OpenCall, join_halves, mend_surrogates
from tokenstream.formats._kit.parts import Parts
from tokenstream.formats._kit.values import base64_bytes
from tokenstream.formats._wire.openai_realtime.item import RealtimeContent, RealtimeItem
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_AUDIO = frozenset({"audio", "output_audio"})
_CUT_STATUSES = frozenset({"incomplete", "in_progress"})
_CALLS = frozenset({"function_call", "mcp_call"})


class Outputs(Parts):
    """Parts whose deltas name a response, one of its output items, and one of the item's content parts.

    Args:
        limits: Bounds on parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = ("_by_id", "_by_place", "audio_format")

    splits_calls: ClassVar[bool] = False

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self._by_id: dict[str, RealtimeItem] = {}
        self._by_place: dict[tuple[str, int], RealtimeItem] = {}
        self.audio_format: dict[str, Any] = {}
        """The format of output audio, as the session or the response states it."""

    # -- responses ---------------------------------------------------------

    def begin(self, id: str | None, model: str | None) -> None:
        """Begin a response; if there was a response before, report the start of another answer.

        Args:
            id: The response's id.
            model: The session's model.
        """
        state = self.choice(0)
        if state.finish is None:
            self.head(id=id, model=model)
            return
        state.finish, state.calls_seen = None, 0
        self._head = (mend_surrogates(id), mend_surrogates(model), "assistant")
        self.emit(MessageStart(*self._head, another=True, raw=self.raw))

    def end_response(self, response: str, *, complete: bool) -> None:
        """Close the open parts of a response, and forget its items.

        Args:
            response: The response's id.
            complete: True if the response ended by itself. If it was cut off, open calls
                are not handed out.
        """
        for item in [item for item in self._by_place.values() if item.response == response]:
            if not item.done:
                self._note_unclosed(item)
                self._close_item(item, whole=complete)
        self._by_place = {place: item for place, item in self._by_place.items() if item.response != response}
        self._by_id = {id: item for id, item in self._by_id.items() if item.response != response}

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record the status of the last open response and close every open part."""
        super().finish(choice, reason, raw_reason)
        self._forget()

    def close_all(self, *, complete: bool) -> None:
        """Close every part; if the answer was cut off, no tool call is handed out."""
        super().close_all(complete=complete)
        self._forget()

    def _forget(self) -> None:
        self._by_id.clear()
        self._by_place.clear()

    # -- items -------------------------------------------------------------

    def item(self, payload: dict[str, Any]) -> RealtimeItem | None:
        """Return the item that a payload names by id, or by response and index; None if there is none."""
        found = self._by_id.get(text_of(payload, "item_id") or "")
        return found or self._by_place.get(self._place(payload))

    def start_item(self, payload: dict[str, Any], item: dict[str, Any]) -> RealtimeItem:
        """Start an output item and return it; if its start is repeated, return the item unchanged."""
        id, place = text_of(item, "id") or "", self._place(payload)
        if id in self._by_id:
            self.note("content_twice")
            return self._by_id[id]
        replaced = self._by_place.get(place)
        if replaced is not None and not replaced.done:
            self.note("part_index_reused")
            self._close_item(replaced, whole=False)
        if len(self._by_id) >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        started = RealtimeItem(id, place[0], text_of(item, "type") or "")
        self._by_place[place] = started
        self._by_id[id or f"{place[0]}/{place[1]}"] = started
        self._OPENERS.get(started.type, Outputs._open_other)(self, started, item)
        return started

    def end_item(self, payload: dict[str, Any], item: dict[str, Any]) -> None:
        """End an output item; the payload repeats all content of the item."""
        found = self.item({**payload, "item_id": item.get("id")})
        if found is None:
            self.note("part_unopened")
            found = self.start_item(payload, item)
        if found.done:
            self.note("part_end_unmatched")
            return
        for index, content in enumerate(dicts_of(item.get("content"))):
            self.whole_content(found, index, content)
        if found.call is None and found.type in _CALLS:
            self._OPENERS[found.type](self, found, item)
        self.whole_arguments(found, item)
        self._close_item(found, whole=text_of(item, "status") not in _CUT_STATUSES, content=item)

    def is_known(self, item: dict[str, Any], response: str, index: int) -> bool:
        """Return whether an item of a finished response was reported before."""
        return (text_of(item, "id") or "") in self._by_id or (response, index) in self._by_place

    def _place(self, payload: dict[str, Any]) -> tuple[str, int]:
        index = payload.get("output_index")
        return text_of(payload, "response_id") or "", index if isinstance(index, int) else 0

    # -- content -----------------------------------------------------------

    def content(self, payload: dict[str, Any], type: str) -> RealtimeContent | None:  # noqa: A002 - the field's name
        """Return the content part that a payload adds to, which is opened if it was never started.

        Args:
            payload: The payload.
            type: The kind of addition: "text" or "audio".
        """
        item = self.item(payload)
        if item is None:
            self.note("part_unopened")
            start = {"id": payload.get("item_id"), "type": "message"}
            item = self.start_item(payload, start)
        if item.type != "message":
            return None
        index = self._content_index(payload)
        found = item.contents.get(index)
        if found is None:
            self.note("part_unopened")
            return self._open_content(item, index, type)
        if found.part.closed:
            self.note("part_after_close")
            return self._open_content(item, index, type)
        return found

    def start_content(self, payload: dict[str, Any]) -> None:
        """Start a content part."""
        item, part = self.item(payload), dict_of(payload, "part")
        if item is None or item.type != "message":
            self.note("part_unopened" if item is None else "delta_misfits")
            return
        index = self._content_index(payload)
        if index in item.contents:
            self.note("content_twice")
            return
        self._open_content(item, index, text_of(part, "type") or "text")
        self.whole_content(item, index, part)

    def whole_content(self, item: RealtimeItem, index: int, content: dict[str, Any]) -> None:
        """Report the whole content of a content part, except kinds of which pieces were reported."""
        found = item.contents.get(index)
        if found is None:
            if item.type != "message":
                return
            found = self._open_content(item, index, text_of(content, "type") or "text")
        if found.part.closed:
            return
        for name, tell in (("text", self.write_text), ("transcript", self.write_transcript)):
            whole = text_of(content, name)
            if whole and name not in found.told:
                tell(found, whole)
        audio = text_of(content, "audio")
        if audio and "audio" not in found.told:
            self.write_audio(found, audio)

    def end_content(self, payload: dict[str, Any]) -> None:
        """End a content part; the payload repeats all content of the part."""
        item = self.item(payload)
        found = None if item is None else item.contents.get(self._content_index(payload))
        if item is None or found is None or found.part.closed:
            self.note("part_end_unmatched")
            return
        self.whole_content(item, self._content_index(payload), dict_of(payload, "part"))
        self.close(found.part)

    def write_text(self, content: RealtimeContent, text: str) -> None:
        """Add text to a content part."""
        if content.part.kind != "text":
            self.note("delta_misfits")
            return
        content.told.add("text")
        self.add(content.part, text)

    def write_transcript(self, content: RealtimeContent, text: str) -> None:
        """Add a transcript to a content part with audio."""
        part = content.part
        if part.kind != "media":
            self.note("delta_misfits")
            return
        content.told.add("transcript")
        if part.held or not text.isascii():
            text = join_halves(part, text, self.note)
        self.add_media(part, transcript=text)

    def write_audio(self, content: RealtimeContent, written: str) -> None:
        """Add audio, which is base64, to a content part."""
        if content.part.kind != "media":
            self.note("delta_misfits")
            return
        content.told.add("audio")
        data = base64_bytes(written)
        if data is None:
            self.refuse_media(0, "audio", {"data": written})
        else:
            self.add_media(content.part, data)

    def _content_index(self, payload: dict[str, Any]) -> int:
        index = payload.get("content_index")
        if isinstance(index, int):
            return index
        self.note("part_index_missing")
        return 0

    def _open_content(self, item: RealtimeItem, index: int, type: str) -> RealtimeContent:  # noqa: A002 - the field's name
        """Open a content part as audio or text, with the ids that it has on the wire."""
        where = fields_except({"response_id": item.response, "item_id": item.id}) or {}
        where["content_index"] = index
        start: TextPart | MediaPart
        if type in _AUDIO:
            mime = text_of(self.audio_format, "type")
            data = {**where, **(fields_except({"format": self.audio_format}) or {})}
            start = MediaPart(id=item.id or None, mime_type=mime, provider_data=data)
        else:
            start = TextPart(provider_data=where)
        content = item.contents[index] = RealtimeContent(self.open(0, start))
        return content

    # -- calls -------------------------------------------------------------

    def write_arguments(self, payload: dict[str, Any], fragment: str) -> None:
        """Add to a call's arguments; if the call is not open yet, wait for its end, which repeats all."""
        item = self.item(payload)
        if item is None or item.call is None:
            self.note("part_unopened")
            return
        call = item.call
        if call.closed:
            self.note("call_after_done")
        elif isinstance(call, OpenCall):
            self.add_arguments(call, fragment)
        else:
            self.add(call, fragment)
            item.told = True

    def end_arguments(self, payload: dict[str, Any], type: str) -> None:  # noqa: A002 - the field's name
        """Read the end of a call's arguments; whether the call is whole depends on the end of its item."""
        item = self.item(payload)
        if item is None:
            self.note("part_unopened")
            item = self.start_item(payload, {**payload, "id": payload.get("item_id"), "type": type})
        elif item.call is None and item.type == type:
            # The start of the call had no name.
            self._OPENERS[type](self, item, payload)
        self.whole_arguments(item, payload)

    def whole_arguments(self, item: RealtimeItem, holder: dict[str, Any]) -> None:
        """Report the whole arguments, if no piece of them was reported."""
        call, text = item.call, text_of(holder, "arguments")
        if call is None or call.closed or text is None:
            return
        if isinstance(call, OpenCall):
            if not call.has_arguments:
                self.add_arguments(call, text)
        elif not item.told:
            item.told = True
            self.add(call, text)

    # -- opening and closing -------------------------------------------------

    def _open_message(self, item: RealtimeItem, start: dict[str, Any]) -> None:
        """Do nothing, because the content parts of a message have start events."""

    def _open_call(self, item: RealtimeItem, start: dict[str, Any]) -> None:
        """Open a call of an application's tool; without a name, it waits for the item's end."""
        name = text_of(start, "name")
        if not name:
            self.note("call_unnamed")
            return
        data = fields_except(start, *_CALL_FIELDS) or {}
        if item.id:
            data["id"] = item.id
        item.call = self.open_call(0, text_of(start, "call_id"), name, provider_data=data or None)

    def _open_server_call(self, item: RealtimeItem, start: dict[str, Any]) -> None:
        call = ServerToolCall(
            id=item.id,
            name=text_of(start, "name") or "",
            provider_data=fields_except(start, "id", "name", "arguments", "output", "error", "status"),
        )
        item.call = self.open(0, call)

    def _open_other(self, item: RealtimeItem, start: dict[str, Any]) -> None:
        item.other = self.open(0, OpaquePart(type=item.type, data=start))

    def _close_item(self, item: RealtimeItem, *, whole: bool, content: dict[str, Any] | None = None) -> None:
        """Close all parts of an item; `content` is the whole item, if its end has arrived."""
        item.done = True
        if isinstance(item.call, OpenCall):
            self.close_call(item.call, whole=whole)
        elif item.call is not None:
            self.close(item.call)
            self._give_result(item, content or {})
        elif item.other is not None:
            if content is not None:
                self.report_start_again(item.other, OpaquePart(type=item.type, data=content))
            self.close(item.other)
        elif item.type == "function_call":
            self.note("call_nameless")
            self.whole(0, OpaquePart(type=item.type, data=content or {}))
        else:
            for each in item.contents.values():
                self.close(each.part)

    def _give_result(self, item: RealtimeItem, content: dict[str, Any]) -> None:
        """Report the result of a tool that the server ran."""
        name = "error" if content.get("error") else "output"
        if content.get(name) is not None:
            self.whole(0, ServerToolResult(id=item.id, name=item.type, content=content[name]))

    def _note_unclosed(self, item: RealtimeItem) -> None:
        """Count a departure if an item without an end event has open parts."""
        call = item.call
        if (
            call is not None
            or item.other is not None
            or any(not c.part.closed for c in item.contents.values())
        ):
            self.note("part_unclosed")

    _OPENERS: ClassVar[dict[str, Callable[[Outputs, RealtimeItem, dict[str, Any]], None]]] = {
        "message": _open_message,
        "function_call": _open_call,
        "mcp_call": _open_server_call,
    }


_CALL_FIELDS = (
    "id",
    "type",
    "object",
    "status",
    "role",
    "name",
    "call_id",
    "arguments",
    # The next fields belong to the event, and not to the call.
    "event_id",
    "item_id",
    "response_id",
    "output_index",
    "previous_item_id",
)
