"""LangChain's chat models with a provider that gives answers of our own."""

from __future__ import annotations

from typing import Any

from tests.support.packages import needed
from tokenstream import testing

FORMS: dict[str, dict[str, Any]] = {
    "chat": {},
    "chat, standard blocks": {"output_version": "v1"},
    "responses": {"use_responses_api": True},
    "responses, standard blocks": {"use_responses_api": True, "output_version": "v1"},
}


def model(*answers: Any, hook: Any = None, fault: Any = None, **options: Any) -> Any:
    httpx, openai = needed("httpx"), needed("langchain_openai")
    hooks = {"response": [hook]} if hook is not None else {}
    return openai.ChatOpenAI(
        model="m",
        api_key="k",
        base_url="http://testserver/v1",
        max_retries=0,
        http_client=httpx.Client(transport=testing.transport([*answers], fault=fault), event_hooks=hooks),
        http_async_client=httpx.AsyncClient(
            transport=testing.transport([*answers], fault=fault), event_hooks=hooks
        ),
        **options,
    )
