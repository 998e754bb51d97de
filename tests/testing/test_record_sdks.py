"""`record` around real SDKs: their streams, and the HTTP clients that they are given."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from tests.sources.ways import ASYNC_WAYS, WAYS, AsyncWay, Way
from tests.support.loopback import Loopback, chunked, chunked_head, http_chunk, sized
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, record

pytestmark = [
    # Importing an SDK takes seconds on a busy machine.
    # google-genai inherits from a class of aiohttp's that warns of it.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

SCRIPT = testing.script().text("Hello").finish("stop")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.rec"


def is_recorded(path: Path, chunks: list[bytes]) -> None:
    """Assert that a recording has a body, and replays as the answer."""
    found = Recording.load(path)

    assert b"".join(chunks) == found.body
    assert "Hello" == found.stream().final().text


# -- streams ---------------------------------------------------------------


def readable(ways: list[Any], hidden: bool = False) -> list[Any]:
    """Return the sources whose bytes can be recorded, or the others."""
    return [pytest.param(way, id=way.name, marks=[]) for way in ways if way.name.endswith("hidden") is hidden]


def read_own(source: Any) -> None:
    """Read something as its library is used."""
    if hasattr(source, "__enter__"):
        with source as entered:
            if entered is not source:
                read_own(entered)
                return
            read_items(entered)
    else:
        read_items(source)


_METHODS = ("iter_raw", "iter_content", "iter_sse", "stream", "iter_bytes")


def read_items(source: Any) -> None:
    parsed = source.parse() if hasattr(source, "parse") and not hasattr(source, "iter_raw") else source
    if hasattr(parsed, "iter_raw") or not hasattr(parsed, "__next__"):
        name = next((name for name in _METHODS if hasattr(parsed, name)), "__iter__")
        parsed = getattr(parsed, name)()
    for _ in parsed:
        pass


@pytest.mark.parametrize("way", readable(WAYS))
def test_a_stream_is_recorded_while_its_library_reads_it(path: Path, way: Way) -> None:
    """Of libraries that carry bytes and of SDKs, with the bytes beneath."""
    for module in way.needs:
        needed(module)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        read_own(record(ask(), path))

    is_recorded(path, way.body)


@pytest.mark.parametrize("way", readable(WAYS))
@pytest.mark.parametrize("within", [False, True])
def test_a_stream_is_recorded_while_ours_reads_it(path: Path, way: Way, within: bool) -> None:
    """Either the source is recorded, or the Stream around it."""
    for module in way.needs:
        needed(module)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        stream = Stream(record(ask(), path)) if within else record(Stream(ask()), path)
        assert "Hello" == stream.final().text

    is_recorded(path, way.body)


@pytest.mark.few_rows(4)
@pytest.mark.anyio
@pytest.mark.parametrize("way", readable(ASYNC_WAYS))
@pytest.mark.parametrize("within", [False, True])
async def test_an_async_stream_is_recorded_while_ours_reads_it(
    path: Path, way: AsyncWay, within: bool, anyio_backend: str
) -> None:
    """The same for what an AsyncStream takes, awaited or not."""
    for module in way.needs:
        needed(module)
    if anyio_backend not in way.backends:
        return
    with Loopback(chunked(way.body)) as server:
        async with way.open(server.url) as ask:
            asked = await ask()
            source = AsyncStream(record(asked, path)) if within else record(AsyncStream(asked), path)
            async with source as stream:
                assert "Hello" == (await stream.final()).text

    is_recorded(path, way.body)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
@pytest.mark.parametrize("helper", [False, True])
async def test_an_async_sdks_own_stream_is_recorded(path: Path, sdk: str, helper: bool) -> None:
    """An awaitable gives the SDK's own stream, a context manager the SDK's own helper."""
    needed(sdk)
    way = next(way for way in ASYNC_WAYS if way.name == (f"{sdk}-helper" if helper else sdk))
    with Loopback(chunked(way.body)) as server:
        async with way.open(server.url) as ask:
            if helper:
                async with record(await ask(), path) as stream:
                    assert [] != [event async for event in stream]
            else:
                stream = await record(await ask(), path)
                assert [] != [event async for event in stream]

    assert type(stream).__module__.startswith(sdk)
    is_recorded(path, way.body)


@pytest.mark.parametrize("way", readable(WAYS, hidden=True))
def test_where_the_bytes_are_hidden_the_error_says_what_to_record(path: Path, way: Way) -> None:
    """A generator of an SDK's objects, as wrappers for observability are."""
    for module in way.needs:
        needed(module)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        items = record(ask(), path)
        with pytest.raises(MisuseError, match=r"record the HTTP client to pass to the SDK"):
            list(items)
        items.close()

    assert not path.exists()


# -- the clients that SDKs are given ---------------------------------------

ASKED: Any = [{"role": "user", "content": "Why?"}]


def by_openai(client: Any, url: str) -> str:
    sdk = needed("openai").OpenAI(base_url=url, api_key="k", max_retries=0, http_client=client)
    with sdk, sdk.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def by_openai_responses(client: Any, url: str) -> str:
    sdk = needed("openai").OpenAI(base_url=url, api_key="k", max_retries=0, http_client=client)
    with sdk, sdk.responses.create(model="m", input="Why?", stream=True) as stream:
        return "".join(event.delta for event in stream if event.type == "response.output_text.delta")


def by_anthropic(client: Any, url: str) -> str:
    sdk = needed("anthropic").Anthropic(base_url=url, api_key="k", max_retries=0, http_client=client)
    with sdk, sdk.messages.stream(model="m", messages=ASKED, max_tokens=9) as stream:
        return "".join(stream.text_stream)


