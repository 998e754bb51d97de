"""Answers in anthropic, as gateways send them."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.compare.conformance.case import BERGEN, BERGEN_TEXT, OSLO, OSLO_TEXT, CompatibleCase
from tests.support import wire


def _claude_text(*pieces: str, index: int = 0) -> bytes:
    return (
        wire.claude_open(index, type="text", text="")
        + b"".join([wire.claude_delta(index, "text_delta", text=piece) for piece in pieces])
        + wire.claude_close(index)
    )


def _claude_call(index: int, id: str, *pieces: str, given: Any = None) -> bytes:
    return (
        wire.claude_open(index, type="tool_use", id=id, name="weather", input=given or {})
        + b"".join([wire.claude_delta(index, "input_json_delta", partial_json=piece) for piece in pieces])
        + wire.claude_close(index)
    )


def _unnamed(body: bytes) -> bytes:
    return b"\n".join([line for line in body.split(b"\n") if not line.startswith(b"event:")])


_case = partial(CompatibleCase, "anthropic")
CASES = [
    _case(
        "claude-no-event-names",
        "no `event:` lines (proxies)",
        _unnamed(wire.claude_start() + _claude_text("Hel", "lo") + wire.claude_end()),
        text="Hello",
    ),
    _case(
        "claude-first-index-is-1",
        "the first block has index 1 (gateways that drop blocks)",
        wire.claude_start() + _claude_text("Hel", "lo", index=1) + wire.claude_end(),
        text="Hello",
    ),
    _case(
        "claude-text-in-the-start",
        "a block's first text in its start event (gateways)",
        wire.claude_start()
        + wire.claude_open(0, type="text", text="Hel")
        + wire.claude_delta(0, "text_delta", text="lo")
        + wire.claude_close(0)
        + wire.claude_end(),
        text="Hello",
    ),
    _case(
        "claude-input-in-the-start",
        "a call's whole input in its start event, and no deltas (gateways)",
        wire.claude_start() + _claude_call(0, "toolu_1", given=OSLO) + wire.claude_end("tool_use"),
        calls=[("toolu_1", "weather", OSLO)],
    ),
    _case(
        "claude-blocks-in-turns",
        "two blocks open at once (gateways)",
        wire.claude_start()
        + b"".join(
            [
                wire.claude_open(index, type="tool_use", id=f"toolu_{index}", name="weather", input={})
                for index in (0, 1)
            ]
        )
        + wire.claude_delta(0, "input_json_delta", partial_json=OSLO_TEXT)
        + wire.claude_delta(1, "input_json_delta", partial_json=BERGEN_TEXT)
        + wire.claude_close(0)
        + wire.claude_close(1)
        + wire.claude_end("tool_use"),
        calls=[("toolu_0", "weather", OSLO), ("toolu_1", "weather", BERGEN)],
    ),
    _case(
        "claude-input-invalid",
        "a call's input that is not JSON (fine-grained streaming); the text after it counts",
        wire.claude_start()
        + _claude_call(0, "toolu_1", '{"city": Oslo}')
        + _claude_text("Hello", index=1)
        + wire.claude_end("tool_use"),
        text="Hello",
    ),
    _case(
        "claude-unknown-types",
        "an event, a block and a delta of kinds that were introduced later",
        wire.claude_start()
        + wire.claude("later_event", value=1)
        + wire.claude_open(0, type="later_block", value=1)
        + wire.claude_delta(0, "later_delta", value=1)
        + wire.claude_close(0)
        + _claude_text("Hello", index=1)
        + wire.claude_end(),
        text="Hello",
    ),
    _case(
        "claude-done",
        "`data: [DONE]` at the end (proxies)",
        wire.claude_start() + _claude_text("Hello") + wire.claude_end() + wire.DONE,
        text="Hello",
    ),
    _case(
        "claude-stop-missing",
        "no `message_stop` after the stop reason (gateways)",
        wire.claude_start()
        + _claude_text("Hello")
        + wire.claude(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"output_tokens": 9},
        ),
        text="Hello",
    ),
    _case(
        "claude-usage-null",
        "nulls in the last usage, which must not erase the counts from the start (gateways)",
        wire.claude_start()
        + _claude_text("Hello")
        + wire.claude(
            "message_delta",
            delta={"stop_reason": "end_turn", "stop_sequence": None},
            usage={"input_tokens": None, "output_tokens": 9},
        )
        + wire.claude("message_stop"),
        text="Hello",
        about={"usage": [5, 9]},
    ),
    _case(
        "claude-error-in-the-stream",
        "an `error` event after the first text (Anthropic when overloaded)",
        wire.claude_start()
        + wire.claude_open(0, type="text", text="")
        + wire.claude_delta(0, "text_delta", text="Hel")
        + wire.claude("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        text="Hel",
        fails=True,
    ),
]
