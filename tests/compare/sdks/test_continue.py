"""Answers that real SDKs ask for, and that a model goes on with: over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.recovery.continuing import GIVEN, TEXT, WORDS, cut, obeys
from tests.support.packages import needed
from tokenstream import Retry, Stream, resilient, testing
from tokenstream.recovery import Attempt

anthropic_sdk, genai, ollama_sdk, openai = map(needed, ("anthropic", "google.genai", "ollama", "openai"))
HISTORY: list[Any] = [{"role": "user", "content": "Of rivers?"}]
GO_ON = Retry(again=True, wait=0)
Open = Callable[[str, Attempt], Any]


@contextmanager
def openai_chat(url: str, attempt: Attempt) -> Generator[Any]:
    messages = [*HISTORY, *attempt.continuation("openai-chat")]
    asked = {"model": "m", "messages": messages, "max_completion_tokens": attempt.tokens_left(200)}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client.chat.completions.create(**asked, stream=True)


@contextmanager
def openai_responses(url: str, attempt: Attempt) -> Generator[Any]:
    items = [*HISTORY, *attempt.continuation("openai-responses")]
    asked = {"model": "m", "input": items, "max_output_tokens": attempt.tokens_left(200)}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client.responses.create(**asked, stream=True)


@contextmanager
def anthropic(url: str, attempt: Attempt) -> Generator[Any]:
    messages = [*HISTORY, *attempt.continuation("anthropic")]
    asked = {"model": "m", "messages": messages, "max_tokens": attempt.tokens_left(200)}
    with anthropic_sdk.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client.messages.create(**asked, stream=True)


@contextmanager
def gemini(url: str, attempt: Attempt) -> Generator[Any]:
    contents = [{"role": "user", "parts": [{"text": "Of rivers?"}]}, *attempt.continuation("gemini")]
    config = {"max_output_tokens": attempt.tokens_left(200)}
    with genai.Client(api_key="k", http_options={"base_url": url}) as client:
        yield client.models.generate_content_stream(model="m", contents=contents, config=config)


@contextmanager
def ollama(url: str, attempt: Attempt) -> Generator[Any]:
    client = ollama_sdk.Client(host=url)
    messages = [*HISTORY, *attempt.continuation("ollama")]
    options = {"num_predict": attempt.tokens_left(200)}
    # It has no way of its own to close its connections.
    with client._client:  # noqa: SLF001 - made for this
        yield client.chat(model="m", messages=messages, options=options, stream=True)


pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
SDKS: dict[str, tuple[str, Open]] = {
    "openai chat": ("openai-chat", openai_chat),
    "openai responses": ("openai-responses", openai_responses),
    "anthropic": ("anthropic", anthropic),
    "google-genai": ("gemini", gemini),
    "ollama": ("ollama", ollama),
}


@pytest.fixture(params=SDKS)
def sdk(request: pytest.FixtureRequest) -> tuple[str, Open]:
    return SDKS[request.param]


def answers(format: str) -> Iterator[Any]:
    yield testing.Recording.of(cut(format), format=format)
    script = testing.script().text(*obeys(GIVEN).partition("around")).finish("stop")
    yield testing.Recording.of(script.chunks(format), format=format)


@pytest.mark.few_rows(3)
def test_a_model_goes_on_with_an_answer_that_an_sdk_asked_for(sdk: tuple[str, Open]) -> None:
    """The SDK takes the turns as they are, and the server is sent them."""
    format, opened = sdk
    left = answers(format)
    bodies: list[Any] = []

    def answer(request: testing.Request) -> testing.Recording:
        bodies.append(request.json)
        found: testing.Recording = next(left)
        return found

    with (
        testing.serve(answer) as server,
        resilient(lambda attempt: opened(server.url, attempt), GO_ON) as stream,
    ):
        assert isinstance(stream, Stream)
        pieces = list(stream.text)

    assert TEXT == "".join(pieces) == stream.message.text
    assert stream.message.complete
    assert ["start", "continue"] == [report.mode for report in stream.attempts]
    assert 1.0 == stream.attempts[-1].confidence
    assert "200" in str(bodies[0])
    assert "200" not in str(bodies[1])
    assert WORDS[0] in str(bodies[1])
