"""OpenAI Chat: whole messages, alone and beside deltas."""

from __future__ import annotations

import pytest

from tests.formats.openai_chat.payloads import HEAD, ROLE, answer, chunk, read, text
from tests.formats.openai_chat.support import USAGE
from tests.formats.told import DONE


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

    assert ("Hello", "Hm", "complete") == (got.message.text, got.message.reasoning, got.message.ending)
    assert [("f", '{"a":1}')] == got.called
    assert (9, "tool_calls") == (
        got.message.usage and got.message.usage.input_tokens,
        got.message.finish_reason,
    )


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
    assert "aXcde" == got.message.provider_data["message.content"]


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
    assert ([("f", "{}")], "P") == (got.called, got.message.provider_data["provider"])


def test_text_beside_an_empty_delta_is_the_text() -> None:
    got = answer(chunk({}, text=""), chunk({}, text="Hel"), chunk({}, text="lo"), chunk({}, text=7))

    assert ("Hello", 7) == (got.message.text, got.message.provider_data["text"])
