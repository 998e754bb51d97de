"""The requests that `connect` makes of the first one, so that a model goes on with its answer."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx
import pytest

from tests.recovery.continuing import GO_ON, TEXT, WORDS, goes_on, last_words, obeys
from tests.support import wire
from tests.support.tables import in_one_test
from tokenstream import Retry, Seam, connect, testing
from tokenstream.errors import PositionLost, StatusError, StreamError, StreamTruncated
from tokenstream.events import Resumed
from tokenstream.recovery import Attempt

PLACES = {
    "openai-chat": "https://api.openai.com/v1/chat/completions",
    "openai-responses": "https://api.openai.com/v1/responses",
    "openai-completions": "http://localhost:8000/v1/completions",
    "anthropic": "https://api.anthropic.com/v1/messages",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.6:streamGenerateContent",
    "bedrock-converse": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse-stream",
    "cohere": "https://api.cohere.com/v2/chat",
    "ollama": "http://localhost:11434/api/chat",
    "tgi": "http://localhost:8080/generate_stream",
}
USER: dict[str, Any] = {"role": "user", "content": "Tell me of rivers."}
PAYLOADS: dict[str, dict[str, Any]] = {
    "openai-chat": {"model": "gpt-5", "messages": [USER], "max_completion_tokens": 100},
    "openai-responses": {"model": "gpt-5", "input": "Tell me of rivers.", "max_output_tokens": 100},
    "openai-completions": {"model": "base", "prompt": "Of rivers: ", "max_tokens": 100},
    "anthropic": {"model": "claude-opus-5", "messages": [USER], "max_tokens": 100},
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Tell me of rivers."}]}],
        "generation_config": {"max_output_tokens": 100},
    },
    "bedrock-converse": {
        "messages": [{"role": "user", "content": [{"text": "Tell me of rivers."}]}],
        "inferenceConfig": {"maxTokens": 100},
    },
    "cohere": {"model": "command-a", "messages": [USER], "max_tokens": 100},
    "ollama": {"model": "qwen3", "messages": [USER], "options": {"num_predict": 100}},
    "tgi": {"inputs": "Of rivers: ", "parameters": {"max_new_tokens": 100}},
}
LIMITS = {
    "openai-chat": "max_completion_tokens",
    "openai-responses": "max_output_tokens",
    "gemini": "generation_config",
    "bedrock-converse": "inferenceConfig",
    "ollama": "options",
}
TURNS = {"openai-responses": "input", "openai-completions": "prompt", "gemini": "contents", "tgi": "inputs"}


def cut(format: str, words: int = 9, **more: Any) -> testing.Recording:
    script = testing.script(**more).text(*WORDS[:words], "never read").finish("stop")
    whole = script.chunks(format)
    at = next(number for number, chunk in enumerate(whole) if b"never" in chunk)
    return testing.Recording.of(whole[:at], format=format)


def rest(format: str, text: str) -> testing.Recording:
    return testing.Recording.of(testing.script().text(text).finish("stop").chunks(format), format=format)


def refusal(words: str) -> testing.Recording:
    body = json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode()
    return testing.Recording.of([body], status=400, headers={"content-type": "application/json"})


def asked(*answers: testing.Recording) -> testing.Transport:
    """Return a transport that gives one answer after the other."""
    return testing.transport(answers)


def payloads(server: testing.Transport) -> list[Any]:
    return [request.json for request in server.requests]


def ask(
    server: testing.Transport, format: Any, retry: Retry = GO_ON, /, *, url: str = "", **more: Any
) -> Any:
    return connect(
        url or PLACES[format],
        json={**PAYLOADS[format], **more},
        client=httpx.Client(transport=server),
        format=format,
        retry=retry,
    )


def given(words: int = 9) -> str:
    return "".join(WORDS[:words])


@pytest.mark.parametrize("format", sorted(set(PLACES) - {"openai-completions", "tgi"}))
def test_a_model_is_asked_to_go_on_after_what_there_is(format: str) -> None:
    """What was asked, the assistant's turn, and a user's turn that names its last words."""
    server = asked(cut(format), rest(format, obeys(given())))

    with ask(server, format) as stream:
        pieces = list(stream.text)

    before, after = payloads(server)
    turns = TURNS.get(format, "messages")
    question, partial, user = after[turns]
    assert TEXT == "".join(pieces)
    assert stream.message.complete
    assert {turns, LIMITS.get(format, "max_tokens")} == {
        name for name in after if after[name] != before[name]
    }
    assert before.keys() == after.keys()
    assert "Tell me of rivers." in json.dumps(question)
    assert (partial["role"], user["role"]) == ("model" if format == "gemini" else "assistant", "user")
    assert given() in json.dumps(partial)
    assert last_words(given()) in json.dumps(user)


@pytest.mark.parametrize("format", sorted(PLACES))
def test_the_output_limit_is_what_is_left_of_it(format: str) -> None:
    told: list[Attempt] = []
    retry = Retry(again=True, wait=0, on_retry=told.append)
    # A prompt goes on by itself; all others are asked to begin with the last words.
    write = goes_on if format in ("openai-completions", "tgi") else obeys
    server = asked(cut(format), rest(format, write(given())))

    with ask(server, format, retry) as stream:
        stream.final()

    used = -(-len(given()) // 4)
    assert [100 - used] == [attempt.limit_left for attempt in told]
    assert str(100 - used) in json.dumps(payloads(server)[1])
    assert "100" not in json.dumps(payloads(server)[1])


def test_an_answer_that_has_used_up_its_limit_ends_there() -> None:
    counted = wire.chat({"content": "A river "}, usage={"prompt_tokens": 3, "completion_tokens": 10})
    server = asked(testing.Recording.of([counted], format="openai-chat"))

    with ask(server, "openai-chat", max_completion_tokens=10) as stream:
        events = list(stream)

    message = stream.message
    assert (1, "A river ", "length") == (len(payloads(server)), message.text, message.finish_reason)
    assert (True, True) == (message.complete, message.parts[0].complete)
    assert "Finish" == type(events[-1]).__name__
    # The counts of the attempt are those that it had when it broke off.
    told = [(type(report.error), report.usage.basis) for report in stream.attempts]
    assert [(StreamTruncated, "partial")] == told


def test_a_limit_that_is_only_reckoned_to_be_used_up_ends_nothing() -> None:
    """A token may hold more than four bytes; a tenth of the limit is left, and what the API takes."""
    words = {"openai-chat": 16, "openai-responses": 16, "anthropic": 16}
    for format, least in words.items():
        server = asked(cut(format, 15), rest(format, obeys(given(15))))
        limit = "max_output_tokens" if format == "openai-responses" else "max_tokens"
        more: dict[str, Any] = {limit: 17}
        if format == "openai-chat":
            more["max_completion_tokens"] = 17
        with ask(server, format, **more) as stream:
            stream.final()

        assert (TEXT, least) == (stream.message.text, payloads(server)[1][limit])


def test_the_tokens_of_all_that_the_answer_is_made_of_count() -> None:
    def counted(text: str, tokens: int) -> testing.Recording:
        usage = {"prompt_tokens": 3, "completion_tokens": tokens}
        return testing.Recording.of([wire.chat({"content": text}, usage=usage)], format="openai-chat")

    again = given(10)[-40:] + "".join(WORDS[10:12])
    told: list[Attempt] = []
    server = asked(counted(given(10), 500), counted(again, 100), rest("openai-chat", TEXT))
    retry = Retry(again=True, wait=0, on_retry=told.append)
    with ask(server, "openai-chat", retry, max_completion_tokens=1000) as stream:
        stream.final()

    assert [500, 400] == [attempt.limit_left for attempt in told]


PREFILLS: list[tuple[str, str, dict[str, Any], dict[str, Any], bool]] = [
    ("anthropic", "", {"model": "claude-sonnet-4-5-20250929"}, {}, False),
    ("openai-chat", "https://api.mistral.ai/v1/chat/completions", {}, {"prefix": True}, True),
    ("openai-chat", "https://api.deepseek.com/beta/chat/completions", {}, {"prefix": True}, False),
    ("openai-chat", "https://api.moonshot.ai/v1/chat/completions", {}, {"partial": True}, False),
    ("openai-chat", "https://api.moonshot.cn/v1/chat/completions", {}, {"partial": True}, False),
]


@pytest.mark.parametrize(("format", "url", "more", "marks", "echoes"), PREFILLS)
def test_a_model_that_takes_a_prefix_is_given_one(
    format: str, url: str, more: dict[str, Any], marks: dict[str, Any], echoes: bool
) -> None:
    text = TEXT if echoes else TEXT[len(given().rstrip()) :]
    server = asked(cut(format), rest(format, text))

    with ask(server, format, url=url, **more) as stream:
        events = list(stream)

    partial = payloads(server)[1]["messages"][-1]
    assert TEXT == stream.message.text
    assert [1.0] == [event.confidence for event in events if isinstance(event, Resumed)]
    assert ("assistant", marks) == (partial["role"], {name: partial[name] for name in marks})
    assert json.dumps(given().rstrip())[1:-1] + '"' in json.dumps(partial)


def test_a_server_that_the_caller_knows_to_take_a_prefix_is_asked_as_vllm_is() -> None:
    server = asked(cut("openai-chat"), rest("openai-chat", TEXT[len(given().rstrip()) :]))

    with ask(server, "openai-chat", Retry(again=True, wait=0, seam=Seam(prefill=True))) as stream:
        stream.final()

    second = payloads(server)[1]
    assert TEXT == stream.message.text
    assert (True, False) == (second["continue_final_message"], second["add_generation_prompt"])
    assert "assistant" == second["messages"][-1]["role"]


REFUSALS = [
    "This model does not support assistant message prefill. The conversation must end with a user message.",
    "Requests ending with a model turn are not supported.",
    "messages: final assistant content cannot end with trailing whitespace",
    "Assistant response prefill is incompatible with enable_thinking.",
    "substring not found",
]


_numbers = itertools.count()


def _new_model() -> str:
    """Return the name of a model that takes a prefix, and of which the process knows no refusal."""
    return f"claude-3-{next(_numbers)}"


@pytest.mark.parametrize("words", REFUSALS)
def test_a_prefix_that_is_refused_costs_no_attempt_and_is_remembered(words: str) -> None:
    """The user's turn asks instead, and is the first to ask the next time."""
    again = obeys(given())
    retry = Retry(again=True, wait=0, attempts=2)
    model = {"model": _new_model()}
    server = asked(cut("anthropic"), refusal(words), rest("anthropic", again))

    with ask(server, "anthropic", retry, **model) as stream:
        pieces = list(stream.text)
    next_time = asked(cut("anthropic"), rest("anthropic", again))
    with ask(next_time, "anthropic", retry, **model) as following:
        following.final()

    roles = [payload["messages"][-1]["role"] for payload in payloads(server)]
    assert TEXT == "".join(pieces) == following.message.text
    assert ["user", "assistant", "user"] == roles
    assert [1, 2, 3] == [report.number for report in stream.attempts]
    assert ["user", "user"] == [payload["messages"][-1]["role"] for payload in payloads(next_time)]


