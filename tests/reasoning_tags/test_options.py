"""Reasoning between tags: which tags count, what is refused, and several connections."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.reasoning_tags.support import parts_of
from tests.recovery.attempts import in_each_world, play
from tests.recovery.test_resume import answer
from tests.support.wire import DONE, chat, sses
from tokenstream import (
    AsyncSession,
    AsyncStream,
    Decoder,
    Job,
    Retry,
    Route,
    Seam,
    Session,
    Stream,
    Tags,
    aconnect,
    aresilient,
    connect,
    resilient,
    tap,
    testing,
)
from tokenstream.errors import MisuseError, StreamTruncated


def test_any_other_tag_counts_by_its_name() -> None:
    body = [chat({"content": "<plan>a</PLAN>b <think>c"}), chat({}, "stop"), DONE]
    message = Stream(body, tags=Tags(reasoning=["Plan"])).final()

    assert ("a", "b <think>c") == (message.reasoning, message.text)


def test_without_the_option_tags_are_text() -> None:
    body = [chat({"content": "<think>a</think>b"}), chat({}, "stop"), DONE]

    assert "<think>a</think>b" == Stream(body).final().text
    assert "<think>a</think>b" == Stream(body, tags=Tags(reasoning=False)).final().text
    assert "<think>a</think>b" == Stream(body, tags=Tags(reasoning=())).final().text


@pytest.mark.parametrize("tags", ["think", b"think", 3, None, ("<think>",), (3,), [""]])
def test_what_is_no_tag_is_refused(tags: Any) -> None:
    wrong: Any = Tags
    with pytest.raises(MisuseError, match="tag"):
        Tags(reasoning=tags)
    with pytest.raises(MisuseError, match=r"^Tags\(\) has no option tools=: it is called calls="):
        wrong(tools=tags)


def test_whoever_takes_tags_takes_nothing_else_for_them() -> None:
    """Each says at construction that its tags are no such object."""
    makers: list[tuple[Any, list[Any]]] = [
        (Stream, [[]]),
        (AsyncStream, [[]]),
        (connect, ["http://localhost"]),
        (aconnect, ["http://localhost"]),
        (resilient, [list]),
        (aresilient, [list]),
        (partial(Route, json={}), ["http://localhost"]),
        (Session, [list]),
        (AsyncSession, [list]),
        (tap, [[]]),
        (Decoder, []),
    ]
    for make, place in makers:
        with pytest.raises(MisuseError, match=r"tags= takes a tokenstream\.Tags or None, not 'think'"):
            make(*place, tags="think")


def test_payloads_that_come_decoded_are_read_in_the_same_way() -> None:
    """An SDK's objects, and texts that are no wire format, too."""
    pieces = ["<think>a", "b", "c</think>", "d", "e ", "f"]
    payloads = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    done = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    for stream in (
        Stream([*payloads, done], format="openai-chat", tags=Tags(reasoning=True)),
        Stream(pieces, format="pieces", tags=Tags(reasoning=True)),
        Stream(sses(*pieces, "[DONE]"), format="text", tags=Tags(reasoning=True)),
    ):
        message = stream.final()

        assert ("abc", "de f") == (message.reasoning, message.text)
    tapped = tap([*payloads, done], tags=Tags(reasoning=True))

    assert [*payloads, done] == list(tapped)
    assert ("abc", "de f") == (tapped.message.reasoning, tapped.message.text)


def test_each_answer_of_a_session_starts_fresh() -> None:
    """Answers that are read one by one have the options of their stream."""
    answers = [testing.script().text(text).finish("stop") for text in ("<think>a</think>b", "c <think>d")]
    chunks = [chunk for script in answers for chunk in script.chunks("gemini-live")]
    stream = Stream(chunks, format="gemini-live", tags=Tags(reasoning=True))

    assert [("a", "b"), ("d", "c ")] == [
        (response.final().reasoning, response.message.text) for response in stream.responses
    ]


@in_each_world
@pytest.mark.parametrize("format", ["openai-responses", "gemini-interactions"])
def test_an_answer_is_resumed_within_a_thought(world: str, format: str) -> None:
    """What had come of a tag is kept over the connections."""
    script = testing.script().text("Well <thi", "nk>Let me ", "look.</th", "ink>\n\n", "Done.").finish("stop")
    whole_answer = answer(format, script)
    plain = play(world, [whole_answer], Retry(wait=0), format=format, tags=Tags(reasoning=True))
    for cut in range(2, len(whole_answer) - 1):
        bodies = [whole_answer[:cut], whole_answer[cut:]]
        played = play(world, bodies, Retry(wait=0), format=format, tags=Tags(reasoning=True))

        assert parts_of(plain.message) == parts_of(played.message)
    assert plain.message.reasoning == "Let me look."


def test_an_answer_begins_again_with_its_tags() -> None:
    """What was given up says nothing of the next attempt."""
    bodies = [
        [chat({"content": "<think>a"})],
        [chat({"content": "<think>b</think>c"}), chat({}, "stop"), DONE],
    ]
    stream = resilient(lambda: bodies.pop(0), Retry(again=True, wait=0), tags=Tags(reasoning=True))
    message = stream.final()

    assert ("b", "c") == (message.reasoning, message.text)


def test_a_model_goes_on_with_an_answer_that_had_thought() -> None:
    """The text is joined where it broke off, though its part has another index."""
    bodies = [
        [chat({"content": "<think>a</think>The sum of two and"})],
        [chat({"content": " two is four, as ever."}), chat({}, "stop"), DONE],
    ]
    retry = Retry(again=True, wait=0, seam=Seam(least=0))
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
        Stream([], job=Job("job", checkpoint=checkpoint))
