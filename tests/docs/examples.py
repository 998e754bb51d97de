"""The programs of examples/, run as scripts that may warn of nothing."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.project import PACKAGE, ROOT

EXAMPLES = ROOT / "examples"


def run_example(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def printed_by(name: str, *arguments: str, **environment: str) -> str:
    """Return what a program prints that ends well."""
    done = run_example(name, *arguments, **environment)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout
