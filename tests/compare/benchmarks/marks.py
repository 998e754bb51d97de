"""The marks of `stream.metrics` beside those of a client that was written by hand over a socket.

A server sends each event of a recording to both at the same moment. Each is a
process of its own, since two in one would wait for each other; what one of them
notes is when something came, on a clock that both share.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from itertools import zip_longest
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.tables import Table
from tests.project import ROOT
from tests.support.recordings import ours, shared
from tokenstream import connect
from tokenstream.errors import StreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compare.benchmarks.timing import Plan
    from tests.support.recordings import Recorded

MARKS = ("first_byte", "first_event", "ttft", "first_text", "first_tool_call")
_PATHS = {
    "openai-chat": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
    "gemini": "/v1beta/models/some:streamGenerateContent",
}
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_MOST_EVENTS, _SECONDS = 120, 0.002
"""Events of a recording that are sent, and the time between them."""
_SSE = (b"data:", b"event:", b":", b"id:")


# -- by hand ------------------------------------------------------------------


def firsts(format: str, events: list[bytes]) -> dict[str, int]:
    """Return the numbers of the events that bring the first of each kind, by their payloads alone."""
    found = {"first_byte": 0}
    for number, event in enumerate(events):
        if not event.startswith(b":"):
            found.setdefault("first_event", number)
        for kind in (kind for payload in _payloads(event) for kind in _KINDS[format](payload)):
            found.setdefault("ttft", number)
            found.setdefault(kind, number)
    found.pop("token", None)
    return found


def offered(events: list[bytes]) -> list[str]:
    """Return the names of the tools that the request has offered, as far as chunks of OpenAI Chat call them.

    With these names, a name is known to be whole. Without them, another piece of it may follow.
    """
    deltas = [
        choice.get("delta") or {}
        for event in events
        for payload in _payloads(event)
        for choice in payload.get("choices") or ()
    ]
    calls = [call.get("function") or {} for delta in deltas for call in delta.get("tool_calls") or ()]
    return sorted({call["name"] for call in calls if call.get("name")})


def _payloads(event: bytes) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in re.findall(rb"^data: ?(\{.*)$", event, re.MULTILINE)]


def _of_chat(payload: dict[str, Any]) -> Iterator[str]:
    for choice in payload.get("choices") or ():
        delta = choice.get("delta") or {}
        content = delta.get("content") or ""
        pieces: Any = [{"type": "text"}] if content and isinstance(content, str) else content
        for piece in pieces:
            yield "first_text" if piece["type"] == "text" else "token"
        details = delta.get("reasoning_details") or ()
        others = [delta.get(name) for name in ("reasoning_content", "reasoning", "refusal")]
        if any(others) or any(detail.get("text") for detail in details):
            yield "token"
        if delta.get("tool_calls"):
            yield "first_tool_call"


def _of_anthropic(payload: dict[str, Any]) -> Iterator[str]:
    block, delta = payload.get("content_block") or {}, payload.get("delta") or {}
    if delta.get("text"):
        yield "first_text"
    if delta.get("thinking") or delta.get("partial_json"):
        yield "token"
    for each in [block, *((payload.get("message") or {}).get("content") or ())]:
        if each.get("type") == "tool_use":
            yield "first_tool_call"


def _of_responses(payload: dict[str, Any]) -> Iterator[str]:
    kind, item = payload.get("type", ""), payload.get("item") or {}
    if kind == "response.output_text.delta" and payload["delta"]:
        yield "first_text"
    elif kind.endswith(".delta") and payload["delta"]:
        yield "token"
    elif kind == "response.output_item.added" and (
        item.get("type") in ("function_call", "custom_tool_call") or item.get("execution") == "client"
    ):
        yield "first_tool_call"
    elif kind == "response.output_item.done" and item.get("type", "").endswith("_call"):
        # The provider runs it, and tells its arguments as a whole.
        yield "token"


def _of_gemini(payload: dict[str, Any]) -> Iterator[str]:
    for candidate in payload.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            if part.get("text"):
                yield "token" if part.get("thought") else "first_text"
            if "functionCall" in part:
                yield "first_tool_call"


_KINDS = {
    "openai-chat": _of_chat,
    "anthropic": _of_anthropic,
    "openai-responses": _of_responses,
    "gemini": _of_gemini,
}


def _by_hand(host: str, port: int, path: str, *_tools: str) -> list[tuple[float, int]]:
    """Return how many bytes there were after each read of a socket, and the clock then."""
    with socket.create_connection((host, port)) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        size, reads = 0, list[tuple[float, int]]()
        while chunk := connection.recv(65_536):
            now = time.monotonic()
            size += len(chunk)
            reads.append((now, size))
        return reads


def _by_library(host: str, port: int, path: str, *tools: str) -> dict[str, float | None]:
    """Return the clock at each mark, as the library has taken it."""
    request = {"tools": [{"name": tool} for tool in tools]}
    with connect(f"http://{host}:{port}{path}", json=request) as stream:
        with suppress(StreamError):
            stream.final()
        started = stream._driver.machine.meter.started_at  # noqa: SLF001 - marks count from it
    told = {mark: getattr(stream.metrics, mark) for mark in MARKS}
    return {mark: None if value is None else started + value for mark, value in told.items()}


def client(which: str) -> None:
    """Ask for each address that comes on standard input, and print what was noted."""
    ask: Any = {"hand": _by_hand, "library": _by_library}[which]
    for line in sys.stdin:
        host, port, path, *tools = line.split()
        print(json.dumps(ask(host, int(port), path, *tools)), flush=True)


# -- the server ---------------------------------------------------------------


class _Client:
    """A client in a process of its own."""

    def __init__(self, which: str, stack: ExitStack) -> None:
        program = f"from tests.compare.benchmarks.marks import client; client({which!r})"
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        stack.callback(self._process.stdin.close)  # type: ignore[union-attr]

    def ask(self, address: str) -> None:
        print(address, file=self._process.stdin, flush=True)

    def answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class _Server:
    """Sends the events of an answer to two clients at the same moments."""

    def __init__(self, stack: ExitStack) -> None:
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.place = f"127.0.0.1 {self._listener.getsockname()[1]}"

    def play(self, events: list[bytes]) -> None:
        """Wait for the two requests, and answer them."""
        with ExitStack() as stack:
            connections = [stack.enter_context(self._listener.accept()[0]) for _ in range(2)]
            for connection in connections:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                request = b""
                while not request.endswith(b"}"):
                    request += connection.recv(65_536)
            for piece in [_HEAD, *map(_chunk, events), b"0\r\n\r\n"]:
                time.sleep(_SECONDS)
                for connection in connections:
                    # Whoever has found an error in the answer has gone.
                    with suppress(OSError):
                        connection.sendall(piece)


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _agreement(server: _Server, library: _Client, hand: _Client, recorded: Recorded) -> dict[str, float]:
    """Return the seconds by which the library's marks differ from those taken by hand."""
    events = events_of(recorded)
    for each in (hand, library):
        each.ask(" ".join([server.place, _PATHS[recorded.format], *offered(events)]))
    server.play(events)
    told, reads = library.answer(), hand.answer()
    ends, size = [], len(_HEAD)
    for event in events:
        size += len(_chunk(event))
        ends.append(size)
    by_hand = {
        mark: next(now for now, there in reads if there >= ends[number])
        for mark, number in firsts(recorded.format, events).items()
    }
    both = {mark for mark in MARKS if told[mark] is not None}
    if both != set(by_hand):
        raise AssertionError(f"{recorded.name}: {sorted(both)} and {sorted(by_hand)}")
    return {mark: told[mark] - by_hand[mark] for mark in sorted(both)}


