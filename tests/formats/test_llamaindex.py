"""LlamaIndex's responses: what is new of a message that is repeated, calls that grow, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import Told, tell
from tests.support.formats import LlamaIndex
from tokenstream.errors import StreamTruncated
from tokenstream.events import ToolCallDelta
from tokenstream.message import MediaPart, OpaquePart


def response(delta: str | None = "", *blocks: Any, raw: Any = None, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "blocks": [*blocks], "additional_kwargs": fields.pop("said", {})}
    return {"message": message, "delta": delta, "raw": raw, "additional_kwargs": fields}


def completion(delta: str | None, raw: Any = None, text: str = "") -> dict[str, Any]:
    return {"text": text, "delta": delta, "raw": raw, "additional_kwargs": {}}


def text(said: str) -> dict[str, Any]:
    return {"block_type": "text", "text": said}


def thinking(said: str) -> dict[str, Any]:
    return {"block_type": "thinking", "content": said}


def call(kwargs: Any, id: str | None = "c", name: str = "tide") -> dict[str, Any]:
    return {"block_type": "tool_call", "tool_call_id": id, "tool_name": name, "tool_kwargs": kwargs}


def chat(reason: str | None = None) -> dict[str, Any]:
    """A chunk of OpenAI's chat, as it is handed on."""
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def read(*frames: Any, **options: Any) -> Told:
    return tell(LlamaIndex(**options), *frames)


def test_the_deltas_are_the_text() -> None:
    for got in (
        read(response("Hel", text("Hel")), response("lo", text("Hello"))),
        read(completion("Hel", text="Hel"), completion("lo", text="Hello")),
    ):
        assert ["Hel", "lo"] == got.texts
        assert ["text"] == got.kinds


def test_without_deltas_the_text_is_what_is_longer_than_before() -> None:
    """Some models leave them out."""
    for got in (
        read(response(None, text("Hel")), response(None, text("Hello"))),
        read(completion(None, text="Hel"), completion(None, text="Hello")),
    ):
        assert ["Hel", "lo"] == got.texts


def test_reasoning_that_is_repeated_is_given_once() -> None:
    growing = read(
        response("", thinking("Hm")), response("", thinking("Hmm.")), response("a", thinking("Hmm."))
    )
    alone = read(
        response("", thinking("Hm")),
        response("", thinking("So")),
        response("a", thinking("Hm"), thinking("So")),
    )

    assert ("Hmm.", "HmSo") == (growing.message.reasoning, alone.message.reasoning)


def test_reasoning_that_is_repeated_without_its_last_space_is_no_new_one() -> None:
    """A response may repeat several pieces at once, stripped."""
    got = read(*[response("", thinking(piece)) for piece in ("Hmm. ", "So ", "Hmm. So")])

    assert "Hmm. So " == got.message.reasoning


def test_a_piece_of_reasoning_may_occur_in_the_reasoning_before_it() -> None:
    """Each piece alone: words such as "the" come again. A piece that stays in the message is no new one."""
    pieces = ["The cat", " saw", " the", " cat", " and", " the", " dog"]
    got = read(*[response("", thinking(piece)) for piece in pieces], response("a", thinking(pieces[-1])))

    assert "".join(pieces) == got.message.reasoning


def test_a_delta_of_reasoning_goes_before_its_blocks() -> None:
    """Integrations put it among the additional fields."""
    got = read(
        response("", thinking("H"), thinking_delta="H"), response("", thinking("Hm"), thinking_delta="m")
    )

    assert "Hm" == got.message.reasoning


def test_arguments_that_grow_as_text_are_given_as_they_come() -> None:
    """Each chunk repeats the call."""
    got = read(
        response("", call({}), raw=chat()),
        response("", call('{"port": "Br'), raw=chat()),
        response("", call('{"port": "Brest"}'), raw=chat("tool_calls")),
        response("", call('{"port": "Brest"}'), raw={"choices": [], "usage": {"prompt_tokens": 1}}),
    )

    assert ['{"port": "Br', 'est"}'] == [e.fragment for e in got.events if isinstance(e, ToolCallDelta)]
    assert [{"port": "Brest"}] == [call.arguments for call in got.calls]
    assert (None, set()) == (got.error, got.rules)


def test_arguments_that_are_values_are_taken_when_the_answer_is_over() -> None:
    got = read(response("", call({"port": "B"})), response("", call({"port": "Brest"})))

    assert [{"port": "Brest"}] == [call.arguments for call in got.calls]


def test_parallel_calls_are_told_apart_by_id_or_by_place() -> None:
    """A name alone tells nothing."""
    for ids in (("a", "b"), (None, None)):
        both = [call({"n": n}, id) for n, id in enumerate(ids)]
        got = read(response("", both[0]), response("", *both))

        assert [{"n": 0}, {"n": 1}] == [call.arguments for call in got.calls]


