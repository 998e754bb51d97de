"""The position that a server is asked to go on after: the same, whichever way an event was read."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.formats.openai_responses.payloads import frame, hello, numbered
from tests.support import chunkings, registry
from tests.support.formats import OpenAIResponses
from tests.support.resuming import SCRIPTED, Answer, recorded
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.framing import SSEParser
from tokenstream.limits import DEFAULT_LIMITS

_ANSWERS = [*SCRIPTED, *sampled(recorded(), one_in=60, slow_one_in=8)]


def _plainly(answer: Answer) -> list[tuple[type[Event], int | str | None]]:
    """Return the kind of each event, with the position after its frame, where every payload is decoded."""
    known = registry.create(answer.format, limits=DEFAULT_LIMITS)
    known.shortcuts = False
    told = []
    for came in SSEParser().frames(b"".join(answer.chunks)):
        events = known.feed(came)
        told += [(type(event), known.position) for event in events]
        if known.error is not None or known.ended:
            break
    return told


@pytest.mark.slow_rows("everything")
@pytest.mark.parametrize("answer", _ANSWERS, ids=lambda answer: answer.name)
def test_the_position_moves_with_each_event(answer: Answer) -> None:
    body = b"".join(answer.chunks)
    expected = _plainly(answer)
    for chunks in (answer.chunks, *chunkings.several(body, answer.name).values()):
        stream = Stream(chunks, format=answer.format)
        told = []
        with suppress(StreamError):
            for event in stream:
                told.append((type(event), stream.checkpoint().position))

        assert expected == told[: len(expected)]


def test_a_payload_that_is_read_at_a_glance_moves_the_position() -> None:
    known = OpenAIResponses()
    begun = hello(0)[:3]
    payloads = numbered(*begun, *[{**begun[2], "delta": "more"} for _ in range(9)])
    positions = []
    for payload in payloads:
        known.feed(frame(payload))
        positions.append(known.position)

    assert [*range(len(payloads))] == positions


@in_one_test("name", [name for name in registry.names() if not registry.load(name).resumes])
def test_other_formats_have_no_position(name: str) -> None:
    """Servers of other formats cannot replay an answer, so nothing is kept for them."""
    known = registry.create(name, limits=DEFAULT_LIMITS)

    assert (None, None) == (known.position, known.state())
