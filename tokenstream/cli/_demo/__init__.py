"""The command `demo`: what the library does, shown on recorded answers."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._request.connect import connect
from tokenstream.cli._demo.screen import Recipe, events_display, form_display, markdown_display, open_screen
from tokenstream.errors import StreamError
from tokenstream.recovery import Retry
from tokenstream.testing._serve.replies import Reply, Request, paced
from tokenstream.testing._serve.server import ReplayServer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.cli._demo.screen import Screen
    from tokenstream.message import Ending
    from tokenstream.stream import Stream

MAX_WIDTH = 60
"""Largest number of columns to use: those of a narrow terminal, or of one half of a wide one."""
OPENING = "stream = connect(url, json=payload)"
"""The line that opens the stream of a part."""


class RecordedAnswer(NamedTuple):
    """A recording, with the request that it answers and the pace at which it is sent."""

    recording: str
    path: str
    payload: JsonObject
    """Body of the request, in the provider's format."""
    first: float
    """Seconds until the first event."""
    rate: float
    """Events per second after the first."""
    ends_inside: bytes | None = None
    """Bytes of the recording, in the middle of which the body of the first reply ends; None to send all."""
    rest: str | None = None
    """The recording that answers the second request, if there is one."""

    def replies(self, *, fast: bool) -> list[Reply]:
        replies = [self._play(name, fast=fast) for name in (self.recording, self.rest) if name is not None]
        if self.ends_inside is not None:
            size = _read(self.recording).index(self.ends_inside) + len(self.ends_inside) // 2
            # `cut_after` shortens the body, and has the connection break there. `cut=None` takes the break
            # back: the short body then ends as if it were complete.
            replies[0] = replace(replies[0].cut_after(size), cut=None)
        return replies

    def _play(self, name: str, *, fast: bool) -> Reply:
        body = _read(name)
        return Reply(chunks=paced(body, rate=None) if fast else paced(body, rate=self.rate, first=self.first))


def _read(recording: str) -> bytes:
    return files("tokenstream.cli").joinpath("recordings", recording).read_bytes()


class DemoPart(NamedTuple):
    """A part of the demo: lines of code, and remarks on them."""

    title: str
    captions: tuple[str, ...]
    """Remarks before the output of the first line."""
    code: tuple[str, ...]
    """Lines of code, which are shown and run one after the other."""
    answer: RecordedAnswer | None = None
    """The answer that is read; None to go on with the stream of the part before."""
    opening: str = OPENING
    """The line of code that opens the stream; the usual one, `OPENING`, is shown only once, at the start."""
    show: Callable[[Screen], AbstractContextManager[Callable[[Any], None]]] = events_display
    """Returns a context manager; its value is the function `show` that the code calls."""
    ending: Ending = "complete"


def _ask(model: str, text: str, **more: Json) -> JsonObject:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **more}


