"""Legacy completions: OpenAI's and their kin's, and llama.cpp's own route."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import DONE, Told, tell
from tests.support.formats import OpenAIChat, OpenAICompletions
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.errors import ProtocolError, StreamTruncated
from tokenstream.events import ReasoningDelta

HEAD = {"id": "cmpl_1", "object": "text_completion", "created": 1_700_000_000, "model": "m-1"}


def piece(text: Any, finish: Any = None, *, index: Any = 0, **fields: Any) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish, **fields}
    return {**HEAD, "choices": [choice]}


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
END = piece("", "stop")
LAST = {**HEAD, "choices": [], "usage": USAGE}


def read(*frames: Any, **options: Any) -> Told:
    return tell(OpenAICompletions(**options), *frames)


def test_the_usage_is_that_of_the_last_payload() -> None:
    usage = read(piece("a"), END, LAST, DONE).message.usage

    assert (5, 7, 12, USAGE) == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.provider_data,
    )


def test_several_choices_are_kept_apart_however_they_are_mixed() -> None:
    got = read(
        piece("a", index=1),
        piece("b"),
        piece("c", index=1),
        piece("", "length", index=1),
        piece("d", "stop"),
        DONE,
    )

    assert [(0, "bd", "stop"), (1, "ac", "length")] == [
        (message.choice, message.text, message.finish_reason) for message in got.messages
    ]
    assert set() == got.rules


@pytest.mark.parametrize(("index", "expected"), [(None, 0), ("1", 1)])
def test_a_choice_without_an_index_is_known_by_its_place(index: Any, expected: int) -> None:
    assert [expected] == [message.choice for message in read(piece("a", index=index), DONE).messages]


def test_a_choice_that_is_no_object_is_an_error() -> None:
    """Null is none at all, and one object stands for a list of one."""
    assert isinstance(read({**HEAD, "choices": ["a"]}).error, ProtocolError)
    assert isinstance(read({**HEAD, "choices": [None]}, DONE).error, StreamTruncated)
    assert "a" == read({**HEAD, "choices": {"text": "a"}}, DONE).message.text


def test_log_probabilities_add_up() -> None:
    first = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}], "text_offset": [0]}
    second = {
        "tokens": ["b", "c"],
        "token_logprobs": [None, -2.0],
        "top_logprobs": None,
        "text_offset": [1, 2],
    }
    data = read(piece("a", logprobs=first), piece("bc", "stop", logprobs=second), DONE).data

    assert ["a", "b", "c"] == data["logprobs.tokens"]
    assert [-1.0, None, -2.0] == data["logprobs.token_logprobs"]
    assert [{"a": -1.0}] == data["logprobs.top_logprobs"]
    assert [0, 1, 2] == data["logprobs.text_offset"]


@pytest.mark.parametrize(
    "logprobs", [[{"token": "a"}], {"content": [{"token": "a"}]}, {"content": {"token": "a"}}]
)
def test_log_probabilities_in_the_form_of_chat_are_read_too(logprobs: Any) -> None:
    """Newer servers send them so."""
    assert [{"token": "a"}] == read(piece("a", "stop", logprobs=logprobs), DONE).data["logprobs"]


def test_text_that_is_a_number_is_text() -> None:
    """A token such as 6 comes as a number."""
    got = read(piece("n = "), piece(6), piece(False, "stop"), DONE)

    assert ("n = 6false", {"text_parsed": 2}) == (got.message.text, got.departures)


def test_token_ids_add_up() -> None:
    """A server sends them when asked."""
    got = read(piece("a", token_ids=[1, 2]), piece("b", token_ids=[3]), piece("", "stop", token_ids=[]), DONE)

    assert [1, 2, 3] == got.data["token_ids"]
    assert [7] == read(piece("a", token_ids=7), DONE).data["token_ids"]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_beside_the_text_is_reasoning(name: str) -> None:
    """Some servers split it from the text here too."""
    got = read(piece("", **{name: "Hm"}), piece("Yes", "stop", **{name: None}), DONE)

    assert ("Hm", "Yes") == (got.message.reasoning, got.message.text)
    assert ["Hm"] == [event.text for event in got.events if isinstance(event, ReasoningDelta)]


def test_fields_without_a_word_of_ours_are_carried() -> None:
    fields = {"stop_reason": 128_009, "prompt_logprobs": None, "matched": "", "reasoning": [8]}
    got = read({**piece([7], 9, **fields), "system_fingerprint": "fp", "usage": "many"}, DONE)

    assert {
        "created": 1_700_000_000,
        "system_fingerprint": "fp",
        "usage": "many",
        "stop_reason": 128_009,
        "text": [7],
        "reasoning": [8],
        "finish_reason": 9,
    } == got.data


def test_the_end_is_known_by_its_finish_reason_too() -> None:
    assert {"done_missing"} == read(piece("a", "stop")).rules
    assert {"finish_missing"} == read(piece("a"), DONE).rules
    assert isinstance(read(piece("a")).error, StreamTruncated)


def test_an_error_ends_the_stream() -> None:
    for error in (
        {"error": {"message": "busy", "type": "overloaded_error"}},
        {"object": "error", "message": "busy"},
    ):
        got = read(piece("a"), error)

        assert "busy" in str(got.failure)
        assert "a" == got.message.text


def test_a_payload_that_is_no_completion_is_an_unknown_event() -> None:
    got = read(piece("a"), ("news", {"x": 1}), {"object": "status"}, {"y": 1}, piece("b", "stop"), DONE)

    assert ["news", "status", "event"] == got.unknown
    assert "ab" == got.message.text


def test_an_answer_that_was_not_streamed_is_read_whole() -> None:
    stream = Stream(
        [b'{"object":"text_completion","choices":[{"text":"Hi","index":0,"finish_reason":"stop"}]}']
    )

    assert ("Hi", "openai-completions") == (stream.final().text, stream.format)


# -- llama.cpp's own route -------------------------------------------------------------------------------


def native(content: Any, stop: Any = False, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "content": content, "tokens": [], "stop": stop, "id_slot": -1, **fields}


OVER = native(
    "",
    True,
    model="q.gguf",
    tokens_predicted=3,
    tokens_evaluated=8,
    stop_type="eos",
    stopping_word="",
    truncated=False,
    timings={"prompt_n": 8},
)


def test_the_own_route_of_llama_cpp_is_read() -> None:
    """The last payload of llama.cpp's route ends the answer, without `[DONE]`."""
    got = read(native("Hel", tokens_predicted=1), native("lo", tokens_predicted=2), OVER)

    assert ["Hel", "lo"] == got.texts
    assert ("Hello", "stop", "eos", "q.gguf") == (
        got.message.text,
        got.reason,
        got.raw_reason,
        got.message.model,
    )
    assert (8, 3) == (got.message.usage.input_tokens, got.message.usage.output_tokens)
    assert {"id_slot": -1, "truncated": False, "timings": {"prompt_n": 8}} == {
        name: got.data[name] for name in ("id_slot", "truncated", "timings")
    }
    assert set() == got.rules


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop_type": "limit"}, ("length", "limit")),
        ({"stop_type": "word"}, ("stop_sequence", "word")),
        ({"stop_type": "none"}, ("unknown", "none")),
        ({"stopped_limit": True, "stopped_eos": False}, ("length", "limit")),
        ({"stopped_word": True}, ("stop_sequence", "word")),
        ({}, ("unknown", None)),
    ],
)
def test_llama_cpp_says_why_it_stopped(fields: Any, expected: Any) -> None:
    message = read(native("a"), native("", True, **fields)).message

    assert expected == (message.finish_reason, message.raw_finish_reason)


