"""A conversation in JSON-RPC without any I/O: bytes in, messages and answers out, and bytes to send."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.untrusted import is_dict
from tokenstream.errors import (
    ErrorKind,
    LimitExceeded,
    MisuseError,
    ProviderError,
    StreamError,
    StreamTruncated,
)
from tokenstream.framing._json_rpc import JSONRPCMessage, JSONRPCParser, RPCId, encode_json_rpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.limits import Limits

_SHOWN = 200
"""Number of characters of a peer's error message that an error quotes."""
_KINDS: dict[int, ErrorKind] = {
    -32700: "invalid_request",
    -32600: "invalid_request",
    -32601: "invalid_request",
    -32602: "invalid_request",
    -32603: "server",
    # Agents that speak ACP use it for a missing login.
    -32000: "authentication",
}
"""The kinds of the errors that JSON-RPC and ACP define, by their codes."""


class PeerCall:
    """A request that `Peer.begin` has sent; it is answered while the peer's messages are read."""

    def __init__(self, method: str, id: int, *, is_awaited: bool) -> None:
        self.is_awaited = is_awaited
        """False if it is no error that the peer never answers."""
        self.method = method
        self.id = id
        self.done = False
        """True once the answer has come, or the peer has closed its output."""
        self.result: Any = None
        """The result; None until it has come, and if the request has failed."""
        self.error: StreamError | None = None
        """The error with which the request has failed; None until then."""
        self.number = math.inf
        """The place of the answer among all that has come; infinite without one."""

    def __repr__(self) -> str:
        state = "waits" if not self.done else "failed" if self.error else "done"
        return f"<PeerCall {self.method}: {state}>"

    def settle(self, raw: JsonObject, number: int) -> None:
        """Store the peer's answer.

        Args:
            raw: The message.
            number: Its place among all that has come.
        """
        self.done, self.number = True, number
        error = raw.get("error")
        if error is None:
            self.result = raw.get("result")
            return
        fields = error if is_dict(error) else {"message": error}
        code = fields.get("code")
        sentence = f"the agent refuses {self.method}"
        failed = ProviderError(
            f"{sentence}: {str(fields.get('message') or 'it gives no reason')[:_SHOWN]}",
            code=None if code is None else str(code),
            kind=_KINDS.get(code) if isinstance(code, int) else None,
            data=fields.get("data"),
        )
        self.error = add_sentence(failed, sentence)

    def give_up(self) -> None:
        """Fail, because the peer has closed its output."""
        self.done = True
        self.error = StreamTruncated(f"the agent closed its output before it answered {self.method}")


_MOST_KEPT = 10_000
"""Maximum number of messages that wait for a loop, and of requests of the peer that wait for an answer."""
_MOST_NOTES = 1_000
"""Maximum number of the program's own requests and of their answers that are kept for a run."""


class Note(NamedTuple):
    """A message of the program, or an answer to it: a run is built from these too, but no loop gets them."""

    method: str
    message: JsonObject
    """The message that was sent, or the answer to it."""
    is_answer: bool


