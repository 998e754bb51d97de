"""The server's side of a session, without any I/O: messages and times in, messages out.

A session plays one answer for each turn that the client asks for. While it plays an
answer, it obeys what the client sends, such as the cancellation of the answer.
"""

from __future__ import annotations

import json
import math
import string
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, ClassVar, NamedTuple, TypeAlias

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.loose import Json, JsonObject
from tokenstream._basics.untrusted import dict_of, is_dict, is_list
from tokenstream._connection.head import LOWEST_ERROR_STATUS
from tokenstream.errors import MisuseError
from tokenstream.framing import SSEParser
from tokenstream.testing._recordings.frames import object_of
from tokenstream.testing._recordings.recording import Arrival, Breaks, Recording
from tokenstream.testing._recordings.replay import apply_chunking
from tokenstream.testing._serve.replies import Request

_ID_FIELDS = frozenset({"id", "item_id", "response_id", "call_id", "event_id", "previous_item_id"})
"""Fields of a message that contain ids."""
_MOST_DIGITS = 15
"""Digits at the end of an id that are read as its number; Python converts a few thousand at most."""

AnswerChooser: TypeAlias = Callable[[Request], Recording]


class SessionStore:
    """Keeps the responses and the handles of a server's sessions, and the ids that were used.

    All methods may be called from any thread.

    Args:
        steers: True if answers take input while they are played.
    """

    def __init__(self, *, steers: bool = False) -> None:
        self.steers = steers
        """True if answers take input while they are played."""
        self._lock = threading.Lock()
        self._used_ids: set[str] = set()
        self._last_numbers: dict[str, int] = {}
        """The last number that was given to an id, for each beginning of ids."""
        self.responses: dict[str, list[JsonObject]] = {}
        """The conversation up to each stored response, by its id."""
        self.handles: dict[str, list[JsonObject]] = {}
        """The conversation of each session that can be resumed, by its handle."""
        self._numbers = count(1)

    def make_id(self, prefix: str) -> str:
        return self.reserve(f"{prefix}_{next(self._numbers)}")

    def reserve(self, id: str) -> str:
        """Return an id if no answer has used it yet; otherwise one with the next free number."""
        with self._lock:
            if id in self._used_ids:
                head = id.rstrip(string.digits)
                prefix, digits = head.removesuffix("_"), id[len(head) :][-_MOST_DIGITS:]
                number = max(self._last_numbers.get(prefix, 0), int(digits or 1))
                while id in self._used_ids:
                    number += 1
                    id = f"{prefix}_{number}"
                self._last_numbers[prefix] = number
            self._used_ids.add(id)
            return id


class AnswerIds:
    """The ids of one answer, which differ from those of all earlier answers of the server.

    A script has the same ids each time it is played; a provider never uses an id twice.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._ids: dict[str, str] = {}
        """Maps each id in the recording to the id that is sent."""

    def rewrite(self, message: Json) -> bool:
        """Replace the ids in a message; return True if one of them has changed."""
        changed = False
        pending = [message]
        while pending:
            current = pending.pop()
            if is_list(current):
                pending += current
            elif is_dict(current):
                for name, item in current.items():
                    if not isinstance(item, str):
                        pending.append(item)
                    elif name in _ID_FIELDS and item != (replacement := self._of(item)):
                        current[name] = replacement
                        changed = True
        return changed

    def _of(self, id: str) -> str:
        if id not in self._ids:
            self._ids[id] = self._store.reserve(id)
        return self._ids[id]


@dataclass(slots=True)
class PlayedAnswer:
    asked: JsonObject
    """The client's message that asked for it."""
    lane: str
    """Answers with the same lane follow one another; others may be played at the same time."""
    recording: Recording
    messages: deque[tuple[float, bytes]]
    """The messages that remain, each with the time at which it is sent."""
    ids: AnswerIds
    response: JsonObject = field(default_factory=dict[str, Any])
    """The answer as its last message describes it."""
    output: list[JsonObject] = field(default_factory=list[JsonObject])


class Break(NamedTuple):
    """The way in which the server ends the connection."""

    kind: Breaks
    close_frame: tuple[int, str] | None = None
    """Code and reason of the closing frame; None to send none."""
    half: bytes = b""
    """For the kind "half": the message of which only a half is sent."""


