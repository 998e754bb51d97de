"""The providers' own SDKs, pointed at the replay server, read the demo's recordings as we do."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from tests.support.packages import needed
from tests.support.replies import at_once, serve_in_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.testing import Recording, Server

# Importing an SDK takes seconds on a busy machine.


def _recorded(name: str) -> Recording:
    return at_once(files("tokenstream.cli").joinpath("recordings", name).read_bytes())


@pytest.fixture
def server() -> Iterator[Server]:
    replies = {
        "/v1/chat/completions": _recorded("openai-chat.sse"),
        "/v1/messages": _recorded("anthropic.sse"),
    }
    with serve_in_time(replies) as running:
        yield running


def test_the_sdks_find_the_request_id_where_they_look_for_it(server: Server) -> None:
    """OpenAI's is `x-request-id`, Anthropic's `request-id`."""
    anthropic = needed("anthropic")
    with anthropic.Anthropic(api_key="made-up", base_url=server.url, max_retries=0) as client:
        raw = client.messages.with_raw_response.create(
            model="demo-2", max_tokens=8, stream=True, messages=[{"role": "user", "content": "Hello"}]
        )
        raw.http_response.read()

        assert "req_0000000000000001" == raw.request_id
