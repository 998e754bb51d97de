"""AG-UI: chunks, and events that stray from the protocol."""

from __future__ import annotations

from typing import Any

from tests.formats.ag_ui.support import CALL, HELLO, RESULT, START, run
from tests.formats.told import tell
from tests.support.formats import AGUI
from tests.support.tables import in_one_test
from tokenstream.message import TextPart


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
        [part.text for part in told.message.parts if isinstance(part, TextPart)],
        told.message.reasoning,
    )
    assert [("c1", '{"a": 1}'), ("c2", "")] == [(call.id, call.arguments_text) for call in told.calls]
    assert all(part.complete for part in told.message.parts)
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