def events_of(recorded: Recorded) -> list[bytes]:
    return [event for event in re.split(rb"(?<=\n\n)", recorded.body) if event][:_MOST_EVENTS]


def chosen(count: int) -> list[Recorded]:
    """Return recordings with reasoning, tool calls and pings first, from all formats in turns."""
    everything = [*shared(), *ours()]
    streams = [each for each in everything if each.body.startswith(_SSE) and each.body.count(b"\n\n") > 1]
    found = [each for each in streams if each.format in _PATHS]
    words = (b"reason", b"thinking", b"tool", b"ping")
    found.sort(key=lambda each: -sum(word in each.body for word in words))
    by_format = [[each for each in found if each.format == format] for format in _PATHS]
    turns = [each for turn in zip_longest(*by_format) for each in turn if each is not None]
    return turns[:count]


def marks(plan: Plan) -> list[Table]:
    """Compare the marks of many answers, and those of the first answer of many processes."""
    recordings = chosen(plan.recordings)
    with ExitStack() as stack:
        server, library, hand = _Server(stack), _Client("library", stack), _Client("hand", stack)
        _agreement(server, library, hand, recordings[0])
        warm = [_agreement(server, library, hand, recorded) for recorded in recordings]
    first = []
    for recorded in recordings[: plan.imports]:
        with ExitStack() as stack:
            server, library, hand = _Server(stack), _Client("library", stack), _Client("hand", stack)
            first.append(_agreement(server, library, hand, recorded))
    return [
        _compared(f"marks of {len(warm)} answers, beside a client by hand", warm),
        _compared(f"marks of the first answer of {len(first)} processes", first),
    ]


def _compared(title: str, differences: list[dict[str, float]]) -> Table:
    rows = []
    for mark in MARKS:
        found = sorted(abs(each[mark]) for each in differences if mark in each)
        if found:
            figures = (median(found), found[round(0.99 * (len(found) - 1))], found[-1])
            rows.append([mark, str(len(found)), *(f"{figure * 1e6:.0f}" for figure in figures)])
    return Table(title, ["µs apart", "answers", "median", "p99", "max"], rows)
