"""The benchmarks run, and compare like with like; how fast anything is, is no test's affair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.compare.benchmarks.answers import ANSWERS
from tests.compare.benchmarks.contenders import runner
from tests.compare.benchmarks.documents import fragments, steps_text, string
from tests.compare.benchmarks.documents import plan as document_of
from tests.compare.benchmarks.followers import followers
from tests.compare.benchmarks.formats import formats, read_by_us
from tests.compare.benchmarks.markdown import markdown
from tests.compare.benchmarks.partial_json import READING_ON, partial_json, readers
from tests.compare.benchmarks.partial_json import Reader as JSONReader
from tests.compare.benchmarks.relay import relay
from tests.compare.benchmarks.sdks import SDKS
from tests.compare.benchmarks.service import service
from tests.compare.benchmarks.short import short
from tests.compare.benchmarks.timing import Plan
from tests.compare.benchmarks.turns import light_heap
from tests.compare.benchmarks.typed_objects import OURS as SNAPSHOTS
from tests.compare.benchmarks.typed_objects import Other, Recipe, others, typed_objects, window
from tests.compare.benchmarks.views import views
from tests.compare.benchmarks.whole_json import whole_json
from tests.compare.benchmarks.written_drafts import written_drafts
from tests.support import registry
from tests.support.packages import needed
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.compare.benchmarks.tables import Table

# Importing the SDKs takes seconds on a busy machine.

_TINY = Plan(
    events=20,
    seconds=0.0,
    rounds=1,
    readers=50,
    imports=1,
    documents=(1_000, 2_000),
    objects=100,
    streams=5,
    tokens=3,
)


@pytest.fixture(scope="module", autouse=True)
def loop_of_readers() -> Iterator[None]:
    with runner():
        yield
    runner.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "section", [followers, partial_json, relay, service, short, views, written_drafts, whole_json]
)
def test_the_other_sections_give_tables_that_print(section: Callable[[Plan], list[Table]]) -> None:
    """Every row has as many cells as the head, and stands in what is printed."""
    with light_heap():
        tables = section(_TINY)
    for table in tables:
        assert table.rows
        assert {len(table.head)} == {len(row) for row in table.rows}
        assert all(row[0] in str(table) for row in table.rows)


def test_every_format_has_a_row() -> None:
    """A format that is added is measured, too."""
    assert set(registry.names()) == {make(name, 1).format for name, make in ANSWERS.items()} - {"mistral"}


@in_one_test("name", ANSWERS)
def test_an_answer_is_whole_and_follows_its_providers_documents(name: str) -> None:
    """Nothing is tolerated, and each chunk between head and tail is one text delta."""
    answer = ANSWERS[name](name, 40)
    decoder = Decoder(answer.format)
    for chunk in answer.head:
        decoder.feed(chunk)
    decoder.feed(answer.deltas[0])
    kinds = [type(event).__name__ for delta in answer.deltas[1:] for event in decoder.feed(delta)]
    for chunk in answer.tail:
        decoder.feed(chunk)
    decoder.end()

    assert 39 == kinds.count("TextDelta")
    assert {"TextDelta"} | ({"UsageUpdate"} if answer.format == "gemini" else set()) == set(kinds)
    assert ("complete", None) == (decoder.message.ending, decoder.error)
    assert {} == decoder.departures.details
    assert answer.text == decoder.message.text == read_by_us(answer)


# What SDKs say of parts of their own is no warning of ours.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sampled(sorted(SDKS), one_in=9))
def test_a_providers_sdk_reads_the_same_text(name: str) -> None:
    """A ratio means something only where the work is the same."""
    for package in SDKS[name].packages:
        needed(package)
    answer = ANSWERS[name](name, 40)

    assert answer.text == SDKS[name].prepare(answer)()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_section_has_a_row_for_each_answer() -> None:
    [table] = formats(_TINY)

    assert list(ANSWERS) == [row[0] for row in table.rows]
    assert all(float(row[2]) > 0 for row in table.rows)
    assert all(len(table.head) == len(row) for row in table.rows)
    assert ["none", "–", "–"] == table.rows[-1][-3:]


@pytest.mark.slow
def test_markdown_is_compared_with_one_parse() -> None:
    """Fed, and with every preview read; and each hard text at two lengths."""
    blocks, growing = markdown(_TINY)

    assert [row[0].partition(",")[0] for row in blocks.rows] == ["markdown-it-py", *["MarkdownBlocks"] * 2]
    assert "1.00" == blocks.rows[0][-1]
    assert 7 == len(growing.rows)


# -- growing documents ---------------------------------------------------------------------------------

_TWO_SIZES = Plan(rounds=1, documents=(1_000, 2_000), objects=200)
_UNFINISHED = '{"name": "A plan", "steps": [{"number": 1, "title": "Stir the bat'
_READERS = readers()
_NAMES = [reader.name for reader in _READERS]
_CURRENT = [reader for reader in _READERS if reader.is_current]


def _name(reader: JSONReader) -> str:
    return reader.name


@pytest.mark.parametrize("reader", _READERS, ids=_name)
def test_every_reader_ends_with_the_same_value(reader: JSONReader) -> None:
    """A ratio means something only where the work is the same."""
    for document in (document_of(3_000), string(3_000)):
        assert json.loads(document) == reader.value(document)


@pytest.mark.parametrize("reader", _CURRENT, ids=_name)
def test_every_reader_shows_the_string_that_grows(reader: JSONReader) -> None:
    """A current value has what came last, also further in; the table names who has none."""
    assert json.loads(_UNFINISHED + '"}]}') == reader.value(_UNFINISHED)


@pytest.mark.slow
def test_there_is_a_row_for_every_reader_and_a_column_for_every_size() -> None:
    values, one_string, depths = partial_json(_TWO_SIZES)

    assert _NAMES == [row[0] for row in values.rows]
    assert ["µs per fragment", "1 KB", "2 KB"] == values.head == one_string.head
    assert all(float(cell) > 0 for row in values.rows for cell in row[1:])
    assert list(READING_ON) == [row[0] for row in depths.rows]


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_our_snapshots_end_with_the_validated_object(name: str) -> None:
    """What is timed is what a program would read."""
    whole = steps_text(3)
    *_, last = SNAPSHOTS[name](whole[:10], fragments(whole[10:]))

    assert Recipe.model_validate_json(whole) == last.final()


@pytest.mark.parametrize("other", others(), ids=lambda other: other.name)
def test_every_peer_shows_the_object_that_grows(other: Other) -> None:
    assert "Stir the bat" in repr(other.make(_UNFINISHED))


@pytest.mark.slow
def test_the_snapshots_have_a_row_for_everyone() -> None:
    [snapshots] = typed_objects(_TWO_SIZES)

    assert [*SNAPSHOTS, *(other.name for other in others())] == [row[0] for row in snapshots.rows]
    assert ["20 finished", "100 finished", "150 finished"] == snapshots.head[1:]
    assert {len(snapshots.head)} == {len(row) for row in snapshots.rows}
    assert all(row[0] in str(snapshots) for row in snapshots.rows)


def test_a_window_is_as_many_snapshots_as_its_time_is_divided_by() -> None:
    """One that the end of the document cuts short would make us look faster than we are."""
    whole = steps_text(3)
    read = next(iter(SNAPSHOTS.values()))

    with pytest.raises(ValueError, match="the document ends after"):
        window(read(whole[:200], fragments(whole[200:])))
