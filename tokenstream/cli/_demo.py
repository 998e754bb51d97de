"""The command `python -m tokenstream demo`, which reads recorded answers as they arrive.

The recordings were written for this demo, according to the providers' documentation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tokenstream.cli._screen import open_screen
from tokenstream.cli._shows import show_form, show_markdown
from tokenstream.connect import connect
from tokenstream.errors import StreamError
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDone
from tokenstream.recovery import Retry
from tokenstream.testing._serve.server import ReplayServer, Reply, Request, paced

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tokenstream.cli._screen import Screen
    from tokenstream.events import Event
    from tokenstream.message import Message, ToolCall
    from tokenstream.recovery import Attempt, AttemptReport
    from tokenstream.stages import Metrics
    from tokenstream.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """A recording, with the way in which it is sent and printed."""

    title: str
    recording: str
    path: str
    question: dict[str, Any]
    """Body of the request, in the provider's format."""
    first: float
    """Seconds until the first event."""
    rate: float
    """Events per second after the first."""
    cuts: tuple[bytes, bytes] | None = None
    """Two byte sequences of the recording. In the first attempt, the connection breaks inside the
    first sequence; in the second attempt, the body ends inside the second sequence."""
    draw: Callable[[Screen, Stream], None] | None = None
    """Draws the answer while it arrives; None to print its events."""

    def replies(self, *, fast: bool) -> list[Reply]:
        """Return the server's replies, in order: only the recording, or three failed attempts before it."""
        body = files("tokenstream.cli").joinpath("recordings", self.recording).read_bytes()
        chunks = paced(body, rate=None) if fast else paced(body, rate=self.rate, first=self.first)
        whole = Reply(chunks=chunks)
        if self.cuts is None:
            return [whole]
        cut_offsets = [body.index(sequence) + len(sequence) // 2 for sequence in self.cuts]
        broken, ended = (whole.cut_after(offset) for offset in cut_offsets)
        # Without a `cut`, the second body ends as if it were complete.
        return [broken, replace(ended, cut=None), _BAD_GATEWAY, whole]


_BAD_GATEWAY = Reply(chunks=[(0.0, b"<html>Bad gateway</html>")], content_type="text/html", status=502)
"""Reply of a proxy that cannot reach its server."""


def _make_question(model: str, text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}


_INCLUDE_USAGE = {"include_usage": True}
RUNS = (
    DemoRun(
        title="openai-chat: text and two tool calls",
        recording="openai-chat.sse",
        path="/v1/chat/completions",
        question=_make_question(
            "demo-1", "Why does the answer come all at once?", stream_options=_INCLUDE_USAGE
        ),
        first=0.4,
        rate=45.0,
    ),
    DemoRun(
        title="anthropic: reasoning, text and a tool call",
        recording="anthropic.sse",
        path="/v1/messages",
        question=_make_question("demo-2", "A stream broke. What may I keep?", max_tokens=1024),
        first=0.6,
        rate=30.0,
    ),
    DemoRun(
        title="text: bare words",
        recording="text.sse",
        path="/text",
        question={"question": "What is the simplest stream?"},
        first=0.3,
        rate=36.0,
    ),
    DemoRun(
        title="gemini: markdown, of which only the last block is drawn again",
        recording="gemini-markdown.sse",
        path="/v1beta/models/demo-3:streamGenerateContent",
        question={"contents": [{"role": "user", "parts": [{"text": "What does half a block look like?"}]}]},
        first=0.4,
        rate=60.0,
        draw=show_markdown,
    ),
    DemoRun(
        title="openai-responses: a form that fills in",
        recording="openai-responses-form.sse",
        path="/v1/responses",
        question={"model": "demo-4", "input": "How do I make pancakes?", "stream": True},
        first=0.4,
        rate=35.0,
        draw=show_form,
    ),
    DemoRun(
        title="openai-chat: the answer breaks off three times, and goes on",
        recording="openai-chat-cut.sse",
        path="/flaky/v1/chat/completions",
        question=_make_question("demo-1", "Please make room on the disk.", stream_options=_INCLUDE_USAGE),
        first=0.3,
        rate=60.0,
        cuts=(b'{"content":" because"}', b'{"arguments":"/old"}'),
    ),
)
"""The demo's runs, in order."""

_COLUMN_HEADS = (
    "answer",
    "finish\nreason",
    "ending",
    "tool\ncalls",
    "usage\nin + out",
    "time to\nfirst token",
    "tokens\nper second",
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command to the parsers of the program."""
    about = "Read recorded answers from a server on this machine, over real HTTP and as they arrive."
    parser = commands.add_parser("demo", help="watch answers arrive", description=about)
    parser.add_argument(
        "part", nargs="?", choices=["agents"], help="agents: a run of agents, drawn as a tree while it grows"
    )
    parser.add_argument("--fast", action="store_true", help="send the recordings without pauses")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    """Run the part of the demo that the command line names; return the exit status."""
    if options.part == "agents":
        from tokenstream.cli import _demo_agents as demo_agents

        return demo_agents.run(fast=bool(options.fast))
    return run(fast=bool(options.fast))


def run(*, fast: bool = False) -> int:
    """Play the recordings; return the exit status, 0 if every answer is complete.

    Args:
        fast: True to send the recordings without pauses.
    """
    import httpx

    screen = open_screen()
    screen.print_line(
        f"A server on this machine sends {len(RUNS)} recorded answers over HTTP"
        f"{'' if fast else ', at the pace of a model'}; connect() reads them."
    )
    replies = {run.path: iter(run.replies(fast=fast)) for run in RUNS}

    def answer(request: Request) -> Reply:
        return next(replies[request.route])

    # trust_env=False: a proxy named by the environment could not reach a server on loopback.
    with ReplayServer(answer) as server, httpx.Client(trust_env=False, timeout=30) as client:
        streams = [_play(screen, number, server.url, client, fast=fast) for number in range(len(RUNS))]
    screen.print_table(_COLUMN_HEADS, [_make_row(stream) for stream in streams])
    return 0 if all(stream.message.complete for stream in streams) else 1


def _play(screen: Screen, number: int, url: str, client: Any, *, fast: bool) -> Stream:  # noqa: ANN401 - httpx's
    """Play one run: ask the server, print the answer as it arrives, then the metrics; return the stream."""
    run = RUNS[number]
    screen.print_title(f"{number + 1}/{len(RUNS)} {run.title}")
    printer = _Printer(screen)
    retry = None
    if run.cuts is not None:
        # With align=True no event arrives twice: the call that was cut is handed out once, complete.
        wait = 0.0 if fast else 0.3
        retry = Retry(mode="restart", align=True, attempts=4, wait=wait, on_retry=printer.print_retry)
    with connect(f"{url}{run.path}", json=run.question, client=client, retry=retry) as stream:
        try:
            if run.draw is not None:
                run.draw(screen, stream)
            else:
                for event in stream:
                    printer.print_event(event)
        except StreamError as error:
            screen.print_line(f"{type(error).__name__}: {error}", "bad")
    screen.end_line()
    if len(stream.attempts) > 1:
        screen.print_line()
        screen.print_line(
            f"stream.attempts: {', '.join(_name_outcome(report) for report in stream.attempts)}"
        )
    screen.print_line()
    for line in _write_metrics(stream.metrics):
        screen.print_line(line, "dim")
    return stream


def _write_metrics(metrics: Metrics) -> list[str]:
    """Return lines with the metrics that are known."""
    gaps = metrics.gaps
    first_times = {
        "byte": metrics.first_byte,
        "token": metrics.ttft,
        "text": metrics.first_text,
        "tool call": metrics.first_tool_call,
    }
    times = {"p50": gaps.p50, "p95": gaps.p95, "p99": gaps.p99, "max": gaps.max}
    tokens, speed = metrics.output_tokens, metrics.tokens_per_second
    per_second = "" if speed is None else f", {speed:,.0f} per second"
    lines = [
        _write_figures(
            "first", [f"{name} {time:.3f} s" for name, time in first_times.items() if time is not None]
        ),
        _write_figures(
            "gaps", [f"{name} {gap * 1000:,.1f} ms" for name, gap in times.items() if gap is not None]
        ),
        "" if tokens is None else f"{tokens:,} tokens, {metrics.tokens_source}{per_second}",
    ]
    return [line for line in lines if line]


def _write_figures(name: str, figures: list[str]) -> str:
    return f"{name}: {', '.join(figures)}" if figures else ""


def _name_outcome(report: AttemptReport) -> str:
    """Return the class of the error that ended an attempt; "whole" if there was none."""
    return "whole" if report.error is None else type(report.error).__name__


class _Printer:
    """Prints an answer as it arrives, each kind of content on lines of its own."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._kind: type[Event] | None = None
        self._after_retry = False
        """True after a message about another attempt: the next text begins a line, without spaces."""

    def print_retry(self, attempt: Attempt) -> None:
        """Print the reason for another attempt."""
        self._screen.print_line(
            f"[{type(attempt.error).__name__}; asking again in {attempt.wait:.1f} s]", "dim"
        )
        self._kind, self._after_retry = None, True

    def print_event(self, event: Event) -> None:
        """Print the content that an event adds."""
        match event:
            case ReasoningDelta(text):
                if self._change_kind(event):
                    # The first piece of this reasoning.
                    text = f"reasoning: {text}"
                self._screen.print_piece(text, "dim")
            case TextDelta(text):
                self._change_kind(event)
                self._screen.print_piece(text.lstrip(" ") if self._after_retry else text)
                self._after_retry = False
            case ToolCallDone(call):
                self._change_kind(event)
                self._screen.print_line(f"tool call: {_write_call(call)}", "strong")
            case _:
                return

    def _change_kind(self, event: Event) -> bool:
        """Begin a line if an event is of another kind than the last one; return True if it is."""
        last_kind, self._kind = self._kind, type(event)
        # There is no line to end before the first event.
        if last_kind not in {None, self._kind}:
            self._screen.print_line()
        return last_kind is not self._kind


def _write_call(call: ToolCall) -> str:
    return f"{call.name} {json.dumps(call.arguments, ensure_ascii=False)}"


def _make_row(stream: Stream) -> list[tuple[str, str]]:
    """Return the row of the table for a stream: cells of a text and a style."""
    message, metrics = stream.message, stream.metrics
    speed = metrics.tokens_per_second
    return [
        (stream.format or "-", ""),
        (message.finish_reason or "-", ""),
        (message.ending, "good" if message.complete else "bad"),
        (_count_calls(message), ""),
        (_write_usage(message), ""),
        ("-" if metrics.ttft is None else f"{metrics.ttft:.2f} s", ""),
        ("-" if speed is None else f"{speed:,.0f}", ""),
    ]


def _count_calls(message: Message) -> str:
    """Return the number of complete tool calls, and that of the calls that were cut."""
    calls = message.tool_calls
    incomplete = sum(not call.complete for call in calls)
    return f"{len(calls) - incomplete}, {incomplete} cut" if incomplete else str(len(calls))


def _write_usage(message: Message) -> str:
    usage = message.usage
    return "-" if usage is None else f"{usage.input_tokens} + {usage.output_tokens}"
