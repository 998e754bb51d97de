"""OpenAI's hosted agents: the format `openai-agents`."""

from __future__ import annotations

from tokenstream.formats._wire.openai_agents.format import OpenAIAgents

__all__ = ["OpenAIAgents"]
