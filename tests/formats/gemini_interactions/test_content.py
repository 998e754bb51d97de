"""The Interactions API: texts, thoughts, citations and media, and deltas that are hard to place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini_interactions.support import (
    DONE,
    USAGE,
    completed,
    created,
    delta,
    event,
    read,
    start,
    step,
    stop,
)
from tests.support.tables import in_one_test
from tokenstream.message import MediaPart, OpaquePart, ReasoningPart, TextPart


def test_steps_that_are_written_in_turns_keep_their_own_texts() -> None:
    """The documents write one after the other, so each turn is counted."""
    starts = [start(index, "model_output") for index in (0, 1)]
    deltas = [delta(index, "text", text=piece) for index, piece in ((0, "a"), (1, "c"), (0, "b"))]
    told = read(created(), *starts, *deltas, stop(0), stop(1), completed(), DONE)

    assert ["ab", "c"] == [part.text for part in told.parts if isinstance(part, TextPart)]
    assert {"parts_interleaved": 2} == told.departures


# -- texts and thoughts --------------------------------------------------------------


def test_an_interaction_is_an_answer() -> None:
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
    assert told.parts == (TextPart(text="Hello", complete=True),)
    assert (told.message.id, told.message.model) == ("i1", "gemini-x")
    assert (told.reason, told.raw_reason) == ("stop", "completed")
    assert told.ending == "complete"
    assert told.data == {"service_tier": "standard"}
    usage = told.message.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (7, 25, 20)
    assert (usage.cached_tokens, usage.total_tokens, usage.input_audio_tokens) == (0, 32, 4)
    assert usage.provider_data == USAGE
    assert told.rules == set()


def test_a_report_without_counts_has_none() -> None:
    told = read(created(usage={"grounding_tool_count": [{"type": "x", "count": 1}]}), completed())

    assert told.message.usage.output_tokens is None


def test_a_thought_is_reasoning_with_its_signature() -> None:
    told = step(
        "thought",
        delta(0, "thought_summary", content={"type": "text", "text": "Let me"}),
        delta(0, "thought_signature", signature="b2xk"),
        delta(0, "thought_summary", content={"type": "text", "text": " see"}),
        delta(0, "thought_signature", signature="c2ln"),
        delta(0, "thought_signature", signature=""),
    )

    assert told.parts == (ReasoningPart(text="Let me see", signature="c2ln", complete=True),)
    assert told.rules == set()


def test_a_thought_may_be_whole_in_its_start() -> None:
    told = step(
        "thought",
        signature="c2ln",
        summary=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "image"}],
        more=1,
    )

    assert told.parts == (
        ReasoningPart(text="ab", signature="c2ln", complete=True, provider_data={"more": 1}),
    )


def test_the_content_of_an_output_may_be_in_its_start() -> None:
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
    assert told.parts[0] == TextPart(text="a", complete=True, provider_data={"more": 1})
    assert told.parts[4] == OpaquePart(type="hologram", data={"type": "hologram", "x": 1}, complete=True)
    assert told.message.text == "a!"


def test_sources_are_citations_of_the_text_before_them() -> None:
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
    assert told.parts[0] == TextPart(text="ab", complete=True)


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

    assert told.parts == (
        MediaPart(
            mime_type="audio/l16", data=b"\0\0\0\0\1\2", complete=True, provider_data={"sample_rate": 24000}
        ),
        MediaPart(mime_type="image/png", data=b"\0\0\0", complete=True),
        MediaPart(mime_type="image/png", url="https://i", complete=True),
        TextPart(text="a", complete=True),
        OpaquePart(type="document", data={"type": "document", "data": "%%"}, complete=True),
    )
    assert told.rules == {"media_invalid"}


@in_one_test(
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
        ("google_search_call", delta(0, "arguments_delta", arguments=5)),
    ],
)
def test_a_delta_that_does_not_fit_its_step_is_carried(kind: str, misfit: Any) -> None:
    told = step(kind, misfit)

    assert told.rules == {"delta_misfits", *(["answer_empty"] if kind in ("model_output", "thought") else [])}
    assert told.data == {misfit[1]["delta"]["type"] or "step.delta": [misfit[1]]}


def test_text_in_a_thought_is_reasoning() -> None:
    """Previews of the API sent it so."""
    assert step("thought", delta(0, "text", text="hm")).message.reasoning == "hm"


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
        delta(1, "arguments_delta", arguments="{}"),
        stop(1),
        delta(1, "arguments_delta", arguments="x"),
        stop(1),
        completed(),
    )

    assert told.message.text == "ab"
    assert [done.arguments_text for done in told.calls] == ["{}"]
    assert told.rules == {
        "part_after_close",
        "parts_interleaved",
        "call_after_done",
        "part_end_unmatched",
        "part_unclosed",
    }


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

    assert [getattr(part, "text", None) for part in told.parts] == ["a", "b", "c"]
    assert told.rules == {"part_index_missing", "part_index_reused", "part_unclosed"}
