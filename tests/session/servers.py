"""Scripted servers of the three APIs that answer over a WebSocket.

Each server knows a conversation the way the real one does: per connection, or stored. Its answers repeat
all questions that it knows, so that a lost or doubled question shows in the text.
"""

from __future__ import annotations

import base64
import json
import queue
import random
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection, serve

from tests.support.timing import PATIENCE

Payload = dict[str, Any]
PATHS = {
    "openai-responses": "/v1/responses",
    "openai-realtime": "/v1/realtime",
    "gemini-live": "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
}


class Hangup(Exception):
    """Ends a connection, with a close code; None to break it without a closing frame."""

    def __init__(self, code: int | None = 1000) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Line:
    """One connection of a client."""

    number: int
    connection: ServerConnection
    lane: str = ""
    inbox: queue.Queue[Payload | None] = field(default_factory=queue.Queue)
    cancelled: threading.Event = field(default_factory=threading.Event)
    items: list[Payload] = field(default_factory=list)
    """What the server of an API with conversations has in its conversation."""
    cache: dict[str, list[Payload]] = field(default_factory=dict)
    """The items of each response that this connection remembers."""
    audio: dict[str, int] = field(default_factory=dict)
    """The bytes of audio of each item."""
    pause: Callable[[Line, int], object] = lambda _line, _number: None
    """Called before each piece of the answer in progress."""

    def settle(self) -> None:
        """Wait until the server has nothing more to say, and the client has taken in all that was said.

        An answer ends for a client before the server has sent what follows it, such as a farewell.
        """
        self.inbox.join()
        # A client answers a ping before it hands on what came together with it, but after what came before.
        for _ in range(2):
            assert self.connection.ping().wait(PATIENCE)

    def wait_for_message(self) -> bool:
        """Wait until the client has sent something, or has left."""
        due = time.monotonic() + PATIENCE
        while self.inbox.empty() and time.monotonic() < due:
            time.sleep(0.002)
        return not self.inbox.empty()


def wait_after(number: int) -> Callable[[Line, int], None]:
    """Return a pause after so many pieces, until the answer is cancelled."""

    def pause(line: Line, piece: int) -> None:
        if piece >= number:
            line.cancelled.wait(PATIENCE)

    return pause


def no_pause(_line: Line, _number: int) -> None:
    """Go on at once."""


class Server(ABC):
    """A server that answers in one thread for each connection, in pieces of so many characters."""

    path = "/"

    def __init__(self, pieces: int = 7) -> None:
        self.pieces = pieces
        self.received: list[tuple[int, Payload]] = []
        """What clients have sent, each with the number of its connection."""
        self.lines: list[Line] = []
        self.sent = 0
        """Number of messages sent on all connections."""
        self.hangups: dict[int, int | None] = {}
        """Close codes by the number of the message after which the connection ends."""
        self.pause: Callable[[Line, int], object] = no_pause
        """Called before each piece of an answer; another one is for the answers that begin from then on."""
        self.ignores_cancel = False
        self.refuses_handshakes = 0
        """Number of further handshakes to answer with the status 503."""
        self.url = ""
        self._ids = 0

    def kinds(self, line: int | None = None) -> list[str]:
        return [self.kind_of(payload) for number, payload in self.received if line in (None, number)]

    def kind_of(self, payload: Payload) -> str:
        return str(payload.get("type", ""))

    @property
    def are_closed(self) -> bool:
        """True if no connection is open any more."""
        return all(line.connection.close_code is not None or not line.connection.state for line in self.lines)

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"

    # -- one connection --------------------------------------------------------

    def greet(self, connection: ServerConnection, _request: object) -> Any:
        if not self.refuses_handshakes:
            return None
        self.refuses_handshakes -= 1
        return connection.respond(503, "busy")

    def play(self, connection: ServerConnection) -> None:
        line = Line(len(self.lines), connection)
        self.lines.append(line)
        answering = threading.Thread(target=self._answer_all, args=(line,))
        answering.start()
        try:
            self.begin(line)
            for message in connection:
                payload = json.loads(message)
                self.received.append((line.number, payload))
                if self.is_cancel(payload):
                    if not self.ignores_cancel:
                        self.note_cancel(line)
                        line.cancelled.set()
                else:
                    line.inbox.put(payload)
        except Hangup as hangup:
            self._hang_up(line, hangup)
        except ConnectionClosed:
            pass
        finally:
            line.inbox.put(None)
            line.cancelled.set()
            answering.join()

    def _answer_all(self, line: Line) -> None:
        try:
            while (payload := line.inbox.get()) is not None:
                line.pause = self.pause
                try:
                    self.take(line, payload)
                finally:
                    line.inbox.task_done()
        except Hangup as hangup:
            self._hang_up(line, hangup)
        except ConnectionClosed:
            pass

    @staticmethod
    def _hang_up(line: Line, hangup: Hangup) -> None:
        if hangup.code is None:
            # Both directions, as when the network breaks.
            line.connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            line.connection.close(hangup.code, "")

    def send(self, line: Line, payload: Payload) -> None:
        """Send a message, and end the connection if a hang-up is planned after it."""
        line.connection.send(json.dumps(payload))
        self.sent += 1
        if self.sent in self.hangups:
            raise Hangup(self.hangups[self.sent])

    def begin(self, line: Line) -> None:  # noqa: B027 - nothing, by default
        """Greet a client."""

    def is_cancel(self, payload: Payload) -> bool:
        return payload.get("type") == "response.cancel"

    def note_cancel(self, line: Line) -> None:  # noqa: B027 - nothing, by default
        """Answer a request to stop at once."""

    @abstractmethod
    def take(self, line: Line, payload: Payload) -> None:
        """Answer a message."""

    def cut(self, text: str) -> Iterator[str]:
        for start in range(0, len(text), self.pieces):
            yield text[start : start + self.pieces]


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


