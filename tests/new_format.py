"""Print what a format of this repository still lacks: `python -m tests.new_format NAME`."""

from __future__ import annotations

import sys

from tests.project import PACKAGE, ROOT
from tokenstream._apis import api_named

_BYTELESS = {"pieces", "langchain", "llamaindex"}
"""Formats of objects, which have no bytes to be written in."""
_HOMES = {"text": "bare_text"}
"""Formats whose module has another name than they have."""


def missing(name: str) -> list[str]:
    """Return the places that a format still lacks, each in a few words.

    Args:
        name: The format's name, as in `format="openai-chat"`.
    """
    module = name.replace("-", "_")
    wire = PACKAGE / "formats" / "_wire"
    tests = ROOT / "tests" / "formats"
    answers = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "benchmarks").glob("answers*.py"))
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    home = _HOMES.get(name, module)
    api = api_named(name)
    found = {
        f"a folder or module of tokenstream/formats/_wire/ named {home}": any(
            (wire / place).exists() for place in (home, f"{home}.py")
        ),
        "a record with a reader in tokenstream/_apis.py": api is not None and api.reader is not None,
        "the writer of that record, an encoder in tokenstream/relay/_encoders/": name in _BYTELESS
        or (api is not None and api.writer is not None),
        f"tests/formats/test_{module}.py, or a folder tests/formats/{module}/": (
            any(tests.glob(f"test_{module}*")) or any((tests / module).glob("test_*.py"))
        ),
        f"recordings under tests/recordings/{name}/": (ROOT / "tests" / "recordings" / name).is_dir(),
        "an answer in tests/benchmarks/answers.py": f'"{name}"' in answers,
        f"the page docs/formats/{name}.md": (ROOT / "docs" / "formats" / f"{name}.md").exists(),
        "a row in docs/formats.md": f"`{name}`" in page,
    }
    return [place for place, there in found.items() if not there]


if __name__ == "__main__":
    for _name in sys.argv[1:]:
        for _place in missing(_name) or ["nothing"]:
            sys.stdout.write(f"{_name} lacks {_place}\n")
