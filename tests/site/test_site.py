"""The site has each public name, each page as text, valid HTML, and words for its pictures."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import runpy
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tokenstream
from tests.docs.pages import links
from tests.project import PACKAGE, ROOT
from tests.site.conftest import build
from tests.support.node import node_with
from tests.support.packages import needed
from tests.support.proxies import program
from tests.surface import PUBLIC

# The site is built for the first of them, which takes minutes on a busy machine.
pytestmark = [pytest.mark.site, pytest.mark.timeout(900)]

DOCS = ROOT / "docs"


def _entries(site: Path) -> set[str]:
    """Return the import paths that the reference describes."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    rows = zlib.decompress(inventory).decode().splitlines()
    return {row.split(" ", 1)[0] for row in rows if " py:" in row}


def test_the_reference_keeps_summaries_backslashes_and_links(site: Path) -> None:
    """A colon in a summary makes no type of what is before it, and a page is linked by its title."""
    text = (site / "reference" / "api" / "tokenstream.stages.MarkdownBlocks.txt").read_text(encoding="utf-8")
    block = (site / "reference" / "api" / "tokenstream.stages.MarkdownBlock.txt").read_text(encoding="utf-8")
    html = (site / "reference" / "api" / "tokenstream.stages.MarkdownBlocks.html").read_text(encoding="utf-8")

    assert "Always None: any text is Markdown." in text
    assert "The number of the block: 0, 1, 2" in block
    assert "Type:" not in text + block
    assert r"\[" in text
    assert '../../guides/ui/details.html"' in html


def test_each_public_name_has_an_entry_in_the_reference(site: Path) -> None:
    entries = _entries(site)
    # Some names of the package are modules, which have pages.
    names = {
        name
        for module, names in PUBLIC.items()
        for name in names
        if not inspect.ismodule(getattr(importlib.import_module(module), name))
    }
    missing = {
        name
        for name in names - {"__version__"}
        if not any(f"{module}.{name}" in entries for module in PUBLIC)
    }

    assert set() == missing


_LINK = re.compile(r'<a .*?</a>|<span class="sig-(?:pre)?name.*?</span></span>', re.DOTALL)
"""A name in a signature that leads somewhere, or that the signature describes."""


def test_each_type_in_a_signature_leads_to_its_words(site: Path) -> None:
    """Nobody has to open the source to learn what an option takes, or what a call returns."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    own = set(re.findall(r"^ *(?:class (?=\w)|(?=\w+: TypeAlias = ))(\w+)", sources, re.MULTILINE))
    pages = "\n".join(path.read_text("utf-8") for path in (site / "reference" / "api").glob("*.html"))
    signatures = "\n".join(re.findall(r'<dt class="sig.*?</dt>', pages, re.DOTALL))
    unlinked = set(re.findall(r'<span class="pre">(_?[A-Z]\w+)</span>', _LINK.sub("", signatures)))

    assert "Literal" in unlinked
    assert set() == unlinked & own


def test_a_stream_has_all_its_members_in_the_order_of_need(site: Path) -> None:
    page = (site / "reference" / "api" / "tokenstream.stream.Stream.html").read_text(encoding="utf-8")
    described = re.findall(r'id="tokenstream\.Stream\.(\w+)"', page)

    assert described[:5] == ["text", "answer", "message", "messages", "final"]
    assert sorted(described) == [name for name in dir(tokenstream.Stream) if not name.startswith("_")]


def test_each_page_has_a_text_for_machines(site: Path) -> None:
    """llms.txt leads to each of them, with the first sentence of a page that is written."""
    pages = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")}
    pages -= {"genindex", "py-modindex", "search"}
    texts = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.md")}
    texts |= {path.relative_to(site).with_suffix("").as_posix() for path in site.glob("reference/api/*.txt")}
    lines = (site / "llms.txt").read_text(encoding="utf-8")
    listed = links(lines)
    dead = [link for link in listed if "://" not in link and not (site / link.partition("#")[0]).exists()]

    linked = {link.partition("#")[0].rpartition(".")[0] for link in listed}

    assert pages == texts
    assert [] == dead
    assert {"index", "reference/api/index"} == texts - linked
    assert "](reference/framing.md): `tokenstream.framing` splits bytes into frames" in lines
    assert "# Start\n" in (site / "llms-path.txt").read_text(encoding="utf-8")


class _Pictures(HTMLParser):
    """Collects the pictures of a page that have no words."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
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


def _build_pages(folder: Path, **pages: str) -> subprocess.CompletedProcess[str]:
    """Build a site of other pages, as strictly as ours, without the reference, which takes a minute."""
    needed("sphinx")
    source = folder / "docs"
    shutil.copytree(DOCS / "_programs", source / "_programs")
    settings = (DOCS / "conf.py").read_text("utf-8")
    (source / "conf.py").write_text(settings.replace('    "site_reference",\n', ""), "utf-8")
    shutil.copytree(DOCS / "_static", source / "_static")
    for name, text in pages.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    return build(source, folder / "site")


def test_pages_without_a_fault_are_built(tmp_path: Path) -> None:
    """What fails a build below is the fault."""
    done = _build_pages(
        tmp_path, index="# Start\n\nIt reads.\n\n## Guides\n\n- [More](more.md)\n", more="# More\n"
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    done = _build_pages(tmp_path, index="# Start\n\n[Gone](gone.md)\n")

    assert done.returncode != 0
    assert "gone" in done.stderr


def test_a_link_to_a_folder_leads_to_the_repository(site: Path) -> None:
    """The site has no page for a folder, within docs/ as elsewhere."""
    (page,) = re.findall(
        r'href="([^"]*)"[^>]*>docs/guides/quickstarts<',
        (site / "guides" / "quickstarts.html").read_text("utf-8"),
    )

    assert page.endswith("/tree/main/docs/guides/quickstarts")


def test_the_words_for_a_page_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is renamed takes along what the search knows of it."""
    needed("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_programs")
    search = runpy.run_path(str(DOCS / "_programs" / "site_search.py"))
    folders = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*") if path.is_dir()} | {
        "reference/api"
    }
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")}

    assert set() == {*search["_ALSO"], search["ERRORS"]} - pages
    assert set() == set(search["_WEIGHTS"]) - pages - folders
