"""OpenAI Chat: heads, text, finish reasons, usage, errors and the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_chat_payloads import FINISH, HEAD, ROLE, answer, chunk, read, text
from tests.formats.told import DONE
from tokenstream.errors import LimitExceeded, ProtocolError, ProviderError, StreamTruncated
from tokenstream.events import (
    Finish,
    MessageStart,
    PartStart,
    Ping,
    TextDelta,
    Unknown,
    UsageUpdate,
)
from tokenstream.formats._wire.openai_chat import OpenAIChat
from tokenstream.framing import ServerSentEvent
from tokenstream.limits import Limits


def test_text_arrives_piece_by_piece_and_adds_up() -> None:
    """Each chunk with text gives one delta; the message is their join."""
    got = answer(text("Hel"), text("lo"), text(" \n"), text("wörld"))

    assert ["Hel", "lo", " \n", "wörld"] == got.texts
    assert "Hello \nwörld" == got.message.text
    assert ("complete", "stop", "stop") == (
        got.message.ending,
        got.message.finish_reason,
        got.message.raw_finish_reason,
    )
    assert set() == got.rules


def test_the_first_chunk_names_the_answer_and_the_model() -> None:
    """Id, model and role stand in the message; the time of the answer is carried."""
    got = answer(text("a"))

    assert ("chat_1", "m-1", "assistant") == (got.message.id, got.message.model, got.message.role)
    assert HEAD["created"] == got.message.provider_data["created"]


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
    """The first id counts, and the last model."""
    got = read(ROLE, {**text("a"), "id": "other", "model": "m-2"}, {**FINISH, "model": "m-2"}, DONE)

    assert ("chat_1", "m-2") == (got.message.id, got.message.model)
    assert "id_changed" in got.rules


def test_ids_that_are_no_text_are_passed_over() -> None:
    """A payload's head may hold anything."""
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
    assert 1 == got.format.departures["role_missing"].count


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


@pytest.mark.parametrize(
    "index, expected",
    [(None, 0), ("2", 2), (2, 2)],
)
def test_a_choice_without_an_index_is_known_by_its_place(index: Any, expected: int) -> None:
    """An index may be missing or be text."""
    got = read(chunk({"role": "assistant", "content": "a"}, "stop", choice=index), DONE)

    assert [(expected, "a")] == [(m.choice, m.text) for m in got.messages if m.text]


@pytest.mark.parametrize("index", [-1, True, 0.0, "x", "9" * 5_000, {}, "²"])
def test_a_choice_with_an_index_that_is_none_is_an_error(index: Any) -> None:
    """What is no index at all is a fault of the protocol."""
    got = read(text("a"), chunk({"content": "b"}, choice=index))

    assert isinstance(got.error, ProtocolError)
    assert (2, "a") == (got.error.event, got.message.text)


def test_more_choices_than_the_limit_end_the_stream() -> None:
    """`Limits.choices` bounds the alternatives."""
    got = read(*[text("a", choice=number) for number in range(3)], limits=Limits(choices=2))

    assert isinstance(got.error, LimitExceeded)
    assert "choices" == got.error.limit


@pytest.mark.parametrize("choices", [None, [], [None], {"index": 0, "delta": {"content": ""}}])
def test_choices_may_be_empty_or_absent(choices: Any) -> None:
    """Chunks about usage or the prompt have no choice."""
    got = read(ROLE, text("a"), {**HEAD, "choices": choices}, FINISH, DONE)

    assert ("a", None) == (got.message.text, got.error)


def test_a_choice_that_stands_alone_is_read() -> None:
    """An object in place of the list is its only item."""
    alone = {**HEAD, "choices": {"index": 0, "delta": {"content": "a"}}}

    assert "aaxa" == answer(alone, alone, text("x"), alone).message.text


def test_choices_that_are_no_list_are_carried() -> None:
    """A field of the wrong type is not lost."""
    assert "none" == answer({**HEAD, "choices": "none"}).carried["choices"]


