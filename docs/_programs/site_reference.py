"""The reference of the site, made from the docstrings, in the order in which a reader needs it.

* Each public module has a page, whose title says what a reader does with the module. Of a module with large
  classes, each class has a page of its own.
* What a class says of a member that its twin without `Async` has too is said once, at the twin.
* A name's entry has the shortest path from which the name can be imported, and stands on the page of the
  module that it belongs to.
* A type that signatures name, and that nobody imports, stands below the list of the pages: an alias with its
  values, a class with its attributes.
* A class that only the library makes has no signature: its constructor takes private arguments, or objects of
  a class that nobody imports.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import itertools
import os
import pkgutil
import re
import sys
import textwrap
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sphinx.addnodes import pending_xref

import tokenstream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from docutils import nodes
    from sphinx.application import Sphinx

REFERENCE = "reference/api"
"""Folder of the pages that are made from docstrings; they are not in the repository."""

_READING = "tokenstream.stream"
"""The page of what only the package exports, such as `connect`."""

TITLES = {
    _READING: "Read a stream",
    "tokenstream.message": "Use the message",
    "tokenstream.events": "Match events",
    "tokenstream.errors": "Handle errors",
    "tokenstream.recovery": "Recover a broken answer",
    "tokenstream.limits": "Set limits and deadlines",
    "tokenstream.schemas": "Describe tools and results to a model",
    "tokenstream.router": "Handle events and run tools with a router",
    "tokenstream.call_store": "Run each tool call once",
    "tokenstream.turns": "Send the answer back to the provider",
    "tokenstream.partial_json": "Read JSON while it is written",
    "tokenstream.stages": "Shape text, guard and measure a stream",
    "tokenstream.terminal": "Show an answer in a terminal",
    "tokenstream.relay": "Send an answer to a browser",
    "tokenstream.relay.journal": "Keep answers for reloads and reconnects",
    "tokenstream.session": "Hold a conversation over a WebSocket",
    "tokenstream.steps": "Follow the run of an agent",
    "tokenstream.testing": "Test code that reads streams",
    "tokenstream.testing.faults": "Break an answer in a test",
    "tokenstream.otel": "Report to OpenTelemetry",
    "tokenstream.formats": "Choose a format, or write one",
    "tokenstream.framing": "Cut bytes into events, lines and messages",
    "tokenstream.departures": "See what a server does against its documentation",
}
"""What a reader does with each public module; the modules of most readers come first."""

_BY_CLASS = (
    _READING,
    "tokenstream.session",
    "tokenstream.stages",
    "tokenstream.steps",
    "tokenstream.testing",
)
"""Modules whose classes have pages of their own: all on one page would be half a megabyte."""

_FIRST = ("Stream", "connect", "aconnect", "tap", "merge", "TextView", "View")
"""Names that come first on the page of their module, in this order; the others follow by the alphabet."""

_MEMBERS = (
    *("text", "answer", "message", "messages", "final", "result", "partials", "items", "field"),
    *("validated_calls", "tool_calls", "tool_partials", "run", "reasoning", "deltas", "payloads", "choice"),
    *("print", "stop", "stop_reason", "close", "aclose", "closed", "guard", "metrics", "attempts", "cost"),
    *("pauses", "response", "responses", "wait_open", "broadcast", "tee", "checkpoint"),
    *("departures", "format", "origin", "index"),
)
"""Members of a stream in the order in which people need them."""

_ASYNC = re.compile(r"\b(?:Async(?=[A-Z])|async |await )")
"""What differs in words that say the same of an asynchronous member."""
_CONSTRUCTORS = ("__init__", "__new__")
_FOREIGN = "BaseException, BaseModel, Enum, Generic, Protocol, dict, int, str, tuple"
"""Bases whose members are described elsewhere."""

_NAME = re.compile(r"\b_?[A-Z]\w+")
"""A name in an annotation that may be a type's."""
_TYPE = ":type:"
_DOCSTRING_LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<target>https?://[^)\s]+)\)")
_CODE_BEFORE_LETTER = re.compile(r"(?<!`)`[^`\n]+`(?=\w)")
_CODE_WITH_BACKSLASH = re.compile(r"(?<!`)`(?P<code>[^`\n]*\\[^`\n]*)`(?![`_])")
_PAGE = re.compile(r"(?<![/\w])docs/(?P<page>[a-z][a-z/-]*)\.md\b")
_TABLE = re.compile(r"^(?P<indent> *)\|.*\n(?: *\|.*\n)+", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks; Sphinx calls this once."""
    app.connect("builder-inited", write_reference)
    app.connect("doctree-read", set_targets)
    # Before napoleon, which makes fields of the sections.
    app.connect("autodoc-process-docstring", say_once, priority=400)
    app.connect("autodoc-process-signature", hide_constructor)
    app.connect("autodoc-process-docstring", convert_docstring)
    # After napoleon.
    app.connect("autodoc-process-docstring", keep_summary, priority=600)
    return {"parallel_read_safe": True}


class Entry(NamedTuple):
    """A public name and where it is described."""

    path: str
    """The import path that its entry has."""

    module: str
    """The module on whose page it stands."""

    @property
    def name(self) -> str:
        """The name alone."""
        return self.path.rpartition(".")[2]

    @property
    def page(self) -> str:
        """The page of its own that a large class has; in small letters, it differs from the module's, too."""
        return f"{self.module}.{self.name}"

    @property
    def target(self) -> str:
        """The path of its entry: the words on a constant are found only in the module that assigns it."""
        value = self.value
        return self.path if callable(value) and hasattr(value, "__name__") else f"{self.module}.{self.name}"

    @property
    def value(self) -> Any:
        """What the name stands for."""
        return getattr(importlib.import_module(self.path.rpartition(".")[0]), self.name)

    @property
    def has_page(self) -> bool:
        """Whether it is a class with a page of its own."""
        value = self.value
        return self.module in _BY_CLASS and inspect.isclass(value) and not issubclass(value, BaseException)


def public_modules() -> list[ModuleType]:
    """Return the public modules, the package itself first."""
    found = pkgutil.walk_packages(tokenstream.__path__, "tokenstream.")
    names = [module.name for module in found if not re.search(r"\._", module.name)]
    modules = [tokenstream, *map(importlib.import_module, names)]
    return [module for module in modules if getattr(module, "__all__", None)]


@functools.cache
def entries() -> dict[str, list[Entry]]:
    """Return for each public module's name the entries of its page.

    A name that several modules export belongs to the one of them that has the longest path, and is
    imported from the one with the shortest.
    """
    exported: dict[tuple[str, int], list[str]] = {}
    for module in public_modules():
        for name in module.__all__:
            if not inspect.ismodule(value := getattr(module, name)):
                exported.setdefault((name, id(value)), []).append(module.__name__)
    pages: dict[str, list[Entry]] = {module: [] for module in TITLES}
    for (name, _), modules in exported.items():
        by_length = sorted(modules, key=len)
        home = by_length[-1] if by_length[-1] != tokenstream.__name__ else _READING
        pages[home].append(Entry(f"{by_length[0]}.{name}", home))
    return {module: sorted(found, key=_place) for module, found in pages.items() if found}


def _place(entry: Entry) -> tuple[int, str, bool]:
    """Return what entries are sorted by: the class with `Async` in front comes after the one without."""
    twin = entry.name.removeprefix("Async")
    first = _FIRST.index(twin) if twin in _FIRST else len(_FIRST)
    return first, twin.lower(), twin != entry.name


def write_reference(app: Sphinx) -> None:
    """Write the pages of the public modules and of their large classes, and the list of these pages."""
    folder = Path(app.srcdir) / REFERENCE
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"index": _index_page()}
    for module, found in entries().items():
        pages[module] = _module_page(module, found)
        pages |= {entry.page: _class_page(entry) for entry in found if entry.has_page}
    for page in folder.glob("*.rst"):
        if page.stem not in pages:
            # The page of a name that is gone.
            page.unlink(missing_ok=True)
    for name, text in pages.items():
        _write(folder / f"{name}.rst", text)


