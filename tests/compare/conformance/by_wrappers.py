"""What puts many providers behind one interface: litellm, and langchain with its package for openai."""

from __future__ import annotations

import os
from typing import Any

from tests.compare.conformance.answers import Answer, Call
from tests.compare.conformance.by_sdks import http_client, openai_client
from tests.compare.conformance.reader import PythonReader, answer_by, found

_MESSAGES = [{"role": "user", "content": "Weather?"}]


# -- litellm --------------------------------------------------------------------


def litellm_here() -> Any:
    """Return the package, which asks no server and explains no error."""
    # Without it, importing the package asks a server for a list of prices.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = found("litellm")
    litellm.suppress_debug_info = True
    return litellm


def _litellm_chat(body: bytes, answer: Answer) -> None:
    with openai_client(body, "httpx") as client:
        _litellm_chunks("openai/m", client, answer)


def _litellm_claude(body: bytes, answer: Answer) -> None:
    with http_client(body, "httpx") as http:
        client = found("litellm.llms.custom_httpx.http_handler").HTTPHandler(client=http)
        _litellm_chunks("anthropic/claude-sonnet-4-6", client, answer)


def _litellm_chunks(model: str, client: Any, answer: Answer) -> None:
    """Print the deltas, then build the whole answer of the chunks, as its documents show."""
    litellm = litellm_here()
    chunks: list[Any] = []
    for chunk in litellm.completion(
        model=model,
        messages=_MESSAGES,
        client=client,
        api_key="k",
        stream=True,
        stream_options={"include_usage": True},
        num_retries=0,
        max_retries=0,
    ):
        chunks.append(chunk)
        if chunk.choices:
            answer.text += chunk.choices[0].delta.content or ""
    whole = litellm.stream_chunk_builder(chunks, messages=_MESSAGES)
    if whole is None:
        return
    choice = whole.choices[0]
    answer.text, answer.role = choice.message.content or "", choice.message.role
    answer.reasoning = getattr(choice.message, "reasoning_content", None) or ""
    answer.finish = choice.finish_reason
    answer.usage = [whole.usage.prompt_tokens, whole.usage.completion_tokens]
    answer.calls = [
        Call.of_text(call.function.name, call.function.arguments, call.id)
        for call in choice.message.tool_calls or ()
    ]


# -- langchain --------------------------------------------------------------------


def _langchain(body: bytes, answer: Answer) -> None:
    """Add the chunks up with `+`; the sum has the calls."""
    with http_client(body) as http:
        model = found("langchain_openai").ChatOpenAI(
            model="m",
            api_key="k",
            base_url="http://sdk.test/v1",
            max_retries=0,
            http_client=http,
            stream_usage=True,
        )
        whole: Any = None
        for chunk in model.stream("Weather?"):
            answer.text += chunk.text
            whole = chunk if whole is None else whole + chunk
    if whole is None:
        return
    answer.text = whole.text
    answer.finish = whole.response_metadata.get("finish_reason")
    answer.calls = [Call(call["name"], call["args"], call["id"]) for call in whole.tool_calls]
    answer.calls += [
        Call(call["name"], call["args"], call["id"], valid=False) for call in whole.invalid_tool_calls
    ]
    if (usage := whole.usage_metadata) is not None:
        answer.usage = [usage["input_tokens"], usage["output_tokens"]]


READERS = [
    PythonReader(
        "litellm",
        how="`completion(stream=True)` over the client of the provider's SDK, `stream_chunk_builder(chunks)`",
        packages=("litellm", "openai", "httpx"),
        modules=("litellm", "httpx"),
        answer_of={
            "openai-chat": answer_by(_litellm_chat, reasoning=""),
            "anthropic": answer_by(_litellm_claude, reasoning=""),
        },
        claims=frozenset({"reasoning", "role", "usage"}),
    ),
    PythonReader(
        "langchain-core",
        how="`ChatOpenAI(…).stream()` of langchain-openai, its chunks added up with `+`",
        packages=("langchain-core", "langchain-openai", "openai"),
        modules=("langchain_core", "langchain_openai", "httpx2"),
        answer_of={"openai-chat": answer_by(_langchain, reasoning="")},
        claims=frozenset({"usage"}),
    ),
]
