"""The code of docs/guides/browser.md, block by block."""

from __future__ import annotations

from tests.docs.pages import blocks
from tests.project import ROOT

_BLOCKS = [block.code for block in blocks((ROOT / "docs" / "guides" / "browser.md").read_text("utf-8"), "js")]


def block_with(text: str) -> str:
    """Return the block of JavaScript that contains a text; there is one."""
    (found,) = (code for code in _BLOCKS if text in code)
    return found
