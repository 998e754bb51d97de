"""The programs of docs/cookbook: each page has one, and a module of tests here runs it as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.docs_pages import blocks
from tests.project import PACKAGE, ROOT
from tests.support.proxies import free_port

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

FOLDER = ROOT / "docs" / "cookbook"
INDEX = ROOT / "docs" / "cookbook.md"
MAX_LINES = 60


def program_of(recipe: str) -> str:
    """Return the program of a page of the cookbook: its one block of Python."""
    (block,) = blocks((FOLDER / f"{recipe}.md").read_text(encoding="utf-8"), "python")
    return block.code


def write_program(recipe: str, folder: Path) -> Path:
    """Write a page's program into a folder, under the page's name, so that it can be run or imported."""
    path = folder / f"{recipe.replace('-', '_')}.py"
    path.write_text(program_of(recipe), encoding="utf-8")
    return path


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
        timeout=60,
    )


@contextmanager
def serving(folder: Path, *arguments: str, **variables: str) -> Generator[str]:
    """Run a server with Python and these arguments, in which {port} is its port; yield its address."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    variables = {name: value.format(port=port) for name, value in variables.items()}
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    with subprocess.Popen(command, cwd=folder, env=environment(**variables)) as process:
        try:
            due = time.monotonic() + 40
            while True:
                try:
                    httpx.get(url, trust_env=False)
                    break
                except httpx.TransportError:
                    assert process.poll() is None, "the server has ended"
                    assert time.monotonic() < due, "the server does not answer"
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()
