"""LangChain's message chunks: blocks of any provider, calls by index, usage that adds up, and their end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.told import Told, tell
from tests.support.formats import LangChain
from tokenstream import Stream
from tokenstream.errors import ProtocolError, StreamTruncated
from tokenstream.message import Citation, MediaPart, OpaquePart, ServerToolCall, ServerToolResult

RUN = "lc_run--7f"


def chunk(content: Any = "", said: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "type": "AIMessageChunk",
        "id": RUN,
        "content": content,
        "response_metadata": said or {},
        **fields,
    }


def calling(index: Any, args: Any, name: str | None = None, id: str | None = None) -> dict[str, Any]:
    return chunk(tool_call_chunks=[{"index": index, "args": args, "name": name, "id": id}])


STOP = chunk(said={"finish_reason": "stop"})
LAST = chunk(chunk_position="last")
"""What LangChain adds where the model's own end is not marked."""


def read(*frames: Any, **options: Any) -> Told:
    return tell(LangChain(**options), *frames)


def parts(*blocks: Any) -> Any:
    return read(chunk([*blocks]), STOP).parts


def test_text_under_another_index_is_another_part() -> None:
    blocks = [
        {"type": "text", "text": text, "index": index} for text, index in (("a", 0), ("b", 1), ("c", 1))
    ]

    assert ["a", "bc"] == [part.text for part in parts(*blocks)]


def test_calls_are_put_together_by_their_index() -> None:
    got = read(
        calling(0, "", "tide", "a"),
        calling(1, "", "tide", "b"),
        calling(0, '{"port": "Brest"}'),
        calling(1, "{}"),
        STOP,
    )

    assert [("a", {"port": "Brest"}), ("b", {})] == [(call.id, call.arguments) for call in got.calls]
    assert "tool_calls" == got.reason


@pytest.mark.parametrize("args", ['{"port": "Brest"}', {"port": "Brest"}], ids=["text", "values"])
def test_calls_without_an_index_are_whole(args: Any) -> None:
    got = read(calling(None, args, "tide", "a"), calling(None, args, "tide", "b"), STOP)

    assert [("a", "Brest"), ("b", "Brest")] == [(call.id, call.arguments["port"]) for call in got.calls]


def test_a_call_without_a_name_is_carried() -> None:
    """Nobody can run it, but nothing is lost."""
    got = read(calling(0, "{}", None, "a"), STOP)

    assert [] == got.calls
    assert {"call_nameless"} == got.rules
    assert ["opaque"] == got.kinds


def test_a_name_that_comes_late_has_the_arguments_before_it() -> None:
    pieces = [calling(0, '{"port":', None, "a"), calling(0, ' "Brest"'), calling(0, "}", "tide")]

    assert [{"port": "Brest"}] == [call.arguments for call in read(*pieces, STOP).calls]


def test_arguments_after_the_end_of_a_call_are_counted() -> None:
    """The call was handed out, and stays as it is."""
    got = read(calling(0, "{}", "f", "a"), calling(1, "{}", "g", "b"), calling(0, " "), calling(0, "x"), STOP)

    assert ["{}", "{}"] == [call.arguments_text for call in got.calls]
    assert {"call_after_done": 1} == got.departures


def test_an_id_of_its_own_begins_another_call_on_the_same_index() -> None:
    """Some integrations count from zero for each."""
    got = read(calling(0, "{}", "f", "a"), calling(0, "{}", "f", "b"), STOP)

    assert ["a", "b"] == [call.id for call in got.calls]


@pytest.mark.parametrize(
    ("block", "text", "signature"),
    [
        ({"type": "reasoning", "reasoning": "Hm"}, "Hm", None),
        ({"type": "reasoning", "reasoning": "Hm", "extras": {"signature": "s"}}, "Hm", "s"),
        ({"type": "thinking", "thinking": "Hm", "signature": "s"}, "Hm", "s"),
        ({"type": "reasoning_content", "reasoning_content": {"text": "Hm", "signature": "s"}}, "Hm", "s"),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}, "Hm", None),
        ({"type": "non_standard", "value": {"type": "thinking", "thinking": "Hm"}}, "Hm", None),
    ],
)
def test_reasoning_is_known_in_the_words_of_all_providers(
    block: Any, text: str, signature: str | None
) -> None:
    """LangChain's own block, and what integrations pass on."""
    (part,) = parts(block)

    assert (text, signature) == (part.text, part.signature)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "non_standard", "value": {"type": "redacted_thinking", "data": "x"}},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "reasoning", "encrypted_content": "x"},
    ],
)
def test_reasoning_that_is_encrypted_is_kept(block: Any) -> None:
    assert ["x"] == [part.redacted for part in parts(block)]