_INCLUDE_USAGE = {"include_usage": True}
_CUT = RecordedAnswer(
    recording="openai-chat-cut.sse",
    path="/cut/v1/chat/completions",
    payload=_ask("demo-1", "Please make room on the disk.", stream_options=_INCLUDE_USAGE),
    first=2.0,
    rate=20.0,
    ends_inside=b'"arguments":"2023"',
)
_ANNOUNCEMENT = (
    "The answer will end too early, inside a tool call. Here openai and anthropic return half an answer "
    "without an error: at 2478 of 2478 and at 1832 of 2093 cuts (docs/reports/conformance.md)."
)
_LOOP = "for event in stream: show(event)"
PARTS = (
    DemoPart(
        title="Text, as it arrives",
        captions=('Asked: "What is httpx, and which version do I have?"',),
        code=('for text in stream.text: print(text, end="", flush=True)',),
        answer=RecordedAnswer(
            recording="openai-chat.sse",
            path="/v1/chat/completions",
            payload=_ask(
                "demo-1", "What is httpx, and which version do I have?", stream_options=_INCLUDE_USAGE
            ),
            first=0.8,
            rate=22.0,
        ),
    ),
    DemoPart(
        title="Tools that run",
        captions=("The same answer goes on with two calls of a function:",),
        code=("[call.run() for call in stream.validated_calls(version)]",),
    ),
    DemoPart(
        title="Every event, in one loop",
        captions=('Asked: "Is Oslo good for a picnic on Saturday?"',),
        code=(_LOOP,),
        answer=RecordedAnswer(
            recording="anthropic.sse",
            path="/v1/messages",
            payload=_ask("demo-2", "Is Oslo good for a picnic on Saturday?", max_tokens=1024),
            first=0.8,
            rate=16.0,
        ),
    ),
    DemoPart(
        title="An object that fills in",
        captions=("Recipe is a pydantic model, and the answer is JSON.",),
        code=("for draft in stream.partials(Recipe): show(draft)",),
        answer=RecordedAnswer(
            recording="openai-responses-form.sse",
            path="/v1/responses",
            payload={"model": "demo-4", "input": "How do I make pancakes?", "stream": True},
            first=0.8,
            rate=20.0,
        ),
        show=form_display,
    ),
    DemoPart(
        title="Markdown, block by block",
        captions=("A block that is finished is never drawn again.",),
        code=("for block in stream.text.markdown_blocks(): show(block)",),
        answer=RecordedAnswer(
            recording="gemini-markdown.sse",
            path="/v1beta/models/demo-3:streamGenerateContent",
            payload={
                "contents": [{"role": "user", "parts": [{"text": "How do I read a large file in Python?"}]}]
            },
            first=0.8,
            rate=45.0,
        ),
        show=markdown_display,
    ),
    DemoPart(
        title="The answer is cut",
        captions=(_ANNOUNCEMENT,),
        code=(_LOOP, "show(error.partial)"),
        answer=_CUT,
        ending="truncated",
    ),
    DemoPart(
        title="The answer is cut, and goes on",
        captions=("This cut is in a sentence. Retry() asks the model to continue it.",),
        code=(_LOOP,),
        answer=_CUT._replace(
            path="/retry/v1/chat/completions",
            first=1.2,
            ends_inside=b'{"content":" because"}',
            rest="openai-chat-rest.sse",
        ),
        opening="stream = connect(url, json=payload, retry=Retry())",
    ),
)

_AFTER_THE_ERROR = (
    "What arrived is kept, in error.partial. Closing the brackets of the call would make it delete "
    "all of /srv/logs."
)
_COLUMN_HEADS = ("format", "ending", "tokens\nin + out", "first\ntoken", "tokens\nper second")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "Read recorded answers from a server on this machine, over real HTTP and as they arrive."
    parser = commands.add_parser(
        "demo", help="watch answers arrive, beside the code that reads them", description=about
    )
    parser.add_argument("--fast", action="store_true", help="send the recordings without pauses")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return run(program=options.program, fast=bool(options.fast))


def run(*, program: str, fast: bool = False) -> int:
    """Play the parts; return the exit status, 0 if every answer ends as it should."""
    import httpx

    screen = open_screen(MAX_WIDTH)
    if screen.console is not None:
        # Tables and markdown, which rich draws, get the width of the other output.
        screen.console.width = screen.width
    screen.print_caption(
        "A server on this machine sends recorded answers over HTTP"
        f"{'' if fast else ', at the pace of a model'}. Each part opens its stream with this line, and then "
        "runs the line that it shows:"
    )
    screen.print_code(OPENING)
    output = "lines with | are" if screen.answer_margin else "the rest is"
    screen.print_caption(f"Lines with # are remarks; {output} output.")
    answers = [part.answer for part in PARTS if part.answer is not None]
    replies = {answer.path: iter(answer.replies(fast=fast)) for answer in answers}

    def reply(request: Request) -> Reply:
        return next(replies[request.route])

    with ExitStack() as stack:
        server = stack.enter_context(ReplayServer(reply))
        # trust_env=False: a proxy named by the environment could not reach a server on loopback.
        client = stack.enter_context(httpx.Client(trust_env=False, timeout=30))
        player = _DemoPlayer(screen, server.url, client)
        stack.callback(player.close)
        for number, part in enumerate(PARTS, 1):
            screen.print_title(f"{number}/{len(PARTS)} {part.title}")
            player.play(part)
        screen.print_title("Endings, tokens, times")
        screen.print_caption("From stream.message and stream.metrics:")
        screen.print_table(_COLUMN_HEADS, [_make_row(stream) for stream, _ in player.streams])
        as_expected = [stream.message.ending == ending for stream, ending in player.streams]
    screen.print_line()
    screen.print_line("Read on:    https://github.com/llm-tokenstream/tokenstream")
    screen.print_line(f"Try yours:  {program} inspect --help")
    return 0 if all(as_expected) else 1