class ServedSession:
    """The server's side of one session.

    Args:
        handshake: The request that opened the WebSocket.
        choose_answer: Returns the answer to a request of the client's; raises `MisuseError` if
            there is none.
        store: What the server keeps beyond a connection.
    """

    format: ClassVar[str]

    def __init__(self, handshake: Request, choose_answer: AnswerChooser, store: SessionStore) -> None:
        self._handshake = handshake
        self._choose_answer = choose_answer
        self.store = store
        self.turns: dict[str, PlayedAnswer] = {}
        """The answers that are being played, by lane."""
        self.now = 0.0
        """Time of the current call."""
        self._out: deque[bytes] = deque()
        self._remaining: tuple[Recording, AnswerIds] | None = None
        """The later turns of a recording that has several."""
        self._waiting: dict[str, deque[JsonObject]] = {}
        """Requests that wait for the end of the answer before them, by lane."""
        self.ending: Break | None = None
        """The way in which the connection ends once all messages have been taken; None to keep it open."""

    # -- for the driver ----------------------------------------------------

    def start(self, now: float) -> None:
        """Begin the session, at a time in seconds."""
        self.now = now
        self.greet()

    def receive(self, message: str | bytes, now: float) -> None:
        """Act on a message of the client."""
        self.now = now
        try:
            payload = json.loads(message)
            if is_dict(payload):
                self.handle(payload)
                return
        except (ValueError, RecursionError):
            # It is no JSON, or is nested too deeply to be sent back.
            pass
        self.refuse("the message is not a JSON object", code="invalid_json", request={})

    def take(self, now: float) -> list[bytes]:
        """Return the messages to send now."""
        self.now = now
        taken: list[bytes] = []
        while not self.ending:
            if self._out:
                taken.append(self._out.popleft())
            elif (data := self._next_message()) is not None:
                # An empty one is not sent.
                taken += [data] if data else []
            else:
                break
        # The messages before the end of the connection are still sent.
        return [*taken, *self._out] if self.ending else taken

    @property
    def deadline(self) -> float:
        """Time at which `take` next returns a message; infinity if it depends on the client."""
        if self._out or self.ending:
            return -math.inf
        turn = self._next_turn
        return math.inf if turn is None else turn.messages[0][0]

    @property
    def turn(self) -> PlayedAnswer | None:
        """The answer that is being played in the usual lane, which has no name; None between two turns."""
        return self.turns.get("")

    # -- for the protocols to override -------------------------------------

    def greet(self) -> None:
        """Send the first message of the session, if the protocol has one."""

    def handle(self, request: JsonObject) -> None:
        """Act on a message of the client."""
        raise NotImplementedError

    def converse(self, asked: JsonObject) -> list[JsonObject]:
        """Return the conversation up to the answer to a message of the client."""
        raise NotImplementedError

    def refuse(self, message: str, *, code: str, request: JsonObject, **details: str) -> None:
        """Tell the client that its message was wrong."""
        raise NotImplementedError

    def refuse_answer(self, status: int, error: JsonObject, asked: JsonObject) -> None:
        """Tell the client that its request for an answer has failed with a status of HTTP."""
        raise NotImplementedError

    def is_greeting(self, message: JsonObject) -> bool:
        """Return True for a message that begins a session, and that an answer does not repeat."""
        return False

    def note(self, turn: PlayedAnswer, message: JsonObject) -> None:
        """Keep what a message of an answer says."""
        raise NotImplementedError

    def ends_turn(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        """Return True if the turn ends with a message."""
        raise NotImplementedError

    def ends_answer(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        """Return True if nothing of the answer follows a message, even if the client sends what it wants."""
        return self.ends_turn(turn, message)

    def edit(self, turn: PlayedAnswer, message: JsonObject) -> bool:
        """Change a message of an answer as the request wants it; return True if it was changed."""
        return False

    def finish_turn(self, turn: PlayedAnswer) -> None:
        """Act on the end of an answer."""

    def keeps_rest(self, turn: PlayedAnswer) -> bool:
        """Return True if the messages after the end of a turn are the next turn, not only of the session."""
        return any(b'"response.created"' in data for _, data in turn.messages)

    # -- for the protocols to call -----------------------------------------

    def send(self, message: JsonObject) -> None:
        """Send a message at once."""
        self._out.append(to_json_bytes(message))

    def ask(self, request: JsonObject, lane: str = "") -> None:
        """Play the next answer, after the current one of the same lane if there is one."""
        self._waiting.setdefault(lane, deque()).append(request)
        self._begin_waiting(lane)

    def ask_first(self, request: JsonObject, lane: str) -> None:
        """Play the next answer once the current one of the lane has ended, before any other that waits."""
        self._waiting.setdefault(lane, deque()).appendleft(request)

    def may_begin(self, request: JsonObject) -> bool:
        """Return True if an answer can be given to a request; otherwise refuse the request."""
        return True

    def find_turn(self, response_id: object, lane: str = "") -> PlayedAnswer | None:
        """Return the answer with an id; without an id, the answer of a lane; None if there is none."""
        if response_id is None:
            return self.turns.get(lane)
        turns = (turn for turn in self.turns.values() if turn.response.get("id") == response_id)
        return next(turns, None)

    def cancel(self, turn: PlayedAnswer, *ending: JsonObject) -> None:
        """End an answer early, with the late messages that its recording asks for."""
        late = turn.recording.late
        while turn.messages:
            _, data = turn.messages.popleft()
            message = object_of(data)
            if message is not None and self.ends_answer(turn, message):
                break
            if late > 0 and (data := self._prepare(turn, data, message)):
                self._out.append(data)
                late -= 1
        for each in ending:
            self.send(each)
        self._keep_rest(turn)
        # Without later turns, the way in which the recording breaks was part of the answer.
        self._end_turn(turn)

    def forget_rest(self) -> None:
        """Forget the later turns of a recording that has several."""
        self._remaining = None

    def close(self, code: int, reason: str) -> None:
        """Close the connection, after the messages that were sent."""
        self.ending = Break("close", (code, reason))

    # -- within ------------------------------------------------------------

    @property
    def _next_turn(self) -> PlayedAnswer | None:
        """The answer whose next message is due first; None if none has messages left."""
        turns = [turn for turn in self.turns.values() if turn.messages]
        return min(turns, key=lambda turn: turn.messages[0][0], default=None)

    def _begin_waiting(self, lane: str) -> None:
        """Play the next answer for which a client has asked in a lane, unless one is being played there."""
        waiting = self._waiting.get(lane, deque[JsonObject]())
        while waiting and lane not in self.turns:
            request = waiting.popleft()
            if self.may_begin(request):
                self._begin(request, lane)

    def _begin(self, asked: JsonObject, lane: str) -> None:
        if self._remaining is not None:
            (recording, ids), self._remaining = self._remaining, None
        else:
            try:
                known = self.converse(asked)
                request = replace(self._handshake, body=to_json_bytes(asked), conversation=known)
                recording = self._choose_answer(request)
                ids = AnswerIds(self.store)
            except MisuseError as error:
                self.refuse_answer(500, {"type": "server_error", "code": None, "message": str(error)}, asked)
                return
        if recording.status >= LOWEST_ERROR_STATUS:
            unknown = {"type": "server_error", "code": None, "message": f"HTTP status {recording.status}"}
            sent = dict_of(object_of(recording.body) or {}, "error")
            self.refuse_answer(recording.status, sent or unknown, asked)
            return
        messages = deque((self.now + at, data) for at, data in _messages_of(recording))
        self.turns[lane] = turn = PlayedAnswer(asked, lane, recording, messages, ids)
        if not messages:
            self._conclude(turn)

    def _next_message(self) -> bytes | None:
        """Return the next message of an answer, which may be empty; None if none is due."""
        turn = self._next_turn
        if turn is None or self.deadline > self.now:
            return None
        _, data = turn.messages.popleft()
        message = object_of(data)
        ends = message is not None and self.ends_turn(turn, message)
        data = self._prepare(turn, data, message)
        if not turn.messages and turn.recording.breaks == "half":
            self.ending = Break("half", half=data)
            return None
        if ends and (turn.messages or turn.recording.breaks is None):
            self._keep_rest(turn)
            self._end_turn(turn)
        elif not turn.messages:
            self._conclude(turn)
        return data

    def _prepare(self, turn: PlayedAnswer, data: bytes, message: JsonObject | None) -> bytes:
        """Return a message as it is sent, empty to send nothing."""
        if message is None:
            return data
        if self.is_greeting(message):
            return b""
        # Both must be called.
        changed = [turn.ids.rewrite(message), self.edit(turn, message)]
        self.note(turn, message)
        return to_json_bytes(message) if any(changed) else data

    def _keep_rest(self, turn: PlayedAnswer) -> None:
        """Keep the messages after the end of a turn for the client's next request."""
        if turn.messages and (turn.recording.breaks is not None or self.keeps_rest(turn)):
            begin = turn.messages[0][0]
            rest = tuple(Arrival(at - begin, data) for at, data in turn.messages)
            self._remaining = turn.recording.replaced(arrivals=rest, messages=True), turn.ids

    def _conclude(self, turn: PlayedAnswer) -> None:
        """End the connection as the recording says, or else the turn."""
        breaks = turn.recording.breaks
        if breaks is None:
            self._end_turn(turn)
        elif breaks != "stall":
            # A frame of nothing cannot be halved.
            kind = "close" if breaks == "half" else breaks
            self.ending = Break(kind, turn.recording.close_frame)

    def _end_turn(self, turn: PlayedAnswer) -> None:
        """Forget an answer, and begin the next one for which the client has asked in its lane."""
        del self.turns[turn.lane]
        self.finish_turn(turn)
        self._begin_waiting(turn.lane)


def _messages_of(recording: Recording) -> list[Arrival]:
    """Return the messages of an answer, of which the client has to get each in one piece."""
    if recording.messages:
        return [Arrival(at, data.rstrip(b"\r\n")) for at, data in recording.arrivals]
    parser = SSEParser()
    return [
        Arrival(at, event.payload)
        for at, chunk in apply_chunking(recording, "events").arrivals
        for event in parser.feed(chunk)
        if event.payload not in {b"", b"[DONE]"}
    ]
