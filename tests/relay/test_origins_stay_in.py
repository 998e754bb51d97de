"""The origin of an answer is for logs and tracebacks: no reader, page or model is told of hosts and paths."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from tests.relay.journals import in_memory
from tests.relay.test_private_errors import errors_of_streams
from tests.support.asgi import response_to
from tests.support.encoders import PROTOCOLS
from tests.support.tables import in_one_test
from tokenstream import Steps, relay, testing
from tokenstream.call_store import MemoryCallStore
from tokenstream.errors import StreamError
from tokenstream.events import Event, TextDelta
from tokenstream.relay import ProtocolName
from tokenstream.stream import Origin

SECRET = "secret-host.example"
ORIGIN = Origin(host=SECRET, path="/secret-path", request_id="secret-id", route="secret-route")
MADE = [*errors_of_streams()]
"""An error of each class."""
for error in MADE:
    error.origin = ORIGIN


def events_then(error: StreamError) -> Iterator[Event]:
    yield TextDelta("Hel")
    raise error


async def aevents_then(error: StreamError, *events: Event) -> AsyncIterator[Event]:
    for event in events:
        yield event
    await anyio.lowlevel.checkpoint()
    raise error


def test_the_errors_of_these_tests_tell_their_origins() -> None:
    assert all("secret-host" in str(error) for error in MADE)
    assert not any("secret-host" in error.message for error in MADE)


@in_one_test("raw", [False, True])
@in_one_test("protocol", PROTOCOLS)
def test_a_relay_sends_no_origin(protocol: ProtocolName, raw: bool) -> None:
    for error in MADE:
        chunks = relay.encode(events_then(error), protocol, raw=raw)
        assert b"secret-" not in b"".join(chunks)


@pytest.mark.anyio
@pytest.mark.parametrize("begun", [False, True])
async def test_a_response_and_a_journal_have_no_origin(begun: bool) -> None:
    """A refusal with a status, an event, and the records from which other processes read."""
    events = [TextDelta("Hel")] if begun else []
    for error in errors_of_streams():
        error.origin = ORIGIN
        client = await response_to(relay.respond(aevents_then(error, *events)))
        async with relay.Journal(storage := in_memory()) as journal:
            response = relay.respond(aevents_then(error, *events), journal=journal, id="answer")
            kept = await response_to(response)
            page = await storage.read("answer", 0, 100)

        assert page is not None
        for told in (client.body, kept.body, *page.records):
            assert b"secret-" not in told
        assert page.records[-1].startswith(b'{"type":"error"')


def failing(question: str) -> str:
    """Ask another model, whose answer breaks off."""
    error = StreamError(f"the other model has failed: {question}")
    error.origin = ORIGIN
    raise error


def test_a_model_is_told_no_origin_of_another_model() -> None:
    """A tool may ask a model itself; what it raises is kept in the store, for the model."""
    script = testing.script().tool_call("failing", {"question": "why"}, id="call_1").finish("tool_calls")
    store = MemoryCallStore()
    with script.stream("anthropic", job="answer") as stream:
        (call,) = stream.validated_calls(failing, once=store)
        with pytest.raises(StreamError, match="secret-host"):
            call.run()
    with script.stream("anthropic", job="answer") as stream:
        (again,) = stream.validated_calls(failing, once=store)
        words = str(again.state)

    assert "the other model has failed: why" in words
    assert "secret-" not in words


def test_a_step_tells_no_origin() -> None:
    """Steps are shown on pages, and sent by relays."""
    with Steps("ask") as run, pytest.raises(StreamError), run.step("model"):
        failing("why")
    sent = b"".join(relay.encode(run.events(), "tokenstream", raw=True))

    assert "the other model has failed: why" in str(run.steps[0].error)
    assert b"the other model has failed" in sent
    assert "secret-" not in f"{run} {run.steps[0].error} {sent!r}"
