"""Text deltas that differ in their text alone are read at a glance, and only they."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.formats.told import DONE, tell
from tokenstream import Decoder, Limits
from tokenstream.events import TextDelta
from tokenstream.formats import Fast, Format
from tokenstream.formats._fast.shape import PayloadShape


class Little(Format):
    """A format of one field and a counter."""

    __slots__ = ("decoded",)

    name: ClassVar[str] = "little"
    sentinel: ClassVar[bytes | None] = DONE
    fast: ClassVar[Fast | None] = Fast(texts=[("text",)], changing=[("n",)])

    def __init__(self, *, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
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
    format = Little()
    got = tell(format, *deltas(50), {"finish": 1})

    assert 3 == format.decoded
    assert "".join(f"t{n} " for n in range(50)) == got.message.text
    assert 51 == format.frames


def test_after_anything_else_the_next_delta_is_decoded() -> None:
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
    assert 10 == got.format.departures.details["role_missing"]


def test_deltas_that_are_never_alike_are_tried_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning costs more than reading, so it must pay."""
    tried: list[bytes] = []
    learn = PayloadShape.learn

    def counting(payload: bytes, *args: Any, **options: Any) -> PayloadShape | None:
        tried.append(payload)
        return learn(payload, *args, **options)

    monkeypatch.setattr(PayloadShape, "learn", counting)
    tell(Little(), *[{"n": n, f"x{n}": n, "text": "a"} for n in range(400)])

    assert 2 <= len(tried) <= 9


def test_half_a_character_is_not_overtaken() -> None:
    """The text after it waits for it."""
    frames = [{"n": 1, "text": piece} for piece in ("a", "b", "c", "\ud83c", "\udf0a", "d", "e", "f")]

    assert ["a", "b", "c", "🌊", "d", "e", "f"] == tell(Little(), *frames).texts


def test_objects_that_are_already_decoded_are_compared_value_by_value() -> None:
    format = Little()
    sent = deltas(10)
    got = tell(format, *sent, plain=True)

    assert 2 == format.decoded
    assert [delta["text"] for delta in sent] == got.texts
    raws = [event.raw for event in got.events if isinstance(event, TextDelta)]
    assert all(one is other for one, other in zip(sent, raws, strict=True))


def test_an_object_that_is_changed_after_it_was_read_changes_nothing() -> None:
    """Sources may fill one object again and again."""
    decoder, payload, texts = Decoder(Little()), {"n": 1, "text": "", "odd": 0}, []
    for number in range(9):
        payload["text"], payload["odd"] = f"t{number}", number // 5
        texts += [event.text for event in decoder.feed(payload) if isinstance(event, TextDelta)]

    assert [f"t{number}" for number in range(9)] == texts
    assert 4 == decoder.departures.details["role_missing"]


@pytest.mark.parametrize("bound", [{"text": 9}, {"depth": 1}, {"body": 3}, {"event": 2}])
def test_bounds_hold_for_decoded_deltas_alike(bound: dict[str, int]) -> None:
    """The error is the one that reading each of them brings, after the same events."""

    def told(format: Format) -> Any:
        decoder = Decoder(format, limits=Limits(**bound))
        sent = [{"text": f"t{n}", "a": [n // 5 and [1]]} for n in range(9)]
        events = [decoder.feed(delta) for delta in sent]
        return events, repr(decoder.error), decoder.metrics, decoder.message

    class Slow(Little):
        fast = None

    assert told(Slow()) == told(Little())


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
    format = Counted()
    alike = deltas(9)[1:]
    got = tell(format, *alike, {**alike[0], "n": odd})

    assert 3 == format.decoded
    assert 8 == format.last.raw["n"]
    assert "".join(delta["text"] for delta in [*alike, alike[0]]) == got.message.text


@pytest.mark.parametrize("digits", [2, 39, 40, 4_300])
def test_no_number_outgrows_its_bound_because_it_is_not_decoded(digits: int) -> None:
    """Where one might, a payload with another number is decoded."""
    format = Little(limits=Limits(digits=digits))
    got = tell(format, *[{**delta, "n": delta["n"] + 50} for delta in deltas(60)])

    assert (50 if digits == 2 else 60) == len(got.texts)
    assert (digits < 40) == (format.decoded >= 50)
