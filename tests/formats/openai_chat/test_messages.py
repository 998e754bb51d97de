"""OpenAI Chat: heads, text, refusals and choices, and whole messages, alone and beside deltas."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.openai_chat.support import USAGE
from tests.formats.told import DONE
from tokenstream.errors import ProtocolError


def test_an_answer_that_was_not_streamed_is_read_whole() -> None:
    """Some servers ignore `stream`: the body is one chat completion."""
    message = {
        "role": "assistant",
        "content": "Hello",
        "refusal": None,
        "reasoning_content": "Hm",
        "annotations": [],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }
    got = read(
        {
            **HEAD,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": USAGE,
        }
    )

    assert ("Hello", "Hm", "complete") == (got.message.text, got.message.reasoning, got.ending)
    assert [("f", '{"a":1}')] == got.called
    assert (9, "tool_calls") == (got.message.usage.input_tokens, got.reason)


@pytest.mark.parametrize("with_deltas", [True, False])
def test_a_message_that_grows_beside_the_deltas_is_taken_once(with_deltas: bool) -> None:
    """Perplexity and Writer repeat all that was said in every chunk."""
    chunks = []
    for end in range(1, 5):
        message = {"role": "assistant", "content": "abcd"[:end], "reasoning": "wxyz"[:end]}
        delta = {"content": "abcd"[end - 1], "reasoning": "wxyz"[end - 1]}
        chunks.append(chunk(delta if with_deltas else None, message=message))
    got = answer(*chunks)

    assert ("abcd", "wxyz") == (got.message.text, got.message.reasoning)
    assert with_deltas == ("text_twice" in got.rules)


def test_a_message_at_the_end_adds_nothing_to_the_deltas() -> None:
    """MiniMax sends the whole message again in its last chunk."""
    got = read(
        ROLE,
        text("ab"),
        text("c"),
        {
            "object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "abc"}}],
        },
        DONE,
    )

    assert ("abc", {"text_twice"}) == (got.message.text, got.rules)


@pytest.mark.parametrize(
    "versions", [["a", "ab", "abc", "ab", "abcd"], ["a", "ab", "abc", "a", "abc", "abcd"]]
)
def test_a_message_that_becomes_shorter_for_a_while_is_shown_once(versions: list[str]) -> None:
    """What was shown stays; only what goes beyond it is new."""
    got = answer(*[chunk(message={"content": version}) for version in versions])

    assert ("abcd", {"text_rewritten"}) == (got.message.text, got.rules)


def test_a_message_that_was_rewritten_is_not_shown_a_second_time() -> None:
    """Nobody can take back what was shown; the other version lies beside it."""
    got = answer(
        *[chunk(message={"content": version}) for version in ("a", "ab", "abc", "aXcd", "aXcde", "abcde")]
    )

    assert ("abcde", {"text_rewritten"}) == (got.message.text, got.rules)
    assert 2 == got.format.departures.details["text_rewritten"]
    assert "aXcde" == got.data["message.content"]


def test_a_message_that_is_sent_again_unchanged_adds_nothing() -> None:
    got = answer(*[chunk(message={"content": version}) for version in ("a", "ab", "abc", "abc")])

    assert ("abc", set()) == (got.message.text, got.rules)


def test_a_message_in_pieces_is_read_like_a_delta() -> None:
    """Where one does not go on with the last, it is a piece of its own."""
    got = answer(*[chunk(message={"content": piece}) for piece in ("Hel", "lo")])

    assert "Hello" == got.message.text


def test_a_whole_message_may_hold_anything_that_a_delta_holds() -> None:
    """Lists of parts, media and the legacy call; sent again, they are the same."""
    message = {
        "content": [{"type": "text", "text": "a"}],
        "reasoning_details": [{"type": "reasoning.text", "text": "b", "signature": "s"}],
        "images": [{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}],
        "audio": {"id": "au", "data": "YWI=", "transcript": "c"},
        "function_call": {"name": "f", "arguments": "{}"},
        "provider": "P",
    }
    got = answer(chunk(message=message), chunk(message=message))

    assert {"text", "reasoning", "media", "tool_call"} == set(got.kinds)
    assert (5, "a", "b") == (len(got.kinds), got.message.text, got.message.reasoning)
    assert ([("f", "{}")], "P") == (got.called, got.data["provider"])


def test_text_beside_an_empty_delta_is_the_text() -> None:
    got = answer(chunk({}, text=""), chunk({}, text="Hel"), chunk({}, text="lo"), chunk({}, text=7))

    assert ("Hello", 7) == (got.message.text, got.data["text"])


def test_an_id_that_comes_late_is_taken() -> None:
    """Azure begins with a chunk about the prompt: its id and model are empty, its time is 0."""
    prompt = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [
            {"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}
        ],
    }
    got = read(prompt, ROLE, text("a"), FINISH, DONE)

    assert ("chat_1", "m-1") == (got.message.id, got.message.model)
    assert HEAD["created"] == got.data["created"]
    assert prompt["prompt_filter_results"] == got.data["prompt_filter_results"]


def test_an_id_that_changes_is_counted() -> None:
    got = read(ROLE, {**text("a"), "id": "other", "model": "m-2"}, {**FINISH, "model": "m-2"}, DONE)

    assert ("chat_1", "m-2") == (got.message.id, got.message.model)
    assert "id_changed" in got.rules


def test_ids_that_are_no_text_are_passed_over() -> None:
    got = read({**text("a"), "id": 7, "model": ["m"]}, {**FINISH, "id": 8}, DONE)

    assert ("a", None) == (got.message.text, got.message.id)


@pytest.mark.parametrize("role", ["assistant", "developer"])
def test_a_role_in_every_chunk_is_never_appended(role: str) -> None:
    """Some servers repeat the role: openai's accumulator makes 'assistantassistant' of it."""
    got = read(*[chunk({"role": role, "content": piece}) for piece in "abc"], FINISH, DONE)

    assert (role, "abc") == (got.message.role, got.message.text)


