"""Runs of the OpenAI Agents SDK and of LlamaIndex: their agents, and the tools of those."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.steps.follow.support import follow, of_agent
from tokenstream import Steps

# -- the OpenAI Agents SDK ------------------------------------------------------------


def turn(name: str) -> Any:
    return SimpleNamespace(type="agent_updated_stream_event", new_agent=SimpleNamespace(name=name))


def raw(kind: str, **fields: Any) -> Any:
    return Raw({"type": f"response.{kind}", **fields})


class Raw:
    """What the model sent, in an event of the SDK."""

    type = "raw_response_event"

    def __init__(self, data: Any) -> None:
        self.data = data


def item(kind: str, **fields: Any) -> Any:
    output = fields.pop("output", None)
    return SimpleNamespace(
        type="run_item_stream_event", item=SimpleNamespace(type=kind, raw_item=fields, output=output)
    )


def answer(text: str, id: str = "r", call: str = "") -> list[Any]:
    done = {"type": "function_call", "id": "f", "call_id": call, "name": "search", "arguments": "{}"}
    return [
        raw("created", response={"id": id}),
        raw("output_text.delta", item_id="i", output_index=0, content_index=0, delta=text),
        *([raw("output_item.done", output_index=1, item=done)] if call else []),
        raw("completed", response={"id": id, "status": "completed"}),
    ]


def test_a_run_of_agents_is_its_agents_and_their_tools() -> None:
    """All answers of an agent are in its step; a handoff ends it."""
    events = [
        turn("triage"),
        *answer("Let me look.", call="c1"),
        item("tool_call_item", call_id="c1", name="search"),
        item("tool_call_output_item", call_id="c1", output="found"),
        *answer("Over to you."),
        turn("writer"),
        *answer("Done."),
    ]
    run = follow(events)
    triage, writer = run.steps
    (tool,) = triage.steps

    assert [("triage", "triage", "done"), ("writer", "writer", "done")] == [
        (step.name, step.agent, step.state) for step in run.steps
    ]
    assert ["Let me look.", "Over to you."] == [message.text for message in triage.messages]
    assert ["complete", "complete"] == [message.ending for message in triage.messages]
    assert ("Done.", "search", "triage", "found") == (writer.text, tool.name, tool.agent, tool.result)
    assert tool.cause is not None
    assert "c1" == tool.cause.id


def test_an_agent_whose_last_answer_was_cut_has_failed() -> None:
    with Steps() as run:
        list(run.follow([turn("a"), *answer("Let", id="r1")[:2], *answer("Let me.", id="r2")]))
        list(run.follow([turn("b"), *answer("Let me look.")[:2]]))

    assert ["done", "failed"] == [step.state for step in run.steps]
    assert ["StreamTruncated"] == [step.error.partition(":")[0] for step in run.steps if step.error]


def test_an_answer_before_any_agent_was_named_has_a_step() -> None:
    run = follow([*answer("Hi"), item("message_output_item", id="m"), raw("odd")])

    assert [("agent", "Hi")] == [(step.name, step.text) for step in run.steps]


def telling(delta: str, whole: str) -> list[Any]:
    """Return an answer whose text is repeated whole, by the text's end and by that of the answer."""
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    message = {"id": "m", "type": "message", "content": [{"type": "output_text", "text": whole}]}
    return [
        raw("created", response={"id": "r"}),
        raw("output_text.delta", **place, delta=delta),
        raw("output_text.done", **place, text=whole),
        raw("completed", response={"id": "r", "status": "completed", "output": [message]}),
    ]


def test_the_lost_end_of_an_answer_is_given() -> None:
    run = follow([turn("a"), *telling("Hel", "Hello"), *telling("Bye", "Bye now")])
    (step,) = run.steps

    assert ["Hello", "Bye now"] == [message.text for message in step.messages]
    assert ["complete", "complete"] == [message.ending for message in step.messages]


@pytest.mark.parametrize(("delta", "whole"), [("Hex", "Hello"), ("Hellolo", "Hello"), ("Hex", "Help me")])
def test_an_answer_whose_whole_text_is_another_has_failed(delta: str, whole: str) -> None:
    """The end of another text is never put behind the deltas, and the agent's step has the error."""
    run = follow([turn("a"), *telling(delta, whole)])
    (step,) = run.steps

    assert (delta, ["failed"]) == (step.text, [message.ending for message in step.messages])
    assert step.error is not None
    assert step.error.startswith("ProtocolError: the whole text of part 0 differs from its deltas")
    assert "failed" == step.state


# -- LlamaIndex ------------------------------------------------------------------------


def streamed(name: str, delta: str, *calls: Any, raw: Any = None) -> Any:
    return of_agent(name, delta=delta, raw=raw, thinking_delta=None, tool_calls=[*calls])


def test_a_workflow_of_llamaindex_is_its_agents_and_their_tools() -> None:
    """What was streamed is not said again by the whole answer; one that was not is."""
    call = SimpleNamespace(tool_id="c1", tool_name="search", tool_kwargs={"q": 1})
    output = SimpleNamespace(content="no such city", is_error=True)
    events = [
        SimpleNamespace(kind="start"),
        of_agent("triage", input=[]),
        streamed("triage", "Let me "),
        streamed("triage", "look.", call),
        of_agent("triage", response=SimpleNamespace(content="Let me look."), raw=None, tool_calls=[call]),
        call,
        SimpleNamespace(**vars(call), tool_output=output),
        of_agent("writer", input=[]),
        of_agent("writer", response=SimpleNamespace(content="Sorry."), raw=None, tool_calls=[]),
    ]
    run = follow(events)
    triage, writer = run.steps
    (tool,) = triage.steps

    assert ("Let me look.", "Sorry.") == (triage.text, writer.text)
    assert [{"q": 1}] == [call.arguments for call in triage.messages[0].tool_calls]
    assert tool.cause is not None
    assert ("c1", "failed", "no such city") == (tool.cause.id, tool.state, tool.error)
    assert ["complete", "complete"] == [step.messages[0].ending for step in run.steps]
