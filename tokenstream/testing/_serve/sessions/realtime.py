"""The server's side of sessions in which a model listens: OpenAI's Realtime API, and Gemini Live."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of
from tokenstream.formats._kit.values import camel_case
from tokenstream.testing._recordings.frames import object_of
from tokenstream.testing._serve.sessions.session import PlayedAnswer, ServedSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject

_BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
"""Bytes of a millisecond of audio, for each format; PCM has 24,000 samples a second, of two bytes each."""

_INVALID = 1007
"""Code with which the connection is closed after a message that is wrong."""
_REFUSED = 1008
_FAILED = 1011
_MAX_REASON = 120
"""Longest reason of a closing frame, in bytes."""
_CONTENT = frozenset({"modelTurn", "outputTranscription"})
"""Fields of `serverContent` that belong to an answer, in contrast to those that end it."""


class RealtimeSession(ServedSession):
    """A session with one conversation."""

    format = "openai-realtime"

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(*args)
        self._items: dict[str, JsonObject] = {}
        self._audio_sizes: dict[str, int] = {}
        """The bytes of audio that were sent for an item, by the item's id."""
        audio_format = {"type": "audio/pcm", "rate": 24000}
        self._session: JsonObject = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.store.make_id("sess"),
            "model": "scripted-1",
            "output_modalities": ["audio"],
            "audio": {"input": {"format": audio_format}, "output": {"format": audio_format}},
        }
        self._actions: dict[str, Callable[[JsonObject], None]] = {
            "session.update": self._update,
            "response.create": self._create,
            "response.cancel": self._cancel,
            "conversation.item.create": self._add_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate_item,
            # The provider does not answer such a message, either.
            "input_audio_buffer.append": lambda _: None,
            "input_audio_buffer.commit": self._commit_audio,
            "input_audio_buffer.clear": lambda _: self._say("input_audio_buffer.cleared"),
        }

    def greet(self) -> None:
        self._say("session.created", session=self._session)

    # -- what the client sends ---------------------------------------------

    def handle(self, request: JsonObject) -> None:
        action = self._actions.get(str(request.get("type")))
        if action is None:
            supported = ", ".join(f"'{name}'" for name in self._actions)
            message = f"Invalid value: '{request.get('type')}'. Supported values are: {supported}."
            self.refuse(message, code="invalid_value", param="type", request=request)
        else:
            action(request)

    def _update(self, request: JsonObject) -> None:
        self._session = _update_object(self._session, dict_of(request, "session"))
        self._say("session.updated", session=self._session)

    def _create(self, request: JsonObject) -> None:
        if dict_of(request, "response").get("conversation") == "none":
            # A response outside the conversation may be created while another one is.
            self.ask(request, self.store.make_id("lane"))
        elif self.turn is not None:
            id = self.turn.response.get("id")
            message = f"Conversation already has an active response in progress: {id}."
            self.refuse(message, code="conversation_already_has_active_response", request=request)
        else:
            self.ask(request)

    def _cancel(self, request: JsonObject) -> None:
        turn = self.find_turn(request.get("response_id"))
        if turn is None:
            message = "Cancellation failed: no active response found"
            self.refuse(message, code="response_cancel_not_active", request=request)
            return
        details = {"type": "cancelled", "reason": "client_cancelled"}
        fields = {"status": "cancelled", "status_details": details, "output": turn.output}
        begun = turn.response or {"id": self.store.make_id("resp_cancelled"), "object": "realtime.response"}
        self.cancel(turn, self._event("response.done", response={**begun, **fields}))

    def _add_item(self, request: JsonObject) -> None:
        item = request.get("item")
        if not is_dict(item):
            message = "Missing required parameter: 'item'."
            self.refuse(message, code="missing_required_parameter", param="item", request=request)
            return
        item = {"id": self.store.make_id("item_client"), "object": "realtime.item", **item}
        item.setdefault("status", "completed")
        previous = request.get("previous_item_id") or next(reversed(self._items), None)
        self._items[str(item["id"])] = item
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._say(kind, previous_item_id=previous, item=item)

    def _retrieve_item(self, request: JsonObject) -> None:
        item = self._find_item(request, "item_retrieve_invalid_item_id")
        if item is not None:
            self._say("conversation.item.retrieved", item=item)

    def _delete_item(self, request: JsonObject) -> None:
        item = self._find_item(request, "item_delete_invalid_item_id")
        if item is not None:
            del self._items[str(request["item_id"])]
            self._say("conversation.item.deleted", item_id=request["item_id"])

    def _truncate_item(self, request: JsonObject) -> None:
        """Cut an item's audio to what was heard; refuse a place after its end, as the provider does."""
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
            index = request.get("content_index", 0)
            self._say("conversation.item.truncated", item_id=id, content_index=index, audio_end_ms=end_ms)

    def _commit_audio(self, request: JsonObject) -> None:
        id = self.store.make_id("item_client")
        previous = next(reversed(self._items), None)
        self._say("input_audio_buffer.committed", item_id=id, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        self._add_item({"item": {"id": id, "type": "message", "role": "user", "content": content}})

    def _find_item(self, request: JsonObject, code: str) -> JsonObject | None:
        """Return the item that a request names; None if there is none, which is an error with `code`."""
        id = request.get("item_id")
        item = self._items.get(str(id))
        if item is None:
            message = f"Item with item_id not found: {id}"
            self.refuse(message, code=code, param="item_id", request=request)
        return item

    # -- what the server sends ---------------------------------------------

    def converse(self, asked: JsonObject) -> list[JsonObject]:
        return list(self._items.values())

    def refuse(self, message: str, *, code: str, request: JsonObject, **details: str) -> None:
        """Send an error; the session goes on."""
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, **details}
        self._say("error", error={**error, "event_id": request.get("event_id")})

    def refuse_answer(self, status: int, error: JsonObject, asked: JsonObject) -> None:
        self._say("error", error={"param": None, **error, "event_id": asked.get("event_id")})

    def _say(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        self.send(self._event(kind, **fields))

    def _event(self, kind: str, **fields: Any) -> JsonObject:  # noqa: ANN401 - JSON
        return {"type": kind, "event_id": self.store.make_id("event_server"), **fields}

    # -- what an answer says -----------------------------------------------

    def is_greeting(self, message: JsonObject) -> bool:
        return text_of(message, "type") in {"session.created", "conversation.created"}

    def ends_turn(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        kind = text_of(message, "type")
        # An error before its response has begun is the whole answer.
        return kind == "response.done" or (kind == "error" and not turn.response)

    def note(self, turn: PlayedAnswer, message: JsonObject) -> None:
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


def _audio_size(delta: object) -> int:
    try:
        return len(binascii.a2b_base64(str(delta)))
    except binascii.Error:
        return 0


def _update_object(old: JsonObject, update: JsonObject) -> JsonObject:
    """Return an object with the fields of an update, which are merged at every depth."""
    merged = dict(old)
    for name, value in update.items():
        before = merged.get(name)
        merged[name] = _update_object(before, value) if is_dict(before) and is_dict(value) else value
    return merged


class GeminiLiveSession(ServedSession):
    """A session with one conversation, which may be resumed on another connection."""

    format = "gemini-live"

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(*args)
        self._is_set_up = False
        self._resumption: JsonObject | None = None
        """The client's wish to get handles; None without it."""
        self._turns: list[JsonObject] = []
        self._consumed = 0
        """Number of the client's messages after the setup."""
        self._open_calls: list[str] = []
        """Ids of the calls whose results the model waits for."""

    # -- what the client sends ---------------------------------------------

    def handle(self, request: JsonObject) -> None:
        """Act on a message of the client, whose fields may be in camelCase or in snake_case."""
        request = _write_camel_case(request)
        setup = request.get("setup")
        if not self._is_set_up:
            if is_dict(setup):
                self._set_up(setup)
            else:
                self.close(_INVALID, "setup must be the first message and only the first")
            return
        self._consumed += 1
        if is_dict(content := request.get("clientContent")):
            self._interrupt()
            self._turns += dicts_of(content.get("turns"))
            if content.get("turnComplete"):
                self.ask(request)
        elif is_dict(result := request.get("toolResponse")):
            responses = dicts_of(result.get("functionResponses"))
            ids = {str(each.get("id")) for each in responses}
            self._open_calls = [id for id in self._open_calls if id not in ids]
            parts = [{"functionResponse": each} for each in responses]
            self._turns.append({"role": "user", "parts": parts})
            if not self._open_calls:
                self.ask(request)
        elif is_dict(given := request.get("realtimeInput")):
            self._hear(given, request)
        else:
            self.close(_INVALID, "setup must be the first message and only the first")

    def _hear(self, given: JsonObject, request: JsonObject) -> None:
        """Act on input that comes while the user speaks or writes."""
        if "activityStart" in given or "text" in given:
            self._interrupt()
        if "text" in given:
            self._turns.append({"role": "user", "parts": [{"text": given["text"]}]})
        if "text" in given or "activityEnd" in given or "audioStreamEnd" in given:
            self.ask(request)

    def _set_up(self, setup: JsonObject) -> None:
        """Begin the session, or resume the one that a handle names."""
        resumption = setup.get("sessionResumption")
        self._resumption = resumption if is_dict(resumption) else None
        handle = None if self._resumption is None else self._resumption.get("handle")
        if handle is not None and str(handle) not in self.store.handles:
            self.close(_REFUSED, "BidiGenerateContent session not found")
            return
        self._is_set_up = True
        self._turns = list(self.store.handles.get(str(handle), []))
        self.send({"setupComplete": {}})
        self.tell_handle()

    def converse(self, asked: JsonObject) -> list[JsonObject]:
        return list(self._turns)

    def tell_handle(self) -> None:
        """Send a new handle, if the client wants one."""
        if self._resumption is None:
            return
        handle = self.store.make_id("handle")
        self.store.handles[handle] = list(self._turns)
        update: JsonObject = {"newHandle": handle, "resumable": True}
        if self._resumption.get("transparent"):
            update["lastConsumedClientMessageIndex"] = str(self._consumed)
        self.send({"sessionResumptionUpdate": update})

    def _interrupt(self) -> None:
        """End the current answer early, and cancel the calls whose results the model waits for."""
        turn = self.turn
        if self._open_calls:
            self.send({"toolCallCancellation": {"ids": self._open_calls}})
        elif turn is None:
            return
        self._open_calls = []
        ending = [{"serverContent": {"interrupted": True}}, {"serverContent": {"turnComplete": True}}]
        if turn is None:
            self.forget_rest()
            for message in ending:
                self.send(message)
        else:
            self.cancel(turn, *ending)

    def refuse(self, message: str, *, code: str, request: JsonObject, **details: str) -> None:
        """Close the connection: this protocol has no messages for errors."""
        self.close(_INVALID, message)

    def refuse_answer(self, status: int, error: JsonObject, asked: JsonObject) -> None:
        reason = str(error.get("message")).encode()[:_MAX_REASON].decode(errors="ignore")
        self.close(_FAILED, reason)

    # -- what an answer says -----------------------------------------------

    def is_greeting(self, message: JsonObject) -> bool:
        return "setupComplete" in message

    def note(self, turn: PlayedAnswer, message: JsonObject) -> None:
        calls = dicts_of(dict_of(message, "toolCall").get("functionCalls"))
        self._open_calls += [str(call.get("id")) for call in calls]
        content = dict_of(dict_of(message, "serverContent"), "modelTurn")
        parts = dicts_of(content.get("parts")) + [{"functionCall": call} for call in calls]
        if parts:
            self._turns.append({"role": "model", "parts": parts})

    def ends_turn(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        """Return True if the model ends its turn with a message, or then waits for the results of calls."""
        if dicts_of(dict_of(message, "toolCall").get("functionCalls")):
            # Several calls may come in several messages.
            return not (turn.messages and b'"toolCall"' in turn.messages[0][1])
        return self.ends_answer(turn, message)

    def ends_answer(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        return bool(dict_of(message, "serverContent").get("turnComplete"))

    def keeps_rest(self, turn: PlayedAnswer) -> bool:
        """Return False if, after a call, the rest of a script is only the end of its turn.

        The next answer is then what the model says with the results.
        """
        return any(_has_content(data) for _, data in turn.messages)

    def finish_turn(self, turn: PlayedAnswer) -> None:
        """Send a new handle, unless the model waits for results."""
        if not self._open_calls:
            self.tell_handle()


def _has_content(data: bytes) -> bool:
    """Return True if a message of the server belongs to an answer and does not merely end it."""
    message = object_of(data)
    if message is None or "toolCall" in message:
        return True
    return not _CONTENT.isdisjoint(dict_of(message, "serverContent"))


def _write_camel_case(value: Any, depth: int = 3) -> Any:  # noqa: ANN401 - JSON
    """Return a message with the names of its fields in camelCase, down to a depth."""
    if not is_dict(value) or not depth:
        return value
    return {camel_case(name): _write_camel_case(item, depth - 1) for name, item in value.items()}
