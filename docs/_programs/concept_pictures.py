"""Draw the pictures of the guides: writes stages.svg, partial-values.svg, steps.svg and others in docs/pictures.

    python docs/_programs/concept_pictures.py

Each picture shows what the library returned when this script ran it: the frames and events of a body,
the message that remained of a cut one, the records that two readers of a journal received.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import runpy
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tokenstream import AsyncStream, Decoder, Stream, relay, testing
from tokenstream.errors import StreamTruncated
from tokenstream.events import Event, PartDone, PartStart, ReasoningDelta
from tokenstream.events import TextDelta, ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.framing import SSEParser
from tokenstream.partial_json import PartialJSONParser, ValueDone
from tokenstream.relay.journal import Entry
from tokenstream.steps import Step, Steps
from tokenstream.testing import faults

FOLDER = Path(__file__).parents[1] / "pictures"
_LETTER, _WIDTH, _LEFT = 7.2, 780, 16
"""Width of a letter of code, of a picture, and of its margin."""
_in_both: Callable[[str], str] = runpy.run_path(str(Path(__file__).with_name("colours.py")))["in_both"]
_STYLE = _in_both(
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2937;white-space:pre}"
    ".told{font-family:system-ui,sans-serif;fill:#4b5563}.head{font-family:system-ui,sans-serif;font-weight:600}"
    ".page{fill:#fff;stroke:#d1d5db}.in{fill:#dbeafe}.made{fill:#dcfce7}.open{fill:#fef3c7}.none{fill:#f3f4f6}"
    ".cut{stroke:#b45309;stroke-dasharray:4 3}path{fill:none;stroke:#94a3b8;stroke-width:1.3}"
)


class Canvas:
    """A picture while it is drawn."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._drawn: list[str] = []
        self._moves = ""

    def tell(self, x: float, y: float, text: str, kind: str = "told") -> None:
        """Write a remark."""
        self._drawn.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def code(self, x: float, y: float, text: str) -> None:
        """Write code; its letters keep their places in every font."""
        if text.strip():
            size = f'x="{x:.1f}" y="{y:.1f}" textLength="{_LETTER * len(text):.1f}"'
            self._drawn.append(f"<text {size}>{escape(text)}</text>")

    def box(
        self, x: float, y: float, width: float, text: str = "", kind: str = "in", height: float = 22
    ) -> None:
        """Draw a box with a line of code in it."""
        size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3"'
        self._drawn.append(f'<rect class="{kind}" {size}/>')
        self.code(x + 5, y + 15, text)

    def line(self, way: str, kind: str = "line") -> None:
        """Draw a line along a path."""
        self._drawn.append(f'<path class="{kind}" d="{way}"/>')

    def begin(self, kind: str) -> None:
        """Begin a group that moves as one, by the rules of `style`."""
        self._drawn.append(f'<g class="{kind}">')

    def end(self) -> None:
        """End the group that has begun."""
        self._drawn.append("</g>")

    def style(self, rules: str) -> None:
        """Add rules, such as those of groups that move."""
        self._moves += rules

    def svg(self, height: float, width: float = _WIDTH) -> str:
        """Return the picture."""
        size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" {size} role="img">'
        page = f'<rect class="page" x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8"/>'
        title = f"<title>{escape(self._title)}</title>"
        return (
            "\n".join([head, title, f"<style>{_STYLE}{self._moves}</style>", page, *self._drawn, "</svg>"])
            + "\n"
        )


def _shown(text: str) -> str:
    """Return text with its line ends made visible."""
    return text.replace("\n", "\u23ce")


def _named(event: Event) -> str:
    """Return an event's class, and the text that it adds."""
    match event:
        case TextDelta(text):
            return f"TextDelta {text!r}"
        case ToolCallDelta(_, fragment):
            return f"ToolCallDelta {fragment!r}"
        case PartStart(content) | PartDone(content) if content is not None:
            return f"{type(event).__name__} {content.kind}"
        case ToolCallStart(_, name):
            return f"ToolCallStart {name}"
        case ToolCallDone(call):
            return f"ToolCallDone {call.name}"
        case _:
            return type(event).__name__


# ---- events and message

