"""A2A: what real servers send, recorded and live, and what the SDK's own client yields."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.formats.a2a.server import ask, client_of, http_client
from tests.project import ROOT
from tests.support import chunkings
from tests.support.beside import SHARED
from tests.support.packages import needed
from tests.support.reading import read
from tokenstream import AsyncStream, Stream, aconnect, testing
from tokenstream.errors import ProviderError

_OURS = sorted((ROOT / "tests" / "recordings" / "a2a").glob("*.sse"))
_FOLDER = SHARED / "agents" / "recordings" / "a2a"
_CASSETTES = sorted(_FOLDER.glob("*.yaml"))
needs_cassettes = pytest.mark.skipif(
    not _CASSETTES,
    reason="reads cassettes of another server from ../shared/agents, which are not part of this",
)
WIRES = ("1.0", "0.3", "1.0-http", "0.3-http")


@pytest.fixture
def anyio_backend() -> str:
    """The SDK's server is one of asyncio."""
    return "asyncio"


@pytest.mark.parametrize("wire", WIRES)
def test_the_recorded_task_reads_alike_in_every_version(wire: str) -> None:
    body = next(path for path in _OURS if path.stem == f"task-{wire}").read_bytes()
    message = Stream([body]).final()

    assert "Oslo is sunny, today." == message.text
    assert ["text", "opaque", "media", "media"] == [part.kind for part in message.parts]
    assert "stop" == message.finish_reason
    assert 1 == len(message.provider_data["status_messages"])


@needs_cassettes
@pytest.mark.parametrize("path", _CASSETTES, ids=lambda path: path.stem)
def test_another_server_answers_in_its_last_status(path: Path) -> None:
    found = [recording for recording in testing.load_cassette(path) if b'"status-update"' in recording.body]

    assert found
    for recording in found:
        body = recording.body
        texts = set()
        for chunks in chunkings.several(body, path.stem).values():
            reading = read(chunks)

            assert ("a2a", None, {}) == (reading.format, reading.error, reading.departures)
            assert ("stop", "complete") == (reading.message.finish_reason, reading.message.ending)
            texts.add(reading.message.text)
        assert 1 == len(texts)
        assert texts.pop()


# -- live --------------------------------------------------------------------


@pytest.mark.slow_rows("Oslo is sunny, today.")
@pytest.mark.anyio
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        ("weather", "Oslo is sunny, today.", "stop"),
        ("message", "Hello at once.", "stop"),
        ("status", "Only in the status.", "stop"),
        ("input", "In which town?", "pause"),
    ],
)
async def test_a_real_server_is_read(wire: str, question: str, text: str, reason: str) -> None:
    needed("a2a")
    async with http_client() as client:
        async with aconnect(**ask(question, wire), client=client) as stream:
            message = await stream.final()

        assert "a2a" == stream.format
        assert (text, reason, "complete") == (message.text, message.finish_reason, message.ending)
        assert {} == stream.departures.details


@pytest.mark.anyio
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("question", "words"), [("fail", "is down"), ("reject", "do not do that")])
async def test_a_failure_of_a_real_server_is_an_error(wire: str, question: str, words: str) -> None:
    needed("a2a")
    async with http_client() as client, aconnect(**ask(question, wire), client=client) as stream:
        with pytest.raises(ProviderError, match=words):
            await stream.final()


@pytest.mark.anyio
@pytest.mark.parametrize("wire", ["1.0", "0.3"])
async def test_an_append_that_a_real_server_refuses_is_an_error(wire: str) -> None:
    """The SDK's server ends the stream with an error of JSON-RPC; the text before it is kept."""
    needed("a2a")
    async with http_client() as client, aconnect(**ask("stray", wire), client=client) as stream:
        with pytest.raises(ProviderError) as caught:
            await stream.final()

    assert "-32006" == caught.value.code
    assert "Oslo is sunny, today." == caught.value.partial.text


@pytest.mark.anyio
async def test_what_the_sdks_own_client_yields_is_read() -> None:
    needed("a2a")
    pb2: Any = needed("a2a.types.a2a_pb2")
    async with http_client() as http:
        client = client_of(http)
        question = pb2.Message(message_id="m-1", role=pb2.Role.ROLE_USER, parts=[pb2.Part(text="weather")])
        answers = client.send_message(pb2.SendMessageRequest(message=question))
        async with aclosing(answers), AsyncStream(answers) as stream:
            message = await stream.final()

    assert ("a2a", "Oslo is sunny, today.", "stop") == (stream.format, message.text, message.finish_reason)
