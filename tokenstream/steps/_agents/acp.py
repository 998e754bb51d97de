"""Reads the messages of agents that speak the Agent Client Protocol (ACP)."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, float_of, int_of, is_dict, text_of, text_or_empty
from tokenstream.errors import MisuseError
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents import REMEMBERED
from tokenstream.steps._agents.conversations import ConversationReader, Conversations
from tokenstream.steps._agents.values import change_arguments, exit_failure, plan_of
from tokenstream.steps._turn import AgentSteer, refuse_idle

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._values.steer import Steer
    from tokenstream.message import FinishReason, Usage
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_CHUNKS = {"agent_message_chunk": "text", "agent_thought_chunk": "reasoning"}
"""The kind of a part by the update that adds to it."""
_ASKING = frozenset({"session/request_permission", "elicitation/create"})
"""Requests that a person has to answer."""
_PROMPT = "session/prompt"
"""The request that begins a turn; its answer ends the turn."""
_TAKEN = ("injected", "startedNewTurn")
"""The outcomes of input that the agent has taken."""
_REPLAYING = "session/load"
"""The request whose answer follows the updates of the session's earlier turns."""
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "max_turn_requests": "length",
    "refusal": "refusal",
    "cancelled": "cancelled",
}
"""The reasons for the end of an answer by ACP's."""
_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "cachedReadTokens": "cached_tokens",
    "cachedWriteTokens": "cache_write_tokens",
    "thoughtTokens": "reasoning_tokens",
}
"""Our names of counts by those of a prompt's result; the protocol has them as a draft."""
_QUOTA_COUNTS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}
"""Our names of counts by those of Gemini CLI, which sends them under `_meta`."""


class ACP(Conversations["_ACPSession"]):
    """Reads an agent that speaks ACP, version 1: each prompt is a turn, each tool call a step.

    The name of the agent, if it introduces itself, is in `Steps.agent`.

    Source:
        https://agentclientprotocol.com/protocol/prompt-turn and /tool-calls, schema version 1.
    """

    name = "acp"
    steer_method = "_session/steering"
    """The request with input for the prompt in progress, an extension of some agents."""
    turn_methods = frozenset({_PROMPT})

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._prompts: dict[str, _ACPSession] = {}
        """The sessions of prompts without an answer, by the ids of the requests."""
        self._replays: dict[str, _ACPSession] = {}
        """The sessions whose earlier turns are being sent again, by the ids of the requests."""
        self._is_steerable = False
        """True once the agent has announced that it takes input while it works."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the answer to `initialize`, and for messages about a session."""
        if text_of(line, "method") in ("session/update", "session/request_permission"):
            return "sessionId" in dict_of(line, "params")
        return "protocolVersion" in (result := dict_of(line, "result")) and "agentCapabilities" in result

    def read_sent(self, method: str, params: Json, id: int | str | None) -> None:
        """Begin a turn with a prompt; note that the updates before the answer to a `session/load` are old."""
        if method not in (_PROMPT, _REPLAYING):
            return
        given = params if is_dict(params) else {}
        session = self._session_of(given)
        if method == _REPLAYING:
            self._replays[str(id)] = session
            session.is_replayed = True
        else:
            self._prompts[str(id)] = session
            session.begin_prompt()

    def read(self, line: JsonObject) -> None:
        method, params = text_of(line, "method"), dict_of(line, "params")
        if method is None:
            self._read_answer(line)
        elif method == "session/update":
            self._session_of(params).read(dict_of(params, "update"))
        elif method in _ASKING and "id" in line:
            self._session_of(params).read_request(line)

    def steer(self, text: str) -> Steer:
        """Send a `_session/steering` for the prompt in progress, which some agents take beyond the protocol.

        Quirk (claude-agent-acp 0.64, 2026-08): an agent that can be steered says so in its answer to
        `initialize`. It is never tried otherwise: codex-acp answers an unknown method with success.
        """
        if not self._is_steerable:
            raise MisuseError(
                f"{self._agent} does not say that it takes input while it works (`_meta.steering` in its "
                "answer to initialize): wait for the end of its turn"
            )
        session = self.find_working()
        if session is None:
            return refuse_idle(text)
        steer = AgentSteer(text, session.turn)
        params: JsonObject = {
            "sessionId": session.id,
            "prompt": [{"type": "text", "text": text}],
            "_meta": {"steering": {"idleBehavior": "promptRequired"}},
        }
        return self._request_steer(steer, params)

    def _take_acceptance(self, steer: AgentSteer, result: JsonObject) -> None:
        """Note whether the agent has taken the input, or wants it as a prompt."""
        outcome = text_of(result, "outcome")
        if outcome == "promptRequired":
            steer.refuse("the agent wants the input as a prompt of its own", text_of(result, "reason"))
        else:
            # It may have begun a turn of its own, although it was asked not to.
            steer.become("applied" if outcome in _TAKEN else "accepted")

    # -- within ------------------------------------------------------------

    def _session_of(self, params: JsonObject) -> _ACPSession:
        id = text_or_empty(params, "sessionId")
        if self._run.session is None:
            self._run.introduce(session=id)
        return self._conversation_of(id, _ACPSession)

    def _read_answer(self, line: JsonObject) -> None:
        """Read the answer to a request: the agent's name, a new session, or the end of a turn."""
        id, result, error = str(line.get("id")), dict_of(line, "result"), line.get("error")
        self._run.introduce(
            text_of(dict_of(result, "agentInfo"), "name"),
            session=text_of(result, "sessionId"),
            model=_find_model(result),
        )
        if dict_of(dict_of(result, "_meta"), "steering").get("supported") is True:
            self._is_steerable = True
        if id in self._replays:
            self._replays.pop(id).is_replayed = False
        session = self._prompts.pop(id, None)
        if session is not None:
            session.open_prompts -= 1
        if session is None and ("stopReason" in result or is_dict(error)):
            # Without the requests, the answer is that of the only prompt that is being answered.
            session = next((each for each in self._conversations.values() if each.has_open_turn), None)
        if session is not None:
            session.read_result(result, error if is_dict(error) else None)


