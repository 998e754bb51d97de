"""An answer with shells, workers or research can be saved at each event, and read on elsewhere."""

from __future__ import annotations

import json

import pytest

from tests.formats.openai_responses import test_provider_runs, test_shell, test_workers
from tests.formats.openai_responses.payloads import Payload, added, answer, done, frame, hello
from tests.support.formats import OpenAIResponses
from tokenstream._answer.accumulator import Accumulator
from tokenstream.events import Event
from tokenstream.message import Message

CONTAINER = test_shell.CONTAINER
ANSWERS: dict[str, list[Payload]] = {
    "shell": answer(
        test_shell.opened(),
        *test_shell.typed("echo a"),
        *test_shell.typed("ls -l", 1),
        test_shell.ended("echo a", "ls -l"),
    ),
    "container": answer(
        test_shell.opened(**CONTAINER),
        *test_shell.typed("echo a"),
        test_shell.ended("echo a", **CONTAINER),
        added({**test_shell.OUTPUT, "output": []}, 1),
        test_shell.printed(stdout="a\n"),
        test_shell.exited(stdout="a\nb\n"),
        done(test_shell.OUTPUT, 1),
    ),
    "workers": answer(*test_workers.found("abcdefgh", 0), *hello(1)),
    "research": answer(*test_provider_runs.RESEARCH),
    "transcript": [
        *({"type": "transcript.text.delta", "delta": piece} for piece in "abc"),
        {"type": "transcript.text.done", "text": "abcd"},
    ],
    "image": [
        {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "AAAA", "output_format": "png"},
    ],
}


def read_with_break(payloads: list[Payload], place: int | None) -> tuple[list[Event], Message]:
    """Read an answer; at a place, save the format, and read on with a restored one."""
    format, accumulator, events = OpenAIResponses(), Accumulator(), list[Event]()
    for number, payload in enumerate(payloads):
        if number == place:
            state = json.loads(json.dumps(format.state()))
            format = OpenAIResponses()
            format.restore(state, [accumulator.message])
        for event in format.feed(frame(payload)):
            accumulator.feed(event)
            events.append(event)
    return events, accumulator.message


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_on_from_each_event(name: str) -> None:
    payloads = ANSWERS[name]
    expected = read_with_break(payloads, None)

    for place in range(1, len(payloads)):
        assert read_with_break(payloads, place) == expected
