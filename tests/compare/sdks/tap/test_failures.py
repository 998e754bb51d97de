"""`tap` around the streams of the real SDKs: what goes wrong, and who closes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.compare.sdks.tap.sdks import BODIES, LEAVES_GENERATORS, Client, answer, anthropic, each_sdk, openai
from tests.stream.bodies import ANSWER
from tests.support.loopback import OPEN, RST, Loopback, Script, chunked_head, http_chunk, sized
from tests.support.wire import sse
from tokenstream import Stream, tap, testing
from tokenstream.errors import ProviderError, StatusError, StreamInterrupted, StreamTruncated

pytestmark = [LEAVES_GENERATORS]

FIRST = {"openai": 4, "anthropic": 6}
"""How many events are sent before something goes wrong."""


def begun(sdk: str, *rest: Any) -> Script:
    return [chunked_head(), *map(http_chunk, BODIES[sdk][: FIRST[sdk]]), *rest]


@pytest.mark.anyio
@each_sdk
async def test_leaving_the_loop_closes_nothing_and_closing_does(sdk: str) -> None:
    with Loopback(begun(sdk, OPEN, 2.0)) as server:
        with Client(sdk, server) as client:
            for _ in (first := tap(client.create())):
                break
            assert "streaming" == first.message.ending
            assert server.connections[0].open_after()
            first.close()
            assert server.connections[0].closed_within()
        async with Client(sdk, server, later=True) as later:
            second: Any = tap(await later.create())
            await anext(second)
            assert server.connections[1].open_after()
            await second.close()
            assert server.connections[1].closed_within()

    assert ["stopped"] * 2 == [first.message.ending, second.message.ending]
    assert first.error is None


ERRORS = {
    "openai": sse('{"error": {"message": "Overloaded", "type": "server_error", "code": "x"}}'),
    "anthropic": b"".join(testing.script().error("Overloaded").chunks("anthropic")),
}


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("between", [False, True], ids=["bytes", "objects"])
async def test_an_error_of_the_providers_is_failed(sdk: str, *, between: bool) -> None:
    """The SDK's exception reaches the loop; the error beside it says what the provider said."""
    own: Any = {"openai": openai.APIError, "anthropic": anthropic.APIStatusError}[sdk]
    headers = [("request-id", "req_7")]
    body = [*BODIES[sdk][: FIRST[sdk]], ERRORS[sdk]]
    with Loopback(sized(b"".join(body), headers=headers)) as server:
        with Client(sdk, server) as client:
            stream = client.create()
            first = tap((item for item in stream) if between else stream)
            with pytest.raises(own, match="Overloaded"):
                list(first)
        async with Client(sdk, server, later=True) as later:
            stream = await later.create()
            second: Any = tap((item async for item in stream) if between else stream)
            with pytest.raises(own, match="Overloaded"):
                [item async for item in second]

    for tapped in (first, second):
        assert "failed" == tapped.message.ending
        assert isinstance(tapped.error, ProviderError)
        assert tapped.error.partial == tapped.message
        assert tapped.error.request_id == (None if between else "req_7")


@pytest.mark.anyio
@each_sdk
@pytest.mark.parametrize("between", [False, True], ids=["bytes", "objects"])
async def test_a_cut_is_truncated(sdk: str, *, between: bool) -> None:
    """The SDK's exception reaches the loop, and what had arrived is kept beside it, with the cause."""
    with Loopback(begun(sdk, 0.05, RST)) as server:
        with Client(sdk, server) as client:
            stream = client.create()
            first = tap((item for item in stream) if between else stream)
            with pytest.raises(Exception) as met:  # noqa: PT011 - the SDKs raise what they like
                list(first)
        async with Client(sdk, server, later=True) as later:
            stream = await later.create()
            second: Any = tap((item async for item in stream) if between else stream)
            with pytest.raises(type(met.value)) as met_too:
                [item async for item in second]

    for tapped, theirs in ((first, met.value), (second, met_too.value)):
        assert "truncated" == tapped.message.ending
        assert isinstance(tapped.error, StreamInterrupted)
        assert tapped.error.kind == "network"
        assert tapped.error.__cause__ in (theirs, theirs.__cause__)


@each_sdk
def test_an_answer_that_ends_too_early_is_truncated_though_the_sdk_does_not_notice(sdk: str) -> None:
    """A clean end without the answer's own end passes for an end in the SDKs; the tap knows better."""
    with Loopback(answer(BODIES[sdk][: FIRST[sdk]])) as server, Client(sdk, server) as client:
        got = list(tapped := tap(client.create()))

    assert got
    assert "truncated" == tapped.message.ending
    assert isinstance(tapped.error, StreamTruncated)


@pytest.mark.anyio
@each_sdk
async def test_a_refused_request_is_reported_beside_the_sdks_exception(sdk: str) -> None:
    own = {"openai": openai, "anthropic": anthropic}[sdk].RateLimitError
    said = json.dumps({"error": {"type": "rate_limit_error", "message": "Slow down"}}).encode()
    script = sized(said, status=429, content_type="application/json", headers=[("retry-after", "3")])
    with Loopback(script) as server:
        with Client(sdk, server) as client:
            first = tap(client.stream())
            with pytest.raises(own), first:
                pass
        async with Client(sdk, server, later=True) as later:
            second = tap(later.stream())
            with pytest.raises(own):
                await second.__aenter__()

    for tapped in (first, second):
        assert "failed" == tapped.message.ending
        assert isinstance(tapped.error, StatusError)
        assert (429, 3.0) == (tapped.error.status, tapped.error.retry_after)


@pytest.mark.parametrize("finish", [True, False], ids=["finish reason", "no finish reason"])
def test_the_sdk_stops_at_the_sentinel_and_that_is_complete(*, finish: bool) -> None:
    """The SDK closes at `[DONE]`, whatever the server still has to say."""
    body = [event for event in ANSWER if finish or b'"finish_reason": "' not in event]
    with (
        Loopback([chunked_head(), *map(http_chunk, body), OPEN, 2.0]) as server,
        Client("openai", server) as client,
    ):
        list(tapped := tap(client.create()))
        assert server.connections[0].closed_within()

    assert Stream(body).final() == tapped.message
    assert "complete" == tapped.message.ending
    assert tapped.error is None
