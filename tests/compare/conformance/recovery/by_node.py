"""The AI SDK, run by Node in a folder where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.compare.conformance.packages import NodePackages
from tests.compare.conformance.recovery.peer import Told
from tests.compare.conformance.recovery.providers import IDLE, REMOVED, World

_SCRIPT = Path(__file__).with_name("ai_sdk.mjs")
_PATIENCE = 120.0
"""Seconds after which a case counts as hanging."""


@dataclass(frozen=True)
class NodePeer(NodePackages):
    falls_back: bool = False

    def told(self, world: World) -> Told:
        asked = {
            "first": world.first,
            "question": world.answer.question,
            "calls": world.answer.calls,
            "idle": int(IDLE * 1000),
            "removed": REMOVED,
        }
        plain = self.ask_script(_SCRIPT, asked, timeout=_PATIENCE)
        return Told(plain["text"], [(name, arguments) for name, arguments in plain["calls"]], plain["error"])


def node_peers(folder: Path | None) -> list[NodePeer]:
    return [
        NodePeer(
            "AI SDK",
            how="`streamText({maxRetries: 2, streamRetries: 2, timeout: {chunkMs: …}})` with the provider "
            "for compatible servers, the parts of its `stream`; tools with `execute`",
            packages=("ai", "@ai-sdk/openai-compatible", "zod"),
            folder=folder,
        )
    ]
