"""The AI SDK, run by Node in a folder where it is installed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conformance.recovery.peer import Told
from tests.conformance.recovery.providers import IDLE, REMOVED
from tests.support.node import node_in

if TYPE_CHECKING:
    from tests.conformance.recovery.providers import World

__all__ = ["NodePeer", "node_peers"]

_SCRIPT = Path(__file__).with_name("ai_sdk.mjs")
_PATIENCE = 120.0
"""Seconds after which a case counts as hanging."""


@dataclass(frozen=True)
class NodePeer:
    """A library that runs in Node."""

    name: str
    how: str
    packages: tuple[str, ...]
    folder: Path | None
    """The folder whose node_modules has the packages; None where none was named."""
    falls_back: bool = False

    def _manifest(self, package: str) -> Path:
        assert self.folder is not None
        return self.folder / "node_modules" / package / "package.json"

    def installed(self) -> bool:
        """Whether it can run here."""
        return (
            self.folder is not None
            and node_in(self.folder) is not None
            and all(self._manifest(package).exists() for package in self.packages)
        )

    def versions(self) -> dict[str, str]:
        """The versions of its packages."""
        return {
            package: json.loads(self._manifest(package).read_text("utf-8"))["version"]
            for package in self.packages
        }

    def runtime(self) -> str:
        """The interpreter that it runs in."""
        return f"Node {self._run(['--version'], '').strip().removeprefix('v')}"

    def told(self, world: World) -> Told:
        """Return what came of a case."""
        asked = {
            "first": world.first,
            "question": world.answer.question,
            "calls": world.answer.calls,
            "idle": int(IDLE * 1000),
            "removed": REMOVED,
        }
        # A script given as text finds its packages from the folder that it runs in.
        said = self._run(["--input-type=module", "--eval", _SCRIPT.read_text("utf-8")], json.dumps(asked))
        plain: dict[str, Any] = json.loads(said)
        return Told(plain["text"], [(name, arguments) for name, arguments in plain["calls"]], plain["error"])

    def _run(self, arguments: list[str], given: str) -> str:
        assert self.folder is not None
        node = node_in(self.folder)
        assert node is not None
        return subprocess.run(
            [node, *arguments],
            cwd=self.folder,
            input=given,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=_PATIENCE,
        ).stdout


def node_peers(folder: Path | None) -> list[NodePeer]:
    """Return the peers of npm, to run in this folder."""
    return [
        NodePeer(
            "AI SDK",
            how="`streamText({maxRetries: 2, streamRetries: 2, timeout: {chunkMs: …}})` with the provider "
            "for compatible servers, the parts of its `stream`; tools with `execute`",
            packages=("ai", "@ai-sdk/openai-compatible", "zod"),
            folder=folder,
        )
    ]
