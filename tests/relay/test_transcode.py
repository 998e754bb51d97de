"""Any format in, any protocol out: what an answer comes to is the same on both sides."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.beside import needs_recordings
from tests.support.encoders import READ_BACK, Encoder, load, read_as
from tests.support.recordings import Recorded, ours, shared
from tests.support.sampling import in_turn, sampled
from tests.support.sent import text_in
from tokenstream import Stream, relay
from tokenstream.errors import StreamError
from tokenstream.events import Event, Finish, TextDelta, UsageUpdate
from tokenstream.message import Message, Usage
from tokenstream.relay import ProtocolName

_BROKEN = ("truncated", "failed")


class _Read:
    def __init__(self, body: Any, format: Any) -> None:
        stream = Stream(body, format=format)
        self.error: StreamError | None = None
        self.usages: list[Usage] = []
        try:
            self.usages += [event.usage for event in stream if isinstance(event, UsageUpdate)]
        except StreamError as error:
            self.error = error
        self.message = stream.message


def _calls(message: Message) -> list[tuple[str, Any]]:
    """Return the whole calls of functions; where the arguments are free text, protocols have other places."""
    return [
        (call.name, arguments)
        for call in message.tool_calls
        if call.complete and call.type != "custom"
        if not isinstance(arguments := json.loads(call.arguments_text or "{}"), str)
    ]


def _compare(encoder: type[Encoder], sent: _Read, read: _Read) -> None:
    said, heard = sent.message, read.message
    assert (sent.error is None) == (read.error is None)
    assert said.ending == heard.ending or (said.ending in _BROKEN and heard.ending in _BROKEN)
    assert text_in(encoder.name, said) == heard.text
    if "tool_call" in encoder.expresses:
        assert _calls(said) == _calls(heard)
    if sent.error is not None:
        return
    reason = said.finish_reason
    if reason is not None and encoder.words.get(reason):
        # UI streams answer calls themselves, and stop; elsewhere a stop on calls asks for their results.
        answered = {"stop", "tool_calls"} if said.tool_calls else set()
        # Anthropic ends a refusal with a word of its own; elsewhere it ends like any other answer.
        refused = {"stop", "refusal"} if said.refusal else set()
        assert reason == heard.finish_reason or {reason, heard.finish_reason} in (answered, refused)
    if any(getattr(said.usage, name) == 0 for usage in sent.usages for name, count in usage if count):
        # Of a session's later turn: within one answer, such a zero is not a count.
        return
    for name in encoder.counts:
        count = getattr(said.usage, name)
        assert not count or count == getattr(heard.usage, name), name


def _holds(recorded: Recorded, protocols: Iterable[ProtocolName] = READ_BACK) -> None:
    sent = _Read([recorded.body], recorded.format)
    for name in protocols:
        body = b"".join(relay.encode(Stream([recorded.body], format=recorded.format), name))
        _compare(load(name), sent, _Read([body], read_as(name)))


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("recorded", sampled(ours(), one_in=8), ids=lambda recorded: recorded.name)
def test_an_answer_is_the_same_in_every_protocol(recorded: Recorded) -> None:
    """Text, calls, finish reason, token counts and ending, wherever the protocol has a place for them."""
    _holds(recorded)


@needs_recordings
@pytest.mark.parametrize(
    "recorded",
    sampled([each for each in shared() if each.format != "custom"], one_in=100, slow_one_in=3),
    ids=lambda recorded: recorded.name,
)
def test_an_answer_of_a_real_server_is_the_same_in_every_protocol(recorded: Recorded) -> None:
    """The law above, for answers of real servers; each in some protocols, and in all in a thorough run."""
    _holds(recorded, in_turn(READ_BACK, recorded.name, one_in=6))


def test_bare_text_has_no_carriage_returns() -> None:
    """A line of an event stream cannot hold one: where all that has no place is dropped, it ends the line."""
    events: list[Event] = [TextDelta("one\r\ntwo\rthree \ud83c"), Finish("stop")]

    body = b"".join(relay.encode(events, "text"))
    assert Stream([body], format="text").final().text == "one\ntwo\nthree \ufffd"
