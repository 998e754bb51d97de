"""A whole interaction after some deltas: from a gateway that ignores `stream` when an answer is resumed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.formats.gemini_interactions.support import completed, created, delta, start, stop
from tests.support.wire import sse
from tokenstream import Message, Stream
from tokenstream.errors import ProtocolError

ARGUMENTS = {"at": "the königs 🌊", "n": [1, 2]}
SPELLINGS = {
    "spaced": json.dumps(ARGUMENTS, ensure_ascii=False),
    "compact": json.dumps(ARGUMENTS, ensure_ascii=False, separators=(",", ":")),
    "escaped": json.dumps(ARGUMENTS),
}
STEPS: list[dict[str, Any]] = [
    {"type": "user_input", "content": [{"type": "text", "text": "Tell me."}]},
    {"type": "thought", "signature": "c2ln", "summary": [{"type": "text", "text": "Let me see."}]},
    {"type": "model_output", "content": [{"type": "text", "text": "Once upon"}]},
    {"type": "google_search_call", "id": "s1", "arguments": {"queries": ["kings"]}},
    {"type": "google_search_result", "call_id": "s1", "result": [{"url": "https://k.example"}]},
    {"type": "function_call", "id": "call_1", "name": "look", "arguments": ARGUMENTS},
    {
        "type": "model_output",
        "content": [
            {"type": "text", "text": "a time"},
            {"type": "image", "data": "aGk=", "mime_type": "image/png"},
        ],
    },
]
WHOLE: dict[str, Any] = {"object": "interaction", "id": "i1", "status": "requires_action", "steps": STEPS}


def events(arguments: str) -> list[bytes]:
    """Return the whole answer as a stream, with these arguments as text."""
    thought, output, search, found, call, last = [{**step} for step in STEPS[1:]]
    call["arguments"] = {}
    half = len(arguments) // 2
    told = [
        created(),
        start(0, "thought"),
        delta(0, "thought_summary", content={"type": "text", "text": "Let me "}),
        delta(0, "thought_summary", content={"type": "text", "text": "see."}),
        delta(0, "thought_signature", signature=thought["signature"]),
        stop(0),
        start(1, "model_output"),
        delta(1, "text", text="Once "),
        delta(1, "text", text=output["content"][0]["text"][5:]),
        stop(1),
        start(2, **{"kind" if name == "type" else name: value for name, value in search.items()}),
        stop(2),
        start(3, **{"kind" if name == "type" else name: value for name, value in found.items()}),
        stop(3),
        start(4, **{"kind" if name == "type" else name: value for name, value in call.items()}),
        delta(4, "arguments_delta", arguments=arguments[:half]),
        delta(4, "arguments_delta", arguments=arguments[half:]),
        stop(4),
        start(5, "model_output"),
        delta(5, "text", text="a time"),
        delta(5, **{"kind" if name == "type" else name: value for name, value in last["content"][1].items()}),
        stop(5),
        completed("requires_action"),
    ]
    return [sse(payload, event=kind) for kind, payload in told]


def read(frames: list[bytes]) -> Message:
    with Stream(frames, format="gemini-interactions") as stream:
        calls = [call.arguments for call in stream.tool_calls]
        assert [ARGUMENTS] == calls
        return stream.final()


def shown(message: Message) -> list[Any]:
    """Return what a reader sees of the parts."""
    parts = [part.model_dump(exclude={"provider_data", "arguments_text"}) for part in message.parts]
    return [*parts, [call.arguments for call in message.tool_calls]]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_whole_interaction_brings_what_is_missing_wherever_the_stream_broke_off(spelling: str) -> None:
    """Nothing is lost, nothing is doubled, and the call is handed out once."""
    stream = events(SPELLINGS[spelling])
    expected = read(stream)

    for count in range(1, len(stream)):
        found = read([*stream[:count], sse(WHOLE)])
        assert shown(expected) == shown(found), count
        assert ("complete", expected.finish_reason) == (found.ending, found.finish_reason)


def test_a_whole_interaction_alone_is_the_answer() -> None:
    assert shown(read(events(SPELLINGS["compact"]))) == shown(read([sse(WHOLE)]))


@pytest.mark.parametrize(
    "change",
    [
        lambda steps: steps[2]["content"][0].update(text="Long ago"),
        lambda steps: steps.pop(1),
        lambda steps: steps.__delitem__(slice(3, None)),
        lambda steps: steps[2]["content"].append({"type": "text", "text": "more"}),
        lambda steps: steps[5].update(arguments={"at": "the queen"}),
    ],
    ids=["another text", "a step less", "fewer steps", "more in an earlier step", "other arguments"],
)
def test_another_answer_is_never_joined(change: Any) -> None:
    steps = copy.deepcopy(STEPS)
    change(steps)
    stream = events(SPELLINGS["compact"])[:16]

    frames = [*stream, sse({**WHOLE, "steps": steps})]
    with Stream(frames, format="gemini-interactions") as answer, pytest.raises(ProtocolError) as caught:
        answer.final()

    assert caught.value.partial.text == "Once upon"
    assert not caught.value.partial.complete


@pytest.mark.parametrize("index", [-1, -7, 10**9, 10**30])
def test_an_index_that_no_step_can_have_doubles_nothing(index: int) -> None:
    """The whole interaction at the end has the step at another index."""
    step = {"type": "model_output", "content": [{"type": "text", "text": "Once"}]}
    events = [
        created(),
        start(index, "model_output", content=step["content"]),
        stop(index),
        completed(steps=[step]),
    ]
    chunks = [sse(payload, event=name) for name, payload in events]
    assert "Once" == Stream(chunks).final().text
