"""Calls that wait for the user's approval, in the protocols of user interfaces."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest

from tokenstream import Steps, relay, testing
from tokenstream.events import StepDone, ToolResult
from tokenstream.message import ToolCall
from tokenstream.router import ToolFailed

APPROVAL = {"type": "approval", "tool": "delete", "arguments": {"path": "a"}}


def _call(run: Steps) -> ToolCall:
    script = testing.script().tool_call("delete", {"path": "a"}, id="call_1").finish("tool_calls")
    with run.step("model") as step, step.follow(script.stream("openai-chat")) as stream:
        (call,) = stream.final().tool_calls
    return call


def _live(request: object, *, denied: bool = False) -> list[dict[str, Any]]:
    """Return what `ui-message` sends for a call whose request is answered, read as it happens."""
    with Steps() as run:
        events = run.events()
        call = _call(run)
        happened = list(events.ready())
        try:
            with run.step(call) as step:
                step.wait_for("r1", request, send=lambda _: None)
                # The event itself is marked as answered later.
                happened += [copy(event) for event in events.ready()]
                run.reply("r1", not denied)
                if denied:
                    raise ToolFailed("The user has denied this call.")
                step.result = "deleted"
        except ToolFailed:
            assert denied
    happened += events.ready()
    return list(relay.payloads(happened, "ui-message"))


def test_a_call_that_waits_for_approval_is_shown_as_such() -> None:
    for denied, result in ((False, "tool-output-available"), (True, "tool-output-error")):
        sent = [each for each in _live(APPROVAL, denied=denied) if each.get("toolCallId") == "call_1"]
        kinds = [each["type"] for each in sent]

        assert ["tool-input-available", "tool-approval-request", result] == kinds[
            kinds.index("tool-input-available") :
        ]
        (asked,) = [each for each in sent if each["type"] == "tool-approval-request"]
        assert {"type": "tool-approval-request", "approvalId": "r1", "toolCallId": "call_1"} == asked


@pytest.mark.parametrize(
    "request_", [{"tool": "delete"}, {"type": "question"}, "approval", None, ["approval"]]
)
def test_another_question_of_a_call_is_no_approval(request_: object) -> None:
    """Approve and Deny would not answer it."""
    sent = _live(request_)

    assert "tool-approval-request" not in {each["type"] for each in sent}
    assert [False, True] == [each["data"]["answered"] for each in sent if each["type"] == "data-waiting"]


def test_an_approval_that_was_given_is_not_asked_for_again() -> None:
    """A reader that comes after the decision, and one that knows no call, get the question alone."""
    with Steps() as run:
        call = _call(run)
        with run.step(call) as step:
            step.wait_for("r1", APPROVAL, send=lambda _: None)
            run.reply("r1", True)
        with run.step("no call") as step:
            step.wait_for("r2", APPROVAL, send=lambda _: None)
    sent = list(relay.payloads(run.events(), "ui-message"))

    assert "tool-approval-request" not in {each["type"] for each in sent}
    assert ["r1", "r1", "r2"] == [each["id"] for each in sent if each["type"] == "data-waiting"]


def test_a_call_that_still_waits_at_its_end_has_no_result() -> None:
    """The run has stopped to ask: each protocol says so in its way, and none that the call has returned."""
    with Steps() as run:
        call = _call(run)
        with run.step(call) as step:
            step.wait_for("r1", APPROVAL)
    events = [*run.events().ready()]
    ui = list(relay.payloads(events, "ui-message"))
    ag_ui = list(relay.payloads(events, "ag-ui"))

    assert not [event for event in events if isinstance(event, ToolResult)]
    assert [step.id] == [event.id for event in events if isinstance(event, StepDone)][-1:]
    assert not [each for each in ui if each["type"].startswith("tool-output")]
    assert "tool-approval-request" in [each["type"] for each in ui]
    assert "TOOL_CALL_RESULT" not in [each["type"] for each in ag_ui]
    interrupt = {"id": "r1", "reason": "tool_call", "toolCallId": "call_1"}
    assert {"type": "interrupt", "interrupts": [interrupt]} == ag_ui[-1]["outcome"]
