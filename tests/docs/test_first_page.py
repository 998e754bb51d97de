"""The first pages of the documentation: how to install the library, its extras, and twelve everyday tasks.

Its code runs, its links lead somewhere and its commands exist: tests/docs/test_docs.py asks that of all.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.docs.pages import blocks, links, without_code
from tests.project import PYPROJECT, ROOT
from tests.support.tables import in_one_test

_DOCS = ROOT / "docs"
PAGE = (_DOCS / "index.md").read_text(encoding="utf-8")
TASKS = (_DOCS / "guides" / "tasks.md").read_text(encoding="utf-8")
_TASK = re.compile(r"^## (?P<number>\d+)\. .+\n(?P<body>(?:(?!##).*\n)*)", re.MULTILINE)
_TASKS = {match["number"]: match["body"] for match in _TASK.finditer(TASKS)}
_CODE = {number: [block.code for block in blocks(body, "python")] for number, body in _TASKS.items()}
_FOR_CONTRIBUTORS = re.compile(r"test|docs|bench|lint")


def test_the_first_page_is_read_in_three_minutes() -> None:
    prose = re.findall(r"\S*\w\S*", without_code(PAGE))
    before = re.findall(r"\S*\w\S*", PAGE.partition("```python")[0])
    program = next(blocks(PAGE, "python")).code

    assert len(prose) <= 700
    assert len(before) <= 60
    assert len([line for line in program.splitlines() if line.strip()]) == 10
    assert re.search(r"\b(try|except)\b", program) is None


def test_the_everyday_tasks_are_twelve() -> None:
    assert [str(number) for number in range(1, 13)] == list(_TASKS)
    assert all(links(body) for body in _TASKS.values())


def test_each_everyday_task_is_there_for_a_loop_and_for_an_event_loop() -> None:
    assert {number: [False, True] for number in _TASKS} == {
        number: [re.search(r"\b(async|await)\b", block) is not None for block in code]
        for number, code in _CODE.items()
    }


@in_one_test("number", _CODE)
def test_an_everyday_task_takes_three_lines_at_most(number: str) -> None:
    assert all(code.count("\n") <= 3 for code in _CODE[number])


@pytest.mark.anyio
async def test_an_answer_is_forwarded_to_a_browser() -> None:
    setup = next(block.code for block in blocks(TASKS, "python") if "class Order" in block.code)
    sync: dict[str, Any] = {}
    later: dict[str, Any] = {}
    for code, namespace in zip(_CODE["8"], (sync, later), strict=True):
        exec(setup + code, namespace)
    transport = httpx.ASGITransport(await later["endpoint"]())

    async with httpx.AsyncClient(transport=transport, base_url="http://example.com") as client:
        response = await client.post("/")

    assert "soup" in response.text
    assert "soup" in b"".join(sync["body"]()).decode()


def test_the_first_program_is_that_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert next(blocks(readme, "python")).code == next(blocks(PAGE, "python")).code


def test_the_library_is_installed_in_one_way() -> None:
    pages = [ROOT / "README.md", _DOCS / "index.md"]
    first = {next(blocks(page.read_text(encoding="utf-8"), "sh")).code for page in pages}

    assert len(first) == 1
    assert "pip install" in first.pop()
    assert "../index.md#install" in links(
        (_DOCS / "guides" / "getting-started.md").read_text(encoding="utf-8")
    )


def test_each_extra_has_a_line() -> None:
    """A reader chooses among all that there are, but for those of contributors."""
    extras = [
        name for name in PYPROJECT["project"]["optional-dependencies"] if not _FOR_CONTRIBUTORS.match(name)
    ]

    page = (_DOCS / "index.md").read_text(encoding="utf-8")

    assert extras == re.findall(r"^\| `([\w-]+)` \| .+ \|$", page, re.MULTILINE)
