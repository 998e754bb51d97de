"""Finds out by its lines which agent prints them, and has the reader of this agent build the run."""

from __future__ import annotations

from collections import deque
from functools import partial, reduce
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream._sources.payloads import to_payload
from tokenstream.errors import MisuseError, NotAStream, StreamError
from tokenstream.formats._kit.values import split_names
from tokenstream.steps._agents.acp import ACP
from tokenstream.steps._agents.adk import ADK
from tokenstream.steps._agents.ag_ui import AGUIRun
from tokenstream.steps._agents.claude_code import ClaudeCode
from tokenstream.steps._agents.codex import Codex, CodexServer
from tokenstream.steps._agents.hosted import AnthropicAgentsRun, MistralConversationsRun
from tokenstream.steps._agents.langgraph import LangGraphRun
from tokenstream.steps._agents.opencode import NEXT, OpenCode, OpenCodeServer
from tokenstream.steps._agents.protocols import MCP, A2ATasks
from tokenstream.steps._agents.text_agents import (
    AgentCore,
    CopilotCLI,
    CursorCLI,
    GeminiCLI,
    KimiCode,
    Pi,
    is_exception,
)
from tokenstream.steps._agents.values import line_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._run import Steps

_ALL = (
    ClaudeCode,
    Codex,
    GeminiCLI,
    OpenCode,
    CodexServer,
    ACP,
    OpenCodeServer,
    CursorCLI,
    Pi,
    CopilotCLI,
    KimiCode,
    ADK,
    AgentCore,
    A2ATasks,
    MCP,
    AnthropicAgentsRun,
    MistralConversationsRun,
    LangGraphRun,
    AGUIRun,
)
"""The readers in the order in which they are asked."""
_READERS: dict[str, type[AgentReader]] = {
    **{reader.name: reader for reader in _ALL},
    # Amp and Qwen Code print Claude Code's lines.
    "amp": ClaudeCode,
    "qwen-code": ClaudeCode,
}
_BUILD_IT = "read its events yourself, and build the run with run.step(…)"
_KNOWN: dict[str, frozenset[str]] = {
    "acp": split_names(
        "_session/steering elicitation/complete elicitation/create fs/read_text_file fs/write_text_file "
        "session/request_permission session/update terminal/create terminal/kill terminal/output "
        "terminal/release terminal/wait_for_exit"
    ),
    "claude-code": split_names(
        "assistant auth_status command_lifecycle control_cancel_request control_request control_response "
        "conversation_reset keep_alive prompt_suggestion rate_limit_event result stream_event "
        "streamlined_text streamlined_tool_use_summary system tool_progress tool_use_summary "
        "transcript_mirror user"
    ),
    "codex": split_names(
        "error item.completed item.started item.updated thread.started turn.completed turn.failed "
        "turn.started"
    ),
    "codex-server": split_names(
        "account/login/completed account/rateLimits/updated account/updated app/list/updated "
        "configWarning deprecationNotice error fs/changed guardianWarning hook/completed hook/started "
        "item/agentMessage/delta item/autoApprovalReview/completed item/autoApprovalReview/started "
        "item/commandExecution/outputDelta item/commandExecution/requestApproval "
        "item/commandExecution/terminalInteraction item/completed item/fileChange/outputDelta "
        "item/fileChange/patchUpdated item/fileChange/requestApproval item/mcpToolCall/progress "
        "item/permissions/requestApproval item/plan/delta item/reasoning/summaryPartAdded "
        "item/reasoning/summaryTextDelta item/reasoning/textDelta item/started item/tool/call "
        "item/tool/requestUserInput mcpServer/elicitation/request mcpServer/oauthLogin/completed "
        "mcpServer/startupStatus/updated model/rerouted model/verification rawResponseItem/completed "
        "remoteControl/status/changed serverRequest/resolved skills/changed thread/archived thread/closed "
        "thread/compacted thread/goal/cleared thread/goal/updated thread/name/updated "
        "thread/settings/updated thread/started thread/status/changed thread/tokenUsage/updated "
        "thread/unarchived turn/completed turn/diff/updated turn/plan/updated turn/started warning"
    ),
    "opencode": split_names("error reasoning step_finish step_start text tool_use"),
    "opencode-server": split_names(
        "account.added account.removed account.switched catalog.updated command.executed file.edited "
        "file.watcher.updated global.disposed ide.installed installation.update-available "
        "installation.updated integration.updated lsp.client.diagnostics lsp.updated "
        "mcp.browser.open.failed mcp.tools.changed message.part.delta message.part.removed "
        "message.part.updated message.removed message.updated models-dev.refreshed permission.asked "
        "permission.replied permission.updated plugin.added project.updated pty.created pty.deleted "
        "pty.exited pty.updated question.asked question.rejected question.replied reference.updated "
        "server.connected server.heartbeat server.instance.disposed session.compacted session.created "
        "session.deleted session.diff session.error session.idle session.status session.updated "
        "todo.updated tui.command.execute tui.prompt.append tui.session.select tui.toast.show "
        "vcs.branch.updated workspace.failed workspace.ready worktree.failed worktree.ready"
    )
    | frozenset(NEXT),
    "cursor": split_names(
        "assistant connection interaction_query result retry system thinking tool_call user"
    ),
    "gemini-cli": split_names("error init message result tool_result tool_use"),
    "pi": split_names(
        "agent_end agent_settled agent_start auto_compaction_end auto_compaction_start auto_retry_end "
        "auto_retry_start compaction_end compaction_start entry_appended extension_error "
        "extension_ui_request message_end message_start message_update queue_update response session "
        "session_info_changed summarization_retry_attempt_start summarization_retry_finished "
        "summarization_retry_scheduled thinking_level_changed tool_execution_end tool_execution_start "
        "tool_execution_update turn_end turn_start"
    ),
    "copilot-cli": split_names(
        "abort assistant.idle assistant.intent assistant.message assistant.message_delta "
        "assistant.message_start assistant.reasoning assistant.reasoning_delta assistant.streaming_delta "
        "assistant.tool_call_delta assistant.turn_end assistant.turn_retry assistant.turn_start "
        "assistant.usage hook.end hook.start model.call_failure model.call_final_result "
        "model.call_finished model.call_start permission.completed permission.requested result "
        "session.background_tasks_changed session.compaction_complete session.compaction_start "
        "session.context_changed session.error session.handoff session.idle session.info "
        "session.mcp_servers_loaded session.model_change session.resume session.shutdown "
        "session.skills_loaded session.start session.task_complete session.title_changed "
        "session.tools_updated session.truncation session.usage_info session.warning skill.invoked "
        "subagent.completed subagent.configured subagent.deselected subagent.failed subagent.selected "
        "subagent.started system.message system.notification tool.execution_complete "
        "tool.execution_partial_result tool.execution_progress tool.execution_start tool.shell_output "
        "tool.user_requested user.message"
    ),
}
"""The types of lines, or the methods, that the documents of agents name; all are read, or tell nothing."""
_INSIDE: dict[tuple[str, str], tuple[tuple[str, ...], str, frozenset[str]]] = {
    ("acp", "session/update"): (
        ("params", "update"),
        "sessionUpdate",
        split_names(
            "agent_message_chunk agent_thought_chunk available_commands_update config_option_update "
            "current_mode_update plan session_info_update tool_call tool_call_update usage_update "
            "user_message_chunk"
        ),
    ),
    ("claude-code", "system"): (
        (),
        "subtype",
        split_names(
            "api_retry commands_changed compact_boundary control_request_progress elicitation_complete "
            "files_persisted hook_progress hook_response hook_started informational init "
            "local_command_output memory_recall microcompact_boundary mirror_error notification "
            "permission_denied plugin_install post_turn_summary retry session_start session_state_changed "
            "status stop_hook_summary task_notification task_progress task_started task_updated "
            "thinking_tokens turn_duration worker_shutting_down"
        ),
    ),
}
"""The kinds inside lines of a type, by the agent and the type: the objects and the field that have the kind,
and those that documents name."""
_WAYS_OUT = {
    "goose": 'start it as `goose acp`, and follow it with agent="acp"',
    "bedrock-agent": _BUILD_IT,
    "agentcore-harness": _BUILD_IT,
}
"""The ways to follow agents without a reader, by their names."""
_WHERE = "claude-code, codex, gemini-cli, opencode and the other names in docs/guides/coding-agents.md"
_SESSIONS = frozenset({"session_id", "sessionID", "invocation_id"})
"""Fields of agents' lines that payloads of models do not have."""
_SHOWN = 5
"""Number of types of lines that an error names."""
_LONGEST_BODY = 2_000
"""Number of characters of a line that an error has."""
_UNDECIDED = 200
"""Number of lines that are kept until a reader is found for them."""


