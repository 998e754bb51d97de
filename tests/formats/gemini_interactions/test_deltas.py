"""The Interactions API: deltas that are hard to place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini_interactions.support import (
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

    assert told.rules == {"delta_misfits", *(["answer_empty"] if kind == "model_output" else [])}
    assert told.message.provider_data == {misfit[1]["delta"]["type"] or "step.delta": [misfit[1]]}


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

    assert [getattr(part, "text", None) for part in told.message.parts] == ["a", "b", "c"]
    assert told.rules == {"part_index_missing", "part_index_reused", "part_unclosed"}
