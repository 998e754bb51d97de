"""`record` around real SDKs: their streams, and the HTTP clients that they are given."""

from __future__ import annotations

import importlib
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest

from tests._sources.ways import ASYNC_WAYS, WAYS, Way
from tests.support.loopback import Loopback, chunked, chunked_head, http_chunk, sized
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError
from tokenstream.testing import Recording, record

pytestmark = [
    # Importing an SDK takes seconds on a busy machine.
    # google-genai inherits from a class of aiohttp's that warns of it.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
]

SCRIPT = testing.script().text("Hello").finish("stop")
CHAT = SCRIPT.chunks("openai-chat")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.rec"


def is_recorded(path: Path, chunks: Sequence[bytes]) -> None:
    """Assert that a recording has a body, and replays as the answer."""
    found = Recording.load(path)

    assert b"".join(chunks) == found.body
    assert "Hello" == found.stream().final().text


# -- streams ---------------------------------------------------------------


HIDDEN = [way for way in WAYS if way.name.endswith("hidden")]
READABLE = [way for way in WAYS if way not in HIDDEN]
_FOR_A_STREAM = (
    "httpx-stream",
    "requests",
    "urllib3",
    "openai-helper",
    "openai-streamed",
    "anthropic-helper",
)
FOR_A_STREAM = [way for way in WAYS if way.name in _FOR_A_STREAM]
"""Sources that have to be entered first, or are no response of httpx: only a `Stream` of them is recorded."""
DIRECT = [way for way in READABLE if way not in FOR_A_STREAM]


def read_own(source: Any) -> None:
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


@pytest.mark.parametrize("way", DIRECT, ids=str)
def test_a_stream_is_recorded_while_its_library_reads_it(path: Path, way: Way) -> None:
    needed(way.needs)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        read_own(record(ask(), path))

    is_recorded(path, way.body)


@pytest.mark.parametrize(
    ("way", "within"), [*[(way, False) for way in READABLE], *[(way, True) for way in DIRECT]], ids=str
)
def test_a_stream_is_recorded_while_ours_reads_it(path: Path, way: Way, within: bool) -> None:
    """Either the source is recorded, if that is possible, or the Stream around it."""
    needed(way.needs)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        stream = Stream(record(ask(), path)) if within else record(Stream(ask()), path)
        assert "Hello" == stream.final().text

    is_recorded(path, way.body)


@pytest.mark.few_rows(4)
@pytest.mark.anyio
@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if not way.name.endswith("hidden")], ids=str)
async def test_an_async_stream_is_recorded_while_ours_reads_it(
    path: Path, way: Way, anyio_backend: str
) -> None:
    needed(way.needs)
    if anyio_backend not in way.backends:
        return
    with Loopback(chunked(way.body)) as server:
        async with way.open(server.url) as ask, record(AsyncStream(await ask()), path) as stream:
            assert "Hello" == (await stream.final()).text

    is_recorded(path, way.body)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
async def test_an_async_sdks_own_stream_is_recorded(path: Path, sdk: str) -> None:
    needed(sdk)
    way = next(way for way in ASYNC_WAYS if way.name == sdk)
    with Loopback(chunked(way.body)) as server:
        async with way.open(server.url) as ask:
            stream = record(await (await ask()), path)
            assert [] != [event async for event in stream]

    assert type(stream).__module__.startswith(sdk)
    is_recorded(path, way.body)


@pytest.mark.parametrize("way", HIDDEN, ids=str)
def test_where_the_bytes_are_hidden_the_error_says_what_to_record(path: Path, way: Way) -> None:
    """A generator of an SDK's objects, as wrappers for observability are."""
    needed(way.needs)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        items = record(ask(), path)
        with pytest.raises(MisuseError, match=r"record the HTTP client to pass to the SDK"):
            list(items)
        items.close()

    assert not path.exists()


AROUND = r"cannot be recorded itself: record the Stream .* testing\.record\(Stream\(source\), path\)"


@pytest.mark.parametrize("way", FOR_A_STREAM, ids=str)
def test_where_only_a_stream_can_be_recorded_the_error_says_so(path: Path, way: Way) -> None:
    needed(way.needs)
    with Loopback(chunked(way.body)) as server, way.open(server.url) as ask:
        source = ask()
        with pytest.raises(MisuseError, match=AROUND):
            record(source, path)
        # It is closed, and read as ever.
        with Stream(source) as stream:
            stream.final()

    assert not path.exists()


def test_a_response_of_http_client_is_recorded_by_the_stream_around_it(path: Path) -> None:
    """The response itself is refused, although a loop could read it."""
    with Loopback(sized(b"".join(CHAT))) as server, urllib.request.urlopen(server.url, b"") as response:
        with pytest.raises(MisuseError, match=AROUND):
            record(response, path)
        record(Stream(response), path).final()

    is_recorded(path, CHAT)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_response_of_aiohttp_is_recorded_by_the_stream_around_it(path: Path) -> None:
    aiohttp = needed("aiohttp")
    with Loopback(chunked(CHAT)) as server:
        async with aiohttp.ClientSession() as session, session.post(server.url) as response:
            with pytest.raises(MisuseError, match=AROUND):
                record(response, path)
            async with record(AsyncStream(response), path) as stream:
                await stream.final()

    is_recorded(path, CHAT)


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
    """The SDK asks again after a refusal whose body it never looks at: the first file is the answer's."""
    chunks = SCRIPT.chunks("openai-chat")
    refusal = sized(b'{"error": {"message": "later"}}', status=429, content_type="application/json")
    with Loopback(refusal, chunked(chunks)) as server, record(httpx2.Client(), tmp_path / "a.rec") as client:
        sdk = needed("openai").OpenAI(base_url=server.url, api_key="k", max_retries=1, http_client=client)
        with sdk.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
            list(stream)

    assert ["a.rec"] == [found.name for found in tmp_path.iterdir()]
    is_recorded(tmp_path / "a.rec", chunks)


# -- boto3 -----------------------------------------------------------------


def test_an_event_stream_of_boto3_is_recorded_by_the_stream_around_it(path: Path) -> None:
    """The binary frames beneath; the event stream itself, and the response that holds it, are refused."""
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
        for source in (answer, answer["stream"]):
            with pytest.raises(MisuseError, match=AROUND):
                record(source, path)
        assert "Hello" == record(Stream(answer), path).final().text
        client.close()

    is_recorded(path, chunks)
