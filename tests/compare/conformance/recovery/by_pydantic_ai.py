"""pydantic-ai with two models."""

from __future__ import annotations

from typing import Any

import anyio

from tests.compare.conformance.reader import found
from tests.compare.conformance.recovery.cases import CALL
from tests.compare.conformance.recovery.peer import PythonPeer, Told
from tests.compare.conformance.recovery.providers import IDLE, REMOVED, World


def _models(world: World) -> tuple[Any, Any]:
    """Return both models, the retries of their SDKs off, as the page about FallbackModel recommends."""
    openai, of_openai = found("openai"), found("pydantic_ai.models.openai")
    providers = found("pydantic_ai.providers.openai")

    def chat(base_url: str) -> Any:
        client = openai.AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0)
        return of_openai.OpenAIChatModel("m", provider=providers.OpenAIProvider(openai_client=client))

    if world.other_format == "openai-chat":
        return chat(world.first), chat(world.other)
    client = found("anthropic").AsyncAnthropic(
        api_key="k", base_url=world.other.removesuffix("/v1"), max_retries=0
    )
    provider = found("pydantic_ai.providers.anthropic").AnthropicProvider(anthropic_client=client)
    other = found("pydantic_ai.models.anthropic").AnthropicModel("claude-sonnet-4-5", provider=provider)
    return chat(world.first), other


def _tell(world: World, told: Told) -> None:
    anyio.run(_ask, world, told)


async def _ask(world: World, told: Told) -> None:
    """Show the text of the events; the agent runs the tool."""
    pydantic_ai, messages = found("pydantic_ai"), found("pydantic_ai.messages")
    failures = (pydantic_ai.ModelAPIError, pydantic_ai.UnexpectedModelBehavior)
    fallback = found("pydantic_ai.models.fallback").FallbackModel(*_models(world), fallback_on=failures)
    agent = pydantic_ai.Agent(fallback, model_settings=pydantic_ai.ModelSettings(timeout=IDLE))
    if world.answer.calls:

        def remove(path: str, recursive: bool) -> str:
            """Remove a folder."""
            told.calls.append((CALL, {"path": path, "recursive": recursive}))
            return REMOVED

        agent.tool_plain(remove)
    async with agent.run_stream_events(world.answer.question) as events:
        async for event in events:
            if isinstance(event, messages.PartStartEvent) and isinstance(event.part, messages.TextPart):
                told.text += event.part.content
            elif isinstance(event, messages.PartDeltaEvent) and isinstance(
                event.delta, messages.TextPartDelta
            ):
                told.text += event.delta.content_delta


PEERS = [
    PythonPeer(
        "pydantic-ai FallbackModel",
        how="`Agent(FallbackModel(first, other, fallback_on=(ModelAPIError, UnexpectedModelBehavior)))`, "
        "`run_stream_events()`; the SDKs' own retries are off",
        packages=("pydantic-ai-slim", "openai", "anthropic"),
        modules=("pydantic_ai", "openai", "anthropic"),
        tell=_tell,
    )
]
