"""Text deltas that differ in their text alone are read at a glance, and only they."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.formats.told import DONE, tell
from tokenstream import Decoder, Limits
from tokenstream.events import TextDelta
from tokenstream.formats import Fast, Format
from tokenstream.formats._fast.shape import Shape
from tokenstream.framing import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream.events import Event


class Little(Format):
    """A format of one field and a counter."""

    __slots__ = ("decoded",)

    name: ClassVar[str] = "little"
    sentinel: ClassVar[bytes | None] = DONE
    fast: ClassVar[Fast | None] = Fast(texts=[("text",)], changing=[("n",)])

    def __init__(self, *, limits: Limits | None = None, pings: bool = False) -> None:
        super().__init__(limits=limits, pings=pings)
        self.decoded = 0

    @classmethod
    def recognises(cls, payload: dict[str, Any], event: str) -> bool | None:  # noqa: ARG003 - as all do
        return "text" in payload

    def read(self, payload: dict[str, Any], event: str) -> None:
        self.decoded += 1
        if payload.get("odd"):
            self.note("role_missing")
        if "finish" in payload:
            self.parts.finish(0, "stop", "stop")
        self.parts.write(payload.get("choice", 0), "text", payload.get("text", ""))


def deltas(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"n": n, "text": f"t{n} ", **fields} for n in range(count)]


def decoded(*frames: Any) -> int:
    format = Little()
    tell(format, *frames)
    return format.decoded


def test_deltas_alike_are_decoded_twice_at_most() -> None:
    """The first opens the part, the second teaches what they look like."""
    format = Little()
    got = tell(format, *deltas(50), {"finish": 1})

    assert 3 == format.decoded
    assert "".join(f"t{n} " for n in range(50)) == got.message.text
    assert 51 == format.frames


def test_a_delta_read_at_a_glance_carries_its_payload() -> None:
    """It is decoded when somebody asks."""
    events = [event for event in tell(Little(), *deltas(9)).events if isinstance(event, TextDelta)]

    assert deltas(9) == [event.raw for event in events]


def test_after_anything_else_the_next_delta_is_decoded() -> None:
    """It may belong to another part; then they are read at a glance again."""
    other = {"n": 1, "text": "x", "choice": 1}
    format = Little()
    got = tell(format, *deltas(10), other, *deltas(10))

    assert 4 == format.decoded
    assert "x" == got.messages[1].text


def test_departures_are_counted_for_each_delta() -> None:
    """A delta that bends a rule is read in the plain way."""
    format = Little()
    got = tell(format, *deltas(10, odd=True))

    assert 10 == format.decoded
    assert 10 == got.format.departures["role_missing"].count


def test_deltas_that_are_never_alike_are_tried_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning costs more than reading, so it must pay."""
    tried: list[bytes] = []
    learn = Shape.learn

    def counting(payload: bytes, *args: Any, **options: Any) -> Shape | None:
        tried.append(payload)
        return learn(payload, *args, **options)

    monkeypatch.setattr(Shape, "learn", counting)
    tell(Little(), *[{"n": n, f"x{n}": n, "text": "a"} for n in range(400)])

    assert 2 <= len(tried) <= 9


def test_after_deltas_that_are_never_alike_others_are_read_at_a_glance_again() -> None:
    """They are looked at again after about as many as were read in vain."""
    format = Little()
    tell(format, *[{"n": n, f"x{n}": n, "text": "a"} for n in range(100)], *deltas(400))

    assert 100 < format.decoded < 250


def test_without_shortcuts_every_delta_is_decoded() -> None:
    """The events are the same."""
    format = Little()
    format.shortcuts = False
    got = tell(format, *deltas(10))

    assert 10 == format.decoded
    assert tell(Little(), *deltas(10)).outcome == got.outcome


@pytest.mark.parametrize("place", [("more", "text"), ("text", "value"), ("text", 0, "x")])
def test_text_that_stands_elsewhere_is_decoded_each_time(place: Any) -> None:
    """Where the format expects it there is none, or another one."""

    class Elsewhere(Little):
        fast = Fast(texts=[place])

    format = Elsewhere()
    tell(format, *deltas(10))

    assert 10 == format.decoded


