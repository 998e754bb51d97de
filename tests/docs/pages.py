"""Read the project's Markdown pages: their code, their links, their headings."""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.project import PACKAGE, PYPROJECT, ROOT

REPORTS = sorted((ROOT / "docs" / "reports").glob("*.md"))
SITE = sorted({*(ROOT / "docs").rglob("*.md")} - {*REPORTS})
"""The pages of the site."""
BESIDE = [*REPORTS, *sorted((ROOT / ".github").glob("*.md"))]
"""The pages that the site only links: what is measured, and what contributors read."""
_INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
_OF_EXTRAS = {"aiohttp", "genai_prices", "griffe", "opentelemetry", "redis", "regex", "rich", "yaml"}
"""What the extras of this library install, and README's install does not."""
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *SITE, *BESIDE]
# These need a file, an agent, or a service; tests of their own have what stands in.
_HAVE_NEEDS = {"batch", "caching", "coding_agent", "discord_bot", "picture", "prometheus", "slack_bot"}
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem not in _HAVE_NEEDS)

_TABLES = json.loads(Path(__file__).with_name("pages.json").read_bytes())
NEEDS: dict[str, list[str]] = _TABLES["needs"]
"""Modules that must be installed for the code of a page to run, beyond what all tests need."""
_COOKBOOK = {f"docs/cookbook/{path.name}" for path in (ROOT / "docs" / "cookbook").glob("*.md")}
APART: set[str] = {*_COOKBOOK, *_TABLES["apart"]}
"""Pages of which each section is a program: its blocks run without those of the other sections."""
SLOW: set[str] = {*_TABLES["slow"]}
"""Pages, or parts of pages, that start programs, wait as their readers would, or read much."""
PROGRAMS = {*_COOKBOOK, *(f"docs/guides/{name}.md" for name in ("many-machines", "money", "quickstarts"))}
"""Pages whose blocks are programs of their own, which ask real providers; other tests run them."""
WARNS = {
    # LangChain says so of its events of version 3.
    "docs/guides/frameworks.md": ("ignore:.*is in beta",),
    "docs/guides/coming-from/frameworks.md#litellm": (
        "ignore::UserWarning:pydantic",
        "ignore::DeprecationWarning",
        # It leaves the event loops of its logging open.
        "ignore:unclosed event loop:ResourceWarning",
        r"ignore:unclosed <socket\.socket fd=\d+, family=1,:ResourceWarning",
    ),
}
"""Filters for the warnings of packages that the code of a page uses."""
ALWAYS_THERE = {"anyio", "httpx", "httpx2", "httpx_sse", "money", "pydantic", "rows", "tokenstream", "trio"}
"""What a page may import without saying so: the library, what it brings or all tests need, and its own."""

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<info>[^\n`]*)\n(?P<code>.*?)^ *(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
_REMOTE = re.compile(r"[a-z][a-z+.-]*:", re.IGNORECASE)
_REPOSITORY = PYPROJECT["project"]["urls"]["Source"]
_ABSOLUTE = (
    f"{_REPOSITORY}/blob/main/",
    f"{_REPOSITORY}/tree/main/",
    f"{_REPOSITORY.replace('//github.com/', '//raw.githubusercontent.com/')}/main/",
)
"""Addresses of the project's own files: a page, a folder, a picture."""
_NOT_IN_A_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int
    """Line of the page that its first line of code stands on, from 1."""


@dataclass(frozen=True)
class Part:
    """What runs as one program: a page, or a section of a page of `APART`."""

    name: str
    """The page's name, followed by the anchor of the section, as in `docs/x.md#title`."""
    text: str
    """The page, in which the other sections are blank lines."""


def parts_of(page: Path) -> list[Part]:
    """Return the parts of a page: itself, or its sections if these are programs apart."""
    text = page.read_text(encoding="utf-8")
    if name_of(page) not in APART:
        return [Part(name_of(page), text)]
    parts: list[Part] = []
    # A line that begins with `## ` in a block of code is none of Markdown's.
    starts = [match.start() for match in re.finditer(r"^## ", without_code(text), re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        section = text[start:end]
        title = section.partition("\n")[0].removeprefix("## ")
        parts.append(Part(f"{name_of(page)}#{_slug(title)}", "\n" * text.count("\n", 0, start) + section))
    return parts


def without_code(text: str) -> str:
    """Return a page whose code is blank, of the same length."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _slug(heading: str) -> str:
    return _NOT_IN_A_SLUG.sub("", heading.lower()).replace(" ", "-")


def name_of(path: Path) -> str:
    """Return how a test that is about `path` is called."""
    return path.relative_to(ROOT).as_posix()


def blocks(page: str, *languages: str) -> Iterator[Block]:
    for match in _FENCE.finditer(page):
        language = match["info"].strip().split(" ", maxsplit=1)[0]
        if language in languages:
            line = page.count("\n", 0, match.start("code")) + 1
            yield Block(language, textwrap.dedent(match["code"]), line)


def fenced(page: str) -> Iterator[str]:
    """Give the code of all fenced blocks of `page`, in whatever language."""
    yield from (textwrap.dedent(match["code"]) for match in _FENCE.finditer(page))


def list_path() -> list[Path]:
    """Return the pages of the path, which a newcomer reads in this order."""
    part = _INDEX.partition("\n## The path\n")[2].partition("\n## ")[0]
    return [ROOT / "docs" / link for link in links(part)]


def unnamed_extras(page: Path) -> list[str]:
    """Return the modules of extras that a page of the path does without; none for any other page."""
    return [name for name in _OF_EXTRAS if page in list_path() and name not in page.read_text("utf-8")]


def links(page: str) -> list[str]:
    prose = _INLINE_CODE.sub("", _FENCE.sub("", page))
    return [inline or reference for inline, reference in _LINK.findall(prose)]


def local_links(page: str) -> list[str]:
    """Return the targets of the links of `page` that stay in the project, relative or absolute."""
    return [target for target in links(page) if target.startswith(_ABSOLUTE) or not _REMOTE.match(target)]


def anchors(page: str) -> set[str]:
    """Return the anchors that the headings of `page` make, as GitHub names them."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page)):
        slug = _slug(heading)
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def resolve(page: Path, target: str) -> Path:
    """Return the file or folder that the link `target` on `page` means."""
    base = next((base for base in _ABSOLUTE if target.startswith(base)), None)
    folder = page.parent if base is None else ROOT
    path = (folder / target.removeprefix(base or "")).resolve() if target else page
    # Links into the package hold wherever the package was installed from.
    if path.is_relative_to(ROOT / "tokenstream"):
        return PACKAGE / path.relative_to(ROOT / "tokenstream")
    return path


def imports(page: str) -> set[str]:
    """Return the packages that the Python of `page` imports, but for Python's own."""
    code = "\n".join(block.code for block in blocks(page, "python"))
    return {module.partition(".")[0] for module in imported_modules(code)} - sys.stdlib_module_names


def imported_modules(code: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found
