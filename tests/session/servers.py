"""The sessions of `tokenstream.testing`, with a conversation in which lost and doubled questions show.

The protocols are the kit's. Its answers repeat all questions that the server knows. A test can intervene at
each message: it changes what is taken and sent, holds messages back, and ends connections where it wants to.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from tests.support.timing import PATIENCE, wait_for
from tokenstream import testing
from tokenstream.testing._serve.sessions.openai_responses import ResponsesSession
from tokenstream.testing._serve.sessions.realtime import GeminiLiveSession, RealtimeSession
from tokenstream.testing._serve.sessions.session import PlayedAnswer, ServedSession, SessionStore

Payload = dict[str, Any]
Pause = Callable[["Line", int], object]
PATHS = {
    "openai-responses": "/v1/responses",
    "openai-realtime": "/v1/realtime",
    "gemini-live": "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
}
_PIECES = {"response.output_text.delta", "response.output_audio_transcript.delta"}


class Hangup(Exception):
    """Ends a connection, with a close code; None to break it without a closing frame."""

    def __init__(self, code: int | None = 1000, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class Line(ServedSession):
    def __init__(self, server: Server, connection: ServerConnection) -> None:
        handshake = testing.Request(method="GET", path=server.path, headers=Message(), body=b"")
        choose = lambda request: server.answer(self, [*request.conversation])  # noqa: E731 - it needs the line
        super().__init__(handshake, choose, server.store)
        self.number = len(server.lines)
        self.connection = connection
        self.lane = ""
        """The lane of the message that is sent next."""
        self.is_idle = False
        """True while the server has nothing to say."""
        self.has_ended = False
        """True once an answer has ended, until the server has been told."""
        self._server = server
        self._pauses: dict[str, tuple[Pause, int]] = {}
        """The pause of the answer in each lane, and the number of the next piece."""

    def settle(self) -> None:
        """Wait until the server has nothing more to say, and the client has taken in all that was said.

        An answer ends for a client before the server has sent what follows it, such as a farewell.
        """
        wait_for(lambda: self.is_idle)
        # A client answers a ping before it hands on what came together with it, but after what came before.
        for _ in range(2):
            assert self.connection.ping().wait(PATIENCE)

    def handle(self, request: Payload) -> None:
        self._server.received.append((self.number, request))
        if not (self._server.ignores_cancel and request.get("type") == "response.cancel"):
            self._server.take(self, request)

    def obey(self, request: Payload) -> None:
        """Act on a message as the kit's server does."""
        super().handle(request)

    def may_begin(self, request: Payload) -> bool:
        self._pauses[request.get("stream_id") or ""] = self._server.pause, 0
        return self._server.may_begin(self, request) and super().may_begin(request)

    def finish_turn(self, turn: PlayedAnswer) -> None:
        super().finish_turn(turn)
        self.has_ended = True

    @property
    def outbox(self) -> int:
        """Number of messages that belong to no answer in progress and have not been sent."""
        return len(self._out)

    def take_one(self) -> Payload | None:
        """Return the next message that is not held back, of the answer of which the most is left."""
        self.now = time.monotonic()
        if self._out:
            return self._load(self._out.popleft())
        for turn in sorted(self.turns.values(), key=lambda each: -len(each.messages)):
            if turn.messages and not self._is_held(turn):
                return self._load(self._next_message())
        return None

    @property
    def _next_turn(self) -> PlayedAnswer | None:
        return self.turns.get(self.lane)

    @staticmethod
    def _load(data: bytes | None) -> Payload:
        payload: Payload = json.loads(data or b"{}")
        return payload

    def _is_held(self, turn: PlayedAnswer) -> bool:
        self.lane, message = turn.lane, self._load(turn.messages[0][1])
        pause, number = self._pauses[turn.lane]
        is_piece = message.get("type") in _PIECES or "modelTurn" in message.get("serverContent", {})
        if self._server.holds(self, message) or (is_piece and pause(self, number)):
            return True
        self._pauses[turn.lane] = pause, number + is_piece
        return False


def wait_after(number: int) -> Pause:
    """Return a pause after so many pieces, until the answer is cancelled."""
    return lambda _line, piece: piece >= number


