"""The server's side of a session, without any I/O: messages and times in, messages out.

A session plays one answer for each turn that the client asks for. While it plays an
answer, it obeys what the client sends, such as the cancellation of the answer.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, is_dict
from tokenstream.errors import MisuseError
from tokenstream.relay._encoders.encoder import to_json_bytes
from tokenstream.testing._recordings.chunking import apply_chunking
from tokenstream.testing._recordings.recording import Arrival, Recording
from tokenstream.testing._serve.replies import Request
from tokenstream.testing._serve.sessions.store import AnswerIds

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Breaks
    from tokenstream.testing._serve.sessions.store import SessionStore

AnswerChooser: TypeAlias = Callable[[Request], Recording]
Payload: TypeAlias = dict[str, Any]
"""A message as a JSON object."""

_LOWEST_ERROR = 400


@dataclass(slots=True)
class Turn:
    """An answer that is being played."""

    asked: Payload
    """The client's message that asked for it."""
    recording: Recording
    messages: deque[tuple[float, bytes]]
    """The messages that remain, each with the time at which it is sent."""
    ids: AnswerIds
    response: Payload = field(default_factory=dict[str, Any])
    """The answer as its last message describes it."""
    output: list[Payload] = field(default_factory=list[Payload])
    """The items of the answer that are complete."""


