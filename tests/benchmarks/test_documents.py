"""The benchmarks of growing documents compare like with like; how fast anything is, is no test's affair."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest

from tests.benchmarks import partial_json as partial_json_section
from tests.benchmarks import typed_objects as typed_objects_section
from tests.benchmarks import typed_streams as typed_streams_section
from tests.benchmarks.documents import FRAGMENT, fragments, nested, plan, steps_text, string
from tests.benchmarks.partial_json import (
    BARS,
    JITER,
    OURS,
    READING_ON,
    Reader,
    beginnings,
    partial_json,
    readers,
    sizes_of,
    verdicts,
)
from tests.benchmarks.timing import Plan
from tests.benchmarks.typed_objects import OURS as SNAPSHOTS
from tests.benchmarks.typed_objects import Other, Recipe, others, typed_objects, window

# Importing the peers takes seconds on a busy machine.

_TINY = Plan(rounds=1, documents=(1_000, 2_000), objects=200)
_UNFINISHED = '{"name": "A plan", "steps": [{"number": 1, "title": "Stir the bat'
_READERS = readers()
_NAMES = [reader.name for reader in _READERS]
_CURRENT = [reader for reader in _READERS if reader.is_current]


def _name(reader: Reader) -> str:
    return reader.name


@pytest.mark.parametrize("reader", _READERS, ids=_name)
def test_every_reader_ends_with_the_same_value(reader: Reader) -> None:
    """A ratio means something only where the work is the same."""
    for document in (plan(3_000), string(3_000)):
        assert json.loads(document) == reader.value(document)


@pytest.mark.parametrize("reader", _CURRENT, ids=_name)
def test_every_reader_shows_the_string_that_grows(reader: Reader) -> None:
    """A current value has what came last, also further in; the table names who has none."""
    assert json.loads(_UNFINISHED + '"}]}') == reader.value(_UNFINISHED)


def test_documents_are_about_as_long_as_they_say() -> None:
    """The columns of a table are sizes."""
    for size in (1_000, 10_000, 100_000):
        assert size <= len(plan(size)) < size * 1.3
        assert size <= len(string(size)) < size + 20


def test_documents_are_the_same_in_every_run() -> None:
    """They come from a seed, and a longer one begins like a shorter one."""
    assert plan(1_000) == plan(1_000)
    assert steps_text(20).startswith(steps_text(10)[:-2])


def test_fragments_are_the_document() -> None:
    """Four characters each, about as many as a token has, and none lost."""
    document = plan(1_000)

    assert document == "".join(fragments(document))
    assert {FRAGMENT} == set(map(len, fragments(document)[:-1]))


def test_a_nested_document_is_as_deep_as_it_says() -> None:
    """An array in the innermost of so many objects and arrays."""
    opened, body = nested(5, 100)

    assert (4, 1) == (opened.count("{"), body.count("["))
    assert isinstance(json.loads(opened + body), dict)


def test_the_beginnings_are_spread_over_the_document() -> None:
    """The mean over them is the mean over all fragments, for a cost that grows with the position."""
    document = plan(10_000)
    ends = [0, *map(len, beginnings(document)), len(document)]
    gaps = [later - earlier for earlier, later in pairwise(ends)]

    assert max(gaps[1:-1]) - min(gaps[1:-1]) <= FRAGMENT
    assert all(abs(gap * 2 - gaps[1]) <= 2 * FRAGMENT for gap in (gaps[0], gaps[-1]))


@pytest.mark.slow
def test_there_is_a_row_for_every_reader_and_a_column_for_every_size() -> None:
    values, ratios, one_string, depths = partial_json(_TINY)

    assert _NAMES == [row[0] for row in values.rows]
    assert ["µs per fragment", "1 KB", "2 KB"] == values.head == one_string.head
    assert all(float(cell) > 0 for row in values.rows for cell in row[1:])
    assert len(_NAMES) - 3 == len(ratios.rows)
    assert list(READING_ON) == [row[0] for row in depths.rows]


@pytest.mark.slow
def test_only_who_reads_on_is_run_with_large_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others would take minutes; their cells are empty."""
    monkeypatch.setattr(partial_json_section, "MOST", 1_000)
    values = partial_json(_TINY)[0]

    assert set(READING_ON) == {row[0] for row in values.rows if row[2] != "–"}


