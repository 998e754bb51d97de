"""Makes what the distribution has of the documentation: the text of README, and the path as one file.

Hatchling calls the hooks for each build; see `[tool.hatch]` in pyproject.toml. README's links are relative, so
that they work in each clone and fork; the package index shows it without the repository. A coding agent reads
the ten main pages from the installed package. `python docs/_programs/build_hooks.py` writes their file anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PATH_FILE = Path("tokenstream", "llms-path.txt")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)\s]+)\)")
"""Matches a link, or a picture, with a relative target."""
_LINK_WITHIN = re.compile(r"\[([^\[\]]*)\]\(#[^)\s]+\)")
_PAGE = re.compile(r"\]\(([\w/-]+\.md)\)")
_PICTURE = re.compile(r"^!\[.*\]\(\S+\)\n\n", re.MULTILINE)
_HEAD = """\
The ten main pages of tokenstream, a Python library that reads streamed answers of language models.
Behind them are parts of three more: other providers, the next question of a chat, and SDKs' streams. Before
each page stands where it lies in the repository. In its programs, `url`, `payload` and `headers` are the
address, the JSON and the headers of a request, as in the first one.
"""
_PARTS = {
    "guides/quickstarts.md": ("Anthropic", "Gemini", "Ollama"),
    "guides/turns.md": ("", "What the tools gave back"),
    "guides/tap.md": ("", "In an async loop"),
}
"""Sections of further pages, which follow the path; "" stands for the text above the first section."""


def join_path(root: Path) -> str:
    """Return the pages that docs/index.md lists as the path, and parts of others, as one text.

    It has no pictures, and no links to pages that are not in it: the package has none of these.
    """
    index = (root / "docs" / "index.md").read_text(encoding="utf-8")
    pages = _PAGE.findall(index.partition("\n## The path\n")[2].partition("\n## ")[0])
    names = {page.rpartition("/")[2] for page in pages}

    def unlink(link: re.Match[str]) -> str:
        return link[0] if link[3].partition("#")[0] in names else link[2]

    parts = list[str]()
    for page in (*pages, *_PARTS):
        text = (root / "docs" / page).read_text(encoding="utf-8")
        first, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
        links: list[tuple[re.Pattern[str], Any]] = [(_PICTURE, ""), (_LINK, unlink)]
        if page in _PARTS:
            links.append((_LINK_WITHIN, r"\1"))
            sections = [each for each in sections if each.partition("\n")[0] in _PARTS[page]]
            first = first if "" in _PARTS[page] else first.partition("\n")[0] + "\n\n"
        kept = [each for each in sections if not each.startswith("Where to go deeper\n")]
        text = "## ".join([first, *kept])
        for pattern, instead in links:
            text = pattern.sub(instead, text)
        parts.append(f"<!-- docs/{page} -->\n\n{text}")
    return "\n".join([_HEAD, *parts])


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


class PathHook(BuildHookInterface[Any]):
    """Gives the package the path as one file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Write the file, before it is put into a wheel."""
        write_path(Path(self.root))


def write_path(root: Path) -> None:
    """Write the file with the pages of the path, if it is not up to date."""
    text, file = join_path(root), root / PATH_FILE
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_path(Path(__file__).parents[2])