def by_google_genai(client: Any, url: str) -> str:
    sdk = needed("google.genai").Client(
        api_key="k", http_options={"base_url": url, "httpx_client": client, "retry_options": {"attempts": 1}}
    )
    with sdk:
        return "".join(
            chunk.text or "" for chunk in sdk.models.generate_content_stream(model="m", contents="Why?")
        )


def by_mistralai(client: Any, url: str) -> str:
    sdk = needed("mistralai.client").Mistral(api_key="k", server_url=url, client=client)
    with sdk, sdk.chat.stream(model="m", messages=ASKED) as stream:
        return "".join(event.data.choices[0].delta.content or "" for event in stream)


def by_cohere(client: Any, url: str) -> str:
    with needed("cohere").ClientV2(base_url=url, api_key="k", max_retries=0, httpx_client=client) as sdk:
        events = sdk.chat_stream(model="m", messages=ASKED)
        return "".join(event.delta.message.content.text for event in events if event.type == "content-delta")


def by_ollama(client: Any, url: str) -> str:
    # It makes its own client, which can be recorded where it stands.
    with needed("ollama").Client(host=url) as sdk:
        sdk._client.event_hooks = client.event_hooks  # noqa: SLF001 - it has no other name
        return "".join(part["message"]["content"] for part in sdk.chat("m", ASKED, stream=True))


@contextmanager
def session_of_hugging_face(client: Any) -> Generator[None]:
    hub = needed("huggingface_hub")
    hub.set_client_factory(lambda: client)
    try:
        yield
    finally:
        hub.close_session()
        hub.set_client_factory(importlib.import_module("huggingface_hub.utils._http").default_client_factory)


def by_huggingface_hub(client: Any, url: str) -> str:
    hub = needed("huggingface_hub")
    with session_of_hugging_face(client), hub.InferenceClient(base_url=f"{url}/v1", api_key="k") as sdk:
        chunks = sdk.chat_completion(ASKED, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


SDKS: list[Any] = [
    pytest.param(by_openai, httpx2.Client, "openai-chat", id="openai"),
    pytest.param(by_openai_responses, httpx2.Client, "openai-responses", id="openai-responses"),
    pytest.param(by_anthropic, httpx2.Client, "anthropic", id="anthropic"),
    pytest.param(by_google_genai, httpx2.Client, "gemini", id="google-genai"),
    pytest.param(by_mistralai, httpx2.Client, "openai-chat", id="mistralai"),
    pytest.param(by_cohere, httpx.Client, "cohere", id="cohere"),
    pytest.param(by_ollama, httpx.Client, "ollama", id="ollama"),
    pytest.param(by_huggingface_hub, httpx2.Client, "openai-chat", id="huggingface_hub"),
]


@pytest.mark.parametrize("ask, client, format", SDKS)
def test_a_client_that_an_sdk_is_given_records_its_answers(
    path: Path, ask: Callable[[Any, str], str], client: Any, format: str
) -> None:
    """The SDK reads what it would read, and the recording replays as the same answer."""
    chunks = SCRIPT.chunks(format)
    script = [chunked_head(), *map(http_chunk, chunks), b"0\r\n\r\n"]
    with Loopback(script) as server, client() as own:
        assert "Hello" == ask(record(own, path), server.url)
    found = Recording.load(path)

    assert found.body == b"".join(chunks)
    assert found.request.startswith(f"POST {server.url}/")
    assert ("Hello", format) == (found.stream().final().text, decided(found))


def decided(recording: Recording) -> str | None:
    with recording.stream() as stream:
        stream.final()
    return stream.format


@pytest.mark.slow
def test_an_answer_that_an_sdk_does_not_read_is_not_recorded(tmp_path: Path) -> None:
    """It asks again after a refusal whose body it never looks at: the first file is that of the answer."""
    chunks = SCRIPT.chunks("openai-chat")
    refusal = sized(b'{"error": {"message": "later"}}', status=429, content_type="application/json")
    with Loopback(refusal, chunked(chunks)) as server, record(httpx2.Client(), tmp_path / "a.rec") as client:
        sdk = needed("openai").OpenAI(base_url=server.url, api_key="k", max_retries=1, http_client=client)
        with sdk.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
            list(stream)

    assert ["a.rec"] == [found.name for found in tmp_path.iterdir()]
    is_recorded(tmp_path / "a.rec", chunks)


# -- boto3 -----------------------------------------------------------------


@pytest.mark.parametrize("response", [False, True])
def test_an_event_stream_of_boto3_is_recorded(path: Path, response: bool) -> None:
    """The binary frames beneath; the stream or the response that holds it may be handed over."""
    boto3, config = needed("boto3"), needed("botocore.config")
    chunks = SCRIPT.chunks("bedrock-converse")
    with Loopback(chunked(chunks)) as server:
        client = boto3.client(
            "bedrock-runtime",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
            config=config.Config(retries={"max_attempts": 0}, read_timeout=5),
        )
        answer = client.converse_stream(
            modelId="m", messages=[{"role": "user", "content": [{"text": "Why?"}]}]
        )
        if response:
            assert record(answer, path) is answer
        else:
            assert record(answer["stream"], path) is answer["stream"]
        deltas = [
            event["contentBlockDelta"]["delta"] for event in answer["stream"] if "contentBlockDelta" in event
        ]
        client.close()

    assert "Hello" == "".join(delta["text"] for delta in deltas)
    is_recorded(path, chunks)