@pytest.mark.parametrize(
    "told",
    [
        {"id": "c", "type": "function", "function": {"name": "tide", "arguments": '{"a": 1}'}},
        {"id": "c", "type": "tool_use", "name": "tide", "input": {"a": 1}},
        {"function": {"name": "tide", "arguments": {"a": 1}}},
    ],
)
def test_calls_may_be_among_additional_fields(told: Any) -> None:
    """Older integrations put the provider's own there."""
    assert [{"a": 1}] == [call.arguments for call in read(response("", said={"tool_calls": [told]})).calls]


def test_arguments_that_are_rewritten_are_counted() -> None:
    got = read(response("", call('{"a": 1')), response("", call('{"b": 1}')))

    assert {"text_rewritten", "call_open_at_end", "finish_missing"} == got.rules
    assert [] == got.calls


def test_other_blocks_are_given_once() -> None:
    image = {"block_type": "image", "image": "aGk=", "image_mimetype": "image/png"}
    cited = {"block_type": "citation", "source": "s"}
    message = read(response("", image), response("a", image, cited)).message

    assert MediaPart(mime_type="image/png", data=b"hi", complete=True) == message.parts[0]
    assert ["citation"] == [part.type for part in message.parts if isinstance(part, OpaquePart)]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (chat("length"), "length"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length"),
        ({"candidates": [{"finish_reason": "STOP"}]}, "stop"),
        ({"done": True, "done_reason": "stop"}, "stop"),
        ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, "stop"),
        ({"messageStop": {"stopReason": "max_tokens"}}, "length"),
        ({"type": "response.completed", "response": {"status": "completed"}}, "stop"),
        (
            {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_tokens"}}},
            "length",
        ),
        ({"type": "response.in_progress", "response": {"status": "in_progress"}}, None),
    ],
)
def test_the_finish_reason_is_that_of_the_providers_chunk(raw: Any, reason: str | None) -> None:
    """LlamaIndex has no word for it; its `raw` has the chunk."""
    got = read(response("a", raw={"type": raw.get("type", "")}), response("", raw=raw))

    assert reason == got.reason
    assert ("complete" if reason else "truncated") == got.ending


def test_a_provider_that_owes_its_finish_reason_was_cut_without_it() -> None:
    """LlamaIndex takes a clean end for the end: no call is handed out."""
    got = read(response("a", raw=chat()), response("", call('{"path": "/tmp"}'), raw=chat()))

    assert isinstance(got.error, StreamTruncated)
    assert ("truncated", []) == (got.ending, got.calls)


def test_where_no_chunk_of_a_provider_is_handed_on_the_end_of_the_input_is_the_end() -> None:
    """Nothing else could tell it; the rule that was applied says so."""
    got = read(response("a"), response("", call({})))

    assert ("complete", None, ["{}"]) == (got.ending, got.reason, [call.arguments_text for call in got.calls])
    assert {"finish_missing"} == got.rules


@pytest.mark.parametrize(
    "told",
    [
        response("a", raw=None, prompt_tokens=3, completion_tokens=4, total_tokens=7),
        response("a", raw={"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}),
        response("a", raw={"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}),
        response("a", usage={"input_tokens": 3, "output_tokens": 4}),
        response("a", raw={"type": "r", "response": {"usage": {"input_tokens": 3, "output_tokens": 4}}}),
    ],
)
def test_token_counts_are_found_wherever_integrations_put_them(told: Any) -> None:
    usage = read(response("a", prompt_tokens=1, completion_tokens=1), told).message.usage

    assert (3, 4) == (usage.input_tokens, usage.output_tokens)


def test_the_id_and_the_model_are_the_providers() -> None:
    message = read(response("a", raw=chat("stop"), said={"annotations": [1]}, depth=2)).message

    assert ("x", "m", {"annotations": [1], "depth": 2}) == (message.id, message.model, message.provider_data)


def test_log_probabilities_add_up() -> None:
    got = read({**response("a"), "logprobs": [[{"token": "a"}]]}, {**response("b"), "logprobs": [[]]})

    assert [[{"token": "a"}], []] == got.data["logprobs"]


def test_a_payload_that_is_no_response_is_an_unknown_event() -> None:
    got = read(response("a"), {"type": "status"}, response("b"))

    assert (["status"], "ab") == (got.unknown, got.text)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (response("a"), True),
        (completion("a"), True),
        ({"text": "a", "delta": "a"}, False),
        ({"delta": "a", "raw": None, "additional_kwargs": {}}, False),
        ({}, False),
    ],
)
def test_a_payload_is_recognised_by_what_it_holds(payload: Any, expected: bool) -> None:
    assert expected == LlamaIndex.recognises(payload, "")


PAYLOADS: list[Any] = [
    response("Hel", text("Hel"), thinking("Hm"), raw=chat()),
    response("lo", call({"a": 1}), call('{"b"', "d"), thinking_delta="m", raw=chat()),
    response(None, text("Hello"), {"block_type": "image", "image": "aGk="}),
    completion("a", raw={"done": False}),
    response("", said={"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}),
    response("", raw=chat("stop"), prompt_tokens=1, completion_tokens=2),
]
