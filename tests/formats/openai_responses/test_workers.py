"""Responses of several agents: the texts of workers stay apart from the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    arguments,
    body_of,
    call,
    created,
    delta,
    done,
    frame,
    hello,
    message,
    numbered,
    output_text,
    part_added,
    read,
    said,
)
from tests.formats.told import without_shortcuts
from tests.support.chunkings import sized
from tests.support.formats import OpenAIResponses
from tokenstream import Stream
from tokenstream.events import PartDelta
from tokenstream.message import ServerToolCall, ServerToolResult

ROOT: Payload = {"agent": {"agent_name": "/root"}}
WORKER: Payload = {"agent": {"agent_name": "/root/researcher"}}


def found(text: str, index: int, size: int = 4, **fields: Any) -> list[Payload]:
    fields = {"id": f"msg_{index}", **WORKER, **fields}
    return [
        added(message(**fields), index),
        part_added(index),
        *(delta(text[start : start + size], index, **WORKER) for start in range(0, len(text), size)),
        done(message(output_text(text), status="completed", **fields), index),
    ]


def in_turns(*queues: list[Payload]) -> list[Payload]:
    """Return events of several agents, each in its turn."""
    longest = max(map(len, queues))
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


@pytest.mark.parametrize("size", [1, 17, 100_000])
def test_the_text_of_a_worker_is_a_part_of_its_own(size: int) -> None:
    """Agents may write in turns: the answer's text is only that of the main agent, in every chunking."""
    events = answer(
        *in_turns(hello(0, **ROOT), found("Oslo is cold. ", 1), found("Rome isn't.", 2)), output=[]
    )
    stream = Stream(sized(body_of(events), size))

    assert "".join(stream.text) == "Hello"
    assert stream.message.text == "Hello"
    workers = [part for part in stream.message.parts if isinstance(part, ServerToolResult)]
    assert [(part.id, part.name, part.content) for part in workers] == [
        ("msg_1", "/root/researcher", "Oslo is cold. "),
        ("msg_2", "/root/researcher", "Rome isn't."),
    ]
    assert stream.departures.details == {}


def test_a_workers_text_is_shown_while_it_is_written() -> None:
    """A cut answer has what arrived, and the short way gives what decoding gives."""
    frames = [frame(payload) for payload in numbered(created(), *found("abcdefghij", 0, 2)[:-1])]
    came = read(*frames)

    assert [given.fragment for given in came.events if isinstance(given, PartDelta)] == [
        "ab", "cd", "ef", "gh", "ij",
    ]  # fmt: skip
    [part] = came.parts
    assert (part.content, part.complete) == ("abcdefghij", False)
    assert came.outcome == read(*frames, format=without_shortcuts(OpenAIResponses())).outcome


def test_a_workers_text_is_given_once_and_whole() -> None:
    """If pieces or events are missing, later events have the text."""
    events = found("abcdefgh", 0)
    for kept in ([*events[:3], events[-1]], events[-1:], events[2:3] + events[-1:], []):
        item = message(output_text("abcdefgh"), status="completed", id="msg_0", **WORKER)
        came = said(*kept, output=[item])

        assert [getattr(part, "content", None) for part in came.parts] == ["abcdefgh"]
        assert came.message.text == ""


def test_the_next_request_has_the_items_of_workers_as_they_were_sent() -> None:
    """A message that comes back to the API is no message of the main agent."""
    task = '{"task_name": "researcher"}'
    kind = {"type": "multi_agent_call", "action": "spawn_agent"}
    spawn = {"id": "mac_1", "call_id": "c", "arguments": task, **kind, **ROOT}
    events = [added(spawn), done(spawn), *found("Cold.", 1), *hello(2, **ROOT)]
    came = said(*events)

    assert isinstance(came.parts[0], ServerToolCall)
    assert came.parts[0].arguments_text == task
    items = came.message.to_openai_responses()
    assert items[:2] == [spawn, events[-1 - len(hello())]["item"]]
    assert (items[2]["agent"], items[2]["content"][0]["text"]) == (ROOT["agent"], "Hello")


def test_the_call_of_a_worker_is_run_by_the_application() -> None:
    """The provider data say which agent waits for the result."""
    came = said(added(call(**WORKER)), arguments("{}"), done(call("{}", "completed", **WORKER)))

    assert [found_.provider_data for found_ in came.calls] == [
        {"id": "fc_1", "status": "completed", **WORKER}
    ]