def test_a_choice_that_is_no_object_is_an_error() -> None:
    """What stands in the list of choices must be choices."""
    assert isinstance(read({**HEAD, "choices": ["a"]}).error, ProtocolError)


@pytest.mark.parametrize("delta", ["a", 7, ["a"], True])
def test_a_delta_that_is_no_object_is_carried(delta: Any) -> None:
    """A field of the wrong type is not lost."""
    got = answer(chunk(delta))

    assert (None, delta) == (got.error, got.message.provider_data["delta"])


@pytest.mark.parametrize("refusal", [7, True, 0.5])
def test_a_refusal_that_is_no_text_is_carried(refusal: Any) -> None:
    """A field of the wrong type is not lost."""
    assert refusal == answer(chunk({"refusal": refusal})).carried["refusal"]


def test_a_refusal_is_kept_apart_from_the_text() -> None:
    """The words in which a model declines are no text of the answer."""
    got = answer(chunk({"refusal": "I "}), chunk({"content": None, "refusal": "can't"}))

    assert ("", "I can't") == (got.message.text, got.message.refusal)


def test_half_a_character_waits_for_its_other_half() -> None:
    """A surrogate pair split over two chunks is shown whole; a lone half becomes U+FFFD."""
    head = b'{"choices":[{"index":0,"delta":{"content":"%s"}}]}'
    got = answer(text("a"), head % b"\\ud83d", head % b"\\ude00", text("b"), head % b"x\\ud83d")

    assert ["a", "\U0001f600", "b", "x", "\ufffd"] == got.texts
    assert {"lone_surrogate"} == got.rules


# -- finish reasons ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "word, expected",
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("content_filter", "content_filter"),
        ("safety", "content_filter"),
        ("sensitive", "content_filter"),
        ("error", "error"),
        ("network_error", "error"),
        ("insufficient_system_resource", "error"),
        ("abort", "cancelled"),
        ("cancelled", "cancelled"),
        ("a new one", "unknown"),
    ],
)
def test_finish_reasons_are_told_in_our_words_and_the_servers(word: str, expected: str) -> None:
    """A reason that nobody knows is `unknown`; the server's word is kept."""
    got = read(text("a"), chunk({}, word), DONE)

    assert (expected, word, "complete") == (
        got.message.finish_reason,
        got.message.raw_finish_reason,
        got.message.ending,
    )


def test_an_empty_finish_reason_is_none() -> None:
    """Some servers send "" in every chunk."""
    got = read(chunk({"role": "assistant", "content": "a"}, ""), chunk({"content": "b"}, ""), FINISH, DONE)

    assert ("ab", "stop", set()) == (got.message.text, got.message.finish_reason, got.rules)


def test_a_finish_reason_sent_again_is_counted() -> None:
    """The last one counts; what comes after the first is still added."""
    got = read(ROLE, text("a"), FINISH, text("b"), chunk({"content": "c"}, "length"), DONE)

    assert ("abc", "length") == (got.message.text, got.message.raw_finish_reason)
    assert {"finish_repeated", "content_after_finish"} == got.rules


def test_a_finish_reason_that_is_no_text_is_carried() -> None:
    """It finishes nothing."""
    got = read(text("a"), chunk({}, 7))

    assert 7 == got.message.provider_data["finish_reason"]
    assert isinstance(got.error, StreamTruncated)


# -- the end -------------------------------------------------------------------------------


def test_an_answer_without_done_is_complete_with_a_departure() -> None:
    """A finish reason is enough."""
    got = read(ROLE, text("a"), FINISH)

    assert ("complete", {"done_missing"}) == (got.message.ending, got.rules)


def test_done_without_a_finish_reason_is_complete_with_a_departure() -> None:
    """The reason is not made up."""
    got = read(ROLE, text("a"), DONE)

    assert ("complete", None, {"finish_missing"}) == (
        got.message.ending,
        got.message.finish_reason,
        got.rules,
    )