def spaced(seconds: float) -> Pause:
    """Return a pause before each piece."""
    due: dict[tuple[str, int], float] = {}
    return lambda line, piece: (
        time.monotonic() < due.setdefault((line.lane, piece), time.monotonic() + seconds)
    )


def no_pause(_line: Line, _number: int) -> None:
    """Go on at once."""


class Server:
    """A server that answers in one thread for each connection, in pieces of so many characters."""

    path = "/"
    format = ""
    line_type: type[Line] = Line

    def __init__(self, pieces: int = 7) -> None:
        self.pieces = pieces
        self.store = SessionStore()
        self.received: list[tuple[int, Payload]] = []
        """What clients have sent, each with the number of its connection."""
        self.lines: list[Line] = []
        self.sent = 0
        """Number of messages sent on all connections."""
        self.refusals: list[str] = []
        """The codes of errors that were sent."""
        self.hangups: dict[int, int | None] = {}
        """Close codes by the number of the message after which the connection ends."""
        self.pause: Pause = no_pause
        """Returns true to hold a piece of an answer back; another one is for answers that begin later."""
        self.ignores_cancel = False
        self.refuses_handshakes = 0
        """Number of further handshakes to answer with the status 503."""
        self.url = ""

    def kinds(self, line: int | None = None) -> list[str]:
        return [self.kind_of(payload) for number, payload in self.received if line in (None, number)]

    def kind_of(self, payload: Payload) -> str:
        return str(payload.get("type") or next(iter(payload)))

    @property
    def are_closed(self) -> bool:
        """True if no connection is open any more."""
        return all(line.connection.close_code is not None or not line.connection.state for line in self.lines)

    # -- for tests to override ---------------------------------------------------

    def begin(self, line: Line) -> None:
        """Act on a new connection, whose client has been greeted."""

    def take(self, line: Line, payload: Payload) -> None:
        """Act on a message of a client."""
        line.obey(payload)

    def may_begin(self, line: Line, asked: Payload) -> bool:
        """Return True to answer a message that asks for an answer."""
        return True

    def answer(self, line: Line, items: list[Payload]) -> testing.Recording:
        return self.script(reply_to(items)).finish().recording(self.format)

    def script(self, reply: str | Payload) -> testing.Script:
        if isinstance(reply, str):
            return testing.script().text(*self.cut(reply))
        return testing.script().tool_call(reply["name"], reply["arguments"])

    def holds(self, line: Line, message: Payload) -> bool:
        """Return True to hold a message of an answer back for a while."""
        return False

    def send(self, line: Line, payload: Payload) -> None:
        """Send a message, and end the connection if a hang-up is planned after it."""
        line.connection.send(json.dumps(payload))
        self.sent += 1
        if payload.get("type") == "error":
            self.refusals.append(payload["error"].get("code"))
        if self.sent in self.hangups:
            raise Hangup(self.hangups[self.sent])

    def end(self, line: Line) -> None:
        """Act on the end of an answer, all of which was sent."""

    def cut(self, text: str) -> Iterator[str]:
        for start in range(0, len(text), self.pieces):
            yield text[start : start + self.pieces]

    # -- one connection ------------------------------------------------------------

    def greet(self, connection: ServerConnection, _request: object) -> Any:
        if not self.refuses_handshakes:
            return None
        self.refuses_handshakes -= 1
        return connection.respond(503, "busy")

    def play(self, connection: ServerConnection) -> None:
        line = self.line_type(self, connection)
        self.lines.append(line)
        with suppress(ConnectionClosed):
            try:
                line.start(time.monotonic())
                while self._say_next(line):
                    pass
                self.begin(line)
                while True:
                    self._go_on(line)
            except Hangup as hangup:
                self._hang_up(line, hangup)
            finally:
                line.is_idle = True

    def _go_on(self, line: Line) -> None:
        """Send a message if there is one, and take one if there is one."""
        has_more = self._say_next(line)
        try:
            message = line.connection.recv(timeout=0 if has_more else 0.002)
        except TimeoutError:
            line.is_idle = not has_more
        else:
            line.is_idle = False
            line.receive(message, time.monotonic())

    def _say_next(self, line: Line) -> bool:
        """Send the next message; return False if there is none."""
        if line.has_ended and not line.outbox:
            line.has_ended = False
            self.end(line)
        payload = line.take_one()
        if payload:
            self.send(line, payload)
        elif payload is None and line.ending is not None:
            raise Hangup(*line.ending.close_frame or (None,))
        return payload is not None

    @staticmethod
    def _hang_up(line: Line, hangup: Hangup) -> None:
        if hangup.code is None:
            # Both directions, as when the network breaks.
            line.connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            line.connection.close(hangup.code, hangup.reason)


