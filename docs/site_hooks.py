"""The parts of the site that are made and not written: navigation, reference, links, and text for machines.

Sphinx calls `setup` through conf.py. The pages stay plain Markdown, which a forge shows as well:

* The navigation is made from the links of the pages. The lists of index.md become its groups, each under
  its section's title; a page `x.md` owns the pages of the folder `x/`, in the order in which it links to them.
* The reference is made from the docstrings: one page for each public module. A name's entry has the
  shortest path from which the name can be imported, and stands on the page of the module that
  it belongs to.
* A link to a file outside this folder leads to the repository.
* Machines get the pages as text: those written here as Markdown, the reference as plain text, all in
  llms-full.txt, and llms.txt as the list of them (https://llmstxt.org).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import os
import pkgutil
import posixpath
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.builders.text import TextBuilder

import tokenstream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from docutils import nodes
    from sphinx.application import Sphinx

_PROJECT = tomllib.loads((Path(tokenstream.__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
REPOSITORY = _PROJECT["project"]["urls"]["Source"]
REFERENCE = "reference"
"""Folder of the pages that are made from docstrings; they are not in the repository."""

_FOREIGN = "BaseException, BaseModel, Enum, Generic, Protocol, dict, int, str, tuple"
"""Bases whose members are described elsewhere."""

_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<body>(?:(?!## ).*\n)*)", re.MULTILINE)
_LIST_ITEM = re.compile(r"^- .+", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)#\s:]+\.md)(?:#[^)\s]*)?\)")
_DOCSTRING_LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<target>https?://[^)\s]+)\)")
_CODE_BEFORE_LETTER = re.compile(r"(?<!`)`[^`\n]+`(?=\w)")
_TABLE = re.compile(r"^(?P<indent> *)\|.*\n(?: *\|.*\n)+", re.MULTILINE)
_OUTSIDE = re.compile(r"\]\((?P<target>(?:\.\./)+[^)\s]*)\)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks; Sphinx calls this once."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", complete_page)
    app.connect("doctree-read", set_targets)
    app.connect("autodoc-process-docstring", convert_docstring)
    app.connect("html-page-context", complete_context)
    app.connect("build-finished", write_text)
    return {"parallel_read_safe": True}


# ---- navigation and links


def complete_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead a page's links out of docs/ to the repository, and add its part of the navigation."""
    folder = Path(app.srcdir)
    source[0] = _with_outer_links(source[0], name, folder)
    if name == "index":
        for section in _SECTION.finditer(source[0] + "\n"):
            lists = "\n".join(_LIST_ITEM.findall(section["body"]))
            pages = list(dict.fromkeys(_linked_pages(lists, "")))
            if section["title"] == "Reference":
                pages.append(f"{REFERENCE}/index")
            source[0] += _navigation(pages, caption=section["title"])
    elif (folder / name).is_dir():
        there = {f"{name}/{path.stem}" for path in (folder / name).glob("*.md")}
        linked = [page for page in _linked_pages(source[0], name) if page in there]
        source[0] += _navigation([*dict.fromkeys(linked), *sorted(there - set(linked))])


def _linked_pages(text: str, name: str) -> Iterable[str]:
    """Return the names of the pages that the page `name` links to, in order."""
    for link in _LINK.finditer(text):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link["target"]))
        if not path.startswith("../"):
            yield path.removesuffix(".md")


def _navigation(pages: list[str], caption: str = "") -> str:
    """Return the directive that adds pages to the navigation; nothing for no pages."""
    head = f":caption: {caption}\n" if caption else ""
    rows = "\n".join(f"/{page}" for page in pages)
    return f"\n\n```{{toctree}}\n:hidden:\n{head}\n{rows}\n```\n" if pages else ""


def _with_outer_links(text: str, name: str, folder: Path) -> str:
    """Return the text of the page `name`, whose links out of docs/ now lead to the repository."""
    return _OUTSIDE.sub(functools.partial(_lead_to_repository, name=name, folder=folder), text)


def _lead_to_repository(link: re.Match[str], name: str, folder: Path) -> str:
    """Return a link of the page `name` that leads out of docs/ as an address in the repository."""
    target, _, anchor = link["target"].partition("#")
    path = (folder / posixpath.dirname(name) / target).resolve()
    if path.is_relative_to(folder):
        return link[0]
    kind = "tree" if path.is_dir() else "blob"
    address = f"{REPOSITORY}/{kind}/main/{path.relative_to(folder.parent).as_posix()}"
    return f"]({address}{'#' if anchor else ''}{anchor})"


