"""An end that proves no answer: words under names that nobody reads, and answers without any content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.errors import NotAStream, StreamTruncated

if TYPE_CHECKING:
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


@pytest.mark.parametrize(
    "format",
    [
        "openai-chat",
        "openai-responses",
        "anthropic",
        "gemini",
        "gemini-interactions",
        "ollama",
        "cohere",
        "bedrock-converse",
        "ui-message",
        "ag-ui",
    ],
)
def test_an_empty_answer_is_told(format: FormatName) -> None:
    """It ended by itself, and whoever waits for words should know that none came."""
    empty = Stream(testing.script().finish("stop").chunks(format), format=format)
    empty.final()
    whole = Stream(testing.script().text("Ebb").finish("stop").chunks(format), format=format)
    whole.final()

    assert ({"answer_empty": 1}, {}) == (empty.departures.details, whole.departures.details)


def step(*deltas: dict[str, Any]) -> list[bytes]:
    """Return an answer of Gemini's Interactions: a call with these deltas alone, and one without any."""
    events: list[tuple[str, dict[str, Any]]] = [
        ("interaction.created", {"interaction": {"id": "i", "status": "in_progress"}})
    ]
    for index, of_call in enumerate([deltas, ()]):
        call = {"type": "function_call", "id": f"c{index}", "name": "ring", "arguments": {}}
        events.append(("step.start", {"index": index, "step": call}))
        events.extend(("step.delta", {"index": index, "delta": delta}) for delta in of_call)
        events.append(("step.stop", {"index": index}))
    events.append(("interaction.completed", {"interaction": {"id": "i", "status": "requires_action"}}))
    return [sse({"event_type": kind, **fields}, event=kind) for kind, fields in events]


def handed_out(chunks: list[bytes], format: FormatName | None = None) -> list[object]:
    """Return the arguments of the calls that were handed out."""
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
    """They may be its arguments: an empty object would be others. The call beside it has none."""
    stream = Stream(step(*deltas))
    calls = [call.arguments for call in stream.tool_calls]

    assert [*({"bird": "tern"} if each == TERN else each for each in arguments), {}] == calls
    assert stream.message.complete
    assert [bool(arguments), True] == [call.complete for call in stream.message.tool_calls]


@pytest.mark.parametrize(("format", "field"), [("anthropic", b'"partial_json"'), ("ag-ui", b'"delta"')])
def test_the_rule_is_that_of_every_format_with_blocks(format: FormatName, field: bytes) -> None:
    """The words are under another name than the one that the documents give."""
    script = testing.script().tool_call("ring", {"bird": "tern"}).finish("tool_calls")
    chunks = script.chunks(format)

    assert [{"bird": "tern"}] == handed_out(chunks, format)
    assert [] == handed_out([chunk.replace(field, b'"piece"') for chunk in chunks], format)


def test_words_for_another_kind_of_block_are_not_arguments() -> None:
    """A signature in a call of Anthropic's is known, and its own `{}` leaves no doubt."""
    chunks = testing.script().tool_call("ring", {}).finish("tool_calls").chunks("anthropic")
    start = next(place for place, chunk in enumerate(chunks) if b'"tool_use"' in chunk) + 1
    delta = {"type": "content_block_delta", "index": 0}
    signed = sse({**delta, "delta": {"type": "signature_delta", "signature": "c2ln"}})

    assert [{}] == handed_out([*chunks[:start], signed, *chunks[start:]])
    told = sse({**delta, "delta": {"type": "input_json_delta", "partial_json": "{}", "piece": "x"}})
    assert [{}] == handed_out([*chunks[:start], told, *chunks[start:]])
