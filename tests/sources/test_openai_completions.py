"""The streams of legacy completions of openai's SDK."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.loopback import Loopback, chunked
from tests.support.packages import needed
from tests.support.recordings import Recorded, ours
from tokenstream import Stream

openai = needed("openai")

COMPLETIONS = [recorded for recorded in ours() if recorded.format == "openai-completions"]


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
