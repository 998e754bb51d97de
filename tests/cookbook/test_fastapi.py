"""The relay of the cookbook in FastAPI, behind uvicorn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cookbook.relay_laws import AsyncRelayLaws
from tests.cookbook.relays import Relay, relaying


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    command = ("-m", "uvicorn", "fastapi_relay:app", "--port", "{port}")
    with relaying("fastapi", tmp_path_factory.mktemp("fastapi"), *command) as running:
        yield running


class TestFastAPI(AsyncRelayLaws):
    refusal = (
        429,
        {
            "error": {
                "type": "rate_limited",
                "message": "The provider asks to wait before the next request.",
                "retryable": True,
                "may_repeat": False,
            }
        },
    )