class PeerExchange:
    """Finds out what each message is, matches answers with requests, and makes the bytes to send.

    Requests and answers are numbered with the messages, in the order in which they were sent and have come.
    The methods that send may be called in any thread.

    Args:
        limits: Bounds on what the peer sends; `body` bounds the messages that wait for a loop.
    """

    def __init__(self, *, limits: Limits) -> None:
        self._limits = limits
        self._parser = JSONRPCParser(limits=limits)
        self._lock = threading.Lock()
        self._next_id = 0
        self._number = 0
        self._calls: dict[RPCId, PeerCall] = {}
        """The requests of the program that are not answered, by their ids."""
        self._requests: set[RPCId] = set()
        """The ids of the peer's requests that are not answered."""
        self._messages: deque[tuple[int, JSONRPCMessage]] = deque()
        self._notes: deque[tuple[int, Note]] = deque(maxlen=_MOST_NOTES)
        self._size = 0
        """Number of bytes of the messages that wait for a loop."""
        self.passed = -1
        """The number of the last message or note that was taken."""
        self.has_ended = False
        """True once the peer has closed its output."""
        self.on_reply: Callable[[RPCId], object] | None = None
        """Called with the id of each request of the peer that the program has answered; None for nothing."""
        self.answered_at: dict[str, float] = {}
        """The times of the last answers, by the methods of their requests."""
        self.broken_call: PeerCall | None = None
        """A request that the end has left without an answer; None if there is none."""

    @property
    def skipped(self) -> int:
        """Number of lines that are no messages."""
        return self._parser.skipped

    @property
    def is_resting(self) -> bool:
        """True if the peer owes no answer, or waits for one."""
        return not self._calls or bool(self._requests)

    @property
    def has_requests(self) -> bool:
        """True if the peer waits for an answer."""
        return bool(self._requests)

    @property
    def has_room(self) -> bool:
        """True if more may be read: there is more, and not too many messages wait for a loop."""
        return not self.has_ended and self.error is None and not self._is_full

    @property
    def _is_full(self) -> bool:
        return len(self._messages) > _MOST_KEPT or self._size > self._limits.body

    @property
    def is_drained(self) -> bool:
        """True if no message waits to be taken, and no failed request to be reported."""
        return not self._messages and self.broken_call is None

    # -- to the peer -------------------------------------------------------

    def begin(self, method: str, params: Any, *, is_awaited: bool = True) -> tuple[PeerCall, bytes]:  # noqa: ANN401 - JSON
        """Begin a request, which may stay unanswered unless it `is_awaited`; return it and its bytes."""
        with self._lock:
            call = PeerCall(method, self._next_id, is_awaited=is_awaited)
            self._next_id += 1
            data = self._encode(method, params, {"id": call.id, "method": method})
            self._calls[call.id] = call
        return call, data

    def notify(self, method: str, params: Any) -> bytes:  # noqa: ANN401 - JSON
        with self._lock:
            return self._encode(method, params, {"method": method})

    def answer(self, to: JSONRPCMessage | RPCId, content: JsonObject) -> bytes:
        """Return the bytes of the answer to a request of the peer."""
        id = to.id if isinstance(to, JSONRPCMessage) else to
        if id is None or (isinstance(to, JSONRPCMessage) and to.kind != "request"):
            raise MisuseError(f"{to!r} waits for no reply: reply to messages whose wants_reply is True")
        with self._lock:
            if id not in self._requests:
                raise MisuseError(
                    f"no request with the id {id!r} waits for a reply: each has one, and only one"
                )
            data = encode_json_rpc({"id": id, **content})
            self._requests.discard(id)
        if self.on_reply is not None:
            self.on_reply(id)
        return data

    def is_waiting_for(self, id: RPCId | None) -> bool:
        """Return True if the peer waits for the answer to a request of its own."""
        return id in self._requests

    # -- from the peer -----------------------------------------------------

    def feed(self, chunk: bytes, *, now: float = 0.0) -> bool:
        """Take in bytes; return True if they complete a message."""
        messages = self._parser.feed(chunk)
        for message in messages:
            self._receive(message, now)
        return bool(messages)

    def end(self) -> None:
        """Take in the end: requests without an answer have failed."""
        if self.has_ended:
            return
        for message in self._parser.end():
            self._receive(message, math.inf)
        with self._lock:
            self.has_ended = True
            calls, self._calls = self._calls, {}
            for call in calls.values():
                call.give_up()
                if call.is_awaited:
                    self.broken_call = call

    def take(self) -> JSONRPCMessage | Note | None:
        """Return the next message or note, in their order; None if there is none yet."""
        with self._lock:
            if self._notes and (not self._messages or self._notes[0][0] < self._messages[0][0]):
                self.passed, note = self._notes.popleft()
                return note
            if self._messages:
                self.passed, message = self._messages.popleft()
                self._size -= message.size
                return message
        self._parser.check()
        return None

    def has_passed(self, call: PeerCall) -> bool:
        """Return True if the answer to a request was taken, and all that came before it."""
        if call.number == math.inf:
            return False
        with self._lock:
            firsts = [waiting[0][0] for waiting in (self._messages, self._notes) if waiting]
        return self.passed >= call.number or min(firsts, default=math.inf) > call.number

    def check_room(self, call: PeerCall) -> None:
        """Raise an error if nothing more is read although a request waits for its answer."""
        if self._is_full:
            raise LimitExceeded(
                f"{len(self._messages):,} messages of the agent wait to be read, and none answers "
                f"{call.method}: send the request with begin(…), and read the messages in a loop",
                limit="messages",
                value=_MOST_KEPT,
            )
        self._parser.check()

    @property
    def error(self) -> StreamError | None:
        """The error after which nothing more can be read; None if there is none."""
        return self._parser.error

    # -- within ------------------------------------------------------------

    def _receive(self, message: JSONRPCMessage, now: float) -> None:
        """Store a message, or the answer to a request of the program, which has come at a time."""
        with self._lock:
            id = message.id
            if message.kind == "answer" and id is not None:
                call = self._calls.pop(id, None)
                if call is not None:
                    call.settle(message.raw, self._number)
                    self.answered_at[call.method] = now
                    self._note(Note(call.method, message.raw, is_answer=True))
                    return
            elif message.kind == "request" and id is not None:
                self._requests.add(id)
                if len(self._requests) > _MOST_KEPT:
                    self._parser.error = LimitExceeded(
                        f"more than {_MOST_KEPT:,} requests of the agent wait for a reply: reply to each",
                        limit="requests",
                        value=_MOST_KEPT,
                    )
            self._messages.append((self._number, message))
            self._number += 1
            self._size += message.size

    def _encode(self, method: str, params: Any, message: JsonObject) -> bytes:  # noqa: ANN401 - JSON
        if params is not None:
            message["params"] = params
        data = encode_json_rpc(message)
        self._note(Note(method, message, is_answer=False))
        return data

    def _note(self, note: Note) -> None:
        """Store what a run may be built from; the oldest is dropped if no run takes it."""
        self._notes.append((self._number, note))
        self._number += 1


def join_params(method: str, params: Any, names: JsonObject) -> Any:  # noqa: ANN401 - JSON
    """Return the parameters of a request from an object or array, and from those given by name."""
    if not names:
        return params
    if params is None:
        return names
    if not is_dict(params):
        raise MisuseError(f"{method} gets either a list of parameters, or parameters by their names")
    return {**params, **names}
