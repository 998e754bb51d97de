"""cmark-gfm, the reference implementation of GFM, as a second judge."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache

import pytest

_NEWLINES = re.compile(r"\n+")


@cache
def _program() -> str | None:
    return shutil.which("cmark-gfm")


def needs_cmark() -> None:
    """Skip the test without cmark-gfm; with TOKENSTREAM_REQUIRE_SDKS=1, fail it."""
    if _program() is None:
        reason = "needs cmark-gfm, a package of Debian"
        if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def cmark(text: str) -> str:
    """Return a text as cmark-gfm renders it, with runs of newlines as one."""
    program = _program()
    assert program is not None
    done = subprocess.run(
        [program, "--unsafe", "-e", "table", "-e", "strikethrough", "-e", "tasklist"],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    return _NEWLINES.sub("\n", done.stdout.decode())


def cmark_of_parts(parts: list[str]) -> str:
    """Return texts as cmark-gfm renders each by itself, joined."""
    return _NEWLINES.sub("\n", "".join(cmark(part) for part in parts))
