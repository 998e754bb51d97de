"""One answer in the lines of Claude Code, from the events of Anthropic's API or from whole messages."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.message import ToolCall
    from tokenstream.steps._step import Step


class ClaudeAnswer:
    """An answer in progress, with the calls that its steps have not begun.

    Args:
        step: The step of its agent.
        id: The id of its message; None if it has none.
        earlier: The reader of an earlier answer; None for the first.
    """

    __slots__ = ("block", "blocks", "calls", "has_called", "id", "reader")

    def __init__(self, step: Step, id: str | None, earlier: ModelAnswer | None) -> None:
        self.id = id
        self.block: dict[str, Json] = {}
        """The event that began the last block, until its whole line has come; empty before it."""
        self.calls: list[ToolCall] = []
        """The calls that are complete, and whose steps have not begun."""
        self.reader = ModelAnswer(step, "anthropic", self.calls, earlier)
        self.blocks = 0
        """Number of whole blocks that were read; 0 for an answer whose events were sent."""
        self.has_called = False
        """True once a whole block was a call."""

    def feed_block(self, block: dict[str, Any]) -> None:
        """Read a whole block, as the events that Anthropic's API would send for it."""
        index, self.blocks = self.blocks, self.blocks + 1
        start: dict[str, Any] = {"type": "content_block_start", "index": index, "content_block": block}
        deltas: list[dict[str, Any]] = []
        if block.get("type") == "tool_use":
            self.has_called = True
            start["content_block"] = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": dumps(block.get("input") or {})}]
        self.reader.read_piece(start)
        for delta in deltas:
            self.reader.read_piece({"type": "content_block_delta", "index": index, "delta": delta})
        self.reader.read_piece({"type": "content_block_stop", "index": index})

    def end_call(self, content: Json) -> None:
        """End the block of a call whose whole line has come: its result may come before the block's end.

        Args:
            content: The blocks in the line.
        """
        open_id = text_of(dict_of(self.block, "content_block"), "id")
        if open_id is not None and open_id in [block.get("id") for block in dicts_of(content)]:
            self.reader.read_piece({"type": "content_block_stop", "index": self.block.get("index")})
            self.block = {}

    def end(self, usage: Json = None, reason: str | None = None) -> None:
        """End the answer; one of whole lines has no event that ends it.

        Args:
            usage: Its token counts, if it is of whole lines; None if they are not known.
            reason: The reason for its end, if it is of whole lines; None if it is not known.
        """
        if self.blocks:
            delta = {"stop_reason": reason or ("tool_use" if self.has_called else "end_turn")}
            self.reader.read_piece({"type": "message_delta", "delta": delta, "usage": usage or {}})
            self.reader.read_piece({"type": "message_stop"})
        self.reader.end()
