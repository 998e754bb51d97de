"""Marks that end a turn, at the end of a text: left out with any tags, told without them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls_in_text.support import cuts
from tokenstream import Message, Stream, Tags, testing
from tokenstream.stages._calls.dialects import TURN_ENDS

ANSWER = "It is 4."
CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "x"}}\n</tool_call>'


def read(pieces: list[str], **options: Any) -> tuple[Message, dict[str, int]]:
    with Stream(testing.script().text(*pieces).finish("stop").chunks("openai-chat"), **options) as stream:
        return stream.final(), stream.departures.details


def texts(text: str, **options: Any) -> set[tuple[str, ...]]:
    """Return what a text becomes, whole, by character and in pieces, and how it is told."""
    pieces = ([text], list(text), cuts(text, range(0, len(text), 3)), cuts(text, range(0, len(text), 7)))
    told = {"end_mark", "end_mark_left", "turn_invented"}
    return {
        (found.text, *sorted(told & departures.keys()))
        for found, departures in (read(each, **options) for each in pieces)
    }


@pytest.mark.parametrize("mark", TURN_ENDS)
def test_a_mark_at_the_end_is_left_out_with_tags_and_told_without(mark: str) -> None:
    for text in (ANSWER + mark, f"{ANSWER}\n{mark.upper()}\n", f"{ANSWER} {mark}{mark}"):
        for tags in (Tags(reasoning=True), Tags(calls="auto"), Tags(citations=True)):
            (words, *told), *others = texts(text, tags=tags)

            assert (words.strip(), told, others) == (ANSWER, ["end_mark"], [])
        assert texts(text) == {(text, "end_mark_left")}
    assert texts(f"<think>Hm.</think>{ANSWER}{mark}", tags=Tags(reasoning=True)) == {(ANSWER, "end_mark")}
    message, _ = read([CALL + mark], tags=Tags(calls=True))
    assert (message.text, [call.complete for call in message.tool_calls]) == ("", [True])


@pytest.mark.parametrize(
    "rest",
    [
        "<|im_end|>\n<|im_start|>user\nThanks, and what is it then if I double all of it?",
        "<end_of_turn>\n<start_of_turn>user\nThanks",
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nThanks",
        "</s>[INST] Thanks [/INST] You are welcome.</s>",
        "<|endoftext|>Human: Thanks\n\nAssistant: It is 4.<|endoftext|>",
        "<|im_end|>\nuser\nThanks",
        "<|user|>\nThanks",
    ],
)
def test_a_turn_that_the_model_invents_is_provider_data(rest: str) -> None:
    for tags in (Tags(reasoning=True, calls=True), Tags(citations=True)):
        message, _ = read(list(ANSWER + rest), tags=tags)

        assert texts(ANSWER + rest, tags=tags) == {(ANSWER, "turn_invented")}
        assert message.provider_data["next_turn"] == rest
    assert texts(ANSWER + rest) == {(ANSWER + rest, "end_mark_left")}


@pytest.mark.parametrize(
    "text",
    [
        "A turn of ChatML ends with <|im_end|>",
        "It wrote \u201c<|eot_id|>",
        "A<|im_end|>B",
        "It is <|im_end|>.",
        "<s>10</s>",
        "```\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n```\n",
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>",
        "`<|im_end|>\n<|im_start|>user` is between two turns.",
        f"{ANSWER}<|im_end",
    ],
)
def test_a_mark_of_which_a_text_speaks_stays(text: str) -> None:
    assert texts(text) == texts(text, tags=Tags(reasoning=True, calls=True)) == {(text,)}
