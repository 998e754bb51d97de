"""A call whose arguments come again on its own index is one call, in every format with fragments."""

from __future__ import annotations

from typing import Any

from tests.formats.calls import IDS, NAMES, WIRES
from tests.support.chunkings import sized
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.events import ToolCallDelta


@in_one_test("format", ["anthropic", "ag-ui", "cohere", "openai-chat"])
@in_one_test(
    "pieces",
    [
        ['{"usd":', " 100}", '{"usd": 100}'],
        ['{"usd":', " 100}", '{"usd":100}'],
        ['{"usd":', " 1", "00}", '{"usd": 100}', '{"usd": 100}'],
    ],
    ids=["whole", "other spaces", "twice"],
)
@in_one_test("size", [1, 50, 10_000])
def test_arguments_that_come_again_are_read_once(format: Any, pieces: list[str], size: int) -> None:
    wire = WIRES[format]
    call = [wire.start(0), *[wire.piece(0, piece) for piece in pieces], *wire.stops(0, "")]
    body = b"".join(sses(*wire.begins, *call, *wire.reason, *wire.ends))
    stream = Stream(sized(body, size), format=format)
    given = "".join(event.fragment for event in stream if isinstance(event, ToolCallDelta))
    message = stream.final()

    assert [(IDS[0], NAMES[0], '{"usd": 100}', True)] == [
        (call.id, call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert ('{"usd": 100}', "tool_calls") == (given, message.finish_reason)
    assert "call_repeated" in stream.departures.details
