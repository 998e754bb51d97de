"""Reads the messages of an MCP server: the progress and the results of its tools."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of
from tokenstream.steps._agents.reader import AgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step
    from tokenstream.steps._turn import Turn

_PROGRESS = "notifications/progress"
_LOG = "notifications/message"
_CALL = "tools/call"
_ASKING = frozenset({"elicitation/create", "sampling/createMessage"})
"""Requests that a person, or a model of the client, has to answer."""


class MCP(AgentReader):
    """Reads an MCP server: each call of a tool is a turn, with one step for the tool.

    Without the requests, as in the body of a response, the call is that of the body.

    Source:
        Model Context Protocol, 2025-11-25 and 2026-07-28: basic/utilities/progress, server/tools.
    """

    name: ClassVar[str] = "mcp"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._calls: dict[str, tuple[Turn, Step]] = {}
        """The turn and the step of each call that has no result, by the id of its request."""
        self._tokens: dict[str, str] = {}
        """The ids of calls by the tokens under which the server reports their progress."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
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
        """Begin a turn with the call of a tool."""
        if method == _CALL and is_dict(params):
            key = str(id)
            token = dict_of(params, "_meta").get("progressToken")
            if token is not None:
                self._tokens[str(token)] = key
            self._begin_call(key, text_of(params, "name") or "tool", params.get("arguments"))

    def read(self, line: dict[str, Json]) -> None:
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
        """End the calls that have no result; return the error of the run, or None."""
        errors: list[StreamError] = []
        self._exit_code = exit_code
        for id in [*self._calls]:
            turn, _ = self._calls.pop(id)
            errors.append(self._truncation_of(turn))
            self._close_turn(turn, errors[-1])
        return errors[0] if errors else super().end(exit_code)

    def stop(self, error: BaseException) -> None:
        """End the calls that have no result with an exception, because nothing more is read."""
        for turn, _ in self._calls.values():
            turn.step.end(error)
            self._count_turn()
        self._calls.clear()

    # -- within ------------------------------------------------------------

    def _begin_call(self, id: str, name: str, arguments: Json) -> tuple[Turn, Step]:
        """Begin the turn and the step of a call; a call that has begun is left as it is."""
        if id not in self._calls:
            turn, self._turn = self._open_turn(), None
            self._calls[id] = turn, self._begin_tool(id, name, turn.step, dumps(arguments or {}))
        return self._calls[id]

    def _call_of(self, id: str | None) -> tuple[Turn, Step]:
        """Return the turn and the step of a call; those of the only call if the id is unknown."""
        if id in self._calls:
            return self._calls[id]
        return next(iter(self._calls.values()), None) or self._begin_call(id or "", "tool", None)

    def _read_answer(self, line: dict[str, Json]) -> None:
        """End a call with its result; answers to other requests are passed by."""
        id, result, error = str(line.get("id")), dict_of(line, "result"), line.get("error")
        if id not in self._calls:
            is_of_call = "content" in result or (is_dict(error) and bool(self._calls))
            if not is_of_call or self._is_repeated(id):
                return
            # The request was not seen: the answer is that of the only call.
            self._call_of(id)
            id = next(iter(self._calls))
        self._remember(id)
        turn, _ = self._calls.pop(id)
        text = "\n".join(text_of(part, "text") or "" for part in dicts_of(result.get("content")))
        failure = None
        if is_dict(error):
            failure = text_of(error, "message") or "it failed"
        elif result.get("isError") is True:
            failure = text or "it failed"
        turn.result = result.get("structuredContent", text)
        self._end_tool(id, turn.result, failure=failure)
        self._close_turn(turn, None if failure is None else self._failure(failure))
