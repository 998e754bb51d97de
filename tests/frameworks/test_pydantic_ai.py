"""pydantic-ai: `tap` in the hook of the client that its model takes."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.frameworks.answers import ANSWERED, WARNINGS
from tests.support.packages import needed
from tokenstream import tap, testing

# Where another extra has brought pydantic-ai alone, the client of its models is missing.
needed("agents")
ai = needed("pydantic_ai")
models = needed("pydantic_ai.models.openai")
providers = needed("pydantic_ai.providers.openai")
transports = needed("httpx2")

pytestmark = [*WARNINGS]


def test_a_response_hook_sees_the_answers_of_an_agent() -> None:
    """With usage, ending and speed, which the framework need not tell."""
    taps: list[Any] = []

    async def hook(response: Any) -> None:
        taps.append(tap(response))

    async def run() -> Any:
        client = transports.AsyncClient(
            transport=testing.transport(ANSWERED), event_hooks={"response": [hook]}
        )
        provider = providers.OpenAIProvider(api_key="k", base_url="http://testserver/v1", http_client=client)
        async with ai.Agent(models.OpenAIChatModel("m", provider=provider)).run_stream("Weather?") as result:
            return await result.get_output()

    assert "It is sunny." == asyncio.run(run())
    assert [("It is sunny.", "complete")] == [(tapped.message.text, tapped.message.ending) for tapped in taps]
    assert all(tapped.message.usage.output_tokens == 4 for tapped in taps)
