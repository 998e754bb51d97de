"""Gemini: whole calls, calls that nothing closes, and their bounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini.payloads import STOP, Payload, call, chunk, text, value
from tests.formats.gemini.streaming import fragments, streamed
from tests.formats.gemini.support import gemini
from tests.formats.told import DONE
from tokenstream import Stream
from tokenstream.errors import LimitExceeded, StreamTruncated
from tokenstream.events import ToolCallStart
from tokenstream.message import OpaquePart, ToolCall

# -- whole calls --------------------------------------------------------------------


def test_a_whole_call_is_handed_out_at_once() -> None:
    told = gemini(chunk(call("f", args={"city": "Zürich", "n": [1]}, id="c1")), STOP)

    assert told.calls == [
        ToolCall(
            id="c1",
            name="f",
            arguments_text='{"city": "Zürich", "n": [1]}',
            complete=True,
            provider_data={"id": "c1"},
        )
    ]
    assert fragments(told) == told.calls[0].arguments_text
    assert (told.reason, told.raw_reason) == ("tool_calls", "STOP")
    assert told.rules == set()


def test_a_call_without_an_id_has_one_of_ours() -> None:
    """The API often sends none; two calls of one tool are two."""
    told = gemini(chunk(call("f", args={"a": 1}), call("f", args={"a": 2})), STOP)

    assert [(done.id, done.arguments) for done in told.calls] == [("call_0", {"a": 1}), ("call_1", {"a": 2})]
    assert [done.provider_data for done in told.calls] == [{"made_up_id": True}] * 2
    assert told.rules == set()


@pytest.mark.parametrize("fields", [{}, {"args": {}}, {"args": None}])
def test_a_call_without_arguments_has_an_empty_object(fields: Payload) -> None:
    assert [done.arguments_text for done in gemini(chunk(call("f", **fields)), STOP).calls] == ["{}"]


def test_the_signature_of_a_call_is_kept_with_it() -> None:
    """In a batch only the first has one; other fields of the part are kept too."""
    told = gemini(
        chunk(call("f", {"thoughtSignature": "c2ln", "partMetadata": {"a": 1}}), call("g", args={}, more=1)),
        STOP,
    )

    assert [done.provider_data for done in told.calls] == [
        {"thoughtSignature": "c2ln", "partMetadata": {"a": 1}, "made_up_id": True},
        {"functionCall": {"more": 1}, "made_up_id": True},
    ]
    starts = [event.provider_data for event in told.events if isinstance(event, ToolCallStart)]
    assert starts == [done.provider_data for done in told.calls]


def test_a_call_ends_the_text_before_it() -> None:
    told = gemini(chunk(text("a"), call("f"), text("b")), STOP)

    assert told.kinds == ["text", "tool_call", "text"]


def test_a_call_counts_whichever_chunk_it_came_in() -> None:
    """A stop on an answer that calls tools is `tool_calls`, also where the stop came first, or again."""
    before = chunk(text("a"), finish="STOP")
    for frames in (
        [chunk(call("f")), STOP],
        [before, chunk(call("f")), DONE],
        [before, chunk(call("f")), STOP],
    ):
        told = gemini(*frames)

        assert (told.reason, len(told.calls)) == ("tool_calls", 1)


@pytest.mark.parametrize(("args", "text"), [('{"a": 1}', '{"a": 1}'), ([1], "[1]"), (3, "3")])
def test_arguments_of_another_type_are_written_as_they_are(args: Any, text: str) -> None:
    """Text is taken for what it is, and counted."""
    told = gemini(chunk(call("f", args=args)), STOP)

    assert told.message.tool_calls[0].arguments_text == text
    assert told.rules == ({"arguments_unparsed"} if isinstance(args, str) else set())


def test_a_call_without_a_name_is_carried() -> None:
    told = gemini(chunk(call(args={"a": 1})), STOP)

    assert told.parts == (
        OpaquePart(type="functionCall", data={"functionCall": {"args": {"a": 1}}}, complete=True),
    )
    assert told.rules == {"call_nameless"}


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL"])
def test_whole_calls_stay_whatever_ends_the_answer(reason: str) -> None:
    assert len(gemini(chunk(call("f")), chunk(finish=reason)).calls) == 1


# -- calls that are not closed ----------------------------------------------------------


def test_a_call_that_nothing_closed_is_whole_where_the_answer_stops() -> None:
    """Vertex AI leaves out the last piece; every value that had begun is over."""
    told = streamed(value("$.a", stringValue="x", willContinue=True), value("$.a", stringValue=""))

    assert [done.arguments for done in told.calls] == [{"a": "x"}]
    assert told.rules == {"part_unclosed"}
    assert told.reason == "tool_calls"


def test_a_call_with_a_string_that_was_to_go_on_is_never_handed_out() -> None:
    begun = [chunk(call("f", willContinue=True)), chunk(value("$.a", stringValue="rm -r", willContinue=True))]
    late = [chunk(call("f", willContinue=True)), chunk(value("$.l[1]", stringValue="x", willContinue=True))]
    assert gemini(*late, chunk(call()), STOP).calls == []
    for frames in ([STOP], [chunk(call("g")), STOP], [chunk(call()), STOP]):
        told = gemini(*begun, *frames)

        assert "f" not in [done.name for done in told.calls]
        assert told.message.tool_calls[0].arguments_text == '{"a": "rm -r'
        assert not told.message.tool_calls[0].complete


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "SAFETY", "OTHER", "CONTINUATION"])
@pytest.mark.parametrize("values", [[], [value("$.a", numberValue=1)]])
def test_a_call_that_the_end_cut_is_never_handed_out(reason: str, values: list[Payload]) -> None:
    told = gemini(chunk(call("f", willContinue=True)), chunk(*values), chunk(finish=reason))

    assert told.calls == []
    assert told.rules == {"call_open_at_end"}


def test_a_call_that_the_input_cut_is_never_handed_out() -> None:
    told = gemini(chunk(call("f", willContinue=True)), chunk(value("$.a", numberValue=1)))

    assert told.calls == []
    assert isinstance(told.error, StreamTruncated)
    assert "inside 1 tool call" in str(told.error)


def test_a_call_that_opens_after_the_stop_and_is_not_closed_is_never_handed_out() -> None:
    """The stop was said before it, and so is none of the answer that goes on."""
    told = gemini(chunk(text("a"), finish="STOP"), chunk(call("f", willContinue=True)))

    assert told.calls == []
    assert isinstance(told.error, StreamTruncated)
    assert told.rules == {"call_open_at_end", "content_after_finish"}


def test_another_call_closes_the_one_before_it() -> None:
    told = streamed(value("$.a", numberValue=1), call("g"))

    assert [(done.name, done.arguments) for done in told.calls] == [("f", {"a": 1}), ("g", {})]
    assert told.rules == {"part_unclosed"}


@pytest.mark.parametrize("end", [call(), call("f")])
def test_a_piece_that_repeats_the_name_of_a_call_without_id_goes_on_with_it(end: Payload) -> None:
    """No call with half the arguments is handed out."""
    pieces = [
        call("f", willContinue=True, partialArgs=[{"jsonPath": path, "numberValue": 1}])
        for path in ("$.a", "$.b")
    ]
    told = gemini(chunk(call("f", willContinue=True)), *[chunk(piece) for piece in pieces], chunk(end), STOP)

    assert [done.arguments for done in told.calls] == [{"a": 1, "b": 1}]
    assert told.rules == {"call_repeated"}


@pytest.mark.parametrize(
    "other", [call("f", willContinue=True), call("f", args={"b": 2}), call("f", id="c2", willContinue=True)]
)
def test_a_bare_start_of_the_same_name_is_another_call(other: Payload) -> None:
    told = streamed(value("$.a", numberValue=1), other, call())

    assert [done.arguments for done in told.calls] == [{"a": 1}, other["functionCall"].get("args", {})]


def test_a_piece_that_repeats_the_name_and_id_goes_on_with_its_call() -> None:
    pieces = [call("f", id="c1", willContinue=True, partialArgs=[{"jsonPath": "$.a", "numberValue": 1}])]
    told = gemini(chunk(call("f", id="c1", willContinue=True)), chunk(*pieces), chunk(call()), STOP)

    assert [(done.id, done.arguments) for done in told.calls] == [("c1", {"a": 1})]
    assert told.rules == {"call_repeated"}


def test_a_piece_that_goes_on_with_nothing_is_ignored() -> None:
    """An end without a start."""
    told = gemini(chunk(call()), chunk(call(willContinue=True)), STOP)

    assert told.kinds == []
    assert told.rules == {"part_end_unmatched", "answer_empty"}


# -- bounds --------------------------------------------------------------------------------


def test_arguments_that_no_json_can_be_are_an_error() -> None:
    """Only what was made in Python can be so."""
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}

    with pytest.raises(LimitExceeded, match=r"Limits\.depth"):
        Stream([chunk(call("f", deep))], format="gemini").final()
