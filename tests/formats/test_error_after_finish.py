"""An error that a provider sends behind the finish reason takes nothing from the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import httpx
import pytest

from tests.support.wire import chat, chat_call, sse
from tokenstream import Retry, Stream, connect, testing
from tokenstream.errors import ProviderError, StreamError

SCRIPT = testing.script().text("Sent.").tool_call("send", {"to": "Mia"}).usage(output_tokens=7).finish()
ERRORS: dict[str, list[bytes]] = {
    "openai-chat": [
        sse({"error": {"message": "no capacity", "code": 502}}),
        sse("no capacity", event="error"),
    ],
    "anthropic": [
        sse({"type": "error", "error": {"type": "api_error", "message": "no capacity"}}, event="error")
    ],
}
CASES = [(format, error) for format, errors in ERRORS.items() for error in errors]


def _read(stream: Stream) -> StreamError | None:
    try:
        for _ in stream:
            pass
    except StreamError as error:
        return error
    return None


@pytest.mark.parametrize(("format", "error"), CASES)
def test_an_error_never_has_a_complete_partial(format: Any, error: bytes) -> None:
    """Behind the finish reason it is counted, and the answer complete; before it, it is raised."""
    events = SCRIPT.chunks(format)
    seen = set()
    for cut in range(1, len(events)):
        stream = Stream([*events[:cut], error], format=format)
        failure = _read(stream)
        is_whole = stream.message.finish_reason is not None
        seen.add(is_whole)

        assert is_whole is (failure is None), cut
        assert ("complete" if is_whole else "failed") == stream.message.ending
        if is_whole and "data_after_end" not in stream.departures.details:
            assert 1 == stream.departures.details["error_after_finish"]
    assert {True, False} == seen


class APIError(Exception):
    """Stands for what an SDK raises in place of an error event."""

    body: ClassVar[Any] = {"error": {"message": "m", "type": "server_error"}}


@pytest.mark.parametrize(("format", "ending"), [("openai-chat", "complete"), ("gemini", "failed")])
def test_what_an_sdk_raises_after_the_finish_reason_is_an_error_of_the_provider(
    format: Any, ending: str
) -> None:
    def events() -> Iterator[bytes]:
        yield from [each for each in SCRIPT.chunks(format) if b"[DONE]" not in each]
        raise APIError

    stream = Stream(events(), format=format)
    failure = _read(stream)

    assert (ending, ending == "failed") == (stream.message.ending, isinstance(failure, ProviderError))
    assert ("error_after_finish" in stream.departures.details) is (failure is None)
    assert "broken_after_finish" not in stream.departures.details


@pytest.mark.parametrize("again", [False, True])
def test_a_whole_answer_is_not_asked_for_again(again: bool) -> None:
    """An error behind it is no reason to pay twice."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        body = b"".join([*SCRIPT.chunks("openai-chat")[:-2], ERRORS["openai-chat"][0]])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with connect("https://a.test/v1", json={}, client=client, retry=Retry(wait=0, again=again)) as stream:
        message = stream.final()

    assert ("Sent.", "complete", 1) == (message.text, message.ending, len(asked))


WAITING: dict[str, Callable[[], list[bytes]]] = {
    "a call waits for its arguments": lambda: [
        chat(chat_call(0, "", id="c1", name="send")),
        chat({}, "tool_calls"),
    ],
    "the reason is an error": lambda: [chat({"content": "Se"}), chat({}, "error")],
    "another choice goes on": lambda: [
        chat({"content": "A"}, index=0),
        chat({"content": "B"}, index=1),
        chat({}, "stop", index=0),
    ],
}


@pytest.mark.parametrize("case", WAITING)
def test_an_error_is_raised_while_anything_may_be_missing(case: str) -> None:
    stream = Stream([*WAITING[case](), ERRORS["openai-chat"][0]])
    failure = _read(stream)

    assert failure is not None
    assert "no capacity" in str(failure)
    assert not failure.tool_calls_delivered


def test_an_error_in_the_payload_of_the_finish_reason_is_raised() -> None:
    stream = Stream([chat({"content": "Se"}), chat({}, "stop", error={"message": "no capacity"})])

    assert _read(stream) is not None


@pytest.mark.parametrize("again", [False, True])
def test_an_error_in_a_chunk_after_the_finish_reason_is_raised(again: bool) -> None:
    """The answer itself says that it has failed; if no other attempt brings one, it is not complete."""
    failed = [chat({"content": "Se"}, "length"), chat({"content": ""}, error={"message": "limit reached"})]
    bodies = [b"".join(failed), b"", b""]

    def answer(_request: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=headers, content=bodies.pop(0))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    retry = Retry(attempts=3, wait=0, again=again, on=lambda _error: True)
    with connect("https://a.test/v1", json={}, client=client, retry=retry) as stream:
        failure = _read(stream)

    assert failure is not None
    assert failure.partial.ending in ("failed", "truncated")
    assert stream.message.ending in ("failed", "truncated")
