"""The Interactions API: what each event becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.mutations import changed
from tests.formats.told import Told, reads_alike_at_a_glance, tell
from tokenstream.decoder import Decoder
from tokenstream.errors import LimitExceeded, ProviderError, StreamError, StreamTruncated
from tokenstream.events import Ping, TextDelta, ToolCallDelta, Unknown
from tokenstream.formats import _registry as registry
from tokenstream.formats._wire.gemini_interactions import GeminiInteractions
from tokenstream.limits import Limits
from tokenstream.message import (
    MediaPart,
    Message,
    OpaquePart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)

DONE = ("done", b"[DONE]")
USAGE = {
    "total_input_tokens": 7,
    "total_output_tokens": 5,
    "total_thought_tokens": 20,
    "total_cached_tokens": 0,
    "total_tokens": 32,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 3}, {"modality": "audio", "tokens": 4}],
}


def event(kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return kind, {**fields, "event_type": kind}


def created(**fields: Any) -> tuple[str, dict[str, Any]]:
    head = {"id": "i1", "status": "in_progress", "object": "interaction", "model": "gemini-x"}
    return event("interaction.created", interaction={**head, **fields})


def completed(status: str = "completed", **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("interaction.completed", interaction={"id": "i1", "status": status, **fields})


def start(index: int, kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.start", index=index, step={"type": kind, **fields})


def delta(index: int, kind: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.delta", index=index, delta={"type": kind, **fields})


def stop(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    return event("step.stop", index=index, **fields)


def read(*frames: Any, limits: Limits | None = None) -> Told:
    return tell(GeminiInteractions(limits=limits), *frames)


def step(kind: str, *deltas: Any, status: str = "completed", **fields: Any) -> Told:
    """Read an interaction of one step."""
    return read(created(), start(0, kind, **fields), *deltas, stop(0), completed(status), DONE)


def test_steps_that_are_written_in_turns_keep_their_own_texts() -> None:
    """The documents write one after the other, so each turn is counted."""
    starts = [start(index, "model_output") for index in (0, 1)]
    deltas = [delta(index, "text", text=piece) for index, piece in ((0, "a"), (1, "c"), (0, "b"))]
    told = read(created(), *starts, *deltas, stop(0), stop(1), completed(), DONE)

    assert ["ab", "c"] == [part.text for part in told.message.parts if isinstance(part, TextPart)]
    assert {"parts_interleaved": 2} == told.departures


# -- texts and thoughts --------------------------------------------------------------


def test_an_interaction_is_an_answer() -> None:
    """Its head, its text as it arrives, its status and its token counts."""
    told = read(
        created(),
        event("interaction.status_update", interaction_id="i1", status="in_progress"),
        start(0, "model_output"),
        delta(0, "text", text="Hel"),
        delta(0, "text", text="lo"),
        stop(0),
        completed(usage=USAGE, service_tier="standard"),
        DONE,
    )

    assert told.texts == ["Hel", "lo"]
    assert told.message.parts == (TextPart(text="Hello", complete=True),)
    assert (told.message.id, told.message.model) == ("i1", "gemini-x")
    assert (told.message.finish_reason, told.message.raw_finish_reason) == ("stop", "completed")
    assert told.message.ending == "complete"
    assert told.message.provider_data == {"service_tier": "standard"}
    usage = told.message.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (7, 25, 20)
    assert (usage.cached_tokens, usage.total_tokens, usage.input_audio_tokens) == (0, 32, 4)
    assert usage.provider_data == USAGE
    assert told.rules == set()


def test_a_report_without_counts_has_none() -> None:
    """Nothing is invented."""
    told = read(created(usage={"grounding_tool_count": [{"type": "x", "count": 1}]}), completed())

    assert told.message.usage is not None
    assert told.message.usage.output_tokens is None


def test_a_thought_is_reasoning_with_its_signature() -> None:
    """Pieces of its summary are joined with nothing; the signature comes whole, and is set."""
    told = step(
        "thought",
        delta(0, "thought_summary", content={"type": "text", "text": "Let me"}),
        delta(0, "thought_signature", signature="b2xk"),
        delta(0, "thought_summary", content={"type": "text", "text": " see"}),
        delta(0, "thought_signature", signature="c2ln"),
        delta(0, "thought_signature", signature=""),
    )

    assert told.message.parts == (ReasoningPart(text="Let me see", signature="c2ln", complete=True),)
    assert told.rules == set()


def test_a_thought_may_stand_whole_in_its_start() -> None:
    """Also with a summary in several pieces; other fields are kept."""
    told = step(
        "thought",
        signature="c2ln",
        summary=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image"}],
        more=1,
    )

    assert told.message.parts == (
        ReasoningPart(text="ab", signature="c2ln", complete=True, provider_data={"more": 1}),
    )


def test_the_content_of_an_output_may_stand_in_its_start() -> None:
    """Text with its annotations, media, and what has no word here."""
    told = step(
        "model_output",
        delta(0, "text", text="!"),
        content=[
            {"type": "text", "text": "a", "annotations": [{"type": "url_citation", "url": "u"}], "more": 1},
            {"type": "image", "data": "AAAA", "mime_type": "image/png"},
            {"type": "image", "data": "%"},
            {"type": "hologram", "x": 1},
        ],
    )

    assert told.kinds == ["text", "citation", "media", "opaque", "opaque", "text"]
    assert told.message.parts[0] == TextPart(text="a", complete=True, provider_data={"more": 1})
    assert told.message.parts[4] == OpaquePart(
        type="hologram", data={"type": "hologram", "x": 1}, complete=True
    )
    assert told.message.text == "a!"


def test_sources_are_citations_of_the_text_before_them() -> None:
    """Of web pages, files and places."""
    told = step(
        "model_output",
        delta(0, "text", text="a"),
        delta(
            0,
            "text_annotation_delta",
            annotations=[
                {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1},
                {"type": "file_citation", "document_uri": "gs://b", "file_name": "B", "source": "words"},
                {"type": "place_citation", "url": "https://c", "name": "C"},
            ],
        ),
        delta(0, "text", text="b"),
    )

    assert [(c.url, c.title, c.text, c.start, c.end, c.cites) for c in told.message.citations] == [
        ("https://a", "A", None, 0, 1, 0),
        ("gs://b", "B", "words", None, None, 0),
        ("https://c", "C", None, None, None, 0),
    ]
    assert told.message.parts[0] == TextPart(text="ab", complete=True)


def test_audio_grows_and_pictures_stand_alone() -> None:
    """Pieces of audio are one part; each picture, video or document is one of its own."""
    told = step(
        "model_output",
        delta(0, "audio", data="AAAA", mime_type="audio/l16", sample_rate=24000),
        delta(0, "audio", data="AAEC", mime_type="audio/l16"),
        delta(0, "image", data="AAAA", mime_type="image/png"),
        delta(0, "image", uri="https://i", mime_type="image/png"),
        delta(0, "text", text="a"),
        delta(0, "document", data="%%"),
    )

    assert told.message.parts == (
        MediaPart(
            mime_type="audio/l16",
            data=b"\0\0\0\0\1\2",
            complete=True,
            provider_data={"sample_rate": 24000},
        ),
        MediaPart(mime_type="image/png", data=b"\0\0\0", complete=True),
        MediaPart(mime_type="image/png", url="https://i", complete=True),
        TextPart(text="a", complete=True),
        OpaquePart(type="document", data={"type": "document", "data": "%%"}, complete=True),
    )
    assert told.rules == {"media_invalid"}


# -- calls -----------------------------------------------------------------------------


def test_the_arguments_of_a_call_come_in_fragments() -> None:
    """The empty object in its start only holds their place."""
    told = step(
        "function_call",
        delta(0, "arguments_delta", arguments='{"a"'),
        delta(0, "arguments_delta", arguments=": 1}"),
        delta(0, "thought_signature", signature="c2ln"),
        id="c1",
        name="f",
        arguments={},
        signature="",
        more=1,
    )

    assert told.calls == [
        ToolCall(
            id="c1",
            name="f",
            arguments_text='{"a": 1}',
            complete=True,
            provider_data={"signature": "c2ln", "more": 1},
        )
    ]
    assert told.message.finish_reason == "tool_calls"
    assert [e.fragment for e in told.events if isinstance(e, ToolCallDelta)] == ['{"a"', ": 1}"]
    assert told.rules == set()


@pytest.mark.parametrize(
    ("arguments", "text", "rules"),
    [
        ({}, "{}", set()),
        (None, "{}", set()),
        ({"a": "é"}, '{"a": "é"}', set()),
        ('{"a": 1}', '{"a": 1}', {"arguments_unparsed"}),
    ],
)
def test_a_call_without_fragments_has_the_arguments_of_its_start(
    arguments: Any, text: str, rules: set[str]
) -> None:
    """An empty object too."""
    told = step("function_call", id="c1", name="f", arguments=arguments)

    assert [done.arguments_text for done in told.calls] == [text]
    assert told.rules == rules


def test_a_call_may_come_in_a_delta() -> None:
    """As previews of the API sent it: with its name, its id and its arguments."""
    told = step("function_call", delta(0, "function_call", id="c1", name="f", arguments={"a": 1}))

    assert [(done.id, done.name, done.arguments) for done in told.calls] == [("c1", "f", {"a": 1})]


def test_a_call_without_a_name_is_carried() -> None:
    """Nobody could run it."""
    told = step("function_call", id="c1", arguments={})

    assert told.kinds == ["opaque"]
    assert told.rules == {"call_nameless"}


@pytest.mark.parametrize(
    ("status", "handed_out"),
    [("requires_action", 1), ("completed", 1), ("incomplete", 0), ("cancelled", 0), ("budget_exceeded", 0)],
)
def test_a_call_that_was_not_stopped_is_whole_where_the_interaction_ended_of_itself(
    status: str, handed_out: int
) -> None:
    """And has its arguments; one whose arguments had not begun is never handed out."""
    told = read(
        created(),
        start(0, "function_call", id="c1", name="f", arguments={}),
        delta(0, "arguments_delta", arguments="{}"),
        start(1, "function_call", id="c2", name="g", arguments={}),
        completed(status),
    )

    assert [done.name for done in told.calls] == ["f"] * handed_out
    assert "part_unclosed" in told.rules


def test_a_call_that_the_input_cut_is_never_handed_out() -> None:
    """However whole it looks."""
    told = read(
        created(),
        start(0, "thought", signature="c2ln"),
        start(1, "function_call", id="c1", name="f", arguments={}),
        delta(1, "arguments_delta", arguments="{}"),
        start(2, "google_search_call", id="s1"),
    )

    assert told.calls == []
    assert isinstance(told.error, StreamTruncated)
    assert told.kinds == ["reasoning", "tool_call", "server_tool_call"]
    assert getattr(told.message.parts[0], "signature", None) == "c2ln"


def test_what_the_provider_runs_is_none_of_the_applications() -> None:
    """A search and its result: what comes later replaces what stood there, and the step is kept whole."""
    told = read(
        created(),
        start(0, "google_search_call", id="s1", signature=""),
        delta(0, "google_search_call", arguments={"queries": ["cats"]}, signature="c2ln"),
        stop(0),
        start(1, "google_search_result", call_id="s1"),
        delta(1, "google_search_result", result=[{"title": "Cats"}], is_error=False),
        stop(1),
        completed(),
    )

    assert told.message.parts == (
        ServerToolCall(
            id="s1",
            name="google_search_call",
            arguments_text='{"queries": ["cats"]}',
            complete=True,
            provider_data={
                "type": "google_search_call",
                "id": "s1",
                "signature": "c2ln",
                "arguments": {"queries": ["cats"]},
            },
        ),
        ServerToolResult(
            id="s1",
            name="google_search_result",
            content=[{"title": "Cats"}],
            complete=True,
            provider_data={
                "type": "google_search_result",
                "call_id": "s1",
                "result": [{"title": "Cats"}],
                "is_error": False,
            },
        ),
    )
    assert told.message.finish_reason == "stop"


def test_the_arguments_of_a_hosted_tool_may_come_in_fragments_too() -> None:
    """They stay as they were written; the tool of another server has a name of its own."""
    told = step(
        "mcp_server_tool_call",
        delta(0, "arguments_delta", arguments='{"q": '),
        delta(0, "arguments_delta", arguments="1}"),
        delta(0, "mcp_server_tool_call", server_name="docs"),
        id="m1",
        name="find",
    )
    data = {"type": "mcp_server_tool_call", "id": "m1", "name": "find", "server_name": "docs"}

    assert told.message.parts == (
        ServerToolCall(id="m1", name="find", arguments_text='{"q": 1}', complete=True, provider_data=data),
    )


def test_the_arguments_of_a_hosted_tool_may_be_text() -> None:
    """They are taken as they are."""
    told = step("code_execution_call", id="m1", arguments="x = 1")

    assert getattr(told.message.parts[0], "arguments_text", None) == "x = 1"


@pytest.mark.parametrize("kind", ["user_input", "hologram", ""])
def test_a_step_of_another_type_is_carried_as_it_came(kind: str) -> None:
    """With what its deltas add."""
    told = step(kind, delta(0, kind, more=1), x=2)
    carried = {"type": kind, "x": 2, "more": 1}

    assert told.message.parts == (OpaquePart(type=kind, data=carried, complete=True),)


# -- deltas that are hard to place ---------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "misfit"),
    [
        ("thought", delta(0, "text_annotation_delta", annotations=[])),
        ("thought", delta(0, "arguments_delta", arguments="x")),
        ("thought", delta(0, "image", data="AAAA")),
        ("thought", delta(0, "thought_signature")),
        ("thought", delta(0, "thought_summary", content={"type": "image"})),
        ("model_output", delta(0, "thought_summary", content={"type": "text", "text": "a"})),
        ("model_output", delta(0, "arguments_delta", arguments="x")),
        ("model_output", delta(0, "text", text=5)),
        ("model_output", delta(0, "google_search_call", arguments={})),
        ("model_output", delta(0, "hologram")),
        ("model_output", delta(0, "")),
        ("google_search_call", delta(0, "text", text="a")),
        ("google_search_call", delta(0, "arguments_delta", arguments={})),
    ],
)
def test_a_delta_that_does_not_fit_its_step_is_carried(kind: str, misfit: Any) -> None:
    """Under its type, as it came."""
    told = step(kind, misfit)

    assert told.rules == {"delta_misfits"}
    assert told.message.provider_data == {misfit[1]["delta"]["type"] or "step.delta": [misfit[1]]}


def test_text_in_a_thought_is_reasoning() -> None:
    """Previews of the API sent it so."""
    assert step("thought", delta(0, "text", text="hm")).message.reasoning == "hm"


def test_empty_text_opens_no_part() -> None:
    """There is nothing to show."""
    assert step("model_output", delta(0, "text", text="")).kinds == []


@pytest.mark.parametrize(
    ("told_by", "kinds"),
    [
        (delta(7, "text", text="a"), ["text"]),
        (delta(7, "image", data="AAAA"), ["media"]),
        (delta(7, "thought_summary", content={"type": "text", "text": "a"}), ["reasoning"]),
        (delta(7, "google_search_call", id="s", arguments={}), ["server_tool_call"]),
        (delta(7, "arguments_delta", arguments="{}"), []),
    ],
)
def test_a_delta_without_its_step_opens_the_step_that_it_tells_of(told_by: Any, kinds: list[str]) -> None:
    """Fragments tell of none: they are carried."""
    told = read(created(), told_by, completed())

    assert told.kinds == kinds
    assert "part_unopened" in told.rules


def test_a_delta_after_the_end_of_its_step_is_a_new_part() -> None:
    """A fragment for a call that was handed out is none."""
    told = read(
        created(),
        start(0, "model_output"),
        delta(0, "text", text="a"),
        stop(0),
        delta(0, "text", text="b"),
        start(1, "function_call", id="c1", name="f", arguments={}),
        stop(1),
        delta(1, "arguments_delta", arguments="x"),
        stop(1),
        completed(),
    )

    assert told.message.text == "ab"
    assert [done.arguments_text for done in told.calls] == ["{}"]
    assert told.rules == {"part_after_close", "call_after_done", "part_end_unmatched", "part_unclosed"}


def test_an_index_that_is_missing_or_reused_is_the_next_best() -> None:
    """Starts count on, deltas and stops mean the step that was started last."""
    told = read(
        created(),
        event("step.start", step={"type": "model_output"}),
        event("step.delta", delta={"type": "text", "text": "a"}),
        event("step.stop"),
        start(0, "model_output"),
        delta(0, "text", text="b"),
        start(0, "model_output"),
        delta(0, "text", text="c"),
        completed(),
    )

    assert [getattr(part, "text", None) for part in told.message.parts] == ["a", "b", "c"]
    assert told.rules == {"part_index_missing", "part_index_reused", "part_unclosed"}


def test_steps_may_be_written_in_turns() -> None:
    """Each keeps its own."""
    told = read(
        created(),
        start(0, "model_output"),
        start(5, "thought"),
        delta(0, "text", text="a"),
        delta(5, "thought_summary", content={"type": "text", "text": "x"}),
        delta(0, "text", text="b"),
        stop(5),
        stop(0),
        completed(),
    )

    assert (told.message.text, told.message.reasoning) == ("ab", "x")


# -- ends ----------------------------------------------------------------------------------

STATUSES = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "length",
    "budget_exceeded": "length",
    "requires_continuation": "pause",
    "cancelled": "cancelled",
    "in_progress": "unknown",
    "a_new_one": "unknown",
}


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_is_the_finish_reason(status: str) -> None:
    """In our words and in the API's."""
    told = read(created(), completed(status))

    assert (told.message.finish_reason, told.message.raw_finish_reason) == (STATUSES[status], status)
    assert told.message.ending == "complete"