class ResponsesServer(Server):
    path = PATHS["openai-responses"]

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.stored: dict[str, list[Payload]] = {}
        self.errors: dict[int, Payload] = {}
        """Errors by the number of the request, from 1, that they answer."""
        self.requests = 0

    def take(self, line: Line, payload: Payload) -> None:
        self.requests += 1
        error = self.errors.pop(self.requests, None)
        parent = payload.get("previous_response_id")
        lane = {"stream_id": payload["stream_id"]} if "stream_id" in payload else {}
        if error is not None:
            line.cache.pop(parent or "", None)
            return self.send(line, {**error, **lane})
        known = line.cache | ({} if payload.get("store") is False else self.stored)
        if parent is not None and parent not in known:
            return self.send(line, refusal("previous_response_not_found") | lane)
        items = [*(known[parent] if parent else []), *payload["input"]]
        self.answer(line, items, lane, store=payload.get("store") is not False)
        return None

    def answer(self, line: Line, items: list[Payload], lane: Payload, *, store: bool) -> None:
        line.cancelled.clear()
        id, number = self.new_id("resp"), iter(range(10**6))
        head = {"id": id, "object": "response", "model": "gpt-test", "output": []}

        def say(kind: str, **fields: Any) -> None:
            self.send(line, {"type": f"response.{kind}", "sequence_number": next(number), **fields, **lane})

        say("created", response={**head, "status": "in_progress"})
        reply = reply_to(items)
        if isinstance(reply, str):
            item: Payload = {
                "id": self.new_id("msg"),
                "type": "message",
                "role": "assistant",
                "status": "completed",
            }
            where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
            say("output_item.added", output_index=0, item={**item, "content": [], "status": "in_progress"})
            said = ""
            for index, piece in enumerate(self.cut(reply)):
                line.pause(line, index)
                if line.cancelled.is_set():
                    break
                said += piece
                say("output_text.delta", delta=piece, **where)
            item["content"] = [{"type": "output_text", "text": said, "annotations": []}]
            if line.cancelled.is_set():
                say("incomplete", response={**head, "status": "incomplete", "output": []})
                return
            say("output_text.done", text=said, **where)
        else:
            item = {"id": self.new_id("fc"), "type": "function_call", "call_id": self.new_id("call"), **reply}
            say("output_item.added", output_index=0, item={**item, "arguments": ""})
            for piece in self.cut(reply["arguments"]):
                say("function_call_arguments.delta", item_id=item["id"], output_index=0, delta=piece)
            say(
                "function_call_arguments.done",
                item_id=item["id"],
                output_index=0,
                arguments=reply["arguments"],
            )
        say("output_item.done", output_index=0, item=item)
        line.cache[id] = [*items, item]
        if store:
            self.stored[id] = line.cache[id]
        usage = {"input_tokens": len(items), "output_tokens": 1, "total_tokens": len(items) + 1}
        say("completed", response={**head, "status": "completed", "output": [item], "usage": usage})


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


