"""AG-UI: messages, calls, results and reasoning, chunks, and events that stray from the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.ag_ui.support import CALL, HELLO, RESULT, START, run
from tests.formats.told import tell
from tests.support.formats import AGUI
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Limits, Stream
from tokenstream.errors import LimitExceeded
from tokenstream.events import MessageStart, ToolCallStart, ToolResult
from tokenstream.message import CallResult, ReasoningPart, TextPart


def test_a_message_is_a_part_with_its_id() -> None:
    """The next request carries the message's id."""
    told = run(*HELLO)

    assert ["Hel", "lo"] == told.texts
    assert (TextPart(text="Hello", complete=True, provider_data={"messageId": "m"}),) == told.parts
    assert ("r", "stop", "RUN_FINISHED", "complete", {"threadId": "t"}) == (
        told.message.id,
        told.reason,
        told.raw_reason,
        told.ending,
        told.data,
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
    ] == list(told.parts)
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
    assert (1, {"c": "sun"}) == (len(answered.parts), dict(answered.message.tool_results))
    assert ("tool_calls", "stop") == (open_call.reason, answered.reason)
    assert set() == open_call.rules | answered.rules


def test_the_result_of_a_call_of_an_earlier_run_is_kept() -> None:
    """A run that goes on begins with what the client sent; no call of this message is answered by it."""
    content = [{"type": "text", "text": "sun"}]
    told = run({**RESULT, "content": content}, *HELLO)

    assert (CallResult(id="c", output=content),) == told.message.results
    assert (["text"], 0) == (told.kinds, len(told.message.tool_results))
    assert "stop" == told.reason