def test_an_interaction_that_failed_is_an_error() -> None:
    """With what it says; what had come is kept."""
    errors = [{"code": "unavailable", "message": "busy"}]
    begun = [created(), start(0, "model_output"), delta(0, "text", text="Hel")]
    told = read(*begun, completed("failed", errors=errors))

    assert isinstance(told.error, ProviderError)
    assert (told.error.code, told.error.kind) == ("unavailable", "overloaded")
    assert (told.message.text, told.message.finish_reason, told.message.ending) == ("Hel", "error", "failed")
    assert "interaction failed" in str(read(created(), completed("failed")).error)


def test_an_interaction_may_tell_a_single_error() -> None:
    """Whose problem it is, is read from it."""
    told = read(created(), completed("failed", error={"code": "unavailable", "message": "busy"}))

    assert isinstance(told.error, ProviderError)
    assert (told.error.kind, told.error.code, told.error.retryable) == ("overloaded", "unavailable", True)


def test_a_failure_that_only_a_status_update_told_is_an_error() -> None:
    """The input ended without the terminal event; a failed interaction is no answer all the same."""
    told = read(
        created(),
        start(0, "model_output"),
        delta(0, "text", text="a"),
        event("interaction.status_update", interaction_id="i1", status="failed"),
    )

    assert isinstance(told.error, ProviderError)
    assert (told.message.text, told.message.finish_reason) == ("a", "error")