_CHUNKS = (b"data: It rai", b"ns today.\n\ndata:  Take a coat.\n", b"\ndata: [DONE]\n\n")


def draw_stages() -> str:
    """Draw an answer on its way through the stages: chunks, frames, events, message, a view."""
    canvas = Canvas("An answer as chunks, frames, events and message")
    body, left, letter = b"".join(_CHUNKS), 112.0, 9.4

    def place(position: int) -> float:
        return left + letter * position

    at = 0
    canvas.tell(_LEFT, 35, "chunks", "head")
    for chunk in _CHUNKS:
        canvas.box(place(at), 20, letter * len(chunk) - 3, _shown(chunk.decode()))
        at += len(chunk)
    framing, decoder = SSEParser(), Decoder("text")
    frames = [frame for chunk in _CHUNKS for frame in framing.frames(chunk)]
    rows = {"frames": 62.0, "events": 104.0, "message": 206.0, "stream.text": 262.0}
    for name, y in rows.items():
        canvas.tell(_LEFT, y + 15, name, "head")

    def show_message(x: float, width: float) -> None:
        message, longest = decoder.message, int(width / _LETTER) - 4
        canvas.box(x, rows["message"], width, "", "open" if message.ending == "streaming" else "made", 44)
        text = message.text if len(message.text) <= longest else f"\u2026{message.text[-longest + 1 :]}"
        canvas.code(x + 5, rows["message"] + 16, repr(text))
        canvas.code(x + 5, rows["message"] + 34, message.ending)

    begin = 0
    for frame in frames:
        end = body.index(b"\n\n", begin) + 2
        x, width = place(begin), letter * (end - begin) - 3
        middle = x + width / 2
        canvas.line(f"M{middle:.1f} 44V60M{middle:.1f} 86V102")
        canvas.box(x, rows["frames"], width, frame.decode())
        events = decoder.feed(body[begin:end])
        for row, event in enumerate(events):
            canvas.box(x, rows["events"] + 26 * row, width, _named(event), "made")
        canvas.line(f"M{middle:.1f} {rows['events'] + 26 * len(events):.1f}V204")
        show_message(x, width)
        begin = end
    decoder.end()
    canvas.box(place(begin), 20, 104, "the end", "none")
    canvas.line(f"M{place(begin) + 52:.1f} 44V204")
    show_message(place(begin), 104)
    begin = 0
    for piece in Stream(list(_CHUNKS), format="text").text:
        end = body.index(b"\n\n", begin) + 2
        canvas.box(place(begin), rows["stream.text"], letter * (end - begin) - 3, repr(piece))
        begin = end
    return canvas.svg(300)


# ---- ending


def draw_cut() -> str:
    """Draw a recording that is cut in the middle: what arrived, its events, and the message that is kept."""
    answer = testing.script().text("I will look ", "it up.").tool_call("search", {"city": "Oslo"}).finish()
    recording = answer.recording("anthropic")
    frames = recording.chunks("events")
    cut_at = sum(map(len, frames[:9])) + 58
    rest = recording.with_fault(faults.cut(at=cut_at)).body
    canvas = Canvas("An answer that is cut in the middle, and what is kept of it")
    for x, title in ((_LEFT, "frames of the server"), (250, "events"), (512, "the message that is kept")):
        canvas.tell(x, 26, title, "head")
    decoder, y, cut = Decoder("anthropic"), 38.0, 0.0
    spans: dict[int, list[float]] = {}
    for frame in frames:
        arrived, rest = rest[: len(frame)], rest[len(frame) :]
        name = frame.split(b"\n")[0].decode().removeprefix("event: ")
        events = decoder.feed(arrived)
        if len(arrived) == len(frame):
            canvas.box(_LEFT, y, 222, name)
        elif arrived:
            canvas.box(_LEFT, y, 222, name, "none")
            canvas.box(_LEFT, y, 222 * len(arrived) / len(frame), name, "open")
            canvas.tell(250, y + 15, f"{len(arrived)} of {len(frame)} bytes: no event")
            cut = y
        else:
            canvas.box(_LEFT, y, 222, name, "none")
        for row, event in enumerate(events):
            canvas.box(250, y + 26 * row, 238, _named(event), "made")
            if event.part is not None:
                spans.setdefault(event.part, []).append(y + 26 * row)
        y += 26 * max(len(events), 1)
    decoder.end()
    error, message = decoder.error, decoder.message
    if not isinstance(error, StreamTruncated):
        raise TypeError("the answer was not cut")
    for index, part in enumerate(message.parts):
        top, height = spans[index][0], spans[index][-1] - spans[index][0] + 22
        canvas.line(f"M494 {top}H502V{top + height}H494")
        canvas.box(512, top, 252, "", "made" if part.complete else "open", max(height, 58))
        lines = [
            type(part).__name__,
            repr(getattr(part, "text", None) or getattr(part, "arguments_text", "")),
        ]
        for row, line in enumerate([*lines, f"complete={part.complete}"]):
            canvas.code(520, top + 16 + 17 * row, line)
    below = cut + 26
    canvas.line(f"M{_LEFT} {below - 2}H764", "cut")
    canvas.tell(250, below + 15, "the body ends here; the frames on the left never arrived")
    canvas.code(250, below + 41, f"message.ending = {message.ending!r}")
    canvas.code(
        250, below + 61, f"error = {type(error).__name__}, with {len(error.tail)} bytes in error.tail"
    )
    (call,) = error.partial.tool_calls
    canvas.code(250, below + 81, f"error.partial.tool_calls[0].complete = {call.complete}")
    return canvas.svg(max(y, below + 92) + 10)


