"""Each provider's SDK, reading the same chunks from a transport in memory, as its documents show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tests.compare.benchmarks.contenders import Run, found, runner

if TYPE_CHECKING:
    from tests.compare.benchmarks.shapes import Answer

_SSE = "text/event-stream"
_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
_KEY: dict[str, Any] = {"api_key": "none"}
Opened: TypeAlias = Iterator[str]


@dataclass(frozen=True, slots=True)
class Reader:
    """How an SDK reads a format.

    Args:
        name: What the table calls it.
        packages: What must be installed for it, as it is imported.
        opened: Returns the pieces of text of an answer; nothing that is done before the first is timed.
    """

    name: str
    packages: tuple[str, ...]
    opened: Callable[[Answer], Opened]

    @property
    def installed(self) -> bool:
        return all(found(package) is not None for package in self.packages)

    def prepare(self, answer: Answer) -> Run:
        pieces = self.opened(answer)
        return lambda: "".join(pieces)


# -- transports in memory ---------------------------------------------------------


@cache
def _transport(package: str, content_type: str) -> tuple[Any, list[list[bytes]]]:
    """Return a transport of httpx or httpx2, and the place for the chunks of its answers."""
    http = found(package)
    answers: list[list[bytes]] = []
    transport = http.MockTransport(
        lambda _: http.Response(200, headers={"content-type": content_type}, content=iter(answers[-1]))
    )
    return transport, answers


@cache
def _http(package: str = "httpx2", content_type: str = _SSE) -> Any:
    """Return an HTTP client of httpx or httpx2 over such a transport."""
    return found(package).Client(transport=_transport(package, content_type)[0])


def _next(answer: Answer, package: str = "httpx2", content_type: str = _SSE) -> None:
    _transport(package, content_type)[1][:] = [answer.chunks]


def client_for(answer: Answer) -> Any:
    """Return an HTTP client of httpx2, each of whose responses is an answer."""
    _next(answer)
    return _http()


# -- openai and anthropic ---------------------------------------------------------


@cache
def _made(module: str, name: str, **options: Any) -> Any:
    """Return a client of an SDK; making one takes as long as reading a short answer."""
    return getattr(found(module), name)(**_KEY, **options)


def _openai(answer: Answer) -> Any:
    return _made("openai", "OpenAI", max_retries=0, http_client=client_for(answer))


def _chat(answer: Answer) -> Opened:
    stream = _openai(answer).chat.completions.create(**_ASKED, stream=True)
    return (choice.delta.content or "" for chunk in stream for choice in chunk.choices)


def openai_stream(answer: Answer) -> list[Any]:
    """Read an answer of the chat API with openai's `Stream`, over a response that is there."""
    http, kind = found("httpx2"), found("openai.types.chat").ChatCompletionChunk
    request = http.Request("POST", "https://api.openai.com/v1/chat/completions")
    head = {"content-type": "text/event-stream"}
    response = http.Response(200, headers=head, content=iter(answer.chunks), request=request)
    return [*found("openai").Stream(cast_to=kind, response=response, client=_openai(answer))]


def _responses(answer: Answer) -> Opened:
    stream = _openai(answer).responses.create(model="m", input="Hello", stream=True)
    return (event.delta for event in stream if event.type == "response.output_text.delta")


def _completions(answer: Answer) -> Opened:
    stream = _openai(answer).completions.create(model="m", prompt="Hello", stream=True)
    return (choice.text for chunk in stream for choice in chunk.choices)


class _Messages:
    """As much of a WebSocket connection as openai's SDK reads from."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages = iter(messages)

    def recv(self, decode: bool | None = None) -> bytes:
        return next(self._messages)


def _realtime(answer: Answer) -> Opened:
    module = found("openai.resources.realtime.realtime")
    connection = module.RealtimeConnection(_Messages(answer.chunks))
    events = (connection.recv() for _ in answer.chunks)
    return (event.delta for event in events if event.type == "response.output_text.delta")


def _claude(answer: Answer) -> Opened:
    client = _made("anthropic", "Anthropic", max_retries=0, http_client=client_for(answer))
    stream = client.messages.create(**_ASKED, max_tokens=10, stream=True)
    return (event.delta.text for event in stream if event.type == "content_block_delta")


# -- google -----------------------------------------------------------------------


@cache
def _genai() -> Any:
    genai = found("google.genai")
    options = genai.types.HttpOptions(base_url="http://sdk.test", httpx_client=_http())
    return genai.Client(**_KEY, http_options=options)


def _gemini(answer: Answer) -> Opened:
    _next(answer)
    stream = _genai().models.generate_content_stream(model="m", contents="Hello")
    return (chunk.text or "" for chunk in stream)


def _interactions(answer: Answer) -> Opened:
    _next(answer)
    stream = _genai().interactions.create(model="m", input="Hello", stream=True)
    return (event.delta.text for event in stream if event.event_type == "step.delta")


class _AwaitedMessages:
    """As much of one as google-genai reads from."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages = iter(messages)

    async def recv(self, decode: bool | None = None) -> bytes:
        return next(self._messages)


def _live(answer: Answer) -> Opened:
    messages = _AwaitedMessages(answer.chunks)
    session = found("google.genai.live").AsyncSession(_genai()._api_client, messages)  # noqa: SLF001 - as it does

    async def read() -> list[str]:
        return [message.text or "" async for message in session.receive()]

    def pieces() -> Iterator[str]:
        yield from runner().run(read())

    return pieces()


# -- bedrock ----------------------------------------------------------------------


