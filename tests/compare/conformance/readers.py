"""All readers, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.compare.conformance import by_json, by_node, by_sdks, by_sse_parsers, by_us, by_wrappers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compare.conformance.reader import Reader


def readers(node_folder: Path | None = None) -> list[Reader]:
    """Return every reader, whether it can run here or not."""
    return [
        *by_us.READERS,
        *by_sse_parsers.READERS,
        *by_sdks.READERS,
        *by_wrappers.READERS,
        *by_node.node_readers(node_folder),
        *by_json.READERS,
        *by_node.node_json_readers(node_folder),
    ]