class AgentRun:
    """Reads an agent's lines from the first one on, also those before it is clear which agent prints them.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        prepare: Gives the reader what it needs beyond the lines; None if there is nothing.

    Raises:
        MisuseError: There is no agent of this name.
    """

    def __init__(
        self, run: Steps, agent: str | None = None, prepare: Callable[[AgentReader], object] | None = None
    ) -> None:
        self._run = run
        # Weak, since whoever prepares the reader keeps this object.
        self._prepare = None if prepare is None else WeakMethod(prepare)
        self._early: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=_UNDECIDED)
        """The first calls of a reader's methods, before a reader was found."""
        self._known: frozenset[str] | None = None
        """The types of lines that the agent is known to print; None if that is not known."""
        self._unread: dict[str, None] = {}
        """The other types of its lines, which are told once."""
        self.reader: AgentReader | None = None
        """The reader of the lines; None until it is found."""
        if agent is not None:
            self.use(reader_named(agent)(run))

    def read(self, item: object) -> None:
        """Build the run further from a line, or from an object that stands for one; pass other items by."""
        line: Any = item
        if item.__class__ is not dict:
            line = line_of(item) or to_payload(item)
            if not is_dict(line) or isinstance(item, SimpleNamespace):
                # No SDK of an agent has such objects.
                return
        reader = self.reader
        if reader is None:
            self.call("read", line, line)
        elif "error_type" in line and is_exception(line):
            reader.fail(text_of(line, "error"), text_of(line, "error_type"))
        else:
            reader.read(line)
            kind = line.get("type") or line.get("method")
            if self._known is None or not isinstance(kind, str):
                return
            if kind not in self._known:
                self._tell_unread(kind)
            elif (inside := _INSIDE.get((reader.name, kind))) is not None:
                place, field, known = inside
                holder = reduce(dict_of, place, line)
                inner = text_of(holder, field)
                if inner is not None and inner not in known:
                    self._tell_unread(f"{kind} {inner}")

    def _tell_unread(self, kind: str) -> None:
        if kind not in self._unread and len(self._unread) < _UNDECIDED:
            self._unread[kind] = None
            self._run.departures.note("event_unread", event=0)

    def call(self, method: str, shown: JsonObject, *arguments: Any) -> None:  # noqa: ANN401 - of several methods
        """Call a method of the reader; keep the call until something `shown` tells which agent it is."""
        if self.reader is not None:
            getattr(self.reader, method)(*arguments)
            return
        self._early.append((method, arguments))
        begin = find_reader(shown)
        if begin is not None:
            self.use(begin(self._run))

    def use(self, reader: AgentReader) -> None:
        """Read with a reader from now on, first what came before it was known."""
        self.reader, self._known = reader, _KNOWN.get(reader.name)
        prepare = None if self._prepare is None else self._prepare()
        if prepare is not None:
            prepare(reader)
        while self._early:
            method, arguments = self._early.popleft()
            if method == "read":
                self.read(*arguments)
            else:
                getattr(reader, method)(*arguments)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the run, and return its error: NotAStream if no line could be read."""
        error = None if self.reader is None else self.reader.end(exit_code)
        if error is None and self._unread and not (self._run.turns or self._run.steps):
            kinds = ", ".join([repr(kind) for kind in self._unread][:_SHOWN])
            return NotAStream(
                f"no line of {self._run.agent} tells of a turn; types that are not read: {kinds}"
            )
        return error

    @property
    def has_lines(self) -> bool:
        """True if lines came that do not show which agent prints them."""
        return self.reader is None and bool(self._early)

    def make_unknown_error(self) -> NotAStream:
        """Return the error for lines that do not show which agent prints them."""
        lines = [shown for _, (shown, *_) in self._early if is_dict(shown)]
        words = dict.fromkeys(text_of(line, "type", "method") for line in lines)
        kinds = ", ".join([repr(word) for word in words if word is not None][:_SHOWN])
        types = f"; their types are {kinds}" if kinds else ""
        return NotAStream(
            f"these are lines of no known agent{types}: if they are like those of another one, name that, as "
            f"in run.follow(…, agent=…), with one of {_WHERE}",
            body=str(lines[0])[:_LONGEST_BODY] if lines else "",
        )

    def stop(self, error: BaseException) -> None:
        if self.reader is not None:
            self.reader.stop(error)


def may_be_of_agent(item: object) -> bool:
    """Return True for an item of an agent, even if it does not tell which agent that is."""
    return not _SESSIONS.isdisjoint(item) if is_dict(item) else line_of(item) is not None


def find_name(line: JsonObject) -> str | None:
    """Return the name of the agent that has printed a line; None if it can be of several, or of none."""
    names = (reader.find_name(line) for reader in _ALL)
    return next((name for name in names if name is not None), None)


def find_reader(line: JsonObject) -> Callable[[Steps], AgentReader] | None:
    """Return a function that makes the reader for the agent of a line; None if the line does not tell it.

    `Steps.agent` is None at first if several agents print such lines, which one reader reads.
    """
    name = find_name(line)
    if name is not None:
        return reader_named(name)
    return partial(_make, ClaudeCode, None) if ClaudeCode.may_read(line) else None


def reader_named(name: str) -> Callable[[Steps], AgentReader]:
    if name in _WAYS_OUT:
        raise MisuseError(f"agent={name!r} has no reader: {_WAYS_OUT[name]}")
    if name not in _READERS:
        raise MisuseError(f"agent= is one of {_WHERE}, and not {name!r}")
    return partial(_make, _READERS[name], name)


def _make(reader: type[AgentReader], name: str | None, run: Steps) -> AgentReader:
    """Make a reader for the lines of an agent, without a name while several agents may print such lines."""
    made = reader(run)
    run.agent = name
    return made
