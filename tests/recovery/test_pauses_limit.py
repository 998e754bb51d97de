"""An answer that has reached its output limit goes on, where the caller says that this is a pause."""

from __future__ import annotations

import importlib
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from tests.recovery.attempts import in_each_world
from tests.recovery.continuing import last_words
from tests.recovery.paused import end_of, raw_end_of
from tests.support.either import connect_in, read_whole
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import Message, Retry, connect, resilient, testing
from tokenstream.errors import StreamError
from tokenstream.events import ToolCallDone, ToolCallStart
from tokenstream.message import ToolCall
from tokenstream.recovery import Attempt

URL = "https://api.openai.com/v1/responses"
ASKED: dict[str, Any] = {"model": "m", "input": "Of a river?", "max_output_tokens": 64, "stream": True}
TEXT = "A river does not mind a stone. It parts, goes around on both sides, and is one river again. "
HALVES = [TEXT[:45], TEXT[45:]]
GO_ON = Retry(attempts=9, pauses={"length": 8})


def script(text: str, number: int = 1) -> Any:
    """Return an answer of 64 tokens that is still to be ended."""
    return testing.script(id=f"resp_{number}").text(text).usage(input_tokens=10, output_tokens=64)


class Server:
    """Sends half of the answer, and then what a model writes that is asked for the rest."""

    def __init__(self, rest: Any = None) -> None:
        rest = rest or script(last_words(HALVES[0]) + HALVES[1], 2).finish("stop")
        self.transport = testing.transport([script(HALVES[0]).finish("length"), *[rest] * 3])

    @property
    def asked(self) -> list[Any]:
        return [request.json for request in self.transport.requests]

    def read(self, retry: Retry = GO_ON, world: str = "sync", **asked: Any) -> Any:
        made = httpx.Client if world == "sync" else httpx.AsyncClient
        options: dict[str, Any] = {"json": {**ASKED, **asked}, "retry": retry}
        client = made(transport=self.transport)
        return read_whole(world, lambda: connect_in(world)(URL, client=client, **options))


def test_no_request_is_paid_for_a_text_that_a_guard_still_holds_back() -> None:
    """An answer that began anew is not continued by the words of the one before it."""
    half = HALVES[0]
    small = testing.script().text(*[half[at : at + 2] for at in range(0, 14, 2)]).recording("openai-chat")
    large = testing.script().text(half[:30], half[30:]).finish("length").recording("openai-chat")
    transport = testing.transport([small.with_fault(testing.faults.cut(at=0.9)), large])
    retry = Retry(attempts=4, wait=0, again=True, pauses={"length": 8})
    asked: Any = {"json": {"messages": [{"role": "user", "content": "?"}]}, "retry": retry}
    url, client = "https://api.openai.com/v1/chat/completions", httpx.Client(transport=transport)
    with connect(url, client=client, **asked) as stream:
        stream.guard(lambda _: None, first_tokens=3, hold=True)

        assert half == "".join(stream.text)
    assert ["some of it is still held back"] == [leg.why for leg in stream.pauses]
    assert 2 == len(transport.requests)


@in_each_world
def test_the_model_is_asked_to_go_on(world: str) -> None:
    server = Server()
    stream = server.read(world=world)

    assert (TEXT, "stop", "complete") == end_of(stream.message)
    first, second = server.asked
    assert (64, 64) == (first["max_output_tokens"], second["max_output_tokens"])
    question, answer, ask = second["input"]
    assert {"role": "user", "content": ASKED["input"]} == question
    assert "assistant" == answer["role"]
    assert "because it reached the limit of its length" in str(ask)


def test_the_tokens_of_both_requests_are_added() -> None:
    stream = Server().read()

    usage = stream.message.usage
    assert (20, 128, "reported") == (usage.input_tokens, usage.output_tokens, usage.basis)
    assert [("resp_1", 64, None), ("resp_2", 64, None)] == [
        (leg.id, leg.usage.output_tokens, leg.why) for leg in stream.pauses
    ]
    assert [("pause", "resp_2", 1.0)] == [
        (join.mode, join.id, join.confidence) for join in stream.message.joined
    ]


@pytest.mark.slow
def test_the_sdk_accepts_the_request() -> None:
    needed("openai")
    params = importlib.import_module("openai.types.responses.response_create_params")
    server = Server()
    server.read()
    for asked in server.asked:
        TypeAdapter(params.ResponseCreateParamsStreaming).validate_python(asked)


@pytest.mark.parametrize("retry", [Retry(), Retry(pauses=8)])
def test_the_limit_ends_the_answer_by_default(retry: Retry) -> None:
    server = Server()
    stream = server.read(retry)
    assert ("length", 1) == (stream.message.finish_reason, len(server.asked))