def test_an_answer_that_breaks_off_is_truncated() -> None:
    """Neither a finish reason nor [DONE]: half an answer never looks finished."""
    got = read(ROLE, text("a"))

    assert isinstance(got.error, StreamTruncated)
    assert ("truncated", "a") == (got.message.ending, got.message.text)


def test_what_comes_after_the_end_is_ignored_and_counted() -> None:
    """After [DONE] a well-behaved stream says nothing."""
    got = answer(text("a"), FINISH, DONE, text("b"))

    assert "a" == got.message.text
    assert "data_after_end" in got.rules


@pytest.mark.parametrize("sentinel", [b"[DONE]", b" [DONE]", b"[DONE] "])
def test_the_sentinel_may_have_spaces_around_it(sentinel: bytes) -> None:
    """Some servers write it so."""
    assert read(ROLE, text("a"), FINISH, sentinel).format.ended


# -- usage -----------------------------------------------------------------------------------

_USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def _usage(**fields: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [], "usage": {**_USAGE, **fields}}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param([text("a"), FINISH, _usage()], id="in a chunk of its own"),
        pytest.param([text("a"), {**FINISH, "usage": _USAGE}], id="with the finish reason"),
        pytest.param([_usage(), text("a"), FINISH], id="before the text"),
        pytest.param([{**text("a"), "usage": _USAGE}, {**FINISH, "usage": None}], id="nulled afterwards"),
        pytest.param([text("a"), chunk({}, "stop", usage=_USAGE)], id="in the choice"),
        pytest.param([text("a"), {**FINISH, "x_groq": {"id": "r", "usage": _USAGE}}], id="in an extension"),
        pytest.param([text("a"), FINISH, {"usage": _USAGE}], id="without choices"),
        pytest.param(
            [
                {**text("a"), "usage": {"prompt_tokens": 9, "completion_tokens": 1}},
                {**FINISH, "usage": _USAGE},
            ],
            id="growing",
        ),
    ],
)
def test_usage_is_found_wherever_it_comes_and_never_nulled(place: list[Any]) -> None:
    """A later report replaces an earlier one field by field; null replaces nothing."""
    usage = read(ROLE, *place, DONE).message.usage

    assert usage is not None
    assert (9, 4, 13, "reported") == (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.source,
    )


@pytest.mark.parametrize("place", [chunk({}, "stop", usage=_USAGE), {**FINISH, "x_groq": {"usage": _USAGE}}])
def test_usage_in_a_place_of_its_own_is_counted(place: dict[str, Any]) -> None:
    """The documents have it beside the choices."""
    assert {"usage_misplaced"} == read(ROLE, text("a"), place, DONE).rules


@pytest.mark.parametrize(
    "fields, name, expected",
    [
        ({"prompt_tokens_details": {"cached_tokens": 5}}, "cached_tokens", 5),
        ({"prompt_cache_hit_tokens": 5}, "cached_tokens", 5),
        ({"cache_read_input_tokens": 5}, "cached_tokens", 5),
        ({"cached_tokens": 5}, "cached_tokens", 5),
        ({"prompt_tokens_details": {"cache_write_tokens": 5}}, "cache_write_tokens", 5),
        ({"cache_creation_input_tokens": 5}, "cache_write_tokens", 5),
        ({"prompt_tokens_details": {"audio_tokens": 5}}, "input_audio_tokens", 5),
        ({"prompt_tokens_details": {"image_tokens": 5}}, "input_image_tokens", 5),
        ({"completion_tokens_details": {"audio_tokens": 5}}, "output_audio_tokens", 5),
        ({"completion_tokens_details": {"reasoning_tokens": 5}}, "reasoning_tokens", 5),
        ({"completion_tokens_details": {"accepted_prediction_tokens": 5}}, "accepted_prediction_tokens", 5),
        ({"completion_tokens_details": {"rejected_prediction_tokens": 5}}, "rejected_prediction_tokens", 5),
        ({"completion_tokens_details": None}, "reasoning_tokens", None),
        ({"completion_tokens": "4"}, "output_tokens", None),
        ({"completion_tokens": 4.0}, "output_tokens", 4),
        ({"cost": 0.25}, "cost", 0.25),
        ({"cost": {"total_cost": 0.5}}, "cost", 0.5),
        ({"cost": True}, "cost", None),
        ({"cost": 10**400}, "cost", None),
    ],
)
def test_usage_has_our_names_and_the_report_as_sent(fields: Any, name: str, expected: Any) -> None:
    """Absent is None, zero is zero, and what has the wrong type is absent."""
    usage = answer(_usage(**fields)).message.usage

    assert usage is not None
    assert expected == getattr(usage, name)
    assert fields.items() <= usage.provider_data.items()


