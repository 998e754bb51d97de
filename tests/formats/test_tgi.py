"""Text Generation Inference: tokens, whole generations, errors, and what is odd about them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import DONE, Told, tell
from tests.support.formats import TGI
from tests.support.tables import in_one_test
from tokenstream import Stream


def token(text: Any, index: int = 1, **fields: Any) -> dict[str, Any]:
    inner = {"id": 100 + index, "text": text, "logprob": -0.25 * index, "special": False}
    return {"index": index, "token": inner, "generated_text": None, "details": None, **fields}


def special(text: str, **fields: Any) -> dict[str, Any]:
    made = token(text, 9, **fields)
    made["token"]["special"] = True
    return made


DETAILS = {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 7, "seed": 4}
END = special("</s>", generated_text="Hello", details=DETAILS)


def read(*frames: Any, **options: Any) -> Told:
    return tell(TGI(**options), *frames)


def test_the_counts_of_the_end_are_the_usage() -> None:
    usage = read(token("Hello"), END).message.usage

    assert (7, 3) == (usage.input_tokens, usage.output_tokens)
    assert {"input_length": 7, "generated_tokens": 3} == usage.provider_data


@pytest.mark.parametrize(
    ("word", "expected"),
    [("length", "length"), ("eos_token", "stop"), ("stop_sequence", "stop_sequence"), ("moon", "unknown")],
)
def test_finish_reasons_are_reported_in_our_words_and_the_servers(word: str, expected: str) -> None:
    message = read(token("a", details={"finish_reason": word}, generated_text="a")).message

    assert (expected, word) == (message.finish_reason, message.raw_finish_reason)


def test_special_tokens_are_no_text_and_are_not_lost() -> None:
    got = read(special("<s>"), token("Hi"), END)

    assert "Hi" == got.message.text
    assert ["<s>", "</s>"] == [item["text"] for item in got.data["special_tokens"]]


def test_the_whole_text_at_the_end_is_not_shown_again() -> None:
    """TGI's whole text may lack stop sequences and spaces, so it is carried beside the text."""
    got = read(token("Hello"), token(" \n"), END)

    assert "Hello \n" == got.message.text
    assert "Hello" == got.data["generated_text"]


def test_an_answer_without_details_ends_with_its_whole_text() -> None:
    got = read(token("Hi"), token("!", generated_text="Hi!"))

    assert ("Hi!", None, "complete") == (got.message.text, got.reason, got.ending)
    assert set() == got.rules


def test_details_alone_end_the_answer_too() -> None:
    """A server that sends no whole text says why it stopped."""
    got = read(token("Hi"), {"details": DETAILS})

    assert ("Hi", "stop") == (got.message.text, got.reason)
    assert got.error is None


def test_done_is_the_end_and_one_after_it_is_counted() -> None:
    """Proxies add it; before the last payload it says nothing of a reason."""
    assert {"finish_missing"} == read(token("Hi"), DONE).rules
    assert {"end_repeated"} == read(token("Hi"), END, DONE).rules


def test_other_details_are_carried() -> None:
    """The seed, and what else a server tells."""
    assert {"seed": 4} == read(token("Hi"), END).data["details"]


def test_a_whole_generation_is_read() -> None:
    """A server that refused to stream."""
    got = read({"generated_text": "Hello", "details": DETAILS})

    assert ("Hello", "stop") == (got.message.text, got.reason)
    assert "generated_text" not in got.data


def test_the_best_of_several_is_the_first_choice_and_the_others_follow() -> None:
    other = {"generated_text": "Hallo", "finish_reason": "length", "generated_tokens": 2}
    got = read({"generated_text": "Hello", "details": {**DETAILS, "best_of_sequences": [other]}})

    assert [("Hello", "stop"), ("Hallo", "length")] == [
        (message.text, message.finish_reason) for message in got.messages
    ]
    assert {"generated_tokens": 2} == got.messages[1].provider_data["details"]


def test_a_list_of_one_generation_is_a_whole_answer() -> None:
    """The inference API sends such lists."""
    stream = Stream([b'{"generated_text":"Hello"}'])

    assert "Hello" == stream.final().text
    assert "tgi" == stream.format


def test_likely_tokens_are_list_items() -> None:
    others = [{"id": 1, "text": "Ho", "logprob": -1.0, "special": False}]
    got = read(token("Hi", top_tokens=others), token("!", 2), END)

    assert others == got.data["top_tokens"][0]["top_tokens"]
    assert "Hi" == got.data["top_tokens"][0]["token"]["text"]


@in_one_test(
    ("kind", "expected", "retryable"),
    [
        ("overloaded", "overloaded", True),
        ("validation", "invalid_request", False),
        ("generation", "server", True),
        ("incomplete_generation", "server", True),
        ("moon", "unknown", False),
    ],
)
@in_one_test("name", ["", "error"])
def test_an_error_line_ends_the_stream(kind: str, expected: str, retryable: bool, name: str) -> None:
    """An error's type tells whose fault it is; older servers give the event a name."""
    error = {"error": "it broke", "error_type": kind}
    got = read(token("Hi"), (name or "message", error))

    assert (expected, retryable, kind) == (got.failure.kind, got.failure.retryable, got.failure.type)
    assert "it broke" in str(got.failure)
    assert "Hi" == got.message.text
    assert [] == got.format.feed(b"{}")


def test_a_payload_that_is_no_token_is_an_unknown_event() -> None:
    got = read(token("a"), ("news", {"x": 1}), {"type": "status"}, {"y": 2}, token("b", 2), END)

    assert ["news", "status", "event"] == got.unknown
    assert "ab" == got.message.text


def test_text_of_another_type_is_no_text() -> None:
    got = read(token(None), token(7), token("a"), END)

    assert "a" == got.message.text
    assert [None, 7, "</s>"] == [item["text"] for item in got.data["special_tokens"]]


@in_one_test(
    ("payload", "expected"),
    [
        (token("a"), True),
        (END, True),
        ({"token": {"text": "a"}, "index": 1}, True),
        ({"token": {"text": "a"}}, False),
        ({"token": {"id": 7}, "index": 1}, False),
        ({"token": "a"}, False),
        ({"generated_text": "a"}, True),
        ({"generated_text": "a", "results": []}, False),
        ({"generated_text": None}, False),
        ({}, False),
    ],
)
def test_a_payload_is_recognised_by_what_it_holds(payload: Any, expected: bool) -> None:
    assert expected == TGI.recognises(payload, "")


PAYLOADS: list[Any] = [
    token("Hel", 1),
    token("lo", 2),
    token(" w\n", 3),
    token("ö", 4),
    token("\ud83c", 5),
    token("\udf0a", 6),
    token("a", 7, top_tokens=[{"id": 1, "text": "b"}]),
    special("<s>"),
    token("x", 8, model="m"),
    {"generated_text": "y", "details": {**DETAILS, "best_of_sequences": [{"generated_text": "z"}]}},
    {"error": "m", "error_type": "generation"},
    ("error", {"error": "m"}),
    END,
]
