"""The browser's reader as a package for JavaScript: its types and its sizes."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.declarations import STRICTLY, make_declarations
from tests.project import ROOT
from tests.support.node import bundle, node_with, npm_with
from tokenstream import relay

_FILES = relay.assets.directory
_SHARED = ("answer.js", "connection.js", "message.js", "patch.js", "sse.js")
"""Modules that `follow` needs, and that a page with an adapter has already."""
_PAGE = (ROOT / "docs" / "guides" / "browser.md").read_text("utf-8")
_MOST = {"tokenstream": 6500, "store": 2000, "use-chat": 2000, "ag-ui": 2000, "websocket": 2000}
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
    """TypeScript checks the pages of two examples, and what programs do with the package and its adapters."""
    folder, node = node_with("typescript", "@ag-ui/client", "@ai-sdk/react", "ai")
    project = tmp_path / "project"
    (project / "node_modules").mkdir(parents=True)
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    (project / "node_modules" / "llm-tokenstream").symlink_to(_FILES)
    for example in ("chat", "agent_page"):
        shutil.copytree(ROOT / "examples" / example, project / example)
        (project / example / "tokenstream").symlink_to(_FILES)
    for uses in (ROOT / "tests" / "browser").glob("uses*.ts"):
        shutil.copy(uses, project)
    files = [*sorted(project.glob("*/*.js")), *sorted(project.glob("*.ts"))]
    done = subprocess.run(
        [node, folder / "node_modules" / "typescript" / "bin" / "tsc", *STRICTLY, "--noEmit", *files],
        cwd=project,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert len(files) == 5
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_npm_installs_the_folder(tmp_path: Path) -> None:
    """The command is that of docs/guides/browser.md; the package needs no other, and no network."""
    _, node = node_with()
    environment = {**os.environ, "npm_config_cache": str(tmp_path / "cache"), "npm_config_offline": "true"}
    command = [*npm_with(node), "install", "--no-audit", "--no-fund", str(_FILES)]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    modules = "['', '/store', '/websocket', '/use-chat', '/ag-ui', '/sse']"
    program = (
        f"for (const name of {modules}) console.log(...Object.keys(await import('llm-tokenstream' + name)))"
    )
    (tmp_path / "program.mjs").write_text(program, "utf-8")
    done = subprocess.run(
        [node, "program.mjs"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )

    assert done.stdout.split() == [
        *("Answer", "Message", "applyPatch", "follow"),
        *("answerStore", "followSocket", "RelayChatTransport", "relayAgent", "Frames"),
    ]


@pytest.mark.browser
@pytest.mark.parametrize("module", _MOST)
def test_a_page_loads_few_bytes(module: str) -> None:
    """Minified and compressed; an adapter's bytes are those that come on top of `follow`'s."""
    folder, node = node_with("esbuild")
    external = () if module == "tokenstream" else tuple(f"--external:./{name}" for name in _SHARED)
    bundled = bundle(_FILES / f"{module}.js", folder, node, "--minify", *external)
    size = len(gzip.compress(bundled, 9))
    told = re.search(rf"^\| `{module}.js` \|.*\| ([0-9,]+)", _PAGE, re.MULTILINE)

    assert size <= _MOST[module]
    # To the next hundred, as the page says.
    assert told
    assert size <= int(told[1].replace(",", "")) < size + 200
