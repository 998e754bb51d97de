"""A run with tools, a subagent, a plan, output and requests, as the events that an interface gets live."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream import Steps, testing

if TYPE_CHECKING:
    from tokenstream.events import Event

TEXTS = ("I look. ", "The helper reads. ", "Two tests fail.")
"""The texts of the run, each of an answer of its own."""
OUTPUT = ("1 passed\n", '2 failed: "größer" <b>\n')
"""Output of the tool while it runs."""
PROGRESS: tuple[Any, ...] = ("1 of 2", {"done": 2})
"""What the tool shows while it runs."""
RESULTS: tuple[Any, ...] = ({"exit": 1}, "read")
PLANS = tuple(
    {"type": "plan", "entries": [{"content": "test", "status": status}]}
    for status in ("pending", "completed")
)


def run_with_news() -> list[Event]:
    """Return the events of the run, looked for after everything that happens in it."""
    found: list[Event] = []
    answers: list[object] = []
    call = testing.script().text(TEXTS[0]).tool_call("shell", {"command": "pytest"}, id="call_1")
    asking = testing.script().text(TEXTS[1]).tool_call("read", {"path": "a.py"}, id="call_2")
    with Steps("fix") as run:
        events = run.events()

        def look() -> None:
            # A request is marked as answered later.
            found.extend(copy(event) for event in events.ready())

        def answer(step: Any, script: Any) -> Any:
            with step.follow(script.finish().stream("anthropic")) as stream:
                for _ in stream:
                    look()
                return stream.message

        with run.step("turn", agent="main") as turn:
            turn.update(PLANS[0])
            (shell,) = answer(turn, call).tool_calls
            with turn.step(shell) as tool:
                look()
                tool.wait_for("ask 1", {"command": "pytest"}, send=answers.append)
                look()
                run.reply("ask 1", {"allow": True})
                for piece in OUTPUT:
                    look()
                    tool.add_output(piece)
                look()
                tool.update({"type": "progress", "progress": 1, "total": 2})
                tool.update({"type": "retry", "attempt": 1})
                for shown in PROGRESS:
                    tool.add_progress(shown)
                look()
                tool.result = RESULTS[0]
            with turn.step("review", agent="helper") as helper:
                (read,) = answer(helper, asking).tool_calls
                with helper.step(read) as reading:
                    reading.result, reading.provider_executed = RESULTS[1], True
                    look()
            turn.update(PLANS[1])
            answer(turn, testing.script().text(TEXTS[2]))
            look()
    look()
    return found
