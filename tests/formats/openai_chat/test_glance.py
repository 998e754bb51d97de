"""Chunks of OpenAI Chat that differ from the last one in their text alone, and those that only seem to."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.formats.openai_chat.payloads import ROLE, Payload, call, chunk, text
from tests.formats.told import frame_of
from tests.support.formats import OpenAIChat
from tests.support.tables import in_one_test
from tokenstream.events import ProviderData, TextDelta
from tokenstream.formats._fast.shape import PayloadShape

assert OpenAIChat.fast is not None
FAST = OpenAIChat.fast


def _sent(payload: Payload) -> bytes:
    frame = frame_of(payload)
    assert isinstance(frame, bytes)
    return frame


@pytest.mark.parametrize("item", [{}, {"index": 0, "id": "c"}])
def test_fragments_that_bend_a_rule_are_read_in_the_plain_way(item: dict[str, Any]) -> None:
    """A call that is known as the last one, or whose id is repeated: each is counted."""
    made = OpenAIChat()
    made.feed(frame_of(call("", index=0, id="c", name="f")))
    for _ in range(4):
        made.feed(_sent(chunk({"tool_calls": [{**item, "function": {"arguments": "["}}]})))

    assert made.shortcut("event", 4096) is None
    assert 4 == max(noted.count for noted in made.departures.values())


def _told(frames: list[bytes], *, shortcuts: bool) -> Any:
    made = OpenAIChat()
    made.shortcuts = shortcuts
    events = [(event, event.raw) for frame in frames for event in made.feed(frame)]
    events += [(event, event.raw) for event in made.feed(_sent(chunk(finish="tool_calls")))]
    return events, made.departures.details


@pytest.mark.parametrize(
    "made",
    [
        lambda one, other: {"choices": [{"delta": {"reasoning": other, "reasoning_content": one}}]},
        lambda one, other: {"choices": {"delta": {"content": one}}, "response": other},
        lambda one, other: {"result": one, "response": other},
    ],
)
def test_a_text_beside_another_one_is_decoded(made: Callable[[str, str], Payload]) -> None:
    frames = [
        _sent(made(one, other)) for one, other in zip("aacbbcababbcca" * 2, "bbbbbbbbccaaaa" * 2, strict=True)
    ]

    assert _told(frames, shortcuts=False) == _told(frames, shortcuts=True)


@in_one_test("seed", range(20))
def test_a_part_that_begins_is_read_at_a_glance_from_its_second_delta_on(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier answer has proved the shape; parts of several choices may have one delta or more."""
    # Other tests may have left as many proofs as are kept.
    monkeypatch.setattr(OpenAIChat, "fast", replace(FAST))
    source = random.Random(seed)
    kinds = source.choices(["content", "reasoning", "refusal", "tool"], weights=[6, 3, 1, 1], k=60)
    frames = [
        _sent(call(piece, index=choice) if kind == "tool" else chunk({kind: piece}, choice=choice))
        for kind, piece, choice in zip(
            kinds, source.choices("abc\u00e9", k=60), source.choices([0, 0, 0, 1], k=60), strict=True
        )
    ]
    _told([_sent(ROLE), _sent(text("a")), _sent(text("b"))], shortcuts=True)
    made = OpenAIChat()
    for frame in (ROLE, text("a")):
        made.feed(_sent(frame))

    assert made.shortcut("event", 4096) is not None
    assert _told(frames, shortcuts=False) == _told(frames, shortcuts=True)


@in_one_test("seed", range(20))
def test_ids_of_choices_in_turns_are_counted_at_a_glance_as_they_are_decoded(seed: int) -> None:
    """To leave the first id is a departure each time, to go back to it is none."""
    source = random.Random(seed)
    frames = [
        _sent({**text(piece, choice=choice), "id": source.choice(["x", f"y{choice}"]) if choice else "x"})
        for piece, choice in zip(source.choices("abc", k=60), source.choices([0, 1, 1, 2], k=60), strict=True)
    ]

    assert _told(frames, shortcuts=False) == _told(frames, shortcuts=True)


@in_one_test("seed", range(20))
def test_fields_of_calls_in_turns_are_kept_at_a_glance_as_they_are_decoded(seed: int) -> None:
    source = random.Random(seed)
    frames = [_sent(call("", index=index, id=f"c{index}", name="f")) for index in (0, 1)]
    frames += [_sent(call("[", index=index)) for index in (0, 1)]
    hints: list[Payload] = [
        {"index": index, **hint} for index in (0, 1) for hint in ({}, {"hint": 0}, {"hint": 1})
    ]
    frames += [_sent(call("1,", **source.choice(hints))) for _ in range(60)]
    frames += [_sent(call("1]", index=index)) for index in (0, 1)]

    assert _told(frames, shortcuts=False) == _told(frames, shortcuts=True)


def test_a_time_that_comes_late_is_reported() -> None:
    """Azure first sends a 0, which may not be compared with it."""
    frames = [_sent({**text("a"), "created": time}) for time in (0, 0, 0, 5, 6, 7, 0)]
    made = OpenAIChat()

    assert [{"created": 5}] == [
        event.data for frame in frames for event in made.feed(frame) if isinstance(event, ProviderData)
    ]


@pytest.mark.parametrize("choices", [1, 4, 5, 16])
def test_choices_in_turns_cost_little_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, choices: int
) -> None:
    learn, learnt = PayloadShape.learn, list[object]()

    def count(*given: Any, **more: Any) -> PayloadShape | None:
        learnt.append(given)
        return learn(*given, **more)

    monkeypatch.setattr(PayloadShape, "learn", count)
    made, texts = OpenAIChat(), [""] * choices
    for number in range(2_000):
        for event in made.feed(_sent(text(f"{number} ", choice=number % choices))):
            if isinstance(event, TextDelta):
                texts[event.choice] += event.text

    assert [
        "".join(f"{number} " for number in range(first, 2_000, choices)) for first in range(choices)
    ] == texts
    assert len(learnt) <= 64