def test_reasoning_and_a_refusal_may_be_among_additional_fields() -> None:
    """Integrations of chat completions put them there."""
    got = read(
        chunk(additional_kwargs={"reasoning_content": "Hm"}),
        chunk(additional_kwargs={"refusal": "No", "tool_calls": [{"index": 0}], "audio": {"id": "a"}}),
        STOP,
    )

    assert ("Hm", "No") == (got.message.reasoning, got.message.refusal)
    assert {"audio": {"id": "a"}, "run_id": RUN} == got.data


def test_what_the_provider_runs_is_no_call_of_the_application() -> None:
    call, result, other = parts(
        {"type": "server_tool_call_chunk", "id": "s", "name": "search", "args": '{"q":', "index": 1},
        {"type": "server_tool_call_chunk", "args": " 1}", "index": 1},
        {"type": "server_tool_result", "tool_call_id": "s", "output": [1], "status": "success", "index": 2},
        {"type": "server_tool_call", "id": "t", "name": "run", "args": {"a": 1}, "index": 3},
    )

    assert isinstance(call, ServerToolCall)
    assert isinstance(other, ServerToolCall)
    assert ("s", '{"q": 1}', True) == (call.id, call.arguments_text, call.complete)
    assert ("t", '{"a": 1}') == (other.id, other.arguments_text)
    assert ServerToolResult(id="s", content=[1], complete=True, provider_data={"status": "success"}) == result


def test_citations_are_beside_their_text() -> None:
    note = {"type": "citation", "url": "u", "title": "t", "cited_text": "c", "start_index": 0, "end_index": 1}
    text, citation = parts({"type": "text", "text": "a", "annotations": [note]})

    assert "a" == text.text
    assert Citation(url="u", title="t", text="c", start=0, end=1) == citation


def test_media_are_read_and_what_is_none_is_kept() -> None:
    image, file, broken, odd = parts(
        {"type": "image", "base64": "aGk=", "mime_type": "image/png", "id": "i"},
        {"type": "file", "url": "u"},
        {"type": "audio", "base64": "no base64!"},
        {"type": "map", "at": 1},
    )

    assert MediaPart(id="i", mime_type="image/png", data=b"hi", complete=True) == image
    assert MediaPart(url="u", complete=True) == file
    assert ["audio", "map"] == [part.type for part in (broken, odd) if isinstance(part, OpaquePart)]


def test_reports_of_usage_add_up() -> None:
    """LangChain's rule: a provider that counts upwards was turned into differences before."""
    counts = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    first = {**counts, "input_token_details": {"cache_read": 4}}
    second = {"output_tokens": 6, "total_tokens": 6, "output_token_details": {"reasoning": 5}}
    usage = read(chunk("a", usage_metadata=first), chunk("b", usage_metadata=second), STOP).message.usage

    assert (9, 7, 16) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert (4, 5) == (usage.cached_tokens, usage.reasoning_tokens)


def test_an_id_of_a_run_is_no_id_of_the_answer() -> None:
    """LangChain makes one up where the provider's is not handed on."""
    got = read(chunk("a", {"model_name": "m", "system_fingerprint": "f"}, id="resp_1"), chunk("b"), STOP)

    assert ("resp_1", "m") == (got.message.id, got.message.model)
    assert {"run_id": RUN, "system_fingerprint": "f"} == got.data
    assert set() == got.rules


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"finish_reason": "STOP"}, "stop"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "pause_turn"}, "pause"),
        ({"stopReason": "guardrail_intervened"}, "content_filter"),
        ({"done_reason": "stop", "done": True}, "stop"),
        ({"status": "completed"}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"finish_reason": "because"}, "unknown"),
    ],
)
def test_the_finish_reason_is_where_the_integration_puts_it(said: dict[str, Any], reason: str) -> None:
    got = read(chunk("a"), chunk(said=said), LAST)

    assert (reason, "complete", None) == (got.reason, got.ending, got.error)


def test_the_empty_last_chunk_that_langchain_adds_is_not_believed() -> None:
    """LangChain adds the chunk also after a cut: no call is handed out."""
    got = read(chunk("a"), calling(0, '{"path": "/tmp"}', "rm", "c"), LAST)

    assert isinstance(got.error, StreamTruncated)
    assert "after 3 chunks without a finish reason" in str(got.error)
    assert 'chunk_position="last"' in str(got.error)
    assert ("truncated", []) == (got.ending, got.calls)


def test_a_last_chunk_of_the_model_is_the_end() -> None:
    """A model of one's own has no other word for it."""
    got = read(chunk("a"), chunk("b", chunk_position="last"), chunk("c"))

    assert ("ab", None, None) == (got.text, got.reason, got.error)
    assert {"finish_missing", "data_after_end"} == got.rules


