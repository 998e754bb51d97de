"""An end that proves no answer: words under names that nobody reads, and answers without any content."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini_interactions import support as steps
from tests.support.chunkings import several
from tests.support.recordings import ours
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.errors import NotAStream, NotExpressible, StreamTruncated
from tokenstream.formats import FormatName

END = b"data: [DONE]\n\n"
HEAD = {"id": "c", "object": "chat.completion.chunk", "model": "m"}


def chat(*choices: dict[str, Any]) -> list[bytes]:
    """Return chunks with one choice each, the last of which has a finish reason."""
    last = {"index": 0, "finish_reason": "stop"}
    bodies = [*({"index": 0, **choice} for choice in choices[:-1]), {**last, **choices[-1]}]
    return [sse({**HEAD, "choices": [body]}) for body in bodies]


@pytest.mark.parametrize("end", [[], [END]], ids=["no mark", "mark"])
@pytest.mark.parametrize(
    "foreign",
    [
        {"reply": {"lines": [{"said": "Ebb"}]}},
        {"content": "Ebb"},
        {"delta": "Ebb"},
        {"delta": {"role": "assistant", "utterance": ["Ebb"]}},
        {"tokens": ["Ebb"]},
    ],
    ids=str,
)
def test_words_under_names_that_nobody_reads_are_no_answer(foreign: dict[str, Any], end: list[bytes]) -> None:
    """A finish reason behind them ends nothing that was read, so that a retry asks again."""
    with pytest.raises((StreamTruncated, NotAStream)):
        Stream([*chat(foreign, foreign), *end]).final()
    with pytest.raises((StreamTruncated, NotAStream)):
        Stream([*chat(foreign, {"delta": {}}), *end]).final()
    # Also behind the reason, which is void then; the same reason again ends no more.
    stop = chat({"delta": {"role": "assistant"}})
    for late in ([*stop, *chat(foreign, foreign)[:1]], [*stop, *chat(foreign, foreign)]):
        stream = Stream([*late, *end])
        with pytest.raises((StreamTruncated, NotAStream)):
            stream.final()

        assert ("truncated", None) == (stream.message.ending, stream.message.finish_reason)


def test_content_after_words_that_nobody_reads_is_the_answer() -> None:
    late = [*chat({"delta": {}}), *chat({"tokens": ["Ebb"]}, {})[:1], *chat({"delta": {"content": "Ebb"}})]
    message = Stream([*late, END]).final()

    assert ("Ebb", "complete", "stop") == (message.text, message.ending, message.finish_reason)


@pytest.mark.parametrize(
    "fields",
    [{"score": 0.5}, {"trace": {"flags": [True, None, ""]}}, {"stop_reason": "eos"}, {"delta": {}}],
    ids=str,
)
def test_what_has_no_words_leaves_no_doubt(fields: dict[str, Any]) -> None:
    """Numbers, truths and empty values are no content, nor are documented fields; the answer is empty."""
    stream = Stream([*chat({"delta": {"role": "assistant"}}, fields), END])
    stream.final()

    assert "content" == stream.departures["answer_empty"].affects


def test_unread_words_beside_a_text_change_nothing() -> None:
    """The text shows that the format is the right one."""
    stream = Stream([*chat({"delta": {"content": "Ebb"}, "mood": "calm"}, {"mood": "gay"}), END])

    assert ("Ebb", "stop") == (stream.final().text, stream.message.finish_reason)


FORMATS: tuple[FormatName, ...] = (
    *("openai-chat", "openai-responses", "anthropic", "gemini", "gemini-interactions"),
    *("ollama", "cohere", "bedrock-converse", "ui-message", "ag-ui"),
)


@pytest.mark.parametrize("format", FORMATS)
@in_one_test(
    "script, details",
    [
        (testing.script().finish(), {"answer_empty": 1}),
        (testing.script().text("").finish(), {"answer_empty": 1}),
        (testing.script().text("Ebb").finish(), {}),
        (testing.script().text("Ebb").finish("tool_calls"), {"call_missing": 1}),
        (testing.script().text("Ebb").tool_call("ring", {}).finish("tool_calls"), {}),
    ],
)
def test_an_answer_that_lacks_what_its_end_tells_of_is_reported(
    script: testing.Script, details: dict[str, int], format: FormatName
) -> None:
    try:
        body = b"".join(script.chunks(format))
    except NotExpressible:
        return  # the API derives the reason from the calls
    for chunks in several(body, format).values():
        stream = Stream(chunks, format=format)

        assert stream.final().complete
        assert details == stream.departures.details


@pytest.mark.parametrize("format", FORMATS)
def test_calls_are_handed_out_in_their_order(format: FormatName) -> None:
    """A call after one without arguments, which might still follow, waits for that one."""
    script = testing.script().tool_call("pull", {"oar": 1}).tool_call("ring", {}).tool_call("row", {"oar": 2})
    body = b"".join(script.finish("tool_calls").chunks(format))
    for chunks in several(body, format).values():
        calls = [*Stream(chunks, format=format).tool_calls]

        assert [({"oar": 1}), {}, {"oar": 2}] == [call.arguments for call in calls]


def in_block(start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer of Anthropic with one block."""
    block = {"type": "content_block_start", "index": 0, "content_block": start}
    return [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "model": "m", "content": []}},
        *(block, *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def in_item(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer of OpenAI's Responses with one item."""
    response = {"id": "r", "status": "completed", "model": "m", "output": [item]}
    return [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]


def in_part(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer of Gemini with one part."""
    return [{"candidates": [{"content": {"parts": [part], "role": "model"}, "finishReason": "STOP"}]}]


MESSAGE = {"id": "i", "type": "message", "role": "assistant", "status": "completed"}


@in_one_test(
    "payloads, is_empty",
    [
        (in_block({"type": "text", "text": ""}, {"type": "song_delta", "song": "Ebb"}), True),
        (
            in_block({"type": "thinking", "thinking": ""}, {"type": "signature_delta", "signature": "c2"}),
            True,
        ),
        (in_block({"type": "redacted_thinking", "data": "c2lu"}), True),
        (in_block({"type": "song", "song": "Ebb"}), True),
        (in_block({"type": "container_upload", "file_id": "f"}), False),
        (in_block({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "Hm"}), False),
        (in_item({**MESSAGE, "content": [{"type": "output_text", "text": "", "annotations": []}]}), True),
        (in_item({**MESSAGE, "content": [{"type": "output_text", "text": "Ebb"}]}), False),
        (in_item({"id": "i", "type": "reasoning", "summary": [], "encrypted_content": "c2lu"}), True),
        (in_item({"id": "i", "type": "song", "song": "Ebb"}), True),
        (in_part({"song": "Ebb"}), True),
        (in_part({"text": "", "thoughtSignature": "c2lu"}), True),
        (in_part({"fileData": {"fileUri": "https://example.org/ebb.png"}}), False),
    ],
)
def test_a_part_without_text_is_no_content(payloads: list[dict[str, Any]], *, is_empty: bool) -> None:
    for chunks in several(b"".join(map(sse, payloads)), "part").values():
        stream = Stream(chunks)

        assert stream.final().complete
        assert is_empty is ("answer_empty" in stream.departures)


def step(*deltas: dict[str, Any]) -> list[bytes]:
    """Return an answer of Gemini's Interactions: a call with these deltas alone, and one without any."""
    events = [steps.created()]
    for index, of_call in enumerate([deltas, ()]):
        events.append(steps.start(index, "function_call", id=f"c{index}", name="ring", arguments={}))
        events += [steps.event("step.delta", index=index, delta=delta) for delta in of_call]
        events.append(steps.stop(index))
    return [sse(payload, event=kind) for kind, payload in [*events, steps.completed("requires_action")]]


def handed_out(chunks: list[bytes], format: FormatName | None = None) -> list[object]:
    return [call.arguments for call in Stream(chunks, format=format).tool_calls]


TERN = '{"bird": "tern"}'


@in_one_test(
    "deltas, arguments",
    [
        ([{"type": "arguments_delta", "piece": TERN}], []),
        ([{"type": "arguments_delta", "arguments": "", "piece": {"bird": ["tern"]}}], []),
        ([{"type": "function_call", "piece": TERN}], []),
        ([{"type": "input_delta", "arguments": TERN}], []),
        ([{"type": "arguments_delta", "count": 3, "flags": [True, None, "", {}]}], [{}]),
        ([{"type": "text", "text": "Ebb"}], [{}]),
        ([{"type": "arguments_delta", "piece": "x", "arguments": "{}"}], [{}]),
        ([{"type": "arguments_delta", "piece": "x"}, {"type": "arguments_delta", "arguments": TERN}], [TERN]),
    ],
)
def test_a_call_with_words_that_are_not_read_is_not_handed_out(
    deltas: list[dict[str, Any]], arguments: list[object]
) -> None:
    stream = Stream(step(*deltas))
    calls = [call.arguments for call in stream.tool_calls]

    assert [*({"bird": "tern"} if each == TERN else each for each in arguments), {}] == calls
    assert stream.message.complete
    assert [bool(arguments), True] == [call.complete for call in stream.message.tool_calls]


@in_one_test(
    "format, names",
    [
        ("anthropic", ["partial_json"]),
        ("ag-ui", ["delta"]),
        ("cohere", ["arguments"]),
        ("openai-chat", ["arguments"]),
        ("openai-realtime", ["arguments", "delta"]),
        ("openai-responses", ["arguments", "delta"]),
    ],
)
def test_the_rule_is_that_of_every_format(format: FormatName, names: list[str]) -> None:
    """The words are under other names than those that the documents give."""
    script = testing.script().tool_call("ring", {"bird": "tern"}).finish("tool_calls")
    chunks = changed = script.chunks(format)
    for name in names:
        changed = [chunk.replace(f'"{name}"'.encode(), b'"piece"') for chunk in changed]

    assert [{"bird": "tern"}] == handed_out(chunks, format)
    assert [] == handed_out(changed, format)


@in_one_test(
    "name, field",
    [
        ("langchain/text_and_tool_calls", b'"args"'),
        ("llamaindex/chat", b'"tool_kwargs"'),
        ("mistral-conversations/two_calls", b'"arguments"'),
    ],
)
def test_the_rule_holds_in_recordings_of_formats_that_are_only_read(name: str, field: bytes) -> None:
    [recorded] = [each for each in ours() if each.name == name]
    format: Any = recorded.format
    body = recorded.body.replace(field, b'"piece"')

    calls = handed_out([recorded.body], format)

    assert any(calls)
    assert [arguments for arguments in calls if not arguments] == handed_out([body], format)


def test_words_for_another_kind_of_block_are_not_arguments() -> None:
    """A signature in a call of Anthropic's is known, and its own `{}` leaves no doubt."""
    chunks = testing.script().tool_call("ring", {}).finish("tool_calls").chunks("anthropic")
    start = next(place for place, chunk in enumerate(chunks) if b'"tool_use"' in chunk) + 1
    delta = {"type": "content_block_delta", "index": 0}
    signed = sse({**delta, "delta": {"type": "signature_delta", "signature": "c2ln"}})

    assert [{}] == handed_out([*chunks[:start], signed, *chunks[start:]])
    told = sse({**delta, "delta": {"type": "input_json_delta", "partial_json": "{}", "piece": "x"}})
    assert [{}] == handed_out([*chunks[:start], told, *chunks[start:]])


def _chat_call(function: dict[str, Any] | None, **fields: Any) -> bytes:
    item = {"index": 0, **({} if function is None else {"function": function}), **fields}
    return sse({**HEAD, "choices": [{"index": 0, "delta": {"tool_calls": [item]}}]})


START = _chat_call({"name": "ring"}, id="c1", type="function")
WORDS = '{"bird": "tern"}'


@pytest.mark.parametrize(
    "pieces, is_read",
    [
        ([_chat_call({"name": "ring", "args": WORDS}, id="c1")], False),
        ([START, _chat_call({"args": WORDS})], False),
        ([START, _chat_call({}, partial_arguments=[{"text": WORDS}])], False),
        ([START, _chat_call(None, args=WORDS)], False),
        ([START, _chat_call({}, step=3, beta=None, note="")], True),
        ([START, _chat_call({}, extra_content={"google": {"thought_signature": "c2ln"}})], True),
        ([START, _chat_call({"arguments": "{}", "note": "n"})], True),
        ([_chat_call({"name": "ring", "arguments": WORDS, "note": "n"}, id="c1", note="n")], True),
    ],
    ids=[
        *("in the start", "in a delta", "in a list", "beside no function"),
        *("no words", "signature", "empty", "both"),
    ],
)
def test_a_call_of_chat_whose_arguments_nobody_has_read_is_not_handed_out(
    pieces: list[bytes], is_read: bool
) -> None:
    """A text under an unknown name may be the arguments; a call that has others, or no text, is whole."""
    stream = Stream([*pieces, *chat({"delta": {}}), END])

    assert is_read is bool([*stream.tool_calls])
    assert "ring" == stream.message.tool_calls[0].name
