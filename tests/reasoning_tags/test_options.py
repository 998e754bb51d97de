"""Reasoning between tags: which tags count, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.support.wire import DONE, chat, sses
from tokenstream import (
    AsyncSession,
    AsyncStream,
    Decoder,
    Route,
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
from tokenstream.errors import MisuseError


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
