"""Anthropic: answers that stray from the documents, and what is counted of them."""

from __future__ import annotations

import json

import pytest

from tests.formats.anthropic.payloads import (
    PING,
    STOP,
    Payload,
    answer,
    arguments,
    block,
    delta,
    finish,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.formats.anthropic.support import HELLO, OPEN
from tests.support.tables import in_one_test
from tokenstream.errors import StreamTruncated
from tokenstream.framing import ServerSentEvent
from tokenstream.message import OpaquePart

STRAYS: dict[str, tuple[list[Payload], str, dict[str, int]]] = {
    "no start": ([*HELLO, finish(), STOP], "Hello", {"start_missing": 1}),
    "no block start": (
        [start(), text(0, "Hello"), finish(), STOP],
        "Hello",
        {"part_unopened": 1, "part_unclosed": 1},
    ),
    "no block stop": ([start(), OPEN, text(0, "Hello"), finish(), STOP], "Hello", {"part_unclosed": 1}),
    "block stop twice": ([start(), *HELLO, stop(0), finish(), STOP], "Hello", {"part_end_unmatched": 1}),
    "text after its block's stop": (
        [start(), *HELLO, text(0, "!"), finish(), STOP],
        "Hello!",
        {"part_after_close": 1, "part_unclosed": 1},
    ),
    "index reused": ([start(), *HELLO, *HELLO, finish(), STOP], "HelloHello", {"part_index_reused": 1}),
    "start twice": ([start(), start(), *HELLO, finish(), STOP], "Hello", {"start_twice": 1}),
    "no message_stop": ([start(), *HELLO, finish()], "Hello", {"done_missing": 1}),
    "finish twice": ([start(), *HELLO, finish(), finish(), STOP], "Hello", {"finish_repeated": 1}),
    "two message deltas": ([start(), *HELLO, finish(None), finish(), STOP], "Hello", {}),
    "no finish": ([start(), *HELLO, STOP], "Hello", {"finish_missing": 1}),
    "data after the end": (
        [start(), *HELLO, finish(), STOP, *HELLO, PING],
        "Hello",
        {"end_repeated": 3, "data_after_end": 2},
    ),
    "text after the finish": ([start(), finish(), *HELLO, STOP], "Hello", {"content_after_finish": 1}),
    "a whole answer in the start, then the same again": (
        [start(content=[{"type": "text", "text": "Hello"}], stop_reason="end_turn"), *HELLO, finish(), STOP],
        "Hello",
        {"start_with_content": 1, "content_twice": 4, "finish_repeated": 1},
    ),
    "the whole message after its pieces": (
        [start(), *HELLO, start(content="Hello")["message"], finish(), STOP],
        "Hello",
        {"content_twice": 1},
    ),
    "what the SDK's stream helper adds": (
        [start(), *HELLO, {"type": "text", "text": "lo", "snapshot": "Hello"}, finish(), STOP],
        "Hello",
        {},
    ),
    "no index": (
        [
            start(),
            OPEN,
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "content_block_stop", "index": None},
            finish(),
            STOP,
        ],
        "Hi",
        {"part_index_missing": 2},
    ),
    "indexes as text or with a fraction": (
        [
            start(),
            *[{**block(0, "text", text=""), "index": index} for index in ("0", 1.0)],
            *[{**text(0, piece), "index": at} for piece, at in (("He", "0"), ("l", 0.0), ("lo", 1))],
            *[{**stop(0), "index": index} for index in (0, "1")],
            finish(),
            STOP,
        ],
        "Hello",
        {"parts_interleaved": 1},
    ),
    "usage in the last event": (
        [start(), *HELLO, {**finish(), "usage": None}, {**STOP, "usage": {"output_tokens": 9}}],
        "Hello",
        {"usage_misplaced": 1},
    ),
}
"""Answers that stray, with their text and what was counted."""


@in_one_test("payloads, expected, departures", STRAYS.values(), ids=STRAYS)
def test_an_answer_that_strays_is_read_and_what_was_done_is_counted(
    payloads: list[Payload], expected: str, departures: dict[str, int]
) -> None:
    came = read(*payloads)

    assert (came.text, came.message.text, came.error) == (expected, expected, None)
    assert came.departures == departures