class _DemoPlayer:
    """Shows and runs the lines of code of which each part of the demo consists.

    Args:
        url: Address of the server that sends the recordings.
    """

    def __init__(self, screen: Screen, url: str, client: object) -> None:
        self._screen = screen
        self._url = url
        self.streams: list[tuple[Stream, Ending]] = []

        def version(package: str) -> str:
            screen.print_caption(f'version(package="{package}") runs in this process')
            return metadata.version(package)

        self._names: dict[str, Any] = {
            "connect": partial(connect, client=client),
            "print": self._print,
            "Recipe": Recipe,
            "Retry": Retry,
            "version": version,
        }

    def play(self, part: DemoPart) -> None:
        """Show the code of a part, run it, and print its output as it arrives."""
        screen = self._screen
        if part.answer is not None:
            self._open(part, part.answer)
        # The code may call `show`, which prints an item in the way of this part.
        with part.show(screen) as self._names["show"]:
            for number, code in enumerate(part.code):
                screen.print_code(code)
                # The captions come before the output of the first line.
                for caption in part.captions if number == 0 else ():
                    screen.print_caption(caption)
                try:
                    self._run(code)
                except StreamError as error:
                    self._names["error"] = error
                    screen.print_line(f"{type(error).__name__}: {error}", "bad")
                    if part.ending == "complete":
                        # The error was not part of the demo, so the other lines make no sense.
                        return
                    screen.print_caption(_AFTER_THE_ERROR)
                screen.end_line()

    def close(self) -> None:
        for stream, _ in self.streams:
            stream.close()

    def _open(self, part: DemoPart, answer: RecordedAnswer) -> None:
        """Print and run the line of the demo's code that opens the stream of an answer."""
        self._names |= {"url": self._url + answer.path, "payload": answer.payload}
        # The usual line is shown only once, in the introduction.
        if part.opening != OPENING:
            self._screen.print_code(part.opening)
        self._run(part.opening)
        self.streams.append((self._names["stream"], part.ending))

    def _run(self, code: str) -> None:
        """Run a line of code; print its value, as Python's prompt does."""
        try:
            expression = compile(code, "<demo>", "eval")
        except SyntaxError:
            # The line is a statement, such as a loop, and has no value.
            exec(compile(code, "<demo>", "exec"), self._names)  # noqa: S102 - the demo's own text
            return
        value = eval(expression, self._names)  # noqa: S307 - the demo's own text
        if value is not None:
            self._print(repr(value))

    def _print(self, text: str, *, end: str = "\n", flush: bool = False) -> None:
        """Print a text; this method replaces `print` in the demo's code."""
        self._screen.print_answer(f"{text}{end}")


def _make_row(stream: Stream) -> list[tuple[str, str]]:
    """Return the row of the table for a stream: cells of a text and a style."""
    message, metrics = stream.message, stream.metrics
    speed, usage = metrics.tokens_per_second, message.usage
    has_counts = usage.input_tokens is not None and usage.output_tokens is not None
    return [
        (stream.format or "-", ""),
        (message.ending, "good" if message.complete else "bad"),
        (f"{usage.input_tokens} + {usage.output_tokens}" if has_counts else "-", ""),
        ("-" if metrics.ttft is None else f"{metrics.ttft:.2f} s", ""),
        ("-" if speed is None else f"{speed:,.0f}", ""),
    ]
