"""A response that runs in the background: it is fetched before anything is paid for again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.support.responses import streamed
from tokenstream import Retry, aconnect, connect, testing
from tokenstream.errors import PositionLost, StreamError, StreamTruncated
from tokenstream.message import Message

URL = "https://api.openai.com/v1/responses"
PAYLOAD = {"model": "m", "input": "Tell me of a king.", "stream": True, "background": True}
TEXT = "Once upon a time there was a king."
SCRIPT = (
    testing.script()
    .text("Once ", "upon ", "a time ", "there was ", "a king.")
    .tool_call("look", {"at": "the king"}, id="call_1")
    .finish("tool_calls")
)
WHOLE = [
    chunk.replace(b'"background":false', b'"background":true') for chunk in SCRIPT.chunks("openai-responses")
]
FINISHED: dict[str, Any] = json.loads(WHOLE[-1].partition(b"data: ")[2])["response"]
TOO_OLD = {
    "error": {"message": "This response can no longer be streamed because it is more than 5 minutes old."}
}
FIRST = next(place for place, chunk in enumerate(WHOLE) if b"upon" in chunk)


class Server:
    """Breaks off its answer, and then answers requests for it.

    Args:
        cut: Number of events before the break.
        stored: The response under the answer's address.
        is_streamable: True if the same JSON is also sent instead of a stream.
    """

    def __init__(self, cut: int, stored: dict[str, Any] | None, *, is_streamable: bool = False) -> None:
        self.asked: list[str] = []
        self.cancel_status = 200
        self._cut, self._stored, self._is_streamable = cut, stored, is_streamable

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = "?stream" if "stream" in request.url.params else ""
        self.asked.append(f"{request.method} {request.url.path.removeprefix('/v1/responses')}{query}")
        if request.url.path.endswith("/cancel"):
            assert b"" == request.content
            return httpx.Response(self.cancel_status, json={"status": "cancelled"})
        if request.method == "POST":
            return streamed(WHOLE[: self._cut])
        if query and not self._is_streamable:
            return httpx.Response(400, json=TOO_OLD)
        return httpx.Response(404) if self._stored is None else httpx.Response(200, json=self._stored)

    def ask(self, retry: Retry, *, is_async: bool = False) -> tuple[Message, StreamError | None]:
        transport = httpx.MockTransport(self)
        options: dict[str, Any] = {"json": PAYLOAD, "retry": retry}
        try:
            if is_async:
                client = httpx.AsyncClient(transport=transport)
                return asyncio.run(aconnect(URL, client=client, **options).final()), None
            return connect(URL, client=httpx.Client(transport=transport), **options).final(), None
        except StreamError as error:
            return error.partial, error


@pytest.mark.slow
@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
@pytest.mark.parametrize("is_streamable", [True, False], ids=["instead of the stream", "too old"])
def test_the_rest_is_taken_from_the_finished_response(is_streamable: bool, is_async: bool) -> None:
    """Some gateways send it instead of the stream; from others it is fetched, and nothing is paid again."""
    expected = connect_whole()
    for cut in range(1, len(WHOLE) - 1):
        server = Server(cut, FINISHED, is_streamable=is_streamable)
        message, error = server.ask(Retry(wait=0, attempts=2), is_async=is_async)

        assert error is None
        assert (TEXT, "complete") == (message.text, message.ending)
        assert expected.parts == message.parts
        assert ["POST ", "GET /resp_1?stream", "GET /resp_1"][: 2 if is_streamable else 3] == server.asked


def connect_whole() -> Message:
    """Return the answer that did not break off."""
    return connect(
        URL, json=PAYLOAD, client=httpx.Client(transport=httpx.MockTransport(Server(len(WHOLE), None)))
    ).final()


@pytest.mark.parametrize(
    "stored",
    [None, {**FINISHED, "id": "resp_9"}, {**FINISHED, "status": "in_progress", "output": []}],
    ids=["gone", "another one", "not finished"],
)
def test_a_response_that_is_of_no_use_is_not_joined(stored: dict[str, Any] | None) -> None:
    server = Server(FIRST + 1, stored)
    client = httpx.Client(transport=httpx.MockTransport(server))
    stream = connect(URL, json=PAYLOAD, client=client, retry=Retry(wait=0, attempts=5))
    with pytest.raises((PositionLost, StreamTruncated)):
        list(stream.text)

    assert ("Once upon ", False) == (stream.message.text, stream.message.complete)
    assert ["POST ", "GET /resp_1?stream", "GET /resp_1"] == server.asked


@pytest.mark.parametrize("is_async", [False, True], ids=["connect", "aconnect"])
@pytest.mark.parametrize("cancel_status", [200, 500])
def test_a_response_that_is_given_up_is_cancelled_before_another_is_paid_for(
    cancel_status: int, is_async: bool
) -> None:
    """A response that is given up would be written to its end, and paid for."""
    unfinished = {**FINISHED, "status": "in_progress", "output": []}
    server = Server(2, unfinished)
    server.cancel_status = cancel_status
    server.ask(Retry(wait=0, attempts=3), is_async=is_async)

    given_up = ["POST ", "GET /resp_1?stream", "GET /resp_1", "POST /resp_1/cancel"]
    assert [*given_up, "POST "] == server.asked[:5]


def test_a_response_that_is_gone_or_has_failed_is_not_cancelled() -> None:
    server = Server(2, None)
    server.ask(Retry(wait=0, attempts=3))

    assert not [each for each in server.asked if "cancel" in each]
