"""An event of an unknown kind with an error is about something else, unless the answer gets no further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Decoder, Stream, testing
from tokenstream.errors import ProviderError, StreamError
from tokenstream.events import Unknown
from tokenstream.formats import custom

# The others are binary, lines of JSON, or decide by other means than the kind of an event.
FORMATS = (
    "openai-chat",
    "anthropic",
    "openai-responses",
    "cohere",
    "ui-message",
    "ag-ui",
    "gemini-interactions",
    "tokenstream",
)
each_format = pytest.mark.parametrize("format", FORMATS)
REFUSED = {"code": "too_many_requests", "type": "rate_limit_error", "message": "one at a time"}
INVENTED: list[tuple[str, dict[str, Any]]] = [
    ("", {"type": "nest.inspect.failed", "error": REFUSED}),
    ("nest.inspect.failed", {"type": "nest.inspect.failed", "error": "no nest", "nest": 7}),
    ("", {"type": "nest.inspect.done", "nest": 7}),
    ("", {"event": "nest.inspect.failed", "error": REFUSED}),
    ("nest.inspect.failed", {"code": "no_nest", "message": "no nest"}),
    ("nest.inspect.failed", {"detail": "no nest"}),
    ("", {"type": "nest.inspect", "base_resp": {"status_code": 1013, "status_msg": "no nest"}}),
]


def script(format: Any) -> list[bytes]:
    """Return an answer with a text and a call, one event in each chunk."""
    made = testing.script().text("The tern ").text("is back").tool_call("ring", {"bird": "tern"})
    return made.usage(input_tokens=3, output_tokens=9).finish("tool_calls").chunks(format)


def frame(event: str, payload: dict[str, Any]) -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(payload)}\n\n".encode()


def read(format: Any, chunks: list[bytes]) -> tuple[list[Any], str, StreamError | None]:
    """Return the events except the unknown ones, the ending, and the error."""
    stream, events = Stream(chunks, format=format), []
    error: StreamError | None = None
    try:
        for event in stream:
            if not isinstance(event, Unknown):
                events.append(event)
    except StreamError as caught:
        error = caught
    return events, stream.message.ending, error


@each_format
@pytest.mark.parametrize("field", ["message", "detail"])
def test_a_status_that_says_error_ends_the_answer(format: str, field: str) -> None:
    """No event of these formats has this shape: what had arrived is kept, and nothing behind it is read."""
    made = script(format)
    at = next(index for index, chunk in enumerate(made) if b"The" in chunk) + 1
    _, ending, error = read(
        format, [*made[:at], frame("", {"status": "error", field: "no nest"}), *made[at:]]
    )

    assert isinstance(error, ProviderError)
    assert ("the provider reports an error: no nest", "failed") == (error.message, ending)
    assert error.partial.text.startswith("The")


ITEM = {"type": "mcp_call", "id": "i", "name": "f", "status": "failed", "message": "m", "arguments": "{}"}


@in_one_test(
    "format, payload",
    [
        ("text", {"status": "error", "message": "m"}),
        (custom(text="message"), {"status": "error", "message": "m"}),
        ("openai-chat", {"choices": [{"delta": {"content": "m"}}], "status": "error", "message": "m"}),
        ("openai-responses", {"type": "response.output_item.done", "output_index": 0, "item": ITEM}),
        ("langchain", {"type": "tool", "status": "error", "content": "m", "tool_call_id": "c"}),
        ("ui-message", {"type": "data-step", "data": {"status": "error", "message": "m"}}),
        ("ag-ui", {"type": "CUSTOM", "name": "step", "value": {"status": "error", "message": "m"}}),
    ],
)
def test_a_status_in_what_the_format_can_say_is_no_error(format: Any, payload: dict[str, Any]) -> None:
    decoder = Decoder(format)
    decoder.feed(frame("", payload))

    assert decoder.error is None


@each_format
@pytest.mark.parametrize(
    ("event", "payload"), INVENTED, ids=["kind", "name", "no error", "event", "code", "detail", "status"]
)
def test_an_invented_event_anywhere_changes_nothing(format: str, event: str, payload: dict[str, Any]) -> None:
    chunks = script(format)
    expected = read(format, chunks)
    for place in range(1, len(chunks) + 1):
        assert expected == read(format, [*chunks[:place], frame(event, payload), *chunks[place:]]), place


@each_format
def test_its_error_is_raised_where_the_answer_gets_no_further(format: Any) -> None:
    def broken() -> Any:
        yield from started
        raise ConnectionResetError("reset")

    started = [*script(format)[:4], frame(*INVENTED[0])]
    for source in (started, broken()):
        with pytest.raises(ProviderError, match="one at a time") as caught:
            Stream(source, format=format).final()

        assert ("rate_limited", True) == (caught.value.kind, caught.value.retryable)


@pytest.mark.parametrize("format", ["openai-chat", "anthropic", "openai-responses", "cohere", "ui-message"])
def test_its_error_is_raised_where_the_sentinel_follows_it(format: Any) -> None:
    """Without a finish reason, the sentinel says only that nothing more comes."""
    problem = {"type": "about:blank", "title": "one at a time", "status": 503}
    for event in (frame(*INVENTED[0]), frame("", problem)):
        started = [*script(format)[:4], event, b"data: [DONE]\n\n"]
        with pytest.raises(ProviderError, match="one at a time"):
            Stream(started, format=format).final()


@each_format
def test_it_is_forgotten_once_the_answer_has_gone_further(format: Any) -> None:
    """A cut that follows much later has another cause."""
    chunks = script(format)
    text = next(index for index, chunk in enumerate(chunks) if b"tern" in chunk)
    _, _, error = read(format, [*chunks[:text], frame(*INVENTED[0]), chunks[text]])

    assert error is not None
    assert not isinstance(error, ProviderError)


@each_format
@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("", {"error": REFUSED}),
        ("error", {"type": "nest", "error": REFUSED}),
        ("nest", {"error": REFUSED}),
        ("", {"error": "one at a time", "type": "server_error"}),
        ("", {"event": "error", "message": "one at a time", "code": "busy"}),
    ],
    ids=["only an error", "named error", "only an error, named otherwise", "class of errors", "event error"],
)
def test_everybodys_words_for_an_error_end_the_answer(
    format: str, event: str, payload: dict[str, Any]
) -> None:
    """Nothing that follows them makes up for it."""
    if format == "tokenstream":
        # Our own format has an error of its own, and nothing else is one.
        return
    chunks = script(format)
    _, ending, error = read(format, [*chunks[:4], frame(event, payload), *chunks[4:]])

    assert "failed" == ending
    assert isinstance(error, ProviderError)


def test_what_arrived_after_an_error_tells_the_tokens_of_the_answer() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.25}
    text = {"choices": [{"index": 0, "delta": {"content": " no"}}]}
    last = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": usage}
    behind = [frame("", {"error": REFUSED}), frame("", text), frame("", last), b"data: [DONE]\n\n"]
    chunks = [*script("openai-chat")[:3], *behind]
    for body in (chunks, [b"".join(chunks)], b"".join(chunks)):
        stream = Stream(body)
        with pytest.raises(ProviderError) as caught:
            stream.final()

        assert (3, "failed") == (caught.value.partial.usage.input_tokens, caught.value.partial.ending)
        assert " no" not in stream.message.text
        assert 0.25 == stream.message.usage.provider_data["cost"]


def test_no_departure_after_an_error_says_that_the_answer_is_complete() -> None:
    chunks = script("anthropic")
    stream = Stream([*chunks[:3], frame("error", {"type": "error", "error": REFUSED}), chunks[-1]])
    with pytest.raises(ProviderError):
        stream.final()

    assert [] == list(stream.departures.details)


@each_format
def test_a_decoder_reads_nothing_after_an_error(format: Any) -> None:
    chunks = script(format)
    error = {"type": "error", "error": REFUSED}
    body = [*chunks[:4], frame("error", error), *chunks[4:]]
    piecemeal, at_once = Decoder(format), Decoder(format)

    assert [event for chunk in body for event in piecemeal.feed(chunk)] == at_once.feed(b"".join(body))
    assert piecemeal.message == at_once.message


@pytest.mark.anyio
async def test_an_async_stream_reads_on_after_an_error_too() -> None:
    usage = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3}}
    stream = AsyncStream([*script("openai-chat")[:3], frame("", {"error": REFUSED}), frame("", usage)])
    with pytest.raises(ProviderError):
        await stream.final()

    assert 3 == stream.message.usage.input_tokens


def test_a_decoder_knows_the_rule_too() -> None:
    decoder = Decoder("anthropic")
    for chunk in [*script("anthropic")[:4], frame(*INVENTED[0])]:
        decoder.feed(chunk)
    decoder.end()
    with pytest.raises(ProviderError, match="one at a time"):
        decoder.check()
