"""Anthropic: calls without their start, their stop or their name, and calls that are cut."""

from __future__ import annotations

import pytest

from tests.formats.anthropic.payloads import (
    STOP,
    Payload,
    answer,
    arguments,
    block,
    finish,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.support.tables import in_one_test
from tokenstream.message import OpaquePart


@pytest.mark.parametrize(
    "fragments, handed_out",
    [(['{"a": 1}'], ["toolu_1", "toolu_2"]), (['{"a"'], ["toolu_2"]), ([], ["toolu_2"])],
)
def test_a_call_on_a_used_index_is_another_call(fragments: list[str], handed_out: list[str]) -> None:
    came = read(
        *answer(
            tool(0),
            *[arguments(0, fragment) for fragment in fragments],
            tool(0, call_id="toolu_2"),
            arguments(0, "{}"),
            stop(0),
        )
    )

    assert handed_out == [call.id for call in came.calls]
    assert len(came.message.tool_calls) == 2


@in_one_test("ends_at", ["once", "the end", "never"])
def test_parallel_calls_without_any_index_keep_their_order(ends_at: str) -> None:
    blocks: list[Payload] = [block(0, "text", text=""), text(0, "I look.")]
    blocks += [stop(0)] if ends_at == "once" else []
    for number, city in enumerate(("Rome", "Oslo", "Bern"), 1):
        blocks.append(tool(number, city.lower(), f"toolu_{number}"))
        blocks += [arguments(number, piece) for piece in ("", '{"city": ', f'"{city}"}}')]
        blocks += [stop(number)] if ends_at == "once" else []
    blocks += [stop(number) for number in range(4)] if ends_at == "the end" else []
    came = read(*[{**payload, "index": None} for payload in answer(*blocks, reason="tool_use")])

    assert ("I look.", None) == (came.message.text, came.error)
    assert [(call.name, call.arguments) for call in came.calls] == [
        ("rome", {"city": "Rome"}),
        ("oslo", {"city": "Oslo"}),
        ("bern", {"city": "Bern"}),
    ]
    assert came.calls == list(came.message.tool_calls)


def test_a_start_in_the_middle_of_a_call_cuts_it() -> None:
    """A proxy asks again under the same id, and splices the answers: only the second has whole calls."""
    came = read(*answer(tool(0), arguments(0, '{"a": 1}'), start(), tool(0, call_id="toolu_2"), stop(0)))

    assert [call.id for call in came.calls] == ["toolu_2"]
    assert came.departures == {"start_repeated": 1, "part_unclosed": 1, "call_open_at_end": 1}


@in_one_test("place", range(1, 7))
def test_a_start_of_the_same_answer_cuts_no_call(place: int) -> None:
    """With the same id, and without the start of a block, only this event was sent again."""
    call = [tool(0), arguments(0, '{"a": '), arguments(0, "1}"), stop(0), finish("tool_use")]
    events = [start(), *call, STOP]
    came = read(*events[:place], start(), *events[place:])

    assert [call.arguments for call in came.calls] == [{"a": 1}]
    assert came.departures == {"start_twice" if place == 1 else "start_repeated": 1}


def test_arguments_without_a_call_are_carried() -> None:
    came = read(*answer(arguments(0, "{}")))

    assert (came.calls, came.departures) == ([], {"part_unopened": 1, "answer_empty": 1})
    assert came.message.provider_data["input_json_delta"] == [arguments(0, "{}")]


def test_a_call_without_a_name_is_no_call() -> None:
    came = read(*answer(tool(0, name=""), arguments(0, "{}"), stop(0)))

    assert came.calls == []
    assert came.message.parts == (
        OpaquePart(
            type="tool_use",
            data={"type": "tool_use", "id": "toolu_1", "name": "", "input": {}},
            complete=True,
        ),
    )
    assert came.departures == {"call_nameless": 1, "delta_misfits": 1}


def test_a_call_without_an_id_gets_one() -> None:
    came = read(*answer(tool(0, call_id=""), stop(0)))

    assert (came.calls[0].id != "", came.departures) == (True, {"call_id_missing": 1})


def test_arguments_in_the_start_of_a_cut_call_are_kept() -> None:
    came = read(start(), tool(0, input={"a": 1}))

    assert (came.calls, came.message.tool_calls[0].arguments_text) == ([], '{"a": 1}')