def test_a_request_that_is_refused_for_another_reason_is_an_error_that_tells_what_broke_off() -> None:
    wrong = refusal("metadata: unknown field")
    server = asked(cut("anthropic"), wrong)
    with ask(server, "anthropic", Retry(wait=0)) as stream, pytest.raises(StatusError) as caught:
        list(stream.text)
    other = asked(cut("anthropic"), wrong, rest("anthropic", TEXT))
    with ask(other, "anthropic") as again:
        pieces = list(again.text)

    assert given() == caught.value.partial.text
    assert "had broken off (the input ended after" in "".join(caught.value.__notes__)
    assert [StreamTruncated, StatusError] == [type(report.error) for report in stream.attempts]
    assert TEXT == "".join(pieces)
    assert ["start", "continue", "restart"] == [report.mode for report in again.attempts]


def test_a_prompt_that_is_refused_is_not_asked_with_for_ever() -> None:
    """No other way asks for the rest of a text that was read, and no attempt is free."""
    server = asked(cut("openai-completions"), *[refusal("substring not found")] * 9)
    with (
        ask(server, "openai-completions", Retry(wait=0), model=_new_model()) as stream,
        pytest.raises(StatusError, match="substring"),
    ):
        list(stream.text)

    assert 2 == len(payloads(server))


