"""OpenAI Chat: heads, text, refusals and choices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.told import DONE
from tokenstream.errors import ProtocolError


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
    assert HEAD["created"] == got.message.provider_data["created"]
    assert prompt["prompt_filter_results"] == got.message.provider_data["prompt_filter_results"]


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