# ---- deviating servers

_DEVIATING = (
    {"choices": [{"index": 0, "delta": {"content": "It is dry."}}]},
    {
        "choices": [
            {"index": 0, "delta": {"tool_calls": [{"function": {"name": "water", "arguments": "{}"}}]}}
        ]
    },
    {
        "choices": [
            {"index": 0, "delta": {}, "finish_reason": "tool_calls", "usage": {"completion_tokens": 9}}
        ]
    },
)


def draw_departures() -> str:
    """Draw an answer of a server that deviates from its documentation, with the rule for each deviation."""
    canvas = Canvas("An answer with five departures, and the events that come of it all the same")
    for x, title in ((_LEFT, "payloads of the server"), (330, "events"), (590, "departures")):
        canvas.tell(x, 26, title, "head")
    decoder, y, known = Decoder("openai-chat"), 38.0, set[str]()
    for payload in (*_DEVIATING, None):
        if payload is None:
            events, lines = decoder.end(), ["(the end of the body)"]
        else:
            text = json.dumps(payload)
            events, lines = decoder.feed(f"data: {text}\n\n"), textwrap.wrap(text, 41)
        new = [name for name in decoder.departures if name not in known]
        known.update(new)
        height = max(26 * len(events), 26 * len(new), 17 * len(lines) + 10) - 4
        canvas.box(_LEFT, y, 306, "", "in" if payload else "none", height)
        for row, line in enumerate(lines):
            canvas.code(_LEFT + 5, y + 15 + 17 * row, line)
        for row, event in enumerate(events):
            canvas.box(330, y + 26 * row, 248, _named(event), "made")
        for row, name in enumerate(new):
            canvas.box(590, y + 26 * row, 174, name, "open")
        y += height + 14
    canvas.code(_LEFT + 5, y + 12, f"message.ending = {decoder.message.ending!r}, error = {decoder.error}")
    return canvas.svg(y + 26)


# ---- partial values

_DOCUMENT = (
    '{"title": "Caf',
    "\\u00",
    'e9 au lait", "minutes": 1',
    '5, "steps": ["grind", "br',
    'ew"], "hot": tr',
    "ue}",
)


def draw_partial_values() -> str:
    """Draw the value of a document after each of its pieces."""
    canvas = Canvas("The value of a document after each of its pieces")
    for x, title in ((_LEFT, "piece"), (230, "value after it")):
        canvas.tell(x, 26, title, "head")
    parser, y, finished = PartialJSONParser(), 38.0, set[Any]()
    for piece in _DOCUMENT:
        finished.update(event.path for event in parser.feed(piece) if isinstance(event, ValueDone))
        canvas.box(_LEFT, y, 200, piece)
        x = 230.0
        for key, value in parser.value.items():
            text = f"{key}: {value!r}"
            width = _LETTER * len(text) + 10
            canvas.box(x, y, width, text, "made" if (key,) in finished else "open")
            x += width + 6
        y += 30
    canvas.box(230, y + 6, 14, "", "open", 14)
    canvas.tell(250, y + 18, "still growing")
    canvas.box(350, y + 6, 14, "", "made", 14)
    canvas.tell(370, y + 18, "finished: never touched again")
    return canvas.svg(y + 34)


