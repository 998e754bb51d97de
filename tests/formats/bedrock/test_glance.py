"""What holds for any stream of Bedrock: reading it at a glance gives what decoding gives."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.bedrock.payloads import START, USAGE, finish, stop, text
from tests.formats.bedrock.support import INNER, METRICS, packed
from tests.formats.mutations import pieces
from tests.formats.told import reads_alike_at_a_glance
from tests.support.aws_eventstream import chunk, converse, event, exception
from tests.support.formats import BedrockInvoke
from tests.support.in_turns import decoded as seen
from tokenstream import Decoder, Limits
from tokenstream.events import Event, TextDelta

PIECES = pieces()
PER_MODEL = settings(max_examples=settings().max_examples // 3)
"""Many models go the same way, so that each of them needs fewer examples."""

PADDING = st.lists(
    st.sampled_from([None, "", "a", "abcdef", "abc", "ABC09", "a b", 'a"', 7]), min_size=8, max_size=8
)

EXTRA = st.lists(
    st.sampled_from([{}, {}, {}, {}, {"n": 1}, {"contentBlockIndex": 1}]), min_size=8, max_size=8
)

given_deltas = given(
    pieces=PIECES,
    padding=PADDING,
    extra=EXTRA,
    ascii_only=st.booleans(),
    spaces=st.booleans(),
    limited=st.booleans(),
)
"""Draws the deltas of an answer, and how they are written."""


def written(payload: Any, *, ascii_only: bool, spaces: bool) -> bytes:
    separators = (", ", ": ") if spaces else (",", ":")
    as_text = json.dumps(payload, ensure_ascii=ascii_only, separators=separators)
    return as_text.encode("utf-8", "surrogatepass")


MODELS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "anthropic": (
        INNER[:2],
        lambda piece: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": piece},
        },
    ),
    "anthropic thinking": (
        [INNER[0], {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}],
        lambda piece: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": piece},
        },
    ),
    "nova": (
        [INNER[5]],
        lambda piece: {"contentBlockDelta": {"delta": {"text": piece}, "contentBlockIndex": 0}},
    ),
    "openai": ([INNER[8]], lambda piece: {"choices": [{"index": 0, "delta": {"content": piece}}]}),
    "openai without a role": ([], lambda piece: {"choices": [{"index": 0, "delta": {"content": piece}}]}),
    "llama": (
        [],
        lambda piece: {"generation": piece, "generation_token_count": len(piece), "stop_reason": None},
    ),
    "llama with odd counts": (
        [],
        lambda piece: {
            "generation": piece,
            "generation_token_count": piece,
            "stop_reason": piece[:1] or None,
        },
    ),
    "titan": ([], lambda piece: {"outputText": piece, "index": 0}),
    "cohere": ([], lambda piece: {"text": piece, "is_finished": False, "index": 1}),
    "cohere's chat": (
        [],
        lambda piece: {"event_type": "text-generation", "text": piece, "is_finished": False},
    ),
    "mistral": ([], lambda piece: {"outputs": [{"text": piece, "stop_reason": None}]}),
    "unknown": ([], lambda piece: {"what": piece}),
}


@given_deltas
@PER_MODEL
@pytest.mark.parametrize("model", MODELS)
def test_chunks_known_by_their_bytes_give_what_decoding_gives(
    model: str,
    pieces: list[str],
    padding: list[Any],
    extra: list[dict[str, Any]],
    ascii_only: bool,
    spaces: bool,
    limited: bool,
) -> None:
    first, make = MODELS[model]
    frames = [packed(payload) for payload in first]
    for piece, pad, more in zip(pieces, padding, extra, strict=False):
        data = written(make(piece) | more, ascii_only=ascii_only, spaces=spaces)
        frames += [packed(data, pad)] * 2
    frames.append(packed(METRICS))
    limits = Limits(digits=100) if limited else None

    reads_alike_at_a_glance(lambda: BedrockInvoke(limits=limits), frames)


def decoded(chunks: list[bytes]) -> tuple[Any, ...]:
    """Return what a whole connection makes of chunks, and how it ends."""
    decoder = Decoder()
    events: list[Event] = []
    for each in chunks:
        events += decoder.feed(each)
    events += decoder.end()
    return (
        [event for event in events if not isinstance(event, TextDelta)],
        "".join([event.text for event in events if isinstance(event, TextDelta)]),
        decoder.message,
        decoder.departures.details,
        repr(decoder.error),
    )


WORDS = ["Hel", "lo", "!", " – ", "a", "b" * 20, "\u00e9", '"']
BODIES = {
    "converse": [converse(START)]
    + [event("contentBlockDelta", {**text(0, word)[1], "p": "abcdef"[: len(word)]}) for word in WORDS * 3]
    + [converse(stop(0), finish(), USAGE)],
    "invoke": [chunk(payload) for payload in INNER[:2]]
    + [chunk(MODELS["anthropic"][1](word), padding=len(word)) for word in WORDS * 3]
    + [chunk(payload) for payload in INNER[3:5]],
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_chunks_read_at_a_glance_give_what_the_body_gives(body: list[bytes]) -> None:
    """One message to a chunk is read without framing it first; cut anywhere else it is not."""
    whole = b"".join(body)
    halves = [piece for each in body for piece in (each[:30], each[30:])]
    pairs = [b"".join(body[at : at + 2]) for at in range(0, len(body), 2)]

    assert "Hel" in decoded([whole])[1]
    for chunks in (body, halves, pairs, [*body[:9], *halves[18:]]):
        assert decoded([whole]) == decoded(chunks)


@given(st.sampled_from(sorted(BODIES)), st.data())
def test_a_byte_that_was_changed_is_seen_at_a_glance_too(name: str, data: st.DataObject) -> None:
    """A wrong checksum is an error with its place in the body, one message to a chunk or not."""
    body = BODIES[name]
    number = data.draw(st.integers(0, len(body) - 1))
    place = data.draw(st.integers(0, len(body[number]) - 1))
    broken = bytearray(body[number])
    broken[place] ^= data.draw(st.integers(1, 255))
    chunks = [*body[:number], bytes(broken), *body[number + 1 :]]

    came = decoded(chunks)

    assert "wrong CRC" in came[-1] or number == 0 or "broken_after_finish" in came[-2]
    assert decoded([b"".join(chunks)]) == came


@pytest.mark.parametrize("name", BODIES)
def test_a_message_of_another_kind_ends_the_short_way(name: str) -> None:
    body = BODIES[name][:12]
    other = body[6].replace(b":message-type", b":message-tyqe")
    for odd in (exception("throttlingException", {"message": "m"}), other, b"", body[6] + body[6][:3]):
        chunks = [*body, odd, *BODIES[name][12:]]

        assert decoded([b"".join(chunks)]) == decoded(chunks)


@pytest.mark.parametrize("ends", [True, False])
def test_the_last_count_is_reported_whatever_was_read_at_a_glance(ends: bool) -> None:
    """Each payload of Llama's counts; the last count is told, also when the answer is cut."""
    payloads = [
        {"generation": f"t{n}", "prompt_token_count": 9 if n == 0 else None, "generation_token_count": n}
        for n in range(40)
    ]
    chunks = [chunk(payload, padding=3 + n % 20) for n, payload in enumerate(payloads)]
    last = [chunk({"generation": "", "stop_reason": "stop"})] if ends else []
    decoder = Decoder("bedrock-invoke")
    for each in [*chunks, *last]:
        decoder.feed(each)
    decoder.end()

    assert "".join(f"t{n}" for n in range(40)) == decoder.message.text
    assert (9, 39) == (decoder.message.usage.input_tokens, decoder.message.usage.output_tokens)


