"""Shell calls of the Responses API: commands and outputs that arrive in pieces."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.openai_responses.payloads import (
    Payload,
    added,
    answer,
    body_of,
    created,
    done,
    event,
    frame,
    hello,
    numbered,
    read,
    said,
)
from tests.formats.told import without_shortcuts
from tests.support.chunkings import sized
from tests.support.formats import OpenAIResponses
from tokenstream import Stream
from tokenstream.errors import LimitExceeded
from tokenstream.events import PartDelta, ToolCallDelta
from tokenstream.limits import Limits
from tokenstream.message import ServerToolCall, ServerToolResult
from tokenstream.relay import encode

CALL: Payload = {"id": "sh_1", "type": "shell_call", "call_id": "c", "status": "in_progress"}
CONTAINER: Payload = {"environment": {"type": "container_reference", "container_id": "x"}}
OUTPUT: Payload = {"id": "sho_1", "type": "shell_call_output", "call_id": "c", "status": "in_progress"}


def opened(**fields: Any) -> Payload:
    return added({**CALL, "action": {"commands": []}, **fields})


def ended(*commands: str, **fields: Any) -> Payload:
    """Return the end of a shell call; the fields of its action are in the order of the documentation."""
    action = {"timeout_ms": 100, "commands": list(commands)}
    return done({**CALL, "status": "completed", "action": action, **fields})


def command(word: str, place: int = 0, **fields: Any) -> Payload:
    """Return an event about a command; such events have no id of an item."""
    return {
        "type": f"response.shell_call_command.{word}",
        "output_index": 0,
        "command_index": place,
        **fields,
    }


def typed(text: str, place: int = 0, size: int = 3) -> list[Payload]:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [
        command("added", place, command=""),
        *(command("delta", place, delta=piece, obfuscation="x") for piece in pieces),
        command("done", place, command=text),
    ]


def printed(place: int = 0, **streams: str) -> Payload:
    return event("shell_call_output_content.delta", 1, command_index=place, delta=streams)


def exited(place: int = 0, **streams: str) -> Payload:
    output = [{"stdout": "", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}, **streams}]
    return event("shell_call_output_content.done", 1, command_index=place, output=output)


@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_a_command_grows_as_the_arguments_of_its_call(size: int) -> None:
    """The arguments are the action as JSON, whatever its fields' order; the chunking makes no difference."""
    events = [opened(), *typed('echo "a"', 0), *typed("ls -l", 1), ended('echo "a"', "ls -l"), *hello(1)]
    stream = Stream(sized(body_of(answer(*events)), size))

    fragments = [given.fragment for given in stream if isinstance(given, ToolCallDelta)]

    assert fragments[:3] == ['{"commands": ["', "ech", 'o \\"']
    [call] = stream.message.tool_calls
    assert call.arguments_text == "".join(fragments)
    assert call.arguments == {"commands": ['echo "a"', "ls -l"], "timeout_ms": 100}
    assert (call.id, call.type, call.complete) == ("c", "shell_call", True)
    assert (stream.message.text, stream.departures.details) == ("Hello", {})


def test_a_command_is_shown_while_it_is_typed() -> None:
    came = read(*map(frame, numbered(created(), opened(), command("delta", delta="rm -"))))

    assert came.message.tool_calls[0].arguments_text == '{"commands": ["rm -'
    assert came.calls == []


@given(
    commands=st.lists(st.text(), min_size=1, max_size=4),
    size=st.integers(1, 4),
    seed=st.integers(0, 9),
    hosted=st.booleans(),
)
def test_commands_may_be_typed_in_turns(commands: list[str], size: int, seed: int, *, hosted: bool) -> None:
    queues = [typed(text, place, size) for place, text in enumerate(commands)]
    order = [place for place, queue in enumerate(queues) for _ in queue]
    random.Random(seed).shuffle(order)
    where = CONTAINER if hosted else {}
    frames = [
        frame(payload)
        for payload in answer(
            opened(**where), *(queues[place].pop(0) for place in order), ended(*commands, **where)
        )
    ]
    came = read(*frames)
    [part] = came.parts
    fragments = [given.fragment for given in came.events if isinstance(given, ToolCallDelta | PartDelta)]

    assert came.departures == {}
    assert not isinstance(part, ServerToolResult)
    assert "".join(fragments) == getattr(part, "arguments_text", None)
    assert came.outcome == read(*frames, format=without_shortcuts(OpenAIResponses())).outcome
    if not hosted:
        assert [call.arguments["commands"] for call in came.calls] == [commands]