class LanesServer(ResponsesServer):
    """OpenAI's Responses API, with a thread for each lane, so that their answers come at the same time."""

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.hold: Callable[[Line], object] = lambda _line: None
        """Called before each answer."""
        self._lanes: dict[tuple[int, str], Line] = {}
        self._lock = threading.RLock()

    def new_id(self, kind: str) -> str:
        with self._lock:
            return super().new_id(kind)

    def send(self, line: Line, payload: Payload) -> None:
        with self._lock:
            super().send(line, payload)

    def answer(self, line: Line, items: list[Payload], lane: Payload, *, store: bool) -> None:
        self.hold(line)
        super().answer(line, items, lane, store=store)

    def note_cancel(self, line: Line) -> None:
        lane = self._lanes.get((line.number, self.received[-1][1].get("stream_id", "")))
        if lane is not None:
            lane.cancelled.set()

    def _answer_all(self, line: Line) -> None:
        lanes: dict[str, Line] = {}
        threads: list[threading.Thread] = []
        while (payload := line.inbox.get()) is not None:
            name = payload.get("stream_id", "")
            if name not in lanes:
                lane = replace(line, lane=name, inbox=queue.Queue(), cancelled=threading.Event())
                lanes[name] = self._lanes[line.number, name] = lane
                threads.append(threading.Thread(target=super()._answer_all, args=(lane,)))
                threads[-1].start()
            lanes[name].inbox.put(payload)
            line.inbox.task_done()
        for lane in lanes.values():
            lane.inbox.put(None)
            lane.cancelled.set()
        for thread in threads:
            thread.join()


class RealtimeServer(Server):
    """OpenAI's Realtime API, which answers with text, or with audio and its transcript."""

    path = PATHS["openai-realtime"] + "?model=gpt-realtime"

    def __init__(self, pieces: int = 7, *, audio: bool = False) -> None:
        super().__init__(pieces)
        self.audio = audio
        self.truncations: list[Payload] = []
        self.refusals: list[str] = []
        """The codes of errors that were sent."""
        self.gone: list[Payload] = []
        self.active: dict[int, str | None] = {}

    def event(self, line: Line, kind: str, **fields: Any) -> None:
        self.send(line, {"type": kind, "event_id": self.new_id("event"), **fields})

    def begin(self, line: Line) -> None:
        session = {"type": "realtime", "model": "gpt-realtime"}
        self.event(line, "session.created", session=session)

    def refuse(self, line: Line, cause: Payload, code: str, message: str) -> None:
        self.refusals.append(code)
        error = {"type": "invalid_request_error", "code": code, "message": message}
        self.event(line, "error", error={**error, "event_id": cause.get("event_id")})

    def note_cancel(self, line: Line) -> None:
        if self.active.get(line.number) is None:
            cause = self.received[-1][1]
            with suppress(Hangup):
                self.refuse(line, cause, "response_cancel_not_active", "no active response")

    def take(self, line: Line, payload: Payload) -> None:
        match payload["type"]:
            case "session.update":
                self.event(line, "session.updated", session=payload["session"])
            case "conversation.item.create":
                item = {"id": self.new_id("item"), **payload["item"]}
                line.items.append(item)
                self.event(line, "conversation.item.added", item=item)
            case "conversation.item.truncate":
                self.truncations.append(payload)
                has, wants = line.audio.get(payload["item_id"], 0) // 48, payload["audio_end_ms"]
                if wants > has:
                    message = f"Audio content of {has}ms is already shorter than {wants}ms"
                    self.refuse(line, payload, "invalid_value", message)
                else:
                    where = {name: payload[name] for name in ("item_id", "content_index", "audio_end_ms")}
                    self.event(line, "conversation.item.truncated", **where)
            case "response.create":
                self.answer(line)
            case _:
                pass

    def answer(self, line: Line) -> None:
        line.cancelled.clear()
        id = self.active[line.number] = self.new_id("resp")
        head = {"id": id, "object": "realtime.response", "output": []}
        self.event(line, "response.created", response={**head, "status": "in_progress"})
        reply = reply_to(line.items)
        status, item = "completed", self.say(line, id, reply)
        if line.cancelled.is_set():
            status = "cancelled"
        item["status"] = "completed" if status == "completed" else "incomplete"
        self.event(line, "response.output_item.done", response_id=id, output_index=0, item=item)
        line.items.append(item)
        self.active[line.number] = None
        self.event(line, "response.done", response={**head, "status": status, "output": [item]})
        self.event(line, "rate_limits.updated", rate_limits=[])

    def say(self, line: Line, id: str, reply: str | Payload) -> Payload:
        where: Payload = {"response_id": id, "output_index": 0}
        if not isinstance(reply, str):
            item: Payload = {
                "id": self.new_id("item"),
                "type": "function_call",
                "call_id": self.new_id("call"),
            }
            self.event(line, "response.output_item.added", item={**item, "name": reply["name"]}, **where)
            self.event(
                line,
                "response.function_call_arguments.done",
                item_id=item["id"],
                call_id=item["call_id"],
                name=reply["name"],
                arguments=reply["arguments"],
                **where,
            )
            return {**item, **reply}
        item = {"id": self.new_id("item"), "type": "message", "role": "assistant", "content": []}
        self.event(line, "response.output_item.added", item=item, **where)
        where |= {"item_id": item["id"], "content_index": 0}
        kind = "audio" if self.audio else "text"
        self.event(line, "response.content_part.added", part={"type": kind}, **where)
        said = ""
        for index, piece in enumerate(self.cut(reply)):
            line.pause(line, index)
            if line.cancelled.is_set():
                break
            said += piece
            if self.audio:
                # A tenth of a second for each piece.
                line.audio[item["id"]] = line.audio.get(item["id"], 0) + 4_800
                sound = base64.b64encode(bytes(4_800)).decode()
                self.event(line, "response.output_audio_transcript.delta", delta=piece, **where)
                self.event(line, "response.output_audio.delta", delta=sound, **where)
            else:
                self.event(line, "response.output_text.delta", delta=piece, **where)
        part = {"type": "audio", "transcript": said} if self.audio else {"type": "text", "text": said}
        self.event(line, "response.content_part.done", part=part, **where)
        name = "output_audio" if self.audio else "output_text"
        text = {"transcript": said} if self.audio else {"text": said}
        return {**item, "content": [{"type": name, **text}]}


