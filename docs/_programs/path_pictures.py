"""Draw the pictures of Structured output and Tools: writes drafts.svg and tool-calls.svg in docs/pictures.

    python docs/_programs/path_pictures.py

Both show what the library returned when this script ran it: the drafts of an object after each piece of its
JSON, and the calls of an answer that is cut within the second one. The first picture moves by CSS alone;
where that doesn't run, or motion is not wanted, it shows its last moment.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tokenstream import Decoder, Partial, testing
from tokenstream.events import ToolCallDelta, ToolCallDone, ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.stages import ValidatedCalls
from tokenstream.stages._objects.partials import Partials

FOLDER = Path(__file__).parents[1] / "pictures"
_CANVAS: Callable[[str], Any] = runpy.run_path(str(Path(__file__).with_name("concept_pictures.py")))["Canvas"]
_LEFT, _RIGHT = 16.0, 330.0
"""Where the columns of a picture begin."""


class Recipe(BaseModel):
    """The object that fills in."""

    name: str
    serves: int
    steps: list[str]


_PIECES = (
    '{"name": "Crêpes wi',
    'th lemon", "serves": 1',
    '2, "steps": ["Whisk the',
    ' batter", "Let it',
    ' rest", "Bake',
    '"]}',
)
_SECONDS, _REST = 1.1, 3.0
"""For which a moment stays, and the last one in addition."""


def draw_drafts() -> str:
    """Draw a form that fills in while its JSON arrives."""
    canvas = _CANVAS("A form that fills in while its JSON arrives")
    canvas.tell(_LEFT, 26, "the model writes", "head")
    canvas.tell(_RIGHT, 26, "stream.partials(Recipe) yields", "head")
    stage, draft = Partials(Recipe), None
    for number, piece in enumerate(_PIECES):
        for draft in stage.feed(piece):
            pass
        if draft is None:
            raise ValueError("a picture must not begin with an empty form")
        canvas.begin(f"m m{number}")
        for row in range(number + 1):
            canvas.box(_LEFT, 38.0 + 30 * row, 290, _PIECES[row], "in" if row == number else "none")
        _draw_form(canvas, draft)
        canvas.end()
    for x, kind, text in ((_RIGHT, "none", "missing"), (410.0, "open", "grows"), (480.0, "made", "finished")):
        canvas.box(x, 226, 14, "", kind, 14)
        canvas.tell(x + 20, 238, text)
    canvas.style(_moves(len(_PIECES)))
    return str(canvas.svg(254))


def _draw_form(canvas: Any, draft: Partial[Recipe]) -> None:
    for row, field in enumerate(("name", "serves")):
        y = 38.0 + 30 * row
        is_there = field in draft
        canvas.code(_RIGHT, y + 15, field)
        value = str(draft.get(field, default="\u2026"))
        canvas.box(_RIGHT + 60, y, 240, value, _kind(is_there, draft.is_complete(field)))
    canvas.code(_RIGHT, 113, "steps")
    steps = draft.get("steps", default=())
    if not steps:
        canvas.box(_RIGHT + 60, 98, 240, "\u2026", "none")
    for row, step in enumerate(steps):
        canvas.box(_RIGHT + 60, 98.0 + 26 * row, 240, step, _kind(True, draft.is_complete("steps", row)))
    canvas.code(_RIGHT, 200, f"draft.complete = {draft.complete}")


def _kind(is_there: bool, is_complete: bool) -> str:
    if not is_there:
        return "none"
    return "made" if is_complete else "open"


def _moves(count: int) -> str:
    """Return the style that shows one group after the other; without motion, the last one."""
    seconds = count * _SECONDS + _REST
    rules = [f".m{{opacity:0;animation:{seconds:.1f}s step-end infinite}}.m{count - 1}{{opacity:1}}"]
    for number in range(count):
        begin, end = (100 * moment * _SECONDS / seconds for moment in (number, number + 1))
        hidden = f"0%{{opacity:0}}{begin:.2f}%{{opacity:1}}" if number else "0%{opacity:1}"
        gone = f"{end:.2f}%{{opacity:0}}" if number < count - 1 else ""
        rules.append(f"@keyframes m{number}{{{hidden}{gone}}}.m{number}{{animation-name:m{number}}}")
    return "".join(rules) + "@media (prefers-reduced-motion:reduce){.m{animation:none}}"


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather of the next days."""
    return f"{days} days of sun in {city}"


def remove(path: str) -> None:
    """Remove a file; the picture shows that nobody calls it."""
    raise ValueError(path)


def draw_tool_calls() -> str:
    """Draw two calls: one that is complete and runs, and one that is cut and never handed out."""
    answer = testing.script().tool_call("get_weather", ('{"city": "Os', 'lo", "days"', ": 2}"))
    frames = answer.tool_call("remove", ('{"path": "/srv', '/x/old"}')).finish().chunks("openai-chat")
    canvas = _CANVAS("Two tool calls: the first is complete and runs, the second is cut off")
    for x, title in ((_LEFT, "events"), (290.0, "arguments so far"), (540.0, "validated_calls yields")):
        canvas.tell(x, 26, title, "head")
    decoder, tools, y = Decoder("openai-chat"), ValidatedCalls(get_weather, remove), 38.0
    cut = next(at for at, frame in enumerate(frames) if b"/x/old" in frame)
    for frame in frames[:cut]:
        for event in decoder.feed(frame):
            match event:
                case ToolCallStart(_, name):
                    canvas.box(_LEFT, y, 256, f"ToolCallStart {name}")
                case ToolCallDelta(_, fragment):
                    canvas.box(_LEFT, y, 256, f"ToolCallDelta {fragment}")
                    canvas.box(290, y, 232, str(event.partial_arguments), "open")
                case ToolCallDone(call):
                    canvas.box(_LEFT, y, 256, f"ToolCallDone {call.name}")
                    canvas.box(290, y, 232, str(call.arguments), "made")
                    y = _draw_call(canvas, tools, call, y)
                case _:
                    continue
            y += 28
    decoder.end()
    kept = decoder.message.tool_calls[-1]
    canvas.line(f"M{_LEFT} {y + 2}H764", "cut")
    canvas.tell(_LEFT, y + 22, "The connection breaks here. The loop raises StreamTruncated.")
    canvas.tell(_LEFT, y + 40, f"The call of {kept.name} is never handed out. It stays in the message with")
    canvas.code(438, y + 40, f"complete={kept.complete}")
    return str(canvas.svg(y + 56))


def _draw_call(canvas: Any, tools: ValidatedCalls, call: ToolCall, y: float) -> float:
    for checked in tools.feed(call):
        canvas.box(540, y, 224, f"{checked.name}, checked", "made")
        canvas.code(545, y + 41, "call.run() returns")
        canvas.code(545, y + 57, repr(checked.run()))
    return y + 40


PICTURES: dict[str, Callable[[], str]] = {"drafts.svg": draw_drafts, "tool-calls.svg": draw_tool_calls}
"""Functions that draw the pictures, by the picture's path in this folder."""


if __name__ == "__main__":
    for file, draw in PICTURES.items():
        (FOLDER / file).write_text(draw(), encoding="utf-8")
