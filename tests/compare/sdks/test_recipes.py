"""Two lines put a provider's own SDK in front of what is played; docs/guides/testing/details.md shows them.

The page itself runs the sync clients of anthropic and google-genai.

Each function that begins with `ask` stands for the code under test: all that it knows
is the SDK's client.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any

import httpx
import pytest

from tests.support.packages import needed
from tokenstream import testing
from tokenstream.testing import faults

# Importing an SDK takes seconds on a busy machine.
pytestmark = [
    pytest.mark.anyio,
    # The openai SDK opens its WebSocket outside a block.
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
]
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])

HELLO = testing.script().text("Hel", "lo").finish("stop")
CALL = testing.script().text("Hello").tool_call("get_weather", {"city": "Oslo"}).finish("tool_calls")
MESSAGES: Any = [{"role": "user", "content": "Hi"}]
TURNS: Any = [{"role": "user", "content": [{"text": "Hi"}]}]


def _joined(pieces: Iterable[str | None]) -> str:
    return "".join(piece or "" for piece in pieces)


async def _ajoined(pieces: AsyncIterable[str | None]) -> str:
    return _joined([piece async for piece in pieces])


# -- openai --------------------------------------------------------------------


def ask_openai(client: Any) -> str:
    chunks = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    return _joined(chunk.choices[0].delta.content for chunk in chunks)


async def aask_openai(client: Any) -> str:
    chunks = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    return await _ajoined(chunk.choices[0].delta.content async for chunk in chunks)


def ask_responses(client: Any) -> str:
    with client.responses.stream(model="m", input="Hi") as stream:
        return str(stream.get_final_response().output_text)


async def aask_responses(client: Any) -> str:
    async with client.responses.stream(model="m", input="Hi") as stream:
        return str((await stream.get_final_response()).output_text)


def test_openai() -> None:
    openai = needed("openai")
    http = openai.DefaultHttpxClient(transport=testing.transport(HELLO))
    client = openai.OpenAI(api_key="made-up", http_client=http, max_retries=0)

    assert "Hello" == ask_openai(client) == ask_responses(client)


@on_asyncio
async def test_openai_async() -> None:
    openai = needed("openai")
    http = openai.DefaultAsyncHttpxClient(transport=testing.transport(HELLO))
    client = openai.AsyncOpenAI(api_key="made-up", http_client=http, max_retries=0)

    assert "Hello" == await aask_openai(client) == await aask_responses(client)


@pytest.mark.parametrize(
    ("fault", "own", "of_its_client"),
    [
        pytest.param(faults.error_event(), "APIError", None, id="an error in the answer"),
        pytest.param(faults.status(429), "RateLimitError", None, id="a refusal"),
        pytest.param(faults.close(at=0.5), "APIConnectionError", "RemoteProtocolError", id="a break"),
        pytest.param(faults.stall(), "APITimeoutError", "ReadTimeout", id="a stall, which takes no time"),
    ],
)
def test_a_fault_is_an_error_of_openai_or_of_its_client(
    fault: faults.Fault, own: str, of_its_client: str | None
) -> None:
    """It is met as in earnest, without waiting for ten minutes; of two errors, the SDK's version decides."""
    openai, httpx2 = needed("openai"), needed("httpx2")
    http = openai.DefaultHttpxClient(transport=testing.transport(HELLO, fault=fault))
    client = openai.OpenAI(api_key="made-up", http_client=http, max_retries=0)
    others = [] if of_its_client is None else [getattr(httpx2, of_its_client)]

    with pytest.raises((getattr(openai, own), *others)):
        ask_openai(client)


@pytest.mark.slow
def test_openai_tries_again() -> None:
    """A sequence plays a bad answer and then a good one, so that retries are seen."""
    openai = needed("openai")
    busy = HELLO.recording("openai-chat").with_fault(faults.status(503, retry_after=0))
    played = testing.transport([busy, HELLO])
    client = openai.OpenAI(api_key="made-up", http_client=openai.DefaultHttpxClient(transport=played))

    assert "Hello" == ask_openai(client)
    assert 2 == len(played.requests)


# -- anthropic -------------------------------------------------------------------


def ask_anthropic(client: Any) -> str:
    with client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:
        return _joined(stream.text_stream)


async def aask_anthropic(client: Any) -> str:
    async with client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:
        return await _ajoined(stream.text_stream)


async def test_anthropic_async() -> None:
    anthropic = needed("anthropic")
    http = anthropic.DefaultAsyncHttpxClient(transport=testing.transport(HELLO))
    client = anthropic.AsyncAnthropic(api_key="made-up", http_client=http, max_retries=0)

    assert "Hello" == await aask_anthropic(client)


def test_a_reset_is_what_anthropics_client_lets_through() -> None:
    """The client of anthropic does not wrap what httpx2 raises in the middle of a body."""
    anthropic, httpx2 = needed("anthropic"), needed("httpx2")
    http = anthropic.DefaultHttpxClient(transport=testing.transport(HELLO, fault=faults.reset(at=0.5)))
    client = anthropic.Anthropic(api_key="made-up", http_client=http, max_retries=0)
    with pytest.raises((httpx2.ReadError, anthropic.APIConnectionError)):
        ask_anthropic(client)


