"""A change made to modules that are in use: their functions get the code of the changed source."""

from __future__ import annotations

import gc
import importlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from tests.mutations.changes import Change
from tests.project import PACKAGE

_Place = tuple[str, str, int]
"""A file, the name of a function, and its first line."""


class Functions:
    """All functions of modules, also those that a table, a decorator or another module keeps.

    Args:
        modules: Paths below the package; what nobody has imported is imported.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        for module in modules:
            path = module.removesuffix(".py").removesuffix("/__init__")
            importlib.import_module(".".join([PACKAGE.name, *path.split("/")]))
        files = {str(PACKAGE / module) for module in modules}
        self._found = defaultdict[_Place, list[FunctionType]](list)
        self.caches: list[Any] = []
        """What keeps results of functions of the library and its tests."""
        # What is frozen is in no list of the collector.
        gc.unfreeze()
        for value in gc.get_objects():
            if isinstance(value, FunctionType) and value.__code__.co_filename in files:
                self._found[_place(value.__code__)].append(value)
            elif isinstance(value, _CACHE) and value.__module__.startswith((PACKAGE.name, "tests.")):
                self.caches.append(value)
        gc.freeze()

    def codes(self) -> Iterator[CodeType]:
        """Yield the code of each function, and of those that it makes."""
        for functions in self._found.values():
            for function in functions:
                yield from _codes(function.__code__)

    def forget(self) -> None:
        for cache in self.caches:
            cache.cache_clear()

    def made(self) -> int:
        """Return how many results caches have missed."""
        return sum(cache.cache_info().misses for cache in self.caches)

    def change(self, change: Change) -> None:
        """Give each function that differs its changed code."""
        path = PACKAGE / change.module
        source = path.read_text(encoding="utf-8")
        old = _by_place(compile(source, path, "exec", dont_inherit=True))
        new = _by_place(compile(change.apply(source), path, "exec", dont_inherit=True))
        for place in old.keys() & new.keys():
            for before, after in zip(old[place], new[place], strict=False):
                for function in self._found[place] if before != after else ():
                    # Several lambdas may stand in a line. Elsewhere, pytest may have rewritten an assert.
                    if len(old[place]) == 1 or function.__code__ == before:
                        function.__code__ = after


_CACHE = type(lru_cache(len))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _place(code: CodeType) -> _Place:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _by_place(module: CodeType) -> dict[_Place, list[CodeType]]:
    found = defaultdict[_Place, list[CodeType]](list)
    for code in _codes(module):
        found[_place(code)].append(code)
    return found
