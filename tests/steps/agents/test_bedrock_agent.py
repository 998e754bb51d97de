"""Runs of Bedrock's InvokeAgent, as boto3 gives their events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import ProviderError, StreamError, StreamTruncated
from tokenstream.message import Citation

Event = dict[str, Any]


def trace(kind: str, *, collaborator: str | None = None, **told: Any) -> Event:
    event: Event = {"agentId": "A", "agentAliasId": "B", "sessionId": "s1", "trace": {kind: told}}
    return {"trace": event if collaborator is None else {**event, "collaboratorName": collaborator}}


def step(**told: Any) -> Event:
    return trace("orchestrationTrace", **told)


def chunk(data: bytes, **fields: Any) -> Event:
    return {"chunk": {"bytes": data, **fields}}


def counted(tokens: int) -> Event:
    metadata = {"usage": {"inputTokens": tokens, "outputTokens": 1}}
    return step(
        modelInvocationOutput={"traceId": "m", "rawResponse": {"content": "{}"}, "metadata": metadata}
    )


ACTION = {
    "actionGroupName": "weather",
    "function": "look_up",
    "executionType": "LAMBDA",
    "parameters": [{"name": "city", "type": "string", "value": "Oslo"}],
}
LOOKS = step(
    invocationInput={"traceId": "t1", "invocationType": "ACTION_GROUP", "actionGroupInvocationInput": ACTION}
)
SEES = step(
    observation={"traceId": "t1", "type": "ACTION_GROUP", "actionGroupInvocationOutput": {"text": "7 °C"}}
)
DECIDES = step(observation={"traceId": "t2", "type": "FINISH", "finalResponse": {"text": "It is 7 °C."}})
SAYS = "It is 7 °C.".encode()
WHOLE = [
    step(rationale={"traceId": "t1", "text": "I look."}),
    counted(10),
    LOOKS,
    SEES,
    counted(20),
    DECIDES,
    chunk(SAYS[:8]),
    chunk(SAYS[8:]),
]
"""A run with traces; the first chunk ends inside a character."""


def followed(events: list[Event], agent: str | None = "bedrock-agent") -> tuple[Steps, StreamError | None]:
    run = Steps()
    try:
        with run:
            for _ in run.follow(events, agent=agent):
                pass
    except StreamError as error:
        return run, error
    return run, None


def test_a_run_is_a_turn_with_its_tools_and_its_answer() -> None:
    """The traces tell what the agent thinks, does, and counts."""
    run, error = followed(WHOLE, agent=None)

    [turn] = run.turns
    assert (run.agent, run.session, error, turn.state, turn.result) == (
        "bedrock-agent",
        "s1",
        None,
        "done",
        "It is 7 °C.",
    )
    [tool] = turn.step.steps
    assert (tool.name, tool.state, tool.result) == ("look_up", "done", "7 °C")
    assert tool.cause is not None
    assert tool.cause.arguments == {"city": "Oslo"}
    assert [message.reasoning for message in turn.step.messages] == ["I look.", ""]
    assert turn.usage is not None
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (30, 2)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_run_that_is_cut_is_truncated(cut: int) -> None:
    """Where traces come, they tell the whole answer."""
    run, error = followed(WHOLE[:cut])

    if cut == 0:
        assert run.turns == ()
    else:
        assert isinstance(error, StreamTruncated)
        assert run.turns[-1].state == "failed"


@in_one_test(
    "output, result, failure",
    [
        ({"codeInterpreterInvocationOutput": {"executionOutput": "4"}}, "4", None),
        ({"codeInterpreterInvocationOutput": {"executionError": "no"}}, None, "no"),
        ({"codeInterpreterInvocationOutput": {"executionTimeout": True}}, None, "it took too long"),
        (
            {"knowledgeBaseLookupOutput": {"retrievedReferences": [{"content": {"text": "x"}}]}},
            [{"content": {"text": "x"}}],
            None,
        ),
        ({"repromptResponse": {"source": "PARSER", "text": "again"}}, "again", "again"),
        ({}, None, None),
    ],
)
def test_a_tool_ends_as_its_observation_says(output: Event, result: Any, failure: str | None) -> None:
    """Searches and programs are tools as well."""
    code = {"traceId": "t1", "codeInterpreterInvocationInput": {"code": "2 + 2"}}
    events = [step(invocationInput=code), step(observation={"traceId": "t1", **output}), DECIDES, chunk(SAYS)]
    run, error = followed(events)

    [tool] = run.turns[-1].step.steps
    assert (error, tool.name, tool.result) == (None, "code_interpreter", result)
    assert (tool.error is None) == (failure is None)
    assert failure is None or failure in str(tool.error)


def test_a_collaborator_has_its_tools_below_it() -> None:
    """What it decides is not the decision of the agent."""
    asks = {"agentCollaboratorName": "scout", "input": {"type": "TEXT", "text": "Look."}}
    look = {"traceId": "t5", "knowledgeBaseLookupInput": {"knowledgeBaseId": "K", "text": "Oslo"}}
    found = {"traceId": "t5", "knowledgeBaseLookupOutput": {"retrievedReferences": []}}
    reply = {"agentCollaboratorName": "scout", "output": {"type": "TEXT", "text": "Seen."}}
    ends = {"traceId": "t6", "type": "FINISH", "finalResponse": {"text": "Seen."}}
    events = [
        step(invocationInput={"traceId": "t1", "agentCollaboratorInvocationInput": asks}),
        trace("orchestrationTrace", collaborator="scout", invocationInput=look),
        trace("orchestrationTrace", collaborator="scout", observation=found),
        trace("orchestrationTrace", collaborator="scout", observation=ends),
        step(observation={"traceId": "t1", "agentCollaboratorInvocationOutput": reply}),
    ]
    run, error = followed(events)
    assert isinstance(error, StreamTruncated)

    run, error = followed([*events, DECIDES, chunk(SAYS)])
    [scout] = run.turns[-1].step.steps
    assert (error, scout.name, scout.result) == (None, "scout", "Seen.")
    assert [tool.name for tool in scout.steps] == ["knowledge_base"]
    assert run.turns[-1].result == "It is 7 °C."


def test_control_that_is_returned_is_calls_for_the_caller() -> None:
    """A function, or a request to an API with its body; the turn ends with them."""
    body = {
        "content": {"application/json": {"properties": [{"name": "usd", "type": "number", "value": "9"}]}}
    }
    api = {"actionGroup": "pay", "apiPath": "/send", "httpMethod": "POST", "requestBody": body}
    inputs = [{"functionInvocationInput": {**ACTION, "actionGroup": "weather"}}, {"apiInvocationInput": api}]
    run, error = followed([{"returnControl": {"invocationId": "i1", "invocationInputs": inputs}}], agent=None)

    [turn] = run.turns
    [message] = turn.step.messages
    calls = [(call.id, call.name, call.arguments, call.complete) for call in message.tool_calls]
    assert (error, turn.state, message.finish_reason) == (None, "done", "tool_calls")
    assert calls == [("i1", "look_up", {"city": "Oslo"}, True), ("i1-1", "POST /send", {"usd": "9"}, True)]


def test_an_answer_has_its_sources_and_files() -> None:
    """The words that cite them are numbered in the answer."""
    reference = {
        "content": {"text": "7 °C"},
        "location": {"type": "WEB", "webLocation": {"url": "https://weather.example"}},
    }
    part = {"textResponsePart": {"text": "7", "span": {"start": 6, "end": 10}}}
    citations = [{"generatedResponsePart": part, "retrievedReferences": [reference]}]
    files = {"files": [{"name": "plot.png", "type": "image/png", "bytes": b"png"}]}
    run, error = followed([chunk(SAYS, attribution={"citations": citations}), {"files": files}])

    turn = run.turns[-1]
    [source] = [part for part in turn.step.messages[0].parts if isinstance(part, Citation)]
    assert (error, turn.result) == (None, "It is 7 °C.")
    assert (source.url, source.text, source.start, source.end) == ("https://weather.example", "7 °C", 6, 10)
    assert turn.step.updates["files"]["files"] == [{"name": "plot.png", "type": "image/png"}]


@in_one_test(
    "event",
    [
        {"throttlingException": {"message": "slow down"}},
        {"dependencyFailedException": {"message": "slow down"}},
        trace("failureTrace", traceId="t", failureReason="slow down", failureCode=429),
    ],
)
def test_a_failure_ends_the_turn(event: Event) -> None:
    """What had come stays, and nothing follows."""
    run, error = followed([*WHOLE[:4], chunk(b"It "), event, chunk(b"is")])

    assert isinstance(error, ProviderError | None)
    assert run.turns[-1].state == "failed"
    assert "slow down" in str(run.turns[-1].error)
    assert run.turns[-1].step.messages[-1].text == "It "
    assert len(run.turns) == 1


BLOCKED = {"topicPolicy": {"topics": [{"name": "money", "type": "DENY", "action": "BLOCKED"}]}}


def guardrail(assessment: Event, **fields: Any) -> Event:
    return trace("guardrailTrace", action="INTERVENED", outputAssessments=[assessment], **fields)


def test_a_guardrail_may_replace_the_answer() -> None:
    """Then no trace tells what the agent has decided."""
    run, error = followed([*WHOLE[:4], guardrail(BLOCKED), chunk(b"I cannot say.")])

    assert (error, run.turns[-1].result) == (None, "I cannot say.")
    assert run.turns[-1].step.messages[-1].finish_reason == "content_filter"


def test_what_a_collaborator_does_is_not_what_the_agent_does() -> None:
    """Its failure is that of its step; what it decides, even if nobody has seen it begin, ends no turn."""
    asks = {"agentCollaboratorName": "scout", "input": {"type": "TEXT", "text": "Look."}}
    begins = step(invocationInput={"traceId": "t1", "agentCollaboratorInvocationInput": asks})
    fails = trace("failureTrace", collaborator="scout", failureReason="no map")
    run, error = followed([begins, fails, DECIDES, chunk(SAYS)])
    [scout] = run.turns[-1].step.steps
    assert (error, scout.state, run.turns[-1].result) == (None, "failed", "It is 7 °C.")

    ends = {"traceId": "t6", "type": "FINISH", "finalResponse": {"text": "It"}}
    unseen = trace("orchestrationTrace", collaborator="ann", observation=ends)
    _, error = followed([LOOKS, SEES, unseen, chunk(b"It")])
    assert isinstance(error, StreamTruncated)


def test_events_that_botocore_has_parsed_are_read() -> None:
    """They have the service's own types."""
    model: Any = needed("botocore.session").get_session().get_service_model("bedrock-agent-runtime")
    parsers: Any = needed("botocore.parsers")
    shape = model.operation_model("InvokeAgent").output_shape.members["completion"]
    parser = parsers.EventStreamJSONParser()
    events = []
    for kind, payload in (("trace", DECIDES["trace"]), ("chunk", {"bytes": "SXQgaXMgNyDCsEMu"})):
        response = {
            "status_code": 200,
            "headers": {":message-type": "event", ":event-type": kind, ":content-type": "application/json"},
            "body": json.dumps(payload).encode(),
        }
        events.append(parser.parse(response, shape))
    run, error = followed(events)

    assert (error, run.turns[-1].result) == (None, "It is 7 °C.")
