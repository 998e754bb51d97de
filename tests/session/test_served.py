"""Sessions with the test server, whose protocols the SDKs have tried, and with its faults."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

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