def test_usage_that_is_repeated_unchanged_is_told_once() -> None:
    """Servers with cumulative usage send it in every chunk."""
    got = answer(*[{**text(piece), "usage": _USAGE} for piece in "abc"])

    assert 1 == sum(isinstance(event, UsageUpdate) for event in got.events)
    assert "abc" == got.message.text


def test_usage_that_is_empty_says_nothing() -> None:
    """No report is no report."""
    got = answer({**chunk({}, usage={}), "usage": {}, "x_groq": {"usage": {}}})

    assert (None, set()) == (got.message.usage, got.rules)


@pytest.mark.parametrize("usage", [7, "many", [1]])
def test_usage_that_is_no_object_is_carried(usage: Any) -> None:
    """A field of the wrong type is not lost."""
    got = answer({**text("a"), "usage": usage}, chunk({}, usage=usage), {**text("b"), "x_groq": usage})

    assert (usage, usage, "ab") == (got.carried["usage"], got.carried["x_groq"], got.message.text)


# -- fields ------------------------------------------------------------------------------------


def test_fields_without_a_word_of_ours_are_carried() -> None:
    """Unknown is data: of the answer, the choice and the delta."""
    got = answer(
        {
            **chunk({"content": "a", "channel": "final"}, matched_stop=128),
            "provider": "P",
            "timings": {"n": 1},
        },
        {**text("b"), "service_tier": "flex", "system_fingerprint": "fp_1"},
    )

    assert {
        "created": HEAD["created"],
        "channel": "final",
        "matched_stop": 128,
        "provider": "P",
        "timings": {"n": 1},
        "service_tier": "flex",
        "system_fingerprint": "fp_1",
    } == got.message.provider_data


def test_a_field_that_repeats_itself_is_told_once() -> None:
    """Only news are events."""
    got = answer(*[{**chunk({"content": piece, "channel": "c"}), "provider": "P"} for piece in "abc"])

    assert 1 == sum(isinstance(event, Unknown) and event.name == "provider" for event in got.events)
    assert 1 == sum(isinstance(event, Unknown) and event.name == "channel" for event in got.events)


def test_a_field_that_changes_is_told_again() -> None:
    """The last value counts."""
    got = answer(*[chunk({"content": "a", "channel": name}) for name in ("x", "x", "y", "x")])

    assert ["x", "y", "x"] == [e.data for e in got.events if isinstance(e, Unknown) and e.name == "channel"]
    assert "x" == got.message.provider_data["channel"]


def test_padding_and_empty_fields_say_nothing() -> None:
    """Obfuscation, nulls and empty values are dropped."""
    got = answer(
        {**chunk({"content": "a", "tool_calls": [], "x": ""}, y={}), "obfuscation": "q", "p": "w", "z": None}
    )

    assert ({}, set()) == (got.carried, got.rules)


def test_the_time_of_each_chunk_is_that_of_the_first() -> None:
    """Some servers send a new `created` with every chunk."""
    got = answer(*[{**text("a"), "created": HEAD["created"] + n} for n in range(4)])

    assert ("aaaa", HEAD["created"]) == (got.message.text, got.message.provider_data["created"])


