"""The streams of openai's SDK that are no chat: runs of Assistants, and legacy completions."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.recordings import Recorded, ours
from tests.support.sampling import sampled
from tokenstream import AsyncStream, Stream

openai = needed("openai")

# The SDK says of its own Assistants that they are deprecated.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RUNS = [recorded for recorded in ours() if recorded.format == "openai-assistants"]
COMPLETIONS = [recorded for recorded in ours() if recorded.format == "openai-completions"]
RUN = {"thread_id": "thread_1", "assistant_id": "asst_1"}


def _frames(recorded: Recorded) -> list[bytes]:
    return [event + b"\n\n" for event in recorded.body.split(b"\n\n") if event]


@contextmanager
def _client(recorded: Recorded) -> Generator[Any]:
    with (
        Loopback(chunked(_frames(recorded))) as server,
        openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client,
    ):
        yield client


def _name(recorded: Recorded) -> str:
    return recorded.name


def _created(client: Any) -> Any:
    return client.beta.threads.runs.create(**RUN, stream=True)


def _managed(client: Any) -> Any:
    return client.beta.threads.runs.stream(**RUN)


def _observed(client: Any) -> Any:
    return (event for event in _created(client))


def _observed_helper(client: Any) -> Any:
    with _managed(client) as handler:
        yield from handler


@pytest.mark.slow
@pytest.mark.parametrize("opened", [_created, _managed, _observed, _observed_helper])
@pytest.mark.parametrize("recorded", sampled(RUNS, one_in=3), ids=_name)
def test_a_run_of_the_sdk_gives_what_its_bytes_give(recorded: Recorded, opened: Any) -> None:
    """From the response beneath, or from objects that hold an event's name beside its payload."""
    with _client(recorded) as client:
        stream = Stream(opened(client))

        assert Stream([recorded.body]).final() == stream.final()
        assert "openai-assistants" == stream.format
        assert {} == dict(stream.departures)


# On trio the SDK's own loops leave generators behind, of which trio warns.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("opened", [_created, _managed])
async def test_an_async_run_of_the_sdk_gives_what_its_bytes_give(opened: Any) -> None:
    """The same for `async for`, awaited or entered by the stream."""
    recorded = RUNS[0]
    with Loopback(chunked(_frames(recorded))) as server:
        async with (
            openai.AsyncOpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0) as client,
            AsyncStream(opened(client)) as stream,
        ):
            message = await stream.final()

    assert Stream([recorded.body]).final() == message


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("recorded", COMPLETIONS, ids=_name)
def test_completions_of_the_sdk_give_what_their_bytes_give(recorded: Recorded, observed: bool) -> None:
    """From the response beneath, or from the SDK's objects."""
    with _client(recorded) as client:
        source = client.completions.create(model="m", prompt="p", stream=True)
        stream = Stream((chunk for chunk in source) if observed else source)

        assert Stream([recorded.body]).final() == stream.final()
        assert "openai-completions" == stream.format
        assert {} == dict(stream.departures)
