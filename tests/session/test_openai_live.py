"""Sessions with OpenAI's Live API: one answer from a question on, as no event ends what the model says."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.session.openai_live_server import OpenAILiveServer, audio
from tests.session.servers import Hangup, Line, Payload, serving
from tests.session.talks import COLOURS, talking
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE
from tokenstream import (
    AsyncSession,
    Deadlines,
    MessageStart,
    MisuseError,
    ProviderError,
    Retry,
    Router,
    Session,
    StreamError,
    StreamStalled,
)
from tokenstream.turns import ToolResults

in_colours = pytest.mark.parametrize("colour", COLOURS)
COMMENTARY = {"type": "session.commentary.append", "content": "three", "delegation_id": None}
CLOSE = {"type": "session.close"}
RESPONSES = {"delegation": {"type": "responses", "responses": {"model": "gpt-5.5"}}}


def instruction(text: str) -> Payload:
    return {"type": "session.instructions.append", "content": text, "delegation_id": None}


def starts(server: OpenAILiveServer) -> list[Payload]:
    """Return the sessions that were started."""
    return [payload["session"] for _, payload in server.received if payload["type"] == "session.start"]


def looking_up() -> Router:
    router = Router()

    @router.tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return word.upper()

    return router


# -- what a session says -------------------------------------------------------


@in_colours
def test_a_session_speaks_until_it_is_closed(colour: str) -> None:
    """It starts with the model and the settings, and takes the question once it has started."""
    server = OpenAILiveServer()
    settings = {"instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}
    with serving(server) as url, talking(colour, url, model="gpt-live-1", settings=settings) as talk:
        answer = talk.ask([instruction("Greet the user."), CLOSE])

        assert ("I know: Greet the user.", None, {}) == (answer.text, answer.error, answer.departures)
        assert ("complete", "stop", "close_requested") == (
            answer.message.ending,
            answer.message.finish_reason,
            answer.message.raw_finish_reason,
        )
        assert [{"model": "gpt-live-1", **settings}] == starts(server)
        assert ["session.start", "session.instructions.append", "session.close"] == server.kinds()


@in_colours
def test_a_question_after_an_interruption_goes_on_in_the_session(colour: str) -> None:
    """No message stops the model: what it says until the next question is dropped."""
    server = OpenAILiveServer()
    with serving(server) as url, talking(colour, url) as talk:
        first = talk.ask("one", stop_after=1)
        server.lines[0].settle()
        second = talk.ask([instruction("two"), CLOSE])

        assert ("I know:", "stopped", "interrupted") == (first.text, first.message.ending, first.stop_reason)
        assert ("I know: one | two", "complete", "live_0", {}) == (
            second.text,
            second.message.ending,
            second.message.id,
            second.departures,
        )
        assert (1, 0) == (len(starts(server)), talk.session.rotations)


@in_colours
def test_input_is_taken_while_the_model_speaks(colour: str) -> None:
    """Such as a piece of the user's audio; the answer goes on."""
    server = OpenAILiveServer(pieces=100)
    with serving(server) as url, talking(colour, url) as talk:
        answer, steer = talk.steer("one", [audio("two"), instruction("three"), CLOSE])

        assert ["I know: one", "I know: one | two", "I know: one | two | three"] == answer.pieces
        assert ("complete", "applied", "live_0") == (answer.message.ending, steer.state, steer.response_id)


@in_one_test(
    "reason, finish", [("expired", "length"), ("content", "content_filter"), ("remote_hangup", "stop")]
)
def test_the_end_of_a_session_has_its_reason(reason: str, finish: str) -> None:
    """The next question starts another session, with the texts of the one before."""
    server = Closing(reason)
    with serving(server) as url, Session(lambda: connect(url)) as session:
        with session.ask("one") as answer:
            message = answer.final()
        assert ("I know: one", finish, reason) == (
            message.text,
            message.finish_reason,
            message.raw_finish_reason,
        )

        with session.ask("two") as answer:
            assert "I know: <one> | <I know: one> | two" == answer.final().text
        assert [("user", "input_text"), ("assistant", "output_text")] == [
            (each["role"], each["content"][0]["type"]) for each in starts(server)[1]["input"]
        ]
        assert (1, 1) == (session.rotations, session.resent)