def test_only_the_end_of_a_command_tells_what_no_piece_did() -> None:
    """Lost pieces are given with the command's end, in their place."""
    pieces = [command("delta", delta="l"), command("done", command="ls -l")]
    came = said(opened(**CONTAINER), *pieces, ended("ls -l", **CONTAINER))

    fragments = [given.fragment for given in came.events if isinstance(given, PartDelta)]
    assert fragments == ['{"commands": ["l', 's -l"', '], "timeout_ms": 100}']
    assert isinstance(came.parts[0], ServerToolCall)
    assert came.parts[0].arguments_text == "".join(fragments)


def test_an_action_that_differs_from_its_pieces_counts() -> None:
    """The finished item decides, of a tool of the application and of the provider."""
    for where in ({}, CONTAINER):
        came = said(opened(**where), *typed("ls"), ended("pwd", **where))

        assert getattr(came.parts[0], "arguments_text", "") == '{"commands": ["pwd"], "timeout_ms": 100}'
        assert came.departures == {"arguments_rewritten": 1}


def test_an_item_without_its_action_has_the_commands_of_its_pieces() -> None:
    came = said(opened(), *typed("ls"), done({**CALL, "status": "completed"}))

    assert [call.arguments for call in came.calls] == [{"commands": ["ls"]}]


def test_an_event_without_its_call_is_carried() -> None:
    """A call is never begun by a command, because nothing tells if the application is to run it."""
    came = said(command("delta", delta="ls"), ended("ls", **CONTAINER))

    assert (came.calls, came.unknown) == ([], ["response.shell_call_command.delta"])
    assert isinstance(came.parts[0], ServerToolCall)


def test_commands_that_wait_for_their_turn_are_bounded() -> None:
    frames = map(frame, numbered(created(), opened(), command("delta", 1, delta="x" * 200)))
    came = read(*frames, format=OpenAIResponses(limits=Limits(text=100)))

    assert isinstance(came.error, LimitExceeded)


def test_the_output_of_a_container_grows_as_a_result() -> None:
    """Output and errors are shown as they arrive; the finished item has them apart, with the exit code."""
    finished = {**OUTPUT, "status": "completed", "output": exited(stdout="a\nb\n", stderr="!")["output"]}
    events = [
        added({**OUTPUT, "output": []}, 1),
        printed(stdout="a\n"),
        printed(stderr="!"),
        printed(stdout="b"),
        exited(stdout="a\nb\n", stderr="!"),
    ]
    cut = read(*map(frame, numbered(created(), *events)))
    came = said(*events, done(finished, 1))

    pieces = [given.fragment for given in came.events if isinstance(given, PartDelta)]
    assert pieces == ["a\n", "!", "b", "\n"]
    assert cut.parts == (
        ServerToolResult(
            id="c", name="shell_call_output", content="a\n!b\n", provider_data={**OUTPUT, "output": []}
        ),
    )
    [result] = came.parts
    assert result.content == finished["output"]
    assert (came.departures, came.unknown) == ({}, [])


@pytest.mark.parametrize("end", [[], [done({**OUTPUT, "status": "completed"}, 1)]])
def test_outputs_that_only_the_ends_of_commands_have_are_the_result(end: list[Payload]) -> None:
    came = said(added(OUTPUT, 1), exited(1, stdout="b"), exited(0, stdout="a"), *end, output=[])

    [result] = came.parts
    assert [entry["stdout"] for entry in result.content] == ["a", "b"]


@pytest.mark.parametrize("protocol", ["openai-responses", "anthropic", "tokenstream", "ui-message"])
def test_a_relay_passes_on_what_it_can_of_a_shell(protocol: Any) -> None:
    """A call with growing commands is whole for the reader; an output in pieces is left out or whole."""
    finished = {**OUTPUT, "status": "completed", "output": exited(stdout="ab")["output"]}
    events = [
        opened(), *typed('echo "a"'), ended('echo "a"'),
        added({**OUTPUT, "output": []}, 1), printed(stdout="a"), printed(stdout="b"), done(finished, 1),
    ]  # fmt: skip
    relayed = Stream(list(encode(Stream([body_of(answer(*events))]), protocol)), format=protocol)

    for _ in relayed:
        pass
    [call] = relayed.message.tool_calls
    assert call.arguments == {"commands": ['echo "a"'], "timeout_ms": 100}
