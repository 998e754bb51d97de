"""Turns the events of the OpenAI Agents SDK into the steps of a run."""

from __future__ import annotations

from typing import Any

from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream._sources.frameworks import model_event_of
from tokenstream._sources.payloads import payload_of
from tokenstream.steps._framework import RunOfAgents
from tokenstream.steps._model_answer import ModelAnswer

_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")
"""The types of the payloads that end an answer."""


class AgentsRun(RunOfAgents):
    """Reads the events of the OpenAI Agents SDK; agents and their tools become steps."""

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of the SDK
        """Begin, continue or end steps, as an event says."""
        if event.type == "agent_updated_stream_event":
            self._switch_agent(str(event.new_agent.name))
        elif event.type == "run_item_stream_event":
            self._read_item(event.item)
        else:
            self._read_model(payload_of(model_event_of(event)))

    # -- within ------------------------------------------------------------

    def _read_model(self, payload: object) -> None:
        """Add a payload of OpenAI Responses to the answer of the current agent's model."""
        if not is_dict(payload):
            return
        kind = text_of(payload, "type")
        if self._answer is None or kind == "response.created":
            self._end_answers()
            # The name stands for an agent that no event has announced.
            step = self._open.get(self._AGENT_KEY) or self._switch_agent("agent")
            self._answer = ModelAnswer(step, "openai-responses", self._calls)
        self._answer.read_piece(payload)
        if kind in _LAST_EVENTS:
            self._end_answers()

    def _read_item(self, item: object) -> None:
        """Begin the step of a tool that was called, or end the step of a tool that has returned."""
        raw: object = payload_of(getattr(item, "raw_item", None))
        id = text_of(raw, "call_id") if is_dict(raw) else None
        kind = getattr(item, "type", None)
        if is_dict(raw) and id is not None and kind == "tool_call_item":
            # A call of a built-in tool has a type instead of a name.
            name = text_of(raw, "name") or text_of(raw, "type") or "tool"
            # The call's id is also the key under which the output finds the step.
            self._begin_tool(id, name, self._agent, id=id)
        elif id is not None and kind == "tool_call_output_item":
            self._end_step(id, getattr(item, "output", None))
