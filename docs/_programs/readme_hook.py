"""Makes the links of README.md absolute for the package index, which shows it without the repository.

In the repository, the links are relative, so that they work in each clone and fork. Hatchling calls the hook
for each build; see `[tool.hatch.metadata.hooks.custom]` in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)\s]+)\)")
"""Matches a link, or a picture, with a relative target."""


def make_absolute(readme: str, source: str) -> str:
    """Return the text of a README with absolute links, to the main branch of a repository.

    Args:
        source: The address of the repository.

    Example:
        >>> make_absolute("See [the docs](docs/index.md#a) ![x](x.svg)", "https://github.com/o/r")
        'See [the docs](https://github.com/o/r/blob/main/docs/index.md#a) ![x](https://raw.githubusercontent.com/o/r/main/x.svg)'
    """
    raw = source.replace("//github.com/", "//raw.githubusercontent.com/")

    def replace(link: re.Match[str]) -> str:
        mark, words, target = link.groups()
        # A page is shown, a picture is part of one.
        base = f"{raw}/main" if mark else f"{source}/blob/main"
        return f"{mark}[{words}]({base}/{target})"

    return _LINK.sub(replace, readme)


class ReadmeHook(MetadataHookInterface):
    """Gives the distribution the README with absolute links."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field `readme` of the project."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = make_absolute(readme, metadata["urls"]["Source"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
