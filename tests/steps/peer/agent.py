"""A small agent that speaks ACP over its standard input and output; run as a process by the tests."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def send(message: dict[str, Any]) -> None:
    """Send a message; like Codex, without `jsonrpc`."""
    write(json.dumps(message).encode() + b"\n")


def receive() -> dict[str, Any]:
    """Return the next message of the client; end with its input."""
    line = sys.stdin.buffer.readline()
    if not line.strip():
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def update(text: str = "", **fields: Any) -> None:
    """Send a piece of the answer, as ACP has it, with fields of this agent's own."""
    said = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    send({"method": "session/update", "params": {"sessionId": "s1", "update": said, **fields}})


def prompt(id: Any, params: dict[str, Any]) -> None:
    """Answer a prompt, after a request for permission whose id is also 0."""
    update("I ")
    update("x" * params.get("long", 300_000))
    asked = {"sessionId": "s1", "options": ["allow", "reject"]}
    send({"id": 0, "method": "session/request_permission", "params": asked})
    while "method" in (answer := receive()):
        if answer["method"] == "die":
            die()
        update(seen=answer["method"])
    update("wait", outcome=answer.get("result", answer.get("error")))
    send({"id": id, "result": {"stopReason": "end_turn"}})


def die() -> None:
    """End in the middle of a message, and say why where nobody may look."""
    sys.stderr.write("the disk is full\n")
    sys.stderr.flush()
    write(b'{"method": "session/upd')
    os._exit(3)


def main() -> None:
    """Answer requests until the input ends."""
    write(b"agent 1.0 is ready\n")
    while True:
        message = receive()
        id, params = message.get("id"), message.get("params", {})
        match message["method"]:
            case "initialize":
                send({"method": "configWarning", "params": {"summary": "no sandbox"}})
                send({"id": id, "result": {"got": message}})
            case "session/prompt":
                prompt(id, params)
            case "refuse":
                send({"id": id, "error": {"code": -32602, "message": "no such mode", "data": {"mode": "x"}}})
            case "flood":
                for number in range(params["count"]):
                    send({"method": "note", "params": {"number": number}})
                send({"id": id, "result": None})
            case "die":
                die()
            case "sleep":
                time.sleep(600)
            case _:
                sys.exit(0)


if __name__ == "__main__":
    main()
