"""Google's SDK reads from a script's bytes what the script says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.compare.sdks.relay.heard import Heard, Law, body_of, few
from tests.support.packages import needed
from tokenstream import testing

if TYPE_CHECKING:
    from hypothesis import strategies as st


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
    }
}
"""The SDK's words for our finish reasons, by format."""
ASKED: dict[str, Any] = {"model": "m", "contents": "Weather?"}


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


READERS: dict[str, tuple[str, Callable[[bytes], Heard]]] = {"generate_content_stream": ("gemini", _content)}


LAW: Law[bytes] = Law(ENDS, ("reasoning",), played=body_of, readers=READERS)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@few
def test_the_sdk_reads_what_a_script_says(reader: str, data: st.DataObject) -> None:
    """Text, reasoning, tool calls with their ids and arguments, and the finish reason."""
    said, heard = LAW.drawn(reader, data)
    assert said == heard


def test_the_sdk_reads_token_counts_sources_and_images() -> None:
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