class _Raw:
    """As much of an urllib3 response as botocore reads from."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def stream(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        pass


@cache
def _bedrock() -> tuple[Any, list[list[bytes]]]:
    answers: list[list[bytes]] = []

    def send(request: Any, **_: object) -> Any:
        head = {"content-type": "application/vnd.amazon.eventstream"}
        return found("botocore.awsrequest").AWSResponse(request.url, 200, head, _Raw(answers[-1]))

    client = found("boto3").client(
        "bedrock-runtime", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    client.meta.events.register("before-send.bedrock-runtime", send)
    return client, answers


def _converse(answer: Answer) -> Opened:
    client, answers = _bedrock()
    answers[:] = [answer.chunks]
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    stream = client.converse_stream(modelId="m", messages=messages)["stream"]
    return (event["contentBlockDelta"]["delta"]["text"] for event in stream if "contentBlockDelta" in event)


def _invoked(answer: Answer) -> Iterator[dict[str, Any]]:
    client, answers = _bedrock()
    answers[:] = [answer.chunks]
    body = client.invoke_model_with_response_stream(modelId="m", body="{}")["body"]
    return (json.loads(event["chunk"]["bytes"]) for event in body)


def _invoked_claude(answer: Answer) -> Opened:
    payloads = _invoked(answer)
    return (payload["delta"]["text"] for payload in payloads if payload["type"] == "content_block_delta")


def _invoked_llama(answer: Answer) -> Opened:
    return (payload["generation"] for payload in _invoked(answer))


# -- the others -------------------------------------------------------------------


def _mistral(answer: Answer) -> Opened:
    _next(answer)
    stream = _made("mistralai.client", "Mistral", client=_http()).chat.stream(**_ASKED)
    return (choice.delta.content or "" for event in stream for choice in event.data.choices)


def _cohere(answer: Answer) -> Opened:
    _next(answer, "httpx")
    stream = _made("cohere", "ClientV2", httpx_client=_http("httpx")).chat_stream(**_ASKED)
    return (event.delta.message.content.text for event in stream if event.type == "content-delta")


def _cohere_v1(answer: Answer) -> Opened:
    lines = ("httpx", "application/stream+json")
    _next(answer, *lines)
    stream = _made("cohere", "Client", httpx_client=_http(*lines)).chat_stream(message="Hello")
    return (event.text for event in stream if event.event_type == "text-generation")


def _ollama(answer: Answer) -> Opened:
    lines = ("httpx", "application/x-ndjson")
    _next(answer, *lines)
    client = found("ollama").Client(transport=_transport(*lines)[0])
    stream = client.chat(**_ASKED, stream=True)
    return (part.message.content or "" for part in stream)


def _tgi(answer: Answer) -> Opened:
    hub = found("huggingface_hub")
    default = found("huggingface_hub.utils._http").default_client_factory
    _next(answer)
    transport = _transport("httpx2", _SSE)[0]
    hub.set_client_factory(lambda: found("httpx2").Client(transport=transport))
    client = hub.InferenceClient(base_url="http://sdk.test", api_key="none")
    stream = client.text_generation("Hello", stream=True, details=True)

    def pieces() -> Iterator[str]:
        with client:
            yield from (output.token.text for output in stream if not output.token.special)
        # The client that sends requests is one for the whole process, and others need it, too.
        hub.set_client_factory(default)

    return pieces()


def _ag_ui(answer: Answer) -> Opened:
    types = found("pydantic").TypeAdapter(found("ag_ui.core").Event)
    response = found("httpx").Response(200, headers={"content-type": _SSE}, content=iter(answer.chunks))
    source = found("httpx_sse").EventSource(response)
    events = (types.validate_json(event.data) for event in source.iter_sse())
    return (event.delta for event in events if event.type == "TEXT_MESSAGE_CONTENT")


SDKS: dict[str, Reader] = {
    "openai-chat": Reader("openai chat.completions.create", ("openai", "httpx2"), _chat),
    "openai-chat, Mistral": Reader("mistralai chat.stream", ("mistralai.client", "httpx2"), _mistral),
    "openai-responses": Reader("openai responses.create", ("openai", "httpx2"), _responses),
    "openai-completions": Reader("openai completions.create", ("openai", "httpx2"), _completions),
    "openai-realtime, messages": Reader("openai RealtimeConnection", ("openai", "websockets"), _realtime),
    "anthropic": Reader("anthropic messages.create", ("anthropic", "httpx2"), _claude),
    "gemini, SSE": Reader("google-genai generate_content_stream", ("google.genai", "httpx2"), _gemini),
    "gemini-interactions": Reader(
        "google-genai interactions.create", ("google.genai", "httpx2"), _interactions
    ),
    "gemini-live, messages": Reader("google-genai AsyncSession", ("google.genai", "httpx2"), _live),
    "bedrock-converse": Reader("boto3 converse_stream", ("boto3",), _converse),
    "bedrock-invoke, Claude": Reader("boto3 and json.loads", ("boto3",), _invoked_claude),
    "bedrock-invoke, Llama": Reader("boto3 and json.loads", ("boto3",), _invoked_llama),
    "cohere, v2": Reader("cohere ClientV2.chat_stream", ("cohere", "httpx"), _cohere),
    "cohere, v1": Reader("cohere Client.chat_stream", ("cohere", "httpx"), _cohere_v1),
    "ollama": Reader("ollama chat", ("ollama", "httpx"), _ollama),
    "tgi": Reader("huggingface_hub text_generation", ("huggingface_hub", "httpx2"), _tgi),
    "ag-ui": Reader("ag-ui-protocol's types over httpx-sse", ("ag_ui", "httpx_sse"), _ag_ui),
}
"""By the name of the answer; the others have no reader in Python, or none for this form."""
