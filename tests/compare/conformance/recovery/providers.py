"""Two providers on the loopback address: the first one has a fault, the other one answers."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tests.compare.conformance.recovery.cases import ANSWERS, ARGUMENTS, CALL, FRAGMENTS, Answer, Case
from tests.recovery.routes.providers import pieces
from tests.support.loopback import (
    LAST_CHUNK,
    RST,
    Connection,
    Loopback,
    chunked_head,
    http_chunk,
    refusing_url,
    sized,
)
from tokenstream import testing

Format: TypeAlias = Literal["openai-chat", "anthropic"]
Which: TypeAlias = Literal["first", "other"]
DONE = "Done."
"""The text of the model once a call was run; only libraries that run calls themselves ask for it."""
REMOVED = "the folder is removed"
"""The result of the tool, in libraries that run it."""
IDLE = 1.0
"""Seconds of silence after which each library is told to give up on a response."""
_STALL = 15.0
"""Seconds after which a stalled response ends, so that a library that waits for ever has a result, too."""
_SETTLED = 0.1
"""Seconds in which a client reads what came before a reset."""
_LEAST_QUOTED = 8
"""The shortest end of a text that a request to go on has to quote, so that it is known as a quotation."""
_CLOSE = [("Connection", "close")]
_HTML = b"<!doctype html><html><body><h1>Please log in</h1></body></html>"
_ERROR_EVENT = {"error": {"message": "The server is overloaded", "type": "server_error", "code": None}}


@dataclass
class World:
    """The servers and the question that a library gets."""

    case: Case
    first: str
    """The base URL of the first provider, with OpenAI's chat format."""
    other: str
    """The base URL of the other provider."""
    other_format: Format
    requests: list[Which] = field(default_factory=list[Which])
    """The provider of each request, in the order in which they came."""

    @property
    def answer(self) -> Answer:
        return self.case.answer


@contextlib.contextmanager
def playing(case: Case) -> Generator[World]:
    other_format: Format = "anthropic" if case.scenario == "anthropic" else "openai-chat"
    world = World(case, "", "", other_format)
    lock = threading.Lock()

    def note(name: Which) -> int:
        with lock:
            world.requests.append(name)
            return world.requests.count(name)

    def first(connection: Connection) -> None:
        payload = json.loads(connection.request().body)
        number = note("first")
        if case.scenario == "once" and number > 1:
            _send(connection, _whole(payload, "openai-chat"))
        else:
            _FAULTS[case.fault.name](connection, payload)

    def other(connection: Connection) -> None:
        payload = json.loads(connection.request().body)
        note("other")
        _send(connection, _whole(payload, other_format))

    with Loopback(other) as others, Loopback(first) as firsts:
        base = refusing_url() if case.fault.name == "refused" else firsts.url
        world.first = f"{base}/v1"
        world.other = f"{others.url}/v1"
        yield world


# -- what is answered -------------------------------------------------------------


def reply_to(payload: Any) -> Answer:
    """Return the answer of a model that does what a request asks for.

    A model whose own turn comes last, or that is asked to go on behind it, goes on with the text; it begins
    with its last words if the request quotes them. If it hears that its call was wrong, it sends it again.
    """
    turns = payload["messages"]
    if any(_is_result(turn) for turn in turns):
        return Answer("", DONE) if REMOVED in json.dumps(turns[-1]) else Answer("", calls=True)
    question = next(_text_of(turn) for turn in turns if turn["role"] == "user")
    answer = next(answer for answer in ANSWERS.values() if answer.question == question)
    before = next((_text_of(turn) for turn in reversed(turns) if turn["role"] == "assistant"), "")
    if not before:
        return answer
    assert answer.text.startswith(before), "another text is continued than was sent"
    quoted = "" if turns[-1]["role"] == "assistant" else _quoted(before, _text_of(turns[-1]))
    return Answer(answer.question, quoted + answer.text[len(before) :], calls=answer.calls)


