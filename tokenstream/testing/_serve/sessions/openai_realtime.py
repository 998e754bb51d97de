"""The server's side of OpenAI's Realtime API."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream.testing._serve.sessions.session import ServedSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.testing._serve.sessions.session import Payload, PlayedAnswer

_BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
"""Bytes of a millisecond of audio, for each format; PCM has 24,000 samples a second, of two bytes each."""


class RealtimeSession(ServedSession):
    """A session with one conversation."""

    format: ClassVar[str] = "openai-realtime"

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(*args)
        self._items: dict[str, Payload] = {}
        """The items of the conversation, by id."""
        self._audio_sizes: dict[str, int] = {}
        """The bytes of audio that were sent for an item, by the item's id."""
        audio_format = {"type": "audio/pcm", "rate": 24000}
        self._session: Payload = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.store.make_id("sess"),
            "model": "scripted-1",
            "output_modalities": ["audio"],
            "audio": {"input": {"format": audio_format}, "output": {"format": audio_format}},
        }
        self._actions: dict[str, Callable[[Payload], None]] = {
            "session.update": self._update,
            "response.create": self._create,
            "response.cancel": self._cancel,
            "conversation.item.create": self._add_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate_item,
            "input_audio_buffer.append": _ignore,
            "input_audio_buffer.commit": self._commit_audio,
            "input_audio_buffer.clear": lambda _: self._say("input_audio_buffer.cleared"),
        }

    def greet(self) -> None:
        """Send the session."""
        self._say("session.created", session=self._session)

    # -- what the client sends ---------------------------------------------

    def handle(self, request: Payload) -> None:
        """Act on a message of the client."""
        action = self._actions.get(str(request.get("type")))
        if action is None:
            supported = ", ".join(f"'{name}'" for name in self._actions)
            message = f"Invalid value: '{request.get('type')}'. Supported values are: {supported}."
            self.refuse(message, code="invalid_value", param="type", request=request)
        else:
            action(request)

    def _update(self, request: Payload) -> None:
        self._session = _merge(self._session, dict_of(request, "session"))
        self._say("session.updated", session=self._session)

    def _create(self, request: Payload) -> None:
        if dict_of(request, "response").get("conversation") == "none":
            # A response outside the conversation may be created while another one is.
            self.ask(request, self.store.make_id("lane"))
        elif self.turn is not None:
            id = self.turn.response.get("id")
            message = f"Conversation already has an active response in progress: {id}."
            self.refuse(message, code="conversation_already_has_active_response", request=request)
        else:
            self.ask(request)

    def _cancel(self, request: Payload) -> None:
        turn = self.find_turn(request.get("response_id"))
        if turn is None:
            message = "Cancellation failed: no active response found"
            self.refuse(message, code="response_cancel_not_active", request=request)
            return
        details = {"type": "cancelled", "reason": "client_cancelled"}
        fields = {"status": "cancelled", "status_details": details, "output": turn.output}
        begun = turn.response or {"id": self.store.make_id("resp_cancelled"), "object": "realtime.response"}
        self.cancel(turn, self._event("response.done", response={**begun, **fields}))

    def _add_item(self, request: Payload) -> None:
        item = request.get("item")
        if not is_dict(item):
            self.refuse(
                "Missing required parameter: 'item'.",
                code="missing_required_parameter",
                param="item",
                request=request,
            )
            return
        item = {"id": self.store.make_id("item_client"), "object": "realtime.item", **item}
        item.setdefault("status", "completed")
        previous = request.get("previous_item_id") or next(reversed(self._items), None)
        self._items[str(item["id"])] = item
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._say(kind, previous_item_id=previous, item=item)

    def _retrieve_item(self, request: Payload) -> None:
        item = self._find_item(request, "item_retrieve_invalid_item_id")
        if item is not None:
            self._say("conversation.item.retrieved", item=item)

    def _delete_item(self, request: Payload) -> None:
        item = self._find_item(request, "item_delete_invalid_item_id")
        if item is not None:
            del self._items[str(request["item_id"])]
            self._say("conversation.item.deleted", item_id=request["item_id"])

    def _truncate_item(self, request: Payload) -> None:
        """Cut an item's audio to what was heard; refuse a place behind its end, as the provider does."""
        item = self._find_item(request, "item_truncate_invalid_item_id")
        if item is None:
            return
        end_ms = request.get("audio_end_ms")
        output = dict_of(dict_of(self._session, "audio"), "output")
        audio_type = str(dict_of(output, "format").get("type"))
        bytes_per_ms = _BYTES_PER_MS.get(audio_type, _BYTES_PER_MS["audio/pcm"])
        id = str(request["item_id"])
        length_ms = self._audio_sizes.get(id, 0) // bytes_per_ms
        if not isinstance(end_ms, int) or end_ms < 0:
            message = f"Invalid value for 'audio_end_ms': {end_ms}."
            self.refuse(message, code="invalid_value", param="audio_end_ms", request=request)
        elif end_ms > length_ms:
            message = f"Audio content of {length_ms}ms is already shorter than {end_ms}ms"
            self.refuse(message, code="invalid_value", param="audio_end_ms", request=request)
        else:
            self._audio_sizes[id] = end_ms * bytes_per_ms
            self._say(
                "conversation.item.truncated",
                item_id=id,
                content_index=request.get("content_index", 0),
                audio_end_ms=end_ms,
            )

    def _commit_audio(self, request: Payload) -> None:
        id = self.store.make_id("item_client")
        previous = next(reversed(self._items), None)
        self._say("input_audio_buffer.committed", item_id=id, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        self._add_item({"item": {"id": id, "type": "message", "role": "user", "content": content}})

    def _find_item(self, request: Payload, code: str) -> Payload | None:
        """Return the item that a request names; None if there is none, which is an error with `code`."""
        id = request.get("item_id")
        item = self._items.get(str(id))
        if item is None:
            message = f"Item with item_id not found: {id}"
            self.refuse(message, code=code, param="item_id", request=request)
        return item

    # -- what the server sends ---------------------------------------------

    def refuse(self, message: str, *, code: str, request: Payload, **details: str) -> None:
        """Send an error; the session goes on."""
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, **details}
        self._say("error", error={**error, "event_id": request.get("event_id")})

    def refuse_answer(self, status: int, error: Payload, asked: Payload) -> None:
        """Send an error in place of a response."""
        self._say("error", error={"param": None, **error, "event_id": asked.get("event_id")})

    def _say(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        self.send(self._event(kind, **fields))

    def _event(self, kind: str, **fields: Any) -> Payload:  # noqa: ANN401 - JSON
        return {"type": kind, "event_id": self.store.make_id("event_server"), **fields}

    # -- what an answer says -----------------------------------------------

    def is_greeting(self, message: Payload) -> bool:
        """Return True for the message that begins a session."""
        return text_of(message, "type") in {"session.created", "conversation.created"}

    def keeps_rest(self, turn: PlayedAnswer) -> bool:
        """Return True if another response follows, and not only messages of the session."""
        return any(b'"response.created"' in data for _, data in turn.messages)

    def ends_turn(self, turn: PlayedAnswer, message: Payload) -> bool:
        """Return True if a response ends with a message."""
        kind = text_of(message, "type")
        # An error before its response has begun is the whole answer.
        return kind == "response.done" or (kind == "error" and not turn.response)

    def note(self, turn: PlayedAnswer, message: Payload) -> None:
        """Keep the response, its items and the length of its audio."""
        kind = text_of(message, "type")
        turn.response = dict_of(message, "response") or turn.response
        if item := dict_of(message, "item"):
            self._items[str(item.get("id"))] = item
            if kind == "response.output_item.done":
                turn.output.append(item)
        if kind == "response.output_audio.delta":
            id = str(message.get("item_id"))
            self._audio_sizes[id] = self._audio_sizes.get(id, 0) + _audio_size(message.get("delta"))


def _ignore(request: Payload) -> None:
    """Do nothing: the provider does not answer such a message, either."""


def _audio_size(delta: object) -> int:
    """Return the number of bytes of a piece of audio."""
    try:
        return len(binascii.a2b_base64(str(delta)))
    except binascii.Error:
        return 0


def _merge(old: Payload, update: Payload) -> Payload:
    """Return an object with the fields of an update, which are merged at every depth."""
    merged = dict(old)
    for name, value in update.items():
        before = merged.get(name)
        if is_dict(before) and is_dict(value):
            merged[name] = _merge(before, value)
        else:
            merged[name] = value
    return merged
