"""A scripted server of OpenAI's Live API, which speaks whenever it has something to say."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.session.servers import Hangup, Line, Payload, Server

_ACKNOWLEDGED = {
    "session.instructions.append": "session.instructions.appended",
    "session.commentary.append": "session.commentary.appended",
    "session.thinking.append": "session.thinking.appended",
}


def audio(words: str) -> Payload:
    """Return the message with a piece of the user's audio, which is made of its words here."""
    return {"type": "session.input_audio.append", "audio": base64.b64encode(words.encode()).decode()}


class OpenAILiveServer(Server):
    """OpenAI's Live API, with a session for each connection.

    An instruction such as "call:noon" makes it delegate work, in which a tool is called.
    """

    path = "/v1/live/sessions"

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.refuses: dict[str, Payload] = {}
        """Errors by the type of the message that they answer."""
        self.known: list[str] = []
        """Words to the model of the latest session, beginning with the session's history."""
        self.said: list[Payload] = []
        """All messages that were sent."""
        self.waiting: list[str] = []
        """The delegations whose responses wait for results."""
        self.silent = False
        """True to say nothing by itself."""

    def is_cancel(self, payload: Payload) -> bool:
        return False

    def event(self, line: Line, kind: str, **fields: Any) -> None:
        payload = {"type": kind, "event_id": self.new_id("event"), **fields}
        self.said.append(payload)
        self.send(line, payload)

    def resource(self, line: Line) -> Payload:
        return {
            "id": f"live_{line.number}",
            "model": "gpt-live-1",
            "status": "active",
            "expires_at": 1790000000,
        }

    def take(self, line: Line, payload: Payload) -> None:
        kind, cause = payload["type"], {"client_event_id": payload["event_id"]}
        error = self.refuses.pop(kind, None)
        if error is not None:
            self.event(line, "error", error={"type": "invalid_request_error", **error, **cause})
            return
        if kind == "session.start":
            self.known = [
                f"<{message['content'][0]['text']}>" for message in payload["session"].get("input", [])
            ]
            self.event(line, "session.started", session=self.resource(line), **cause)
        elif kind in _ACKNOWLEDGED:
            self.known.append(payload["content"])
            self.event(line, _ACKNOWLEDGED[kind], start_ms=0, end_ms=0, **cause)
            self.react(line, payload["content"])
        elif kind == "session.input_audio.append":
            words = base64.b64decode(payload["audio"]).decode()
            self.known.append(words)
            self.event(line, "session.input_transcript.delta", delta=words, start_ms=0, end_ms=9)
            self.react(line, words)
        elif kind == "response.item.create":
            item = payload["item"]
            self.known.append(f"[{item['output']}]" if "output" in item else item["content"][0]["text"])
        elif kind == "response.create":
            self.work(line, self.waiting.pop(0) if self.waiting else self.new_id("dlg"))
        elif kind == "session.close":
            self.close(line, "close_requested", **cause)

    def react(self, line: Line, words: str) -> None:
        """Delegate work, or speak."""
        if words.startswith("call:"):
            for word in words.removeprefix("call:").split(","):
                self.delegate(line, word)
            return
        if not self.silent:
            self.speak(line, "I know: " + " | ".join(self.known))

    def speak(self, line: Line, text: str) -> None:
        for index, piece in enumerate(self.cut(text)):
            line.pause(line, index)
            self.event(line, "session.output_transcript.delta", delta=piece, start_ms=index, end_ms=index + 1)
            self.send(line, {"type": "session.output_audio.delta", "delta": "AAECAw=="})

    def nested(self, line: Line, delegation: str, kind: str, **fields: Any) -> None:
        self.event(line, "response.event", delegation_id=delegation, event={"type": kind, **fields})

    def delegate(self, line: Line, word: str) -> None:
        """Call a tool in delegated work."""
        id = self.new_id("dlg")
        delegation = {"id": id, "type": "delegation", "target": "responses"}
        self.event(line, "session.delegation.created", offset_ms=1, delegation=delegation)
        self.nested(line, id, "response.created", response={"id": self.new_id("resp"), "output": []})
        item = {"type": "function_call", "id": self.new_id("fc"), "name": "look_up", "arguments": ""}
        call = {**item, "call_id": self.new_id("call")}
        arguments = json.dumps({"word": word})
        self.nested(line, id, "response.output_item.added", item=call)
        for piece in self.cut(arguments):
            self.nested(line, id, "response.function_call_arguments.delta", item_id=item["id"], delta=piece)
        done = {**call, "arguments": arguments, "status": "completed"}
        self.nested(line, id, "response.output_item.done", item=done)
        self.waiting.append(id)
        self.nested(line, id, "response.completed", response={"status": "completed", "output": []})

    def work(self, line: Line, delegation: str) -> None:
        """Go on with delegated work, and say what has come of it."""
        text = "worked: " + " | ".join(self.known)
        self.nested(line, delegation, "response.created", response={"id": self.new_id("resp"), "output": []})
        self.nested(line, delegation, "response.output_text.delta", item_id="msg", delta=text)
        self.nested(line, delegation, "response.completed", response={"status": "completed", "output": []})
        if not self.silent and not self.waiting:
            self.speak(line, text)

    def close(self, line: Line, reason: str, **cause: Any) -> None:
        usage = {"seconds": 2}
        self.event(line, "session.closed", reason=reason, session=self.resource(line), usage=usage, **cause)
        raise Hangup
