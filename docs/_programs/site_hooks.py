"""The parts of the site that are made and not written: navigation, reference, links, and text for machines.

Sphinx calls `setup` through conf.py. The pages stay plain Markdown, which a forge shows as well:

* The navigation is made from the links of the pages. The lists of index.md, which readers of a forge have in
  its place, become its groups, each under its section's title and with the links' words, and leave the page;
  a page `x.md` owns the pages of the folder `x/`, in the order in which it links to them. The index of errors
  is in none: its rows are found by their messages.
* The reference is made from the docstrings; site_reference.py does it.
* A link to a file outside this folder, or to a folder, leads to the repository.
* Machines get the pages as text: those written here as Markdown, the reference as plain text; llms.txt has a
  line for each (https://llmstxt.org), and llms-path.txt the ten pages of the path.
"""

from __future__ import annotations

import functools
import posixpath
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from site_reference import REFERENCE
from site_search import ERRORS
from sphinx.addnodes import toctree
from sphinx.builders.text import TextBuilder

import tokenstream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_PROJECT = tomllib.loads((Path(tokenstream.__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
REPOSITORY = _PROJECT["project"]["urls"]["Source"]

_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<body>(?:(?!## ).*\n)*)", re.MULTILINE)
_LIST_ITEM = re.compile(r"^- .+", re.MULTILINE)
_LINK = re.compile(r"\[(?P<words>[^\[\]]+)\]\((?P<target>[^)#\s:]+\.md)(?:#[^)\s]*)?\)")
_LINKED = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_PAGE_START = re.compile(r"^# (.+)\n(?:(?![\w`\[]).*\n)*(.+?)[.:?](?=\s|$)", re.MULTILINE)
"""Matches the title of a page, and its first sentence."""
_API = f"{REFERENCE}/index"
_OUTSIDE = re.compile(r"\]\((?P<target>(?:\.\./)+[^)\s]*|reports/[^)\s]*|[\w/-]+)\)")
"""A link that may lead to what is no page: up and out of this folder, or to a name without an extension."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks; Sphinx calls this once."""
    app.connect("source-read", complete_page)
    app.connect("html-page-context", complete_context)
    app.connect("build-finished", write_text)
    return {"parallel_read_safe": True}


# ---- navigation and links


def complete_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead a page's links to what is no page to the repository, and add its part of the navigation."""
    folder = Path(app.srcdir)
    source[0] = _with_outer_links(source[0], name, folder)
    if name == "index":
        source[0] = _SECTION.sub(_to_navigation, source[0] + "\n")
    elif name == ERRORS:
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"
    elif (folder / name).is_dir():
        there = {f"{name}/{path.stem}" for path in (folder / name).glob("*.md")}
        linked = [page for page, _ in _linked_pages(source[0], name) if page in there]
        pages = dict.fromkeys([*linked, *sorted(there)])
        source[0] += _navigation(f"{_short_title(folder / f'{page}.md')} </{page}>" for page in pages)


def _to_navigation(section: re.Match[str]) -> str:
    """Return the group of the navigation that a section's list of pages becomes; other sections stay."""
    titles: dict[str, str] = {}
    for page, words in _linked_pages("\n".join(_LIST_ITEM.findall(section["body"])), ""):
        title = words.replace("`", "")
        titles.setdefault(page, title[:1].upper() + title[1:])
    if not titles:
        return section[0]
    titles.pop(ERRORS, None)
    if section["title"] == "Reference":
        titles[f"{REFERENCE}/index"] = "API"
    return _navigation((f"{title} </{page}>" for page, title in titles.items()), caption=section["title"])


def _short_title(page: Path) -> str:
    """Return the title of a page without what follows its colon, which makes it easier to find."""
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ").partition(":")[0]


def _linked_pages(text: str, name: str) -> Iterable[tuple[str, str]]:
    """Return the names of the pages that the page `name` links to, in order, with the links' words."""
    for link in _LINK.finditer(text):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link["target"]))
        if not path.startswith("../"):
            yield path.removesuffix(".md"), link["words"]


def _navigation(pages: Iterable[str], caption: str = "") -> str:
    """Return the directive that adds pages to the navigation; nothing for no pages."""
    head = f":caption: {caption}\n" if caption else ""
    rows = "\n".join(pages)
    return f"\n\n```{{toctree}}\n:hidden:\n{head}\n{rows}\n```\n" if rows else ""


def _with_outer_links(text: str, name: str, folder: Path) -> str:
    """Return the text of the page `name`, whose links to what is no page now lead to the repository."""
    return _OUTSIDE.sub(functools.partial(_lead_to_repository, name=name, folder=folder), text)


def _lead_to_repository(link: re.Match[str], name: str, folder: Path) -> str:
    """Return a link of the page `name` as an address in the repository, if it leads to a report, to a folder or out of docs/."""
    target, _, anchor = link["target"].partition("#")
    path = (folder / posixpath.dirname(name) / target).resolve()
    if path.is_relative_to(folder) and not path.is_dir() and path.parent.name != "reports":
        return link[0]
    kind = "tree" if path.is_dir() else "blob"
    address = f"{REPOSITORY}/{kind}/main/{path.relative_to(folder.parent).as_posix()}"
    return f"]({address}{'#' if anchor else ''}{anchor})"


# ---- text for machines


def _text_name(app: Sphinx, name: str) -> str:
    """Return the file name of a page's text: Markdown as it was written, or plain text for the reference."""
    return f"{name}.md" if app.env.doc2path(name, base=False).suffix == ".md" else f"{name}.txt"


def complete_context(
    app: Sphinx, name: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Name a page's text in the page's head, and make the captions of its navigation valid headings."""
    navigation = context["toctree"]

    def show(*, titles_only: bool = False, **options: Any) -> str:
        whole, app.env.tocs = app.env.tocs, _titles(app.env) if titles_only else app.env.tocs
        try:
            made: str = navigation(titles_only=titles_only, **options)
        finally:
            app.env.tocs = whole
        # A heading of ARIA wants its level, which Sphinx leaves out.
        return made.replace('role="heading"', 'role="heading" aria-level="2"')

    context["toctree"] = show
    if tree is not None:
        kind = "markdown" if _text_name(app, name).endswith(".md") else "plain"
        address = posixpath.relpath(_text_name(app, name), posixpath.dirname(name) or ".")
        context["metatags"] += f'<link rel="alternate" type="text/{kind}" href="{address}">'


@functools.lru_cache(maxsize=1)
def _titles(env: BuildEnvironment) -> dict[str, nodes.bullet_list]:
    """Return the contents of all pages without what a navigation of titles leaves out.

    Sphinx leaves it out, too, after it has copied the contents of all pages for each page: half of a build.
    """
    titles = {name: contents.deepcopy() for name, contents in env.tocs.items()}
    for contents in titles.values():
        for entry in contents:
            for parts in entry[1:]:
                parts[:] = list(parts.findall(toctree))
    return titles


def write_text(app: Sphinx, error: Exception | None) -> None:
    """Write the text of each page, llms.txt and llms-path.txt beside the HTML."""
    if error is not None or app.builder.format != "html":
        return
    folder, target = Path(app.srcdir), Path(app.outdir)
    for picture in [*folder.rglob("*.svg"), *folder.rglob("*.png")]:
        copy = target / picture.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    builder = TextBuilder(app, app.env)
    builder.init()
    texts = {name: _write_page_text(app, builder, name) for name in sorted(app.env.found_docs)}
    title, summary = _PAGE_START.findall(texts.pop("index"))[0]
    written = [name for name in texts if not name.startswith(f"{REFERENCE}/")]
    path = "- [The ten main pages](llms-path.txt): one file, which the package has, too\n"
    lists = {
        "Pages": path + "".join(_list_text(app, name, texts[name]) for name in written),
        "API reference": "".join(_list_text(app, name) for name in texts if name not in {*written, _API}),
    }
    sections = [f"# {title}\n\n> {summary}\n", *(f"## {title}\n\n{lines}" for title, lines in lists.items())]
    (target / "llms.txt").write_text("\n".join(sections), encoding="utf-8")
    packed = Path(tokenstream.__file__).with_name("llms-path.txt")
    (target / packed.name).write_bytes(packed.read_bytes())


def _write_page_text(app: Sphinx, builder: TextBuilder, name: str) -> str:
    """Write the text of the page `name`, and return it."""
    path = Path(app.outdir) / _text_name(app, name)
    if path.suffix != ".md":
        builder.write_doc(name, app.env.get_and_resolve_doctree(name, builder))
        return path.read_text(encoding="utf-8")
    folder = Path(app.srcdir)
    text = _with_outer_links((folder / f"{name}.md").read_text(encoding="utf-8"), name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return text


def _list_text(app: Sphinx, name: str, text: str = "") -> str:
    """Return a link to the text of a page, with the page's first sentence."""
    summary = "".join(": " + _LINKED.sub(r"\1", sentence) for _, sentence in _PAGE_START.findall(text)[:1])
    return f"- [{app.env.titles[name].astext()}]({_text_name(app, name)}){summary}\n"
