"""Anthropic's Managed Agents: the format `anthropic-agents`."""

from __future__ import annotations

from tokenstream.formats._wire.anthropic_agents.format import AnthropicAgents

__all__ = ["AnthropicAgents"]