def test_text_before_a_late_start_is_kept() -> None:
    """The start that comes late still says who answers."""
    came = read(*HELLO[:2], start(), *HELLO[2:], finish(), STOP)

    assert (came.text, came.message.id) == ("Hello", "msg_1")
    assert came.departures == {"start_missing": 1}


def test_blocks_written_in_turns_keep_their_own_text() -> None:
    """The index tells where a delta belongs, not the order of arrival."""
    came = read(
        *answer(
            block(4, "text", text=""),
            tool(9),
            text(4, "He"),
            arguments(9, '{"a"'),
            text(4, "llo"),
            arguments(9, ": 1}"),
            stop(9),
            stop(4),
        )
    )

    assert came.kinds == ["text", "tool_call"]
    assert (came.message.text, came.calls[0].arguments) == ("Hello", {"a": 1})
    assert came.departures == {"parts_interleaved": 3}


def test_words_in_the_block_of_a_call_are_not_lost() -> None:
    words, thought = delta(0, "text_delta", text="Rain."), delta(0, "thinking_delta", thinking="So")
    came = read(*answer(tool(0), words, thought, stop(0)))

    assert (came.text, came.message.reasoning, came.calls[0].arguments) == ("Rain.", "So", {})
    assert came.departures == {"delta_misfits": 2}


@pytest.mark.parametrize(
    "sent",
    [
        delta(0, "text_delta", text="\n"),
        delta(0, "citations_delta", citation={"type": "page_location"}),
        delta(0, "signature_delta", signature="c2ln"),
        delta(0, "compaction_delta", content="So"),
    ],
)
def test_a_delta_that_does_not_fit_its_block_is_carried(sent: Payload) -> None:
    came = read(*answer(tool(0), sent, stop(0)))

    assert (came.text, came.message.reasoning, came.calls[0].arguments) == ("", "", {})
    assert came.data == {sent["delta"]["type"]: [sent]}
    assert came.departures == {"delta_misfits": 1}


@pytest.mark.parametrize(
    "sent",
    [
        delta(0, "input_json_delta", partial_json="{}"),
        delta(0, "input_json_delta", partial_json=None),
        delta(0, "signature_delta", signature=None),
        delta(0, "citations_delta", citation=None),
        delta(0, "thinking_delta", thinking=1),
    ],
)
def test_a_delta_with_a_wrong_type_is_carried(sent: Payload) -> None:
    came = read(*answer(OPEN, sent, text(0, "Hello"), stop(0)))

    assert (came.text, came.departures) == ("Hello", {"delta_misfits": 1})


@pytest.mark.parametrize(
    "sent, kind",
    [
        (delta(5, "thinking_delta", thinking="So"), "reasoning"),
        (delta(5, "signature_delta", signature="c2ln"), "reasoning"),
        (delta(5, "citations_delta", citation={"cited_text": "p"}), "text"),
    ],
)
def test_a_delta_of_a_block_that_never_began_opens_it(sent: Payload, kind: str) -> None:
    came = read(*answer(sent, stop(5)))

    assert came.parts[0].kind == kind
    assert came.departures == {"part_unopened": 1} | (
        {} if "thinking" in sent["delta"] else {"answer_empty": 1}
    )


def test_a_payload_that_says_nothing_harms_nothing() -> None:
    """Empty objects stand for what they replace."""
    came = read(
        {"type": "message_start"},
        {"type": "content_block_start"},
        {"type": "content_block_delta"},
        {"type": "content_block_stop"},
        {"type": "message_delta"},
        {"type": "message_stop"},
    )

    assert isinstance(came.error, StreamTruncated)
    assert came.parts == (OpaquePart(complete=True),)


HIGH, LOW = "\ud83d", "\ude00"


def test_characters_cut_in_halves_are_joined() -> None:
    came = read(
        *map(
            frame_escaped,
            answer(
                OPEN,
                text(0, f"a{HIGH}"),
                text(0, f"{LOW}b"),
                stop(0),
                tool(1),
                arguments(1, f'{{"a": "{HIGH}'),
                arguments(1, f'{LOW}"}}'),
                stop(1),
            ),
        )
    )

    assert (came.text, came.calls[0].arguments, came.departures) == ("a😀b", {"a": "😀"}, {})


def frame_escaped(payload: Payload) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(payload).encode(), payload["type"])
