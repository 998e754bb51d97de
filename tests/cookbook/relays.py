"""A relay of the cookbook on its own server, between a scripted provider and a browser."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.cookbook.held import HELD, HeldServer
from tests.cookbook.programs import example_of, serving, write_program
from tokenstream import Stream, testing

_ANSWER = testing.script().text("The ", "sky ").text("is ", "blue.").finish("stop")
_WHOLE = _ANSWER.recording("openai-chat")
_SILENT = testing.script().silence(60).text("too late").finish("stop")
_PAUSES = testing.script().text("word ").silence(60).text("too late").finish("stop")
_SLOW = testing.script().text("It goes ").silence(HELD).text("on and ").silence(0.2).text("on.").finish()
_endless = testing.script()
for _ in range(600):
    _endless = _endless.text("word ").silence(0.1)
_ANSWERS = {
    "Answer": _WHOLE,
    "Refuse": _WHOLE.with_fault(testing.faults.status(429)),
    "Be silent": _SILENT.recording("openai-chat"),
    "Fall silent": _PAUSES.recording("openai-chat"),
    "Take your time": _SLOW.recording("openai-chat"),
    "Go on": _endless.finish("stop").recording("openai-chat"),
}


class Relay(NamedTuple):
    """A relay, which answers at /chat, and the provider behind it."""

    provider: HeldServer
    browser: httpx.Client

    def ask(self, question: str) -> Stream:
        """Return the answer as a browser reads it; it depends on the question."""
        return Stream(self.browser.stream("POST", "/chat", json=asked(question)))

    def outcome(self) -> str:
        """Return what became of the provider's last answer."""
        exchange = self.provider.exchanges[-1]
        exchange.over.wait(12)
        return exchange.outcome


def asked(question: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}]}


@contextmanager
def relaying(
    recipe: str, folder: Path, *command: str, edit: Callable[[str], str] = str, **variables: str
) -> Generator[Relay]:
    """Run a page's program, as NAME_relay.py, with the command that the program names.

    A program of examples/ keeps its name.

    The first answer to the question "Break" breaks off.

    Args:
        command: Arguments of Python, in which {port} is the relay's port.
        edit: Returns the program with the changes that a page describes.
    """
    program = write_program(recipe, folder)
    if example_of(recipe) is None:
        program = program.rename(program.with_stem(f"{program.stem}_relay"))
    program.write_text(edit(program.read_text(encoding="utf-8")), encoding="utf-8")
    breaks = iter([_WHOLE.with_fault(testing.faults.close(event=3))])

    def answer(request: testing.Request) -> testing.Recording:
        question = request.json["messages"][-1]["content"]
        return next(breaks, _WHOLE) if question == "Break" else _ANSWERS[question]

    with (
        HeldServer(answer) as provider,
        serving(folder, *command, OPENAI_BASE_URL=f"{provider.url}/v1", **variables) as url,
        httpx.Client(
            base_url=url, headers={"Accept-Encoding": "gzip"}, timeout=20, trust_env=False
        ) as browser,
    ):
        yield Relay(provider, browser)
