"""The chat of the cookbook in Textual's own test pilot: an answer grows, breaks off, is stopped."""

from __future__ import annotations

import asyncio
import runpy
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookbook.programs import write_program
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    OnPilot = Callable[[Any], Awaitable[None]]

_INPUT = "▊  "
"""Left border of the row in which the user types."""


def _screen(pilot: Any) -> str:
    """Return the rows of the terminal, without the spaces around them and without empty rows."""
    rows = pilot.app.screen._compositor.render_strips()  # noqa: SLF001 - nothing public has the rows
    return "\n".join(filter(None, (row.text.strip() for row in rows)))


async def _seen(pilot: Any, text: str) -> str:
    """Wait until the terminal shows a text, and return everything that it shows then."""
    due = time.monotonic() + 10
    while text not in (screen := _screen(pilot)):
        assert time.monotonic() < due, screen
        await pilot.pause(0.02)
    return screen


async def _ask(pilot: Any, question: str) -> None:
    await pilot.press(*question, "enter")


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[testing.Server, OnPilot], None]:
    needed("textual")

    def play(provider: testing.Server, on_pilot: OnPilot) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        chat = runpy.run_path(str(write_program("textual", tmp_path)))["Chat"]()

        async def run() -> None:
            async with chat.run_test() as pilot:
                await on_pilot(pilot)

        asyncio.run(run())

    return play


def test_the_answer_grows_as_markdown(play: Callable[[testing.Server, OnPilot], None]) -> None:
    script = testing.script().text("The sky ", "is").silence(0.5).text(" **blue**.").finish("stop")
    second = testing.script().text("It is dark.").finish("stop")

    async def on_pilot(pilot: Any) -> None:
        await _ask(pilot, "Why?")
        assert "blue" not in await _seen(pilot, "Why?\nThe sky is\n")
        await _seen(pilot, "The sky is blue.")
        await _ask(pilot, "At night?")
        await _seen(pilot, "It is dark.")

    with testing.serve([script, second], pace="recorded") as provider:
        play(provider, on_pilot)

    assert [("user", "Why?"), ("assistant", "The sky is **blue**."), ("user", "At night?")] == [
        (each["role"], each["content"]) for each in provider.requests[1].json["messages"]
    ]


def test_a_broken_answer_stays_with_the_error(play: Callable[[testing.Server, OnPilot], None]) -> None:
    script = testing.script().text("The sky ", "is ", "blue.").finish("stop").recording("openai-chat")
    broken = script.with_fault(testing.faults.close(event=3))

    async def on_pilot(pilot: Any) -> None:
        await _ask(pilot, "Why?")
        await _seen(pilot, "Why?\nThe sky is\nThe answer broke off (network).")
        await _ask(pilot, "Again!")
        await _seen(pilot, "(network).\nAgain!\nThe sky is blue.")

    with testing.serve([broken, script]) as provider:
        play(provider, on_pilot)


def test_a_refused_question_is_back_in_the_input(play: Callable[[testing.Server, OnPilot], None]) -> None:
    """Enter asks it again, and the provider gets it once; what the user has typed meanwhile stays."""
    script = testing.script().text("The sky is blue.").finish("stop").recording("openai-chat")
    refused = script.with_fault(testing.faults.status(500))
    answers = iter([refused, script, refused])
    typed = threading.Event()
    typed.set()

    def answer(_: testing.Request) -> testing.Recording:
        typed.wait(10)
        return next(answers)

    async def on_pilot(pilot: Any) -> None:
        await _ask(pilot, "Why?")
        await _seen(pilot, "Why?\nThe answer broke off (server).")
        await _seen(pilot, f"{_INPUT}Why?")
        await pilot.press("enter")
        await _seen(pilot, "Why?\nThe sky is blue.")
        typed.clear()
        await _ask(pilot, "And?")
        await pilot.press(*"But")
        typed.set()
        assert f"{_INPUT}But" in await _seen(pilot, "And?\nThe answer broke off (server).")

    with testing.serve(answer) as provider:
        play(provider, on_pilot)

    assert [("user", "Why?")] == [
        (each["role"], each["content"]) for each in provider.requests[1].json["messages"]
    ]


def test_the_provider_is_left_when_the_user_stops(play: Callable[[testing.Server, OnPilot], None]) -> None:
    """Escape stops the answer, and so does another question; the text so far stays."""
    endless = testing.script().text("word ").silence(60).text("too late").finish("stop")
    last = testing.script().text("It is dark.").finish("stop")

    async def left(number: int) -> None:
        await asyncio.to_thread(provider.exchanges[number].over.wait, 10)

    async def on_pilot(pilot: Any) -> None:
        await _ask(pilot, "One?")
        await _seen(pilot, "One?\nword")
        await pilot.press("escape")
        await left(0)
        await _ask(pilot, "Two?")
        await _seen(pilot, "Two?\nword")
        await _ask(pilot, "Three?")
        await left(1)
        await _seen(pilot, "One?\nword\nTwo?\nword\nThree?\nIt is dark.")

    with testing.serve([endless, endless, last], pace="recorded") as provider:
        play(provider, on_pilot)

    assert ["abandoned", "abandoned"] == [each.outcome for each in provider.exchanges[:2]]
