"""The server's side of the Gemini Live API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict
from tokenstream.formats._wire.gemini_live.words import SNAKE
from tokenstream.testing._serve.sessions.session import ServedSession

if TYPE_CHECKING:
    from tokenstream.testing._serve.sessions.session import Payload, PlayedAnswer

_INVALID = 1007
"""Code with which the connection is closed after a message that is wrong."""
_REFUSED = 1008
_FAILED = 1011
_MAX_REASON = 120
"""Longest reason of a closing frame, in bytes."""
_CONTENT = frozenset({"modelTurn", "outputTranscription"})
"""Fields of `serverContent` that belong to an answer, in contrast to those that end it."""


class GeminiLiveSession(ServedSession):
    """A session with one conversation, which may be resumed on another connection."""

    format: ClassVar[str] = "gemini-live"

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(*args)
        self._is_set_up = False
        self._resumption: Payload | None = None
        """The client's wish to be told handles; None without it."""
        self._consumed = 0
        """Number of the client's messages after the setup."""
        self._open_calls: list[str] = []
        """Ids of the calls whose results the model waits for."""

    # -- what the client sends ---------------------------------------------

    def handle(self, request: Payload) -> None:
        """Act on a message of the client, whose fields may be in camelCase or in snake_case."""
        request = _to_camel_case(request)
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
            if content.get("turnComplete"):
                self.ask(request)
        elif is_dict(result := request.get("toolResponse")):
            self._take_results(result, request)
        elif is_dict(said := request.get("realtimeInput")):
            if "activityStart" in said or "text" in said:
                self._interrupt()
            if "text" in said or "activityEnd" in said or "audioStreamEnd" in said:
                self.ask(request)
        else:
            self.close(_INVALID, "setup must be the first message and only the first")

    def _set_up(self, setup: Payload) -> None:
        """Begin the session, or resume the one that a handle names."""
        resumption = setup.get("sessionResumption")
        self._resumption = resumption if is_dict(resumption) else None
        handle = None if self._resumption is None else self._resumption.get("handle")
        if handle is not None and str(handle) not in self.store.handles:
            self.close(_REFUSED, "BidiGenerateContent session not found")
            return
        self._is_set_up = True
        self.send({"setupComplete": {}})
        self._tell_handle()

    def _tell_handle(self) -> None:
        """Send a new handle, if the client wants one."""
        if self._resumption is None:
            return
        handle = self.store.make_id("handle")
        self.store.handles.add(handle)
        update: Payload = {"newHandle": handle, "resumable": True}
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

    def _take_results(self, result: Payload, request: Payload) -> None:
        """Go on with the answer once the results of all calls have come."""
        ids = {str(each.get("id")) for each in dicts_of(result.get("functionResponses"))}
        self._open_calls = [id for id in self._open_calls if id not in ids]
        if not self._open_calls:
            self.ask(request)

    def refuse(self, message: str, *, code: str, request: Payload, **details: str) -> None:
        """Close the connection: this protocol has no messages for errors."""
        self.close(_INVALID, message)

    def refuse_answer(self, status: int, error: Payload, asked: Payload) -> None:
        """Close the connection."""
        reason = str(error.get("message")).encode()[:_MAX_REASON].decode(errors="ignore")
        self.close(_FAILED, reason)

    # -- what an answer says -----------------------------------------------

    def is_greeting(self, message: Payload) -> bool:
        """Return True for the message that begins a session."""
        return "setupComplete" in message

    def note(self, turn: PlayedAnswer, message: Payload) -> None:
        """Keep the ids of calls."""
        calls = dicts_of(dict_of(message, "toolCall").get("functionCalls"))
        self._open_calls += [str(call.get("id")) for call in calls]

    def ends_turn(self, turn: PlayedAnswer, message: Payload) -> bool:
        """Return True if the model ends its turn with a message, or then waits for the results of calls."""
        if dicts_of(dict_of(message, "toolCall").get("functionCalls")):
            # Several calls may come in several messages.
            return not (turn.messages and b'"toolCall"' in turn.messages[0][1])
        return self.ends_answer(turn, message)

    def ends_answer(self, turn: PlayedAnswer, message: Payload) -> bool:
        """Return True if the model ends its turn with a message."""
        return bool(dict_of(message, "serverContent").get("turnComplete"))

    def keeps_rest(self, turn: PlayedAnswer) -> bool:
        """Return False if, after a call, the rest of a script is only the end of its turn.

        The next answer is then what the model says with the results.
        """
        return any(_has_content(data) for _, data in turn.messages)

    def finish_turn(self, turn: PlayedAnswer) -> None:
        """Send a new handle, unless the model waits for results."""
        if not self._open_calls:
            self._tell_handle()


def _has_content(data: bytes) -> bool:
    """Return True if a message of the server belongs to an answer and does not merely end it."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return True
    if not is_dict(message):
        return True
    return "toolCall" in message or not _CONTENT.isdisjoint(dict_of(message, "serverContent"))


def _to_camel_case(value: Any, depth: int = 3) -> Any:  # noqa: ANN401 - JSON
    """Return a message with the names of its fields in camelCase, down to a depth."""
    if not is_dict(value) or not depth:
        return value
    return {
        SNAKE.sub(lambda match: match[1].upper(), name): _to_camel_case(item, depth - 1)
        for name, item in value.items()
    }
