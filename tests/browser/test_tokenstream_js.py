"""The reader of our protocol in JavaScript, by itself in Node: examples/chat/tokenstream.js."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.support.node import node_in, node_with

_TESTS = ROOT / "tests" / "browser" / "tokenstream.test.mjs"
_MODULE = ROOT / "examples" / "chat" / "tokenstream.js"


def _passes(node: str, **environment: str) -> None:
    done = subprocess.run(
        [node, "--test", str(_TESTS)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(60)
def test_it_reads_what_is_cut_sent_twice_or_silent() -> None:
    """Its own tests in tokenstream.test.mjs; connections are cut at every seventh byte."""
    node = node_in(Path(os.environ.get("TOKENSTREAM_NODE", ".")).resolve())
    if node is None:
        pytest.skip("needs Node")
    _passes(node)


@pytest.mark.slow
def test_it_reads_what_is_cut_anywhere() -> None:
    """The same, with a cut at every byte."""
    _, node = node_with()
    _passes(node, TOKENSTREAM_EVERY_CUT="1")


@pytest.mark.slow
def test_its_types_hold() -> None:
    """TypeScript checks its comments, as strictly as it can, and what a page may do with them."""
    folder, node = node_with("typescript")
    tsc = folder / "node_modules" / "typescript" / "bin" / "tsc"
    options = ["--allowJs", "--checkJs", "--strict", "--noEmit", "--skipLibCheck", "--target", "es2022"]
    options += ["--lib", "es2022,dom,dom.iterable", "--module", "esnext", "--moduleResolution", "bundler"]
    uses = ROOT / "tests" / "browser" / "uses.ts"
    done = subprocess.run(
        [node, str(tsc), *options, str(_MODULE), str(uses)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout
