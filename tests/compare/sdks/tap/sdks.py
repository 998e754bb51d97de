"""Recorded answers for the SDKs, and clients of both."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Self

import pytest

from tests.support.loopback import LAST_CHUNK, Loopback, Script, chunked_head, http_chunk
from tests.support.packages import needed

openai: Any = needed("openai")
anthropic: Any = needed("anthropic")


def recorded(name: str) -> list[bytes]:
    body = files("tokenstream.cli").joinpath("recordings", name).read_bytes()
    return [event + b"\n\n" for event in body.split(b"\n\n") if event]


CHAT, CLAUDE = recorded("openai-chat.sse"), recorded("anthropic.sse")
# On trio, the SDKs leave their generators to the collector, tapped or not.
LEAVES_GENERATORS = pytest.mark.filterwarnings(
    "ignore:Async generator '(openai|anthropic|httpx2|httpcore2)[.]:ResourceWarning"
)

BODIES = {"openai": CHAT, "anthropic": CLAUDE}

ASKED: dict[str, Any] = {"model": "demo-1", "messages": [{"role": "user", "content": "Why?"}]}


def answer(body: list[bytes]) -> Script:
    """Return an answer after which the connection is not used again, so that no request meets its end."""
    return [chunked_head([("Connection", "close")]), *map(http_chunk, body), LAST_CHUNK]


each_sdk = pytest.mark.parametrize("sdk", ["openai", "anthropic"])


class Client:
    """One SDK, pointed at a server, in the shape that both have in common."""

    def __init__(self, sdk: str, server: Loopback, *, later: bool = False) -> None:
        kind = {
            ("openai", False): openai.OpenAI,
            ("openai", True): openai.AsyncOpenAI,
            ("anthropic", False): anthropic.Anthropic,
            ("anthropic", True): anthropic.AsyncAnthropic,
        }[sdk, later]
        base = server.url + ("/v1" if sdk == "openai" else "")
        self.own = kind(api_key="made-up", base_url=base, max_retries=0)
        self.resource = self.own.chat.completions if sdk == "openai" else self.own.messages
        self.asked = ASKED if sdk == "openai" else {**ASKED, "max_tokens": 9}

    def create(self, resource: Any = None) -> Any:
        return (resource or self.resource).create(**self.asked, stream=True)

    def stream(self) -> Any:
        return self.resource.stream(**self.asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.own.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.own.close()
