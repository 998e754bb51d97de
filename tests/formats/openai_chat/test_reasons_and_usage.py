"""OpenAI Chat: finish reasons, the end of an answer, and usage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat.payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.openai_chat.support import USAGE
from tests.formats.told import DONE
from tests.support.tables import in_one_test
from tokenstream.errors import StreamTruncated
from tokenstream.events import UsageUpdate
from tokenstream.message import Usage

# -- finish reasons ----------------------------------------------------------------------


@in_one_test("word, expected", [("stop", "stop"), ("length", "length"), ("a new one", "unknown")])
def test_finish_reasons_are_reported_in_our_words_and_the_servers(word: str, expected: str) -> None:
    got = read(text("a"), chunk({}, word), DONE)

    assert (expected, word, "complete") == (got.reason, got.raw_reason, got.ending)


def test_an_empty_finish_reason_is_none() -> None:
    """Some servers send "" in every chunk."""
    got = read(chunk({"role": "assistant", "content": "a"}, ""), chunk({"content": "b"}, ""), FINISH, DONE)

    assert ("ab", "stop", set()) == (got.message.text, got.reason, got.rules)


def test_a_finish_reason_sent_again_is_counted() -> None:
    got = read(ROLE, text("a"), FINISH, text("b"), chunk({"content": "c"}, "length"), DONE)

    assert ("abc", "length") == (got.message.text, got.raw_reason)
    assert {"finish_repeated", "content_after_finish"} == got.rules


# -- the end -------------------------------------------------------------------------------


def test_an_answer_without_done_is_complete_with_a_departure() -> None:
    got = read(ROLE, text("a"), FINISH)

    assert ("complete", {"done_missing"}) == (got.ending, got.rules)


def test_done_without_a_finish_reason_is_complete_with_a_departure() -> None:
    """The reason is not made up."""
    got = read(ROLE, text("a"), DONE)

    assert ("complete", None, {"finish_missing"}) == (got.ending, got.reason, got.rules)


@pytest.mark.parametrize("sentinel", [b"[DONE]", b" [DONE]", b"[DONE] "])
def test_the_sentinel_may_have_spaces_around_it(sentinel: bytes) -> None:
    """Some servers write it so."""
    assert read(ROLE, text("a"), FINISH, sentinel).format.ended


_REPORT = {**HEAD, "choices": [], "usage": USAGE}


# -- usage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        pytest.param([text("a"), FINISH, _REPORT], id="in a chunk of its own"),
        pytest.param([text("a"), {**FINISH, "usage": USAGE}], id="with the finish reason"),
        pytest.param([_REPORT, text("a"), FINISH], id="before the text"),
        pytest.param([{**text("a"), "usage": USAGE}, {**FINISH, "usage": None}], id="nulled afterwards"),
        pytest.param([text("a"), chunk({}, "stop", usage=USAGE)], id="in the choice"),
        pytest.param([text("a"), {**FINISH, "x_groq": {"id": "r", "usage": USAGE}}], id="in an extension"),
        pytest.param([text("a"), FINISH, {"usage": USAGE}], id="without choices"),
        pytest.param(
            [
                {**text("a"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
                {**FINISH, "usage": USAGE},
            ],
            id="growing",
        ),
    ],
)
def test_usage_is_found_wherever_it_comes_and_never_nulled(place: list[Any]) -> None:
    """A later report replaces an earlier one field by field; null replaces nothing."""
    usage = read(ROLE, *place, DONE).message.usage

    assert (9, 4, 13, "reported") == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.basis,
    )


def test_usage_that_is_repeated_unchanged_is_reported_once() -> None:
    """Servers with cumulative usage send it in every chunk."""
    got = answer(*[{**text(piece), "usage": USAGE} for piece in "abc"])

    assert 1 == sum(isinstance(event, UsageUpdate) for event in got.events)
    assert "abc" == got.message.text


def test_usage_that_is_empty_says_nothing() -> None:
    got = answer({**chunk({}, usage={}), "usage": {}, "x_groq": {"usage": {}}})

    assert (Usage(), {"answer_empty"}) == (got.message.usage, got.rules)


def test_a_finish_reason_that_is_no_text_is_carried() -> None:
    got = read(text("a"), chunk({}, 7))

    assert 7 == got.data["finish_reason"]
    assert isinstance(got.error, StreamTruncated)
