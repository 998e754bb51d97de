"""AG-UI: messages, calls, results and reasoning."""

from __future__ import annotations

import pytest

from tests.formats.ag_ui.support import CALL, HELLO, RESULT, run
from tests.support.wire import sses
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded
from tokenstream.events import MessageStart, ToolCallStart, ToolResult
from tokenstream.message import CallResult, ReasoningPart, TextPart


def test_a_message_is_a_part_with_its_id() -> None:
    """The next request carries the message's id."""
    told = run(*HELLO)

    assert ["Hel", "lo"] == told.texts
    assert (TextPart(text="Hello", complete=True, provider_data={"messageId": "m"}),) == told.message.parts
    assert ("r", "stop", "RUN_FINISHED", "complete", {"threadId": "t"}) == (
        told.message.id,
        told.message.finish_reason,
        told.message.raw_finish_reason,
        told.message.ending,
        told.message.provider_data,
    )
    assert (None, set()) == (told.error, told.rules)
    assert MessageStart(id="r", provider_data={"threadId": "t"}) == told.events[0]


def test_messages_may_be_written_in_turns() -> None:
    """Several authors may speak at the same time; who speaks is kept beside the text."""
    told = run(
        {"type": "TEXT_MESSAGE_START", "messageId": "a", "name": "Ann"},
        {"type": "TEXT_MESSAGE_START", "messageId": "b", "role": "user"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "b", "delta": "2"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "a", "delta": "1"},
        {"type": "TEXT_MESSAGE_END", "messageId": "b"},
        {"type": "TEXT_MESSAGE_END", "messageId": "a"},
    )

    assert [
        TextPart(text="1", complete=True, provider_data={"messageId": "a", "name": "Ann"}),
        TextPart(text="2", complete=True, provider_data={"messageId": "b", "role": "user"}),
    ] == list(told.message.parts)
    assert set() == told.rules


def test_every_call_is_the_clients_also_one_that_the_run_answers() -> None:
    open_call = run(*CALL)
    answered = run(*CALL, RESULT)

    assert [{"city": "Oslo"}] == [call.arguments for call in open_call.calls]
    assert [ToolCallStart("c", "weather", "function", {"parentMessageId": "m"})] == [
        event for event in open_call.events if isinstance(event, ToolCallStart)
    ]
    assert [{"city": "Oslo"}] == [call.arguments for call in answered.calls]
    assert [ToolResult("c", "sun")] == [e for e in answered.events if isinstance(e, ToolResult)]
    assert (1, {"c": "sun"}) == (len(answered.message.parts), dict(answered.message.tool_results))
    assert ("tool_calls", "stop") == (open_call.message.finish_reason, answered.message.finish_reason)
    assert set() == open_call.rules | answered.rules


def test_the_result_of_a_call_of_an_earlier_run_is_kept() -> None:
    """A run that goes on begins with what the client sent; no call of this message is answered by it."""
    content = [{"type": "text", "text": "sun"}]
    told = run({**RESULT, "content": content}, *HELLO)

    assert (CallResult(id="c", output=content),) == told.message.results
    assert (["text"], 0) == (told.kinds, len(told.message.tool_results))
    assert "stop" == told.message.finish_reason


def test_a_call_that_the_metadata_ascribe_to_the_provider_is_not_handed_out() -> None:
    """Our relay marks such calls; the result becomes a part, with one event."""
    marked = {"metadata": {"tokenstream": {"providerExecuted": True}}}
    told = run({**CALL[0], **marked}, *CALL[1:], {**RESULT, **marked}, RESULT)

    assert (["server_tool_call", "server_tool_result"], []) == (told.kinds, told.calls)
    assert {"result_repeated"} == told.rules
    assert [ToolResult("c", "sun", provider_executed=True)] == [
        event for event in told.events if isinstance(event, ToolResult)
    ]
    assert "stop" == told.message.finish_reason


@pytest.mark.parametrize("prefix", ["REASONING_MESSAGE", "THINKING_TEXT_MESSAGE"])
def test_reasoning_is_read_under_its_old_name_too(prefix: str) -> None:
    """Before version 1.0 it was called thinking, and had no id."""
    id_ = {"messageId": "m"} if prefix.startswith("REASONING") else {}
    told = run(
        {"type": f"{prefix.partition('_')[0]}_START", **id_},
        {"type": f"{prefix}_START", "role": "reasoning", **id_},
        {"type": f"{prefix}_CONTENT", "delta": "Let ", **id_},
        {"type": f"{prefix}_CONTENT", "delta": "me", **id_},
        {"type": f"{prefix}_END", **id_},
        {"type": f"{prefix.partition('_')[0]}_END", **id_},
    )

    assert (ReasoningPart(text="Let me", complete=True, provider_data=id_ or None),) == told.message.parts
    assert set() == told.rules


def test_an_encrypted_value_goes_to_the_reasoning_or_the_call_that_it_is_of() -> None:
    """The next request must carry the encrypted value."""
    thought = [
        {"type": "REASONING_MESSAGE_START", "messageId": "m", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "m", "delta": "Hm"},
    ]
    end = {"type": "REASONING_MESSAGE_END", "messageId": "m"}
    value = {"type": "REASONING_ENCRYPTED_VALUE", "encryptedValue": "ZW5j"}
    of_thought = {**value, "subtype": "message", "entityId": "m"}
    of_call = {**value, "subtype": "tool-call", "entityId": "c"}
    expected = ReasoningPart(text="Hm", redacted="ZW5j", complete=True, provider_data={"messageId": "m"})

    assert (expected,) == run(*thought, of_thought, end).message.parts
    assert (expected,) == run(*thought, end, of_thought).message.parts
    assert [{"parentMessageId": "m", "encryptedValue": "ZW5j"}] == [
        call.provider_data for call in run(*CALL[:3], of_call, CALL[3]).calls
    ]
    assert [{"subtype": "tool-call", "entityId": "c", "encryptedValue": "ZW5j"}] == (
        run(*CALL, of_call).message.provider_data["encrypted_values"]
    )
    assert ["REASONING_ENCRYPTED_VALUE"] == run({**of_call, "encryptedValue": 1}).unknown
    assert [{"parentMessageId": "m", "encryptedValue": "\ufffd"}] == [
        call.provider_data for call in run(*CALL[:3], {**of_call, "encryptedValue": "\ud83d"}, CALL[3]).calls
    ]


def test_results_without_a_call_are_bounded_like_parts() -> None:
    """A server cannot fill the memory with what is no part of the message."""
    payloads = [{**RESULT, "toolCallId": f"c{number}"} for number in range(4)]
    stream = Stream(sses(*payloads), format="ag-ui", limits=Limits(parts=3))
    with pytest.raises(LimitExceeded) as caught:
        stream.final()

    assert ("parts", 3) == (caught.value.limit, len(stream.message.results))