# ---- reference


def public_modules() -> list[ModuleType]:
    """Return the public modules, the package itself first."""
    found = pkgutil.walk_packages(tokenstream.__path__, "tokenstream.")
    names = [module.name for module in found if not re.search(r"\._", module.name)]
    modules = [tokenstream, *map(importlib.import_module, names)]
    return [module for module in modules if getattr(module, "__all__", None)]


@functools.cache
def entries() -> dict[str, list[str]]:
    """Return for each public module's name the import paths of the names that its page describes.

    A name that several modules export belongs to the one of them that has the longest path, and is
    imported from the one with the shortest.
    """
    exported: dict[tuple[str, int], list[str]] = {}
    public = public_modules()
    for module in public:
        for name in module.__all__:
            if not inspect.ismodule(value := getattr(module, name)):
                exported.setdefault((name, id(value)), []).append(module.__name__)
    pages: dict[str, list[str]] = {module.__name__: [] for module in public}
    for (name, _), modules in exported.items():
        by_length = sorted(modules, key=len)
        pages[by_length[-1]].append(f"{by_length[0]}.{name}")
    return pages


def write_reference(app: Sphinx) -> None:
    """Write a page for each public module that describes a name, and the list of these pages."""
    folder = Path(app.srcdir) / REFERENCE
    folder.mkdir(exist_ok=True)
    pages = {module: paths for module, paths in entries().items() if paths}
    for page in folder.glob("*.rst"):
        if page.stem not in {*pages, "index"}:
            # The page of a module that is gone.
            page.unlink(missing_ok=True)
    rows: list[str] = []
    for module, paths in pages.items():
        _write(folder / f"{module}.rst", _module_page(module, paths))
        summary = inspect.getdoc(importlib.import_module(module)) or ""
        rows.append(f"* :doc:`{module}`: {_first_sentence(summary)}")
    navigation = "\n".join(["", ".. toctree::", "   :hidden:", "", *(f"   {module}" for module in pages)])
    title = "API reference"
    head = f"{title}\n{'=' * len(title)}\n\nEvery public name, by module.\n"
    _write(folder / "index.rst", "\n".join([head, *rows, navigation, ""]))


def _module_page(module: str, paths: list[str]) -> str:
    """Return the page of a module: its docstring, and an entry for each of `paths`."""
    parts = [f"{module}\n{'=' * len(module)}\n", f".. automodule:: {module}\n   :no-index:\n"]
    for path in paths:
        home, _, name = path.rpartition(".")
        value: Any = getattr(importlib.import_module(home), name)
        kind, members = "data", ""
        if inspect.isclass(value):
            kind = "exception" if issubclass(value, BaseException) else "class"
            members = f"   :members:\n   :inherited-members: {_FOREIGN}\n"
        elif callable(value) and hasattr(value, "__name__"):
            kind = "function"
        # The words on a constant are found only in the module that assigns it.
        where = f"{module}.{name}" if kind == "data" else path
        parts.append(f".. auto{kind}:: {where}\n{members}")
    return "\n".join(parts)


def _first_sentence(text: str) -> str:
    """Return the first sentence of a docstring."""
    return re.split(r"(?<=[.!?])\s", text.replace("\n", " "), maxsplit=1)[0]


