"""Reads OpenCode: the lines of `opencode run --format json`, and the events of `opencode serve`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, float_of, is_dict, text_of, text_or_empty
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.values import counts_in, split_names
from tokenstream.steps._agents import TextAgentReader
from tokenstream.steps._agents.conversations import ConversationReader, Conversations
from tokenstream.steps._agents.values import change_arguments, exit_failure, plan_of, text_in, with_cache

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import FinishReason
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "cache read": "cached_tokens",
    "cache write": "cache_write_tokens",
}
"""Our names of counts by opencode's; those of the cache are in an object of their own."""
_BROKEN = "unknown"
"""The reason of an answer whose provider has sent none, as when its stream has broken."""
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
    "error": "error",
}
"""Our reasons for the end of an answer by opencode's, which are those of the AI SDK."""


class OpenCodeAnswers(TextAgentReader):
    """Reads what opencode tells in the same words on its lines and its server: tools, and ends of answers."""

    _counts_each = True

    def _finish_step(self, part: JsonObject) -> str | None:
        """End an answer, or break it off, and count its tokens; return opencode's reason, or None."""
        turn, cost = self._open_turn(), float_of(part, "cost")
        tokens = dict_of(part, "tokens")
        cached = {f"cache {name}": value for name, value in dict_of(tokens, "cache").items()}
        # The input lacks what was cached.
        usage = with_cache(counts_in(tokens | cached, _COUNTS))
        if cost is not None:
            turn.cost = (turn.cost or 0.0) + cost
        reason = text_of(part, "reason")
        if reason == _BROKEN:
            self._break_answer(usage)
            return None
        self._end_answer("stop" if reason is None else _REASONS.get(reason, "unknown"), usage)
        return reason

    def _fail(self, error: JsonObject) -> None:
        """End the answer and the turn with an error, or as stopped."""
        self._end_answer("error")
        if text_of(error, "name") == _ABORTED:
            self._stop_turn("it was aborted")
        else:
            message = text_of(dict_of(error, "data"), "message") or text_of(error, "name")
            self._end_turn(self._failure(message))

    def _read_tool(self, part: JsonObject) -> Step | None:
        """Begin or end the step of a tool; return the step, or None if it has ended before.

        opencode calls a command completed whatever its exit code is.
        """
        id, state = text_or_empty(part, "callID"), dict_of(part, "state")
        if self._is_done(id):
            return None
        arguments = state.get("input")
        step = self._begin_tool(id, text_of(part, "tool") or "tool", dumps(arguments))
        if arguments is not None:
            change_arguments(step, arguments, text_of(state, "title"))
        return step

    def _end_tool_of(self, part: JsonObject) -> None:
        state = dict_of(part, "state")
        failure = exit_failure(dict_of(state, "metadata"), "exit")
        if state.get("status") == "error":
            failure = text_of(state, "error") or "it failed"
        self._end_tool(text_or_empty(part, "callID"), state.get("output"), failure=failure)


class OpenCode(OpenCodeAnswers):
    """Reads opencode: each request to the model is an answer; no line of its own ends the turn.

    A `step_finish` with a reason other than `tool-calls` ends it. If that has no reason, only the exit code
    0 of the process says that the turn is complete.
    """

    name = "opencode"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._reason: str | None = ""
        """The reason of the last `step_finish`; "" before it, None if it is not known."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the lines of opencode, which all have the id of the session in this spelling."""
        return "sessionID" in line and (is_dict(line.get("part")) or is_dict(line.get("error")))

    def read(self, line: JsonObject) -> None:
        kind, part, error = text_of(line, "type"), line.get("part"), line.get("error")
        self._open_turn_of_session(text_of(line, "sessionID"))
        if kind == "error" and is_dict(error):
            self._fail(error)
        elif is_dict(part) and not self._is_repeated(text_of(part, "id") or text_of(part, "callID")):
            if kind == "step_start":
                self._begin_step()
            elif kind in ("text", "reasoning"):
                self._add_text(kind, text_of(part, "text"), is_whole=True)
            elif kind == "tool_use" and is_dict(part.get("state")):
                # It is reported only when it has ended.
                self._read_tool(part)
                self._end_tool_of(part)
            elif kind == "step_finish":
                self._reason = self._finish_step(part)

    def _ends_without_a_line(self) -> bool:
        """Return True if the model has finished, or if only the exit code can say so and does."""
        if self._reason is None:
            return self._exit_code == 0
        return self._reason not in ("", "tool-calls")

    # -- within ------------------------------------------------------------

    def _begin_step(self) -> None:
        """End what has come after the end of the last answer, or break off an answer without an end.

        The agent asks anew after a broken answer, of which the text may come after its `step_finish`.
        """
        if self._reason:
            self._end_answer("unknown")
        else:
            self._break_answer()
        self._reason = ""