_TO_GO_ON = "<last_words>"
"""The marker in a request to go on with an answer that broke off."""


def text_of(item: Payload) -> str:
    content: Any = item.get("content", "")
    return content if isinstance(content, str) else "".join(piece.get("text", "") for piece in content)


def questions_in(items: list[Payload]) -> list[str]:
    """Return the texts of the user among items, and the outputs of tools."""
    found: list[str] = []
    for item in items:
        if item.get("type") == "function_call_output":
            found.append(f"[{item['output']}]")
        elif item.get("role") == "user" and _TO_GO_ON not in text_of(item):
            found.append(text_of(item))
    return found


def reply_to(items: list[Payload]) -> str | Payload:
    """Return the text that answers, or a call for a question such as "call:noon".

    For "leak:noon,dusk", calls come one after the other in the text, as from a server without a parser.
    An answer that broke off goes on from its last words.
    """
    if _TO_GO_ON in text_of(items[-1]):
        said, whole = text_of(items[-2]).rstrip(), reply_to(items[:-2])
        assert isinstance(whole, str)
        return said[-40:].lstrip() + whole[len(said) :]
    questions = questions_in(items)
    last = questions[-1]
    leaks = [index for index, question in enumerate(questions) if question.startswith("leak:")]
    if leaks:
        words = questions[leaks[-1]].removeprefix("leak:").split(",")
        given = len(questions) - leaks[-1] - 1
        if given < len(words):
            call = {"name": "look_up", "arguments": {"word": words[given]}}
            return f"Let me look.\n<tool_call>\n{json.dumps(call)}\n</tool_call>"
    if last.startswith("call:"):
        return {"name": "look_up", "arguments": json.dumps({"word": last.removeprefix("call:")})}
    return "I know: " + " | ".join(questions)


def refusal(code: str | None, message: str = "no", **fields: Any) -> Payload:
    error = {"code": code, "message": message, **fields}
    return {"type": "error", "status": 400, "error": error}


class ResponsesLine(Line, ResponsesSession):
    """A connection of OpenAI's Responses API."""


class ResponsesServer(Server):
    path = PATHS["openai-responses"]
    format = "openai-responses"
    line_type = ResponsesLine

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.errors: dict[int, Payload] = {}
        """Errors by the number of the request, from 1, that they answer."""
        self.requests = 0

    def may_begin(self, line: Line, asked: Payload) -> bool:
        self.requests += 1
        error = self.errors.pop(self.requests, None)
        if error is not None:
            line.refuse_answer(error["status"], error["error"], asked)
        return error is None

    def forget(self) -> None:
        self.store.responses.clear()
        for line in self.lines:
            assert isinstance(line, ResponsesLine)
            line.cached.clear()


class Chatty(Server):
    """Mixin of servers that send messages and fields that no document names.

    They are sent before any message, with a field in any message, as the numbers of `chance` say.
    """

    odd_messages: tuple[Payload, ...] = (
        {"type": "gateway.note", "region": "eu"},
        {"type": "conversation.item.noted", "item": {"id": "u_1", "role": "user"}},
        {"gatewayNote": {"attempt": 1}},
    )

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.chance = random.Random(0)

    def send(self, line: Line, payload: Payload) -> None:
        while self.chance.random() < 0.4:
            line.connection.send(json.dumps(self.chance.choice(self.odd_messages)))
        if self.chance.random() < 0.4:
            payload = {**payload, "x_trace": {"attempt": 1}}
        super().send(line, payload)


class RealtimeLine(Line, RealtimeSession):
    """A connection of OpenAI's Realtime API."""


class RealtimeServer(Server):
    """OpenAI's Realtime API, which answers with text, or with audio and its transcript."""

    path = PATHS["openai-realtime"] + "?model=gpt-realtime"
    format = "openai-realtime"
    line_type = RealtimeLine

    def __init__(self, pieces: int = 7, *, audio: bool = False) -> None:
        super().__init__(pieces)
        self.audio = audio

    @property
    def truncations(self) -> list[Payload]:
        return [each for _, each in self.received if each["type"] == "conversation.item.truncate"]

    def items(self, line: int) -> list[str]:
        """Return the ids of the messages of the model in a conversation, in their order."""
        return [each["id"] for each in self.lines[line].converse({}) if each.get("role") == "assistant"]

    def answer(self, line: Line, items: list[Payload]) -> testing.Recording:
        written = super().answer(line, items)
        if not self.audio:
            return written
        messages = [each for chunk in written.chunks() for each in spoken(json.loads(chunk))]
        return testing.Recording.of([json.dumps(each).encode() for each in messages], messages=True)


def spoken(message: Payload) -> list[Payload]:
    """Return a message about text as messages about sound: after each piece, a tenth of a second."""
    if message["type"] == "response.output_text.delta":
        sound = {"type": "response.output_audio.delta", "delta": base64.b64encode(bytes(4_800)).decode()}
        words = {"type": "response.output_audio_transcript.delta"}
        return [message | words, message | sound | {"event_id": message["event_id"] + "s"}]
    if message["type"] == "response.output_text.done":
        return []
    text = (
        json.dumps(message)
        .replace('"output_text"', '"output_audio"')
        .replace('"type": "text"', '"type": "audio"')
    )
    return [json.loads(text.replace('"text": ', '"transcript": '))]


class LiveLine(Line, GeminiLiveSession):
    def tell_handle(self) -> None:
        if getattr(self._server, "gives_handles", True):
            super().tell_handle()


class LiveServer(Server):
    path = PATHS["gemini-live"]
    format = "gemini-live"
    line_type = LiveLine

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.gives_handles = True
        self.says_go_away_after: set[int] = set()
        """Numbers of answers after which the server says that it will close the connection."""
        self.answers = 0

    def answer(self, line: Line, items: list[Payload]) -> testing.Recording:
        self.answers += 1
        return super().answer(line, self.items_of(items))

    def end(self, line: Line) -> None:
        if self.answers in self.says_go_away_after:
            self.send(line, {"goAway": {"timeLeft": "1s"}})

    @staticmethod
    def items_of(turns: list[Payload]) -> list[Payload]:
        items: list[Payload] = []
        for turn in turns:
            if turn.get("role") != "user":
                said = "".join(part.get("text", "") for part in turn["parts"])
                items.append({"role": "assistant", "content": said})
                continue
            for part in turn["parts"]:
                if "functionResponse" in part:
                    output = part["functionResponse"]["response"]
                    items.append({"type": "function_call_output", "output": json.dumps(output)})
                else:
                    items.append({"role": "user", "content": part["text"]})
        return items


@contextmanager
def deaf() -> Generator[str]:
    """Open a server that accepts connections, and then neither reads nor writes, as on a cut network."""
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                accepted.append(connection)
                protocol = ServerProtocol()
                protocol.receive_data(connection.recv(65_536))
                [request] = protocol.events_received()
                assert isinstance(request, Request)
                protocol.send_response(protocol.accept(request))
                connection.sendall(b"".join(protocol.data_to_send()))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}{PATHS['openai-responses']}"
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()


@contextmanager
def serving(server: Server) -> Generator[str]:
    with serve(
        server.play, "127.0.0.1", 0, process_request=server.greet, open_timeout=1.5, close_timeout=0.5
    ) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            server.url = f"ws://127.0.0.1:{listening.socket.getsockname()[1]}{server.path}"
            yield server.url
        finally:
            listening.shutdown()
            thread.join()