def _index_page() -> str:
    """Return the list of the modules' pages."""
    head = _heading("API reference")
    rows = [
        f"* :doc:`{TITLES[module]} <{module}>`, ``{module}``: {_first_sentence(_docstring(module))}"
        for module in entries()
    ]
    toctree = _toctree(f"{module.removeprefix('tokenstream.')} <{module}>" for module in entries())
    types = [_heading("Types in signatures", "-"), *map(_type_entry, sorted(types_in_signatures()))]
    return "\n".join([head, "Every public name, by what you do with it.\n", *rows, "", *types, toctree])


def _type_entry(name: str) -> str:
    """Return the directive that describes a type of `types_in_signatures`."""
    values, docstring = types_in_signatures()[name]
    words = textwrap.indent(_to_rst(docstring), "   ")
    head = f".. py:type:: {name}\n   :canonical: {values}" if values else f".. py:class:: {name}"
    return f"{head}\n\n{words}\n"


def _module_page(module: str, found: list[Entry]) -> str:
    """Return the page of a module: its docstring, links to its classes' pages, and the other entries."""
    apart = [entry for entry in found if entry.has_page]
    parts = [
        _heading(TITLES[module]),
        f"Module ``{module}``.\n",
        f".. automodule:: {module}\n   :no-index:\n",
    ]
    parts += [
        f"* :doc:`{entry.name} <{entry.page}>`: {_first_sentence(_docstring(entry.value))}" for entry in apart
    ]
    parts += ["", *(_entry(entry) for entry in found if not entry.has_page)]
    return "\n".join([*parts, _toctree(entry.page for entry in apart)])


