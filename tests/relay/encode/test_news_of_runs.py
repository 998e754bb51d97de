"""Runs in which agents plan, tools print and somebody is asked, in each protocol."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import anyio
import pytest

from tests.relay.encode.support import all_of, list_payloads
from tests.steps.news import OUTPUT, PLANS, PROGRESS, RESULTS, TEXTS, run_with_news
from tests.stream.bodies import later
from tests.support.encoders import PROTOCOLS, READ_BACK, create, read_as
from tokenstream import Steps, Stream, relay
from tokenstream.errors import StreamTruncated
from tokenstream.events import Event, StepDelta, StepDone, StepStart, StepUpdate, StepWaiting, TextDelta
from tokenstream.relay import ProtocolName
from tokenstream.relay._events_in import merge_deltas

NEWS = (StepDelta, StepUpdate, StepWaiting)
UI: list[ProtocolName] = ["ui-message", "ag-ui"]
OWN: list[ProtocolName] = ["tokenstream", "ndjson"]


def _read(body: list[bytes], protocol: ProtocolName) -> Stream:
    return Stream(body, format=read_as(protocol))


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("protocol", READ_BACK)
def test_the_texts_of_a_run_arrive_in_every_protocol(protocol: ProtocolName) -> None:
    stream = _read([*relay.encode(run_with_news(), protocol)], protocol)

    assert "".join(TEXTS) == _text_of(stream)


def _text_of(events: Iterable[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("protocol", READ_BACK)
def test_a_run_that_is_cut_after_any_event_is_valid_so_far(protocol: ProtocolName) -> None:
    events = run_with_news()
    encoder = create(protocol, lossy=True)
    sent: list[bytes] = []
    for at, event in enumerate(events):
        sent += encoder.feed(event)
        found: list[Event] = []
        with suppress(StreamTruncated):
            found.extend(_read(sent, protocol))

        assert _text_of(events[: at + 1]) == _text_of(found)


@pytest.mark.parametrize("protocol", OWN)
def test_our_own_protocol_has_all_news_as_they_were(protocol: ProtocolName) -> None:
    events = run_with_news()
    news = [event for event in events if isinstance(event, NEWS)]
    for body in (list(relay.encode(events, protocol)), anyio.run(_encode_later, events, protocol)):
        found = [event for event in _read(body, protocol) if isinstance(event, NEWS)]
        assert news == found
        assert [event.step for event in news] == [event.step for event in found]


async def _encode_later(events: list[Event], protocol: ProtocolName) -> list[bytes]:
    return await all_of(relay.encode(later(events), protocol))


@pytest.mark.parametrize("protocol", [*OWN, *UI])
def test_a_reader_who_comes_late_gets_the_news_of_the_run(protocol: ProtocolName) -> None:
    with Steps() as run, run.step("test") as step:
        for _ in range(3):
            step.add_output("passed\n")
        step.wait_for("r1", {"command": "ls"}, send=lambda _: None)
        run.reply("r1", True)
    body = b"".join(relay.encode(run.events(), protocol))

    assert 1 == body.count(rb"passed\npassed\npassed\n")
    assert b'"answered":true' in body
    assert b'"answered":false' not in body


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_that_has_no_place_for_news_says_so(protocol: ProtocolName) -> None:
    """The four protocols that have a place for everything lose nothing; one other has results of tools."""
    encoder = create(protocol, lossy=True)
    for event in run_with_news():
        encoder.feed(event)

    lost = {"step", "tool_result"} if protocol not in (*OWN, *UI) else set()
    if protocol == "openai-responses":
        lost -= {"tool_result"}
    assert lost == encoder.losses.by_kind().keys() - {"tool_call"}


def test_a_ui_message_replaces_plans_and_answered_requests() -> None:
    """A part that is sent again with its type and id takes the place of the earlier one."""
    parts: dict[tuple[str, str], list[Any]] = {}
    for each in list_payloads(run_with_news(), "ui-message"):
        if each["type"].startswith("data-"):
            parts.setdefault((each["type"], each["id"]), []).append(each["data"])
    question = {"step": "2", "toolCallId": "call_1", "request": {"command": "pytest"}}

    assert [*PLANS] == parts["data-plan", "1"]
    assert [{"type": "progress", "progress": 1, "total": 2}] == parts["data-progress", "2"]
    assert [{"type": "retry", "attempt": 1}] == parts["data-step-retry", "2"]
    assert [{**question, "answered": answered} for answered in (False, True)] == parts[
        "data-waiting", "ask 1"
    ]
    assert [{"delta": piece} for piece in OUTPUT] == parts["data-output", "2"]
    assert ["call_1", "call_1"] == [data["toolCallId"] for data in parts["data-step", "2"]]
    assert ["main", "helper"] == [parts["data-step", id][0]["agent"] for id in ("1", "3")]


def test_output_of_a_step_is_not_kept_in_a_ui_message() -> None:
    """A message that kept each piece would be slower with each; the result of the tool is kept."""
    sent = list_payloads(run_with_news(), "ui-message")

    assert {True} == {each["transient"] for each in sent if each["type"] == "data-output"}
    assert [*PROGRESS, *RESULTS] == [each["output"] for each in sent if "output" in each]


def test_ag_ui_replaces_plans_and_answered_requests() -> None:
    activities: dict[tuple[str, str], list[Any]] = {}
    sent = list_payloads(run_with_news(), "ag-ui")
    for each in sent:
        if each["type"] == "ACTIVITY_SNAPSHOT":
            key = each["activityType"], each["metadata"]["tokenstream"]["stepName"]
            activities.setdefault(key, []).append((each["messageId"], each["content"]))
    plans, asked = activities["PLAN", "turn"], activities["WAITING", "shell"]

    assert [*PLANS] == [content for _, content in plans]
    assert [False, True] == [content["answered"] for _, content in asked]
    assert {"command": "pytest"} == asked[0][1]["request"]
    assert [{"type": "retry", "attempt": 1}] == [content for _, content in activities["RETRY", "shell"]]
    assert len({id for id, _ in plans}) == len({id for id, _ in asked}) == 1
    assert [{"stepName": "shell", "toolCallId": "call_1", "delta": piece} for piece in OUTPUT] == [
        each["value"] for each in sent if each["type"] == "CUSTOM"
    ]


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([StepDone("1")], {"type": "interrupt", "interrupts": [{"id": "r", "reason": "input_required"}]}),
        ([StepWaiting("r", {}, answered=True), StepDone("1")], {"type": "success"}),
    ],
    ids=["waits", "answered"],
)
def test_a_run_of_ag_ui_that_ends_with_a_question_is_interrupted(
    events: list[Event], outcome: object
) -> None:
    """The protocol calls no run successful that has stopped to ask."""
    sent = list_payloads([StepStart("1", "task"), _of("1", StepWaiting("r", {})), *events], "ag-ui")

    assert outcome == sent[-1]["outcome"]


def test_a_question_that_a_tool_did_not_wait_for_interrupts_nothing() -> None:
    """The run has gone on without the answer."""
    inner: list[Event] = [StepStart("2", "shell", "1"), _of("2", StepWaiting("r", {})), StepDone("2")]
    sent = list_payloads([StepStart("1", "task"), *inner, StepDone("1")], "ag-ui")

    assert {"type": "success"} == sent[-1]["outcome"]


def _of(step: str, event: Event) -> Event:
    event.step = step
    return event


@dataclass
class Command:
    name: str


@pytest.mark.parametrize("protocol", [*OWN, *UI])
def test_news_of_any_kind_are_sent_as_json(protocol: ProtocolName) -> None:
    """An object that is not data is sent as the name of its class; news without a type are sent, too."""
    endless: list[Any] = []
    endless.append(endless)
    data = {"at": date(2026, 1, 2), "of": float("nan"), "in": endless, "by": Command("ls")}
    told = {"at": "2026-01-02", "of": None, "in": "list", "by": {"name": "ls"}}
    events: list[Event] = [
        StepUpdate("1", data),
        StepUpdate("1", {"type": ["x"]}),
        StepWaiting("r", Command("ls")),
    ]
    body = b"".join(relay.encode([StepStart("1", "a"), *events, StepDone("1")], protocol))
    sent = [*relay.payloads(events, protocol)]

    assert not _read([body], protocol).final().text
    assert any(told in each.values() for each in sent)
    assert any({"name": "ls"} in (each.get("request"), *_inner(each)) for each in sent)


def _inner(payload: dict[str, Any]) -> list[Any]:
    return [each["request"] for each in payload.values() if isinstance(each, dict) and "request" in each]


@pytest.mark.parametrize("protocol", [*OWN, *UI])
def test_a_large_output_in_small_pieces_is_not_sent_again_and_again(protocol: ProtocolName) -> None:
    """A megabyte in 10,000 pieces is some megabytes, whatever was printed before."""
    start: list[Event] = [StepStart("1", "shell")]
    events = start + [_of("1", StepDelta("1", "x" * 100)) for _ in range(10_000)]
    body = b"".join(relay.encode([*events, StepDone("1")], protocol))

    assert 1_000_000 == body.count(b"x" * 100) * 100
    assert len(body) < 3_500_000


def test_a_slow_reader_gets_output_in_larger_pieces() -> None:
    deltas = [_of(id, StepDelta(id, text)) for id, text in (("1", "a"), ("1", "b"), ("2", "c"), ("1", "d"))]
    merged = [*merge_deltas(deltas)]

    assert [StepDelta("1", "ab"), StepDelta("2", "c"), StepDelta("1", "d")] == merged
    assert ["1", "2", "1"] == [event.step for event in merged]


@pytest.mark.parametrize("protocol", UI)
def test_news_before_all_else_have_a_head(protocol: ProtocolName) -> None:
    """The documents say what comes first."""
    for event in (StepDelta("1", "a"), StepUpdate("1", {"type": "plan"}), StepWaiting("r", {})):
        sent = list_payloads([event], protocol)
        assert sent[0]["type"] in ("start", "RUN_STARTED")
        assert not _read([*relay.encode([event], protocol)], protocol).final().text
