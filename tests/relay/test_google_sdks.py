"""Google's SDK reads from a script's bytes what the script says, in each of its APIs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.relay.heard import Heard, Law, body_of, few
from tests.sources.sockets import client_context, open_socket
from tests.support.packages import needed
from tests.support.scripts import scripts
from tokenstream import testing

if TYPE_CHECKING:
    from hypothesis import strategies as st
    from websockets.sync.server import ServerConnection

    from tokenstream.testing import Script

genai: Any = needed("google.genai")
httpx2: Any = needed("httpx2")

# The SDK inherits from a class of aiohttp's that warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

ENDS: dict[str, dict[str, str]] = {
    "gemini": {
        "stop": "STOP",
        "tool_calls": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
        "error": "MALFORMED_FUNCTION_CALL",
        "pause": "CONTINUATION",
        "unknown": "OTHER",
    },
    "gemini-live": {
        "stop": "generation_complete",
        "tool_calls": "generation_complete",
        "cancelled": "interrupted",
        "content_filter": "RESPONSE_REJECTED",
        "error": "MALFORMED_FUNCTION_CALL",
        "pause": "NEED_MORE_INPUT",
    },
    "gemini-interactions": {
        "stop": "completed",
        "tool_calls": "requires_action",
        "length": "incomplete",
        "pause": "requires_continuation",
        "cancelled": "cancelled",
    },
}
"""The SDK's words for our finish reasons, by format."""
ASKED: dict[str, Any] = {"model": "m", "contents": "Weather?"}
INTERACTED: dict[str, Any] = {"model": "m", "input": "Weather?", "stream": True}


def _add_call(heard: Heard, call: Any) -> None:
    """Add a tool call that came whole."""
    heard.calls.append((call.id, call.name, call.args or {}))


def _add_parts(heard: Heard, content: Any) -> None:
    """Add the parts of a content."""
    for part in (content.parts if content is not None else None) or ():
        if part.function_call is not None:
            _add_call(heard, part.function_call)
        elif part.thought:
            heard.reasoning += part.text or ""
        else:
            heard.text += part.text or ""


# -- over HTTP ------------------------------------------------------------------


@cache
def _client() -> tuple[Any, deque[bytes]]:
    """Return the SDK's client, which is slow to make, and the place for its next answer."""
    bodies: deque[bytes] = deque()

    def answer(request: Any) -> Any:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(
            200, headers=headers, stream=httpx2.ByteStream(bodies.popleft()), request=request
        )

    transport = httpx2.MockTransport(answer)
    options = genai.types.HttpOptions(
        base_url="http://sdk.test",
        httpx_client=httpx2.Client(transport=transport),
        httpx_async_client=httpx2.AsyncClient(transport=transport),
    )
    return genai.Client(api_key="k", http_options=options), bodies


def _answering(body: bytes) -> Any:
    client, bodies = _client()
    bodies.clear()
    bodies.append(body)
    return client


def _add_chunk(heard: Heard, chunk: Any) -> None:
    (candidate,) = chunk.candidates
    _add_candidate(heard, candidate)


def _add_candidate(heard: Heard, candidate: Any) -> None:
    _add_parts(heard, candidate.content)
    if candidate.finish_reason is not None:
        heard.end = candidate.finish_reason.value


def _content(body: bytes) -> Heard:
    heard = Heard()
    for chunk in _answering(body).models.generate_content_stream(**ASKED):
        _add_chunk(heard, chunk)
    return heard


class _Steps:
    """Adds up the events of an interaction."""

    def __init__(self) -> None:
        self.heard = Heard()
        self._arguments: dict[int, list[str]] = {}
        self._steps: dict[int, Any] = {}

    def add(self, event: Any) -> None:
        """Take the next event."""
        if event.event_type == "step.start":
            self._steps[event.index] = event.step
        elif event.event_type == "step.delta":
            self._delta(event)
        elif event.event_type == "step.stop":
            step = self._steps.pop(event.index)
            if step.type == "function_call":
                self.heard.call(step.id, step.name, "".join(self._arguments.pop(event.index, ())))
        elif event.event_type == "interaction.completed":
            assert not self._steps
            self.heard.end = event.interaction.status

    def _delta(self, event: Any) -> None:
        delta = event.delta
        if delta.type == "text":
            self.heard.text += delta.text
        elif delta.type == "thought_summary":
            self.heard.reasoning += delta.content.text
        elif delta.type == "arguments_delta":
            self._arguments.setdefault(event.index, []).append(delta.arguments)