@pytest.mark.parametrize("status", ["in_progress", "queued"])
def test_a_whole_interaction_that_goes_on_in_the_background_is_not_complete(status: str) -> None:
    """What it has by now is in the message."""
    steps = [{"type": "model_output", "content": [{"type": "text", "text": "a"}]}]
    told = read({"id": "i1", "object": "interaction", "status": status, "steps": steps})

    assert isinstance(told.error, StreamTruncated)
    assert (told.message.text, told.message.finish_reason) == ("a", None)


def test_the_error_of_an_output_is_kept() -> None:
    """It is no error of the stream, and has no part."""
    told = step("model_output", error={"code": 3, "message": "m"})

    assert told.error is None
    assert told.message.provider_data["model_output"] == [{"error": {"code": 3, "message": "m"}}]


def test_a_step_that_ends_later_holds_no_half_of_a_character() -> None:
    """Its start is told again at its end, when what came between has none."""
    begun = {"event_type": "step.start", "index": 0, "step": {"type": "thought", "signature": "\ud800"}}
    status = {"event_type": "interaction.status_update", "status": "\ud800"}
    written = [json.dumps(each).encode() for each in (begun, status)]
    told = read(created(), *written, stop(0))

    assert [part.signature for part in told.message.parts if isinstance(part, ReasoningPart)] == ["\ufffd"]
    assert told.message.raw_finish_reason == "\ufffd"
    assert Message.model_validate_json(told.message.model_dump_json()) == told.message