def test_log_probabilities_add_up() -> None:
    """Each list is added to those before it, also those of a refusal."""
    one, two, three = ({"token": t, "logprob": -0.5} for t in "abc")
    got = answer(
        text("a", logprobs={"content": [one], "refusal": None}),
        text("b", logprobs={"content": [two], "refusal": [three]}),
    )

    assert [one, two] == got.message.provider_data["logprobs"]
    assert [three] == got.message.provider_data["logprobs.refusal"]


@pytest.mark.parametrize("logprobs, expected", [(-0.5, [-0.5]), ([1], [1]), ({"tokens": ["a"]}, None)])
def test_log_probabilities_of_another_shape_are_carried(logprobs: Any, expected: Any) -> None:
    """Older servers send numbers, or parallel lists."""
    data = answer(text("a", logprobs=logprobs)).message.provider_data

    assert expected == data.get("logprobs")
    assert expected is not None or ["a"] == data["logprobs.tokens"]


def test_token_ids_add_up() -> None:
    """VLLM sends lists of them, Together one in each delta."""
    got = answer(
        text("a", token_ids=[1, 2]), text("b", token_ids=[3]), chunk({"content": "c", "token_id": 4})
    )

    assert ([1, 2, 3], [4]) == (got.message.provider_data["token_ids"], got.message.provider_data["token_id"])


def test_filter_results_are_carried_wherever_they_come() -> None:
    """Azure's asynchronous filter sends chunks without a delta, after the text was shown."""
    results = {"violence": {"filtered": True, "severity": "high"}}
    late = {
        "object": "",
        "choices": [
            {"index": 0, "content_filter_results": results, "content_filter_offsets": {"check_offset": 4}}
        ],
    }
    got = answer(text("a", content_filter_results={}), late)

    assert results == got.message.provider_data["content_filter_results"]
    assert {"check_offset": 4} == got.message.provider_data["content_filter_offsets"]


def test_a_moderation_chunk_is_carried() -> None:
    """It comes by itself, between the finish reason and the usage."""
    moderation = {"input": {"type": "moderation_results", "results": [{"flagged": False}]}}
    got = read(ROLE, text("a"), FINISH, {**HEAD, "choices": [], "moderation": moderation}, DONE)

    assert ("complete", moderation) == (got.message.ending, got.message.provider_data["moderation"])


def test_a_payload_that_is_no_chunk_is_an_unknown_event() -> None:
    """Unknown is data."""
    got = answer(text("a"), {"type": "news", "n": 1}, ServerSentEvent(b'{"n": 2}', event="metadata"))

    assert [("news", {"type": "news", "n": 1}), ("metadata", {"n": 2})] == [
        (event.name, event.data)
        for event in got.events
        if isinstance(event, Unknown) and event.kind == "event"
    ]


def test_pings_are_signs_of_life() -> None:
    """They are told only to those who ask."""
    ping = ServerSentEvent(b"{}", event="ping")

    assert not any(isinstance(event, Ping) for event in answer(ping, b"").events)
    assert 2 == sum(isinstance(event, Ping) for event in answer(ping, b"", pings=True).events)


def test_every_event_carries_its_payload() -> None:
    """`.raw` is the payload as the server sent it, whichever way it was read."""
    sent = [text(piece) for piece in ("a", "b", "c\n", "d")]
    got = answer(*sent)

    assert sent == [event.raw for event in got.events if isinstance(event, TextDelta)]


# -- whole messages ---------------------------------------------------------------------------------


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
            "usage": _USAGE,
        }
    )

    assert ("Hello", "Hm", "complete") == (got.message.text, got.message.reasoning, got.message.ending)
    assert [("f", '{"a":1}')] == got.called
    assert (9, "tool_calls") == (
        got.message.usage and got.message.usage.input_tokens,
        got.message.finish_reason,
    )


