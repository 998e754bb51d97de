"""What the README says of other pages, files and programs is what they say themselves.

Its code runs, its links lead somewhere and its commands exist: tests/docs/test_docs.py asks that of all.
"""

from __future__ import annotations

import re
import runpy

import pytest

from tests.cli.commands import serving
from tests.docs.pages import Block, blocks, links
from tests.project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
_DOCS = ROOT / "docs"
_PROGRAM = ROOT / "examples" / "ask.py"
_CALLS_WRONG = ("wrong call", "unreadable call")


def _table(page: str, heading: str) -> list[dict[str, str]]:
    found = re.search(rf"^\| ?{re.escape(heading)} ?\|.*\n\|[-| ]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found is not None
    names, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows[1:]]


def test_the_readme_can_be_read_at_one_sitting() -> None:
    assert README.count("\n") <= 90


def test_every_link_of_the_readme_works_in_each_clone() -> None:
    """A fork or a mirror has the same pages, and an address of the project may be out of reach."""
    assert [] == [link for link in links(README) if re.match(r"\w+:", link)]
    assert "](docs/pictures/terminal.svg)" in README


def test_every_link_of_the_readme_works_on_the_package_index() -> None:
    """The index shows the README without the repository around it, and gives headings no anchors."""
    made: str = runpy.run_path(str(_DOCS / "_programs" / "build_hooks.py"))["make_absolute"](
        README, "https://github.com/o/r"
    )

    assert [] == [link for link in links(made) if not link.startswith("https://")]
    assert "](https://raw.githubusercontent.com/o/r/main/docs/pictures/terminal.svg)" in made
    assert "](https://github.com/o/r/blob/main/docs/guides/getting-started.md#read-an-answer)" in made
    assert len(links(made)) == len(links(README))


def test_the_first_lines_of_the_readme_are_an_example() -> None:
    """Nobody has to copy them: `examples/ask.py` is the same program."""
    first, *_ = blocks(README, "python")
    _, _, program = _PROGRAM.read_text(encoding="utf-8").partition('"""\n\n')

    assert program == first.code


@pytest.mark.slow
def test_the_example_prints_what_the_served_recording_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder that the README serves, and the address that it sets, give an answer to who has no key."""
    command, asking = (_block("sh", text).code for text in ("tokenstream serve", "OPENAI_BASE_URL"))
    folder = re.search(r"tokenstream serve (\S+)", command)
    address = re.search(r"OPENAI_BASE_URL=http://127\.0\.0\.1:8000(\S+)", asking)
    assert folder is not None
    assert address is not None

    with serving(str(ROOT / folder[1])) as (_, url, _):
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", url + address[1])
        runpy.run_path(str(_PROGRAM))

    assert re.fullmatch(r"Sunlight .+ the sky\.", capsys.readouterr().out)


def _block(language: str, text: str) -> Block:
    return next(block for block in blocks(README, language) if text in block.code)


def test_the_table_of_cut_streams_has_the_numbers_of_the_comparison() -> None:
    """The numbers are the sums over the formats of docs/reports/conformance.md."""
    page = (ROOT / "docs" / "reports" / "conformance.md").read_text(encoding="utf-8")
    sums: dict[str, tuple[int, int, int]] = {}
    for row in _table(page[page.index("## Truncated answers") :], "format"):
        cuts, silent, calls = sums.get(row["reader"], (0, 0, 0))
        wrong = sum(int(row[column]) for column in _CALLS_WRONG)
        sums[row["reader"]] = (cuts + int(row["cuts"]), silent + int(row["no error"]), calls + wrong)
    shown = {
        _name(reader): tuple(int(cell.replace(",", "")) for cell in cells)
        for reader, *cells in (row.values() for row in _table(README, "read with"))
    }

    assert sums == shown


def _name(reader: str) -> str:
    names = {"google-genai": "google-genai stream", "Vercel AI SDK (TypeScript)": "ai"}
    return names.get(reader, reader.replace("`", ""))


def test_the_speed_is_the_measured_one() -> None:
    page = (ROOT / "docs" / "reports" / "benchmarks.md").read_text(encoding="utf-8")
    row = next(row for row in _table(page, "") if row[""] == "openai-chat")
    measured = (_DOCS / "about" / "measured.md").read_text(encoding="utf-8")
    date = re.search(r"text delta of OpenAI's chat API cost.*?([\d-]{10})", measured)

    assert date is not None
    assert f"Linux, {date[1]}" in page
    for text in (README, measured):
        said = re.search(r"([\d.]+) µs[^.]*[,;] (?:and )?(\d+) µs in OpenAI's SDK", text)

        assert said is not None
        assert (f"{float(row['Decoder']):.1f}", f"{float(row['SDK']):.0f}") == said.groups()


def test_the_picture_shows_a_run_of_the_example() -> None:
    """`python docs/_programs/terminal_picture.py` draws it anew."""
    script = runpy.run_path(str(_DOCS / "_programs" / "terminal_picture.py"))

    assert (_DOCS / "pictures" / "terminal.svg").read_text(encoding="utf-8") == script["draw"](
        script["session"]()
    )


@pytest.mark.parametrize("text", ["tokenstream demo", "pytest"])
def test_a_command_of_the_readme_installs_what_it_runs(text: str) -> None:
    """Each is run in a clean copy, by the text that it contains."""
    assert "pip install -e" in _block("sh", text).code


def test_the_tests_take_as_long_on_both_pages_that_name_them() -> None:
    """The README, and the page for contributors, whose first two commands are nearly the README's."""
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    times = [re.findall(r"\b(\w+ to \w+ minutes)\b", text) for text in (README, page)]

    assert len(times[0]) == 1
    assert times[0] == times[1]