def test_where_the_interaction_can_be_gone_on_with_is_known_with_each_event() -> None:
    """Also within a text."""
    interactions = GeminiInteractions()
    interactions.feed(start(0, "model_output")[1])
    for number in range(9):
        payload = {**delta(0, "text", text="a")[1], "event_id": f"e{number}"}
        told = [each for each in interactions.feed(payload) if isinstance(each, Unknown)]

        assert [(each.name, each.data) for each in told] == [("event_id", f"e{number}")]


@given(st.lists(st.text('ab\\"\n}é🎉', min_size=1, max_size=4), max_size=9))
def test_thoughts_known_by_their_bytes_give_what_decoding_gives(pieces: list[str]) -> None:
    """A summary comes in pieces, as text does."""
    summaries = [delta(0, "thought_summary", content={"type": "text", "text": piece}) for piece in pieces]
    written = [(name, json.dumps(payload).encode()) for name, payload in summaries]
    frames = [created(), start(0, "thought"), *written, stop(0), completed()]

    reads_alike_at_a_glance(GeminiInteractions, frames)


def test_errors_of_an_interaction_that_did_not_fail_are_kept() -> None:
    """They say what went wrong on the way."""
    told = read(created(), completed(errors=[{"message": "m"}]))

    assert told.message.provider_data == {"errors": [{"message": "m"}]}