def test_an_answer_without_a_role_is_the_assistants() -> None:
    """A role that is never sent is counted, once for each choice."""
    got = read(text("a"), text("b"), FINISH, DONE)

    assert "assistant" == got.message.role
    assert 1 == got.format.departures.details["role_missing"]


def test_several_choices_are_kept_apart_however_they_are_mixed() -> None:
    """A choice is known by its index, never by its place in the list."""
    got = read(
        chunk({"role": "assistant", "content": "b1"}, choice=1),
        {
            **HEAD,
            "choices": [{"index": 0, "delta": {"content": "a1"}}, {"index": 1, "delta": {"content": "b2"}}],
        },
        text("a2"),
        chunk({"content": "b3"}, "length", choice=1),
        text("a3"),
        FINISH,
        DONE,
    )

    assert [("a1a2a3", "stop"), ("b1b2b3", "length")] == [(m.text, m.finish_reason) for m in got.messages]


@pytest.mark.parametrize("index, expected", [(None, 0), ("2", 2), (2, 2)])
def test_a_choice_without_an_index_is_known_by_its_place(index: Any, expected: int) -> None:
    got = read(chunk({"role": "assistant", "content": "a"}, "stop", choice=index), DONE)

    assert [(expected, "a")] == [(m.choice, m.text) for m in got.messages if m.text]


@pytest.mark.parametrize("index", [-1, True, 0.5, "x", "9" * 5_000, {}, "²"])
def test_a_choice_with_an_index_that_is_none_is_an_error(index: Any) -> None:
    got = read(text("a"), chunk({"content": "b"}, choice=index))

    assert isinstance(got.error, ProtocolError)
    assert (2, "a") == (got.error.event, got.message.text)


@pytest.mark.parametrize("choices", [None, [], [None], {"index": 0, "delta": {"content": ""}}])
def test_choices_may_be_empty_or_absent(choices: Any) -> None:
    """Chunks about usage or the prompt have no choice."""
    got = answer(text("a"), {**HEAD, "choices": choices})

    assert ("a", None) == (got.message.text, got.error)


def test_a_choice_that_stands_alone_is_read() -> None:
    """An object in place of the list is its only item."""
    alone = {**HEAD, "choices": {"index": 0, "delta": {"content": "a"}}}

    assert "aaxa" == answer(alone, alone, text("x"), alone).message.text


def test_a_choice_that_is_no_object_is_an_error() -> None:
    assert isinstance(read({**HEAD, "choices": ["a"]}).error, ProtocolError)


def test_a_refusal_is_kept_apart_from_the_text() -> None:
    """The words in which a model declines are no text of the answer."""
    got = answer(chunk({"refusal": "I "}), chunk({"content": None, "refusal": "can't"}))

    assert ("", "I can't") == (got.message.text, got.message.refusal)
