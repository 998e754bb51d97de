"""The protocol of our own: recorded answers come in again, event for event."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import pytest

from tests.relay.tokenstream.support import Read, written
from tests.support.beside import needs_recordings
from tests.support.formats import TokenStream
from tests.support.recordings import Recorded, folder_of, ours, shared
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream import Stream

_SHARED = [recorded for recorded in shared() if recorded.format != "custom"]


def _same(sent: Read, chunks: list[bytes]) -> None:
    again = Read(chunks)

    assert again.stream.format == "tokenstream"
    assert sent.events == again.events
    assert [event.step for event in sent.events] == [event.step for event in again.events]
    assert sent.messages == again.messages
    assert type(sent.error) is type(again.error)
    if sent.error is not None and again.error is not None:
        for name in ("kind", "retryable", "retry_after", "code", "status", "limit"):
            assert getattr(sent.error, name, None) == getattr(again.error, name, None)
        assert again.error.partial.text == sent.error.partial.text


def _holds(recorded: Recorded) -> None:
    sent = Read([recorded.body], recorded.format)
    _same(sent, sent.written(raw=True))
    _same(sent, sent.written("ndjson", ids=True, raw=True))


@pytest.mark.few_rows(8)
@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name, by=folder_of)
def test_an_answer_is_read_again_as_it_was(recorded: Recorded) -> None:
    _holds(recorded)


@needs_recordings
@pytest.mark.parametrize(
    "recorded", sampled(_SHARED, one_in=12, slow_one_in=3), ids=lambda recorded: recorded.name
)
def test_an_answer_of_a_real_server_is_read_again_as_it_was(recorded: Recorded) -> None:
    _holds(recorded)


class _Decoding(TokenStream):
    fast: ClassVar[Any] = None


def _glances(recorded: Recorded) -> None:
    events = [event for event in Read([recorded.body], recorded.format).events if event.part is not None]
    for number, event in enumerate(events):
        if number % 3:
            event.step = "1"
    for protocol, ids in product(("tokenstream", "ndjson"), (False, True)):
        chunks = written(events, protocol=protocol, ids=ids)
        cut, plainly = chunks[: len(chunks) // 2], Stream(iter(chunks), format=_Decoding())
        expected, found = list(plainly), Read(chunks, "tokenstream")
        assert expected == found.events
        assert [event.step for event in expected] == [event.step for event in found.events]
        assert plainly.message == found.stream.message
        stopped = Read(cut, "tokenstream")
        place = len([chunk for chunk in cut if b'"ping"' not in chunk]) if ids else 0
        assert (place or None) == stopped.stream.checkpoint().position


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("recorded", sampled(ours(), one_in=4), ids=lambda recorded: recorded.name)
def test_what_is_read_at_a_glance_is_the_same(recorded: Recorded) -> None:
    _glances(recorded)