def _interaction(body: bytes) -> Heard:
    steps = _Steps()
    with _answering(body).interactions.create(**INTERACTED) as stream:
        for event in stream:
            steps.add(event)
    return steps.heard


READERS: dict[str, tuple[str, Callable[[bytes], Heard]]] = {
    "generate_content_stream": ("gemini", _content),
    "interactions": ("gemini-interactions", _interaction),
}


LAW: Law[bytes] = Law(ENDS, ("reasoning",), played=body_of, readers=READERS)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@few
def test_the_sdk_reads_what_a_script_says(reader: str, data: st.DataObject) -> None:
    """Text, reasoning, tool calls with their ids and arguments, and the finish reason."""
    said, heard = LAW.drawn(reader, data)
    assert said == heard


def test_the_sdk_reads_token_counts_sources_and_images() -> None:
    """They stand where its models of the answer have them."""
    script = (
        testing.script(id="r1", model="gemini-x")
        .media(b"\x89PNG", "image/png")
        .citation(url="https://tides.example", title="Tides")
        .usage(input_tokens=9, output_tokens=7, reasoning_tokens=5, cached_tokens=2)
        .finish()
    )
    body = body_of(script, "gemini")
    shown, last = _answering(body).models.generate_content_stream(**ASKED)
    blob = shown.candidates[0].content.parts[0].inline_data
    (source,) = last.candidates[0].grounding_metadata.grounding_chunks
    counts = last.usage_metadata
    assert ("image/png", b"\x89PNG") == (blob.mime_type, blob.data)
    assert ("https://tides.example", "Tides") == (source.web.uri, source.web.title)
    assert (9, 2, 5, 2, 16) == (
        counts.prompt_token_count,
        counts.candidates_token_count,
        counts.thoughts_token_count,
        counts.cached_content_token_count,
        counts.total_token_count,
    )
    assert ("r1", "gemini-x") == (last.response_id, last.model_version)


def test_the_sdk_raises_the_error_of_a_script() -> None:
    """What came before it is given first; the status is Google's for that kind."""
    script = testing.script().text("Hel").error("Slow down", kind="rate_limited")
    heard = Heard()
    body = body_of(script, "gemini")
    with pytest.raises(genai.errors.ClientError, match="Slow down") as caught:
        for chunk in _answering(body).models.generate_content_stream(**ASKED):
            _add_chunk(heard, chunk)
    assert ("Hel", 429, "RESOURCE_EXHAUSTED") == (heard.text, caught.value.code, caught.value.status)


# -- over a WebSocket -------------------------------------------------------------


@pytest.fixture(scope="module")
def session() -> Generator[tuple[Any, deque[Script]]]:
    """Give the SDK's client of a server that plays one script on each connection, and the scripts' place."""
    played: deque[Script] = deque()

    def play(connection: ServerConnection) -> None:
        connection.recv()
        for chunk in played.popleft().chunks("gemini-live"):
            connection.send(chunk.decode().removesuffix("\n"))
        connection.recv()

    with open_socket(play, tls=True) as url:
        options = {"base_url": url.replace("wss", "https"), "async_client_args": {"ssl": client_context()}}
        yield genai.Client(api_key="k", http_options=options), played


async def _turn(client: Any) -> Heard:
    """Read one turn of a session."""
    heard = Heard()
    async with client.aio.live.connect(model="m") as session:
        assert session.setup_complete is not None
        async for message in session.receive():
            for call in (message.tool_call.function_calls if message.tool_call is not None else None) or ():
                _add_call(heard, call)
            content = message.server_content
            if content is None:
                continue
            _add_parts(heard, content.model_turn)
            for word in ("generation_complete", "interrupted"):
                heard.end = word if getattr(content, word) else heard.end
            if content.turn_complete_reason is not None:
                heard.end = content.turn_complete_reason.value
    return heard


@pytest.mark.slow
@few
def test_a_live_session_of_the_sdk_reads_what_a_script_says(
    session: tuple[Any, deque[Script]], data: st.DataObject
) -> None:
    """Each chunk is one message of the socket, and the turn ends with the last."""
    client, played = session
    script = data.draw(scripts("gemini-live"))
    played.append(script)
    assert LAW.said(script, "gemini-live") == anyio.run(_turn, client)