@dataclass(frozen=True, slots=True)
class Break:
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
    """The format of the messages."""

    def __init__(self, handshake: Request, choose_answer: AnswerChooser, store: SessionStore) -> None:
        self._handshake = handshake
        self._choose_answer = choose_answer
        self.store = store
        self.turn: Turn | None = None
        """The answer that is being played; None between two turns."""
        self.now = 0.0
        """Time of the current call."""
        self._out: deque[bytes] = deque()
        """Messages to send at once."""
        self._remaining: tuple[Recording, AnswerIds] | None = None
        """The later turns of a recording that has several."""
        self._waiting: deque[Payload] = deque()
        """Requests that wait for the end of the current answer."""
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
            elif (data := self._next_of_turn()) is not None:
                taken.append(data)
            elif not self._is_due:
                break
        # What was to be said before the connection ends.
        return [*taken, *self._out] if self.ending else taken

    @property
    def deadline(self) -> float:
        """Time at which `take` next returns a message; infinity if it depends on the client."""
        if self._out or self.ending:
            return -math.inf
        return self.turn.messages[0][0] if self.turn is not None and self.turn.messages else math.inf

    # -- for the protocols to override -------------------------------------

    def greet(self) -> None:
        """Send the first message of the session, if the protocol has one."""

    def handle(self, request: Payload) -> None:
        """Act on a message of the client."""
        raise NotImplementedError

    def refuse(self, message: str, *, code: str, request: Payload, **details: str) -> None:
        """Tell the client that its message was wrong.

        Args:
            request: The client's message.
            details: Further fields of the error.
        """
        raise NotImplementedError

    def refuse_answer(self, status: int, error: Payload, asked: Payload) -> None:
        """Tell the client that its request for an answer has failed with a status of HTTP."""
        raise NotImplementedError

    def is_greeting(self, message: Payload) -> bool:
        """Return True for a message that begins a session, and that an answer does not repeat."""
        raise NotImplementedError

    def note(self, turn: Turn, message: Payload) -> bool:
        """Keep what a message of an answer says; return True if the turn ends with it."""
        raise NotImplementedError

    def edit(self, turn: Turn, message: Payload) -> bool:
        """Change a message of an answer as the request wants it; return True if it was changed."""
        return False

    def finish_turn(self, turn: Turn) -> None:
        """Act on the end of an answer."""

    def keeps_rest(self, turn: Turn) -> bool:
        """Return True if the messages after the end of a turn are the next turn."""
        raise NotImplementedError

    # -- for the protocols to call -----------------------------------------

    def send(self, message: Payload) -> None:
        """Send a message at once."""
        self._out.append(to_json_bytes(message))

    def ask(self, request: Payload) -> None:
        """Play the next answer, after the current one if there is one."""
        if self.turn is not None:
            self._waiting.append(request)
        elif self.may_begin(request):
            self._begin(request)

    def may_begin(self, request: Payload) -> bool:
        """Return True if an answer can be given to a request; otherwise refuse the request."""
        return True

    def cancel(self, *ending: Payload) -> None:
        """End the current answer early.

        Args:
            *ending: The messages that end it.
        """
        turn = self.turn
        if turn is None:
            return
        late = turn.recording.late
        while turn.messages and late > 0:
            _, data = turn.messages.popleft()
            data, ends = self._prepare(turn, data)
            if ends:
                break
            if data:
                self._out.append(data)
                late -= 1
        for message in ending:
            self.send(message)
        # The messages of a cut-off recording, and the way in which it breaks, were part of the answer.
        self._end_turn(turn)

    def forget_rest(self) -> None:
        """Forget the later turns of a recording that has several."""
        self._remaining = None

    def close(self, code: int, reason: str) -> None:
        """Close the connection, after the messages that were sent."""
        self.ending = Break("close", (code, reason))

    # -- within ------------------------------------------------------------

    @property
    def _is_due(self) -> bool:
        return self.deadline <= self.now

    def _begin(self, asked: Payload) -> None:
        """Play the next answer."""
        if self._remaining is not None:
            (recording, ids), self._remaining = self._remaining, None
        else:
            request = Request(
                method=self._handshake.method,
                path=self._handshake.path,
                headers=self._handshake.headers,
                body=to_json_bytes(asked),
            )
            try:
                recording, ids = self._choose_answer(request), AnswerIds(self.store)
            except MisuseError as error:
                self.refuse_answer(500, {"type": "server_error", "code": None, "message": str(error)}, asked)
                return
        if recording.status >= _LOWEST_ERROR:
            self.refuse_answer(recording.status, _error_of(recording), asked)
            return
        messages = deque((self.now + at, data) for at, data in _messages_of(recording))
        self.turn = Turn(asked, recording, messages, ids)
        if not messages:
            self._conclude(self.turn)

    def _next_of_turn(self) -> bytes | None:
        """Return the next message of the current answer; None if none is due."""
        turn = self.turn
        while turn is not None and turn is self.turn and turn.messages and self._is_due:
            _, data = turn.messages.popleft()
            breaks_now = not turn.messages and turn.recording.breaks == "half"
            data, ends = self._prepare(turn, data)
            if breaks_now:
                self.ending = Break("half", half=data)
                return None
            if ends:
                self._keep_rest(turn)
                if turn.messages or turn.recording.breaks is None:
                    self._end_turn(turn)
            if self.turn is turn and not turn.messages:
                self._conclude(turn)
            if data:
                return data
        return None

    def _prepare(self, turn: Turn, data: bytes) -> tuple[bytes, bool]:
        """Return a message as it is sent, empty to send nothing; and True if the turn ends with it."""
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            return data, False
        if not is_dict(message):
            return data, False
        if self.is_greeting(message):
            return b"", False
        # Both must be called.
        changed = [turn.ids.rewrite(message), self.edit(turn, message)]
        ends = self.note(turn, message)
        return to_json_bytes(message) if any(changed) else data, ends

    def _keep_rest(self, turn: Turn) -> None:
        """Keep the messages after the end of a turn for the client's next request."""
        if turn.messages and (turn.recording.breaks is not None or self.keeps_rest(turn)):
            begin = turn.messages[0][0]
            rest = tuple(Arrival(at - begin, data) for at, data in turn.messages)
            self._remaining = turn.recording.replaced(arrivals=rest, messages=True), turn.ids

    def _conclude(self, turn: Turn) -> None:
        """End the connection as the recording says, or else the turn."""
        breaks = turn.recording.breaks
        if breaks is None:
            self._end_turn(turn)
        elif breaks != "stall":
            # A frame of nothing cannot be halved.
            kind = "close" if breaks == "half" else breaks
            self.ending = Break(kind, turn.recording.close_frame)

    def _end_turn(self, turn: Turn) -> None:
        """Forget the current answer, and begin the next one for which the client has asked."""
        self.turn = None
        self.finish_turn(turn)
        while self._waiting and self.turn is None:
            request = self._waiting.popleft()
            if self.may_begin(request):
                self._begin(request)


def _messages_of(recording: Recording) -> list[Arrival]:
    """Return the messages of an answer, of which the client has to get each in one piece."""
    if recording.messages:
        return [Arrival(at, data.rstrip(b"\r\n")) for at, data in recording.arrivals]
    frames = apply_chunking(recording, "events").arrivals
    return [Arrival(at, data) for at, frame in frames if (data := _data_of(frame)) and data != b"[DONE]"]


def _data_of(event: bytes) -> bytes:
    """Return the data of an SSE event; empty if it has none, or is cut off."""
    lines = event.splitlines()
    # The blank line that ends an event is missing if it is cut off.
    if not event.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")):
        return b""
    return b"\n".join(line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))


def _error_of(recording: Recording) -> Payload:
    """Return the error in the body of a refusal."""
    try:
        body = json.loads(recording.body)
    except (ValueError, RecursionError):
        body = None
    error = dict_of(body, "error") if is_dict(body) else {}
    return error or {"type": "server_error", "code": None, "message": f"HTTP status {recording.status}"}
