"""The others: httpx-sse, and the SDKs of the two providers, over the same chunks in memory."""

from __future__ import annotations

import codecs
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.benchmarks.contenders import Contender, Run, found, text_of_payloads
from tokenstream import Stream, tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.bodies import Body

__all__ = ["peers"]

_HEAD = {"content-type": "text/event-stream"}
_ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


# -- httpx-sse ----------------------------------------------------------------


class _Chunks:
    """As much of a response as httpx-sse reads, so that its own work is what is measured."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.headers = _HEAD
        self._chunks = chunks

    def iter_text(self) -> Iterator[str]:
        decode = codecs.getincrementaldecoder("utf-8")().decode
        for chunk in self._chunks:
            # httpx gives no empty pieces either.
            if text := decode(chunk):
                yield text


def _text_of_events(events: list[Any], format: str) -> str:
    data = [event.data for event in events if event.data != "[DONE]"]
    return "".join(data) if format == "text" else text_of_payloads([json.loads(each) for each in data])


def _reading(response: Callable[[Body], Any]) -> Callable[[Body], Run]:
    def prepare(body: Body) -> Run:
        source = found("httpx_sse").EventSource(response(body))

        def run() -> None:
            for _ in source.iter_sse():
                pass

        return run

    return prepare


def _httpx_response(body: Body) -> Any:
    return found("httpx").Response(200, headers=_HEAD, content=iter(body.chunks))


def _httpx_sse(name: str, response: Callable[[Body], Any]) -> Contender:
    def text(body: Body) -> str:
        source = found("httpx_sse").EventSource(response(body))
        return _text_of_events(list(source.iter_sse()), body.format)

    return Contender(name, "peer", _reading(response), text)


# -- the SDKs -----------------------------------------------------------------


@cache
def _client(sdk: str) -> tuple[Any, list[list[bytes]]]:
    """Return an SDK's client, and the place for the chunks that its next answer is made of."""
    httpx2 = found("httpx2")
    answers: list[list[bytes]] = []
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers=_HEAD, content=iter(answers.pop()))
    )
    make = {"openai": "OpenAI", "anthropic": "Anthropic"}[sdk]
    http = httpx2.Client(transport=transport)
    return getattr(found(sdk), make)(api_key="none", http_client=http, max_retries=0), answers


def _asked(body: Body) -> Any:
    """Return the stream that an SDK's `create(stream=True)` gives for a body."""
    sdk = {"openai-chat": "openai", "anthropic": "anthropic"}[body.format]
    client, answers = _client(sdk)
    answers.append(body.chunks)
    if sdk == "openai":
        return client.chat.completions.create(**_ASKED, stream=True)
    return client.messages.create(**_ASKED, max_tokens=10, stream=True)


def _around(body: Body) -> Run:
    stream = Stream(_asked(body))

    def run() -> str:
        for _ in stream:
            pass
        return stream.message.text

    return run


def _beside(body: Body) -> Run:
    tapped = tap(_asked(body))

    def run() -> str:
        for _ in tapped:
            pass
        return str(tapped.message.text)

    return run


def _openai_create(body: Body) -> Run:
    stream = _asked(body)

    def run() -> str:
        # It keeps nothing, so the caller joins.
        pieces = [choice.delta.content or "" for chunk in stream for choice in chunk.choices]
        return "".join(pieces)

    return run


def _openai_stream(body: Body) -> Run:
    client, answers = _client("openai")
    answers.append(body.chunks)
    stream = client.chat.completions.stream(**_ASKED).__enter__()

    def run() -> str:
        for _ in stream:
            pass
        return str(stream.get_final_completion().choices[0].message.content)

    return run


def _anthropic_create(body: Body) -> Run:
    stream = _asked(body)

    def run() -> str:
        return "".join([event.delta.text for event in stream if event.type == "content_block_delta"])

    return run


def _anthropic_stream(body: Body) -> Run:
    client, answers = _client("anthropic")
    answers.append(body.chunks)
    stream = client.messages.stream(**_ASKED, max_tokens=10).__enter__()

    def run() -> str:
        for _ in stream:
            pass
        return str(stream.get_final_message().content[0].text)

    return run


_SDKS: dict[str, list[tuple[str, Callable[[Body], Run]]]] = {
    "openai-chat": [
        ("openai create(stream=True)", _openai_create),
        ("openai create(stream=True) with tap", _beside),
        ("openai create(stream=True) in Stream", _around),
        ("openai .stream()", _openai_stream),
    ],
    "anthropic": [
        ("anthropic create(stream=True)", _anthropic_create),
        ("anthropic create(stream=True) with tap", _beside),
        ("anthropic create(stream=True) in Stream", _around),
        ("anthropic .stream()", _anthropic_stream),
    ],
}


def peers(format: str) -> list[Contender]:
    """Return who else reads a format, as far as it is installed."""
    others = []
    if found("httpx_sse"):
        others.append(_httpx_sse("httpx-sse, events only", lambda body: _Chunks(body.chunks)))
        others.append(_httpx_sse("httpx-sse over an httpx response", _httpx_response))
    for name, prepare in _SDKS.get(format, []):
        if found(name.partition(" ")[0]) and found("httpx2"):
            others.append(Contender(name, "peer", prepare, _text_with(prepare)))
    return others


def _text_with(prepare: Callable[[Body], Run]) -> Callable[[Body], str]:
    return lambda body: str(prepare(body)())