def test_an_error_event_is_the_providers() -> None:
    """Its code is a word."""
    told = read(created(), event("error", error={"code": "resource_exhausted", "message": "slow down"}))

    assert isinstance(told.error, ProviderError)
    assert (told.error.code, told.error.kind) == ("resource_exhausted", "rate_limited")


def test_an_error_within_a_step_is_content() -> None:
    """The stream goes on."""
    told = read(created(), event("step.stop", index=0, error={"code": 3}), completed())

    assert told.error is None
    assert told.message.provider_data == {"error": {"code": 3}}


def test_an_input_that_ends_before_the_interaction_is_truncated() -> None:
    """Also after every step was stopped."""
    told = read(created(), start(0, "model_output"), delta(0, "text", text="a"), stop(0))

    assert isinstance(told.error, StreamTruncated)
    assert told.message.ending == "truncated"


def test_a_status_that_is_an_end_completes_an_input_without_its_last_event() -> None:
    """The word for the end had come."""
    told = read(
        created(),
        start(0, "model_output"),
        delta(0, "text", text="a"),
        stop(0),
        event("interaction.status_update", interaction_id="i1", status="completed", usage=USAGE),
    )

    assert (told.message.raw_finish_reason, told.message.ending) == ("completed", "complete")
    assert told.rules == {"done_missing"}