def test_half_a_character_is_not_overtaken() -> None:
    """The text after it waits for it."""
    frames = [{"n": 1, "text": piece} for piece in ("a", "b", "c", "\ud83c", "\udf0a", "d", "e", "f")]

    assert ["a", "b", "c", "🌊", "d", "e", "f"] == tell(Little(), *frames).texts


@pytest.mark.parametrize("name", ["message", "delta"])
def test_named_events_are_read_at_a_glance_while_their_name_is_the_same(name: str) -> None:
    """With an id, or with a name of their own."""
    frames: list[Any] = [ServerSentEvent(json.dumps(delta).encode(), name, "") for delta in deltas(10)]

    assert 2 == decoded(*frames)
    assert 3 == decoded(*frames, ServerSentEvent(frames[0].payload, "other", ""))
    assert (2 if name == "message" else 3) == decoded(*frames, frames[0].payload)


def test_objects_that_are_already_decoded_are_compared_value_by_value() -> None:
    """There are no bytes to compare; the event has the object itself."""
    format = Little()
    sent = deltas(10)
    got = tell(format, *sent, plain=True)

    assert 2 == format.decoded
    assert [delta["text"] for delta in sent] == got.texts
    raws = [event.raw for event in got.events if isinstance(event, TextDelta)]
    assert all(one is other for one, other in zip(sent, raws, strict=True))


def test_objects_and_bytes_in_turns_are_each_read_as_what_they_are() -> None:
    """What was learnt of one tells nothing of the other."""
    sent = deltas(60)
    mixed = [delta if number % 7 < 4 else json.dumps(delta).encode() for number, delta in enumerate(sent)]

    assert [delta["text"] for delta in sent] == tell(Little(), *mixed, plain=True).texts


def test_an_object_that_is_changed_after_it_was_read_changes_nothing() -> None:
    """Sources may fill one object again and again."""
    decoder, payload, texts = Decoder(Little()), {"n": 1, "text": "", "odd": 0}, []
    for number in range(9):
        payload["text"], payload["odd"] = f"t{number}", number // 5
        for given in _handed_over([payload]):
            texts += [event.text for event in decoder.feed(given) if isinstance(event, TextDelta)]

    assert [f"t{number}" for number in range(9)] == texts
    assert 4 == decoder.departures["role_missing"].count


def test_decoded_deltas_alike_are_read_at_a_glance_as_chunks_are() -> None:
    """No part of the format is asked but the comparison; they are chunks without bytes."""
    told: list[dict[str, Any]] = []

    class Watched(Little):
        def feed(self, frame: Any, *, now: float = 0.0) -> list[Event]:
            told.append(frame)
            return super().feed(frame, now=now)

    decoder, sent = Decoder(Watched()), deltas(20)
    for delta in _handed_over(sent):
        decoder.feed(delta)

    assert sent[:2] == told
    assert (20, 0) == (decoder.metrics.chunks, decoder.metrics.bytes)
    assert "".join(delta["text"] for delta in sent) == decoder.message.text


def _handed_over(payloads: list[dict[str, Any]]) -> list[Any]:
    """Return payloads as SDKs' objects come."""
    return list(payloads)


