"""All peers, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.compare.conformance.recovery import by_langchain, by_litellm, by_node, by_pydantic_ai, by_stamina
from tests.compare.conformance.recovery.by_us import US

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compare.conformance.recovery.peer import Peer


def peers(node_folder: Path | None = None) -> list[Peer]:
    """Return every peer, whether it can run here or not, this library first."""
    return [
        US,
        *by_litellm.PEERS,
        *by_pydantic_ai.PEERS,
        *by_langchain.PEERS,
        *by_stamina.PEERS,
        *by_node.node_peers(node_folder),
    ]