def _class_page(entry: Entry) -> str:
    """Return the page of a class."""
    return f"{_heading(entry.name)}\n{_entry(entry)}"


def _entry(entry: Entry) -> str:
    """Return the directives that describe a name."""
    value = entry.value
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        return f".. auto{kind}:: {entry.path}\n{_members(value)}"
    if callable(value) and hasattr(value, "__name__"):
        return f".. autofunction:: {entry.path}\n"
    return f".. autodata:: {entry.target}\n"


def _members(value: type) -> str:
    """Return the part of a class's directive for its members: those of a stream in `_MEMBERS`' order."""
    if not issubclass(value, (tokenstream.Stream, tokenstream.AsyncStream)):
        return f"   :members:\n   :inherited-members: {_FOREIGN}\n"
    public = [name for name in dir(value) if not name.startswith("_")]
    # What a kind of stream has beyond the others is what it is for.
    public.sort(key=lambda name: _MEMBERS.index(name) if name in _MEMBERS else -1)
    kinds = {name: inspect.getattr_static(value, name) for name in public}
    return "".join(
        f"\n   .. auto{'property' if isinstance(kind, property) else 'method'}:: {name}\n"
        for name, kind in kinds.items()
    )


def _heading(title: str, line: str = "=") -> str:
    """Return the title of a page, or of a section of it."""
    return f"{title}\n{line * len(title)}\n"


def _toctree(pages: Iterable[str]) -> str:
    """Return the directive that puts pages below this one in the navigation."""
    return "\n".join(["", ".. toctree::", "   :hidden:", "", *(f"   {page}" for page in pages), ""])


def _docstring(value: object) -> str:
    """Return the docstring of a class, or of the module of this name."""
    return inspect.getdoc(importlib.import_module(value) if isinstance(value, str) else value) or ""


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
    return names[-1] if names[-1] in types_in_signatures() else f"-{target}"


@functools.cache
def public_paths() -> dict[str, list[str]]:
    """Return the paths of the entries of each public name."""
    paths: dict[str, list[str]] = {}
    for entry in itertools.chain.from_iterable(entries().values()):
        paths.setdefault(entry.name, []).append(entry.target)
    return paths


@functools.cache
def types_in_signatures() -> dict[str, tuple[str, str]]:
    """Return the values and the words of each type that public signatures name, and no module exports.

    A class has no values; its words end with its attributes.
    """
    found: dict[str, tuple[str, str]] = {}
    named = [each for entry in itertools.chain(*entries().values()) for each in _named(entry)]
    seen: set[tuple[str, str]] = set()
    for module, name in named:
        if (module, name) in seen or (known := _find_type(module, name)) is None:
            continue
        seen.add((module, name))
        home, values, docstring = known
        if name not in public_paths():
            found.setdefault(name, (values, docstring))
        # What it is made of may be a type of the same kind.
        named += [(home, other) for other in _NAME.findall(values)]
    return found


