"""Sessions with the test server, whose protocols the SDKs have tried, and with its faults."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.call_store.sqlite_store import SQLiteCallStore
from tests.session.servers import PATHS
from tests.session.talks import COLOURS, Talk, talking
from tests.support.packages import needed
from tokenstream import Router, Session, testing
from tokenstream.testing import faults

pytestmark = [pytest.mark.parametrize("colour", COLOURS), pytest.mark.parametrize("format", PATHS)]


@contextmanager
def served(colour: str, format: str, answers: Any, **options: Any) -> Generator[tuple[testing.Server, Talk]]:
    with (
        testing.serve(answers, sessions=True) as server,
        talking(colour, server.ws_url + PATHS[format], model="m", **options) as talk,
    ):
        yield server, talk


def said(text: str, format: str, *added: Any) -> Any:
    recording = testing.script().text(text).finish().recording(format)
    return recording.with_fault(*added) if added else recording


def test_questions_and_tools(colour: str, format: str) -> None:
    router = Router()

    @router.tool
    def now(zone: str) -> str:
        return f"noon in {zone}"

    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    answers = [said("Hello", format), call, said("It is noon.", format), said("Bye", format)]
    with served(colour, format, answers, tools=router) as (server, talk):
        assert talk.ask("Hi").text == "Hello"
        assert talk.ask("What time is it?", router=router).text == "It is noon."
        assert talk.ask("Bye").text == "Bye"
        assert (talk.session.rotations, talk.session.resent) == (0, 0)
        assert "noon in UTC" in str(server.exchanges[0].received_json)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked")
def test_a_job_runs_its_call_once_over_the_death_of_its_process(
    colour: str, format: str, tmp_path: Path
) -> None:
    """The next process asks the same question, and its store knows the call."""
    call, booked = testing.script().tool_call("book", {"table": 4}).finish(), tmp_path / "booked"
    store = SQLiteCallStore(tmp_path / "calls")
    router = Router(once=store)

    @router.tool
    def book(table: int) -> str:
        booked.write_text(f"{booked.exists()} {table}", encoding="utf-8")
        return "booked"

    answers = [call, said("It is.", format)] * 2
    with closing(store.database), testing.serve(answers, sessions=True) as server:
        for dies in (True, False):
            if dies and (child := os.fork()):
                assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
                assert booked.exists()
                continue
            with talking(colour, server.ws_url + PATHS[format], model="m", tools=router) as talk:
                try:
                    answered = talk.ask("Table 4, please.", router=router, job="caller 7, question 1")
                finally:
                    if dies:
                        os.kill(os.getpid(), signal.SIGKILL)
            assert "It is." == answered.text
    assert "False 4" == booked.read_text(encoding="utf-8")


def test_a_function_that_answers_knows_the_conversation(colour: str, format: str) -> None:
    def repeat(request: testing.Request) -> testing.Script:
        words = str(request.conversation)
        return testing.script().text(*[each for each in ("Hi", "Bye") if each in words]).finish()

    with served(colour, format, repeat) as (_, talk):
        assert [talk.ask(each).text for each in ("Hi", "Bye")] == ["Hi", "HiBye"]


def test_the_limit_of_a_connection(colour: str, format: str) -> None:
    if format == "gemini-live":
        pytest.skip("it announces the end with goAway")
    answers = [said("lost", format, faults.connection_limit(event=0)), said("Hello", format)]
    with served(colour, format, answers) as (_, talk):
        assert talk.ask("Hi").text == "Hello"
        assert talk.session.rotations == 1


def test_connections_of_the_openai_sdk(colour: str, format: str) -> None:
    if colour != "sync" or format == "gemini-live":
        pytest.skip("the other colours are opened in the same way")
    openai = needed("openai")
    with testing.serve([said("Hello", format), said("Bye", format)], sessions=True) as server:
        base = f"{server.ws_url}/v1"
        with openai.OpenAI(api_key="-", websocket_base_url=base, base_url=f"{server.url}/v1") as client:
            if format == "openai-responses":
                opens = client.responses.connect
            else:
                opens = lambda: client.realtime.connect(model="gpt-realtime")  # noqa: E731 - one of two
            with Session(opens, model="m") as session:
                texts = []
                for question in ("Hi", "And?"):
                    with session.ask(question) as answer:
                        texts.append(answer.final().text)

    assert texts == ["Hello", "Bye"]