# ---- metrics

_WAITS = (
    (0.3, "Hm. ", True),
    (0.5, "The ", False),
    (0.2, "sea ", False),
    (0.2, "is ", False),
    (1.1, "salt.", False),
)


def draw_metrics() -> str:
    """Draw what arrived of an answer when, and the marks that its stream has measured."""
    canvas = Canvas("The pieces of an answer on a time line, with the marks of its metrics")
    script = testing.script()
    for wait, text, is_reasoning in _WAITS:
        script = script.silence(wait).reasoning(text) if is_reasoning else script.silence(wait).text(text)
    clock, left, second = testing.VirtualClock(), 120.0, 240.0
    stream = script.silence(0.2).finish().stream("openai-chat", pace="recorded", clock=clock)
    canvas.tell(_LEFT, 35, "arrives", "head")
    pieces: dict[float, tuple[str, str]] = {}
    for event in stream:
        if isinstance(event, TextDelta | ReasoningDelta):
            text, _ = pieces.get(clock(), ("", ""))
            pieces[clock()] = (text + event.text, "in" if isinstance(event, TextDelta) else "open")
    moments = list(pieces)
    for moment, (text, kind) in pieces.items():
        canvas.box(left + second * moment, 20, _LETTER * len(text.strip()) + 10, text, kind)
    for begin, end in itertools.pairwise(moments):
        canvas.line(f"M{left + second * begin + 3:.1f} 52H{left + second * end - 3:.1f}")
        canvas.tell(left + second * (begin + end) / 2 - 12, 67, f"{end - begin:.1f} s")
    canvas.tell(_LEFT, 62, "gaps", "head")
    metrics = stream.metrics
    named = ("first_byte", "ttft", "first_text", "last_content", "duration")
    rows = {name: row for row, name in enumerate(named)}
    canvas.tell(_LEFT, 103, "marks", "head")
    for name, row in rows.items():
        moment: float = getattr(metrics, name)
        x, y = left + second * moment, 88 + 24 * row
        canvas.line(f"M{left} {y + 11}H{x:.1f}V44", "cut" if name == "duration" else "line")
        label = f"{name} {moment:.1f} s"
        width = _LETTER * len(label) + 10
        canvas.box(x + 4 if x < 500 else x - width - 4, y, width, label, "made")
    return canvas.svg(88 + 24 * len(named) + 12)


# ---- relaying

_PIECES = ("It ", "rains", " today", ". Take", " a coat", ".")
_LEAVES_AT, _RETURNS_AT = 4, 7
"""Positions at which the second reader loses its connection, and is back."""


