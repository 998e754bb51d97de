"""The benchmarks run, and compare like with like; how fast anything is, is no test's affair."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.bodies import BODIES, CHUNKINGS, anthropic, middle_of, openai_chat, tokens
from tests.benchmarks.contenders import ours
from tests.benchmarks.growth import growth, lazily
from tests.benchmarks.imports import imports
from tests.benchmarks.memory import memory
from tests.benchmarks.timing import Plan, contenders_for, time_format
from tests.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.tables import Table

# Importing the SDKs takes seconds on a busy machine.
pytestmark = pytest.mark.timeout(90)

_TINY = Plan(
    events=20,
    fewer=3,
    seconds=0.0,
    rounds=1,
    sizes=(1_000, 2_000),
    windows=1,
    memory=300,
    open_streams=5,
    imports=1,
)


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("format", BODIES)
def test_every_contender_sees_the_same_text(format: str, chunking: str) -> None:
    """A ratio means something only where the work is the same."""
    body = BODIES[format](60).cut(chunking)
    seen = {contender.name: contender.text(body) for contender in contenders_for(format)}

    assert dict.fromkeys(seen, body.text) == seen


@pytest.mark.parametrize("format", BODIES)
def test_each_chunking_gives_a_table_with_a_row_for_every_contender(format: str) -> None:
    """Nobody is left out, and every row has its figure per event."""
    tables = time_format(format, _TINY)

    assert len(CHUNKINGS) == len(tables)
    for table in tables:
        assert [contender.name for contender in contenders_for(format)] == [row[0] for row in table.rows]
        assert all(float(row[1]) > 0 for row in table.rows)


@pytest.mark.usefixtures("light_heap")
@pytest.mark.parametrize("section", [growth, memory, imports])
def test_the_other_sections_give_tables_that_print(section: Callable[[Plan], list[Table]]) -> None:
    """Every row has as many cells as the head, and stands in what is printed."""
    for table in section(_TINY):
        assert table.rows
        assert {len(table.head)} == {len(row) for row in table.rows}
        assert all(row[0] in str(table) for row in table.rows)


def test_bodies_are_the_same_in_every_run() -> None:
    """They come from a seed, so that two machines measure the same bytes."""
    assert openai_chat(50).chunks == openai_chat(50).chunks
    assert openai_chat(50).chunks != openai_chat(50, seed=1).chunks


def test_a_body_holds_what_makes_decoding_hard() -> None:
    """Escapes, quotes and characters of two, three and four bytes: not only the easy case."""
    wire = b"".join(openai_chat(2_000).chunks)

    assert all(mark in wire for mark in (rb"\n", rb"\"", rb"\\", "é".encode(), "日".encode(), "🙂".encode()))
    assert b'"usage":null' in wire


def test_lengths_tell_nothing_of_the_token() -> None:
    """OpenAI fills every line up with `obfuscation`; Anthropic pads with spaces before the last brace."""
    assert {7} == {(len(chunk) - 2) % 16 for chunk in middle_of(openai_chat(100))[1]}
    assert any(chunk.endswith(b"  }\n\n") for chunk in anthropic(100).chunks)


def test_ascii_tokens_are_ascii() -> None:
    """The memory of text depends on its widest character, so both kinds are measured."""
    assert "".join(tokens(500, ascii_only=True)).isascii()
    assert not "".join(tokens(500)).isascii()


def test_a_body_given_lazily_is_a_whole_answer() -> None:
    """Nothing is kept of it but a thousand distinct chunks, and still it has a beginning and an end."""
    chunks = list(lazily("openai-chat", 2_500))

    assert 1 + 2_500 + 3 == len(chunks)
    assert chunks[1] == chunks[1_001]
    assert b"data: [DONE]\n\n" == chunks[-1]


def test_this_library_is_measured_through_every_driver() -> None:
    """Decoder, Stream, its text view and AsyncStream each have a row."""
    names = " ".join(contender.name for contender in ours())

    assert all(driver in names for driver in ("Decoder.feed", "Stream,", "Stream.text", "AsyncStream"))


def test_a_section_can_be_asked_for_by_name() -> None:
    """`--only imports` prints the versions and that table alone."""
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--only", "imports"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert "pydantic_core" in done.stdout
    assert "import tokenstream" in done.stdout
    assert "openai-chat" not in done.stdout
