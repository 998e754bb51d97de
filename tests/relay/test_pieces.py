"""Pieces of an open part are put between bytes that are known: in the same bytes as without that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from tests.support.effort import examples, trials
from tests.support.encoders import Encoder, load
from tests.support.recordings import ours
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.errors import NotExpressible
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    PartDelta,
    PartDone,
    PartStart,
    ReasoningDelta,
    RefusalDelta,
    Restarted,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    Unknown,
    UsageUpdate,
)
from tokenstream.message import Message, ServerToolCall, ToolCall, Usage
from tokenstream.relay._encoders.encoder import WholeCalls
from tokenstream.relay._encoders.tokenstream import record, to_strict_json, write_fields
from tokenstream.testing import all_formats

FORMATS = [*all_formats, "mistral"]
each_format = pytest.mark.parametrize("format", FORMATS)

CALLS = {4: "function", 5: "function", 6: "custom"}
"""The parts below that are calls, and of what."""
THOUGHT, RUN = 2, 7
"""The parts that are reasoning, and a call of a tool that the provider runs."""
PIECES: dict[int, Any] = {THOUGHT: ReasoningDelta, 3: RefusalDelta, RUN: PartDelta}
"""What a piece of a part is where it is no text."""
CHARACTERS = 'ab "\\/\x00\x1f\n\r\x7f\x85é<>&\u2028\ud83d\ude00😀'
WORDS = ["text", "assistant", "content", "text_delta", "0", "[DONE]", '{"error"', "¿piece?", "a\ud83d"]
"""Pieces that also stand elsewhere in a payload, or are told in another way."""
texts = st.text(CHARACTERS, max_size=4) | st.sampled_from(WORDS)
steps = st.tuples(
    st.sampled_from(["piece"] * 8 + ["signed", "done", "count", "unknown", "head", "restart"]),
    st.integers(0, 7),
    st.integers(0, 1),
    texts,
)


def _plain(format: str) -> type[Encoder]:
    """Return a format's encoder as it is without what this page is about."""
    return type("Plain", (load(format),), {"steady": False})


def _told(encoder: Encoder, event: Event) -> list[bytes] | str:
    try:
        return encoder.feed(event)
    except NotExpressible as error:
        return str(error)


def _alike(format: str, events: Sequence[Event]) -> None:
    encoders = [maker(lossy=True) for maker in (load(format), _plain(format))]
    for event in events:
        known, plain = [_told(encoder, event) for encoder in encoders]
        assert plain == known, event
    known, plain = [encoder.end() for encoder in encoders]
    assert plain == known


def _piece(id: str, part: int, choice: int, text: str) -> Any:
    at: Any = {"part": part, "choice": choice}
    return ToolCallDelta(id, text, **at) if part in CALLS else PIECES.get(part, TextDelta)(text, **at)


class _Answer:
    """Makes events as a format could have read them: parts begin, and say nothing behind their end."""

    def __init__(self) -> None:
        self.events: list[Event] = [MessageStart(id="a", model="m")]
        self._begun: set[tuple[int, int]] = set()
        self._over: set[tuple[int, int]] = set()

    def say(self, what: str, part: int, choice: int, text: str) -> None:
        if what in {"piece", "signed", "done"}:
            part = THOUGHT if what == "signed" else part
            if (part, choice) not in self._over:
                self._of_part(what, part, choice, text)
        elif what == "restart":
            self._begun.clear()
            self._over.clear()
            self.events.append(Restarted(Message()))
        else:
            told: dict[str, Event] = {
                "count": UsageUpdate(Usage(input_tokens=part, output_tokens=choice)),
                "unknown": Unknown("x", {}),
                "head": MessageStart(id="b", model=text or None),
            }
            self.events.append(told[what])

    def _of_part(self, what: str, part: int, choice: int, text: str) -> None:
        id = f"call-{choice}-{part}"
        at: Any = {"part": part, "choice": choice}
        if (part, choice) not in self._begun and part in CALLS:
            self.events.append(ToolCallStart(id, "f", CALLS[part], **at))
        elif (part, choice) not in self._begun and part == RUN:
            self.events.append(PartStart(ServerToolCall(id=id, name="search"), **at))
        self._begun.add((part, choice))
        if what == "done":
            self._over.add((part, choice))
            if part in CALLS:
                self.events.append(ToolCallDone(ToolCall(id=id, name="f", complete=True), **at))
            self.events.append(PartDone(**at))
        elif what == "signed":
            self.events.append(ReasoningDelta(text, "proof", **at))
        else:
            self.events.append(_piece(id, part, choice, text))


