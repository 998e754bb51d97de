"""An answer that its provider writes in the background: it is polled, resumed, and cancelled by a stop."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.formats.gemini_interactions.support import WHOLE as INTERACTION
from tests.recovery.attempts import in_each_world
from tests.recovery.test_background import FINISHED, TEXT, TOO_OLD, WHOLE
from tests.support.either import Each, client_in, connect_in, inside, run_in
from tests.support.responses import streamed
from tests.support.resuming import stored
from tokenstream import Retry, connect
from tokenstream.errors import StreamError

RESPONSES = "https://api.openai.com/v1/responses"
INTERACTIONS = "https://generativelanguage.googleapis.com/v1beta/interactions"
ASKED: dict[str, Any] = {"model": "m", "input": "Tell me of a king.", "background": True}
QUEUED = {**FINISHED, "status": "queued", "output": [], "usage": None}
USAGE = {"input_tokens": 9, "output_tokens": 20, "total_tokens": 29}
DONE = {**FINISHED, "usage": USAGE}
POLL = Retry(wait=0, pauses=1)
UNFINISHED = {
    "id": "i1",
    "object": "interaction",
    "status": "in_progress",
    "model": "gemini-x",
    "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hel"}]}],
}


class Server:
    """Gives one reply after the other, and keeps what it was asked; the last reply is given for ever."""

    def __init__(self, *replies: Any) -> None:
        self.asked: list[str] = []
        self._replies = list(replies)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rpartition("/v1")[2].partition("/")[2]
        self.asked.append(f"{request.method} {path}")
        if path.endswith("/cancel"):
            return httpx.Response(200, json={"status": "cancelled"})
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, list):
            return streamed(reply)
        return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)

    def read(
        self, world: str, retry: Retry, url: str = RESPONSES, stop: str | None = None, **asked: Any
    ) -> Any:
        """Read the answer in one of the worlds, up to some text if it is to be stopped; return the stream.

        Args:
            stop: What ends the stream at its first text: "stop", "guard", "close"; None for nothing.
        """

        async def read() -> Any:
            made = connect_in(world)(url, client=client_in(world, self), json={**ASKED, **asked}, retry=retry)
            async with inside(made) as stream:
                if stop == "guard":
                    stream.guard(lambda _: "off topic", first_tokens=1)
                async for _ in Each(stream.text):
                    if stop == "close":
                        break
                    if stop == "stop":
                        stream.stop("enough")
            return stream

        return run_in(world, read)


@in_each_world
@pytest.mark.parametrize("polls", [0, 1, 5])
def test_a_response_is_polled_until_it_has_finished(polls: int, world: str) -> None:
    busy = {**QUEUED, "status": "in_progress"}
    server = Server(QUEUED, *[{**busy, "metadata": {"poll": str(poll)}} for poll in range(polls)], DONE)
    stream = server.read(world, POLL)

    assert (TEXT, "complete") == (stream.message.text, stream.message.ending)
    assert 20 == stream.message.usage.output_tokens
    assert ["POST responses", *["GET responses/resp_1"] * (polls + 1)] == server.asked
    assert ["attempt", *["poll"] * (polls + 1)] == [report.kind for report in stream.attempts]
    assert [None] * (polls + 2) == [report.error for report in stream.attempts]
    assert () == stream.pauses


@in_each_world
def test_an_interaction_is_polled_alike(world: str) -> None:
    server = Server(UNFINISHED, UNFINISHED, {**UNFINISHED, "updated": "later"}, {**INTERACTION, "id": "i1"})
    stream = server.read(world, POLL, INTERACTIONS)

    assert ("Hello", "complete") == (stream.message.text, stream.message.ending)
    assert ["POST interactions", *["GET interactions/i1"] * 3] == server.asked


def test_a_stream_that_is_too_old_to_be_resumed_is_polled() -> None:
    cut = next(place for place, chunk in enumerate(WHOLE) if b"upon" in chunk)
    unfinished = {**FINISHED, "status": "in_progress", "output": []}
    server = Server(WHOLE[:cut], httpx.Response(400, json=TOO_OLD), unfinished, unfinished, DONE)
    stream = server.read("sync", Retry(wait=0, pauses=1, attempts=2), stream=True)

    assert (TEXT, "complete") == (stream.message.text, stream.message.ending)
    assert ["POST responses", *["GET responses/resp_1"] * 4] == server.asked
    assert ["call_1"] == [call.id for call in stream.message.tool_calls]


@in_each_world
@pytest.mark.parametrize("how", ["stop", "guard", "close"])
def test_a_stop_cancels_the_response(how: str, world: str) -> None:
    """Else it is written to its end, and paid for; after a close, another process may go on with it."""
    server = Server(WHOLE[:8])
    stream = server.read(world, POLL, stop=how, stream=True)

    assert "stopped" == stream.message.ending
    assert ["POST responses", *["POST responses/resp_1/cancel"] * (how != "close")] == server.asked


@pytest.mark.parametrize("retry", [Retry(wait=0), POLL])
def test_a_response_that_does_not_run_in_the_background_is_not_cancelled(retry: Retry) -> None:
    """OpenAI cancels it itself when the connection closes; and without `pauses`, nothing is cancelled."""
    foreground = [chunk.replace(b'"background":true', b'"background":false') for chunk in WHOLE[:8]]
    server = Server(foreground if retry is POLL else WHOLE[:8])
    server.read("sync", retry, stop="stop", stream=True)
    assert ["POST responses"] == server.asked


def test_a_cancellation_that_fails_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The stream has ended in any case."""
    caplog.set_level("INFO", "tokenstream")

    def refuses(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/cancel"):
            return httpx.Response(500, json={"error": {"message": "no"}})
        return streamed(WHOLE[:8])

    client = httpx.Client(transport=httpx.MockTransport(refuses))
    with connect(RESPONSES, json={**ASKED, "stream": True}, client=client, retry=POLL) as stream:
        for _ in stream.text:
            stream.stop()
    assert "asked to cancel it: status 500" in caplog.text


def test_the_checkpoint_finds_the_response_again() -> None:
    server = Server(QUEUED, httpx.Response(500))
    with pytest.raises(StreamError) as caught:
        server.read("sync", Retry(wait=0, pauses=1, attempts=1))
    kept = stored(caught.value.checkpoint)
    assert "resp_1" == kept.message.id

    later = Server(QUEUED, DONE)
    client = httpx.Client(transport=httpx.MockTransport(later))
    with connect(f"{RESPONSES}/{kept.message.id}", method="GET", client=client, retry=POLL) as stream:
        assert TEXT == stream.final().text
    assert ["GET responses/resp_1"] * 2 == later.asked


@pytest.mark.parametrize(
    ("url", "unfinished", "cancelled"),
    [(RESPONSES, QUEUED, "responses/resp_1/cancel"), (INTERACTIONS, UNFINISHED, "interactions/i1/cancel")],
    ids=["openai", "gemini"],
)
@in_each_world
def test_a_stop_between_two_polls_cancels_the_answer(
    world: str, url: str, unfinished: Any, cancelled: str
) -> None:
    server = Server(unfinished)
    streams: list[Any] = []

    def wait(_: Any) -> float:
        streams[0].stop("enough")
        return 0.0

    async def read() -> None:
        client, retry = client_in(world, server), Retry(wait=wait, pauses=1)
        async with inside(connect_in(world)(url, json=ASKED, client=client, retry=retry)) as stream:
            streams.append(stream)
            assert [] == [piece async for piece in Each(stream.text)]

    run_in(world, read)
    assert "stopped" == streams[0].message.ending
    assert [f"POST {cancelled}"] == server.asked[1:]
