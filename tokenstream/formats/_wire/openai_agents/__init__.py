"""OpenAI's hosted agents: the format `openai-agents`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from typing_extensions import override

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.errors import ProviderError
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.hosted import HostedSession
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._wire.openai_agents.items import ENDS, PREFIX, RETRYABLE, TurnItems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.limits import Limits

_Reader: TypeAlias = "Callable[[OpenAIAgents, dict[str, Any], str], bool]"
"""Reads an event of one type; returns False if the event must be reported as unknown, too."""

_OUTPUT = "agent.output."
_SUMMARY = f"{PREFIX}turn.reasoning_summary"
_REMEMBERED = 500
"""Number of turns that are remembered as those of subagents, or as turns that have ended."""


class OpenAIAgents(HostedSession):
    """The `openai-agents` format: the events of a session, in which each turn of the main agent is an answer.

    Args:
        answer: The id of the only turn to read, which may be that of a subagent; None to read all turns of
            the main agent.

    Example:
        >>> session = OpenAIAgents()
        >>> turn = {"type": "agent.session.turn.created", "turn_id": "t", "turn": {"id": "t"}}
        >>> delta = {"type": "agent.session.turn.output_text.delta", "turn_id": "t", "item_id": "i"}
        >>> events = session.feed(turn) + session.feed({**delta, "content_index": 0, "delta": "Hel"})
        >>> [type(event).__name__ for event in events]
        ['MessageStart', 'PartStart', 'TextDelta']
    """

    __slots__ = ("_items", "_model", "_others", "_placed_turn", "_turn")

    name: ClassVar[str] = "openai-agents"
    retryable: ClassVar[Mapping[str, bool]] = RETRYABLE

    def __init__(self, *, limits: Limits | None = None, answer: str | None = None) -> None:
        super().__init__(limits=limits, answer=answer)
        self._items = TurnItems(self.session_parts)
        self._turn: str | None = None
        """The id of the turn in progress; None between turns."""
        self._placed_turn: str | None = None
        """The id of the turn in progress, judging by the events that `place_of` was given."""
        self._others = RecentIds(_REMEMBERED)
        """The ids of subagents' turns, and of turns that have ended."""
        self._model: str | None = None
        """The main agent's model, as the session states it."""

    @classmethod
    @override
    def recognises(cls, payload: dict[str, Any], event: str) -> bool:
        kind = text_of(payload, "type") or event
        if "event_id" not in payload:
            return False
        # OpenAI's other APIs send errors without the id of a session.
        return "session_id" in payload if kind == "error" else kind.startswith((PREFIX, _OUTPUT))

    @override
    def place_of(self, payload: dict[str, Any]) -> tuple[str | None, bool]:
        kind = text_of(payload, "type") or ""
        if kind not in self._OF_TURN:
            # A session that fails ends the answer that is open.
            return None, kind == "agent.session.failed"
        turn = self._find_turn(payload, self._placed_turn)
        if turn is None:
            return None, False
        ends = kind in ENDS
        self._placed_turn = None if ends else turn
        return turn, ends

    @override
    def tolerates(self, payload: dict[str, Any], event: str) -> bool:
        kind = text_of(payload, "type") or event
        return kind.startswith((PREFIX, _OUTPUT)) or self.recognises(payload, event)

    @override
    def read(self, payload: dict[str, Any], event: str) -> None:
        kind = text_of(payload, "type") or event
        if self.is_repeated(text_of(payload, "event_id")):
            return
        reader = self._OF_SESSION.get(kind)
        if reader is None and kind in self._OF_TURN:
            turn = self._find_turn(payload, self._turn)
            if turn is not None:
                self._begin_turn(turn, kind)
                reader = self._OF_TURN[kind]
        # An event that nothing reads may be that of a subagent.
        if reader is None or not reader(self, payload, kind):
            self.parts.unknown(kind or "event", payload)

    # -- turns -------------------------------------------------------------

    def _find_turn(self, payload: dict[str, Any], current: str | None) -> str | None:
        """Return the id of the turn that an event is about; None if this format does not read that turn."""
        turn, item = dict_of(payload, "turn"), dict_of(payload, "item")
        id = text_of(payload, "turn_id") or text_of(turn, "id") or text_of(item, "turn_id")
        if id is None:
            return current
        if self._answer is not None:
            return id if id == self._answer else None
        if text_of(turn, "subagent_id") is not None:
            self._others.add(id)
        # An event of another turn than the one in progress, which is not about the turn as a whole, is taken
        # for a subagent's: its turn may have begun before this connection, so that no event has said so.
        is_of_unknown_turn = current not in (None, id) and not turn
        return None if is_of_unknown_turn or id in self._others else id

    def _begin_turn(self, turn: str, kind: str) -> None:
        """Begin an answer, unless it has begun."""
        self._waits = False
        if turn == self._turn:
            return
        if self._turn is not None:
            # The end of the turn before is missing.
            self._end_turn()
            self.end_answer("unknown", None)
            if self.ended:
                return
        if not kind.startswith("agent.session.turn.created"):
            self.note_missing_start()
        self._turn = turn
        self._items.clear()
        self.begin_answer(turn, self._model)

    def _end_turn(self) -> None:
        """Note that the turn in progress has ended."""
        if self._turn is not None:
            self._others.add(self._turn)
        self._turn = None

    def _read_start(self, payload: dict[str, Any], _kind: str) -> bool:
        """Return True: the event only begins a turn, as `_begin_turn` has done."""
        return True

    def _read_end(self, payload: dict[str, Any], kind: str) -> bool:
        """End the answer of a turn, with its token counts and its error; return True: the event is read."""
        turn = dict_of(payload, "turn")
        report = dict_of(payload, "usage") or dict_of(turn, "usage")
        if report:
            self.parts.usage(usage_of(report))
        failure = None
        if ENDS[kind] == "error":
            # A turn that failed is an error even if the server sends no details.
            failure = provider_error({"error": dict_of(turn, "error") or "the turn failed"})
        self._end_turn()
        self.end_answer(ENDS[kind], kind.rpartition(".")[2], failure=failure)
        return True

    # -- content -----------------------------------------------------------

    def _read_item_added(self, payload: dict[str, Any], _kind: str) -> bool:
        """Begin an item that the agent writes; return False for an item that the agent was given."""
        return self._items.begin(_key_of(payload), dict_of(payload, "item"))

    def _read_item_done(self, payload: dict[str, Any], _kind: str) -> bool:
        """End an item that the agent has written; return False for an item that the agent was given."""
        return self._items.end(_key_of(payload), dict_of(payload, "item"))

    def _read_text(self, payload: dict[str, Any], kind: str) -> bool:
        """Read the start, a piece or the end of a text; return False if the event fits no text."""
        is_summary = "reasoning_summary" in kind
        index = payload.get("summary_index" if is_summary else "content_index", 0)
        delta, id = payload.get("delta"), text_of(payload, "item_id")
        has_index = isinstance(index, int) and not isinstance(index, bool)
        if id is None or not has_index:
            return False
        item = self._items.find(id)
        item.data.setdefault("id", id)
        if kind.endswith(".added"):
            self._items.open_text(item, index, is_summary=is_summary)
        elif kind.endswith(".done"):
            whole = payload if "text" in payload else dict_of(payload, "part")
            self._items.tell_text(item, index, whole, is_summary=is_summary)
        elif isinstance(delta, str):
            self._items.add_text(self._items.open_text(item, index, is_summary=is_summary), delta)
        else:
            return False
        return True

    def _read_output(self, payload: dict[str, Any], _kind: str) -> bool:
        """Add output of a command that is running; return False if the event fits no command."""
        delta, id = payload.get("delta"), text_of(payload, "item_id")
        return (
            id is not None and isinstance(delta, str) and self._items.add_output(self._items.find(id), delta)
        )

    # -- the session -------------------------------------------------------

    def _read_session(self, payload: dict[str, Any], _kind: str) -> bool:
        """Read a session's model and the calls that it waits for; return False to report the event, too."""
        session = dict_of(payload, "session")
        self._model = text_of(dict_of(session, "agent"), "model") or self._model
        if self.answer_is_open:
            self.parts.head(model=self._model)
        if self.answer_is_open and text_of(session, "status") == "requires_action":
            self._waits = True
            actions = dicts_of(session.get("required_actions"))
            self.parts.field("required_actions", actions)
            for action in actions:
                if text_of(action, "type") == "function_call":
                    self._items.hand_out(action)
        return False

    def _read_failed(self, payload: dict[str, Any], _kind: str) -> bool:
        """End the session, which has failed; return True."""
        message = text_of(dict_of(payload, "session"), "error") or "the session failed"
        failure = provider_error({"error": message}) or ProviderError(message)
        if self.answer_is_open:
            self._end_turn()
            self.session_parts.end_answer("error", "failed", awaits_results=False)
        self.error = failure
        return True

    def _read_error(self, payload: dict[str, Any], _kind: str) -> bool:
        """Keep the error of an event; return True. Such an error ends neither the turn nor the session."""
        self.note_error(payload)
        return True

    _OF_SESSION: ClassVar[dict[str, _Reader]] = {
        **dict.fromkeys(
            [
                f"{PREFIX}{word}"
                for word in ("created", "in_progress", "idle", "requires_action", "budget_reached")
            ],
            _read_session,
        ),
        "agent.session.failed": _read_failed,
        "error": _read_error,
    }
    _OF_TURN: ClassVar[dict[str, _Reader]] = {
        "agent.session.turn.created": _read_start,
        "agent.session.turn.in_progress": _read_start,
        **dict.fromkeys(ENDS, _read_end),
        "agent.session.turn.item.added": _read_item_added,
        "agent.session.turn.item.done": _read_item_done,
        **dict.fromkeys([f"{PREFIX}turn.content_part.{end}" for end in ("added", "done")], _read_text),
        **dict.fromkeys([f"{PREFIX}turn.output_text.{end}" for end in ("delta", "done")], _read_text),
        **dict.fromkeys([f"{_SUMMARY}_part.{end}" for end in ("added", "done")], _read_text),
        **dict.fromkeys([f"{_SUMMARY}_text.{end}" for end in ("delta", "done")], _read_text),
        "agent.output.command_execution_output.delta": _read_output,
    }


def _key_of(payload: dict[str, Any]) -> str:
    """Return the id of the item in an event; for an item without an id, a key made from its index."""
    return text_of(dict_of(payload, "item"), "id") or f"item {payload.get('output_index')}"
