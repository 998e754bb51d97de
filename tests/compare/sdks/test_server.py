"""The server of tests sends the id of a request where the providers' SDKs look for it."""

from __future__ import annotations

from importlib.resources import files

from tests.support.packages import needed
from tests.support.replies import at_once, serve_in_time


def test_the_sdk_of_anthropic_finds_the_request_id_where_it_looks_for_it() -> None:
    """OpenAI's is `x-request-id`, Anthropic's `request-id`."""
    anthropic = needed("anthropic")
    recorded = at_once(files("tokenstream.cli").joinpath("recordings", "anthropic.sse").read_bytes())
    with (
        serve_in_time({"/v1/messages": recorded}) as server,
        anthropic.Anthropic(api_key="made-up", base_url=server.url, max_retries=0) as client,
    ):
        raw = client.messages.with_raw_response.create(
            model="demo-2", max_tokens=8, stream=True, messages=[{"role": "user", "content": "Hello"}]
        )
        raw.http_response.read()

        assert "req_0000000000000001" == raw.request_id
