"""Turns the events of LlamaIndex's agent workflows into the steps of a run."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import is_dict
from tokenstream._sources.payloads import payload_of
from tokenstream.stages._handlers.tool_failed import ToolFailed
from tokenstream.steps._framework import RunOfAgents
from tokenstream.steps._model_answer import ModelAnswer


class LlamaIndexRun(RunOfAgents):
    """Reads the events of LlamaIndex's agent workflows; agents and their tools become steps."""

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Begin, continue or end steps, as an event says; ignore events of other kinds."""
        if hasattr(event, "current_agent_name"):
            self._read_agent(event)
        elif hasattr(event, "tool_output"):
            # The result of a call, which has the call's `tool_kwargs`, too.
            output = event.tool_output
            error = ToolFailed(str(output.content)) if output.is_error else None
            self._end_step(str(event.tool_id), output, error)
        elif hasattr(event, "tool_kwargs"):
            id = str(event.tool_id)
            self._begin_tool(id, str(event.tool_name), self._agent, id=id)

    # -- within ------------------------------------------------------------

    def _read_agent(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Read an event of an agent: its input, a piece of its model's answer, or the whole answer."""
        step = self._switch_agent(str(event.current_agent_name))
        if hasattr(event, "input"):
            # The event reports a new request to the model, which ends the answer before.
            self._end_answers()
            return
        if self._answer is None:
            self._answer = ModelAnswer(step, "llamaindex", self._calls)
        if hasattr(event, "delta"):
            self._answer.read_piece(_as_chat_response(event, event.delta))
        else:
            # The event has the whole answer. Its text is new only if no pieces were streamed before.
            new_text = "" if self._answer.has_begun else str(event.response.content or "")
            self._answer.read_piece(_as_chat_response(event, new_text))
            self._end_answers()


def _as_chat_response(event: Any, delta: str) -> dict[str, Any]:  # noqa: ANN401 - an object of LlamaIndex
    """Return an agent's event as a payload of the format "llamaindex", a chat response with `delta`."""
    calls = [
        {
            "block_type": "tool_call",
            "tool_call_id": call.tool_id,
            "tool_name": call.tool_name,
            "tool_kwargs": call.tool_kwargs,
        }
        for call in event.tool_calls
    ]
    raw: Any = payload_of(event.raw)
    thinking = getattr(event, "thinking_delta", None)
    return {
        "delta": delta,
        "raw": raw if is_dict(raw) else None,
        "additional_kwargs": {} if thinking is None else {"thinking_delta": thinking},
        "message": {"role": "assistant", "blocks": calls, "additional_kwargs": {}},
    }
