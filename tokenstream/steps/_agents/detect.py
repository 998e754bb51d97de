"""Tells by its lines which agent prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.steps._agents.anthropic_agents import AnthropicAgents
from tokenstream.steps._agents.claude_code import ClaudeCode
from tokenstream.steps._agents.codex import Codex
from tokenstream.steps._agents.gemini_cli import GeminiCLI
from tokenstream.steps._agents.mistral_conversations import MistralConversations
from tokenstream.steps._agents.openai_agents import OpenAIAgents
from tokenstream.steps._agents.opencode import OpenCode

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.steps._agents.reader import AgentReader

_READERS: dict[str, type[AgentReader]] = {
    reader.name: reader
    for reader in (
        ClaudeCode,
        Codex,
        GeminiCLI,
        OpenCode,
        OpenAIAgents,
        AnthropicAgents,
        MistralConversations,
    )
}
"""The readers by the names of their agents, in the order in which they are asked."""


def find_reader(line: dict[str, Json]) -> type[AgentReader] | None:
    """Return the reader of the agent that has printed a line; None if it can be of several, or of none."""
    return next((reader for reader in _READERS.values() if reader.recognises(line)), None)


def reader_named(name: str) -> type[AgentReader]:
    """Return the reader of an agent.

    Raises:
        MisuseError: There is no reader of this name.
    """
    if name not in _READERS:
        raise MisuseError(f"agent= is one of {', '.join(_READERS)}, and not {name!r}")
    return _READERS[name]
