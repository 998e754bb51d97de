"""Messages of the agents that work for the main agent, in a response of several agents.

In OpenAI's multi-agent beta, items and events have an `agent` with a canonical `agent_name`: "/root" is the
agent that answers, "/root/researcher" works for it. Fields: `BetaResponseOutputMessage` of openai-python, and
https://developers.openai.com/api/docs/guides/responses-multi-agent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, fields_except, text_of
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._wire.openai_responses.texts import MessageItem, Section, TextKey
from tokenstream.message import ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._kit.parts import Parts

_RESULT = "server_tool_result"


def is_from_worker(item: dict[str, Any]) -> bool:
    """Return whether an item is from an agent that works for another agent.

    Example:
        >>> is_from_worker({"agent": {"agent_name": "/root/researcher"}})
        True
        >>> is_from_worker({"agent": {"agent_name": "/root"}}), is_from_worker({})
        (False, False)
    """
    return "/" in (_agent_of(item) or "").strip("/")


def _agent_of(item: dict[str, Any]) -> str | None:
    """Return the name of the agent that produced an item; None if the item names none."""
    return text_of(dict_of(item, "agent"), "agent_name")


class WorkerItem(MessageItem):
    """A worker's message, which becomes not a text of the answer, but a tool result with the agent's name."""

    __slots__ = ("_item", "_part")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._part = NO_PART
        """The part that the message becomes, a result; NO_PART before the first text."""
        self._item: dict[str, Any] = {}
        """The item's latest data, without its content unless the item is complete."""

    @override
    def kind_of(self, content: dict[str, Any]) -> str:
        return "opaque" if super().kind_of(content) == "opaque" else _RESULT

    @override
    def open_section(self, key: TextKey, kind: str, content: dict[str, Any]) -> Section:
        if kind == "opaque":
            return super().open_section(key, kind, content)
        if self._part.closed:
            self._part = self.parts.open(0, self._make_result())
        return Section(self._part, {})

    @override
    def tell(self, section: Section, text: str) -> None:
        # Only texts of the answer itself are compared with the message.
        if len(text) > section.length:
            self.parts.add(section.part, text[section.length :])
            section.length = len(text)

    @override
    def read_item(self, item: dict[str, Any], *, complete: bool) -> None:
        # The next request repeats a complete item; before that, its content may be incomplete.
        self._item = item if complete else fields_except(item, "content") or {}
        super().read_item(item, complete=complete)

    @override
    def set_fields(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        if not self._part.closed:
            self.report_start_again(self._part, self._make_result())

    def _make_result(self) -> ServerToolResult:
        """Return the result that the worker's message becomes, without its content, which deltas add."""
        return ServerToolResult(
            id=text_of(self._item, "id") or "", name=_agent_of(self._item) or "", provider_data=self._item
        )