def test_an_end_without_a_status_has_the_last_one_that_came() -> None:
    """None where there was none."""
    assert read(event("interaction.completed", interaction={"id": "i1"})).message.finish_reason is None
    told = read(created(), event("interaction.completed"))

    assert told.message.raw_finish_reason == "in_progress"
    assert told.rules == {"finish_missing"}


def test_the_sentinel_follows_the_end() -> None:
    """It is expected there; anything else is counted, and alone it is an end without a reason."""
    assert read(created(), completed(), DONE).rules == set()
    assert read(created(), completed(), b"[DONE]").rules == set()
    assert read(created(), completed(), created()).rules == {"data_after_end"}
    assert read(created(), DONE).rules == {"finish_missing"}


# -- what a new request needs -----------------------------------------------------------------


def test_where_a_stream_can_be_taken_up_again_is_kept() -> None:
    """The id of the last event, and the token to continue with."""
    told = read(
        created(),
        event("interaction.status_update", status="in_progress", continuation_token="t1", event_id="e1"),
        start(0, "model_output"),
        *[
            event("step.delta", index=0, delta={"type": "text", "text": "a"}, event_id=f"e{n}")
            for n in range(9)
        ],
    )

    assert told.message.provider_data == {"continuation_token": "t1", "event_id": "e8"}
    assert told.message.text == "a" * 9
    assert read(completed("requires_continuation", continuation_token="t2")).message.provider_data == {
        "continuation_token": "t2"
    }


def test_usage_and_further_fields_are_read_wherever_they_come() -> None:
    """With a delta, with the end of a step, with the status."""
    told = read(
        created(),
        start(0, "model_output"),
        event(
            "step.delta",
            index=0,
            delta={"type": "text", "text": "a"},
            metadata={"total_usage": {"total_output_tokens": 1}, "more": 2},
        ),
        stop(0, usage={"total_input_tokens": 3}, step_usage={"total_output_tokens": 1}, other="x"),
        completed(),
    )
    usage = told.message.usage

    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (3, 1)
    assert told.message.provider_data == {
        "more": 2,
        "step_usage": [{"total_output_tokens": 1}],
        "other": "x",
    }


# -- other ways to come -------------------------------------------------------------------------


