"""Check the Python of pages with type checkers: `python -m tests.docs.typed_pages [PAGE…]`.

The blocks of a page, or of a section of a page of `APART`, are one program, in their order, as in
tests/docs/test_docs.py; each block of a page of `PROGRAMS` is a program of its own. What cannot stand in a
module is put where a reader would put it: if a block awaits outside of a function, the page is the body of
one. The names that the documents may use without defining them are declared above. pyright leaves out a
program where a package that it imports is not installed; mypy takes what a package gives for anything, since
reading the types of all of them takes it most of its time, and pyright sees them.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import tokenstream
from tests.docs.pages import PAGES, PROGRAMS, Block, blocks, imported_modules, name_of, parts_of
from tests.docs.server import docs_server
from tests.project import ROOT

_SOURCES = Path(tokenstream.__file__).parents[1]
CHECKERS: dict[str, list[str]] = {
    "mypy": [
        "--strict",
        # A page shows one thing after another, and gives the same name to each.
        "--allow-redefinition",
        # What packages give is anything.
        "--disable-error-code=import-untyped",
        "--ignore-missing-imports",
        "--allow-subclassing-any",
        "--no-warn-return-any",
        "--disable-error-code=untyped-decorator",
        "--config-file=mypy.ini",
        "--cache-dir=cache",
        ".",
    ],
    "pyright": ["--project", "pyrightconfig.json"],
}
_FOLLOWED = {"tokenstream", "pydantic"}
"""The packages whose types mypy reads: ours, and that of the models in it."""
_PREAMBLE = """from typing import Any
def given() -> Any: ...
"""
_DECLARED: dict[type, str] = {str: "str", dict: "dict[str, Any]", list: "list[Any]"}


def declarations() -> dict[str, str]:
    """Return the statements that give the documents the names which they use without defining them."""
    with docs_server() as names:
        kinds = {name: _DECLARED.get(type(value), "Any") for name, value in names.items()}
    kinds["headers"] = "dict[str, str]"
    return {name: f"{name}: {kind} = given()\n" for name, kind in kinds.items()}


def programs_of(pages: Iterable[Path], checker: str) -> dict[str, str]:
    """Return the programs of pages for a checker, each under a name that says where it begins.

    With names in `TOKENSTREAM_REQUIRE_SDKS`, only those that import one of these modules.
    """
    declared = declarations()
    programs = dict[str, str]()
    for page, part in ((path, part) for path in pages for part in parts_of(path)):
        found = list(blocks(part.text, "python"))
        name = re.sub(r"\W+", "_", part.name.replace(".md", ""))
        if name_of(page) in PROGRAMS:
            programs.update(
                {f"{name}_{block.line}.py": block.code for block in found if not _is_excerpt(block)}
            )
        elif found:
            code = "\n".join(block.code for block in found)
            own = set(re.findall(r"^(\w+): ", code, re.MULTILINE))
            given = [line for name, line in declared.items() if name not in own]
            programs[f"{name}.py"] = "".join([_PREAMBLE, *given, _as_module(code)])
    return {name: code for name, code in programs.items() if _is_checked(code, checker)}


def _is_excerpt(block: Block) -> bool:
    """Return whether a block is a part of an example, which is checked as a file."""
    parts = [textwrap.indent(block.code, " " * depth) for depth in (0, 4)]
    return any(part in text for part in parts for text in _example_texts())


@cache
def _example_texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (ROOT / "examples").rglob("*.py")]


def _is_checked(code: str, checker: str) -> bool:
    """Return whether a program imports one of the required modules, and all are there if that is needed."""
    required = os.environ.get("TOKENSTREAM_REQUIRE_SDKS", "").removeprefix("1").split()
    modules = imported_modules(code)
    is_required = not required or any(module.startswith(tuple(required)) for module in modules)
    return is_required and (checker == "mypy" or all(map(_is_there, modules)))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _as_module(code: str) -> str:
    """Return code that may stand in a module: in a function if it awaits outside of one."""
    compiled = compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        return code
    return f"async def page() -> None:\n{textwrap.indent(code, '    ')}"


def check(checker: str, programs: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a type checker on programs, with the options of one who has none of their own but "strict"."""
    for name, code in programs.items():
        (folder / name).write_text(code, encoding="utf-8")
    settings: dict[str, Any] = {"pythonVersion": "3.11"}
    is_installed = "site-packages" in _SOURCES.parts
    beside = {} if is_installed else {"extraPaths": [str(_SOURCES)]}
    (folder / "pyrightconfig.json").write_text(json.dumps({**settings, **beside}), encoding="utf-8")
    (folder / "mypy.ini").write_text(_not_followed(programs.values()), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker]],
        cwd=folder,
        env={**os.environ, "MYPYPATH": "" if is_installed else str(_SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )


def _not_followed(programs: Iterable[str]) -> str:
    """Return the settings with which mypy reads no types of the packages that programs import."""
    modules = {module.partition(".")[0] for code in programs for module in imported_modules(code)}
    packages = sorted(modules - _FOLLOWED - sys.stdlib_module_names)
    return "".join(["[mypy]\n", *(f"[mypy-{name},{name}.*]\nfollow_imports = skip\n" for name in packages)])


def main(names: list[str]) -> int:
    """Check the pages of these names, all by default, and print what each checker says."""
    failed = 0
    for checker in CHECKERS:
        programs = programs_of([ROOT / name for name in names] or PAGES, checker)
        with tempfile.TemporaryDirectory() as folder:
            checked = check(checker, programs, Path(folder))
            sys.stdout.write(checked.stdout + checked.stderr)
            failed |= checked.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
