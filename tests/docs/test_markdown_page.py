"""The page of examples/markdown_page.py grows, and ends as the answer rendered at once."""

from __future__ import annotations

import html
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.docs.examples import EXAMPLES, printed_by

pytestmark = pytest.mark.not_quick

_EXAMPLE = runpy.run_path(str(EXAMPLES / "markdown_page.py"))


def _changes(text: str, size: int = 4) -> list[dict[str, Any]]:
    return list(_EXAMPLE["Page"]().changes(text[at : at + size] for at in range(0, len(text), size)))


def _taken(changes: list[dict[str, Any]]) -> dict[str, str]:
    page: dict[str, str] = {}
    for change in changes:
        name = change["id"]
        if "append" in change:
            before, end, after = page[name].partition("</code>")
            page[name] = before + html.escape(change["append"]) + end + after
        else:
            page[name] = change["html"]
    return page


@pytest.mark.slow
def test_the_page_ends_as_the_answer_rendered_at_once() -> None:
    changes = [json.loads(line) for line in printed_by("markdown_page.py").splitlines()]

    assert _EXAMPLE["renderer"]().render(_EXAMPLE["ANSWER"]) == "".join(_taken(changes).values())


@pytest.mark.slow
def test_only_the_last_block_changes() -> None:
    changes = [json.loads(line) for line in printed_by("markdown_page.py").splitlines()]
    numbers = [int(change["id"].removeprefix("block-")) for change in changes]

    assert sorted(numbers) == numbers
    assert "pep-0686" in changes[-1]["html"]
    assert "pep-0686" not in changes[-2]["html"]


def test_a_line_of_code_is_sent_once_and_once_more_at_the_end() -> None:
    """However long the code is, it costs twice its text."""
    code = "".join(f"print({number})\n" for number in range(500))
    changes = _changes(f"```python\n{code}```\n")
    added = [change["append"] for change in changes if "append" in change]

    assert code == "".join(added)
    assert 2 == sum("html" in change for change in changes)


def test_html_is_shown_as_text() -> None:
    changes = _changes("a <b onclick='x()'>b</b>\n\n<script>x()</script>\n\n[y](javascript:z)\n")
    page = "".join(_taken(changes).values())

    assert "&lt;script&gt;x()&lt;/script&gt;" in page
    assert "&lt;b onclick=" in page
    assert not any(mark in str(changes) for mark in ("<b ", "<script", 'href="javascript'))


@pytest.mark.slow
def test_a_page_that_plays_the_changes_is_written(tmp_path: Path) -> None:
    """Nothing in the answer ends the script of the page."""
    page = tmp_path / "answer.html"
    printed_by("markdown_page.py", "--page", str(page))
    written = page.read_text("utf-8")

    assert 1 == written.count("</script>")
    assert "<h2>" not in written
    assert written.count('"id": "block-') > 50
