"""Print what a format of this repository still lacks: `python -m tests.new_format NAME`."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from tests.benchmarks.answers import ANSWERS
from tests.made_tables import OF_FORMATS, OF_PROTOCOLS
from tests.project import ROOT
from tests.support import registry
from tests.support.error_frames import ERRORS, FRAMES
from tokenstream._apis import APIRecord, FormatName, ProtocolName, ScriptFormat, api_named

if TYPE_CHECKING:
    from tests.made_section import Section


def missing(name: str) -> list[str]:
    """Return the places that a format still lacks, each in a few words.

    Args:
        name: The format's name, as in `format="openai-chat"`.
    """
    module = name.replace("-", "_")
    tests, recordings = ROOT / "tests" / "formats", ROOT / "tests" / "recordings" / name
    formats, errors = (
        (ROOT / page).read_text("utf-8") for page in ("docs/formats.md", "reports/error-words.md")
    )
    api = api_named(name) or APIRecord(name, paths="")
    names = [FormatName, *([] if api.writer is None else [ScriptFormat])]
    tables = OF_FORMATS + (OF_PROTOCOLS if name in get_args(ProtocolName) else ())
    loads = _exists(api.reader) and (api.writer is None or _exists(api.writer))
    found = {
        "a record with a reader in tokenstream/_apis.py, where FormatName and ScriptFormat have its name": (
            api.reader is not None and all(name in _members(each) for each in names)
        ),
        "the class of that reader, in tokenstream/formats/_wire/": _exists(api.reader),
        # A format without endpoints may be one of objects, which have no bytes to be written in.
        "a writer in that record: an encoder in tokenstream/relay/_encoders/": (
            _exists(api.writer) or (api.writer is None and api.paths is None)
        ),
        f"tests/formats/test_{module}.py, or a folder tests/formats/{module}/": (
            any(tests.glob(f"test_{module}*")) or any((tests / module).glob("test_*.py"))
        ),
        f"recordings with their expected messages under tests/recordings/{name}/": any(
            recordings.glob("*.expected.json")
        ),
        "an error in ERRORS of tests/support/error_frames.py": name in ERRORS,
        "its errors in FRAMES of tests/support/error_frames.py, and their words in reports/error-words.md": (
            name in FRAMES
            and re.search(rf"^\|[^|]*`{name}`", errors, re.MULTILINE) is not None
            and (not loads or all(f"`{word}`" in errors for word in registry.load(name).retryable))
        ),
        "an answer in SHAPES of tests/benchmarks/answers_of_*.py": name in _measured(),
        "a row in the first table of docs/formats.md, which links its page or section": (
            f"| [`{name}`](" in formats
        ),
        "its rows in the made tables: run `python -m tests.made_tables`": loads
        and all(f"| `{name}` |" in table.on_the_page() and _is_current(table) for table in tables),
    }
    return [place for place, there in found.items() if not there]


def _members(names: Any) -> set[str]:
    """Return the strings of a literal type, or of a union of them."""
    return {name for each in get_args(names) for name in (get_args(each) or [each])}


@cache
def _is_current(section: Section) -> bool:
    return section.render() == section.on_the_page()


@cache
def _measured() -> set[str]:
    """Return the formats of the answers in the benchmarks."""
    return {make(name, 1).format for name, make in ANSWERS.items()}


def _exists(place: str | None) -> bool:
    """Return whether a class that a record names can be loaded."""
    module, _, name = (place or "").rpartition(".")
    try:
        return bool(module) and hasattr(import_module(module), name)
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    for _name in sys.argv[1:]:
        for _place in missing(_name) or ["nothing"]:
            sys.stdout.write(f"{_name} lacks {_place}\n")