def _write(path: Path, text: str) -> None:
    """Write a page, if it has changed: Sphinx then reads only pages that have."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        # In one step, since another build may be reading the page.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def set_targets(app: Sphinx, tree: nodes.document) -> None:
    """Lead a public name in backticks, or in a signature, to its entry; all others stay plain code.

    Sphinx would also take the name of any method or attribute, such as `bytes`, for a reference.
    """
    for reference in tree.findall(pending_xref):
        if reference.get("refdomain") == "py" and reference["reftype"] != "mod":
            target = reference["reftarget"].lstrip("~.").removesuffix("()")
            reference.attributes.update({"py:module": None, "py:class": None})
            reference.attributes.pop("refspecific", None)
            reference["reftarget"] = _find_entry(target)


def _find_entry(target: str) -> str:
    """Return the import path of a public name or of a member of it; otherwise, a path without an entry."""
    names = target.split(".")
    # A private module may stand before the name: the annotations have the name's real home.
    for position, name in enumerate(names):
        for path in public_paths().get(name, ()):
            return ".".join([path, *names[position + 1 :]])
    return f"-{target}"


@functools.cache
def public_paths() -> dict[str, list[str]]:
    """Return the import paths of each public name."""
    paths: dict[str, list[str]] = {}
    for path in itertools.chain.from_iterable(entries().values()):
        paths.setdefault(path.rpartition(".")[2], []).append(path)
    return paths


def convert_docstring(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Turn the Markdown of a docstring, which is links and tables, into reStructuredText."""
    text = "\n".join(lines)
    text = _DOCSTRING_LINK.sub(r"`\g<text> <\g<target>>`__", text)
    # Unlike Markdown, reStructuredText wants something between code and a letter: "`MediaPart`s".
    text = _CODE_BEFORE_LETTER.sub(r"\g<0>\\ ", text)
    lines[:] = _TABLE.sub(_convert_table, text + "\n").split("\n")


def _convert_table(table: re.Match[str]) -> str:
    """Return a Markdown table as a `list-table`."""
    indent = table["indent"]
    rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in table[0].strip("\n").split("\n")]
    written = [".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        cells = [cell.strip().replace("\\|", "|") for cell in row]
        written += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(cells)]
    return "\n" + "".join(f"{indent}{line}".rstrip() + "\n" for line in written) + "\n"


# ---- text for machines


def _text_name(app: Sphinx, name: str) -> str:
    """Return the file name of a page's text: Markdown as it was written, or plain text for the reference."""
    return f"{name}.md" if app.env.doc2path(name, base=False).suffix == ".md" else f"{name}.txt"


def complete_context(
    app: Sphinx, name: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Name a page's text in the page's head, and make the captions of its navigation valid headings."""
    toctree = context["toctree"]
    # A heading of ARIA wants its level, which Sphinx leaves out.
    context["toctree"] = lambda **options: toctree(**options).replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    if tree is not None:
        kind = "markdown" if _text_name(app, name).endswith(".md") else "plain"
        address = posixpath.relpath(_text_name(app, name), posixpath.dirname(name) or ".")
        context["metatags"] += f'<link rel="alternate" type="text/{kind}" href="{address}">'


def write_text(app: Sphinx, error: Exception | None) -> None:
    """Write the text of each page, llms.txt and llms-full.txt beside the HTML."""
    if error is not None or app.builder.format != "html":
        return
    folder, target = Path(app.srcdir), Path(app.outdir)
    for picture in [*folder.rglob("*.svg"), *folder.rglob("*.png")]:
        copy = target / picture.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    builder = TextBuilder(app, app.env)
    builder.init()
    texts = {name: _write_page_text(app, builder, name) for name in sorted(app.env.found_docs)}
    home = texts.pop("index")
    at_home = set(_linked_pages(home, ""))
    written = [name for name in texts if not name.startswith(f"{REFERENCE}/")]
    lists = {
        "More pages": [name for name in written if name not in at_home],
        "API reference": [name for name in texts if name not in {*written, f"{REFERENCE}/index"}],
    }
    sections = [home, *(f"## {title}\n\n{_list_texts(app, names)}" for title, names in lists.items())]
    (target / "llms.txt").write_text("\n".join(sections), encoding="utf-8")
    (target / "llms-full.txt").write_text("\n\n".join([home, *texts.values()]), encoding="utf-8")


def _write_page_text(app: Sphinx, builder: TextBuilder, name: str) -> str:
    """Write the text of the page `name`, and return it."""
    path = Path(app.outdir) / _text_name(app, name)
    if path.suffix != ".md":
        builder.write_doc(name, app.env.get_and_resolve_doctree(name, builder))
        return path.read_text(encoding="utf-8")
    folder = Path(app.srcdir)
    text = _with_outer_links((folder / f"{name}.md").read_text(encoding="utf-8"), name, folder)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return text


def _list_texts(app: Sphinx, names: list[str]) -> str:
    """Return a list of links to the texts of pages."""
    return "".join(f"- [{app.env.titles[name].astext()}]({_text_name(app, name)})\n" for name in names)
