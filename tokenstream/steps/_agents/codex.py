"""Reads Codex: the lines of `codex exec --json`, and the messages of `codex app-server`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, is_list, text_of, text_or_empty
from tokenstream.formats._kit.values import split_names
from tokenstream.message import FinishReason, Usage
from tokenstream.steps._agents import REMEMBERED, TextAgentReader
from tokenstream.steps._agents.conversations import ConversationReader, Conversations
from tokenstream.steps._agents.values import change_arguments, exit_failure, plan_of
from tokenstream.steps._turn import AgentSteer, refuse_idle

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._values.steer import Steer
    from tokenstream.errors import ErrorKind, ProviderError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_COUNTS = {
    "input_tokens": "input_tokens",
    "inputTokens": "input_tokens",
    "cached_input_tokens": "cached_tokens",
    "cachedInputTokens": "cached_tokens",
    "cache_write_input_tokens": "cache_write_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
    "output_tokens": "output_tokens",
    "outputTokens": "output_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
    "reasoningOutputTokens": "reasoning_tokens",
}
"""Codex's names of counts, and ours."""
_ARGUMENTS = ("query", "action", "changes", "items", "path", "review", "durationMs")
"""Fields that are the arguments of an item without fields for them."""
_RESULTS = (
    "aggregated_output",
    "aggregatedOutput",
    "result",
    "contentItems",
    "changes",
    "items",
    "agentsStates",
)
"""Fields for the result of a tool; the first that is there has it."""


def _read_codex_counts(usage: JsonObject) -> dict[str, int]:
    return {ours: n for theirs, ours in _COUNTS.items() if (n := int_of(usage, theirs)) is not None}


def _name_item(kind: str, item: JsonObject) -> tuple[str, Json]:
    """Return the name of the tool that an item stands for, and its arguments."""
    if kind in ("command_execution", "commandExecution"):
        return "shell", {"command": item.get("command")}
    if kind in ("mcp_tool_call", "mcpToolCall"):
        return f"{text_of(item, 'server') or 'mcp'}.{text_of(item, 'tool') or 'tool'}", item.get("arguments")
    if kind in ("collab_tool_call", "collabAgentToolCall"):
        return text_of(item, "tool") or kind, {"prompt": item.get("prompt")}
    if kind == "dynamicToolCall":
        return text_of(item, "tool") or kind, item.get("arguments")
    return kind or "item", {name: item[name] for name in _ARGUMENTS if name in item}


def _result_in(item: JsonObject) -> Json:
    """Return the result of a tool: its output, or the item's own field for it; None if there is none."""
    return next((item[name] for name in _RESULTS if item.get(name) is not None), None)


