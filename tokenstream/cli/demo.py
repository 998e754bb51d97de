"""`python -m tokenstream demo`: recorded answers, read as they arrive.

The recordings were made for this demo; they follow their providers' documents.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tokenstream.cli._screen import open_screen
from tokenstream.connect import connect
from tokenstream.errors import StreamError
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.testing._server import ReplayServer, Reply, paced

if TYPE_CHECKING:
    import argparse

    from tokenstream.cli._screen import Screen
    from tokenstream.events import Event
    from tokenstream.message import Message, ToolCall
    from tokenstream.stream import Stream

__all__ = ["add_to", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One recording, and how it is played."""

    title: str
    recording: str
    path: str
    question: dict[str, Any]
    """The request's body, as the provider wants it."""
    first: float
    """Seconds until the first event."""
    rate: float
    """Events per second after it."""
    cut_in: bytes = b""
    """Bytes of the recording in whose middle the connection breaks."""

    def reply(self, *, fast: bool) -> Reply:
        """Return the recording as the server sends it."""
        body = files("tokenstream.cli").joinpath("recordings", self.recording).read_bytes()
        chunks = paced(body, rate=None) if fast else paced(body, rate=self.rate, first=self.first)
        whole = Reply(chunks=chunks)
        if not self.cut_in:
            return whole
        return whole.cut_after(body.index(self.cut_in) + len(self.cut_in) // 2)


def _asked(model: str, text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}


_WITH_USAGE = {"include_usage": True}
RUNS = (
    Run(
        title="openai-chat: text and two tool calls",
        recording="openai-chat.sse",
        path="/v1/chat/completions",
        question=_asked("demo-1", "Why does the answer come all at once?", stream_options=_WITH_USAGE),
        first=0.4,
        rate=45.0,
    ),
    Run(
        title="anthropic: reasoning, text and a tool call",
        recording="anthropic.sse",
        path="/v1/messages",
        question=_asked("demo-2", "A stream broke. What may I keep?", max_tokens=1024),
        first=0.6,
        rate=30.0,
    ),
    Run(
        title="text: bare words",
        recording="text.sse",
        path="/text",
        question={"question": "What is the simplest stream?"},
        first=0.3,
        rate=36.0,
    ),
    Run(
        title="openai-chat: the connection breaks in the middle",
        recording="openai-chat-cut.sse",
        path="/cut/v1/chat/completions",
        question=_asked("demo-1", "Please make room on the disk.", stream_options=_WITH_USAGE),
        first=0.4,
        rate=36.0,
        cut_in=b'{"arguments":"/old"}',
    ),
)
"""What is played, one after the other."""

_HEADS = (
    "answer",
    "finish\nreason",
    "ending",
    "tool\ncalls",
    "usage\nin + out",
    "time to\nfirst token",
    "tokens\nper second",
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser's."""
    about = "Read recorded answers from a server on this machine, over real HTTP and as they arrive."
    parser = commands.add_parser("demo", help="watch answers arrive", description=about)
    parser.add_argument("--fast", action="store_true", help="send the recordings without pauses")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return run(fast=bool(options.fast))


def run(*, fast: bool = False) -> int:
    """Play the recordings; return the exit status: 0 when each ended as it should.

    Args:
        fast: Whether the server makes no pauses.
    """
    import httpx

    screen = open_screen()
    screen.line(
        f"A server on this machine sends {len(RUNS)} recorded answers over HTTP"
        f"{'' if fast else ', at the pace of a model'}; connect() reads them."
    )
    replies = {run.path: run.reply(fast=fast) for run in RUNS}
    # A proxy that the environment names cannot reach a server on loopback.
    with ReplayServer(replies) as server, httpx.Client(trust_env=False, timeout=30) as client:
        streams = [_play(screen, number, server.url, client) for number in range(len(RUNS))]
    screen.table(_HEADS, [_row(stream) for stream in streams])
    expected = ["truncated" if run.cut_in else "complete" for run in RUNS]
    return 0 if expected == [stream.message.ending for stream in streams] else 1


def _play(screen: Screen, number: int, url: str, client: Any) -> Stream:  # noqa: ANN401 - httpx's
    run = RUNS[number]
    screen.title(f"{number + 1}/{len(RUNS)} {run.title}")
    with connect(f"{url}{run.path}", json=run.question, client=client) as stream:
        printer = _Printer(screen)
        try:
            for event in stream:
                printer.show(event)
        except StreamError as error:
            _show_error(screen, error)
    screen.fresh()
    return stream


class _Printer:
    """Prints an answer as it arrives, what is of another kind apart."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._kind: type[Event] | None = None

    def show(self, event: Event) -> None:
        """Print what an event adds."""
        match event:
            case ReasoningDelta(text):
                if self._begins(event):
                    text = f"reasoning: {text}"
                self._screen.piece(text, "dim")
            case TextDelta(text):
                self._begins(event)
                self._screen.piece(text)
            case ToolCallDone(call):
                self._begins(event)
                self._screen.line(f"tool call: {_call(call)}", "strong")
            case _:
                return

    def _begins(self, event: Event) -> bool:
        last, self._kind = self._kind, type(event)
        if last not in {None, self._kind}:
            self._screen.line()
        return last is not self._kind


def _show_error(screen: Screen, error: StreamError) -> None:
    screen.line()
    screen.line(f"{type(error).__name__}: {error}", "bad")
    screen.line()
    kept = error.partial
    end = " ".join(kept.text.split()[-4:])
    _show_fact(screen, "error.partial.text", f'all {len(kept.text)} characters, to "... {end}"')
    for call in kept.tool_calls:
        _show_fact(screen, "error.partial.tool_calls", f"{call.name} {call.arguments_text}")
    delivered = ", ".join(error.tool_calls_delivered) or "none: half a call is never handed out"
    _show_fact(screen, "error.tool_calls_delivered", delivered)
    _show_fact(screen, "error.retryable", str(error.retryable))


def _show_fact(screen: Screen, name: str, fact: str) -> None:
    screen.line(f"{name:<27} {fact}")


def _call(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}"


def _row(stream: Stream) -> list[tuple[str, str]]:
    message, metrics = stream.message, stream.metrics
    speed = metrics.tokens_per_second
    return [
        (stream.format or "-", ""),
        (message.finish_reason or "-", ""),
        (message.ending, "good" if message.complete else "bad"),
        (_calls(message), ""),
        (_usage(message), ""),
        ("-" if metrics.ttft is None else f"{metrics.ttft:.2f} s", ""),
        ("-" if speed is None else f"{speed:,.0f}", ""),
    ]


def _calls(message: Message) -> str:
    calls = message.tool_calls
    cut = sum(not call.complete for call in calls)
    return f"{len(calls) - cut}, {cut} cut" if cut else str(len(calls))


def _usage(message: Message) -> str:
    usage = message.usage
    return "-" if usage is None else f"{usage.input_tokens} + {usage.output_tokens}"
