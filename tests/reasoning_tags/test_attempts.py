"""Reasoning between tags, over several connections."""

from __future__ import annotations

import pytest

from tests.reasoning_tags.support import parts_of
from tests.recovery.attempts import in_each_world, play
from tests.recovery.test_resume import answer
from tests.support.wire import DONE, chat
from tokenstream import Retry, Stream, Tags, resilient, testing
from tokenstream.errors import MisuseError, StreamTruncated


@in_each_world
@pytest.mark.parametrize("format", ["openai-responses", "gemini-interactions"])
def test_an_answer_is_resumed_within_a_thought(world: str, format: str) -> None:
    """What had come of a tag is kept over the connections."""
    script = testing.script().text("Well <thi", "nk>Let me ", "look.</th", "ink>\n\n", "Done.").finish("stop")
    whole_answer = answer(format, script)
    plain = play(
        world, [whole_answer], Retry(mode="resume", wait=0), format=format, tags=Tags(reasoning=True)
    )
    for cut in range(2, len(whole_answer) - 1):
        bodies = [whole_answer[:cut], whole_answer[cut:]]
        played = play(world, bodies, Retry(mode="resume", wait=0), format=format, tags=Tags(reasoning=True))

        assert played.message is not None
        assert plain.message is not None
        assert parts_of(plain.message) == parts_of(played.message)
    assert plain.message is not None
    assert plain.message.reasoning == "Let me look."


def test_an_answer_begins_again_with_its_tags() -> None:
    """What was given up says nothing of the next attempt."""
    bodies = [
        [chat({"content": "<think>a"})],
        [chat({"content": "<think>b</think>c"}), chat({}, "stop"), DONE],
    ]
    stream = resilient(lambda: bodies.pop(0), Retry(mode="restart", wait=0), tags=Tags(reasoning=True))
    message = stream.final()

    assert ("b", "c") == (message.reasoning, message.text)


def test_a_model_goes_on_with_an_answer_that_had_thought() -> None:
    """The text is joined where it broke off, though its part has another index."""
    bodies = [
        [chat({"content": "<think>a</think>The sum of two and"})],
        [chat({"content": " two is four, as ever."}), chat({}, "stop"), DONE],
    ]
    retry = Retry(mode="continue", wait=0, hold=False, least=0)
    stream = resilient(lambda attempt: bodies[attempt.number - 1], retry, tags=Tags(reasoning=True))
    message = stream.final()

    assert ("a", "The sum of two and two is four, as ever.") == (message.reasoning, message.text)


def test_a_checkpoint_has_no_state_to_go_on_from() -> None:
    """The format's own parts are not those of the message: another stream could not tell them apart."""
    chunks = testing.script().text("<think>a</think>b").finish("stop").chunks("openai-responses")[:-2]
    stream = Stream(chunks, tags=Tags(reasoning=True))
    with pytest.raises(StreamTruncated):
        stream.final()
    checkpoint = stream.checkpoint()

    assert "a" == checkpoint.message.reasoning
    with pytest.raises(MisuseError, match="no state to continue from"):
        Stream.from_checkpoint(checkpoint, [])