def test_half_a_character_is_not_overtaken_by_the_text_after_it() -> None:
    """A chunk that is half a pair and nothing else gives no text, but keeps its place."""
    got = answer(*[text("a")] * 5, text("\ud83c"), text("abc"), text("d"))

    assert "aaaaa\ufffdabcd" == got.message.text


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


@pytest.mark.parametrize("versions", [["abc", "ab", "abcd"], ["a", "abc", "a", "abc", "abcd"]])
def test_a_message_that_becomes_shorter_for_a_while_is_shown_once(versions: list[str]) -> None:
    """What was shown stays; only what goes beyond it is new."""
    got = answer(*[chunk(message={"content": version}) for version in versions])

    assert ("abcd", {"text_rewritten"}) == (got.message.text, got.rules)


def test_a_message_that_was_rewritten_is_not_shown_a_second_time() -> None:
    """Nobody can take back what was shown; the other version lies beside it."""
    got = answer(*[chunk(message={"content": version}) for version in ("a", "abc", "aXcd", "aXcde", "abcde")])

    assert ("abcde", {"text_rewritten"}) == (got.message.text, got.rules)
    assert 2 == got.format.departures["text_rewritten"].count
    assert "aXcde" == got.message.provider_data["message.content"]


def test_a_message_that_is_sent_again_unchanged_adds_nothing() -> None:
    """The same text is no change."""
    got = answer(*[chunk(message={"content": version}) for version in ("ab", "abc", "abc")])

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


@pytest.mark.parametrize("message", ["a", 7, [1]])
def test_a_message_that_is_no_object_is_carried(message: Any) -> None:
    """A field of the wrong type is not lost."""
    assert message == answer(chunk(message=message)).message.provider_data["message"]


def test_text_beside_the_delta_is_taken_once() -> None:
    """Together repeats the delta's text in the choice."""
    got = answer(text("Hel", text="Hel"), text("lo", text="lo"), text("", text=""))

    assert ("Hello", {"text_twice"}) == (got.message.text, got.rules)


def test_text_beside_an_empty_delta_is_the_text() -> None:
    """Where the delta has none, it is not lost."""
    got = answer(chunk({}, text=""), chunk({}, text="Hel"), chunk({}, text="lo"), chunk({}, text=7))

    assert ("Hello", 7) == (got.message.text, got.message.provider_data["text"])


# -- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame, kind, words",
    [
        ({"error": {"message": "m", "type": "server_error", "param": None, "code": None}}, "server", "m"),
        ({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "invalid_request", "m"),
        (ServerSentEvent(b'{"code":400,"details":"m"}', event="error"), "invalid_request", "m"),
        (ServerSentEvent(b"busy, try later", event="error"), "unknown", "busy"),
        ({"error": "m"}, "unknown", "m"),
        ({"error": "m", "error_type": "overloaded"}, "overloaded", "m"),
        (
            {
                "id": "g",
                "error": {"code": 502, "message": "m"},
                "choices": [{"index": 0, "delta": {"content": ""}}],
            },
            "server",
            "m",
        ),
        ({"x_groq": {"error": "m"}}, "unknown", "m"),
        (
            {**HEAD, "choices": [{"index": 0, "delta": {}, "error": {"code": 429, "message": "m"}}]},
            "rate_limited",
            "m",
        ),
        ({"code": "DataInspectionFailed", "message": "m", "request_id": "r"}, "unknown", "m"),
        (
            {**HEAD, "choices": [], "base_resp": {"status_code": 1002, "status_msg": "rate limit m"}},
            "rate_limited",
            "m",
        ),
        ({"error": {"message": "m", "code": "insufficient_quota"}}, "rate_limited", "m"),
        ({"detail": [{"msg": "m"}]}, "unknown", ""),
    ],
)
def test_an_error_in_any_shape_ends_the_stream(frame: Any, kind: str, words: str) -> None:
    """What came before is kept; the provider's words are in the message."""
    got = read(ROLE, text("a"), frame, text("b"), DONE)

    assert isinstance(got.error, ProviderError)
    assert (kind, "a", "failed") == (got.error.kind, got.message.text, got.message.ending)
    assert words in str(got.error)