WHOLE: dict[str, Any] = {
    "id": "i1",
    "object": "interaction",
    "status": "completed",
    "model": "gemini-x",
    "steps": [
        {"type": "user_input", "content": [{"type": "text", "text": "q"}]},
        {"type": "thought", "signature": "c2ln"},
        {"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "model_output", "content": [{"type": "text", "text": "Hello"}]},
    ],
    "output_text": "Hello",
    "usage": USAGE,
}


def test_an_interaction_that_was_not_streamed_is_read_whole() -> None:
    """The user's own turn is no part of the answer."""
    decoder = Decoder()
    decoder.feed(json.dumps(WHOLE, indent=2).encode())
    decoder.end()

    assert decoder.format == "gemini-interactions"
    assert [part.kind for part in decoder.message.parts] == ["reasoning", "tool_call", "text"]
    assert decoder.message.text == "Hello"
    assert decoder.message.tool_calls[0].arguments == {"a": 1}
    assert decoder.message.complete


def test_steps_in_the_last_event_are_read_where_none_had_come() -> None:
    """Else they only say again what was streamed."""
    assert read(created(), event("interaction.completed", interaction=WHOLE)).message.text == "Hello"
    streamed = [start(0, "model_output"), delta(0, "text", text="Hi"), stop(0)]
    told = read(created(), *streamed, event("interaction.completed", interaction=WHOLE))

    assert told.message.text == "Hi"


def test_previews_of_the_api_had_other_names() -> None:
    """And contents in the place of steps."""
    told = read(
        event("interaction.start", interaction={"id": "i1", "agent": "deep-research"}),
        event("content.start", index=0, content={"type": "thought"}),
        event("content.delta", index=0, delta={"type": "thought_summary", "content": {"text": "hm"}}),
        event("content.stop", index=0),
        event("content.start", index=1, content={"type": "text", "text": "He"}),
        event("content.delta", index=1, delta={"type": "text", "text": "llo"}),
        event("content.stop", index=1),
        event("interaction.complete", interaction={"id": "i1", "status": "completed", "outputs": []}),
    )

    assert (told.message.reasoning, told.message.text) == ("hm", "Hello")
    assert (told.message.model, told.message.complete) == ("deep-research", True)
    assert told.rules == set()


def test_the_type_of_an_event_counts_and_not_its_name() -> None:
    """Where they differ that is counted, and where one is missing the other counts."""
    nameless = {"interaction": {"status": "completed"}}
    told = read(("step.stop", created()[1]), ("interaction.completed", nameless))

    assert told.message.complete
    assert told.rules == {"event_name_differs", "type_missing"}
    assert read(created()[1], completed()[1]).message.complete


def test_a_second_start_is_counted() -> None:
    """The first id counts."""
    told = read(created(), created(id="i2"), completed())

    assert told.message.id == "i1"
    assert told.rules == {"start_repeated", "id_changed"}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"event_type": "interaction.paused", "x": 1}, "interaction.paused"),
        ({"event_type": "UNKNOWN", "raw": {"event_type": "interaction.paused"}}, "interaction.paused"),
        ({"event_type": "UNKNOWN", "raw": {}}, "event"),
        ({"x": 1}, "event"),
    ],
)
def test_an_event_that_nobody_knows_is_carried(payload: dict[str, Any], name: str) -> None:
    """Also the way in which the SDK hands it over."""
    assert read(created(), payload, completed()).unknown == [name]


@pytest.mark.parametrize(
    ("payload", "name", "answer"),
    [
        (created()[1], "", True),
        (created()[1], "interaction.created", True),
        ({"event_type": "content.start"}, "", True),
        ({"event_type": "error"}, "error", True),
        ({"event_type": "other"}, "", False),
        (WHOLE, "", True),
        ({"object": "interaction"}, "", False),
        ({"interaction": {}}, "interaction.created", True),
        ({"index": 0, "delta": {}}, "step.delta", True),
        ({"x": 0}, "step.delta", False),
        ({"interaction": {}}, "", False),
    ],
)
def test_an_event_is_known_by_its_type(payload: dict[str, Any], name: str, answer: bool) -> None:
    """Or by its name, where it has none and looks like one."""
    assert GeminiInteractions.recognises(payload, name) is answer
    if answer:
        assert registry.detect(payload, name) == ("gemini-interactions", False)