def test_headers_of_the_first_body_do_not_go_with_the_second() -> None:
    """The second body has another length, and the key that makes it one request gets a number."""
    server = asked(cut("openai-chat"), rest("openai-chat", obeys(given())))
    body = json.dumps(PAYLOADS["openai-chat"])
    headers = {"Authorization": "Bearer k", "Idempotency-Key": "1", "Content-Length": str(len(body))}
    options: Any = {
        "json": PAYLOADS["openai-chat"],
        "headers": headers,
        "client": httpx.Client(transport=server),
    }
    with connect(PLACES["openai-chat"], retry=GO_ON, **options) as stream:
        stream.final()

    seen = [request.headers for request in server.requests]
    assert ["1", "1-2"] == [each["Idempotency-Key"] for each in seen]
    assert ["Bearer k"] * 2 == [each["Authorization"] for each in seen]
    assert seen[0]["Content-Length"] != seen[1]["Content-Length"]


@pytest.mark.slow
@in_one_test(
    ("format", "more", "why"),
    [
        ("openai-chat", {"tool_choice": "required"}, "forces a tool call"),
        ("openai-chat", {"tool_choice": {"type": "function", "function": {"name": "f"}}}, "forces a tool"),
        ("anthropic", {"tool_choice": {"type": "any"}}, "forces a tool call"),
        ("gemini", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "forces a tool call"),
        ("bedrock-converse", {"toolConfig": {"toolChoice": {"any": {}}}}, "forces a tool call"),
        ("openai-chat", {"n": 2}, "several choices"),
        ("openai-chat", {"response_format": {"type": "json_schema"}}, "asks for JSON"),
        ("openai-responses", {"text": {"format": {"type": "json_schema"}}}, "asks for JSON"),
        ("ollama", {"format": "json"}, "asks for JSON"),
        ("openai-responses", {"conversation": "conv_1"}, "stores the conversation"),
        ("anthropic", {"thinking": {"type": "enabled", "budget_tokens": 99}}, "budget for thinking"),
        ("openai-completions", {"echo": True}, "prompt to be echoed"),
    ],
)
def test_a_request_that_is_never_gone_on_with_is_made_again(
    format: str, more: dict[str, Any], why: str
) -> None:
    told: list[Attempt] = []
    server = asked(cut(format), rest(format, TEXT))
    with ask(server, format, Retry(again=True, wait=0, on_retry=told.append), **more) as stream:
        pieces = list(stream.text)
    alone = asked(cut(format))
    with ask(alone, format, Retry(wait=0), **more) as other, pytest.raises(StreamError) as caught:
        list(other.text)

    assert TEXT == "".join(pieces)
    assert ["restart"] == [attempt.mode for attempt in told]
    assert payloads(server)[0] == payloads(server)[1]
    assert why in str(told[0].why)
    assert why in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("format", "more"),
    [
        ("openai-chat", {"tool_choice": "auto"}),
        ("anthropic", {"tool_choice": {"type": "auto"}}),
        ("openai-chat", {"response_format": {"type": "text"}}),
        ("openai-chat", {"n": 1}),
    ],
)
def test_auto_goes_on_where_the_library_makes_the_request(format: str, more: dict[str, Any]) -> None:
    server = asked(cut(format), rest(format, obeys(given())))

    with ask(server, format, Retry(wait=0), **more) as stream:
        stream.final()

    assert TEXT == stream.message.text
    assert ["start", "continue"] == [report.mode for report in stream.attempts]


