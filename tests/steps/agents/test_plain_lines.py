"""Lines between an agent's lines, such as a log: passed by, and counted, in each way in which lines come."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from tests.steps.agents.support import Pieces
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.framing._json_rpc import JSONRPCParser

if TYPE_CHECKING:
    from collections.abc import Callable

_LINES = (
    '{"type":"thread.started","thread_id":"th"}',
    '{"type":"turn.started"}',
    '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"Yes."}}',
    '{"type":"turn.completed","usage":{"input_tokens":7,"output_tokens":2}}',
)
PLAIN = {
    "a log": "INFO asking again",
    "a spinner": "\x1b[2K\x1b[33m- working\x1b[0m" * 150,
    "a spinner that begins with a bracket": "[\x1b[33m-\x1b[0m] working" * 150,
    "a bar": "[#### " * 150,
    "brackets": "[" * 250,
    "braces": "{" * 250 + "}",
    "brackets behind an object": '{"n": 1} ' + "[" * 250,
    "an object that is cut": '{"type":"item.st',
    "an object in a cut one": '{"type":"item.st{"type":"x"}',
    "an object without quotes": '{"type":item}',
    "a number": "17",
    "a string": '"done"',
    "an array": "[3, 4]",
    "an array of objects": '[{"type":"turn.started"}]',
    "a comment of SSE": ": still here",
    "a field of SSE": "event: progress",
    "data of SSE": "data: 12 files",
    "data of SSE that is cut": 'data: {"n": 1}}',
    "a carriage return": "10 %\r20 %",
    "a carriage return first": "\r10 %",
}
"""Lines that hold no object of an agent."""
WAYS: dict[str, Callable[[list[str]], Any]] = {
    "a file": lambda lines: io.BytesIO("".join(f"{line}\n" for line in lines).encode()),
    "a file without its last line end": lambda lines: io.BytesIO("\n".join(lines).encode()),
    "a pipe": lambda lines: Pieces("".join(f"{line}\n" for line in lines).encode(), iter(lambda: 11, None)),
    "CRLF": lambda lines: io.BytesIO("".join(f"{line}\r\n" for line in lines).encode()),
    "lines with ends": lambda lines: [f"{line}\n" for line in lines],
    "lines with ends in two parts": lambda lines: [f"{line}\r" for line in lines],
    "lines": lambda lines: [*lines],
    "lines as bytes": lambda lines: [line.encode() for line in lines],
    "a generator": lambda lines: (f"{line}\n".encode() for line in lines),
}
"""The ways in which a program has an agent's lines."""


@in_one_test("way", WAYS, by=lambda way: way)
@in_one_test("plain", PLAIN)
@in_one_test("places", [(0,), (0, 1, 2, len(_LINES))])
def test_lines_without_an_object_are_passed_by_and_counted(
    places: tuple[int, ...], plain: str, way: str
) -> None:
    """No line decides how those after it are read, and each is in `plain_lines`."""
    lines = [*_LINES]
    for place in reversed(places):
        lines.insert(place, PLAIN[plain])
    with Steps() as run:
        followed = run.follow(WAYS[way](lines), agent="codex")
        objects = [*followed]

    assert [turn.result for turn in run.turns] == ["Yes."]
    assert (len(objects), followed.plain_lines) == (len(_LINES), len(places))


@in_one_test("name", PLAIN)
def test_a_line_without_a_message_is_passed_by_and_counted_by_json_rpc(name: str) -> None:
    """A log between the messages of a process ends no conversation."""
    if name == "an array of objects":
        # In JSON-RPC, it is a batch.
        return
    parser = JSONRPCParser()
    body = b'{"method": "a"}\n' + PLAIN[name].encode() + b'\n{"method": "b"}\n'
    messages = parser.feed(body)

    assert ["a", "b"] == [message.method for message in messages]
    assert (parser.skipped, parser.error) == (1, None)
