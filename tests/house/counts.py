"""Count what makes a package hard to carry: its lines by kind, names with two meanings, foreign writes."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PARTICIPLE = re.compile(
    "(Async|Sync)?([A-Z][a-z]*(ed|en)|Found|Held|Kept|Known|Made|Over|Said|Sent|Told)(Base)?"
)
_NO_PARTICIPLES = {"Feed", "Open", "Screen", "Seed", "Restarted", "Resumed", "Stopped"}
"""Nouns, a verb, and events that are part of the interface."""
_QUOTED = re.compile(r"`[^`\n]+`")
_PRIVATE = re.compile(r"(?<!\w)_\w+")
_PRIVATE_IN = re.compile(r"(?:(\w+)[./])?(?<!\w)(_\w*[^\W_])(?!\w)")


@dataclass(frozen=True)
class Module:
    """A module of a package.

    Attributes:
        name: Its path within the package.
        room: The first two folders of the path, or `(top)` where it stands in none.
    """

    name: str
    room: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The module, parsed: that takes ten times as long as to count its lines."""
        return ast.parse(self.text)


def modules(package: Path) -> list[Module]:
    found = []
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        *folders, _ = name.split("/")
        found.append(Module(name, "/".join(folders[:2]) or "(top)", path.read_text(encoding="utf-8")))
    return found


def nodes(of: Iterable[Module]) -> int:
    """Return the number of nodes of the syntax trees of modules."""
    return sum(1 for module in of for _ in ast.walk(module.tree))


def lines_of_tests(root: Path) -> Counter[str]:
    """Return the lines of tests and examples, by the first folder below `tests`; "" for those in none."""
    counts = Counter[str]()
    for path in (path for folder in ("tests", "examples") for path in (root / folder).rglob("*.py")):
        top, *folders, _ = path.relative_to(root).parts
        if "node_modules" not in folders:
            counts[folders[0] if top == "tests" and folders else ""] += path.read_bytes().count(b"\n")
    return counts


# No possessive group: CPython before 3.11.5 matches one wrongly where its subpattern backtracks.
_LONG_STRING = r'"""(?:[^"\\]|\\.|"(?!""))*"""'
_KINDS = re.compile(
    rf"""(?<![(,]\n)^[ ]*+(?P<docstrings>r?{_LONG_STRING})(?=[ ]*(?:\#[^\n]*)?$)
    |^[ ]*+(?:
        (?P<imports>(?:from[ ][\w.]+[ ])?import[ ](?:\([^)]*\)|[^(\n]+)[^\n]*)
        |(?P<comments>\#[^\n]*)
        |(?P<blank>)\n
    )
    |(?P<strings>{_LONG_STRING})""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
"""What is no code, and strings, in which nothing else is looked for; ruff's layout is relied upon."""


def lines_by_kind(of: Iterable[Module]) -> Counter[str]:
    """Return the number of lines of code, docstrings, imports, comments, and blank ones."""
    counts = Counter[str]()
    for module in of:
        counts["code"] += module.text.count("\n")
        for match in _KINDS.finditer(module.text):
            kind = match.lastgroup or ""
            if kind != "strings":
                lines = match[0].count("\n") + (kind != "blank")
                counts[kind] += lines
                counts["code"] -= lines
    return counts


def type_names(of: list[Module]) -> dict[str, list[str]]:
    """Return the names of classes and aliases, without underscores, each with the modules that define one."""
    places = defaultdict[str, list[str]](list)
    for module in of:
        for node in ast.walk(module.tree):
            match node:
                case ast.ClassDef(name) | ast.AnnAssign(ast.Name(name), ast.Name("TypeAlias")):
                    places[name.strip("_")].append(module.name)
    return dict(sorted(places.items()))


def shared_names(of: list[Module]) -> dict[str, list[str]]:
    return {name: where for name, where in type_names(of).items() if len(where) > 1}


def shared_functions(of: list[Module]) -> dict[str, set[str]]:
    """Return the names of functions of modules, without underscores, that several modules define."""
    places = defaultdict[str, set[str]](set)
    for module in of:
        for node in module.tree.body:
            if isinstance(node, _FUNCTIONS):
                places[node.name.strip("_")].add(module.name)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def methods(of: Iterable[Module]) -> dict[str, int]:
    """Return the number of methods of each class, without those of its bases."""
    classes = [node for module in of for node in module.tree.body if isinstance(node, ast.ClassDef)]
    return {each.name: sum(isinstance(node, _FUNCTIONS) for node in each.body) for each in classes}


def stale_names(of: list[Module]) -> set[str]:
    """Return the private names that the text has in backticks, and nothing in the package defines."""
    text = "\n".join(module.text for module in of)
    paths = {part for module in of for part in pairwise(module.name.removesuffix(".py").split("/"))}
    rooms, names = {room for room, _ in paths}, {name for _, name in paths}
    names.update(_PRIVATE.findall(_QUOTED.sub("", text)))
    quoted = _PRIVATE_IN.findall(" ".join(_QUOTED.findall(text)))
    known = paths | {(room, name) for room, name in quoted if name in names and room not in rooms}
    return {name for room, name in quoted if (room, name) not in known}


def participles(names: Iterable[str]) -> list[str]:
    """Return the names of classes that are participles alone, without a noun."""
    return [name for name in names if _PARTICIPLE.fullmatch(name) and name not in _NO_PARTICIPLES]


@dataclass
class Writes:
    """Who writes into what, in one room.

    Attributes:
        functions: Number of functions.
        foreign: Number of assignments to attributes of objects that the function has not made.
        setters: Number of methods that do nothing but assign what they are given to an attribute.
    """

    functions: int = 0
    foreign: int = 0
    setters: int = 0

    @property
    def per_thousand(self) -> int:
        """Foreign writes, for each 1,000 functions."""
        return round(1000 * self.foreign / max(self.functions, 1))


def writes(of: list[Module]) -> dict[str, Writes]:
    """Return the writes of each room, and those of the whole package under the name `all`."""
    found = defaultdict[str, Writes](Writes)
    for module in of:
        for function in ast.walk(module.tree):
            if isinstance(function, _FUNCTIONS):
                foreign, is_setter = sum(1 for _ in _foreign_writes(function)), _only_assigns(function)
                for room in (found[module.room], found["all"]):
                    room.functions += 1
                    room.foreign += foreign
                    room.setters += is_setter
    return dict(found)


def _foreign_writes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.Attribute]:
    own = {"self", "cls", *_made_in(function)}
    for node in ast.walk(function):
        for target in _targets(node):
            if isinstance(target, ast.Attribute):
                base = target.value
                if not (isinstance(base, ast.Name) and base.id in own):
                    yield target


def _made_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the names of what calls have made: to build an object is no foreign write."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            # In `machine.said = said = make()`, the call has made no machine.
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                yield from (name.id for name in names if isinstance(name, ast.Name))


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from target.elts if isinstance(target, ast.Tuple) else [target]
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        yield node.target


def _only_assigns(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a method only assigns its arguments to attributes of its object."""
    body = [each for each in function.body if not (isinstance(each, ast.Expr))]
    given = {argument.arg for argument in function.args.args[1:]}
    return (
        bool(given)
        and len(body) == 1
        and function.name != "__init__"
        and isinstance(body[0], ast.Assign)
        and isinstance(body[0].targets[0], ast.Attribute)
        and isinstance(body[0].value, ast.Name)
        and body[0].value.id in given
    )