def _named(entry: Entry) -> Iterable[tuple[str, str]]:
    """Return the names in the annotations of an entry and of its members, each with the module that has it."""
    value = entry.value
    bases = [base for base in getattr(value, "__mro__", ()) if base.__module__.startswith("tokenstream")]
    members = [member for base in bases for name, member in vars(base).items() if _is_shown(name)]
    for base in bases:
        yield from _assigned(base)
    if inspect.isclass(value) and _is_made_here(value):
        members = [member for member in members if getattr(member, "__name__", "") not in _CONSTRUCTORS]
    for member in [value, *bases, *members]:
        of_property = member.fget if isinstance(member, property) else getattr(member, "func", member)
        each = getattr(member, "__func__", of_property)
        # The constructor of a named tuple is made in no module.
        if (inspect.isclass(each) or inspect.isfunction(each)) and each.__module__ in sys.modules:
            for written in [each, *(typing.get_overloads(each) if inspect.isfunction(each) else ())]:
                annotated = inspect.get_annotations(written).items()
                texts = [str(annotation) for name, annotation in annotated if _is_shown(name)]
                yield from ((each.__module__, name) for text in texts for name in _NAME.findall(text))


def _assigned(value: type) -> Iterable[tuple[str, str]]:
    """Return the names in the annotations of the attributes that the methods of a class assign."""
    made = [node for node in _tree(value.__module__).body if getattr(node, "name", "") == value.__name__]
    for node in itertools.chain.from_iterable(map(ast.walk, made)):
        match node:
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation) if _is_shown(name):
                yield from ((value.__module__, each) for each in _NAME.findall(ast.unparse(annotation)))


def _is_shown(name: str) -> bool:
    """Return whether a page shows a member or a parameter of this name, or its signature."""
    return not name.startswith("_") or name in _CONSTRUCTORS


def hide_constructor(
    app: Sphinx, kind: str, name: str, value: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, None] | None:
    """Leave out the signature of a class that only the library makes."""
    return ("", None) if inspect.isclass(value) and _is_made_here(value) else None


def _is_made_here(value: type) -> bool:
    """Return whether only the library makes objects of a class. The fields of a dataclass are shown in any case."""
    makers = [made for name in _CONSTRUCTORS if inspect.isfunction(made := getattr(value, name))]
    arguments = [(maker.__module__, *each) for maker in makers for each in inspect.get_annotations(maker).items()]
    if dataclasses.is_dataclass(value):
        return any(argument.startswith("_") for _, argument, _ in arguments)
    names = [
        (module, name)
        for module, _, annotation in arguments
        for name in _NAME.findall(str(annotation))
        if name not in public_paths() and module in sys.modules
    ]
    found = [_find_type(module, name) for module, name in names]
    return any(known is not None and not known[1] for known in found)


def _find_type(module: str, name: str) -> tuple[str, str, str] | None:
    """Return the module that assigns a type, its values and its words, as a module knows it; None for others."""
    types, imported = _types_of(module) if module.startswith("tokenstream") else ({}, {})
    if name in types:
        return module, *types[name]
    return _find_type(*imported[name]) if name in imported else None


