"""Clients of npm: one process of Node reads many answers with them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compare.sdks.relay.judges.client_answer import ClientAnswer
from tests.compare.sdks.relay.judges.served import served
from tests.support.node import node_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.relay import ProtocolName

_CLIENTS = Path(__file__).with_name("npm.mjs")
_PACKAGES = {
    "openai chat": ["openai"],
    "openai responses": ["openai"],
    "anthropic": ["@anthropic-ai/sdk"],
    "gemini": ["@google/genai"],
    "ollama": ["ollama"],
    "ai openai chat": ["ai", "@ai-sdk/openai", "zod"],
    "ai openai responses": ["ai", "@ai-sdk/openai", "zod"],
    "ai anthropic": ["ai", "@ai-sdk/anthropic", "zod"],
    "ai ui-message": ["ai"],
    "ag-ui": ["@ag-ui/client"],
}
"""The packages that each client in npm.mjs needs."""


def read_in_node(asked: Mapping[str, tuple[str, ProtocolName, bytes]]) -> dict[str, ClientAnswer]:
    """Return what clients give for answers that are served over HTTP.

    Args:
        asked: The client, the protocol, and the bytes of each answer, by a name for it.
    """
    folder, node = node_with(*{package for client, _, _ in asked.values() for package in _PACKAGES[client]})
    bodies: dict[str, tuple[ProtocolName, bytes]] = {
        name: (protocol, body) for name, (_, protocol, body) in asked.items()
    }
    with served(bodies) as urls:
        told = subprocess.run(
            [node, "--input-type=module", "--eval", _CLIENTS.read_text("utf-8")],
            cwd=folder,
            input="\n".join(json.dumps([client, urls[name]]) for name, (client, _, _) in asked.items()),
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
    # `splitlines` would cut at line separators, which JSON does not escape.
    lines = told.rstrip("\n").split("\n")
    return {name: _answer_of(json.loads(line)) for name, line in zip(asked, lines, strict=True)}


def _answer_of(told: dict[str, Any]) -> ClientAnswer:
    choices = {index: _answer_of(choice) for index, choice in told.pop("choices").items()}
    return ClientAnswer(**told, choices=choices)
