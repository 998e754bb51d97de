"""The table of each format's error words in docs/reports/error-words.md.

The words are those of the formats' `retryable`, and those of `ERRORS` in tests/support/error_frames.py.
"""

from __future__ import annotations

from collections import defaultdict

from tests.made_tables.section import Section, table
from tests.project import ROOT
from tests.support.error_frames import ERRORS, words_of

_COLUMNS = ("format", "a retry may help", "it won't")


def _listed(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "–"


def _made() -> list[str]:
    formats = defaultdict[tuple[str, str], list[str]](list)
    for name in ERRORS:
        if words := words_of(name):
            again, final = ([word for word in words if words[word] is kind] for kind in (True, False))
            formats[_listed(again), _listed(final)].append(name)
    rows = [f"| {_listed(names)} | {again} | {final} |" for (again, final), names in formats.items()]
    return [table(_COLUMNS, rows)]


SECTION = Section(ROOT / "docs" / "reports" / "error-words.md", "tests.made_tables.error_words", _made)

if __name__ == "__main__":
    SECTION.write()
