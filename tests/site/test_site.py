"""The site has each public name, each page as text, valid HTML, and words for its pictures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.docs_pages import links
from tests.project import ROOT
from tests.public_names import PUBLIC
from tests.site.conftest import build
from tests.support.node import node_with
from tests.support.packages import needed
from tests.support.proxies import program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.site, pytest.mark.timeout(300)]

DOCS = ROOT / "docs"
_MODULES = {"errors", "events", "faults", "formats", "partial_json", "stages", "testing"}
"""Public modules that are names of other public modules, too: they have pages."""


def _entries(site: Path) -> set[str]:
    """Return the import paths that the reference describes."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    rows = zlib.decompress(inventory).decode().splitlines()
    return {row.split(" ", 1)[0] for row in rows if " py:" in row}


def test_each_public_name_has_an_entry_in_the_reference(site: Path) -> None:
    """Under one of the paths from which it is imported."""
    entries = _entries(site)
    names = {name for names in PUBLIC.values() for name in names}
    missing = {
        name
        for name in names - _MODULES - {"__version__"}
        if not any(f"{module}.{name}" in entries for module in PUBLIC)
    }

    assert set() == missing


def test_each_page_has_a_text_for_machines(site: Path) -> None:
    """llms.txt leads to all of them, and llms-full.txt has the words of all."""
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    pages -= {"genindex", "py-modindex", "search"}
    texts = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.md")}
    texts |= {path.relative_to(site).with_suffix("").as_posix() for path in site.glob("reference/*.txt")}
    whole = (site / "llms-full.txt").read_text(encoding="utf-8")
    listed = links((site / "llms.txt").read_text(encoding="utf-8"))
    dead = [link for link in listed if "://" not in link and not (site / link.partition("#")[0]).exists()]

    assert pages == texts
    assert [] == dead
    assert "class tokenstream.Stream(" in whole
    assert (DOCS / "glossary.md").read_text(encoding="utf-8") in whole


class _Pictures(HTMLParser):
    """Collects the pictures of a page that have no words."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at a picture."""
        if tag == "img":
            self.seen += 1
            given = dict(attrs)
            # Sphinx falls back to the file's name.
            if not given.get("alt") or given["alt"] == given.get("src"):
                self.silent.append(str(given.get("src")))


def test_each_picture_has_words(site: Path) -> None:
    """Somebody who cannot see it reads them."""
    silent: list[str] = []
    seen = 0
    for path in site.rglob("*.html"):
        pictures = _Pictures()
        pictures.feed(path.read_text(encoding="utf-8"))
        seen += pictures.seen
        silent += [f"{path.name}: {source}" for source in pictures.silent]

    assert seen >= 10
    assert [] == silent


def test_each_page_is_valid_html(site: Path) -> None:
    """Judged by the Nu Html Checker, as validator.w3.org runs it."""
    folder, _ = node_with("vnu-jar")
    checker = folder / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
    command = [program("java", "default-jre-headless"), "-jar", str(checker)]
    done = subprocess.run(
        [*command, "--errors-only", "--format", "json", "--skip-non-html", str(site)],
        capture_output=True,
        check=False,
    )
    found = json.loads(done.stderr)["messages"]

    assert [] == [f"{message.get('url')}: {message['message']}" for message in found]


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    """As does a page that nothing leads to."""
    needed("sphinx")
    source = tmp_path / "docs"
    source.mkdir()
    for name in ("conf.py", "site_hooks.py"):
        shutil.copy(DOCS / name, source / name)
    (source / "index.md").write_text("# Start\n\n## Guides\n\n- [Gone](gone.md)\n", encoding="utf-8")
    (source / "lost.md").write_text("# Lost\n", encoding="utf-8")
    done = build(source, tmp_path / "site")

    assert done.returncode != 0
    assert "gone" in done.stderr
    assert re.search(r"lost\.md: .*isn't included in any toctree", done.stderr)
