"""Programs of examples/ that no page of the cookbook shows do what they say; and the list of all is whole."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.docs.examples import EXAMPLES, printed_by
from tests.docs.pages import links
from tests.project import ROOT
from tests.support.packages import needed
from tokenstream import aconnect, relay, testing

_SCRIPT = testing.script().text("The ", "sky ", "is ", "blue.").finish("stop").recording("openai-chat")
_BROKEN = _SCRIPT.with_fault(testing.faults.close(event=3))


def test_a_tool_call_goes_back_with_the_signature_of_its_reasoning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Anthropic refuses a turn whose thinking has lost it; then comes the result, and the answer."""
    runpy.run_path(str(EXAMPLES / "conversation.py"))
    asked, called, told, said = map(json.loads, capsys.readouterr().out.splitlines())
    thinking, call = called["content"]

    assert ("user", "c2lnbmVk") == (asked["role"], thinking["signature"])
    assert [call["id"], "Oslo: 7 °C"] == [told["content"][0][key] for key in ("tool_use_id", "content")]
    assert {"role": "assistant", "content": [{"type": "text", "text": "7 °C in Oslo."}]} == said


def test_a_chat_goes_on_with_what_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half an answer is saved, too; a question without any answer is not."""
    refused = _SCRIPT.with_fault(testing.faults.status(500))
    monkeypatch.chdir(tmp_path)
    with testing.serve([_SCRIPT, refused, _BROKEN, _SCRIPT]) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        for question in ("One?", "Two?", "Three?", "Four?"):
            monkeypatch.setattr(sys, "argv", ["save_chat.py", question])
            runpy.run_path(str(EXAMPLES / "save_chat.py"))
    sent = [message["content"] for message in provider.requests[-1].json["messages"]]

    assert ["One?", "The sky is blue.", "Three?", "The sky ", "Four?"] == sent
    assert capsys.readouterr().out.endswith("The sky is blue.")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "agent_steps.py",
        "ask_again.py",
        "conversation.py",
        "markdown_page.py",
        "recipe_form.py --fast",
        "recipe_form.py --fast --plain",
        "recipe_patches.py",
        "refine.py",
    ],
)
def test_a_program_that_needs_no_server_prints_what_an_ascii_terminal_can_show(command: str) -> None:
    """Python would end it at the first character that the terminal lacks."""
    printed = printed_by(*command.split(), PYTHONIOENCODING="ascii")

    assert printed
    assert printed.isascii()


@pytest.mark.slow
def test_two_agents_are_shown_at_once_and_their_tree_at_the_end() -> None:
    """Each line says whose it is; a tool is a step of the agent that called it."""
    shown, _, tree = printed_by("agent_steps.py").partition("\n\n")
    lines = [line.split(maxsplit=2) for line in shown.splitlines()]
    said = "".join(line[21:] for line in shown.splitlines() if line.startswith("helper: the museums  "))

    assert {"planner:", "helper:"} == {line[0] for line in lines}
    assert "beginsThe ship is always dry.done" == said
    assert shown.index("helper: the museums  begins") < shown.index("helper: the weather  done")
    assert ["a", "├─", "├─", "│", "├─", "└─"] == [line.split()[0] for line in tree.splitlines()]
    assert '│  └─ look_up city="Oslo" done' in tree


@pytest.mark.slow
def test_the_wrong_turn_is_left_after_twelve_words_and_the_better_request_is_answered() -> None:
    """Two requests in one loop, of which no more words are paid for than are shown."""
    lines = printed_by("refine.py").splitlines()
    first, answered, stopped, second, metal, complete = map(str.strip, lines)

    assert ("? When does mercury melt?", "[stopped after 12 words]") == (first, stopped)
    assert answered.startswith("Mercury is the planet")
    assert f"{first} I meant the metal, not the planet." == second
    assert metal.startswith("Mercury melts at 38.8 degrees")
    assert "[complete after 20 words]" == complete


def test_the_model_is_told_what_was_wrong_and_writes_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "ask_again.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()

    assert "The output is not valid:" == printed[0]
    assert printed[1].startswith("- minutes: should be a valid integer")
    assert printed[1].endswith(', not "a few"')
    assert "Tea: 5 minutes, after 2 requests" == printed[-1]


@pytest.mark.slow
class TestSentry:
    @pytest.fixture
    def events(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
        """What Sentry gets while the example's settings hold."""
        sentry = needed("sentry_sdk")
        events = list[dict[str, Any]]()

        def capture(_: object, envelope: Any) -> None:
            events.extend(item.payload.json for item in envelope.items if item.type == "event")

        transport = type("Transport", (sentry.Transport,), {"capture_envelope": capture})
        dsn = "http://key@127.0.0.1/1"
        monkeypatch.setattr(sentry, "init", partial(sentry.init, dsn=dsn, transport=transport))
        yield events
        sentry.get_client().close()
        sentry.get_global_scope().set_client(None)

    def test_an_error_has_the_origin_of_the_answer(
        self, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
        with testing.serve([_BROKEN]) as provider, pytest.raises(SystemExit):
            monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
            monkeypatch.setattr(sys, "argv", ["sentry.py"])
            runpy.run_path(str(EXAMPLES / "sentry.py"), run_name="__main__")
        [event] = events
        *_, value = event["exception"]["values"]
        told = json.dumps(event)

        assert "127.0.0.1" in value["value"].splitlines()[-1]
        assert {"llm.kind": "network", "llm.host": "127.0.0.1"}.items() <= event["tags"].items()
        assert [] == [text for text in ("The sky ", "sk-secret", '"vars"') if text in told]

    def test_an_answer_that_a_relay_could_not_deliver_is_an_event(
        self, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody sees an exception there; the origin is beside the text."""
        runpy.run_path(str(EXAMPLES / "sentry.py"))

        async def deliver(url: str) -> None:
            async for _ in relay.encode(aconnect(url, json={"messages": []})):
                pass

        with testing.serve([_BROKEN]) as provider:
            asyncio.run(deliver(f"{provider.url}/v1/chat/completions"))
        [event] = events

        assert event["logentry"]["formatted"].startswith("an answer broke off: network")
        assert "warning" == event["level"]
        assert "127.0.0.1" == event["extra"]["origin"]["host"]


def test_both_lists_of_programs_have_every_example_at_the_same_task() -> None:
    there = {path.name for path in EXAMPLES.iterdir() if path.suffix != ".md" and path.name[0] not in "_."}
    ours = _programs_of(EXAMPLES / "README.md")
    theirs = _programs_of(ROOT / "docs" / "cookbook.md")

    assert there == {name for names in ours.values() for name in names}
    assert ours == {task: names for task, names in theirs.items() if names}


def _programs_of(page: Path) -> dict[str, list[str]]:
    """Return the names in examples/ that each section of a page links, in their order."""
    sections = re.split(r"^## (.+)\n", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, list[str]] = {}
    for task, text in zip(sections[1::2], sections[2::2], strict=True):
        paths = [(page.parent / link.partition("#")[0]).resolve() for link in links(text)]
        names = [path.relative_to(EXAMPLES).parts[0] for path in paths if path.is_relative_to(EXAMPLES)]
        found[task] = list(dict.fromkeys(names))
    return found