async def _follow_twice() -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Return what one reader of an answer received, and another one over two connections."""
    steady, first, second = list[Entry](), list[Entry](), list[Entry]()
    returned = asyncio.Event()

    async def answer() -> AsyncIterator[str]:
        for number, piece in enumerate(_PIECES):
            yield piece
            # The next piece comes when the first reader has this one; the start takes two records.
            while len(steady) < number + 3:
                await asyncio.sleep(0)
            if len(steady) >= _RETURNS_AT:
                await returned.wait()

    async def read_all(journal: relay.MemoryJournal, id: str) -> None:
        async for entry in journal.follow(id):
            steady.append(entry)

    async with relay.MemoryJournal() as journal:
        id = await journal.start(AsyncStream(answer(), format="pieces"))
        reader = asyncio.create_task(read_all(journal, id))
        async for entry in journal.follow(id):
            first.append(entry)
            if entry.position == _LEAVES_AT:
                break
        while len(steady) < _RETURNS_AT:
            await asyncio.sleep(0)
        async for entry in journal.follow(id, after=first[-1].position):
            second.append(entry)
            if entry.position == _RETURNS_AT:
                returned.set()
        await reader
    return steady, first, second


def draw_journal() -> str:
    """Draw a journal with two readers, one of whom loses its connection and reconnects."""
    steady, first, second = asyncio.run(_follow_twice())
    canvas = Canvas("A journal with two readers, one of whom reconnects")
    left, column = 132.0, 638 / len(steady)
    for y, name in ((24, "records"), (92, "reader 1"), (138, "reader 2"), (184, "reader 2 again")):
        canvas.tell(_LEFT, y + 15, name, "head")
    for entry in steady:
        x = left + column * (entry.position - 1)
        record = json.loads(entry.record)
        canvas.box(x, 24, column - 4, str(entry.position), "in", 40)
        canvas.tell(x + 5, 57, repr(record["text"]) if "text" in record else _SHORT[record["type"]])
    for y, entries in ((92, steady), (138, first), (184, second)):
        for entry in entries:
            kind = "open" if entry.replayed and y == 184 else "made"
            canvas.box(left + column * (entry.position - 1), y, column - 4, str(entry.position), kind)
    lost = left + column * first[-1].position
    canvas.line(f"M{lost - 2:.1f} 132V212", "cut")
    canvas.tell(lost + 6, 153, "the connection is lost; the answer goes on")
    canvas.code(left, 199, f"after={first[-1].position}")
    canvas.box(left, 226, 14, "", "open", 14)
    canvas.tell(left + 20, 238, "written before it came back: replayed")
    canvas.box(left + 290, 226, 14, "", "made", 14)
    canvas.tell(left + 310, 238, "as it was written")
    return canvas.svg(256)


_SHORT = {"message_start": "start", "part_start": "part", "part_done": "done", "end": "end"}


# ---- steps of a run


def _rows(steps: list[Step], depth: int = 0) -> list[tuple[int, Step]]:
    """Return a run's steps from top to bottom, each with its depth."""
    return [row for step in steps for row in ((depth, step), *_rows(list(step.steps), depth + 1))]


def draw_steps() -> str:
    """Draw the steps of a run at three moments."""
    canvas, clock = Canvas("The steps of a run at three moments"), testing.VirtualClock()
    panels = 0

    def look(run: Steps) -> None:
        nonlocal panels
        x, y = _LEFT + 252.0 * panels, 50.0
        panels += 1
        canvas.tell(x, 26, f"{run.name} after {clock():g} s", "head")
        tops = dict[int, float]()
        for depth, step in _rows(list(run.steps)):
            at = x + 18 * depth
            if depth:
                canvas.line(f"M{at - 9:.1f} {tops[depth - 1] + 44:.1f}V{y + 20:.1f}H{at:.1f}")
            tops[depth] = y
            kind = "made" if step.state == "done" else "open"
            canvas.box(at, y, 236 - 18 * depth, "", kind, 44)
            canvas.code(at + 6, y + 17, f"{step.name} ({step.agent})" if step.agent else step.name)
            text = step.text[:16] + "\u2026" * (len(step.text) > 16)
            canvas.tell(
                at + 6,
                y + 36,
                f"{step.state}, {step.seconds:.1f} s" + (f": \u201c{text}\u201d" if text else ""),
            )
            y += 52

    with clock, Steps("trip") as run:
        with run.step("plan", agent="planner") as plan:
            clock.advance(0.4)
            plan.feed(TextDelta("First the trains"))
            look(run)
            clock.advance(0.8)
            plan.feed(TextDelta(", then a room."))
        with run.step("book", agent="clerk"):
            trains, rooms = run.step("find_trains"), run.step("find_rooms")
            clock.advance(0.6)
            trains.end()
            look(run)
            clock.advance(0.5)
            rooms.end()
        with run.step("answer", agent="planner") as answer:
            clock.advance(0.9)
            answer.feed(TextDelta("Both are booked."))
    look(run)
    return canvas.svg(50 + 52 * 5 + 8)


PICTURES: dict[str, Callable[[], str]] = {
    "stages.svg": draw_stages,
    "cut.svg": draw_cut,
    "departures.svg": draw_departures,
    "partial-values.svg": draw_partial_values,
    "metrics.svg": draw_metrics,
    "journal.svg": draw_journal,
    "steps.svg": draw_steps,
}
"""Functions that draw the pictures, by the picture's path in this folder."""


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