def test_a_position_that_is_no_longer_held_is_followed_by_a_continuation() -> None:
    """A response in the background is too old to be streamed, and cannot be fetched or cancelled, either."""
    in_background = (b'"background":false', b'"background":true')
    broken = cut("openai-responses")
    chunks = [arrival.data.replace(*in_background) for arrival in broken.arrivals]
    too_old = refusal("This response can no longer be streamed because it is more than 5 minutes old")
    again = rest("openai-responses", obeys(given()))
    gone = refusal("Response not found")
    begun = testing.Recording.of(chunks, format="openai-responses")
    server = asked(begun, too_old, gone, gone, again)

    with ask(server, "openai-responses", Retry(wait=0), background=True) as stream:
        stream.final()

    assert TEXT == stream.message.text
    assert ["start", "resume", "resume", "continue"] == [report.mode for report in stream.attempts]
    assert [StreamTruncated, PositionLost, PositionLost, None] == [
        None if report.error is None else type(report.error) for report in stream.attempts
    ]


def test_the_callers_own_payload_is_left_as_it_is() -> None:
    payload = {**PAYLOADS["openai-chat"], "messages": [USER]}
    before = json.dumps(payload)
    server = asked(cut("openai-chat"), rest("openai-chat", obeys(given())))

    with connect(
        PLACES["openai-chat"], json=payload, client=httpx.Client(transport=server), retry=GO_ON
    ) as stream:
        stream.final()

    assert before == json.dumps(payload)
    assert TEXT == stream.message.text