def test_signs_of_life_are_given_where_they_are_asked_for() -> None:
    """Empty data is one."""
    assert [type(each) for each in GeminiInteractions(pings=True).feed(b" ")] == [Ping]


# -- bounds and laws -----------------------------------------------------------------------------


def test_open_steps_are_bounded() -> None:
    """A step without content holds memory too."""
    told = read(*[start(index, "model_output") for index in range(9)], limits=Limits(parts=4))

    assert isinstance(told.error, LimitExceeded)
    assert told.error.limit == "parts"
    closed = [each for index in range(9) for each in (start(index, "model_output"), stop(index))]
    assert read(*closed, completed(), limits=Limits(parts=4)).error is None


EVERYTHING: list[Any] = [
    created(),
    event("interaction.status_update", status="in_progress", continuation_token="t", event_id="e1"),
    start(0, "thought", signature="c2ln"),
    delta(0, "thought_summary", content={"type": "text", "text": "a"}),
    delta(0, "thought_signature", signature="c2ln"),
    stop(0, step_usage=USAGE),
    start(1, "model_output", content=[{"type": "text", "text": "a"}]),
    delta(1, "text", text="b"),
    delta(1, "text_annotation_delta", annotations=[{"type": "url_citation", "url": "u"}]),
    delta(1, "audio", data="AAAA"),
    delta(1, "image", data="AAAA"),
    stop(1),
    start(2, "function_call", id="c1", name="f", arguments={}),
    delta(2, "arguments_delta", arguments='{"a": 1}'),
    stop(2),
    start(3, "google_search_call", id="s"),
    delta(3, "google_search_call", arguments={"q": 1}),
    stop(3),
    start(4, "google_search_result", call_id="s"),
    delta(4, "google_search_result", result=[]),
    stop(4),
    event("content.start", index=5, content={"type": "text", "text": "a"}),
    completed("requires_action", usage=USAGE),
    completed("failed", errors=[{"code": "internal", "message": "m"}]),
    event("interaction.completed", interaction=WHOLE),
    WHOLE,
    event("error", error={"code": "internal", "message": "m"}),
]


@given(changed(EVERYTHING), st.booleans())
def test_whatever_comes_only_errors_of_ours_come_out(frames: list[Any], plain: bool) -> None:
    """Events in any order, with fields dropped, retyped, renamed and swapped."""
    frames = [frame[1] if plain and isinstance(frame, tuple) else frame for frame in frames]
    told = tell(GeminiInteractions(), *frames, plain=plain)

    assert told.error is None or isinstance(told.error, StreamError)
    for message in told.messages:
        assert message == Message.model_validate_json(message.model_dump_json())


@given(
    st.lists(st.text('ab\\"\n}é🎉\ud83d\ude00', max_size=4) | st.text(max_size=5), max_size=9),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.lists(st.integers(0, 12), min_size=9, max_size=9),
)
def test_pieces_known_by_their_bytes_give_what_decoding_gives(
    pieces: list[str], spelling: tuple[str, str], changes: list[int]
) -> None:
    """Whatever the text is, and whatever stands beside it."""
    frames: list[Any] = [created(), start(0, "model_output")]
    for piece, change in zip(pieces, changes, strict=False):
        payload = delta(0, "text", text=piece)[1]
        if change == 0:
            payload["event_id"] = piece or "e"
        if change == 1:
            payload["delta"]["more"] = 1
        written = json.dumps(
            payload, separators=spelling, ensure_ascii="\ud83d" in piece or "\ude00" in piece
        )
        frames.append(("step.delta", written.encode("utf-8", "surrogatepass")))

    reads_alike_at_a_glance(GeminiInteractions, [*frames, completed()])


def test_whole_chunks_read_at_a_glance_give_what_decoding_gives() -> None:
    """Each chunk one event, as the server sends it."""
    events = [created(), start(0, "model_output"), *[delta(0, "text", text=f"{n} ") for n in range(50)]]
    events += [stop(0), completed()]
    chunks = [f"event: {name}\ndata: {json.dumps(payload)}\n\n".encode() for name, payload in events]
    glanced, whole = Decoder(), Decoder()
    seen = [each for chunk in chunks for each in glanced.feed(chunk)] + glanced.end()

    assert seen == whole.feed(b"".join(chunks)) + whole.end()
    assert sum(isinstance(each, TextDelta) for each in seen) == 50
    assert glanced.message.complete