def _say_failed(item: JsonObject, *, declined: str) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded."""
    error = item.get("error")
    if is_dict(error):
        return text_of(error, "message") or "it failed"
    other = {"failed": "it failed", "declined": declined}.get(text_or_empty(item, "status"))
    return exit_failure(item, "exit_code", "exitCode") or other


_TEXTS = {"agent_message": "text", "assistant_message": "text", "reasoning": "reasoning"}
"""Kinds of items that are parts of an answer, and the kinds of the parts."""


class Codex(TextAgentReader):
    """Reads Codex: each item is sent whole, and again when it has changed.

    Messages and reasoning are an answer of the turn; every other item is a tool. The counts of tokens
    are those of the thread so far, so a turn's own are the difference.
    """

    name = "codex"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._sent: dict[str, str] = {}
        """The text of each item of an answer so far, by its id."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the lines of Codex, of which the first begins a thread."""
        kind = text_or_empty(line, "type")
        return (kind == "thread.started" and "thread_id" in line) or (
            kind in ("item.started", "item.completed", "item.updated") and is_dict(line.get("item"))
        )

    def read(self, line: JsonObject) -> None:
        kind, item = text_of(line, "type"), line.get("item")
        if kind == "thread.started":
            self._run.introduce(session=text_of(line, "thread_id"))
        elif kind == "turn.started":
            # The ids of items begin anew with each process.
            self._sent.clear()
            self._ids = RecentIds(REMEMBERED)
            self._open_turn_of_session()
        elif is_dict(item):
            self._read_item(item, is_done=kind == "item.completed")
        elif kind == "error":
            self._last_error = text_of(line, "message")
        elif kind == "turn.completed":
            self._last_error = None
            self._end_answer("stop", self._count(line.get("usage")))
            self._end_turn(None)
        elif kind == "turn.failed":
            self._open_turn()
            self._end_answer("error")
            error = line.get("error")
            self._end_turn(self._failure(text_of(error, "message") if is_dict(error) else self._last_error))

    # -- within ------------------------------------------------------------

    def _read_item(self, item: JsonObject, *, is_done: bool) -> None:
        """Add an item to the answer, or begin or end a tool's step."""
        # Versions before 0.42 called it the type of the item.
        kind, id = text_or_empty(item, "type", "item_type"), text_or_empty(item, "id")
        if kind == "error":
            # A warning, which ends nothing.
            return
        if kind in _TEXTS:
            self._add_item(id, _TEXTS[kind], text_or_empty(item, "text"))
            return
        if id and self._is_done(id):
            return
        if id not in self._tools:
            self._end_answer("tool_calls")
        name, arguments = _name_item(kind, item)
        if arguments is None:
            arguments = {}
        step = self._begin_tool(id, name, dumps(arguments))
        if kind != "todo_list":
            # A search tells what it looks for only at its end.
            change_arguments(step, arguments)
        else:
            turn = self._turn_step
            plan = plan_of([_task_of(task) for task in dicts_of(item.get("items"))])
            if turn.updates.get("plan") != plan:
                # The end of the turn repeats the last plan.
                turn.update(plan)
        if is_done:
            self._end_tool(id, _result_in(item), failure=_say_failed(item, declined="it failed"))

    def _add_item(self, id: str, kind: str, text: str) -> None:
        """Add the text of an item, or what has been added to it since it was sent last."""
        is_new = not id or id not in self._sent
        if kind == "text" and is_new and self._has_text:
            # Each message of the agent is an answer of its own.
            self._end_answer("stop")
        before, self._sent[id] = "" if is_new else self._sent[id], text
        added = text.removeprefix(before)
        self._add_text(kind, added, is_whole=not before)

    def _count(self, counts: Json) -> Usage:
        """Return the counts of the turn: those of the thread so far, less those of the turns before."""
        if not is_dict(counts):
            return Usage()
        own: JsonObject = self._run.ledger.take(self._run.session or "", _read_codex_counts(counts))
        return Usage(**own)


def _task_of(task: JsonObject) -> Json:
    """Return a task of a plan with our names and words, from a line or a message of the app server."""
    status = text_of(task, "status") or ("completed" if task.get("completed") is True else "pending")
    return {
        "content": text_of(task, "text", "step"),
        "status": "in_progress" if status == "inProgress" else status,
    }


_DELTAS = {
    "item/agentMessage/delta": "text",
    "item/reasoning/summaryTextDelta": "reasoning",
    "item/reasoning/textDelta": "reasoning",
}
"""The kind of a part by the method that adds to it."""
_OUTPUTS = frozenset({"item/commandExecution/outputDelta", "item/fileChange/outputDelta"})
_ASKING = split_names(
    "item/commandExecution/requestApproval item/fileChange/requestApproval "
    "item/permissions/requestApproval item/tool/requestUserInput mcpServer/elicitation/request"
)
"""Requests that a person has to answer."""
_SPOKEN = frozenset({"userMessage", "hookPrompt", "contextCompaction", "subAgentActivity", "plan"})
"""Kinds of items that are neither tools nor parts of an answer."""
_REASONS: dict[str, FinishReason] = {"completed": "stop", "interrupted": "cancelled"}
"""The reasons for the end of an answer by the states of turns that have not failed."""
_KINDS: dict[str, ErrorKind] = {
    "usageLimitExceeded": "quota",
    "serverOverloaded": "overloaded",
    "contextWindowExceeded": "context_length",
    "unauthorized": "authentication",
    "badRequest": "invalid_request",
    "internalServerError": "server",
    "httpConnectionFailed": "network",
    "responseStreamConnectionFailed": "network",
    "responseStreamDisconnected": "network",
}
"""The kinds of errors by the app server's codes."""


