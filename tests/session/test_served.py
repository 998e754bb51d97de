"""Sessions with the test server, whose protocols the SDKs have tried, and with its faults."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.session.talks import COLOURS, Talk, talking
from tests.support.packages import needed
from tokenstream import Retry, Router, Session, testing
from tokenstream.testing import faults
from tokenstream.turns import ToolResults

PATHS = {
    "openai-responses": "/v1/responses",
    "openai-realtime": "/v1/realtime",
    "gemini-live": "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
}
pytestmark = [
    pytest.mark.parametrize("colour", COLOURS),
    pytest.mark.parametrize("format", PATHS),
]


@contextmanager
def served(
    colour: str, format: str, answers: list[Any], *, pace: Any = None, **options: Any
) -> Generator[tuple[Any, Talk]]:
    """Open a session with a test server that has these answers."""
    playing = {} if pace is None else {"pace": pace}
    with ExitStack() as stack:
        server = stack.enter_context(testing.serve(answers, sessions=True, **playing))
        yield server, stack.enter_context(talking(colour, server.ws_url + PATHS[format], **options))


def said(text: str, format: str, *added: Any) -> Any:
    recording = testing.script().text(text).finish().recording(format)
    return recording.with_fault(*added) if added else recording


def test_questions_and_tools(colour: str, format: str) -> None:
    """On one connection, with the ids that the server expects."""
    router = Router()

    @router.tool
    def now(zone: str) -> str:
        return f"noon in {zone}"

    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    answers = [
        said("Hello", format),
        call.recording(format),
        said("It is noon.", format),
        said("Bye", format),
    ]
    with served(colour, format, answers, model="m", tools=router) as (server, talk):
        assert talk.ask("Hi").text == "Hello"
        assert talk.ask("What time is it?", router=router).text == "It is noon."
        assert talk.ask("Bye").text == "Bye"
        assert (talk.session.rotations, talk.session.resent) == (0, 0)
        assert "noon in UTC" in str(server.exchanges[0].received_json)


def test_results_of_tools(colour: str, format: str) -> None:
    """If the application runs them itself."""
    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    with served(colour, format, [call.recording(format), said("Noon.", format)], model="m") as (_, talk):
        called = talk.ask("What time is it?").message
        results = ToolResults(called, {each.id: "12:00" for each in called.tool_calls})
        assert talk.ask(results).text == "Noon."


def test_a_question_in_place_of_results(colour: str, format: str) -> None:
    """It gets its own answer, and nothing of the turn that waited for the results."""
    call = testing.script().tool_call("now", {"zone": "UTC"}).finish()
    answers = [call.recording(format), said("As you like.", format), said("Bye", format)]
    with served(colour, format, answers, model="m") as (_, talk):
        talk.ask("What time is it?")
        assert talk.ask("Never mind.").text == "As you like."
        assert talk.ask("Bye").text == "Bye"


@pytest.mark.parametrize("event", [0, 1, 2, 3, -1])
@pytest.mark.parametrize("code", [None, 1001, 1011])
def test_closures_at_any_message(colour: str, format: str, event: int, code: int | None) -> None:
    """The question is asked again where the policy says so, and each answer is whole."""
    close = faults.reset(event=event) if code is None else faults.close(event=event, code=code)
    whole = [said(text, format) for text in ("Hello there", "Bye", "Bye")]
    answers = [said("Hello there", format, close), *whole]
    retry = Retry(mode="restart", wait=0)
    with served(colour, format, answers, model="m", retry=retry) as (_, talk):
        first = talk.ask("Hi")
        assert first.error is None
        assert first.message.text == "Hello there"
        assert talk.ask("And?").message.text in ("Hello there", "Bye")
        assert talk.session.rotations <= 2


def test_the_limit_of_a_connection(colour: str, format: str) -> None:
    """The question is asked on another one."""
    if format == "gemini-live":
        pytest.skip("it announces the end with goAway")
    answers = [said("lost", format, faults.connection_limit(event=0)), said("Hello", format)]
    with served(colour, format, answers, model="m") as (_, talk):
        assert talk.ask("Hi").text == "Hello"
        assert talk.session.rotations == 1


def test_late_messages_of_a_cancelled_answer(colour: str, format: str) -> None:
    """They reach no other answer."""
    slow = testing.script().text("Well").pause(60).text(", one", " or two").finish()
    late = slow.recording(format).with_fault(faults.late(1))
    with served(colour, format, [late, said("Yes?", format)], pace="recorded", model="m") as (_, talk):
        assert talk.ask("Tell me", stop_after=1).text == "Well"
        assert talk.ask("Wait").text == "Yes?"


def test_connections_of_the_openai_sdk(colour: str, format: str) -> None:
    """Their context managers are entered and left."""
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
