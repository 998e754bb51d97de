"""Reads Bedrock AgentCore: messages of InvokeHarness, shaped as ConverseStream's, and bodies of text."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents import TextAgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.message import FinishReason
    from tokenstream.steps._run import Steps

TEXT = "agentcore.text"
"""The type of the line that stands for a JSON string, which has no object of its own."""


class AgentCore(TextAgentReader):
    """Reads an agent on AgentCore that yields strings: one answer, which ends with the body.

    AgentCore passes on whatever its agent yields. If these are the lines of another agent, such as those of
    claude-agent-sdk, the reader of that agent reads them.
    """

    name: ClassVar[str] = "agentcore"

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for a string, and for the object with which AgentCore reports an exception."""
        return line.get("type") == TEXT or is_exception(line)

    def read(self, line: dict[str, Json]) -> None:
        """Add a string to the answer."""
        if line.get("type") == TEXT:
            self._add_text("text", text_of(line, "text") or "", is_whole=False)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the answer with the body; return the error of the run, or None."""
        self._end_answer("stop")
        return super().end(exit_code)

    def _ends_without_a_line(self) -> bool:
        """Return True: the end of the body is the end of the answer."""
        return True


def is_exception(line: dict[str, Json]) -> bool:
    """Return True for the object with which AgentCore reports an exception of its agent."""
    return "error_type" in line and "error" in line and "message" in line


# The kinds, stop reasons and exceptions are those of botocore 1.44.8, 2026-11.
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "max_output_tokens_exceeded": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
    "partial_turn": "pause",
    "interrupted": "cancelled",
}
_GOES_ON = frozenset({"tool_use", "tool_result"})
"""The stop reasons of messages that others follow, unless the run ends so that the caller runs a tool."""
_FAILURES = frozenset(
    {
        "interrupted",
        "max_iterations_exceeded",
        "timeout_exceeded",
        "hook_stopped",
        "malformed_model_output",
        "malformed_tool_use",
    }
)
"""The stop reasons of runs that were ended before the model had finished."""
_EXCEPTIONS = ("internalServerException", "validationException", "runtimeClientError")
_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "cacheReadInputTokens": "cached_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
}


class _ToolBlock:
    """A content block in progress: a call of a tool, or its result.

    Args:
        start: What its first event says.
        is_result: True for a result.
    """

    __slots__ = ("id", "is_result", "name", "pieces", "status")

    def __init__(self, start: dict[str, Json], *, is_result: bool) -> None:
        self.id = text_of(start, "toolUseId") or ""
        self.name = text_of(start, "name") or "tool"
        self.status = text_of(start, "status")
        self.is_result = is_result
        self.pieces: list[str] = []


class AgentCoreHarness(TextAgentReader):
    """Reads a harness: messages of the model, with the results of its tools as messages of the user between.

    | event | is read as |
    |---|---|
    | `messageStart`, `contentBlockDelta`, `messageStop` of the assistant | an answer |
    | a block with `toolUse` | the beginning of a tool, once its arguments are whole |
    | a block with `toolResult` | the end of that tool |
    | `hookEvent` | nothing |
    | `metadata` | the end of the turn, with its tokens |

    The next `messageStart` and the end of the input end a turn without `metadata`. Whatever else comes
    after the last message of a turn is ignored. A `messageStart` breaks off an answer without `messageStop`.
    """

    name: ClassVar[str] = "agentcore-harness"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._blocks: dict[int, _ToolBlock] = {}
        """The open blocks of tools, by their index."""
        self._is_told = False
        """True within a message of the user, which has the results of tools, and what the user has said."""
        self._reason: str | None = None
        """The stop reason of the last message of the model; None before it has ended."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the events that no single answer has."""
        call = dict_of(dict_of(dict_of(line, "contentBlockStart"), "start"), "toolUse")
        role = text_of(dict_of(line, "messageStart"), "role")
        return is_dict(line.get("hookEvent")) or role == "user" or "type" in call or "serverName" in call

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as an event says."""
        kind = next(iter(line), "")
        event = dict_of(line, kind)
        if kind == "messageStart":
            self._begin_message(event)
        elif kind == "metadata":
            self._finish(event)
        elif self._is_over:
            return
        elif kind in ("contentBlockStart", "contentBlockDelta", "contentBlockStop"):
            self._read_block(kind, event, int_of(event, "contentBlockIndex") or 0)
        elif kind == "messageStop":
            self._end_message(text_of(event, "stopReason") or "")
        elif kind in _EXCEPTIONS:
            self.fail(text_of(event, "message"), kind)

    @override
    def end_open_turn(self, exit_code: int | None) -> StreamError | None:
        if self._ends_without_a_line():
            # Only the counts are missing. A run that failed has its error, as it has with the counts.
            self._finish({})
        return super().end_open_turn(exit_code)

    # -- within ------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """True after the last message of a turn, until another message begins the next turn."""
        return self._ends_without_a_line() or (self._turn is None and self.turns_ended > 0)

    def _begin_message(self, event: dict[str, Json]) -> None:
        """Begin a message; the turn before is over if the model had ended it."""
        if self._ends_without_a_line():
            self._finish({})
        self._break_answer()
        if self._turn is None or event.get("role") != "user":
            self._reason = None
        self._open_turn()
        self._blocks.clear()
        self._is_told = event.get("role") == "user"

    def _read_block(self, kind: str, event: dict[str, Json], index: int) -> None:
        """Read the start, a piece or the end of a content block."""
        if kind == "contentBlockStart":
            start = dict_of(event, "start")
            for name in ("toolUse", "toolResult"):
                if is_dict(start.get(name)):
                    self._blocks[index] = _ToolBlock(dict_of(start, name), is_result=name == "toolResult")
        elif kind == "contentBlockDelta":
            self._add_delta(dict_of(event, "delta"), self._blocks.get(index))
        else:
            self._end_block(self._blocks.pop(index, None))

    def _add_delta(self, delta: dict[str, Json], block: _ToolBlock | None) -> None:
        """Add a piece to the answer, or to a block of a tool."""
        if block is None and self._is_told:
            return
        if block is None:
            self._add_text("text", text_of(delta, "text") or "", is_whole=False)
            reasoning = text_of(dict_of(delta, "reasoningContent"), "text")
            self._add_text("reasoning", reasoning or "", is_whole=False)
        elif block.is_result:
            for piece in dicts_of(delta.get("toolResult")):
                text = text_of(piece, "text")
                block.pieces.append(dumps(piece["json"]) if text is None and "json" in piece else text or "")
        else:
            block.pieces.append(text_of(dict_of(delta, "toolUse"), "input") or "")

    def _end_block(self, block: _ToolBlock | None) -> None:
        """Begin or end a tool, now that its arguments or its result are whole."""
        if block is None:
            return
        content = "".join(block.pieces)
        if not block.is_result:
            self._begin_tool(block.id, block.name, self._open_turn().step, content)
        else:
            failure = (content or "it failed") if block.status == "error" else None
            self._end_tool(block.id, content, failure=failure)

    def _end_message(self, reason: str) -> None:
        """End a message; that of a user has the results of tools, and ends no answer."""
        if reason != "tool_result":
            self._reason = reason
            self._end_answer(_REASONS.get(reason, "unknown"))

    def _finish(self, metadata: dict[str, Json]) -> None:
        """End the turn, with the token counts of the whole run."""
        if self._turn is None:
            return
        usage = counts_in(dict_of(metadata, "usage"), _COUNTS)
        reason = self._reason
        # Of an answer that is still open, the end has not come. The counts are those of the turn.
        self._break_answer()
        self._end_answer("stop", usage)
        if reason in _FAILURES:
            self._end_turn(self._failure(f"the run has ended: {reason}", code=reason))
        else:
            self._end_turn(self._truncation_of(self._turn) if reason is None else None)
        self._reason = None

    def _ends_without_a_line(self) -> bool:
        """Return True if the model has ended the run, of which only the token counts are missing."""
        return self._reason is not None and self._reason not in _GOES_ON