# -- google-genai ------------------------------------------------------------------


def ask_gemini(client: Any) -> str:
    chunks = client.models.generate_content_stream(model="m", contents="Hi")
    return _joined(chunk.text for chunk in chunks)


async def aask_gemini(client: Any) -> str:
    chunks = await client.aio.models.generate_content_stream(model="m", contents="Hi")
    return await _ajoined(chunk.text async for chunk in chunks)


async def aask_live(client: Any) -> str:
    async with client.aio.live.connect(model="m", config={"response_modalities": ["TEXT"]}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "Hi"}]})
        return await _ajoined(message.text async for message in session.receive())


async def test_gemini_async() -> None:
    genai = needed("google.genai")
    options = {"async_client_args": {"transport": testing.transport(HELLO)}}
    client = genai.Client(api_key="made-up", http_options=options)

    assert "Hello" == await aask_gemini(client)


def test_gemini_at_an_address() -> None:
    genai = needed("google.genai")
    with (
        testing.serve(HELLO) as server,
        genai.Client(api_key="made-up", http_options={"base_url": server.url}) as client,
    ):
        assert "Hello" == ask_gemini(client)


@on_asyncio
async def test_gemini_live() -> None:
    """The SDK of Google opens a WebSocket over TLS alone."""
    genai = needed("google.genai")
    async with testing.serve(HELLO, tls=True) as server:
        options = {"base_url": server.url, "async_client_args": {"ssl": server.client_context}}
        client = genai.Client(api_key="made-up", http_options=options)
        assert "Hello" == await aask_live(client)


def test_a_cut_of_gemini_is_httpxs_error() -> None:
    """google-genai lets through what its HTTP client raises."""
    genai, httpx2 = needed("google.genai"), needed("httpx2")
    options = {"client_args": {"transport": testing.transport(HELLO, fault=faults.close(at=0.5))}}
    client = genai.Client(api_key="made-up", http_options=options)
    with pytest.raises((httpx.RemoteProtocolError, httpx2.RemoteProtocolError)):
        ask_gemini(client)


# -- others --------------------------------------------------------------------------


def ask_mistral(client: Any) -> tuple[str, list[tuple[str, str]]]:
    with client.chat.stream(model="m", messages=MESSAGES) as events:
        deltas = [event.data.choices[0].delta for event in events]
    functions = [call.function for delta in deltas for call in delta.tool_calls or ()]
    return _joined(delta.content for delta in deltas), [(each.name, each.arguments) for each in functions]


def ask_cohere(client: Any) -> str:
    events = client.chat_stream(model="m", messages=MESSAGES)
    return _joined(event.delta.message.content.text for event in events if event.type == "content-delta")


def ask_ollama(client: Any) -> str:
    return _joined(chunk.message.content for chunk in client.chat(model="m", messages=MESSAGES, stream=True))


def ask_hugging_face(client: Any) -> str:
    chunks = client.chat_completion(MESSAGES, stream=True)
    return _joined(chunk.choices[0].delta.content for chunk in chunks)


def ask_bedrock(client: Any) -> str:
    events = client.converse_stream(modelId="m", messages=TURNS)["stream"]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return _joined(delta["text"] for delta in deltas)


def test_mistral() -> None:
    """Mistral's path is that of openai-chat, but its SDK wants calls whole, so the format is named."""
    mistralai, httpx2 = needed("mistralai.client"), needed("httpx2")
    with httpx2.Client(transport=testing.transport(CALL, format="mistral")) as http:
        client = mistralai.Mistral(api_key="made-up", client=http)

        assert ("Hello", [("get_weather", '{"city": "Oslo"}')]) == ask_mistral(client)


def test_cohere() -> None:
    """Cohere's SDK runs on httpx."""
    cohere = needed("cohere")
    http = httpx.Client(transport=testing.transport(HELLO))
    client = cohere.ClientV2(api_key="made-up", httpx_client=http, max_retries=0)

    assert "Hello" == ask_cohere(client)


def test_ollama() -> None:
    ollama = needed("ollama")
    client = ollama.Client(transport=testing.transport(HELLO))

    assert "Hello" == ask_ollama(client)


def test_hugging_face() -> None:
    huggingface_hub = needed("huggingface_hub")
    with (
        testing.serve(HELLO) as server,
        huggingface_hub.InferenceClient(base_url=server.url, api_key="made-up") as client,
    ):
        assert "Hello" == ask_hugging_face(client)


def test_bedrock() -> None:
    """An SDK with an HTTP of its own needs the server."""
    boto3 = needed("boto3")
    keys = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up"}
    with testing.serve(HELLO) as server:
        client = boto3.client("bedrock-runtime", endpoint_url=server.url, region_name="us-east-1", **keys)
        assert "Hello" == ask_bedrock(client)
        client.close()
