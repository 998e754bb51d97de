"""Reads the runs of pydantic-ai: the events of `run_stream_events`, and the nodes of `iter`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream.events import UsageUpdate
from tokenstream.message import Usage
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._framework import RunOfAgents
from tokenstream.steps._model_answer import ModelAnswer
from tokenstream.steps._turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.steps._run import Steps

    FromPydanticAI: TypeAlias = Any
    """An object of pydantic-ai, which this library does not import."""

_PARTS = frozenset({"text", "thinking", "tool-call"})
_REASONS = {"length": "max_tokens", "content_filter": "refusal"}
"""Anthropic's words for the reasons of pydantic-ai that the parts of an answer do not tell."""
_DELTAS = {
    "text": ("content_delta", "text_delta", "text"),
    "thinking": ("content_delta", "thinking_delta", "thinking"),
    "tool_call": ("args_delta", "input_json_delta", "partial_json"),
}
"""The field of a delta, and Anthropic's type and field for it, by the kind of the delta."""
_NAME = "pydantic-ai"
"""The name of what stops to ask, as for `Requests.hold`."""
_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
}
"""Our names of counts by pydantic-ai's."""


class PydanticAIRun(RunOfAgents):
    """Reads a run as a turn with the model's answers and tools, by the kinds of events and classes of nodes.

    The parts of an answer are read as the blocks of Anthropic's, which they resemble.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._turn: Turn | None = None
        """The turn of this run; None before its first event, and after its result."""
        self._has_open_part = False
        """True while a part of the answer in progress has not ended."""
        self._is_at_prompt = False
        """True until the first request to the model: an answer before it is that of an earlier run."""

    def read_event(self, event: FromPydanticAI) -> None:
        read = self._READERS.get(getattr(event, "event_kind", None) or type(event).__name__)
        if self._turn is None:
            self.end(None)
            self._run.requests.resumed_by(_NAME)
            self._turn = Turn(self._switch_agent("agent"), None)
            self._run.add_turn(self._turn)
        if read is not None:
            read(self, event)

    # -- answers -----------------------------------------------------------

    def _begin_part(self, event: FromPydanticAI) -> None:
        """Begin a part, whose first piece the event has; the first part of an answer ends the one before."""
        if event.index == 0:
            (self._end_answers if self._has_open_part else self._finish_answer)()
        self._has_open_part = True
        self._read_part(event.index, event.part)

    def _read_part(self, index: int, part: FromPydanticAI) -> None:
        """Begin a part with what it has; ignore those that are neither text, reasoning nor a call."""
        answer, kind = self._find_answer(), part.part_kind
        if kind not in _PARTS:
            return
        block: JsonObject = {"type": kind, kind: getattr(part, "content", None)}
        if kind == "tool-call":
            block = {"type": "tool_use", "id": part.tool_call_id, "name": part.tool_name, "input": {}}
        answer.read_piece({"type": "content_block_start", "index": index, "content_block": block})
        if kind == "tool-call" and part.args:
            self._add(index, "input_json_delta", "partial_json", part.args)

    def _read_delta(self, event: FromPydanticAI) -> None:
        delta = event.delta
        field, kind, name = _DELTAS.get(delta.part_delta_kind, ("", "", ""))
        piece = getattr(delta, field, None)
        if piece:
            self._add(event.index, kind, name, piece)

    def _add(self, index: int, kind: str, name: str, piece: object) -> None:
        """Add a piece to a part; the arguments of a call may be an object."""
        delta = {"type": kind, name: piece if isinstance(piece, str) else dumps(piece)}
        self._find_answer().read_piece({"type": "content_block_delta", "index": index, "delta": delta})

    def _end_part(self, event: FromPydanticAI) -> None:
        self._has_open_part = False
        if event.part.part_kind in _PARTS:
            self._find_answer().read_piece({"type": "content_block_stop", "index": event.index})

    def _find_answer(self) -> ModelAnswer:
        if self._answer is None:
            self._answer = ModelAnswer(self._switch_agent("agent"), "anthropic", self._calls)
        return self._answer

    def _finish_answer(self, reason: str | None = None, usage: Usage | None = None) -> None:
        """End the answer in progress, which is complete; counts belong to it, or to the last one."""
        if usage and self._turn is not None and self._turn.step.has_answer:
            self._turn.step.feed(UsageUpdate(usage))
        if self._answer is not None:
            delta = {"stop_reason": _REASONS.get(reason or "", "tool_use" if self._calls else "end_turn")}
            self._answer.read_piece({"type": "message_delta", "delta": delta})
            self._answer.read_piece({"type": "message_stop"})
            self._end_answers()

    def _read_whole(self, node: FromPydanticAI) -> None:
        """Read a whole answer, and begin the tools that it calls; ignore one that a resumed run repeats."""
        if self._is_at_prompt:
            return
        response = node.model_response
        answer = self._find_answer()
        answer.read_piece({"type": "message_start", "message": {"model": response.model_name}})
        for index, part in enumerate(part for part in response.parts if part.part_kind in _PARTS):
            self._read_part(index, part)
            answer.read_piece({"type": "content_block_stop", "index": index})
        self._finish_answer(response.finish_reason, _usage_of(response.usage))
        for part in response.parts:
            if part.part_kind == "tool-call":
                self._call(part)

    # -- tools and the end -------------------------------------------------

    def _begin_call(self, event: FromPydanticAI) -> None:
        """Begin a tool: the answer that calls it is complete."""
        self._finish_answer()
        self._call(event.part)

    def _call(self, part: FromPydanticAI) -> None:
        self._begin_tool(part.tool_call_id, part.tool_name, self._agent, id=part.tool_call_id)

    def _end_call(self, event: FromPydanticAI) -> None:
        self._end_tool(event.part)

    def _read_prompt(self, node: FromPydanticAI) -> None:
        self._is_at_prompt = True

    def _read_request(self, node: FromPydanticAI) -> None:
        """End the tools whose results the next request has; those of a resumed run have not begun."""
        for part in node.request.parts:
            if part.part_kind in ("tool-return", "retry-prompt"):
                if self._is_at_prompt and part.tool_name:
                    self._call(part)
                self._end_tool(part)
        self._is_at_prompt = False

    def _end_tool(self, part: FromPydanticAI) -> None:
        """End a tool with its result; a request to try again, and some results, are failures."""
        failed = part.part_kind == "retry-prompt" or part.outcome != "success"
        self._end_step(part.tool_call_id, part.content, ToolFailed(str(part.content)) if failed else None)

    def _read_result(self, event: FromPydanticAI) -> None:
        self._finish_answer(usage=_usage_of(event.result.usage))
        self._end_turn(event.result.output)

    def _read_end(self, node: FromPydanticAI) -> None:
        """End the turn, and the call of an output tool, which no request follows."""
        self._end_turn(node.data.output, ends_tools=True)

    def _end_turn(self, result: FromPydanticAI, *, ends_tools: bool = False) -> None:
        """End the turn and its tools; calls that a person approves, or others make, wait."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.result = result
            if type(result).__name__ == "DeferredToolRequests":
                # The steps are open until the loop ends: it may still fail.
                for kind, parts in (("approval", result.approvals), ("call", result.calls)):
                    for part in parts:
                        self._ask(_NAME, kind, part.tool_call_id, part.tool_name, part.args)
                return
            turn.step.result = result
        for key in [key for key in self._open if key != self._AGENT_KEY] if ends_tools else ():
            self._end_step(key, result)
        self.end(None)

    _READERS: ClassVar[dict[str, Callable[[PydanticAIRun, Any], object]]] = {
        "part_start": _begin_part,
        "part_delta": _read_delta,
        "part_end": _end_part,
        "function_tool_call": _begin_call,
        "output_tool_call": _begin_call,
        "function_tool_result": _end_call,
        "output_tool_result": _end_call,
        "agent_run_result": _read_result,
        "UserPromptNode": _read_prompt,
        "ModelRequestNode": _read_request,
        "CallToolsNode": _read_whole,
        "End": _read_end,
    }


def is_of_pydantic_ai(event: object) -> bool:
    """Return True for an event or a node of a run of pydantic-ai, by the name of its class."""
    kind = type(event)
    is_event = isinstance(getattr(event, "event_kind", None), str) or kind.__name__.endswith("Node")
    return is_event and kind.__module__.partition(".")[0] == "pydantic_ai"


def _usage_of(usage: FromPydanticAI) -> Usage:
    """Return the counts of an answer or a run; a count of 0 may be unknown."""
    counts: JsonObject = {ours: getattr(usage, name) or None for name, ours in _COUNTS.items()}
    return Usage(**counts)
