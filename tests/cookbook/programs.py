"""The programs of docs/cookbook, which tests here run as they are: each is on its page, or in examples/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.docs_pages import blocks
from tests.project import PACKAGE, ROOT
from tests.support.served import by_python

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

FOLDER = ROOT / "docs" / "cookbook"
INDEX = ROOT / "docs" / "cookbook.md"
EXAMPLES = ROOT / "examples"
MAX_LINES = 60


def example_of(recipe: str) -> Path | None:
    """Return the folder of a program that is too long for its page; None if the page has the program."""
    folder = EXAMPLES / recipe.replace("-", "_")
    return folder if folder.is_dir() else None


def program_of(recipe: str) -> str:
    """Return the program of a page of the cookbook: its one block of Python."""
    (block,) = blocks((FOLDER / f"{recipe}.md").read_text(encoding="utf-8"), "python")
    return block.code


def write_program(recipe: str, folder: Path) -> Path:
    """Write a page's program into a folder, under the page's name, so that it can be run or imported.

    A program of several files gets the folder that it has in examples/, and is returned as its `app.py`.
    """
    example = example_of(recipe)
    if example is not None:
        copied = folder / "examples" / example.name
        shutil.copytree(example, copied, ignore=shutil.ignore_patterns("__pycache__"))
        return copied / "app.py"
    path = folder / f"{recipe.replace('-', '_')}.py"
    path.write_text(program_of(recipe), encoding="utf-8")
    return path


def write_page(recipe: str, folder: Path, name: str, language: str) -> None:
    """Write a page's one block in another language into a folder: a file that the program needs."""
    (block,) = blocks((FOLDER / f"{recipe}.md").read_text(encoding="utf-8"), language)
    (folder / name).write_text(block.code, encoding="utf-8")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a program: it finds this library, and asks no real provider."""
    paths = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "NO_PROXY": "*",
        "PYTHONPATH": paths,
        "PYTHONIOENCODING": "utf-8",
        **variables,
    }


def run_program(
    recipe: str, folder: Path, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a page's program as a script, and return what it printed."""
    return subprocess.run(
        [sys.executable, str(write_program(recipe, folder)), *arguments],
        cwd=folder,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )


def serving(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[str]:
    """Serve with Python and these arguments, in which {port} is its port; the context has its address."""
    return by_python(folder, environment(**variables), *arguments)
