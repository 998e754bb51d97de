"""The protocol of our own: readers that go on from a position."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.tokenstream.support import Read, frame, line, record, written
from tests.support import registry
from tokenstream import Checkpoint, Job, Limits, Retry, Stream, resilient
from tokenstream import events as told
from tokenstream.errors import PositionLost, StreamError
from tokenstream.events import Event, PartDone, PartStart, Restarted, TextDelta
from tokenstream.formats._reader import prepare_to_continue
from tokenstream.framing import SSEParser
from tokenstream.message import Message, TextPart, Usage


def test_what_is_sent_again_is_dropped() -> None:
    """A format that goes on reads what is behind its position, over either framing, merged deltas too."""
    records = [record(TextDelta(text)) for text in "abcd"]
    for place in (frame, line):
        for start in range(1, 4):
            reader = registry.create("tokenstream", limits=Limits())
            sent = [_payload(place, at, each) for at, each in enumerate(records, 1)]
            for each in sent[:2]:
                reader.feed(each)
            assert 2 == reader.position
            prepare_to_continue(reader)
            events = [event for each in sent[start - 1 :] for event in reader.feed(each)]
            assert "cd" == "".join(event.text for event in events if isinstance(event, TextDelta))
            assert reader.dropped == max(0, 3 - start)


def _payload(place: Any, at: int, record: bytes) -> Any:
    placed = place(at, record)
    return SSEParser().feed(placed)[0] if place is frame else placed


def test_where_live_begins_is_no_position() -> None:
    """A reader that is cut while it is told what had happened before asks for the rest of that."""
    for place in (frame, line):
        chunks = [place(None, b'{"type":"live","at":9}'), place(3, record(TextDelta("a")))]
        assert Read(chunks[:1], "tokenstream").stream.checkpoint().position is None
        assert 3 == Read(chunks, "tokenstream").stream.checkpoint().position


def test_a_gap_is_reported() -> None:
    """Where the relay goes on further behind, something is missing, and nothing is skipped silently."""
    known = registry.create("tokenstream", limits=Limits())
    known.feed(line(2, record(TextDelta("b"))))
    prepare_to_continue(known)
    known.feed(line(5, record(PartDone())))

    assert isinstance(known.error, PositionLost)


def test_a_continued_answer_is_read_on_from_each_position() -> None:
    """A reader that was cut off gets all of an answer that another request had continued, whole and once."""
    whole = "The sky is blue."
    joint = told.Resumed(mode="continue", dropped=9, at=len(whole), id="msg_2")
    events: list[Event] = [PartStart(TextPart()), TextDelta(whole), joint]
    events += [TextDelta(" It is high."), PartDone(TextPart(text=f"{whole} It is high.", complete=True))]
    for protocol in ("tokenstream", "ndjson"):
        body = written([*events, told.Finish("stop")], protocol=protocol, ids=True)
        for read in range(1, len(body)):
            connections = iter([body[:read], body[read:]])
            stream = resilient(lambda _: next(connections), Retry(wait=0))  # noqa: B023 - called at once

            assert f"{whole} It is high." == stream.final().text
            [join] = stream.message.joined
            assert (len(whole), 9, "msg_2") == (join.at, join.dropped, join.id)


def test_the_id_of_an_event_is_its_position() -> None:
    """A record that has an id of SSE may have any other field, which is no position."""
    told_elsewhere = frame(3, b'{"type":"resumed","mode":"continue","dropped":9,"at":16}')
    with Stream([told_elsewhere], format="tokenstream") as stream:
        next(stream)

        assert 3 == stream.checkpoint().position


def test_an_answer_that_begins_again_begins_again() -> None:
    """Views of a relayed answer start over where it does, and give no element twice."""
    events: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},')]
    again: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},{"a":2}]'), told.Finish("stop")]
    told_ = Restarted(Message.model_construct())
    told_.is_repeat = True
    body = written([*events, told_, *again])
    stream = Stream(iter(body))

    assert [{"a": 1}, {"a": 2}] == list(stream.items(dict[str, int], at=""))
    discarded = next(event for event in Read(body).events if isinstance(event, Restarted)).discarded
    assert '[{"a":1},' == discarded.text


def test_an_answer_that_was_held_back_begins_again_as_any_other() -> None:
    """A rule that holds an answer back until it has decided changes nothing in what its views give."""
    told_ = Restarted(Message.model_construct())
    told_.is_repeat = True
    first: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},'), TextDelta('{"a":2},')]
    again: list[Event] = [PartStart(TextPart()), TextDelta('[{"a":1},{"a":2},{"a":3}]'), told.Finish("stop")]
    body = written([*first, told_, *again])
    stream = Stream(iter(body)).guard(lambda _: None, first_tokens=2, hold=True)

    assert [{"a": 1}, {"a": 2}, {"a": 3}] == list(stream.items(dict[str, int], at=""))


def test_the_tokens_of_each_request_are_counted_wherever_a_client_goes_on() -> None:
    """A client that leaves and comes back has in its sum what was given up before, or knows that it lacks."""
    begun_anew = Restarted(Message.model_construct())
    begun_anew.is_repeat = True
    counted = told.UsageUpdate(Usage(input_tokens=9, output_tokens=5))
    rest: list[Event] = [told.UsageUpdate(Usage(input_tokens=9, output_tokens=1)), TextDelta("Bye")]
    rest += [told.UsageUpdate(Usage(output_tokens=7)), told.Finish("stop")]
    begun: list[Event] = [PartStart(TextPart()), TextDelta("Hello"), counted]
    for between in ([begun_anew, PartStart(TextPart())], [told.Resumed(mode="continue", at=5)]):
        body = written([*begun, *between, *rest], ids=True)
        for read in range(1, len(body)):
            kept = _checkpoint(body[:read])
            usage = Stream(body[read:], job=Job("job", checkpoint=kept)).final().usage

            assert (18, 12, "partial") == (usage.input_tokens, usage.output_tokens, usage.basis)


def _checkpoint(body: list[bytes]) -> Checkpoint:
    """Return the stored state of a client that has read the beginning of an answer."""
    with pytest.raises(StreamError) as caught:
        Stream(body, format="tokenstream").final()
    return Checkpoint.model_validate_json(caught.value.checkpoint.model_dump_json())


def test_half_a_character_becomes_the_replacement_character() -> None:
    """No JSON and no UTF-8 can carry one, so a message never has it, whatever a relay sends."""
    told = [
        {"type": "text_delta", "text": "a\ud83d"},
        {"type": "finish", "reason": "stop", "raw_reason": "\ud83d"},
    ]
    message = Stream([*told, {"type": "end", "ending": "complete"}], format="tokenstream").final()

    assert ("a\ufffd", "\ufffd") == (message.text, message.raw_finish_reason)
    assert message == Message.model_validate_json(message.model_dump_json())
