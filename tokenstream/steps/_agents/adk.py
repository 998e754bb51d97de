"""Reads the events of Google's Agent Development Kit, as its runners and Vertex Agent Engine give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list, text_of, text_or_empty
from tokenstream.message import Ending, Message, ToolCall
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step
    from tokenstream.steps._turn import Turn

_OF_AN_ANSWER = ("usage_metadata", "usageMetadata", "model_version", "modelVersion")
"""Fields that an event has from the model's answer, in both spellings."""
_ASKING = "adk_request_"
"""The beginning of the names of the calls with which ADK itself asks a person."""


class ADK(AgentReader):
    """Reads ADK: each agent of an invocation is a sub-step of the turn, with its answers and tools.

    An event with `partial` has a piece of an answer. The event that ends the answer repeats all of it, so
    only what no piece has brought is added. No event ends the invocation: it is complete if the last event
    calls no tool that would have to be answered.
    """

    name = "adk"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._authors: dict[str, _Author] = {}
        self._invocation: str | None = None
        self._is_final = False
        """True if nothing has to follow the last event."""
        self._error: StreamError | None = None

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for an event of an agent in an invocation."""
        return "author" in line and ("invocation_id" in line or "invocationId" in line)

    def read(self, line: JsonObject) -> None:
        name = text_of(line, "author")
        if name is None:
            message, code = text_of(line, "error", "message"), line.get("code")
            if message is not None:
                # A server puts its error in the place of an event.
                self.fail(message, None if code is None else str(code))
            return
        is_partial = line.get("partial") is True
        # The pieces of an answer have the id of the event that repeats them.
        if not is_partial and self._is_repeated(text_of(line, "id")):
            return
        invocation = text_of(line, "invocation_id", "invocationId")
        if invocation != self._invocation and self._turn is not None:
            self._finish()
        self._invocation = invocation
        self._open_turn()
        parts = dicts_of(dict_of(line, "content").get("parts"))
        answered = [part for part in parts if _field(part, "function_response") is not None]
        actions = dict_of(line, "actions")
        for part in answered:
            self._read_response(part, asked=_field(actions, "requested_tool_confirmations"))
        if answered:
            self._is_final = _field(actions, "skip_summarization") is True
        others = [part for part in parts if part not in answered]
        if name != "user" and (others or _field(line, "usage_metadata") or _field(line, "error_code")):
            self._read_answer(self._author_named(name), line, others, is_partial=is_partial)

    def fail(self, message: str | None, code: str | None) -> None:
        self._open_turn()
        self._error = self._failure(message, code=code)
        self._finish()

    def end(self, exit_code: int | None) -> StreamError | None:
        if self._turn is not None and (self._is_final or self.is_waiting):
            self._finish()
        return super().end(exit_code)

    # -- within ------------------------------------------------------------

    def _author_named(self, name: str) -> _Author:
        """Return an agent of the invocation, whose step begins with its first event."""
        if name not in self._authors:
            self._authors[name] = _Author(self._turn_step.step(name, agent=name))
        return self._authors[name]

    def _read_answer(
        self, author: _Author, line: JsonObject, parts: list[JsonObject], *, is_partial: bool
    ) -> None:
        """Add a piece of an answer, or what its end has beyond the pieces."""
        answer = author.open()
        code, reason = _field(line, "error_code"), _field(line, "finish_reason")
        new = author.find_new(parts) if is_partial else author.find_rest(parts)
        candidate: JsonObject = {"content": {"role": "model", "parts": new}}
        if not is_partial:
            candidate["finishReason"] = reason or "STOP"
        payload: JsonObject = {"candidates": [candidate]}
        payload |= {name: line[name] for name in _OF_AN_ANSWER if name in line}
        answer.read_piece(payload)
        if is_partial:
            self._is_final = False
            return
        author.close()
        if author.step.message is not None:
            turn = self._open_turn()
            turn.result = author.step.message.text or turn.result
        self._error = None
        if code:
            self._error = self._failure(text_of(line, "error_message", "errorMessage"), code=str(code))
        later = _field(line, "long_running_tool_ids")
        later_ids = later if is_list(later) else []
        self._is_final = all(call.id in later_ids for call in author.calls)
        for call in author.calls:
            if call.name.startswith(_ASKING):
                self._ask(author.step, call)
            else:
                self._begin_tool(call.id, call.name, call.arguments_text, parent=author.step)
        author.calls.clear()

    def _ask(self, author: Step, call: ToolCall) -> None:
        """Report what ADK asks a person with a call of its own, in the step of the tool that has to wait."""
        arguments: object = call.arguments
        asked: JsonObject = arguments if is_dict(arguments) else {}
        id = text_of(dict_of(asked, "originalFunctionCall"), "id") or text_of(asked, "functionCallId")
        tool = self._tools.get(id or "", author)
        self._run.requests.hold(author, self._asker, tool.wait_for(call.id, {"type": "approval", **asked}))
        self._hold_turn()

    def _read_response(self, part: JsonObject, *, asked: Json) -> None:
        """End a tool; ADK reports a call that it could not run as the field `error` of the result."""
        response = _field(part, "function_response")
        if is_dict(response) and not (is_dict(asked) and text_of(response, "id") in asked):
            error = text_of(dict_of(response, "response"), "error")
            self._end_tool(text_or_empty(response, "id"), response.get("response"), failure=error)

    def _finish(self) -> None:
        error, self._error = self._error, None
        for author in self._authors.values():
            author.close()
            author.step.end(error)
        self._authors.clear()
        self._is_final = False
        if self._turn is not None:
            # The answers of a turn are in the steps of its agents.
            self._turn.step.count(self._turn.step.total_usage)
        self._end_turn(error)

    @staticmethod
    def _find_partial(turn: Turn, ending: Ending) -> Message:
        messages = [step.message for step in turn.step.steps if step.message is not None]
        message = messages[-1] if messages else Message()
        return message.model_copy(update={"ending": ending})


class _Author:
    """An agent of an invocation."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.calls: list[ToolCall] = []
        """The calls of the last answer, whose steps have not begun."""
        self._answer: ModelAnswer | None = None
        self._sent: dict[bool, list[str]] = {False: [], True: []}
        """The pieces of the answer's text, and those of its reasoning (True)."""

    def open(self) -> ModelAnswer:
        """Return the answer in progress, and begin one if there is none."""
        if self._answer is None:
            self._answer = ModelAnswer(self.step, "gemini", self.calls)
        return self._answer

    def close(self) -> None:
        answer, self._answer = self._answer, None
        self._sent = {False: [], True: []}
        if answer is not None:
            answer.end()

    def find_new(self, parts: list[JsonObject]) -> list[JsonObject]:
        """Return those of the parts of a piece that are whole, without calls, and remember their texts."""
        for part in parts:
            self._sent[part.get("thought") is True].append(text_or_empty(part, "text"))
        return [part for part in parts if _field(part, "function_call") is None]

    def find_rest(self, parts: list[JsonObject]) -> list[JsonObject]:
        """Return what the parts of a whole answer have beyond its pieces."""
        sent = {is_thought: "".join(texts) for is_thought, texts in self._sent.items()}
        new: list[JsonObject] = []
        for part in parts:
            text, is_thought = text_of(part, "text"), part.get("thought") is True
            if text is None:
                new.append(part)
            elif sent[is_thought].startswith(text):
                sent[is_thought] = sent[is_thought][len(text) :]
            else:
                new.append({**part, "text": text.removeprefix(sent[is_thought])})
                sent[is_thought] = ""
        return new


def _field(fields: JsonObject, name: str) -> Json:
    """Return a field, whose name is in snake_case in Python and in camelCase on the wire."""
    if name in fields:
        return fields[name]
    first, *others = name.split("_")
    return fields.get(first + "".join([word.capitalize() for word in others]))