@functools.cache
def _types_of(module: str) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Return the types that a module assigns, with values and words, and the place of each name that it imports."""
    types: dict[str, tuple[str, str]] = {}
    imported: dict[str, tuple[str, str]] = {}
    bodies = [node.body for node in ast.walk(_tree(module)) if isinstance(node, (ast.Module, ast.If, ast.Try))]
    for node, after in itertools.chain.from_iterable(itertools.pairwise([*body, ast.Pass()]) for body in bodies):
        match node:
            case ast.ImportFrom(module=str(other)) if other.startswith("tokenstream"):
                imported |= {name.asname or name.name: (other, name.name) for name in node.names}
            case ast.ClassDef(name=name):
                types[name] = "", _describe_class(node)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias"), value=ast.expr() as made):
                values = made.value if isinstance(made, ast.Constant) else ast.unparse(made)
                match after:
                    case ast.Expr(value=ast.Constant(value=str(words))):
                        types[name] = str(values), inspect.cleandoc(words)
                    case _:
                        types[name] = str(values), ""
    return types, imported


@functools.cache
def _tree(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def _describe_class(made: ast.ClassDef) -> str:
    """Return the docstring of a class without its example, which is the library's own, and its attributes."""
    rows: list[str] = []
    for node, after in itertools.pairwise(made.body):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                if _is_shown(name):
                    rows.append(f"* `{name}`: {' '.join(words.split())}")
            case _:
                pass
    words = (ast.get_docstring(made) or "").partition("\nExample:")[0]
    return "\n".join([words, "", *rows])


def say_once(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Leave out of an asynchronous member's docstring what that of its twin says, and name the twin."""
    path, _, member = name.rpartition(".")
    owner = path.rpartition(".")[2]
    twin = _classes().get(owner.removeprefix("Async")) if owner.startswith("Async") else None
    if twin is None or not hasattr(twin, member):
        return
    told = {_ASYNC.sub("", paragraph) for paragraph in _paragraphs(_docstring(getattr(twin, member)))}
    own = [each for each in _paragraphs("\n".join(lines)) if _ASYNC.sub("", each) not in told]
    named = f"`{twin.__name__}.{member}`"
    head = [] if any(named in each for each in own) else [f"As {named}."]
    lines[:] = "\n\n".join([*head, *own, ""]).split("\n")


@functools.cache
def _classes() -> dict[str, type]:
    """Return the public classes by their names."""
    found = itertools.chain.from_iterable(entries().values())
    return {entry.name: entry.value for entry in found if inspect.isclass(entry.value)}


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, without the blank lines between them."""
    return [each for each in re.split(r"\n\s*\n", text.strip("\n")) if each.strip()]


def convert_docstring(
    app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Turn the Markdown of a docstring into reStructuredText."""
    lines[:] = _to_rst("\n".join(lines)).split("\n")


def _to_rst(text: str) -> str:
    """Return a text whose Markdown, which is links and tables, is reStructuredText."""
    # reStructuredText keeps backslashes only between two pairs of backticks.
    text = _CODE_WITH_BACKSLASH.sub(r"``\g<code>``", text)
    text = _PAGE.sub(r":doc:`/\g<page>`", text)
    text = _DOCSTRING_LINK.sub(r"`\g<text> <\g<target>>`__", text)
    # Unlike Markdown, reStructuredText wants something between code and a letter: "`MediaPart`s".
    text = _CODE_BEFORE_LETTER.sub(r"\g<0>\\ ", text)
    return _TABLE.sub(_convert_table, text + "\n")


def keep_summary(app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Undo what napoleon does to the summary of an attribute or a property: "Always None: any text is fine."

    It takes what stands before a colon for the type, and moves it behind the rest. Our types are in annotations.
    """
    if kind in {"attribute", "property", "data"} and (typed := _find_type_line(lines)) is not None:
        before = lines.pop(typed).removeprefix(_TYPE).strip()
        lines[0] = f"{before}: {lines[0]}"


def _find_type_line(lines: list[str]) -> int | None:
    """Return the index of the line in which napoleon has put a type; None if there is none."""
    found = [index for index, line in enumerate(lines) if line.startswith(_TYPE)]
    return found[0] if found else None


def _convert_table(table: re.Match[str]) -> str:
    """Return a Markdown table as a `list-table`."""
    indent = table["indent"]
    rows = [re.split(r"(?<!\\)\|", row.strip().strip("|")) for row in table[0].strip("\n").split("\n")]
    written = [".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        cells = [cell.strip().replace("\\|", "|") for cell in row]
        written += [f"   {'*' if index == 0 else ' '} - {cell}" for index, cell in enumerate(cells)]
    return "\n" + "".join(f"{indent}{line}".rstrip() + "\n" for line in written) + "\n"
