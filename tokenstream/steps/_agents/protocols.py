"""Reads the messages of protocols for agents' tasks and tools: A2A and MCP."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of, text_or_empty
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.formats._wire.a2a import FINISH_REASONS, PAUSED, state_of, unwrap
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._model_answer import ModelAnswer
from tokenstream.steps._step import LeftOpenStep, Step

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.steps._run import Steps
    from tokenstream.steps._turn import Turn

_PROGRESS = "notifications/progress"
_LOG = "notifications/message"
_CALL = "tools/call"
_ASKING = frozenset({"elicitation/create", "sampling/createMessage"})
"""Requests that a person, or a model of the client, has to answer."""


class A2ATasks(AgentReader):
    """Reads the payloads of A2A streams: each task, or message without a task, is a turn.

    The artifacts of a task are parts of the turn's answer, and its states are updates of the turn's step.
    """

    name = "a2a"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._tasks: dict[str, tuple[Turn, ModelAnswer]] = {}
        """The turns that are open and their answers, by the ids of the tasks."""
        self._waiting: dict[str, str] = {}
        """The ids of the requests of tasks that wait for the user, by the ids of the tasks."""
        self._asking = ""
        """The id of the task whose message is read."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for a payload of A2A; a JSON-RPC error may be of another agent."""
        return unwrap(line) is not None

    def read(self, line: JsonObject) -> None:
        unwrapped = unwrap(line)
        if unwrapped is None:
            self._read_error(line)
            return
        kind, content = unwrapped
        status = dict_of(content, "status")
        state = state_of(text_or_empty(status, "state"))
        id = (text_of(content, "id") if kind == "task" else text_of(content, "taskId", "messageId")) or ""
        end = f"{id} {state}"
        is_last = kind == "message" or state in FINISH_REASONS
        if is_last and id not in self._tasks and end in self._ids:
            # Servers may send a task once more after its end.
            return
        self._asking = id
        turn, answer = self._find_or_begin(id)
        turn.note_session(text_of(content, "contextId"))
        self._run.introduce(session=turn.session)
        answer.read_piece(line)
        if status:
            self._report_status(id, turn, state, status)
        if answer.is_over:
            self._ids.add(end)
            if FINISH_REASONS.get(state) == "cancelled":
                answer.end()
                turn.step.end(LeftOpenStep("it was cancelled"))
            self._end_task(id)

    @property
    def has_open_turn(self) -> bool:
        return any(turn.state != "waiting" for turn, _ in self._tasks.values())

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the turns that are still open, since no more payloads come; return the run's error, or None.

        A task that waits for the user has ended its turn; in any other state, it goes on without this client.
        """
        cut = [error for id in [*self._tasks] if isinstance(error := self._end_task(id), StreamTruncated)]
        return cut[0] if cut else super().end(exit_code)

    def stop(self, error: BaseException) -> None:
        self._stop_turns([turn for turn, _ in self._tasks.values()], error)
        self._tasks.clear()
        self._turn = None

    # -- within ------------------------------------------------------------

    @property
    def _asker(self) -> str:
        return f"{self.name} {self._asking}"

    def _report_status(self, id: str, turn: Turn, state: str, status: JsonObject) -> None:
        step = turn.step
        step.update({"type": "status", **status})
        before = self._waiting.pop(id, None)
        if state in PAUSED:
            message_id = text_of(dict_of(status, "message"), "messageId")
            self._waiting[id] = step.wait_for(f"{id} {message_id or state}", status).id
            self._turn = turn
            self._hold_turn()
        if before is not None and before != self._waiting.get(id):
            self._run.requests.note_answered(before)

    def _find_or_begin(self, id: str) -> tuple[Turn, ModelAnswer]:
        """Return the open turn of a task and its answer, and begin them if there are none."""
        found = self._tasks.get(id)
        if found is None:
            self._turn = None
            turn = self._open_turn()
            found = self._tasks[id] = turn, ModelAnswer(turn.step, self.name, [])
        return found

    def _read_error(self, line: JsonObject) -> None:
        """End the newest open turn with the error of a payload, since an error names no task."""
        if is_dict(line.get("error")):
            id = next(reversed(self._tasks), "")
            self._find_or_begin(id)[1].read_piece(line)
            self._end_task(id)

    def _end_task(self, id: str) -> StreamError | None:
        """End the turn of a task with the verdict on its answer; return its error, or None."""
        turn, answer = self._tasks.pop(id)
        self._waiting.pop(id, None)
        error = answer.end() or answer.error
        if error is not None:
            is_cut = isinstance(error, StreamTruncated)
            error.partial = self._find_partial(turn, "truncated" if is_cut else "failed")
        self._turn = turn
        self._end_turn(error)
        return error


class MCP(AgentReader):
    """Reads an MCP server: each call of a tool is a turn, with one step for the tool.

    Without the requests, as in the body of a response, the call is that of the body.

    Source:
        Model Context Protocol, 2025-11-25 and 2026-07-28: basic/utilities/progress, server/tools.
    """

    name = "mcp"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._calls: dict[str, tuple[Turn, Step]] = {}
        """The turn and the step of each call that has no result, by the id of its request."""
        self._tokens: dict[str, str] = {}
        """The ids of calls by the tokens under which the server reports their progress."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for news of a call, a call's result, or the answer to `initialize`."""
        method, result = text_of(line, "method"), dict_of(line, "result")
        if method is not None:
            return method in (_PROGRESS, _LOG, _CALL)
        has_content = "content" in result and ("isError" in result or "structuredContent" in result)
        return has_content or ("serverInfo" in result and "protocolVersion" in result)

    @property
    def has_open_turn(self) -> bool:
        """True while a call has no result."""
        return bool(self._calls)

    def read_sent(self, method: str, params: Json, id: int | str | None) -> None:
        if method == _CALL and is_dict(params):
            key = str(id)
            token = dict_of(params, "_meta").get("progressToken")
            if token is not None:
                self._tokens[str(token)] = key
            self._begin_call(key, text_of(params, "name") or "tool", params.get("arguments"))

    def read(self, line: JsonObject) -> None:
        """Report the progress of a call, or end it."""
        method, params = text_of(line, "method"), dict_of(line, "params")
        if method == _PROGRESS:
            token = str(params.get("progressToken"))
            _, step = self._call_of(self._tokens.get(token, token))
            fields = ("progress", "total", "message")
            step.update({"type": "progress", **{name: params[name] for name in fields if name in params}})
        elif method == _LOG:
            step = self._call_of(None)[1]
            step.update({**params, "type": "log"})
        elif method in _ASKING and "id" in line:
            self.ask(self._call_of(None)[1], line)
        elif method is None and ("result" in line or "error" in line):
            self._read_answer(line)

    def end(self, exit_code: int | None) -> StreamError | None:
        errors: list[StreamError] = []
        self._exit_code = exit_code
        for id in [*self._calls]:
            turn, _ = self._calls.pop(id)
            errors.append(self._truncation_of(turn))
            self._close_turn(turn, errors[-1])
        return errors[0] if errors else super().end(exit_code)

    def stop(self, error: BaseException) -> None:
        self._stop_turns([turn for turn, _ in self._calls.values()], error)
        self._calls.clear()

    # -- within ------------------------------------------------------------

    def _begin_call(self, id: str, name: str, arguments: Json) -> tuple[Turn, Step]:
        """Begin the turn and the step of a call; a call that has begun is left as it is."""
        if id not in self._calls:
            turn, self._turn = self._open_turn(), None
            self._calls[id] = turn, self._begin_tool(id, name, dumps(arguments or {}), parent=turn.step)
        return self._calls[id]

    def _call_of(self, id: str | None) -> tuple[Turn, Step]:
        """Return the turn and the step of a call; those of the only call if the id is unknown."""
        if id in self._calls:
            return self._calls[id]
        return next(iter(self._calls.values()), None) or self._begin_call(id or "", "tool", None)

    def _read_answer(self, line: JsonObject) -> None:
        """End a call with its result; answers to other requests are passed by."""
        id, result, error = str(line.get("id")), dict_of(line, "result"), line.get("error")
        if id not in self._calls:
            is_of_call = "content" in result or (is_dict(error) and bool(self._calls))
            if not is_of_call or self._is_repeated(id):
                return
            # The request was not seen: the answer is that of the only call.
            self._call_of(id)
            id = next(iter(self._calls))
        self._ids.add(id)
        turn, _ = self._calls.pop(id)
        text = "\n".join(text_or_empty(part, "text") for part in dicts_of(result.get("content")))
        failure = None
        if is_dict(error):
            failure = text_of(error, "message") or "it failed"
        elif result.get("isError") is True:
            failure = text or "it failed"
        turn.result = result.get("structuredContent", text)
        self._end_tool(id, turn.result, failure=failure)
        self._close_turn(turn, None if failure is None else self._failure(failure))