_STATES = {"called": "running", "success": "completed", "failed": "error"}
"""The states of tools by the last words of the events of version 2."""
_WORDS = split_names(
    "agent.switched compaction.delta compaction.ended compaction.started context.updated model.switched "
    "prompt.admitted prompted reasoning.delta reasoning.ended reasoning.started retried shell.ended "
    "shell.started step.ended step.failed step.started synthetic text.delta text.ended text.started "
    "tool.called tool.failed tool.input.delta tool.input.ended tool.input.started tool.progress tool.success"
)
NEXT = {f"session.{prefix}{word}": word for prefix in ("", "next.") for word in _WORDS}
"""The events of version 2 by their types, which had another beginning before its release."""
_ASKING = frozenset({"permission.asked", "permission.updated", "question.asked"})
"""Events of requests that a person has to answer."""
_ANSWERED = frozenset({"permission.replied", "question.replied", "question.rejected"})
_ABORTED = "MessageAbortedError"
"""The error of a turn that was cancelled."""


class OpenCodeServer(Conversations["_OpenCodeSession"]):
    """Reads the events of an opencode server, which has the sessions of all its clients.

    If `Steps.session` is set before, only that session and its subagents are read; otherwise all are.
    A turn ends when its session is idle.

    A server may tell the same in the events of version 1 and of version 2: those that come first are read.

    Source:
        Events of opencode 1.18.33; `Event`, `V2Event`, `GlobalEvent` in `types.gen.d.ts` of @opencode-ai/sdk.
    """

    name = "opencode-server"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._only = run.session
        """The id of the only session that is read, with its subagents; None for all."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the event that greets a reader, and for events of a session."""
        kind, fields = text_or_empty(line, "type"), _event_fields(line)
        is_of_session = kind.startswith(("message.", "session.")) and "sessionID" in fields
        return is_of_session or (kind == "server.connected" and not {"properties", "data"}.isdisjoint(line))

    def read(self, line: JsonObject) -> None:
        line = _of_one_project(line)
        id, fields = text_of(line, "id"), _event_fields(line)
        if id is not None and self._is_repeated(f"{id} {hash(str(line))}"):
            return
        id = text_of(fields, "sessionID")
        if id is None:
            return
        if self._only is not None and id != self._only and id not in self._starters:
            return
        if self._run.session is None:
            self._run.introduce(session=id)
        self._conversation_of(id, _OpenCodeSession).read(line)


def _event_fields(line: JsonObject) -> JsonObject:
    return dict_of(line, "properties") or dict_of(line, "data")


def _of_one_project(line: JsonObject) -> JsonObject:
    """Return the event in a line of `GET /global/event`; any other line unchanged.

    Raises:
        MisuseError: The event of a message does not say its session and its directory.
    """
    event = line.get("payload")
    if not is_dict(event):
        return line
    is_known = "sessionID" in dict_of(event, "properties") and text_of(line, "directory") is not None
    if not is_known and text_or_empty(event, "type").startswith("message."):
        raise MisuseError(
            "this server's GET /global/event does not say the session and the directory of each message: "
            "read GET /event?directory=…"
        )
    return event


