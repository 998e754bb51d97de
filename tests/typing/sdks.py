"""What users may hand over of SDKs' streams, and what a tap gives; checked by mypy and pyright, never run.

That a checker refuses the wrong colour, or a whole answer, is said as in `sources`.
"""

# Parameters of some SDKs' methods have types that are not told, as those of google-genai's.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import assert_type

import cohere
import ollama
import openai
from google import genai
from google.genai.types import GenerateContentResponse
from huggingface_hub import (
    AsyncInferenceClient,
    ChatCompletionStreamOutput,
    InferenceClient,
    TextGenerationStreamOutput,
)
from mistralai.client import Mistral
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect as connect_sync

from tests.typing.sources import Refused, Taken, asynchronous, sync
from tokenstream import tap
from tokenstream.stream._tap.tap import AsyncTap, Tap


async def google_genai(client: genai.Client) -> None:
    """Its generators, and the session of Live."""
    asked = client.aio.models.generate_content_stream(model="m", contents="q")
    assert_type(sync(client.models.generate_content_stream(model="m", contents="q")), Taken)
    assert_type(asynchronous(asked), Taken)
    assert_type(asynchronous(await asked), Taken)
    assert_type(asynchronous(client.aio.live.connect(model="m")), Taken)
    async with client.aio.live.connect(model="m") as session:
        assert_type(asynchronous(session), Taken)
        assert_type(sync(session), Refused)
    assert_type(sync(asked), Refused)
    assert_type(sync(client.models.generate_content(model="m", contents="q")), Refused)
    assert_type(asynchronous(client.models.generate_content_stream(model="m", contents="q")), Refused)
    chunks = tap(client.models.generate_content_stream(model="m", contents="q"))
    assert_type(chunks, Tap[GenerateContentResponse])
    async with tap(asked) as tapped:
        assert_type(tapped, AsyncTap[GenerateContentResponse])


async def mistralai(client: Mistral) -> None:
    """Its event streams."""
    assert_type(sync(client.chat.stream(model="m", messages=[])), Taken)
    assert_type(asynchronous(client.chat.stream_async(model="m", messages=[])), Taken)
    assert_type(asynchronous(await client.chat.stream_async(model="m", messages=[])), Taken)
    assert_type(sync(client.chat.stream_async(model="m", messages=[])), Refused)
    assert_type(sync(client.chat.complete(model="m", messages=[])), Refused)


def cohere_streams(client: cohere.ClientV2, later: cohere.AsyncClientV2, first: cohere.Client) -> None:
    """Of both versions."""
    assert_type(sync(client.chat_stream(model="m", messages=[])), Taken)
    assert_type(sync(first.chat_stream(model="m", message="q")), Taken)
    assert_type(asynchronous(later.chat_stream(model="m", messages=[])), Taken)
    assert_type(sync(later.chat_stream(model="m", messages=[])), Refused)
    assert_type(asynchronous(client.chat_stream(model="m", messages=[])), Refused)
    assert_type(sync(client.chat(model="m", messages=[])), Refused)


async def ollama_streams(client: ollama.Client, later: ollama.AsyncClient) -> None:
    """Of chat and of generate."""
    assert_type(sync(client.chat(model="m", stream=True)), Taken)
    assert_type(sync(client.generate(model="m", stream=True)), Taken)
    assert_type(asynchronous(later.chat(model="m", stream=True)), Taken)
    assert_type(asynchronous(await later.generate(model="m", stream=True)), Taken)
    assert_type(sync(later.chat(model="m", stream=True)), Refused)
    assert_type(sync(client.chat(model="m")), Refused)
    assert_type(tap(client.chat(model="m", stream=True)), Tap[ollama.ChatResponse])


def huggingface_hub(client: InferenceClient, later: AsyncInferenceClient) -> None:
    """Of chat and of text generation."""
    assert_type(sync(client.chat_completion([], stream=True)), Taken)
    assert_type(sync(client.text_generation("q", stream=True)), Taken)
    assert_type(asynchronous(later.chat_completion([], stream=True)), Taken)
    assert_type(asynchronous(later.text_generation("q", stream=True, details=True)), Taken)
    assert_type(asynchronous(client.chat_completion([], stream=True)), Refused)
    assert_type(tap(client.chat_completion([], stream=True)), Tap[ChatCompletionStreamOutput])
    generated = tap(client.text_generation("q", stream=True, details=True))
    assert_type(generated, Tap[TextGenerationStreamOutput])


async def sockets(client: openai.OpenAI, later: openai.AsyncOpenAI) -> None:
    with connect_sync("ws://localhost") as connection:
        assert_type(sync(connection), Taken)
        assert_type(asynchronous(connection), Refused)
    assert_type(asynchronous(connect_async("ws://localhost")), Taken)
    assert_type(sync(connect_async("ws://localhost")), Refused)
    async with connect_async("ws://localhost") as opened:
        assert_type(asynchronous(opened), Taken)
        assert_type(sync(opened), Refused)
    assert_type(sync(client.realtime.connect(model="m")), Taken)
    assert_type(asynchronous(later.realtime.connect(model="m")), Taken)
    assert_type(sync(later.realtime.connect(model="m")), Refused)
    with client.realtime.connect(model="m") as talk:
        assert_type(sync(talk), Taken)