@pytest.mark.parametrize(("much", "said"), [(0.99, "reached"), (1.01, "MISSED")])
def test_the_section_says_whether_the_bars_are_reached(much: float, said: str) -> None:
    """By the size of the document, beside jiter."""
    costs = {size: {OURS: bar * much, JITER: 1.0} for size, bar in BARS.items()}

    assert [said] * 3 == [note.split()[0] for note in verdicts(costs) if "× jiter" in note]


def test_our_own_reader_comes_first() -> None:
    """The ratios are to it."""
    assert OURS == _NAMES[0]


def test_ours_and_all_that_parse_again_are_current() -> None:
    """json.loads of the whole is not: it is what reading once costs."""
    late = {reader.name for reader in _READERS} - {reader.name for reader in _CURRENT}

    assert "json.loads of the whole, once" in late
    assert late <= {"json.loads of the whole, once", "streaming-json-parser with its extension in Rust"}


def test_measuring_leaves_the_modules_as_they_were() -> None:
    """streaming-json-parser is read with and without its extension, where that is installed."""
    before = dict(sys.modules)
    readers()

    assert before == sys.modules


def test_sizes_have_the_units_of_their_columns() -> None:
    """Thousands and millions of characters."""
    assert ["1 KB", "100 KB", "10 MB"] == [sizes_of(size) for size in (1_000, 100_000, 10_000_000)]


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_our_snapshots_end_with_the_validated_object(name: str) -> None:
    """What is timed is what a program would read."""
    whole = steps_text(3)
    *_, last = SNAPSHOTS[name](whole[:10], fragments(whole[10:]))

    assert Recipe.model_validate_json(whole) == last.final()


@pytest.mark.parametrize("other", others(), ids=lambda other: other.name)
def test_every_peer_shows_the_object_that_grows(other: Other) -> None:
    """Its title is there before its end, as in our snapshots."""
    assert "Stir the bat" in repr(other.make(_UNFINISHED))


@pytest.mark.slow
def test_the_snapshots_have_a_row_for_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and the peers', after three numbers of finished objects; then our streams, by sizes."""
    monkeypatch.setattr(typed_streams_section, "_SIZES", (200, 1_000, 10_000))
    monkeypatch.setattr(typed_streams_section, "_CHARACTERS", 10_000)
    tables = typed_objects(_TINY)
    snapshots, ratios, streams = tables

    assert [*SNAPSHOTS, *(other.name for other in others())] == [row[0] for row in snapshots.rows]
    assert ["20 finished", "100 finished", "150 finished"] == snapshots.head[1:]
    assert len(SNAPSHOTS) * len(others()) == len(ratios.rows)
    assert ["0.2 KB", "1 KB", "10 KB"] == streams.head[1:]
    for table in tables:
        assert {len(table.head)} == {len(row) for row in table.rows}
        assert all(row[0] in str(table) for row in table.rows)


def test_a_window_is_as_many_snapshots_as_its_time_is_divided_by() -> None:
    """One that the end of the document cuts short would make us look faster than we are."""
    whole = steps_text(3)
    read = next(iter(SNAPSHOTS.values()))

    with pytest.raises(ValueError, match="the document ends after"):
        window(read(whole[:200], fragments(whole[200:])))


@pytest.mark.parametrize(("objects", "judged"), [(999, 0), (1_000, 1)])
def test_only_a_long_list_is_judged_beside_the_others(objects: int, judged: int) -> None:
    """To make a short list anew costs little, and says nothing of a long one."""
    notes = typed_objects_section.verdicts(
        Plan(objects=objects), {"ours": [1.0, 1.0]}, {others()[0].name: [9.0, 9.0]}
    )

    assert judged == sum("× as fast" in note for note in notes)