class Closing(OpenAILiveServer):
    """Closes a session once it has spoken."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def speak(self, line: Line, text: str) -> None:
        super().speak(line, text)
        self.close(line, self.reason)


def test_a_connection_that_the_server_has_lost_is_an_error() -> None:
    server = Closing("connection_lost")
    with serving(server) as url, Session(lambda: connect(url)) as session:
        answer = session.ask("one")
        with pytest.raises(ProviderError) as caught:
            answer.final()

    assert ("connection_lost", "I know: one") == (caught.value.code, caught.value.partial.text)


def test_a_silent_session_does_not_stall() -> None:
    """Nobody has to speak; but a session has to start."""
    server, limits = OpenAILiveServer(), Deadlines(idle_content=0.05, idle_bytes=0.05)
    server.silent = True
    with (
        serving(server) as url,
        Session(lambda: connect(url), deadlines=limits) as session,
        session.ask("one") as answer,
    ):
        closing = threading.Timer(0.15, session.steer, [CLOSE])
        for event in answer:
            if isinstance(event, MessageStart):
                closing.start()
        assert answer.message.complete

    limits = Deadlines(first_event=0.05)
    with serving(Deaf()) as url, Session(lambda: connect(url), deadlines=limits) as session:
        stalled = session.ask("one")
        with pytest.raises(StreamStalled):
            stalled.final()


class Deaf(OpenAILiveServer):
    """Answers nothing."""

    def take(self, line: Line, payload: Payload) -> None:
        pass


# -- refusals and breaks ---------------------------------------------------------


@in_colours
@pytest.mark.parametrize(
    ("refused_type", "code", "sessions"),
    [("session.instructions.append", "content_too_long", 1), ("session.start", "model_not_found", 2)],
    ids=["the question", "the session"],
)
def test_a_refusal_is_the_providers_error(colour: str, refused_type: str, code: str, sessions: int) -> None:
    """After that of an instruction that is too long, the session goes on; another follows a refused one."""
    server = OpenAILiveServer()
    server.refuses[refused_type] = {"code": code, "message": "no"}
    with serving(server) as url, talking(colour, url) as talk:
        refused = talk.ask("one")
        assert isinstance(refused.error, ProviderError)
        assert (code, "failed") == (refused.error.code, refused.message.ending)

        assert "I know: two" == talk.ask([instruction("two"), CLOSE]).text
        assert sessions == len(starts(server))


@in_colours
def test_input_that_is_refused_ends_nothing(colour: str) -> None:
    """Its error says why, and is none of the answer."""
    server = OpenAILiveServer()
    server.refuses["session.commentary.append"] = {"code": "content_too_long", "message": "no"}
    with serving(server) as url, talking(colour, url) as talk:
        answer, steer = talk.steer("one", [COMMENTARY, CLOSE])

    assert ("I know: one", None) == (answer.text, answer.error)
    assert steer.error is not None
    assert ("refused", "content_too_long") == (steer.state, steer.error.code)


def test_input_before_the_session_has_started_is_refused() -> None:
    """The server would not take it."""
    server = OpenAILiveServer()
    with (
        serving(server) as url,
        Session(lambda: connect(url)) as session,
        session.ask([instruction("one"), CLOSE]) as answer,
    ):
        steer = session.steer(audio("two"))
        assert "I know: one" == answer.final().text

    assert steer.error is not None
    assert ("refused", "session_not_started") == (steer.state, steer.error.code)
    assert "session.input_audio.append" not in server.kinds()


def test_input_that_comes_too_late_hides_no_end() -> None:
    """Words that the server had sent before it closed the connection are still read."""
    server = Closing("expired")
    with serving(server) as url, Session(lambda: connect(url)) as session, session.ask("one") as answer:
        for event in answer:
            if isinstance(event, MessageStart):
                assert server.lines[0].cancelled.wait(PATIENCE)
                session.steer(audio("too late"))

    assert ("I know: one", "complete", "expired") == (
        answer.message.text,
        answer.message.ending,
        answer.message.raw_finish_reason,
    )


@in_colours
def test_input_is_lost_with_the_connection(colour: str) -> None:
    """Nobody knows what has become of it. No input is sent after that."""
    server = Inattentive(hangs_up=True)
    with serving(server) as url, talking(colour, url) as talk:
        answer, steer = talk.steer("one", COMMENTARY)
        assert ("truncated", "lost") == (answer.message.ending, steer.state)

        if isinstance(talk.session, Session):
            late = talk.session.steer(COMMENTARY)
            assert late.error is not None
            assert ("refused", "session_not_started") == (late.state, late.error.code)


class Inattentive(OpenAILiveServer):
    """Says nothing of comments, or hangs up at one."""

    def __init__(self, *, hangs_up: bool) -> None:
        super().__init__()
        self.hangs_up = hangs_up

    def take(self, line: Line, payload: Payload) -> None:
        if payload["type"] != "session.commentary.append":
            super().take(line, payload)
        elif self.hangs_up:
            raise Hangup


@pytest.mark.parametrize("code", [None, 1000, 1011])
def test_no_cut_is_complete(code: int | None) -> None:
    """Wherever the connection ends; only the end of the session is the end of the answer."""
    with serving(OpenAILiveServer()) as url, Session(lambda: connect(url)) as session:
        whole = session.ask([instruction("one two"), CLOSE]).final().text
    sent = 2 + 2 * 3
    for number in range(3, sent + 1):
        server = OpenAILiveServer()
        server.hangups[number] = code
        with serving(server) as url, Session(lambda: connect(url)) as session:
            answer = session.ask([instruction("one two"), CLOSE])
            with pytest.raises(StreamError) as caught, answer:
                answer.final()

        assert "truncated" == caught.value.partial.ending, number
        assert whole.startswith(str(caught.value.partial.text)), number


def test_a_session_that_ends_before_its_answer_is_started_again() -> None:
    """Nothing of an answer has come, so the question is asked on another connection."""
    server = OpenAILiveServer()
    server.hangups[1] = 1000
    with serving(server) as url, Session(lambda: connect(url)) as session:
        assert "I know: one" == session.ask([instruction("one"), CLOSE]).final().text
        assert 1 == session.rotations


def test_a_retry_begins_again() -> None:
    """No session goes on with the beginning of an answer, so words that were delivered are kept."""
    for retry, text in (
        (Retry(attempts=2, mode="restart", wait=0), "I know: one"),
        (Retry(attempts=2), None),
    ):
        server = OpenAILiveServer()
        server.hangups[4] = 1011
        with serving(server) as url, Session(lambda: connect(url), retry=retry) as session:
            answer = session.ask([instruction("one"), CLOSE])
            if text is None:
                with pytest.raises(StreamError) as caught:
                    list(answer.text)
                assert "I know:" == caught.value.partial.text
            else:
                assert text == answer.final().text


# -- tools and delegated work ------------------------------------------------------


@in_colours
def test_tools_are_run_and_the_session_goes_on(colour: str) -> None:
    """The tools are those of the model that the session delegates to; all is one message."""
    server, router = OpenAILiveServer(pieces=100), looking_up()
    with serving(server) as url, talking(colour, url, tools=router, settings=RESPONSES) as talk:
        answer = talk.ask("call:noon", router=router, stop_after=1)

        assert ["worked: call:noon | [NOON]"] == answer.pieces
        assert [("look_up", {"word": "noon"})] == [
            (call.name, call.arguments) for call in answer.message.tool_calls
        ]
        assert {} == answer.departures
        [tool] = starts(server)[0]["delegation"]["responses"]["tools"]
        assert ("look_up", "gpt-5.5") == (tool["name"], starts(server)[0]["delegation"]["responses"]["model"])
        assert ["response.item.create", "response.create"] == server.kinds()[2:]


@in_colours
def test_without_a_router_the_answer_ends_with_its_calls(colour: str) -> None:
    """Speech that comes meanwhile is part of the next answer."""
    server = OpenAILiveServer(pieces=100)
    with serving(server) as url, talking(colour, url) as talk:
        called = talk.ask("call:noon")
        assert ("complete", "tool_calls", {}) == (
            called.message.ending,
            called.message.finish_reason,
            called.departures,
        )

        results = ToolResults(called.message, {called.message.tool_calls[0].id: "12:00"})
        answer = talk.ask(results, stop_after=1)
        assert ["worked: call:noon | [12:00]"] == answer.pieces
        [work] = [part for part in answer.message.parts if part.kind == "server_tool_result"]
        assert ("responses", "worked: call:noon | [12:00]") == (work.name, work.content)


@pytest.mark.parametrize("in_turn", [False, True])
def test_each_response_that_waits_goes_on(in_turn: bool) -> None:
    """Two delegations, one after the other or at the same time."""
    server, router = (OpenAILiveServer if in_turn else AtOnce)(pieces=100), looking_up()
    with (
        serving(server) as url,
        Session(lambda: connect(url), tools=router, settings=RESPONSES) as session,
        session.ask("call:noon,dusk", router=router) as answer,
    ):
        for piece in answer.text:
            if "NOON" in piece and "DUSK" in piece:
                session.steer(CLOSE)

    assert ("complete", "stop") == (answer.message.ending, answer.message.finish_reason)
    assert {"noon", "dusk"} == {call.arguments["word"] for call in answer.message.tool_calls}
    assert ["NOON", "DUSK"] == [
        payload["item"]["output"]
        for _, payload in server.received
        if payload["type"] == "response.item.create"
    ]
    assert 2 == server.kinds().count("response.create")
    # What was delegated has no place in a request.
    assert ["user", "assistant", "tool"] == [turn["role"] for turn in session.turns("openai-chat")][:3]


class AtOnce(OpenAILiveServer):
    """Ends no delegated response before the last one has called its tool."""

    def __init__(self, pieces: int = 7) -> None:
        super().__init__(pieces)
        self.ends: list[Payload] = []

    def react(self, line: Line, words: str) -> None:
        super().react(line, words)
        ends, self.ends = self.ends, []
        for fields in ends:
            super().nested(line, **fields)

    def nested(self, line: Line, delegation: str, kind: str, **fields: Any) -> None:
        if kind == "response.completed" and "call:noon,dusk" == self.known[-1]:
            self.ends.append({"delegation": delegation, "kind": kind, **fields})
        else:
            super().nested(line, delegation, kind, **fields)


def test_calls_that_come_while_nobody_reads_are_the_next_answer() -> None:
    """The model waits for their results."""
    server = OpenAILiveServer(pieces=100)
    with serving(server) as url, Session(lambda: connect(url)) as session:
        with session.ask([instruction("one"), audio("call:noon")]) as answer:
            for _ in answer.text:
                answer.interrupt()
        server.lines[0].settle()

        with session.ask("two") as following:
            message = following.final()
        assert ["look_up"] == [call.name for call in message.tool_calls]
        assert "tool_calls" == message.finish_reason


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("answered", [True, False])
def test_an_answer_that_is_left_at_a_call_cuts_no_later_one(answered: bool, interrupted: bool) -> None:
    """The end of its response comes while nobody reads; the next question is the result, or anything."""
    server = OpenAILiveServer(pieces=100)
    with serving(server) as url, Session(lambda: connect(url)) as session:
        with session.ask("call:noon") as left:
            for _ in left.tool_calls:
                if interrupted:
                    left.interrupt()
                break
        server.lines[0].settle()

        [call] = left.message.tool_calls
        results = ToolResults(left.message, {call.id: "12:00"})
        with session.ask(results if answered else [instruction("two"), CLOSE]) as answer:
            piece = next(iter(answer.text))
        assert ("worked: call:noon | [12:00]" if answered else "I know: call:noon | two") == piece
        assert (1 if answered else 0) == server.kinds().count("response.create")


def test_calls_that_were_never_answered_end_no_later_answer() -> None:
    """Such as an answer in which delegated work calls a tool, but fails."""
    server = Failing(pieces=100)
    with serving(server) as url, Session(lambda: connect(url)) as session:
        with session.ask("call:noon") as answer:
            assert "tool_calls" == answer.final().finish_reason

        with session.ask([instruction("fail"), CLOSE]) as answer:
            message = answer.final()
        assert ("Sorry.", "stop") == (message.text, message.finish_reason)
        assert [False] == [call.complete for call in message.tool_calls]


class Failing(OpenAILiveServer):
    """Delegates work that calls a tool, but fails before the call is whole."""

    def react(self, line: Line, words: str) -> None:
        if words != "fail":
            super().react(line, words)
            return
        item = {"type": "function_call", "id": "fc", "call_id": "call", "name": "look_up", "arguments": ""}
        self.nested(line, "dlg", "response.output_item.added", item=item)
        self.nested(line, "dlg", "response.failed", response={"status": "failed", "error": {"message": "no"}})
        self.speak(line, "Sorry.")


def test_items_are_for_the_model_that_is_delegated_to() -> None:
    """Items of the Responses API; only that model reads a text of the user."""
    server = OpenAILiveServer(pieces=100)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "noon?"}]}
    with (
        serving(server) as url,
        Session(lambda: connect(url), settings=RESPONSES) as session,
        session.ask(item) as answer,
    ):
        for piece in answer.text:
            assert "worked: noon?" == piece
            session.steer(CLOSE)

    assert ["session.start", "response.item.create", "response.create", "session.close"] == server.kinds()


def test_tools_need_a_model_that_calls_them() -> None:
    with pytest.raises(MisuseError, match=r"\"delegation\": {\"type\": \"responses\""):
        Session(lambda: connect("ws://localhost"), format="openai-live", tools=looking_up())


# -- the SDK -------------------------------------------------------------------------


@pytest.mark.slow
def test_all_messages_are_those_of_the_sdk() -> None:
    """Messages of both sides, the scripted server among them, fit the types of openai."""
    live, adapter = needed("openai.types.live"), needed("pydantic").TypeAdapter
    server, router = OpenAILiveServer(pieces=100), looking_up()
    options: Any = {"model": "gpt-live-1", "tools": router, "settings": RESPONSES}
    with serving(server) as url, Session(lambda: connect(url), **options) as session:
        with session.ask([audio("one"), instruction("call:noon")], router=router) as answer:
            for piece in answer.text:
                if "NOON" in piece:
                    session.steer(CLOSE)
        with session.ask([instruction("two"), CLOSE]) as answer:
            answer.final()

    for _, payload in server.received:
        adapter(live.ClientEvent).validate_python(payload)
    for payload in server.said:
        adapter(live.ServerEvent).validate_python(payload)


def test_a_connection_of_the_sdk_is_taken() -> None:
    """It sends nothing by itself: the session starts it."""
    openai = needed("openai")
    server = OpenAILiveServer()
    with serving(server) as url:
        client = openai.OpenAI(api_key="made-up", websocket_base_url=url.removesuffix("/live/sessions"))
        with client, Session(client.live.connect, model="gpt-live-1") as session:
            assert "openai-live" == session.format
            assert "I know: one" == session.ask([instruction("one"), CLOSE]).final().text

        async def ask() -> str:
            base = url.removesuffix("/live/sessions")
            async with (
                openai.AsyncOpenAI(api_key="made-up", websocket_base_url=base) as other,
                AsyncSession(other.live.connect, model="gpt-live-1") as session,
            ):
                message = await session.ask([instruction("one"), CLOSE]).final()
                return str(message.text)

        assert "I know: one" == asyncio.run(ask())