def test_what_comes_with_an_error_is_delivered_first() -> None:
    """OpenRouter puts the last text, the finish reason and the usage beside the error."""
    got = read(
        ROLE,
        text("a"),
        {**chunk({"content": "b"}, "error"), "error": {"code": 502, "message": "m"}, "usage": _USAGE},
        DONE,
    )

    assert isinstance(got.error, ProviderError)
    assert ("ab", "error", 9) == (
        got.message.text,
        got.message.raw_finish_reason,
        got.message.usage and got.message.usage.input_tokens,
    )


def test_an_error_with_broken_choices_is_still_the_providers_error() -> None:
    """What the provider says counts more than how it says it."""
    got = read(ROLE, {"error": {"message": "m"}, "choices": [7]})

    assert isinstance(got.error, ProviderError)


@pytest.mark.parametrize("fields", [{"error": None}, {"base_resp": {"status_code": 0}}, {"type": "chunk"}])
def test_what_only_looks_like_an_error_is_none(fields: Any) -> None:
    """`error: null` and a status of 0 are no errors."""
    got = answer({**text("a"), **fields}, chunk({}, error=[]))

    assert ("a", None) == (got.message.text, got.error)


@pytest.mark.parametrize("frame", [b"{", b"42", b"null", b"[]", b'"a"', b"<html>"])
def test_a_payload_that_is_no_json_object_is_an_error(frame: bytes) -> None:
    """Before the text and after it, with what had arrived kept."""
    got = read(ROLE, text("a"), text("b"), frame, text("c"))

    assert isinstance(got.error, ProtocolError)
    assert (4, "ab") == (got.error.event, got.message.text)


# -- recognising ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload, expected",
    [
        (ROLE, True),
        ({"choices": [{"delta": {}}]}, True),
        ({"choices": [{"message": {}}]}, True),
        ({"object": "chat.completion", "choices": []}, True),
        ({"object": "text_completion", "choices": [{"delta": {"content": "a"}}]}, True),
        ({"choices": [], "prompt_filter_results": []}, True),
        ({"choices": []}, None),
        ({"choices": [{"index": 0, "finish_reason": None}]}, None),
        ({"choices": [{"index": 0}, {"index": 1}]}, None),
        ({"choices": [{"index": 0, "text": "a"}]}, False),
        ({"choices": [{"label": "a"}]}, False),
        ({"choices": ["a"]}, False),
        ({"object": "text_completion", "choices": [{"text": "a"}]}, False),
        ({"type": "message_start"}, False),
        ({"object": 7, "choices": 7}, False),
    ],
)
def test_a_chunk_is_recognised_by_what_it_holds(payload: Any, expected: bool | None) -> None:
    """An empty list of choices decides nothing, and neither does a choice that says nothing yet."""
    assert expected is OpenAIChat.recognises(payload, "")


def test_objects_that_are_already_decoded_are_read_too() -> None:
    """An SDK's stream yields them."""
    made = OpenAIChat()
    events = [event for payload in (ROLE, text("a"), text("b"), FINISH) for event in made.feed(payload)]

    assert [MessageStart, Unknown, PartStart, TextDelta, TextDelta] == [type(event) for event in events[:5]]
    assert isinstance(events[-1], Finish)


def test_events_with_an_id_or_a_name_are_read_too() -> None:
    """The name of an SSE event says nothing here, save `error`."""
    frames = [
        ServerSentEvent(b'{"choices":[{"index":0,"delta":{"content":"a"}}]}', id=str(n)) for n in range(5)
    ]
    named = ServerSentEvent(frames[0].payload, event="completion")

    assert "aaaaaa" == read(*frames, named, FINISH, DONE).message.text
