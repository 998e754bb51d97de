"""The search of the site, in Node without a browser: people's words lead to the page that answers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.docs.pages import SITE
from tests.docs.test_errors_index import messages_of_misuse
from tests.project import ROOT
from tests.support.node import node_with

# The site is built for the first of them, which takes minutes on a busy machine.
pytestmark = [pytest.mark.site, pytest.mark.timeout(900)]

_HERE = ROOT / "tests" / "site"
_ASKED = _HERE / "questions.json"
"""What people type, each with the pages that answer it."""
_KEPT_APART = [ROOT.parent / "shared" / "prototypes" / "docs" / name for name in ("q22.json", "q3.json")]
"""Questions that are kept outside the project, so that no page is written for them."""


THREADS: dict[str, tuple[str, dict[str, str]]] = json.loads(
    (_HERE / "threads.json").read_text(encoding="utf-8")
)
"""What each public thread asks, in the words of its title or in two or three of its own, and the pages that
answer it, each with a part of the answer.
"""


def _read(*paths: Path) -> dict[str, list[str]]:
    rows: list[list[str]] = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    return {text: pages.split("|") for text, pages in rows}


def _search(site: Path, texts: Iterable[str]) -> list[list[str]]:
    """Return, for each text, the names of the pages that the search lists, the best first."""
    node = shutil.which("node") or node_with()[1]
    done = subprocess.run(
        [node, str(_HERE / "search.cjs"), str(site)],
        input=json.dumps([*texts]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def _missed(site: Path, questions: dict[str, list[str]], places: int) -> dict[str, list[str]]:
    """Return the questions that no page answers which has one of the first places, with those that have."""
    found = zip(questions.items(), _search(site, questions), strict=True)
    return {text: names[:5] for (text, right), names in found if not {*right}.intersection(names[:places])}


def test_a_question_is_answered_by_one_search(site: Path) -> None:
    """A page that answers is among the first three; of thirty questions, two may be missed."""
    assert len(THREADS) == 30
    assert len(missed := _missed(site, {text: [*pages] for text, pages in THREADS.values()}, 3)) <= 2, missed


def test_the_first_page_answers_what_people_type(site: Path) -> None:
    """Seventeen of twenty times; and nineteen of twenty times, one of the first three does."""
    questions = _read(_ASKED)

    assert len(missed := _missed(site, questions, 3)) <= len(questions) * 0.05, missed
    assert len(missed := _missed(site, questions, 1)) <= len(questions) * 0.15, missed


@pytest.mark.skipif(not all(path.exists() for path in _KEPT_APART), reason="needs the questions kept apart")
def test_the_first_page_answers_questions_that_it_was_not_written_for(site: Path) -> None:
    """Nine of ten of them lead to the page that answers, at the first place."""
    questions = _read(*_KEPT_APART)

    assert len(missed := _missed(site, questions, 1)) <= len(questions) - 47, missed


def test_each_page_is_found_by_its_title(site: Path) -> None:
    """A page of programs may come before one of details."""
    pages = [page for page in SITE if page.stem not in {"index", "errors-index"}]
    titles = {
        page.read_text(encoding="utf-8").partition("\n")[0]: [
            page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        ]
        for page in pages
    }

    assert {} == _missed(site, titles, 5)


def test_the_index_of_errors_is_found_by_messages_only(site: Path) -> None:
    """Rows of the index have words of everything."""
    assert not [names for names in _search(site, _read(_ASKED)) if "reference/errors-index" in names]


def test_each_message_of_misuse_leads_to_its_guide(site: Path) -> None:
    pasted = {
        f"tokenstream.errors.MisuseError: {text.replace('…', 'x1')} and so on": [name]
        for name, texts in messages_of_misuse().items()
        for text in texts
    }

    assert {} == _missed(site, pasted, 3)