class _OpenCodeSession(OpenCodeAnswers, ConversationReader):
    name = OpenCodeServer.name

    def __init__(self, run: Steps, id: str, owner: OpenCodeServer) -> None:
        super().__init__(run, id, owner)
        self._sent: dict[str, int] = {}
        """The number of characters of each text so far, by the id of its part."""
        self._part: str | None = None
        """The id of the part to which the last text belongs."""
        self._kinds: dict[str, str] = {}
        """The kinds of the texts that are open, by the ids of their parts."""
        self._prompts: set[str] = set()
        """The ids of messages of the user."""
        self._is_next: bool | None = None
        """True if the answers are read from the events of version 2; None before the first answer."""

    def read(self, line: JsonObject) -> None:
        kind, properties = text_or_empty(line, "type"), _event_fields(line)
        if self._is_next is None and (kind in NEXT or kind.startswith("message.part.")):
            self._is_next = kind in NEXT
        if kind in NEXT:
            self._read_next(NEXT[kind], properties)
        elif self._is_next and kind.startswith("message.part."):
            return
        elif kind == "message.part.updated":
            self._read_part(dict_of(properties, "part"))
        elif kind == "message.part.delta":
            id = text_or_empty(properties, "partID")
            if properties.get("field") == "text" and id in self._kinds:
                self._add(id, text_or_empty(properties, "delta"))
        elif kind == "message.updated":
            self._read_message(dict_of(properties, "info"))
        elif kind in _ASKING:
            call_id = text_of(dict_of(properties, "tool"), "callID") or text_of(properties, "callID")
            self._owner.ask(self._tools.get(call_id or "") or self._turn_step, properties)
        elif kind in _ANSWERED:
            self._owner.read_reply(text_of(properties, "requestID") or text_of(properties, "permissionID"))
        else:
            self._read_state(kind, properties)

    # -- events ------------------------------------------------------------

    def _read_next(self, word: str, fields: JsonObject) -> None:
        """Read an event of version 2, of a text, of an answer or of a tool."""
        kind, _, state = word.partition(".")
        if not self._is_next:
            return
        if kind in ("text", "reasoning"):
            id = text_or_empty(fields, f"{kind}ID")
            self._kinds.setdefault(id, kind)
            self._add(id, text_of(fields, "delta") or text_or_empty(fields, "text")[self._sent.get(id, 0) :])
        elif word == "step.started":
            self._model = text_of(dict_of(fields, "model"), "id") or self._model
            self._run.introduce(model=self._run.model or self._model)
            self._break_answer()
        elif word == "step.ended":
            self._finish_step({**fields, "reason": fields.get("finish")})
        elif word == "step.failed":
            self._fail({"name": None, **dict_of(fields, "error"), "data": fields.get("error")})
        elif kind == "tool" and state in _STATES:
            told: JsonObject = {"status": _STATES[state], "input": fields.get("input")}
            told |= {"output": text_in(fields.get("content")), "metadata": fields.get("structured")}
            told["error"] = text_of(dict_of(fields, "error"), "message")
            self._follow_tool({**fields, "state": told})

    def _read_state(self, kind: str, properties: JsonObject) -> None:
        status = dict_of(properties, "status")
        if kind == "session.idle":
            self._finish(None)
        elif kind == "session.error":
            self._finish(dict_of(properties, "error"))
        elif kind == "todo.updated":
            self._turn_step.update(plan_of(properties.get("todos")))
        elif kind == "session.status" and text_of(status, "type") == "retry":
            self._break_answer()
            self._turn_step.update({**status, "type": "retry"})

    def _read_message(self, info: JsonObject) -> None:
        """Note whose message it is, and which model answers."""
        id = text_of(info, "id")
        if info.get("role") == "user" and id is not None:
            self._prompts.add(id)
        elif info.get("role") == "assistant":
            self._model = text_of(info, "modelID") or self._model
            if self._run.model is None:
                self._run.introduce(model=self._model)

    def _read_part(self, part: JsonObject) -> None:
        """Read a part of a message, which is sent whole each time that it changes."""
        kind, id = text_of(part, "type"), text_or_empty(part, "id")
        if text_of(part, "messageID") in self._prompts:
            return
        if kind in ("text", "reasoning"):
            self._kinds.setdefault(id, kind)
            self._add(id, text_or_empty(part, "text")[self._sent.get(id, 0) :])
        elif kind == "tool":
            self._follow_tool(part)
        elif kind == "step-start" and not self._is_repeated(f"start {id}"):
            # This breaks off only an answer that has not ended.
            self._break_answer()
        elif kind == "step-finish" and not self._is_repeated(f"finish {id}"):
            self._finish_step(part)

    def _add(self, id: str, text: str) -> None:
        if not text:
            return
        if id != self._part and self._answer is not None:
            self._answer.close_part()
        self._part = id
        self._sent[id] = self._sent.get(id, 0) + len(text)
        self._add_text(self._kinds[id], text)

    def _follow_tool(self, part: JsonObject) -> None:
        step, state = self._read_tool(part), dict_of(part, "state")
        if step is not None:
            metadata = dict_of(state, "metadata")
            self._owner.note_starter(metadata.get("sessionId"), step)
            self._replace_output(step, text_or_empty(metadata, "output"))
            if text_of(state, "status") in ("completed", "error"):
                self._end_tool_of(part)

    def _finish(self, error: JsonObject | None) -> None:
        if self._turn is None:
            return
        self._sent.clear()
        self._kinds.clear()
        if error is None:
            self._end_turn(None)
        else:
            self._fail(error)
