"""Hold what users can write: each public name with its members and its arguments, in tests/surface.txt.

`python -m tests.surface` writes the list anew. A name that has gone needs a line in CHANGELOG.md that names
it in backticks, and says what to write instead; without one, nothing is written.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from enum import EnumType
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.project import MODULES, ROOT
from tokenstream._basics.elsewhere import _Missing

LIST = Path(__file__).with_suffix(".txt")
PUBLIC: dict[str, list[str]] = {
    module: sorted(getattr(import_module(module), "__all__", ()))
    for module in sorted(MODULES)
    if not any(room.startswith("_") for room in module.split("."))
}
"""The names of each public module: one whose own name has no underscore."""


def list_names() -> set[str]:
    """Return the public names, with members and arguments; an object of several modules counts once."""
    names, known = {*PUBLIC}, set[int]()
    for module in sorted(PUBLIC, key=len):
        for name in PUBLIC[module]:
            value: Any = getattr(import_module(module), name)
            names.add(f"{module}.{name}")
            if id(value) not in known:
                known.add(id(value))
                names.update(f"{module}.{name}{member}" for member in _members_of(value))
    return names


def _members_of(of: Any) -> Iterator[str]:
    own = [base for base in getattr(of, "__mro__", ()) if base.__module__.startswith("tokenstream")]
    for base in own:
        for name, value in {**_set_by(base), **vars(base).get("__annotations__", {}), **vars(base)}.items():
            # Pydantic adds names of its own; and of a name of another library, only an error tells.
            if name[0] != "_" and not name.startswith("model_") and type(value) is not _Missing:
                yield f".{name}"
    if isinstance(of, EnumType) or (own and not any("__init__" in vars(base) for base in own)):
        return
    try:
        arguments = inspect.signature(of).parameters
    except (TypeError, ValueError):
        # A type alias has none.
        return
    yield from (f"({name}=)" for name in arguments if name[0] != "_")


def _set_by(cls: type) -> dict[str, Any]:
    """Return the attributes that the methods of a class set."""
    return dict.fromkeys(re.findall(r"^ +self\.(\w+)\b(?:: .+?)? = ", inspect.getsource(cls), re.MULTILINE))


def find_unexplained(gone: set[str], changelog: str) -> list[str]:
    """Return the names that have gone of which CHANGELOG says nothing."""
    _, _, gone_before = changelog.partition("\n### For users of a clone\n")
    told = {each.rstrip("=)") for each in re.findall(r"`([\w.()=]+)`", gone_before)}
    words = re.compile(rf"(?:^|[.(])(?:{'|'.join(map(re.escape, told))})(?:[.(=]|$)")
    return sorted(name for name in gone if words.search(name) is None)


def main() -> int:
    names = list_names()
    unexplained = find_unexplained(
        {*LIST.read_text().split()} - names, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    )
    if unexplained:
        sys.stderr.write(f"CHANGELOG.md does not say what to write in place of {', '.join(unexplained)}\n")
        return 1
    LIST.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