def test_tokens_and_probabilities_of_llama_cpp_add_up() -> None:
    first = native("a", tokens=[1], completion_probabilities=[{"id": 1}])
    got = read(first, native("b", tokens=[2]), OVER)

    assert [1, 2] == got.data["tokens"]
    assert [{"id": 1}] == got.data["logprobs"]


def test_several_choices_of_llama_cpp_end_each_for_itself() -> None:
    """The answer is over with the last of them."""
    got = read(
        native("a"), {**native("b"), "index": 1}, OVER, {**native("c"), "index": 1}, {**OVER, "index": 1}
    )

    assert ["a", "bc"] == [message.text for message in got.messages]
    assert "complete" == got.ending


def test_llama_cpp_may_continue_one_prompt_after_another() -> None:
    """A server with one slot begins the second text after the end of the first."""
    second = [{**native("Bon"), "index": 1}, {**native("jour"), "index": 1}, {**OVER, "index": 1}]
    got = read(native("Hel"), native("lo"), OVER, *second)

    assert [("Hello", "stop"), ("Bonjour", "stop")] == [(m.text, m.finish_reason) for m in got.messages]
    assert ["complete", "complete"] == [message.ending for message in got.messages]
    assert not got.rules
    cut = read(native("Hel"), native("lo"), OVER, *second[:-1])
    assert isinstance(cut.error, StreamTruncated)
    assert ["complete", "truncated"] == [message.ending for message in cut.messages]


def test_a_frame_of_llama_cpp_that_is_cut_after_the_first_answer_is_an_error() -> None:
    """A cut frame of llama.cpp may have begun the next answer."""
    stream = Stream([*sses(native("Hello"), OVER), b'data: {"content": "Bo'])

    with pytest.raises(StreamTruncated):
        stream.final()
    assert stream.message.text == "Hello"


@in_one_test(
    ("payload", "expected"),
    [
        (piece("a"), True),
        ({"choices": [], "object": "text_completion"}, True),
        ({"choices": [{"text": "a"}]}, True),
        ({"choices": [{"text": "a", "delta": {"content": "a"}}], "object": "text_completion"}, False),
        ({"choices": [{"index": 0}]}, False),
        ({"choices": []}, False),
        (native("a"), True),
        ({"content": "a", "stop": None}, False),
        ({"content": [], "stop": True}, False),
        ({}, False),
    ],
)
def test_a_payload_is_recognised_by_what_it_holds(payload: Any, expected: bool) -> None:
    """A choice with a delta is a chat's, whatever its object is called."""
    assert expected == OpenAICompletions.recognises(payload, "")


def test_a_completion_with_a_delta_is_a_chat() -> None:
    """One server names its chunks so."""
    assert OpenAIChat.recognises({"choices": [{"delta": {"content": "a"}}], "object": "text_completion"}, "")


PAYLOADS: list[Any] = [
    piece("Hel"),
    piece("lo"),
    piece(" w\n"),
    piece("ö"),
    piece("\ud83c"),
    piece("\udf0a"),
    {**piece("x"), "obfuscation": "aB3"},
    {**piece("y"), "created": 1_800_000_000},
    native("n", tokens_predicted=1),
    piece("z", index=1),
    piece("q", reasoning="r", logprobs={"tokens": ["q"]}, token_ids=[1]),
    native("o", tokens=[1], completion_probabilities=[{}]),
    {**piece("u"), "usage": USAGE},
    LAST,
    END,
    OVER,
    {"error": {"message": "m"}},
]
