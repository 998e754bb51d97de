"""Documents on which the law of Markdown blocks is tried: examples of specifications, and made-up ones."""

from __future__ import annotations

import json
import os
import random
import re
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.markdown import lines_of

PREFIXES = [
    *["", "", "", "", " ", "  ", "   ", "    ", "     ", "      ", "\t", " \t", "> ", ">", ">  ", ">\t"],
    *[">     ", "- ", "-  ", "-   ", "-     ", "-\t", "* ", "+ ", "1. ", "2. ", "1) ", "10. ", "-", "1."],
    *["  - ", "   > ", "    > ", "- - ", "> - ", "- > ", "1. - ", "> > ", "  ", "    "],
]
BODIES = [
    *["", "", "a", "text", "b c", "# h", "#", "## h ##", "#h", "---", "***", "- - -", "===", "--", "-", "="],
    *["*", "+", "```", "````", "```py", "~~~", "``", "` `` `", "___", "_ _ _", "- ***", "*\t*\t*", "-\t-"],
    *["<div>", "</div>", "<div", "<span>", "<span> x", '<a href="x">', "<!-- c", "-->", "<!-- c -->"],
    *["<?php", "?>", "<!A", "<![CDATA[", "]]>", "<script>", "</script>", "<pre>", "<http://a.b>", "<b"],
    *["| a | b |", "a | b", "|---|---|", "---|---", "|-|-|", "| - |", "|a|", ":-:", "| x |", "|", "--|"],
    *["[a]: /u", "[a]: /u 't'", "[a]:", "/u", '[a]: /u "t', 't"', '"t"', "[a", "]: /u", "[a]", "[x][a]"],
    *["[b]: <x y>", "[a]: /u x", "(t)", "'t", "- a", "1. a", "2. a", "- a | b", "# a | b", "> x", "- #"],
    *["- ```", "> ```", "- <div>", "- |a|b|", "    code", "\tcode", "- [ ] t", "- [x] t", "10) x"],
    *["1234567890. x", "&amp;", "\\", "a\\", "a  ", "\xa0", "\x0c", "\u2028x", "**b**", "*b", "`c", "$$"],
]
_SPEC_EXAMPLE = re.compile(r"^`{32} example([^\n]*)\n(.*?)^\.$", re.DOTALL | re.MULTILINE)
_ENDINGS = ["\n"] * 12 + ["\r\n", "\r"]


def made_up(chance: random.Random) -> str:
    """Return a random document of 1 to 10 lines, made of container marks and their contents."""
    document = ""
    for _ in range(chance.randint(1, 10)):
        marks = "".join(chance.choices(PREFIXES, k=chance.choice([0, 1, 1, 1, 2, 2, 3])))
        document += marks + chance.choice(BODIES) + chance.choice(_ENDINGS)
    return document.rstrip("\r\n") if chance.random() < 0.3 else document


def shrunk(document: str, fails: Callable[[str], bool]) -> str:
    """Return a smallest document that fails in the same way, by removing lines, then characters."""
    for cut in (lines_of, list):
        parts: list[str] = cut(document)
        place = 0
        while place < len(parts):
            fewer = parts[:place] + parts[place + 1 :]
            if fails("".join(fewer)):
                parts, place = fewer, 0
            else:
                place += 1
        document = "".join(parts)
    return document


@cache
def commonmark_examples() -> list[str]:
    """Return the examples of CommonMark, from markdown-it-py's source distribution, or skip the test."""
    text = _member("markdown_it_py", "tests/test_cmark_spec/commonmark.json")
    return [example["markdown"] for example in json.loads(text)]


@cache
def gfm_examples() -> list[tuple[str, str]]:
    """Return the examples of GFM with their labels, from marko's source distribution, or skip the test."""
    text = _member("marko", "tests/spec/gfm.txt")
    return [(label.strip(), body.replace("→", "\t")) for label, body in _SPEC_EXAMPLE.findall(text)]


def _member(package: str, path: str) -> str:
    """Return a file of a source distribution in the folder that TOKENSTREAM_MARKDOWN names.

    With `TOKENSTREAM_REQUIRE_SDKS=1` in the environment a missing file fails the test.
    """
    folder = os.environ.get("TOKENSTREAM_MARKDOWN")
    for archive in sorted(Path(folder).glob(f"{package}-*.tar.gz")) if folder else ():
        with tarfile.open(archive) as distribution:
            found = distribution.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{path}")
            if found is not None:
                return found.read().decode("utf-8")
    reason = (
        f"needs {path} of {package}: set TOKENSTREAM_MARKDOWN to a folder where "
        "`pip download --no-binary :all: --no-deps markdown-it-py marko` has put them"
    )
    if os.environ.get("TOKENSTREAM_REQUIRE_SDKS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
