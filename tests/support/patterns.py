"""The regular expressions of the package, and texts that are hard for them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.project import PACKAGE, parsed

# The parser of expressions has no public name; this is its place since Python 3.11.
_parse: Any = importlib.import_module("re._parser").parse

_WAYS = ("match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split")
_MANY = 40
"""Number of repetitions from which a bound counts as none."""
_CHARACTERS = [
    chr(code) for code in (*range(0x20, 0x7F), 0x09, 0x0A, 0x0D, 0, 0x80, 0xE9, 0x2028, 0xD800, 0x1F642)
]
_SEEDS = 3
_MANY_REPEATS = 30
_IMPORT = re.compile(r"^\s*import re$", re.MULTILINE)


@dataclass(frozen=True)
class Expression:
    """One regular expression, and the package's way of using it."""

    place: str
    pattern: re.Pattern[Any]
    ways: frozenset[str]


@cache
def _files() -> dict[str, Path]:
    names = [info.name for info in pkgutil.walk_packages([str(PACKAGE)], "tokenstream.")]
    places = {name: PACKAGE.parent.joinpath(*name.split(".")) for name in names}
    return {
        name: place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        for name, place in places.items()
    }


@cache
def _all_used(module: str) -> dict[str, frozenset[str]]:
    """Return the ways in which a module uses each of its names as an expression."""
    found = defaultdict[str, set[str]](set)
    for node in ast.walk(parsed(_files()[module])):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in _WAYS:
            found[node.value.id].add(node.attr)
    return {name: frozenset(ways) for name, ways in found.items()}


def _ways_of(module: str, name: str) -> frozenset[str]:
    """Return the ways in which a module uses `name`; "search" if that is unclear."""
    return _all_used(module).get(name) or frozenset({"search"})


def _patterns_in(
    value: object, module: str, name: str, depth: int = 3
) -> Iterator[tuple[re.Pattern[Any], frozenset[str]]]:
    """Yield the patterns in a module's value; a bound method shows the way of using it."""
    if isinstance(value, re.Pattern):
        yield value, _ways_of(module, name)
    elif isinstance(owner := getattr(value, "__self__", None), re.Pattern):
        yield owner, frozenset({str(getattr(value, "__name__", "search"))})
    elif depth and isinstance(value, dict | tuple | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _patterns_in(inner, module, name, depth - 1)


def kept() -> Iterator[Expression]:
    for module in _files():
        for name, value in vars(importlib.import_module(module)).items():
            if name.startswith("__"):
                continue
            for pattern, ways in _patterns_in(value, module, name):
                yield Expression(f"{module}.{name}", pattern, ways)


@cache
def written() -> list[tuple[str, ast.Call]]:
    """Return each use of the module `re` inside a function, with its module and the innermost function."""
    found = {
        node: f"{module}.{function.name}"
        for module, file in _files().items()
        if _IMPORT.search(file.read_text(encoding="utf-8"))
        for function in ast.walk(parsed(file))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in {*_WAYS, "compile"}
        )
    }
    return [(place, node) for node, place in found.items()]


def hostile(pattern: re.Pattern[Any], size: int) -> list[str]:
    """Return texts of about `size` characters that nearly match: cut, spoilt, or started again."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else str(pattern.pattern, "latin-1")
    tree = _parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    found: list[str] = []
    repeats = _repeats(tree)
    # Where they are many, several are the same expression within others, as those of a JSON string.
    seeds = 1 if repeats > _MANY_REPEATS else _SEEDS
    for target in range(repeats):
        for seed in range(seeds):
            writer = _Writer(random.Random(seed), target, size)
            whole = writer.write(tree)
            found += [whole, whole + "\0", whole + "\\"]
            if writer.start is not None:
                grown = whole[: writer.start + size]
                start = whole[: writer.start] + writer.unit
                found += [grown, grown + "\0", start * (1 + size // (len(start) or 1))]
    return found


def _repeats(tree: Any) -> int:
    writer = _Writer(random.Random(0), None, 0)
    writer.count(tree)
    return writer.seen


class _Writer:
    """Writes texts that an expression matches, with one of its repetitions made very long.

    Args:
        target: Number of the repetition that is made long.
        size: Its length, in characters.
    """

    def __init__(self, chance: random.Random, target: int | None, size: int) -> None:
        self._chance = chance
        self._target = target
        self._size = size
        self.seen = 0
        self.start: int | None = None
        self.unit = ""

    def count(self, tree: Any) -> None:
        """Count the repetitions without a bound."""
        for operation, argument in tree:
            if str(operation).endswith("REPEAT"):
                self.seen += argument[1] > _MANY
            for inner in _inside(str(operation), argument):
                self.count(inner)

    def write(self, tree: Any, before: int = 0) -> str:
        """Return a text that matches.

        Args:
            before: Number of characters before this text.
        """
        text = ""
        for operation, argument in tree:
            text += self._one(str(operation), argument, before + len(text))
        return text

    def _one(self, operation: str, argument: Any, before: int) -> str:
        if operation.endswith("REPEAT"):
            return self._repeat(argument, before)
        if operation == "BRANCH":
            branches = argument[1]
            chosen = self._chance.randrange(len(branches))
            texts = []
            for index, branch in enumerate(branches):
                inside = self.seen
                texts.append(self.write(branch, before))
                if self._target is not None and inside <= self._target < self.seen:
                    chosen = index
            return texts[chosen]
        if operation in {"SUBPATTERN", "ATOMIC_GROUP"}:
            return self.write(argument[-1] if operation == "SUBPATTERN" else argument, before)
        if operation in {"LITERAL", "NOT_LITERAL", "IN", "ANY"}:
            return self._character(operation, argument)
        return ""

    def _repeat(self, argument: Any, before: int) -> str:
        least, most, inner = argument
        mine = most > _MANY and self.seen == self._target
        self.seen += most > _MANY
        number = self.seen
        if mine:
            self.start = before
            self.unit = self.write(inner, before) + (
                self._again(inner, number) if self._chance.random() < 0.5 else ""
            )
            return self.unit * (min(most, self._size) if not self.unit else 1 + self._size // len(self.unit))
        text = self.write(inner, before)
        if least == 0 and not self._within(number) and self._chance.random() < 0.3:
            return ""
        return text + "".join(self._again(inner, number) for _ in range(min(least, 5_000) - 1))

    def _within(self, number: int) -> bool:
        """True if the long repetition has been written since."""
        return self._target is not None and number <= self._target < self.seen

    def _again(self, inner: Any, number: int) -> str:
        return _Writer(self._chance, None, 0).write(inner)

    def _character(self, operation: str, argument: Any) -> str:
        if operation == "LITERAL":
            return chr(argument)
        if operation == "ANY":
            return self._chance.choice('x"\\')
        allowed = [
            character
            for character in _CHARACTERS
            if (character != chr(argument) if operation == "NOT_LITERAL" else _is_in(character, argument))
        ]
        return self._chance.choice(allowed) if allowed else ""


def _inside(operation: str, argument: Any) -> list[Any]:
    if operation.endswith("REPEAT"):
        return [argument[2]]
    if operation == "BRANCH":
        return list(argument[1])
    if operation in {"SUBPATTERN", "ATOMIC_GROUP"}:
        return [argument[-1] if operation == "SUBPATTERN" else argument]
    return []


def _is_in(character: str, members: Any) -> bool:
    negated = False
    found = False
    for operation, argument in members:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= character == chr(argument)
            case "RANGE":
                found |= argument[0] <= ord(character) <= argument[1]
            case _:
                found |= re.match(_CATEGORIES[str(argument)], character) is not None
    return found != negated


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