def test_a_call_that_the_metadata_ascribe_to_the_provider_is_not_handed_out() -> None:
    """Our relay marks such calls; the result becomes a part, with one event."""
    marked = {"metadata": {"tokenstream": {"providerExecuted": True}}}
    told = run({**CALL[0], **marked}, *CALL[1:], {**RESULT, **marked}, RESULT)

    assert (["server_tool_call", "server_tool_result"], []) == (told.kinds, told.calls)
    assert {"result_repeated"} == told.rules
    assert [ToolResult("c", "sun", provider_executed=True)] == [
        event for event in told.events if isinstance(event, ToolResult)
    ]
    assert "stop" == told.reason


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

    assert (ReasoningPart(text="Let me", complete=True, provider_data=id_ or None),) == told.parts
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

    assert (expected,) == run(*thought, of_thought, end).parts
    assert (expected,) == run(*thought, end, of_thought).parts
    assert [{"parentMessageId": "m", "encryptedValue": "ZW5j"}] == [
        call.provider_data for call in run(*CALL[:3], of_call, CALL[3]).calls
    ]
    assert [{"subtype": "tool-call", "entityId": "c", "encryptedValue": "ZW5j"}] == (
        run(*CALL, of_call).data["encrypted_values"]
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


def chunk(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"{kind}_CHUNK", **fields}


def test_chunks_open_what_they_name_and_the_next_event_closes_it() -> None:
    """A chunk without an id goes on with the last one; events beside the message end nothing."""
    told = run(
        chunk("TEXT_MESSAGE", messageId="a", delta="Hel", role="assistant"),
        {"type": "RAW", "event": 1},
        chunk("TEXT_MESSAGE", delta="lo"),
        chunk("TEXT_MESSAGE", messageId="b", delta="!"),
        chunk("REASONING_MESSAGE", messageId="c", delta="Hm"),
        chunk("REASONING_MESSAGE", messageId="c"),
        chunk("TOOL_CALL", toolCallId="c1", toolCallName="ls", delta='{"a"', parentMessageId="b"),
        chunk("TOOL_CALL", delta=": 1}"),
        chunk("TOOL_CALL", toolCallId="c2", toolCallName="pwd"),
    )

    assert (["Hello", "!"], "Hm") == (
        [part.text for part in told.parts if isinstance(part, TextPart)],
        told.message.reasoning,
    )
    assert [("c1", '{"a": 1}'), ("c2", "")] == [(call.id, call.arguments_text) for call in told.calls]
    assert all(part.complete for part in told.parts)
    assert set() == told.rules


def test_a_call_in_chunks_is_handed_out_when_the_next_event_comes() -> None:
    """Nothing else marks its end; one that a cut or an error ends is not handed out."""
    payloads = [START, chunk("TOOL_CALL", toolCallId="c", toolCallName="ls", delta="{}")]

    assert ["ls"] == [call.name for call in tell(AGUI(), *payloads, HELLO[0]).calls]
    assert [] == tell(AGUI(), *payloads).calls


def test_a_run_error_ends_a_call_in_chunks_without_handing_it_out() -> None:
    """A call that an error cut may lack arguments, however whole it looks."""
    told = tell(
        AGUI(),
        START,
        chunk("TOOL_CALL", toolCallId="c", toolCallName="ls", delta="{}"),
        {"type": "RUN_ERROR", "message": "m"},
    )

    assert [] == told.calls


@in_one_test(
    ("payloads", "rule", "text"),
    [
        ([chunk("TEXT_MESSAGE", delta="x")], "part_index_missing", "x"),
        ([chunk("TOOL_CALL", delta="x")], "part_unopened", ""),
        ([HELLO[1], HELLO[3]], "part_unopened", "Hel"),
        ([*HELLO, HELLO[1]], "part_after_close", "HelloHel"),
        ([HELLO[3]], "part_unopened", ""),
        ([{"type": "TEXT_MESSAGE_START"}, {"type": "TEXT_MESSAGE_END"}], "part_index_missing", ""),
        ([{**HELLO[1], "delta": 1}], "delta_misfits", ""),
        ([{**CALL[1], "delta": 1}], "delta_misfits", ""),
        ([CALL[1]], "part_unopened", ""),
        ([CALL[3]], "part_unopened", ""),
        ([*CALL, CALL[1]], "call_after_done", ""),
        ([*CALL, CALL[0]], "call_repeated", ""),
        ([{"type": "TOOL_CALL_START", "toolCallId": "c"}], "call_nameless", ""),
        ([{"type": "TOOL_CALL_START", "toolCallName": "ls"}], "call_id_missing", ""),
        ([*CALL[:3], RESULT], "part_unclosed", ""),
        (CALL[:3], "part_unclosed", ""),
        (HELLO[:3], "part_unclosed", "Hello"),
        ([START], "start_twice", ""),
        ([{**START, "runId": "r2"}], "id_changed", ""),
    ],
)
def test_strays_are_tolerated_and_counted(payloads: list[Any], rule: str, text: str) -> None:
    """The reference client throws on these; nothing is lost here."""
    told = run(*payloads)

    assert (None, text) == (told.error, told.message.text)
    assert rule in told.rules


def test_a_chunk_may_add_to_what_a_start_has_opened() -> None:
    told = run(
        HELLO[0],
        chunk("TEXT_MESSAGE", messageId="m", delta="Hi"),
        HELLO[3],
        CALL[0],
        chunk("TOOL_CALL", toolCallId="c", delta="{}"),
        CALL[3],
    )

    assert ("Hi", ["{}"]) == (told.message.text, [call.arguments_text for call in told.calls])
    assert set() == told.rules


def test_white_space_after_the_end_of_a_call_says_nothing() -> None:
    told = run(*CALL, {**CALL[1], "delta": " "}, {**CALL[1], "delta": ""})

    assert (set(), 1) == (told.rules, len(told.calls))


def test_an_end_of_a_message_in_chunks_is_taken() -> None:
    """What a chunk has opened may be closed by an event all the same."""
    told = run(chunk("TEXT_MESSAGE", messageId="m", delta="Hi"), HELLO[3])

    assert ("Hi", {"part_end_unmatched"}) == (told.message.text, told.rules)