@pytest.mark.parametrize("attempts", [2, 3])
@in_each_world
def test_what_does_not_join_the_answer_is_left_out(world: str, attempts: int) -> None:
    """The answer then ends at its limit, as a whole answer does, and the report says why."""
    other = script("Sorry, I cannot go on with what you have sent me.", 2).finish("stop")
    retry = Retry(attempts=attempts, pauses={"length": 8}, wait=0)
    stream = Server(other).read(retry, world)

    assert (HALVES[0], "length", "complete") == end_of(stream.message)
    assert "confidence" in str(stream.pauses[-1].why)


@pytest.mark.parametrize("reader", ["tool_calls", "events"])
def test_a_call_after_what_does_not_join_is_left_out(reader: str) -> None:
    """One payload brings the words at which the rest is refused, and a call that nobody is to run."""
    parts = [{"text": "Sorry, I cannot go on. "}, {"functionCall": {"name": "look", "args": {"at": "sea"}}}]
    rest = {"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]}
    bodies = iter([script(HALVES[0]).finish("length").chunks("gemini"), [sse(rest)]])
    with resilient(lambda _: next(bodies), GO_ON, format="gemini") as stream:
        items: list[Any] = list(stream.tool_calls if reader == "tool_calls" else stream)

    assert "confidence" in str(stream.pauses[-1].why)
    assert [] == [item for item in items if isinstance(item, ToolCall | ToolCallStart | ToolCallDone)]
    assert ["text"] == [part.kind for part in stream.message.parts]
    assert (HALVES[0], "length") == (stream.message.text, stream.message.finish_reason)


def test_a_request_that_fails_leaves_the_answer_as_it_was() -> None:
    """The error is raised, and the partial answer says that it has reached its limit."""
    refusal = testing.Recording.of([b'{"error": {"message": "no"}}'], status=400)
    with pytest.raises(StreamError) as caught:
        Server(refusal).read()
    partial: Message = caught.value.partial
    assert (HALVES[0], "length") == (partial.text, partial.finish_reason)


def test_a_full_context_window_is_no_pause() -> None:
    """The next request would be longer still."""
    chunks = script(HALVES[0]).finish("length").chunks("anthropic")
    full = [chunk.replace(b'"max_tokens"', b'"model_context_window_exceeded"') for chunk in chunks]
    with resilient(lambda attempt: full if attempt.number else [], GO_ON) as stream:
        assert ("length", "model_context_window_exceeded") == raw_end_of(stream.final())
    assert () == stream.pauses


def test_a_call_that_was_cut_off_is_not_continued() -> None:
    """A model would answer with prose after a call that was cut off."""
    cut = testing.script().tool_call("look", '{"at": "Os').finish("length").chunks("openai-responses")
    with resilient(lambda attempt: cut if attempt.number else [], GO_ON) as stream:
        assert "length" == stream.final().finish_reason
    assert "it has a tool call" == stream.pauses[-1].why


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "gemini", "ollama", "cohere"])
def test_your_own_function_gets_the_request(format: str) -> None:
    asked: list[Any] = []
    turns = "contents" if format == "gemini" else "messages"

    def ask(attempt: Attempt) -> list[bytes]:
        asked.append(attempt.request({turns: [{"role": "user"}]})[turns])
        if attempt.mode == "start":
            return script(HALVES[0]).finish("length").chunks(format)  # type: ignore[no-any-return] # a script
        return script(last_words(HALVES[0]) + HALVES[1]).finish("stop").chunks(format)  # type: ignore[no-any-return]

    with resilient(ask, GO_ON) as stream:
        assert TEXT == "".join(stream.text)
    assert [1, 3] == [len(each) for each in asked]


@pytest.mark.parametrize(("pauses", "texts"), [({"length": 1}, 2), ({"pause": 1}, 1), ({"length": 0}, 1)])
def test_each_reason_has_a_bound_of_its_own(pauses: Any, texts: int) -> None:
    """Of a bound on the other reason, nothing is used up."""
    rest = script(last_words(HALVES[0]) + HALVES[1], 2).finish("length")
    stream = Server(rest).read(Retry(pauses=pauses))

    assert ("".join(HALVES[:texts]), "length") == (stream.message.text, stream.message.finish_reason)


def test_a_word_that_the_limit_cuts_is_one_item() -> None:
    """The end of the text before a pause is none; of what ends the answer, no item waits."""
    server = Server()
    client = httpx.Client(transport=server.transport)
    with connect(URL, client=client, json=ASKED, retry=GO_ON) as stream:
        sentences = list(stream.text.sentences())

    assert len(server.asked) == 2
    assert sentences == [TEXT[:31], TEXT[31:]]