def _events(drawn: list[tuple[str, int, int, str]]) -> list[Event]:
    answer = _Answer()
    for each in drawn:
        answer.say(*each)
    return [*answer.events, Finish("stop"), Finish("stop", choice=1)]


@pytest.mark.few_rows(4)
@each_format
@given(st.lists(steps, max_size=40))
@example([("piece", 2, 0, "Hm"), ("piece", 2, 0, "Hmm"), ("signed", 2, 0, "so"), ("piece", 2, 0, "!")])
@example([("piece", 2, 0, "Hm"), ("signed", 2, 0, "so"), ("piece", 2, 0, "!"), ("piece", 2, 0, "?")])
@example([("piece", 0, 0, "text"), ("piece", 0, 0, "text"), ("piece", 0, 0, "0"), ("piece", 0, 0, "0")])
@examples(trials(300, one_in=25), suppress_health_check=[HealthCheck.too_slow])
def test_pieces_are_sent_in_the_same_bytes(format: str, drawn: list[tuple[str, int, int, str]]) -> None:
    _alike(format, _events(drawn))


@pytest.mark.slow
@each_format
def test_recordings_are_sent_in_the_same_bytes_in_every_format(format: str) -> None:
    """The law above for each of them."""
    for each in ours():
        if each.format != "custom":
            decoder = Decoder(each.format)
            _alike(format, [*decoder.feed(each.body), *decoder.end()])


@given(texts, st.integers(0, 7), st.integers(0, 1), st.none() | texts | st.just("s" * 300), texts)
@example("Hi", 4, 0, None, "¿piece?")
@example("Hi", 4, 0, "größer", "a\ud83d")
@example("Hi", 0, 0, "", "")
def test_records_of_pieces_are_the_same_bytes(
    text: str, part: int, choice: int, step: str | None, id: str
) -> None:
    signed = ReasoningDelta(text, "proof", part=part)
    for event in (_piece(id, part, choice, text), signed):
        if step is not None:
            event.step = step
        assert to_strict_json(write_fields(event) or {}) == record(event)


def _made(format: str, events: Sequence[Event]) -> int:
    """Return how many payloads an encoder makes for events that are all sent."""
    made: list[Any] = []

    def frame(self: Encoder, name: str, payload: Any) -> bytes:
        made.append(payload)
        return load(format).frame(self, name, payload)

    encoder: Encoder = type("Counting", (load(format),), {"frame": frame})(lossy=True)
    assert all(encoder.feed(event) for event in events)
    return len(made)


@in_one_test("format", [format for format in FORMATS if load(format).steady])
def test_only_the_first_pieces_cost_a_payload(format: str) -> None:
    texts: list[Event] = [TextDelta(f"piece {number}") for number in range(50)]
    call: list[Event] = [
        ToolCallStart("c", "f", part=1),
        *[ToolCallDelta("c", f"[{n},", part=1) for n in range(50)],
    ]
    answers = [texts]
    if load(format).choices:
        answers.append([TextDelta(f"piece {number}", choice=number % 3) for number in range(50)])
    if "tool_call" in load(format).expresses and not issubclass(load(format), WholeCalls):
        answers.append(call)

    assert all(_made(format, answer) < 20 for answer in answers)
