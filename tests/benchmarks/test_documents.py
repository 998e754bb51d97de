"""The benchmarks of growing documents compare like with like; how fast anything is, is no test's affair."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import typed_streams as typed_streams_section
from tests.benchmarks.documents import fragments, plan, steps_text, string
from tests.benchmarks.partial_json import READING_ON, Reader, partial_json, readers
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


@pytest.mark.slow
def test_there_is_a_row_for_every_reader_and_a_column_for_every_size() -> None:
    values, one_string, depths = partial_json(_TINY)

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
    """Its title is there before its end, as in our snapshots."""
    assert "Stir the bat" in repr(other.make(_UNFINISHED))


@pytest.mark.slow
def test_the_snapshots_have_a_row_for_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and the peers', after three numbers of finished objects; then our streams, by sizes."""
    monkeypatch.setattr(typed_streams_section, "_SIZES", (200, 1_000, 10_000))
    monkeypatch.setattr(typed_streams_section, "_CHARACTERS", 10_000)
    tables = typed_objects(_TINY)
    snapshots, streams = tables

    assert [*SNAPSHOTS, *(other.name for other in others())] == [row[0] for row in snapshots.rows]
    assert ["20 finished", "100 finished", "150 finished"] == snapshots.head[1:]
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