class CodexServer(Conversations["_Thread"]):
    """Reads the app server of Codex: each of its threads is a conversation of its own.

    A thread that a subagent works in is below the tool call that began the subagent.

    Source:
        `codex app-server generate-ts`, ServerNotification.ts and ServerRequest.ts, version 0.163.0.
    """

    name = "codex-server"
    steer_method = "turn/steer"

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the answer to `initialize`, and for messages about threads, turns and items."""
        method, result, params = text_of(line, "method"), dict_of(line, "result"), dict_of(line, "params")
        if method is None:
            return "codexHome" in result or "cliVersion" in dict_of(result, "thread")
        return method.startswith(("thread/", "turn/", "item/")) and (
            "threadId" in params or "cliVersion" in dict_of(params, "thread")
        )

    def read(self, line: JsonObject) -> None:
        method, params = text_of(line, "method"), dict_of(line, "params")
        if method is None:
            result = dict_of(line, "result")
            session = text_of(dict_of(result, "thread"), "id")
            self._run.introduce(session=session, model=text_of(result, "model"))
        elif method == "thread/started":
            if self._run.session is None:
                self._run.introduce(session=text_of(dict_of(params, "thread"), "id"))
        elif method == "serverRequest/resolved":
            self.read_reply(params.get("requestId"))
        elif (id := text_of(params, "threadId")) is not None:
            self._conversation_of(id, _Thread).read(line)

    def steer(self, text: str) -> Steer:
        """Send a `turn/steer` for the turn in progress."""
        thread = self.find_working()
        if thread is None:
            return refuse_idle(text)
        steer = AgentSteer(text, thread.turn, thread.turn_id)
        params: JsonObject = {
            "threadId": thread.id,
            "expectedTurnId": thread.turn_id,
            "input": [{"type": "text", "text": text}],
        }
        return self._request_steer(steer, params)

    def note_input(self, item: JsonObject, turn_id: str | None) -> None:
        """Note that input of the user is part of a turn now: the first input with these words."""
        words = "".join([text_or_empty(each, "text") for each in dicts_of(item.get("content"))])
        of_turn = [each for each in self.steering.waiting if each.target == turn_id and each.text == words]
        if of_turn and not self._is_repeated(f"said {text_of(item, 'id')}"):
            of_turn[0].become("applied")
            self.steering.settle()


class _Thread(ConversationReader):
    """Reads the messages about one thread."""

    name = CodexServer.name

    def __init__(self, run: Steps, id: str, owner: CodexServer) -> None:
        super().__init__(run, id, owner)
        self._sent: dict[str, int] = {}
        """The number of characters of each item of an answer so far, by the item's id."""
        self._item: str | None = None
        """The id of the item, with the index of its part, to which the open part of the answer belongs."""
        self.turn_id: str | None = None
        """The id of the turn in progress; None between two turns."""
        self._total: dict[str, int] = {}
        self._complaint: str | None = None
        """The message of the last `error`."""

    def read(self, line: JsonObject) -> None:
        method, params = text_or_empty(line, "method"), dict_of(line, "params")
        turn_id = text_of(params, "turnId")
        if method == "turn/started":
            self._begin_turn(dict_of(params, "turn"))
        elif method == "turn/completed":
            self._complete_turn(dict_of(params, "turn"))
        elif turn_id not in (None, self.turn_id) and f"turn {turn_id}" in self._ids:
            # A message that comes again, after the end of its turn.
            return
        elif method in _DELTAS:
            self._add_delta(_DELTAS[method], params)
        elif is_dict(params.get("item")):
            self._read_item(params["item"], is_done=method == "item/completed")
        elif method in _ASKING and "id" in line:
            self._owner.ask(self._step_of(params), line)
        else:
            self._read_news(method, params)

    def _read_news(self, method: str, params: JsonObject) -> None:
        if method in _OUTPUTS:
            self._step_of(params).add_output(text_or_empty(params, "delta"))
        elif method == "item/mcpToolCall/progress":
            self._step_of(params).update({"type": "progress", "message": text_of(params, "message")})
        elif method == "turn/plan/updated":
            tasks: Json = [_task_of(task) for task in dicts_of(params.get("plan"))]
            self._turn_step.update(plan_of(tasks))
        elif method == "thread/tokenUsage/updated":
            self._count(dict_of(params, "tokenUsage"))
        elif method == "error":
            self._complaint = text_of(dict_of(params, "error"), "message")
            if params.get("willRetry") is True:
                self._ask_anew()

    # -- turns -------------------------------------------------------------

    def _begin_turn(self, turn: JsonObject) -> None:
        """Begin a turn, unless the message has come before."""
        id = text_of(turn, "id")
        if id != self.turn_id and not self._is_repeated(f"turn {id}"):
            self.turn_id = id
            if self._total:
                # Tokens that were counted since the last turn are not this one's.
                self._run.ledger.keep(self.id, self._total)
            self._open_turn()

    def _complete_turn(self, turn: JsonObject) -> None:
        id, status, error = text_of(turn, "id"), text_of(turn, "status"), dict_of(turn, "error")
        self._ids.add(f"turn {id}")
        if self._is_repeated(f"ended {id}") or (self._turn is None and id == self.turn_id):
            return
        self._open_turn()
        has_failed = status not in _REASONS
        self._owner.steering.lose(id)
        self._end_answer(_REASONS.get(status or "", "error"), self._usage_of_turn())
        self.turn_id = None
        self._sent.clear()
        if status == "interrupted":
            self._stop_turn("it was interrupted")
            return
        self._end_turn(self._failure_in(error) if has_failed else None)

    def _failure_in(self, error: JsonObject) -> ProviderError:
        info = error.get("codexErrorInfo")
        # A code with details is an object with the code as its only key.
        code = next(iter(info), None) if is_dict(info) else info
        failure = self._failure(text_of(error, "message") or self._complaint)
        if isinstance(code, str):
            failure.code = code
            failure.kind = _KINDS.get(code, failure.kind)
        return failure

    def _count(self, usage: JsonObject) -> None:
        """Note the thread's tokens so far, and how full the model's context is."""
        last = dict_of(usage, "last")
        total, counts_of_last = _read_codex_counts(dict_of(usage, "total")), _read_codex_counts(last)
        if not (self._total or self._run.ledger.knows(self.id)):
            # The first counts of a thread that an earlier process began have its earlier turns as well.
            earlier = {name: n - counts_of_last.get(name, n) for name, n in total.items()}
            self._run.ledger.keep(self.id, earlier)
        self._total = total
        self._run.context_used = int_of(last, "totalTokens")
        self._run.context_size = int_of(usage, "modelContextWindow")

    def _usage_of_turn(self) -> Usage:
        """Return the tokens of the turn: those of the thread so far, less those before the turn."""
        # A turn without counts of its own leaves the thread's as they were, also in another loop.
        total: JsonObject = self._total or self._run.ledger.totals_of(self.id)
        own: JsonObject = self._run.ledger.take(self.id, total)
        return Usage(**own)

    # -- items -------------------------------------------------------------

    def _add_delta(self, kind: str, params: JsonObject) -> None:
        id, text = text_or_empty(params, "itemId"), text_of(params, "delta")
        index = params.get("summaryIndex", params.get("contentIndex", 0))
        if not text or self._is_done(id):
            return
        place = f"{id} {index}"
        if place != self._item:
            self._begin_part(kind, id)
            self._item = place
        self._sent[id] = self._sent.get(id, 0) + len(text)
        self._add_text(kind, text)

    def _begin_part(self, kind: str, id: str) -> None:
        """End the open part, and the answer as well if another message follows its text."""
        if self._answer is not None:
            self._answer.close_part()
        if kind == "text" and id not in self._sent and self._has_text:
            # Each message of the agent is an answer of its own.
            self._end_answer("stop")

    def _ask_anew(self) -> None:
        """Break off the answer whose item has not ended: Codex asks again, and the item may begin anew."""
        if self._item is not None:
            id, _, _ = self._item.rpartition(" ")
            self._sent.pop(id, None)
            self._item = None
            self._break_answer()

    def _read_item(self, item: JsonObject, *, is_done: bool) -> None:
        """Add an item to the answer, or begin or end a tool's step."""
        kind, id = text_or_empty(item, "type"), text_or_empty(item, "id")
        if kind == "userMessage":
            self._owner.note_input(item, self.turn_id)
        if kind in _SPOKEN:
            return
        if kind in ("agentMessage", "reasoning"):
            if is_done and not self._is_repeated(f"done {id}"):
                self._complete_text(kind, id, item)
            return
        if self._is_done(id):
            return
        self._end_answer("tool_calls")
        name, arguments = _name_item(kind, item)
        step = self._begin_tool(id, name, dumps(arguments))
        receivers: Json = item.get("receiverThreadIds")
        for receiver in receivers if is_list(receivers) else ():
            self._owner.note_starter(receiver, step)
        if is_done:
            self._end_tool(id, _result_in(item), failure=_say_failed(item, declined="it was declined"))

    def _complete_text(self, kind: str, id: str, item: JsonObject) -> None:
        """Add what the deltas of an item lack: some providers send none."""
        sent = self._sent.get(id, 0)
        if kind == "agentMessage":
            rest = text_or_empty(item, "text")[sent:]
            if not sent:
                self._begin_part("text", id)
            self._add_text("text", rest)
        elif not sent:
            for part in item.get("summary") or item.get("content") or ():
                if isinstance(part, str):
                    self._add_text("reasoning", part, is_whole=True)
        self._sent.setdefault(id, 0)
        self._item = None
        if self._answer is not None:
            self._answer.close_part()

    def _step_of(self, params: JsonObject) -> Step:
        """Return the step of the tool that a message is about, or else the step of the turn."""
        return self._tools.get(text_or_empty(params, "itemId")) or self._turn_step
