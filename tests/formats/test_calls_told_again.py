"""A call whose arguments come again on its own index is one call, in every format with fragments."""

from __future__ import annotations

from typing import Any

from tests.formats.test_late_arguments import Call, Wire, ag_ui, anthropic, chat, cohere
from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.events import ToolCallDelta

WIRES = [("anthropic", anthropic), ("ag-ui", ag_ui), ("cohere", cohere), ("openai-chat", chat)]


@in_one_test(("format", "write"), WIRES, ids=[format for format, _ in WIRES])
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
def test_arguments_that_come_again_are_read_once(
    format: Any, write: Wire, pieces: list[str], size: int
) -> None:
    """The tool runs once, and the deltas are the arguments."""
    body = b"".join(sses(*write([Call(pieces, [], name="pay")])))
    stream = Stream([body[at : at + size] for at in range(0, len(body), size)], format=format)
    given = "".join(event.fragment for event in stream if isinstance(event, ToolCallDelta))
    message = stream.final()

    assert [("a", "pay", '{"usd": 100}', True)] == [
        (call.id, call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert ('{"usd": 100}', "tool_calls") == (given, message.finish_reason)
    assert "call_repeated" in stream.departures.details