_ARGUMENTS = [
    INNER[0],
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {}},
    },
    *[
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }
        for piece in "[1,2,3]"
    ],
    {"type": "content_block_stop", "index": 0},
]

_MORE_THAN_TEXT: dict[str, list[dict[str, Any]]] = {
    "arguments": _ARGUMENTS,
    "counts that are none": [
        *INNER[:2],
        *[{**MODELS["anthropic"][1](f"a{n}"), "generation_token_count": n} for n in range(6)],
    ],
    "counts of another model": [
        {"outputText": f"a{n}", "index": 0, "totalOutputTextTokenCount": n, "generation_token_count": n}
        for n in range(6)
    ],
    "hidden reasoning": [
        INNER[5],
        *[
            {
                "contentBlockDelta": {
                    "contentBlockIndex": 0,
                    "delta": {"reasoningContent": {"text": f"a{n}", "redactedContent": "?!"}},
                }
            }
            for n in range(6)
        ],
    ],
}


@pytest.mark.parametrize("payloads", _MORE_THAN_TEXT.values(), ids=_MORE_THAN_TEXT)
def test_chunks_that_say_more_than_text_give_at_a_glance_what_decoding_gives(
    payloads: list[dict[str, Any]],
) -> None:
    chunks = [chunk(payload) for payload in payloads]

    assert seen(BedrockInvoke.name, chunks, shortcuts=False) == seen(
        BedrockInvoke.name, chunks, shortcuts=True
    )


def test_bytes_that_are_no_base64_are_left_to_the_plain_way() -> None:
    payload = {"generation": "Hel", "prompt_token_count": None, "generation_token_count": 1}
    decoder = Decoder("bedrock-invoke")
    for _ in range(9):
        decoder.feed(chunk(payload))
    packed = base64.b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode()
    events = decoder.feed(event("chunk", {"bytes": packed[:-3] + "?==", "p": "abc"}))

    assert [] == [each for each in events if isinstance(each, TextDelta)]
    assert "not base64" in str(decoder.error)
