"""The Router of litellm."""

from __future__ import annotations

import json
from typing import Any

import anyio

from tests.compare.conformance.by_wrappers import litellm_here
from tests.compare.conformance.reader import found
from tests.compare.conformance.recovery.peer import PythonPeer, Told
from tests.compare.conformance.recovery.providers import IDLE, TOOL, World


def _router(world: World) -> Any:
    """Return a Router with both kinds of recovery: retries and fallbacks, and continuing a broken stream."""
    first = {"model": "openai/m", "api_base": world.first}
    other = {"model": "openai/m", "api_base": world.other}
    if world.other_format == "anthropic":
        other = {"model": "anthropic/claude-sonnet-4-5", "api_base": world.other.removesuffix("/v1")}
    return found("litellm").Router(
        model_list=[
            {"model_name": "first", "litellm_params": {**first, "api_key": "k"}},
            {
                "model_name": "other",
                "litellm_params": {**other, "api_key": "k"},
                # Only a model that is said to extend an assistant's turn is asked to go on.
                "model_info": {"supports_assistant_prefill": True},
            },
        ],
        fallbacks=[{"first": ["other"]}],
        num_retries=2,
        stream_timeout=IDLE,
        enable_mid_stream_fallback_continuation=True,
    )


def _tell(world: World, told: Told) -> None:
    anyio.run(_ask, world, told)


async def _ask(world: World, told: Told) -> None:
    """Show the deltas, then build the whole answer of the chunks, and run its calls."""
    litellm = litellm_here()
    messages = [{"role": "user", "content": world.answer.question}]
    tools = {"tools": [{"type": "function", "function": TOOL}]} if world.answer.calls else {}
    chunks: list[Any] = []
    async for chunk in await _router(world).acompletion("first", messages, stream=True, **tools):
        chunks.append(chunk)
        if chunk.choices:
            told.text += chunk.choices[0].delta.content or ""
    whole = litellm.stream_chunk_builder(chunks, messages=messages)
    for call in (whole.choices[0].message.tool_calls if whole is not None else None) or ():
        told.calls.append((call.function.name, json.loads(call.function.arguments)))


PEERS = [
    PythonPeer(
        "LiteLLM Router",
        how="`await Router(fallbacks=…, num_retries=2, stream_timeout=…, "
        "enable_mid_stream_fallback_continuation=True).acompletion(stream=True)`, the other deployment with "
        "`supports_assistant_prefill`; calls by `stream_chunk_builder(chunks)`",
        packages=("litellm", "openai"),
        modules=("litellm",),
        tell=_tell,
    )
]