@pytest.mark.parametrize("bound", [{"text": 9}, {"depth": 1}, {"body": 3}, {"event": 2}])
def test_bounds_hold_for_decoded_deltas_alike(bound: dict[str, int]) -> None:
    """The error is the one that reading each of them brings, after the same events."""

    def told(format: Format) -> Any:
        decoder = Decoder(format, limits=Limits(**bound))
        sent = [{"text": f"t{n}", "a": [n // 5 and [1]]} for n in range(9)]
        events = [decoder.feed(delta) for delta in _handed_over(sent)]
        return events, repr(decoder.error), decoder.metrics, decoder.message

    class Slow(Little):
        fast = None

    assert told(Slow()) == told(Little())


@pytest.mark.parametrize("head", [b"data: ", b"event: delta\ndata: "])
def test_whole_chunks_are_read_at_a_glance(head: bytes) -> None:
    """Where nothing is held by the framing, a chunk that is one event needs no framing either."""
    format = Little()
    decoder = Decoder(format)
    chunks = [head + json.dumps(delta).encode() + b"\n\n" for delta in deltas(20)]
    texts = [event.text for chunk in chunks for event in decoder.feed(chunk) if isinstance(event, TextDelta)]
    decoder.feed(head + b'{"n":1,"text":"!"}\n\n')
    decoder.feed(b"data: [DONE]\n\n")
    decoder.end()

    assert [delta["text"] for delta in deltas(20)] == texts
    assert decoder.message.text.endswith("t19 !")
    assert decoder.error is None


def test_the_same_chunk_reader_serves_the_same_part() -> None:
    """It is made anew only for another one."""
    format = Little()
    assert format.shortcut("event", 1_000) is None
    for delta in deltas(3):
        format.feed(json.dumps(delta).encode())
    reader = format.shortcut("event", 1_000)

    assert reader is not None
    assert reader == format.shortcut("event", 1_000)
    event = reader(b'data: {"n": 7, "text": "x"}\n\n')
    assert isinstance(event, TextDelta)
    assert "x" == event.text
    assert format.shortcut("event", 10) != reader


def test_payloads_of_several_lines_have_no_chunk_reader() -> None:
    """Their lines have heads of their own."""
    format = Little()
    for delta in deltas(3):
        format.feed(json.dumps(delta, indent=1).encode())

    assert format.shortcut("event", 1_000) is None


class Counting(Little):
    """A format of two counters."""

    __slots__ = ()

    fast = Fast(texts=[("text",)], changing=[("n",), ("m",)])


@pytest.mark.parametrize("late", [8, 40])
def test_a_number_that_begins_to_change_later_is_read_at_a_glance_in_the_end(late: int) -> None:
    """Numbers that have stayed are compared with the rest, until one is another."""
    format = Counting()
    got = tell(format, *[{"n": n, "text": f"t{n} ", "m": max(n, late)} for n in range(80)])

    assert "".join(f"t{n} " for n in range(80)) == got.message.text
    assert 2 < format.decoded < 8


def test_without_a_payload_to_compare_with_any_number_may_change() -> None:
    """The text may go on in a part that was opened before the first look at the numbers."""
    format = Counting()
    tell(format, {"odd": 1, "text": "a", "n": 1, "m": 1}, *[{"n": n, "text": "a", "m": n} for n in range(40)])

    assert format.decoded < 5


class Counted(Little):
    """A format that keeps the last number, so that only a whole one may change."""

    __slots__ = ("last",)

    fast = Fast(texts=[("text",)], changing=[("n",)], counts=[("n",)])

    def follow(self, delta: Any) -> Any:
        def take(delta: Any) -> None:
            self.last = delta

        return take


@pytest.mark.parametrize("odd", [0, -7, 1.5, 10**15, "7", "x", None])
def test_where_only_whole_numbers_change_any_other_value_is_decoded(odd: Any) -> None:
    """What is kept of a delta that was not decoded is a whole number, then."""
    format = Counted()
    alike = deltas(9)[1:]
    got = tell(format, *alike, {**alike[0], "n": odd})

    assert 3 == format.decoded
    assert 8 == format.last.raw["n"]
    assert "".join(delta["text"] for delta in [*alike, alike[0]]) == got.message.text


@pytest.mark.parametrize("odd", [0, -7, 1.5, 10**15, "7", "x"])
def test_a_value_that_is_no_whole_number_may_stay_as_it_is(odd: Any) -> None:
    """It is compared with the rest."""
    format = Counted()
    tell(format, *[{**delta, "n": odd} for delta in deltas(9)])

    assert 2 == format.decoded


@pytest.mark.parametrize("digits", [2, 39, 40, 4_300])
def test_no_number_outgrows_its_bound_because_it_is_not_decoded(digits: int) -> None:
    """Where one might, a payload with another number is decoded."""
    format = Little(limits=Limits(digits=digits))
    got = tell(format, *[{**delta, "n": delta["n"] + 50} for delta in deltas(60)])

    assert (50 if digits == 2 else 60) == len(got.texts)
    assert (digits < 40) == (format.decoded >= 50)