class LiveServer(Server):
    path = PATHS["gemini-live"]

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.resumable: dict[str, list[Payload]] = {}
        """The turns of each handle."""
        self.gives_handles = True
        self.says_go_away_after: set[int] = set()
        """Numbers of answers after which the server says that it will close the connection."""
        self.answers = 0
        self.refuses_handles = False

    def kind_of(self, payload: Payload) -> str:
        return next(iter(payload))

    def is_cancel(self, payload: Payload) -> bool:
        return False

    def take(self, line: Line, payload: Payload) -> None:
        if "setup" in payload:
            handle = payload["setup"].get("sessionResumption", {}).get("handle")
            if handle is not None:
                if self.refuses_handles:
                    raise Hangup(1008)
                line.items = list(self.resumable[handle])
            self.send(line, {"setupComplete": {}})
        elif "toolResponse" in payload:
            responses = payload["toolResponse"]["functionResponses"]
            line.items.append({"role": "user", "parts": [{"functionResponse": each} for each in responses]})
            self.answer(line)
        else:
            line.items += payload["clientContent"]["turns"]
            self.answer(line)

    def answer(self, line: Line) -> None:
        self.answers += 1
        said, reply = "", self.reply(line.items)
        if not isinstance(reply, str):
            call = {"id": self.new_id("call"), "name": reply["name"], "args": json.loads(reply["arguments"])}
            self.send(line, {"toolCall": {"functionCalls": [call]}})
            line.items.append({"role": "model", "parts": [{"functionCall": call}]})
            return
        for index, piece in enumerate(self.cut(reply)):
            line.pause(line, index)
            if not line.inbox.empty():
                # Whatever the client sends interrupts the model.
                self.send(line, {"serverContent": {"interrupted": True}})
                self.send(line, {"serverContent": {"turnComplete": True}})
                line.items.append({"role": "model", "parts": [{"text": said}]})
                return
            said += piece
            self.send(line, {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": piece}]}}})
        line.items.append({"role": "model", "parts": [{"text": said}]})
        self.send(line, {"serverContent": {"generationComplete": True}})
        self.send(line, {"serverContent": {"turnComplete": True}, "usageMetadata": {"responseTokenCount": 3}})
        if self.gives_handles:
            handle = self.new_id("handle")
            self.resumable[handle] = list(line.items)
            self.send(line, {"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})
        if self.answers in self.says_go_away_after:
            self.send(line, {"goAway": {"timeLeft": "1s"}})

    @staticmethod
    def reply(turns: list[Payload]) -> str | Payload:
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
        return reply_to(items)


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
