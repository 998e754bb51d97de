"""The server's side of OpenAI's Responses API over a WebSocket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of, text_or_empty
from tokenstream.testing._faults.transport import CONNECTION_LIMITS
from tokenstream.testing._serve.sessions.session import PlayedAnswer, ServedSession

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject

_LIMIT_CODE, _LIMIT_MESSAGE = CONNECTION_LIMITS["openai-responses"]
_ENDS = {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"}
_CONTINUABLE = {"response.completed", "response.incomplete"}
"""Types of the last events of responses that can be continued."""
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_MAX_LANES = 32


class ResponsesSession(ServedSession):
    """A connection on which responses are created one after the other.

    Each connection has a cache of its own responses, beside the responses that the server
    stores unless the request says `"store": false`.
    """

    format = "openai-responses"

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(*args)
        self.cached: dict[str, list[JsonObject]] = {}
        """The conversation up to each response of this connection, by its id."""
        self._lanes: set[str] = set()
        """The values of `stream_id` so far."""
        self._is_expired = False
        """True once the connection has reached its limit: it creates no more responses."""

    # -- what the client sends ---------------------------------------------

    def handle(self, request: JsonObject) -> None:
        kind = request.get("type")
        if kind == "response.create":
            if self._may_use_lane(request):
                self.ask(request, request.get("stream_id") or "")
        elif kind == "response.cancel":
            self._cancel(request)
        elif kind == "response.steer" and self.store.steers:
            self._steer(request)
        else:
            supported = "'response.create' and 'response.cancel'"
            message = f"Invalid value: '{kind}'. Supported values are: {supported}."
            self.refuse(message, code="invalid_value", param="type", request=request)

    def _may_use_lane(self, request: JsonObject) -> bool:
        """Return True if the `stream_id` of a request is valid; otherwise refuse the request."""
        lane = request.get("stream_id")
        if lane is None:
            return True
        if not isinstance(lane, str) or not _LANE.fullmatch(lane):
            message = "stream_id has 1 to 256 letters, digits, underscores, hyphens and periods."
            self.refuse(message, code="invalid_stream_id", request={}, param="stream_id")
            return False
        if lane not in self._lanes and len(self._lanes) >= _MAX_LANES:
            message = f"A connection has at most {_MAX_LANES} different values of stream_id."
            self.refuse(message, code="websocket_stream_limit_reached", request=request, param="stream_id")
            return False
        self._lanes.add(lane)
        return True

    def may_begin(self, request: JsonObject) -> bool:
        """Return True if a response can be created; a warm-up gets its empty response here."""
        parent = request.get("previous_response_id")
        if self._is_expired:
            self.refuse(_LIMIT_MESSAGE, code=_LIMIT_CODE, request=request)
            return False
        is_known = isinstance(parent, str) and (parent in self.cached or parent in self.store.responses)
        if parent is not None and not is_known:
            message = f"Previous response with id '{parent}' not found."
            self.refuse(
                message, code="previous_response_not_found", request=request, param="previous_response_id"
            )
            return False
        if request.get("generate") is False:
            self._warm_up(request)
            return False
        return True

    def _warm_up(self, request: JsonObject) -> None:
        id = self.store.make_id("resp_warm")
        response: JsonObject = {
            "id": id,
            "object": "response",
            "created_at": 0,
            "model": request.get("model"),
            "output": [],
            "previous_response_id": request.get("previous_response_id"),
        }
        for number, status in enumerate(("created", "completed")):
            changed = {**response, "status": "in_progress" if status == "created" else status}
            event = {"type": f"response.{status}", "sequence_number": number, "response": changed}
            self.send(_with_lane(event, request))
        self._keep(id, request, [])

    def _cancel(self, request: JsonObject) -> None:
        """End the current response, which is then neither complete nor continued by another one."""
        turn = self.find_turn(request.get("response_id"), text_or_empty(request, "stream_id"))
        if turn is None:
            self.refuse("There is no active response.", code="response_cancel_not_active", request=request)
            return
        begun = turn.response or {"id": self.store.make_id("resp_cancelled"), "object": "response"}
        response = {**begun, "status": "cancelled", "output": turn.output}
        self.cancel(turn, _with_lane({"type": "response.cancelled", "response": response}, turn.asked))

    def _steer(self, request: JsonObject) -> None:
        """End a response where it is, and follow it with the next answer; refuse what comes too late."""
        target, lane = request.get("previous_response_id"), text_or_empty(request, "stream_id")
        turn = self.find_turn(target, lane)
        if turn is None:
            error = {
                "type": "invalid_request_error",
                "code": "response_already_completed",
                "message": "The response is not in progress.",
            }
            steer = {"id": None, "previous_response_id": target, "input": request.get("input")}
            failed = {"type": "response.steer.failed", "error": error, "steer": steer}
            self.send(_with_lane(failed, request))
            return
        id = str(turn.response.get("id"))
        accepted = {"id": self.store.make_id("steer"), "previous_response_id": id}
        self.send(_with_lane({"type": "response.steer.accepted", "steer": accepted}, turn.asked))
        details = {"status": "incomplete", "incomplete_details": {"reason": "steered"}, "output": turn.output}
        self._keep(id, turn.asked, turn.output)
        self.ask_first({**turn.asked, "previous_response_id": id}, turn.lane)
        ending = {"type": "response.incomplete", "response": {**turn.response, **details}}
        self.cancel(turn, _with_lane(ending, turn.asked))

    def refuse(self, message: str, *, code: str, request: JsonObject, **details: str) -> None:
        """Send an error; the connection stays open."""
        error = {"type": "invalid_request_error", "code": code, "message": message, **details}
        self.send(_with_lane({"type": "error", "status": 400, "error": error}, request))

    def refuse_answer(self, status: int, error: JsonObject, asked: JsonObject) -> None:
        """Send an error in place of a response; the response that was to be continued leaves the cache."""
        self.cached.pop(str(asked.get("previous_response_id")), None)
        self.send(_with_lane({"type": "error", "status": status, "error": error}, asked))

    # -- what an answer says -----------------------------------------------

    def edit(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        """Add the request's lane and the id of the response that it continues; nest an error."""
        changed = False
        if isinstance(turn.asked.get("stream_id"), str):
            message["stream_id"] = turn.asked["stream_id"]
            changed = True
        response = message.get("response")
        parent = turn.asked.get("previous_response_id")
        if is_dict(response) and response.get("previous_response_id") != parent:
            response["previous_response_id"] = parent
            changed = True
        if message.get("type") == "error" and "error" not in message:
            # Over HTTP, the fields of the error are those of the event itself.
            details = {name: message.pop(name) for name in ("code", "message", "param") if name in message}
            message["error"] = {"type": "invalid_request_error", **details}
            changed = True
        return changed

    def ends_turn(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        return text_of(message, "type") in _ENDS

    def note(self, turn: PlayedAnswer, message: JsonObject) -> None:
        kind = text_of(message, "type")
        turn.response = dict_of(message, "response") or turn.response
        if kind == "response.output_item.done":
            turn.output.append(dict_of(message, "item"))
        if kind in _CONTINUABLE:
            self._keep(str(turn.response.get("id")), turn.asked, turn.output)
        if kind == "error":
            self.cached.pop(str(turn.asked.get("previous_response_id")), None)
            self._is_expired = self._is_expired or dict_of(message, "error").get("code") == _LIMIT_CODE

    def converse(self, asked: JsonObject) -> list[JsonObject]:
        """Return the items of the responses that a request continues, and its own input."""
        parent, given = str(asked.get("previous_response_id")), asked.get("input")
        known = self.cached.get(parent) or self.store.responses.get(parent, [])
        items = [{"role": "user", "content": given}] if isinstance(given, str) else dicts_of(given)
        return [*known, *items]

    def _keep(self, id: str, request: JsonObject, output: list[JsonObject]) -> None:
        self.cached[id] = items = [*self.converse(request), *output]
        if request.get("store") is not False:
            self.store.responses[id] = items


def _with_lane(event: JsonObject, request: JsonObject) -> JsonObject:
    lane = request.get("stream_id")
    return event if lane is None else {**event, "stream_id": lane}
