"""The browser's reader as a package for JavaScript: its types and its sizes."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.browser.declarations import STRICTLY, make_declarations
from tests.project import ROOT
from tests.support.node import node_with
from tokenstream import relay

if TYPE_CHECKING:
    from pathlib import Path

_FILES = relay.assets.directory
_SHARED = ("answer.js", "connection.js", "message.js", "patch.js", "sse.js")
"""Modules that `follow` needs, and that a page with an adapter has already."""
_PAGE = (ROOT / "docs" / "browser.md").read_text("utf-8")
_MOST = {"tokenstream": 6000, "store": 2000, "use-chat": 2000, "ag-ui": 2000, "websocket": 2000}
"""The most bytes of each module, minified and compressed."""


@pytest.mark.slow
def test_the_declarations_are_those_of_the_modules() -> None:
    """`python -m tests.browser.declarations` writes them: TypeScript reads them in place of the modules."""
    folder, _ = node_with("typescript")
    committed = {path.name: path.read_text("utf-8") for path in _FILES.glob("*.d.ts")}

    # Versions of TypeScript may differ in where they break lines.
    made = make_declarations(_FILES, folder)
    assert {name: text.split() for name, text in made.items()} == {
        name: text.split() for name, text in committed.items()
    }


@pytest.mark.slow
def test_its_types_hold(tmp_path: Path) -> None:
    """TypeScript checks the page of the chat, and what programs do with the package and its adapters."""
    folder, node = node_with("typescript", "@ag-ui/client", "@ai-sdk/react", "ai")
    project = tmp_path / "project"
    (project / "node_modules").mkdir(parents=True)
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    (project / "node_modules" / "llm-tokenstream").symlink_to(_FILES)
    shutil.copytree(ROOT / "examples" / "chat", project / "chat")
    (project / "chat" / "tokenstream").symlink_to(_FILES)
    for uses in (ROOT / "tests" / "browser").glob("uses*.ts"):
        shutil.copy(uses, project)
    files = [*sorted(project.glob("chat/*.js")), *sorted(project.glob("*.ts"))]
    done = subprocess.run(
        [node, folder / "node_modules" / "typescript" / "bin" / "tsc", *STRICTLY, "--noEmit", *files],
        cwd=project,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert len(files) == 4
    assert done.returncode == 0, done.stdout


@pytest.mark.browser
@pytest.mark.parametrize("module", _MOST)
def test_a_page_loads_few_bytes(module: str) -> None:
    """Minified and compressed; an adapter's bytes are those that come on top of `follow`'s."""
    folder, node = node_with("esbuild")
    external = () if module == "tokenstream" else tuple(f"--external:./{name}" for name in _SHARED)
    paths = os.pathsep.join([os.path.dirname(node), os.environ["PATH"]])  # noqa: PTH120 - a path may be bare
    bundled = subprocess.run(
        [
            folder / "node_modules" / ".bin" / "esbuild",
            *(_FILES / f"{module}.js", "--bundle", "--minify", "--format=esm", *external),
        ],
        env={**os.environ, "PATH": paths},
        capture_output=True,
        check=True,
    ).stdout
    size = len(gzip.compress(bundled, 9))
    told = re.search(rf"^\| `{module}.js` \|.*\| ([0-9,]+)", _PAGE, re.MULTILINE)

    assert size <= _MOST[module]
    # To the next hundred, as the page says.
    assert told
    assert size <= int(told[1].replace(",", "")) < size + 200
