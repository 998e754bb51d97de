"""stamina around the SDK of openai."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.compare.conformance.by_sdks import add_calls
from tests.compare.conformance.reader import found
from tests.compare.conformance.recovery.peer import PythonPeer, Told
from tests.compare.conformance.recovery.providers import IDLE, TOOL, World


def _tell(world: World, told: Told) -> None:
    """Retry a generator, which stamina restarts from its beginning, and run the calls once it has ended."""
    stamina, openai = found("stamina"), found("openai")
    # The SDK lets the errors of its HTTP client through while a response is read.
    broken: Any = (openai.APIError, found("httpx2").TransportError)
    tools = [{"type": "function", "function": TOOL}] if world.answer.calls else openai.omit
    calls: dict[int, Any] = {}
    with openai.OpenAI(api_key="k", base_url=world.first, max_retries=0, timeout=IDLE) as client:

        @stamina.retry(on=broken, attempts=3, wait_initial=0.1, wait_jitter=0.1)  # type: ignore[untyped-decorator]
        def chunks() -> Iterator[Any]:
            calls.clear()
            yield from client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": world.answer.question}],
                tools=tools,
                stream=True,
            )

        for chunk in chunks():
            for choice in chunk.choices:
                told.text += choice.delta.content or ""
                add_calls(choice.delta, calls)
    for call in calls.values():
        told.calls.append((call.function.name, json.loads(call.function.arguments)))


PEERS = [
    PythonPeer(
        "stamina + openai",
        how="`@stamina.retry(on=…)` on a generator that yields the chunks of "
        "`client.chat.completions.create(stream=True)`; the SDK's own retries are off",
        packages=("stamina", "openai", "httpx2"),
        tell=_tell,
        falls_back=False,
    )
]