class _ACPSession(ConversationReader):
    """Reads the messages about one session."""

    name = ACP.name

    def __init__(self, run: Steps, id: str, owner: ACP) -> None:
        super().__init__(run, id, owner)
        self.is_replayed = False
        """True while the agent sends the session's earlier turns again."""
        self.open_prompts = 0
        self._has_prompts = False
        """True once a prompt was seen; without any, only the updates tell that a turn begins."""
        self._message: dict[str, str | None] = {}
        """The id of the last message by the kind of its part."""
        self._own_ids = RecentIds(REMEMBERED)
        """The ids of the messages and tool calls of the turn in progress."""
        self._cost: dict[str, float] | None = None
        """The cost of the session so far, in US dollars; None if the agent has not reported it."""

    def begin_prompt(self) -> None:
        """Begin a turn for a prompt, or leave the prompt to the time after the turn in progress."""
        self._has_prompts = True
        self.open_prompts += 1
        self._open_turn()

    def read(self, line: JsonObject) -> None:
        kind = text_or_empty(line, "sessionUpdate")
        if kind == "usage_update":
            self._read_usage(line)
        elif self.is_replayed or self._is_late(kind, line):
            return
        elif kind in _CHUNKS:
            self._read_chunk(_CHUNKS[kind], line)
        elif kind in ("tool_call", "tool_call_update"):
            self._read_tool(line)
        elif kind == "plan":
            self._turn_step.update(plan_of(line.get("entries")))

    def read_request(self, message: JsonObject) -> None:
        """Report that a tool call, or the turn, waits for an answer."""
        call = dict_of(dict_of(message, "params"), "toolCall")
        id = text_of(call, "toolCallId")
        # A request repeats only some fields of a call that has begun.
        step = None if id is None else self._tools.get(id) or self._read_tool(call)
        self._owner.ask(step or self._turn_step, message)

    def read_result(self, result: JsonObject, error: JsonObject | None) -> None:
        """End the turn in progress with the answer to its prompt."""
        if self._turn is None:
            return
        reason = text_of(result, "stopReason")
        self._end_answer("error" if error else _REASONS.get(reason or "", "unknown"), _to_usage(result))
        self._own_ids = RecentIds(REMEMBERED)
        if self._cost is not None:
            self._run.ledger.keep(self.id, self._cost)
        self._message.clear()
        if error is not None:
            self._end_turn(self._failure(text_of(error, "message"), code=str(error.get("code"))))
        elif reason == "cancelled":
            self._stop_turn("it was cancelled")
        else:
            self._end_turn(None)

    # -- within ------------------------------------------------------------

    def _is_late(self, kind: str, update: JsonObject) -> bool:
        """Return True for an update of a turn that has ended: it belongs to no other one.

        Quirk (opencode 1.18, claude-agent-acp 0.101, 2026-10): the answer to a prompt may come before the
        last updates of its turn; anomalyco/opencode#17505.
        """
        if self._has_prompts and not self.open_prompts:
            return True
        id = text_of(update, "messageId" if kind in _CHUNKS else "toolCallId")
        if id is None or kind == "tool_call":
            return False
        return id in self._ids and id not in self._own_ids

    def _note_id(self, id: str) -> None:
        """Note that a message or a tool call is of the turn in progress."""
        self._ids.add(id)
        self._own_ids.add(id)

    def _read_chunk(self, kind: str, update: JsonObject) -> None:
        """Add a piece of text to the answer, which another message ends."""
        content, id = dict_of(update, "content"), text_of(update, "messageId")
        text = text_of(content, "text")
        if not text:
            # Media and links stay in the messages themselves.
            return
        if id is not None:
            self._note_id(id)
        before, self._message[kind] = self._message.get(kind, id), id
        if id != before and self._has_text:
            self._end_answer("stop")
        self._add_text(kind, text)

    def _read_tool(self, update: JsonObject) -> Step | None:
        """Begin, change or end the step of a tool call; return the step if the call has not ended before."""
        id = text_or_empty(update, "toolCallId")
        done = f"{self.turns_ended} done {id}"
        if done in self._ids:
            return None
        self._note_id(id)
        if id not in self._tools:
            self._end_answer("tool_calls")
        name = text_of(update, "title") or text_of(update, "kind") or "tool"
        arguments = dumps(update.get("rawInput", {}))
        step = self._begin_tool(id, name, arguments)
        if "rawInput" in update:
            change_arguments(step, update["rawInput"], text_of(update, "title"))
        # Other pieces are diffs and terminals.
        pieces = [piece for piece in dicts_of(update.get("content")) if piece.get("type") == "content"]
        text = "".join(text_or_empty(dict_of(piece, "content"), "text") for piece in pieces)
        self._replace_output(step, text)
        status = text_of(update, "status")
        if status in ("completed", "failed"):
            self._ids.add(done)
            output = dict_of(update, "rawOutput")
            # opencode calls a command completed whatever its exit code is.
            failure = exit_failure(dict_of(output, "metadata"), "exit")
            if status == "failed":
                failure = text_of(output, "error", "message") or text.strip() or "it failed"
            self._end_tool(id, update.get("rawOutput", update.get("content")), failure=failure)
        return step

    def _read_usage(self, update: JsonObject) -> None:
        """Note how full the model's context is, and what the session has cost so far."""
        self._run.context_used, self._run.context_size = int_of(update, "used"), int_of(update, "size")
        cost = dict_of(update, "cost")
        amount = float_of(cost, "amount")
        if amount is not None and text_of(cost, "currency") == "USD":
            self._cost = {"cost": amount}
            if self._turn is None:
                self._run.ledger.keep(self.id, self._cost)
            else:
                self._turn.cost = self._run.ledger.subtract(self.id, self._cost)["cost"]


def _to_usage(result: JsonObject) -> Usage | None:
    usage = counts_in(dict_of(result, "usage"), _COUNTS)
    if usage is None:
        quota = dict_of(dict_of(result, "_meta"), "quota")
        return counts_in(dict_of(quota, "token_count"), _QUOTA_COUNTS)
    cached = (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    spent = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    if cached and usage.total_tokens is not None and usage.total_tokens >= spent + cached:
        # The total has what was cached beside the input, so that the input does not have it.
        return usage.model_copy(update={"input_tokens": (usage.input_tokens or 0) + cached})
    return usage


def _find_model(result: JsonObject) -> str | None:
    """Return the name of the session's model; None if the answer has none."""
    options = dicts_of(result.get("configOptions"))
    chosen = next((text_of(each, "currentValue") for each in options if each.get("id") == "model"), None)
    return chosen or text_of(dict_of(result, "models"), "currentModelId")
