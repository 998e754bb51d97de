"""Calls of a text go everywhere like those of the API: to tools, pages, turns, attempts and recordings."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from websockets.sync.client import connect as connect_socket

from tests.calls_in_text.support import BARE, WRITERS, make_call
from tests.calls_in_text.test_streams import HERMES, body, look
from tests.recovery.routes.providers import Behaviour, Provider
from tests.session import servers
from tests.session.servers import LiveServer, RealtimeServer, ResponsesServer, Server, serving
from tests.session.talks import COLOURS, talking
from tests.support.either import connect_in, read_whole
from tokenstream import Retry, Route, Router, Routes, Session, Stream, Tags, Tools, resilient, testing
from tokenstream.errors import StreamError
from tokenstream.message import Message, TextPart, ToolCall
from tokenstream.recovery._rules import reason_against
from tokenstream.relay import encode
from tokenstream.session._rounds import Question
from tokenstream.turns import ToolResults

TEXT = f"Let me look. {HERMES}"


def test_a_router_runs_the_calls_of_a_text() -> None:
    with Stream(body(TEXT), tags=Tags(calls=True)) as stream:
        results = stream.run(Router(Tools(look)))
    turns = [stream.message.to_openai_chat(), *results.to_openai_chat()]

    assert ["call_0"] == [call["id"] for call in turns[0]["tool_calls"]]
    assert "Let me look. " == turns[0]["content"]
    assert [("call_0", "x0")] == [(turn["tool_call_id"], turn["content"]) for turn in turns[1:]]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic", "ui-message", "ag-ui", "tokenstream"])
def test_a_page_sees_a_call_and_no_markup(protocol: Any) -> None:
    with Stream(body(TEXT), tags=Tags(calls=True)) as stream:
        sent = b"".join(encode(stream, protocol))
    read = Stream([sent], format=protocol).final()

    assert b"tool_call>" not in sent
    assert [{"at": "x"}] == [call.arguments for call in read.tool_calls]
    assert "Let me look. " == read.text


@pytest.mark.parametrize("size", [5, 16, 40, 60, len(TEXT) - 3])
def test_another_attempt_begins_the_call_anew(size: int) -> None:
    """Whatever was cut off is discarded; each call is handed out once."""
    bodies = [body(TEXT[:size], None), body(TEXT)]
    with resilient(lambda: bodies.pop(0), Retry(again=True, wait=0), tags=Tags(calls=True)) as stream:
        called = [call.name for call in stream.validated_calls(look)]

    assert ["look"] == called
    assert [{"at": "x"}] == [call.arguments for call in stream.message.tool_calls]


@pytest.mark.parametrize("written", [each for each in WRITERS if WRITERS[each][0] not in BARE | {"gemma"}])
def test_a_call_in_the_text_is_not_continued_as_text(written: str) -> None:
    _, write = WRITERS[written]
    markup = write([make_call(random.Random(written))])
    for size in range(2, len(markup), 1 + len(markup) // 40):
        assert "it has a call in its text" == reason_for("Hm. " + markup[:size]), markup[:size]
    assert "it has a call in its text" == reason_for(f"Hm.\n{markup}\nSo")


@pytest.mark.parametrize(
    "text",
    ["Hm, so", "a < b", "See [", "See [1]", "`<tool_call>` is how", "```xml\n<tool_c", "<b>No", "a <table"],
)
def test_other_text_is_continued(text: str) -> None:
    assert reason_for(text) is None


def reason_for(text: str) -> str | None:
    return reason_against([Message(parts=(TextPart(text=text),))], StreamError("cut"), prefill=True)


def other() -> str:
    return ""


def asked(route: Route, *, is_async: bool, **options: Any) -> Message:
    colour = "async" if is_async else "sync"
    message: Message = read_whole(colour, lambda: connect_in(colour)(route, **options)).message
    return message


LEAKING = Behaviour(script=testing.script().text("Hm. ", HERMES).finish("stop"))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_route_has_dialects_of_its_own(*, is_async: bool) -> None:
    """Each model writes its own markup; without tags of the route, those of the stream count."""
    for options, own, calls in (
        ({}, "hermes", 1),
        ({}, None, 0),
        ({"tags": Tags(calls=True)}, None, 1),
        ({"tags": Tags(calls=True)}, (), 0),
        ({"tags": Tags(calls="kimi")}, "hermes", 1),
    ):
        tags = None if own is None else Tags(calls=own)
        route = Provider("openai-chat", LEAKING).route(is_async=is_async, tags=tags)
        message = asked(route, is_async=is_async, **options)

        assert calls == len(message.tool_calls)


@pytest.mark.parametrize(("is_async", "hedge_after"), [(False, None), (True, None), (True, 0.01)])
def test_another_route_is_read_in_its_own_dialect(*, is_async: bool, hedge_after: float | None) -> None:
    first, second = Provider("openai-chat", Behaviour("status")), Provider("anthropic")
    first.delay = 0.0 if hedge_after is None else 60.0
    second.add(Behaviour(script=testing.script().text("<think>Hm</think>", HERMES).finish("stop")))
    one, other = [
        each.route(is_async=is_async, tags=tags, attempts=1)
        for each, tags in ((first, Tags()), (second, Tags(reasoning=True, calls="hermes")))
    ]
    retry = Retry(routes=Routes(other, hedge_after=hedge_after), wait=0)
    message = asked(one, is_async=is_async, retry=retry, tags=Tags(citations=True))

    assert ("Hm", ["look"]) == (message.reasoning, [call.name for call in message.tool_calls])


KIMI = (
    "<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>"
    '{"at": "x"}<|tool_call_end|><|tool_calls_section_end|>'
)
TOLD = {HERMES: "<tool_response>\ny\n</tool_response>", KIMI: "The call of look gave: y"}


def sent_by(server: Server) -> str:
    """Return the last question that a server was asked, as JSON."""
    asking = ("input", "item", "clientContent", "toolResponse")
    return json.dumps([payload for _, payload in server.received if payload.keys() & set(asking)][-1])


@pytest.mark.parametrize("markup", [HERMES, KIMI])
@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_session_sends_results_of_calls_in_the_text_as_text(
    colour: str, server: Callable[[], Server], markup: str
) -> None:
    """The server has seen no call, and would refuse the result of one; it remembers the answer as it was."""
    served = server()
    with serving(served) as url, talking(colour, url, tags=Tags(calls=True), tools=Tools(look)) as talk:
        called = talk.ask(markup).message
        results = ToolResults(called, {call.id: "y" for call in called.tool_calls})
        answer = talk.ask(results)
        sent = sent_by(served)
        later = talk.ask("Thanks.")

    assert 1 == len(called.tool_calls)
    assert answer.error is None
    assert later.error is None
    assert json.dumps(TOLD[markup])[1:-1] in sent
    assert not any(word in sent for word in ("function_call", "functionResponse", "functionCall", "look_up"))
    assert 0 == talk.session.resent


@pytest.mark.parametrize("markup", [HERMES, KIMI])
@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
def test_a_session_tells_a_new_connection_what_was_called_in_the_text(
    server: Callable[[], Server], markup: str
) -> None:
    served = server()
    with serving(served) as url, talking("sync", url, tags=Tags(calls=True), tools=Tools(look)) as talk:
        called = talk.ask(markup).message
        talk.ask(ToolResults(called, {call.id: "y" for call in called.tool_calls}))
        history = json.dumps(talk.session.turns())
        elsewhere = json.dumps(talk.session.turns("openai-chat"))

    for turns in (history, elsewhere):
        assert json.dumps(TOLD[markup])[1:-1] in turns
        assert (json.dumps(HERMES)[1:-1] in turns) is (markup == HERMES)
        assert not any(f'"{word}"' in turns for word in ("function_call", "functionCall", "tool_calls"))


@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
def test_a_call_in_the_text_may_stay_without_a_result(server: Callable[[], Server]) -> None:
    served = server()
    with serving(served) as url, talking("sync", url, tags=Tags(calls=True), tools=Tools(look)) as talk:
        talk.ask(HERMES)
        talk.ask("Thanks.")

    assert 0 == talk.session.resent
    assert "Thanks." in sent_by(served)
    assert "tool_call>" not in sent_by(served)


@pytest.mark.parametrize("words", ["noon", "noon,dusk,night"])
@pytest.mark.parametrize("retry", [None, Retry(wait=0)])
@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_session_runs_the_tools_that_are_called_in_the_text(
    colour: str, server: Callable[[], Server], retry: Retry | None, words: str
) -> None:
    run: list[str] = []

    def look_up(word: str) -> str:
        """Look a word up."""
        run.append(word)
        return f"[{word}]"

    tools, served = Tools(look_up), server()
    with (
        serving(served) as url,
        talking(colour, url, tags=Tags(calls=True), tools=tools, retry=retry) as talk,
    ):
        answer = talk.ask(f"leak:{words}", router=Router(tools))
        later = talk.ask("Thanks.")
        turns = json.dumps(talk.session.turns())

    assert words.split(",") == run
    assert run == [call.arguments["word"] for call in answer.message.tool_calls if call.arguments]
    assert "".join("Let me look.\n" for _ in run) + later.text.removesuffix(" | Thanks.") == answer.text
    assert (None, "complete", "stop") == (answer.error, answer.message.ending, answer.message.finish_reason)
    assert all(f"[{word}]" in answer.text and turns.count(f'{{\\"word\\": \\"{word}') == 1 for word in run)
    assert 0 == talk.session.resent


CALL = {"name": "look", "arguments": '{"at": "x"}'}


@pytest.mark.parametrize("calls", [True, "auto"])
@pytest.mark.parametrize(
    ("answers", "runs"),
    [
        ([CALL, HERMES, "Done."], 2),
        ([HERMES, CALL, "Done."], 2),
        ([f"Look. {HERMES}", HERMES, CALL, "Done."], 3),
        ([HERMES, ""], 1),
    ],
)
@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer, LiveServer])
def test_each_round_of_a_session_has_calls_of_its_own(
    server: Callable[[], Server], answers: list[Any], runs: int, calls: Any, monkeypatch: Any
) -> None:
    replies = iter(answers)
    monkeypatch.setattr(servers, "reply_to", lambda _items: next(replies))
    with serving(server()) as url, talking("sync", url, tags=Tags(calls=calls), tools=Tools(look)) as talk:
        answer = talk.ask("Go.", router=Router(Tools(look)))
        rounds = talk.session.messages

    assert runs == len(answer.message.tool_calls)
    assert len(answers) - (answers[-1] == "") <= len(rounds) <= len(answers)
    assert all(len(each.tool_calls) <= 1 for each in rounds)
    assert "tool_call>" not in answer.text
    assert (None, "complete") == (answer.error, answer.message.ending)
    # A turn of Gemini Live without content leaves no trace in the message.
    assert answer.message.finish_reason == "stop" or (server is LiveServer and answers[-1] == "")


@pytest.mark.parametrize("first", [CALL, HERMES], ids=["of the API", "in the text"])
@pytest.mark.parametrize("server", [ResponsesServer, RealtimeServer])
def test_an_answer_that_is_interrupted_while_its_tool_runs_is_not_complete(
    server: Callable[[], Server], first: Any, monkeypatch: Any
) -> None:
    """The model learns the result, but what it says to it is not read."""
    replies = iter([first, "Done.", "Again."])
    monkeypatch.setattr(servers, "reply_to", lambda _items: next(replies))
    asked: list[Any] = []

    def look(at: str) -> str:
        """Look, and be interrupted meanwhile."""
        interrupting = threading.Thread(target=asked[0].interrupt)
        interrupting.start()
        interrupting.join()
        return at

    served, tools = server(), Tools(look)
    with (
        serving(served) as url,
        Session(lambda: connect_socket(url), tools=tools, tags=Tags(calls=True)) as session,
    ):
        asked.append(session.ask("Go.", router=Router(tools)))
        with asked[0] as answer:
            seen = [*answer.text]
        with session.ask("And now?") as later:
            text = later.final().text

    assert [] == seen
    assert ("stopped", "interrupted") == (answer.message.ending, answer.stop_reason)
    assert text in ("Done.", "Again.")


@pytest.mark.parametrize("first", [CALL, f"Look. {HERMES}"], ids=["of the API", "in the text"])
def test_rounds_whose_tools_were_run_stay_if_asking_on_fails(first: Any, monkeypatch: Any) -> None:
    """The connection is gone after the tools, and another one cannot be opened at once."""
    replies, failures, run = iter([first, "Done."]), [1], list[str]()
    monkeypatch.setattr(servers, "reply_to", lambda _items: next(replies))
    served = ResponsesServer()

    def open_socket() -> Any:
        if run and failures and failures.pop():
            raise ConnectionRefusedError("not now")
        return connect_socket(url)

    def look(at: str) -> str:
        """Look, while the connection breaks."""
        run.append(at)
        served.lines[0].connection.socket.close()
        return at

    tools = Tools(look)
    retry = Retry(again=True, attempts=3, wait=0)
    with (
        serving(served) as url,
        Session(open_socket, tools=tools, tags=Tags(calls=True), retry=retry) as session,
    ):
        with session.ask("Go.", router=Router(tools)) as answer:
            message = answer.final()
        rounds = session.messages

    assert ["x"] == run
    assert (1, "complete") == (len(message.tool_calls), message.ending)
    assert message.text.endswith("Done.")
    assert [1, 0] == [len(each.tool_calls) for each in rounds]


def test_gemini_live_learns_the_results_of_calls_in_the_text_after_its_own(monkeypatch: Any) -> None:
    """Gemini Live waits for the others in the middle of its turn, and a text would interrupt it."""

    class Both(LiveServer):
        def script(self, reply: Any) -> testing.Script:
            if self.answers > 1:
                return super().script(reply)
            return testing.script().text(f"{HERMES}\n").tool_call("look", {"at": "y"}, id="call_own")

    monkeypatch.setattr(servers, "reply_to", lambda _items: "Done.")
    served = Both()
    with serving(served) as url, talking("sync", url, tags=Tags(calls=True), tools=Tools(look)) as talk:
        answer = talk.ask("Go.", router=Router(Tools(look)))
        own = sent_by(served)
        talk.ask("And now?")

    assert ["x", "y"] == [call.arguments["at"] for call in answer.message.tool_calls if call.arguments]
    assert "call_own" in own
    assert "tool_response" not in own
    assert "tool_response" in sent_by(served)


@pytest.mark.parametrize("copied", [False, True])
def test_results_of_both_kinds_of_calls_go_their_own_way(*, copied: bool) -> None:
    with Stream(body(HERMES), tags=Tags(calls=True)) as stream:
        [in_text] = stream.final().tool_calls
    own = ToolCall(id="own", name="look", arguments_text="{}", complete=True)
    message = Message(parts=(own, in_text), format="openai-responses")
    message = message.model_copy(deep=True) if copied else message
    results = ToolResults(message, {"own": "a", "call_0": "b"}, ["own"])
    turns = Question(results).write_turns("to_openai_responses")

    assert {"type": "function_call_output", "call_id": "own", "output": "a"} == turns[0]
    assert ["<tool_response>\nb\n</tool_response>"] == [piece["text"] for piece in turns[1]["content"]]
    assert 2 == len(turns)