def test_a_finish_reason_is_enough_without_a_mark_on_the_last_chunk() -> None:
    """Older versions of LangChain mark none."""
    got = read(chunk("a"), STOP, chunk(usage_metadata={"input_tokens": 1, "output_tokens": 2}))

    assert ("complete", None, set()) == (got.ending, got.error, got.rules)


def test_the_whole_message_of_a_model_that_does_not_stream_is_an_answer() -> None:
    """Calls that LangChain could read come as values, others as text."""
    whole = {
        "type": "ai",
        "content": "Hi",
        "response_metadata": {"finish_reason": "tool_calls"},
        "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "a"}],
        "invalid_tool_calls": [{"name": "g", "args": "{oops", "id": "b", "error": "no JSON"}],
    }
    got = read(whole)

    assert ("Hi", [("a", '{"a": 1}')]) == (got.text, [(call.id, call.arguments_text) for call in got.calls])
    assert [True, False] == [call.complete for call in got.message.tool_calls]
    assert ("complete", {"call_invalid"}) == (got.ending, got.rules)


def whole(content: Any, **fields: Any) -> dict[str, Any]:
    """Return the whole message that a graph's state has after the chunks."""
    return {**chunk(content, {"finish_reason": "stop"}, **fields), "type": "ai"}


@pytest.mark.parametrize(
    ("chunks", "content", "text"),
    [
        ([chunk("Hel"), chunk("lo")], "Hello", "Hello"),
        ([chunk("Hel")], "Hello", "Hello"),
        ([chunk("Hel"), STOP], [{"type": "text", "text": "Hello"}], "Hello"),
        ([chunk([{"type": "text", "text": "a", "index": 0}])], ["ab", "cd"], "abcd"),
        ([chunk(tool_call_chunks=[{"index": 0, "args": "{}", "name": "f", "id": "c"}])], "Hello", "Hello"),
    ],
)
def test_a_whole_message_after_its_chunks_adds_what_is_missing(
    chunks: list[Any], content: Any, text: str
) -> None:
    message = Stream([*chunks, whole(content)]).final()

    assert (text, "complete") == (message.text, message.ending)


def test_a_whole_message_with_another_text_than_its_chunks_is_an_error() -> None:
    """The end of another text is never put behind the chunks'."""
    stream = Stream([chunk("Hex"), whole("Hello")])
    with pytest.raises(ProtocolError, match="differs from its deltas"):
        stream.final()

    assert ("Hex", "failed") == (stream.message.text, stream.message.ending)


def test_calls_and_usage_of_a_whole_message_after_its_chunks_count_once() -> None:
    """A call is known by its id; lost ends of its arguments are added, and a call that was lost is given."""
    counts = {"input_tokens": 1, "output_tokens": 2}
    calls = [{"name": "f", "args": {"a": 1}, "id": id} for id in ("one", "cut", "lost")]
    stream = Stream(
        [
            calling(0, '{"a": 1}', "f", "one"),
            calling(1, '{"a": ', "f", "cut"),
            chunk(usage_metadata=counts),
            whole("", tool_calls=calls, usage_metadata=counts),
        ]
    )
    handed_out = [(call.id, call.arguments) for call in stream.tool_calls]

    assert [("one", {"a": 1}), ("cut", {"a": 1}), ("lost", {"a": 1})] == handed_out
    assert 2 == stream.message.usage.output_tokens


def test_a_whole_message_of_another_id_is_another_message() -> None:
    message = Stream([chunk("Hel"), {**whole("Hello"), "id": "lc_run--8"}]).final()

    assert "HelHello" == message.text


def test_messages_of_others_are_unknown_events() -> None:
    """A graph mixes in those of its tools."""
    got = read(chunk("a"), {"type": "tool", "content": "12"}, {"content": "x"}, STOP)

    assert (["tool", "message"], "a") == (got.unknown, got.text)


def test_log_probabilities_add_up() -> None:
    said = [{"logprobs": {"content": [{"token": text}], "refusal": None}} for text in ("a", "b")]
    got = read(*[chunk("a", each) for each in said], STOP)

    assert [{"token": "a"}, {"token": "b"}] == got.data["logprobs"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (chunk("a"), True),
        (chunk([]), True),
        ({"type": "ai", "content": "", "response_metadata": {}}, True),
        ({"type": "human", "content": "", "response_metadata": {}}, False),
        ({"type": "AIMessageChunk", "content": "a"}, False),
        ({}, False),
    ],
)
def test_a_payload_is_recognised_by_what_it_holds(payload: Any, expected: bool) -> None:
    assert expected == LangChain.recognises(payload, "")
