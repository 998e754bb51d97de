"""Print what a format of this repository still lacks: `python -m tests.new_format NAME`."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any, get_args

from tests.project import ROOT
from tests.support.error_frames import ERRORS
from tests.support.recordings import OURS
from tokenstream._providers.apis import APIRecord, FormatName, ScriptFormat, api_named

_NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")


def missing(name: str) -> list[str]:
    """Return the places that a format still lacks, each in a few words.

    Args:
        name: The format's name, as in `format="openai-chat"`.
    """
    module = name.replace("-", "_")
    tests = ROOT / "tests" / "formats"
    api = api_named(name) or APIRecord(name, paths="")
    names = [FormatName, *([] if api.writer is None else [ScriptFormat])]
    reader, writer = _fault("formats._wire", api.reader), _fault("relay._encoders", api.writer)
    found = {
        "a record and reader in tokenstream/_providers/apis.py; FormatName and ScriptFormat have its name": (
            api.reader is not None and all(name in _members(each) for each in names)
        ),
        f"the class of that reader, in tokenstream/formats/_wire/{reader}": reader is None,
        # A format without endpoints may be one of objects, which have no bytes to be written in.
        f"a writer in that record: an encoder in tokenstream/relay/_encoders/{writer}": (
            writer is None or (api.writer is None and api.paths is None)
        ),
        f"tests/formats/test_{module}.py, or a folder tests/formats/{module}/": (
            any(tests.glob(f"test_{module}*")) or any((tests / module).glob("test_*.py"))
        ),
        f"recordings with their expected messages under tests/recordings/{name}/": any(
            (OURS / name).glob("*.expected.json")
        ),
        "its errors in ERRORS of tests/support/error_frames.py": name in ERRORS,
        "a row in the first table of docs/formats.md, which links its page or section": (
            f"| [`{name}`](" in (ROOT / "docs" / "formats.md").read_text("utf-8")
        ),
    }
    return [place for place, there in found.items() if not there]


def _members(names: Any) -> set[str]:
    """Return the strings of a literal type, or of a union of them."""
    return {name for each in get_args(names) for name in (get_args(each) or [each])}


def _fault(package: str, place: str | None) -> str | None:
    """Return None if a class that a record names can be loaded, or else what its module raises, or ""."""
    module, _, name = (place or "").rpartition(".")
    if not module:
        return ""
    try:
        getattr(import_module(f"tokenstream.{package}.{module}"), name)
    # A module that is being written may raise anything.
    except Exception as error:  # noqa: BLE001
        return f" ({type(error).__name__}: {error})"
    return None


def main(names: list[str]) -> int:
    """Print what each format lacks, and return 1 if one lacks something."""
    if not names or not all(map(_NAME.fullmatch, names)):
        sys.stdout.write("python -m tests.new_format NAME, with the format's name, as in openai-chat\n")
        return 2
    lacking = 0
    for name in names:
        places = missing(name)
        lacking += len(places)
        for place in places or ["nothing"]:
            sys.stdout.write(f"{name} lacks {place}\n")
    return int(lacking > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
