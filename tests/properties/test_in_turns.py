"""Deltas of several parts, choices or calls in turns: read at a glance they say what decoding finds."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import SPELLINGS, pieces
from tests.support.answers_in_turns.answers import ANSWERS
from tests.support.answers_in_turns.wires import Payload, is_binary
from tests.support.effort import trials
from tests.support.in_turns import (
    MOVES,
    as_payloads,
    bent,
    decoded,
    recorded,
    stream,
    with_other_values,
    with_wrong_bytes,
)
from tests.support.recordings import Recorded, folders, shared
from tests.support.sampling import part_of, sampled
from tests.support.tables import in_one_test
from tests.support.wire import bytes_of

_NOTHING = "{}"
"""The arguments of a call that got no piece."""


def _texts_of(told: list[tuple[Any, Any]], count: int) -> list[str]:
    """Return the texts that parts got, by the letter that the pieces of each begin with."""
    found: dict[tuple[int, int | None], str] = {}
    for event, _ in told:
        key = event.choice, event.part
        found[key] = found.get(key, "") + (getattr(event, "text", "") or getattr(event, "fragment", ""))
    texts = [""] * count
    for text in found.values():
        if text in ("", _NOTHING):
            continue
        texts["abc".index(text[0])] += text
    return texts


def _holds(name: str, seed: int) -> None:
    answer = ANSWERS[name]
    chunks, texts = stream(answer, random.Random(f"{name} {seed}"))
    plain = decoded(answer.format, chunks, shortcuts=False)
    payloads, _ = stream(as_payloads(answer), random.Random(f"{name} {seed}"))

    assert plain == decoded(answer.format, chunks, shortcuts=True)
    assert texts == _texts_of(plain[0], answer.texts)
    assert decoded(answer.format, payloads, shortcuts=False) == decoded(
        answer.format, payloads, shortcuts=True
    )


@pytest.mark.few_rows(8)
@in_one_test("seed", range(trials(44, one_in=11)))
@pytest.mark.parametrize("name", ANSWERS)
def test_deltas_in_turns_say_at_a_glance_what_decoding_finds(name: str, seed: int) -> None:
    _holds(name, seed)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", sampled(list(ANSWERS), one_in=4))
def test_deltas_that_are_odd_in_the_same_way_say_at_a_glance_what_decoding_finds(name: str) -> None:
    format = ANSWERS[name].format
    for chunks in bent(ANSWERS[name]):
        assert decoded(format, chunks, shortcuts=False) == decoded(format, chunks, shortcuts=True)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", sampled(list(ANSWERS), one_in=4))
def test_decoded_deltas_that_turn_odd_say_at_a_glance_what_reading_finds(name: str) -> None:
    answer = as_payloads(ANSWERS[name])
    before = [answer.delta(0, f"a{number}") for number in range(3)]
    opened: list[Any] = [*answer.head, *before]
    for payloads in bent(answer):
        sent = [*opened, *payloads[len(answer.head) :], *before]

        assert decoded(answer.format, sent, shortcuts=False) == decoded(answer.format, sent, shortcuts=True)


_TAILS = st.sampled_from(
    [b"", b"", b"", b" ", b"\x0b", b"}", b"}}", b',"n":1', b',"n":1}', b"x", b"\xff", b'"}}']
)
_BESIDE = st.sampled_from(
    [{}, {}, {}, {"created_at": "2026-11-20"}, {"created_at": 'a\\"b'}, {"n": 1}, {"n": None}]
)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", [name for name, answer in ANSWERS.items() if not is_binary(answer)])
@given(
    pieces=pieces('"}],"role": "model"', '","content":"'),
    spelling=SPELLINGS,
    ascii_only=st.booleans(),
    more=st.lists(_BESIDE, min_size=8, max_size=8),
    tails=st.lists(_TAILS, min_size=8, max_size=8),
)
def test_deltas_known_by_their_bytes_give_what_decoding_gives(
    name: str,
    pieces: list[str],
    spelling: tuple[str, str],
    ascii_only: bool,
    more: list[Payload],
    tails: list[bytes],
) -> None:
    """Whatever the text is, however the server spells JSON, and whatever stands beside it and behind."""
    answer = ANSWERS[name]
    chunks = [*map(answer.wire, answer.head), *[answer.wire(answer.delta(0, "abc"))] * 2]
    for piece, beside, tail in zip(pieces, more, tails, strict=False):
        payload = answer.delta(0, piece)
        written = json.dumps({**payload, **beside}, separators=spelling, ensure_ascii=ascii_only)
        data = written.encode("utf-8", "surrogatepass")
        chunks.append(answer.wire(payload).replace(bytes_of(payload), data[:-1] + tail + data[-1:]))

    assert decoded(answer.format, chunks, shortcuts=False) == decoded(answer.format, chunks, shortcuts=True)


# -- what other answers have taught ---------------------------------------------------------------------


def _holds_after_others(name: str, seed: int) -> None:
    """An answer that other answers of its format have taught to read says what decoding finds."""
    source = random.Random(f"{name} after others {seed}")
    answer = with_other_values(ANSWERS[name], source)
    chunks, _ = stream(answer, source, source.choice((2, 3, 6, 12)))
    # A checksum finds what is wrong in a binary message.
    if source.random() < 0.3 and not is_binary(answer):
        chunks = with_wrong_bytes(chunks, source)

    assert decoded(answer.format, chunks, shortcuts=False) == decoded(answer.format, chunks, shortcuts=True)


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("name", ANSWERS)
def test_short_answers_of_one_server_say_what_decoding_finds(name: str) -> None:
    for seed in range(trials(412, one_in=35)):
        _holds_after_others(name, seed)


# -- what real servers sent ------------------------------------------------------------------------------


@cache
def _recordings(folder: str) -> list[Recorded]:
    return [recording for recording in shared(folder) if recording.format in MOVES]


def _holds_for(recording: Recorded, seed: int) -> None:
    for move, as_objects in product(MOVES[recording.format], (False, True)):
        source = random.Random(f"{recording.name} {seed}")
        chunks = recorded(recording.body, move, source, as_objects=as_objects)

        assert decoded(recording.format, chunks, shortcuts=False) == decoded(
            recording.format, chunks, shortcuts=True
        )


@pytest.mark.parametrize("folder", folders())
def test_recorded_deltas_in_turns_say_at_a_glance_what_decoding_finds(folder: str) -> None:
    """Every delta of a real answer comes twice, for two choices, parts or calls."""
    for seed, recording in enumerate(part_of(_recordings(folder), one_in=10)):
        _holds_for(recording, seed)