def _is_result(turn: Any) -> bool:
    content = turn["content"]
    kinds = [part["type"] for part in content] if isinstance(content, list) else []
    return turn["role"] == "tool" or "tool_result" in kinds


def _text_of(turn: Any) -> str:
    content = turn["content"] or ""
    return content if isinstance(content, str) else "".join([part.get("text", "") for part in content])


def _quoted(before: str, request: str) -> str:
    """Return the longest end of a text that a request quotes; "" if it quotes none."""
    ends = (before[start:] for start in range(len(before) - _LEAST_QUOTED))
    return next((end for end in ends if end in request), "")


def _script(answer: Answer) -> testing.Script:
    script = testing.script(model="m")
    if answer.text:
        script = script.text(*pieces(answer.text))
    if answer.calls:
        script = script.tool_call(CALL, FRAGMENTS)
    return script.usage(input_tokens=9, output_tokens=40).finish("tool_calls" if answer.calls else "stop")


# -- how it is sent ---------------------------------------------------------------


def _whole(payload: Any, format: Format) -> list[bytes]:
    return _script(reply_to(payload)).chunks(format)


def _half(payload: Any) -> list[bytes]:
    """Return the first half of an answer: of its call's arguments, if it has a call, else of its text."""
    answer = reply_to(payload)
    chunks = _script(answer).chunks("openai-chat")
    # The first chunk has the role, and that of a call the name.
    count = len(pieces(answer.text)) if answer.text else 0
    return chunks[: 1 + count + 2] if answer.calls else chunks[: 1 + count // 2]


def _send(connection: Connection, chunks: Sequence[bytes], *, ends: bool = True) -> None:
    connection.send(chunked_head(_CLOSE))
    for chunk in chunks:
        connection.send(http_chunk(chunk))
    if ends:
        connection.send(LAST_CHUNK)


def _send_sized(
    connection: Connection,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
) -> None:
    for part in sized(body, status=status, content_type=content_type, headers=[*_CLOSE, *headers]):
        connection.send(part)


def _error_body(message: str, kind: str, code: str | None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


# -- the faults -------------------------------------------------------------------


def _reset_first(connection: Connection, _: Any) -> None:
    connection.end(RST)


def _unavailable(connection: Connection, _: Any) -> None:
    body = _error_body("The server is overloaded", "server_error", None)
    _send_sized(connection, 503, body, headers=[("Retry-After", "1")])


def _unauthorized(connection: Connection, _: Any) -> None:
    _send_sized(connection, 401, _error_body("Incorrect API key", "invalid_request_error", "invalid_api_key"))


def _reset(connection: Connection, payload: Any) -> None:
    _send(connection, _half(payload), ends=False)
    connection.closed_within(_SETTLED)
    connection.end(RST)


def _stall(connection: Connection, payload: Any) -> None:
    _send(connection, _half(payload), ends=False)
    connection.closed_within(_STALL)


def _error_event(connection: Connection, payload: Any) -> None:
    _send(connection, [*_half(payload), b"data: " + json.dumps(_ERROR_EVENT).encode() + b"\n\n"])


def _early_end(connection: Connection, payload: Any) -> None:
    _send(connection, _half(payload))


def _html(connection: Connection, _: Any) -> None:
    _send_sized(connection, 200, _HTML, "text/html; charset=utf-8")


# A provider that refuses connections is not asked.
_FAULTS: dict[str, Callable[[Connection, Any], None]] = {
    "reset first": _reset_first,
    "503": _unavailable,
    "401": _unauthorized,
    "reset": _reset,
    "stall": _stall,
    "error event": _error_event,
    "early end": _early_end,
    "html": _html,
    "cut call": _early_end,
    "text, cut call": _early_end,
}

TOOL: dict[str, Any] = {
    "name": CALL,
    "description": "Remove a folder",
    "parameters": {
        "type": "object",
        "properties": {"path": {"type": "string"}, "recursive": {"type": "boolean"}},
        "required": [*ARGUMENTS],
        "additionalProperties": False,
    },
}
"""The tool that a request for a call offers, in the form of OpenAI's API."""
