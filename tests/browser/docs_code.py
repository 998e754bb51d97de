"""The code for the browser's reader in the docs, block by block."""

from __future__ import annotations

from tests.docs.pages import blocks
from tests.project import ROOT

_PAGES = ("guides/browser.md", "guides/relay/details.md")
_BLOCKS = [block.code for page in _PAGES for block in blocks((ROOT / "docs" / page).read_text("utf-8"), "js")]


def block_with(text: str) -> str:
    """Return the block of JavaScript that contains a text; there is one."""
    (found,) = (code for code in _BLOCKS if text in code)
    return found
