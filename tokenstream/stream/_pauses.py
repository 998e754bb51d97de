"""Pauses of an answer: the request that goes on after one, and reports on the stretches between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._providers.apis import APIRecord, PauseRecord, api_named
from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.message import Message, Usage
from tokenstream.turns._drop import turn_method

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Finish

_NO_ID = "the answer that it is about has no id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A stretch of an answer that was paused: what one request has brought, up to a pause or to the end.

    Example:
        >>> leg = Leg(id="msg_1", reason="pause_turn", parts=2)
        >>> leg.reason, leg.first_part, bool(leg.usage)
        ('pause_turn', 0, False)
    """

    id: str | None = None
    """The provider's id of this stretch, while the message keeps the first one; None if it has none yet."""
    model: str | None = None
    """The model that wrote it, by the provider's own word; None if that is not known yet."""
    reason: str | None = None
    """The provider's word for its end, such as "pause_turn"; None before that."""
    first_part: int = 0
    """Index of the message's part with which it begins."""
    parts: int = 0
    """Number of the message's parts that it has brought."""
    usage: Usage = field(default_factory=Usage)
    """The token counts of its requests; the message has the sum of those of all legs."""
    why: str | None = None
    """Reason why the answer did not go on after this pause; None if it did, or if this was no pause."""


@dataclass(frozen=True, slots=True)
class PausedAnswer:
    """An answer that its provider has paused, and the way to ask for the rest of it."""

    message: Message
    """The answer so far, of all legs."""
    id: str | None
    """The provider's id of the last leg."""
    finish: Finish
    """The pause, which was not reported as the end of the answer."""
    first_part: int = 0
    """Index of the part with which the last leg has begun."""
    token: str | None = None
    """The token with which the last leg was requested; None if it needed none."""

    def why_not(self, payload: object) -> str | None:
        """Return the reason why no request goes on after this pause; None if one does."""
        api = api_named(self.message.format)
        if api is None or api.pause is None:
            return f"answers of {self.message.format} do not go on after a pause"
        if any(call.complete for call in self.message.tool_calls):
            # The next request needs the results of these calls.
            return "it has calls of the application's tools, whose results the next request needs"
        if api.pause.token is None:
            return self._why_no_turn(api, payload)
        return self._why_no_token(api.pause, api.pause.token, payload)

    def _why_no_turn(self, api: APIRecord, payload: object) -> str | None:
        """Return the reason why the answer cannot be sent back as a turn; None if it can."""
        if len(self.message.parts) <= self.first_part:
            return "it has brought nothing since the last request"
        if payload is not None and not _has_turns(payload, api):
            return "the request was not given as json={…} with turns"
        if is_dict(payload) and payload.get("compaction") is not None:
            # Each such request only compacts, and the model never answers it.
            return "the request asks for a compaction alone"
        try:
            self._write_turn()
        except NotExpressible as error:
            return str(error)
        return None

    def _why_no_token(self, pause: PauseRecord, field: str, payload: object) -> str | None:
        """Return the reason why no token goes on with the answer; None if one does."""
        token = self._find_token(field)
        if token is None:
            return "the server has sent no token with which to go on"
        if token == self.token:
            return "it has brought the token that it was requested with, and so got no further"
        if payload is not None and not is_dict(payload):
            return "the request was not given as json={…}"
        return _NO_ID if _needs_parent(pause, payload) and self.id is None else None

    def write_request(self, payload: JsonObject) -> JsonObject:
        """Return the next request, made from the first one; see `Attempt.request`."""
        api = api_named(self.message.format)
        if api is None or api.pause is None or not is_dict(payload):
            raise MisuseError("only a dict, with the fields of the API's requests, can go on after a pause")
        if api.pause.token is not None:
            return self._add_token(api.pause, api.pause.token, payload)
        if not _has_turns(payload, api):
            raise MisuseError("the request has no list of turns, to which the answer so far can be added")
        turns = "messages" if api.request is None else api.request.turns
        written = {**payload, turns: [*payload[turns], self._write_turn()]}
        container = None if api.pause.carried is None else self._find_container(api.pause.carried)
        if api.pause.carried is not None and container is not None:
            given = payload.get(api.pause.carried)
            # The skills of a container are given beside its id.
            written[api.pause.carried] = {**given, "id": container} if is_dict(given) else container
        return written

    def _write_turn(self) -> JsonObject:
        """Return the assistant's turn with the whole answer so far, unchanged."""
        # A call of a server's tool is sent without its result only after a proper end, which this pause is.
        ended = self.message.model_copy(update={"ending": "complete"})
        turn: JsonObject = getattr(ended, turn_method(self.message.format) or "")()
        return turn

    def _add_token(self, pause: PauseRecord, field: str, payload: JsonObject) -> JsonObject:
        """Return the request with the token, and with the answer that it is from in place of the input."""
        name = next((key for key in payload if _is_same_name(key, field)), field)
        written = {**payload, name: self._find_token(field)}
        if pause.parent is not None and _needs_parent(pause, payload):
            written.pop("input", None)
            written[pause.parent] = self.id
        return written

    def _find_token(self, field: str) -> str | None:
        """Return the token that the answer has brought last; None if it has brought none."""
        token = self.message.provider_data.get(field)
        return token if isinstance(token, str) and token else None

    @property
    def own_token(self) -> str | None:
        """The token that the next request sends; None if it sends none."""
        api = api_named(self.message.format)
        field = None if api is None or api.pause is None else api.pause.token
        return None if field is None else self._find_token(field)

    def _find_container(self, field: str) -> str | None:
        """Return the id of the container in which the answer's code runs; None if there is none."""
        container = self.message.provider_data.get(field)
        named = container.get("id") if is_dict(container) else container
        return named if isinstance(named, str) and named else None


def _has_turns(payload: object, api: APIRecord) -> bool:
    return is_dict(payload) and api.request is not None and is_list(payload.get(api.request.turns))


def _needs_parent(pause: PauseRecord, payload: object) -> bool:
    """Return True if a request names the answer before it, because the server has stored its input."""
    return pause.parent is not None and is_dict(payload) and payload.get("store") is not False


def _is_same_name(key: str, name: str) -> bool:
    """Return True for the same name: Google accepts camel case as well as underscores."""
    return key.replace("_", "").lower() == name.replace("_", "").lower()
