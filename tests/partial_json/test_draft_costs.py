"""What typed objects cost that fill in as their text arrives: what is open, not what there is."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from tests.partial_json.support import calls_of
from tests.partial_json.typed import STEP, draft_of, drafted
from tests.partial_json.typed_models.keys import ByName
from tests.partial_json.typed_models.shapes import Recipe, Step
from tests.support.texts import pieces_of
from tokenstream.errors import OutputIncomplete, OutputInvalid
from tokenstream.stages._objects.partials import Partials


class Counted(BaseModel):
    a: int
    steps: list[CountedStep] = []


class CountedStep(BaseModel):
    title: str

    @field_validator("title")
    @classmethod
    def counted(cls, value: str) -> str:
        _RUN.append(value)
        return value


_RUN: list[str] = []


def test_each_validator_runs_once() -> None:
    """Finished values are put together, not validated again: by their object, its list, and the end."""
    _RUN.clear()
    text = Counted(a=1, steps=[CountedStep(title=f"{number}") for number in range(20)]).model_dump_json()
    _RUN.clear()
    drafted(Counted, text, list(range(0, len(text), 3))).partial().final()

    assert [f"{number}" for number in range(20)] == _RUN


def test_finished_objects_are_shared() -> None:
    """One object stands for a finished element in every snapshot, in the list and in the end."""
    draft = draft_of(Recipe, f'{{"name": "x", "steps": [{STEP}, ')
    first = draft.partial()
    draft.feed(STEP)
    second = draft.partial()
    draft.feed("]")
    third = draft.partial()
    draft.feed("}")

    assert len({id(part.steps[0]) for part in (first, second, third, draft.partial())}) == 1
    assert draft.partial().final().steps[0] is first.steps[0]
    assert draft.partial().final() is draft.partial().final()


def test_a_snapshot_is_the_same_until_something_changes() -> None:
    draft = draft_of(Step, '{"title": "x')

    draft.end()

    assert draft.partial() is draft.partial()
    with pytest.raises(OutputIncomplete) as caught:
        draft.check()
    assert '{"title": "x' == caught.value.text


def _calls(draft: Partials[Any], pieces: list[str]) -> int:
    def read() -> None:
        for piece in pieces:
            draft.feed(piece)
            draft.partial()

    return calls_of(read)


def test_a_snapshot_costs_the_same_however_much_there_is() -> None:
    """Two elements behind a thousand cost what two behind ten cost."""
    pieces = pieces_of(f"{STEP},{STEP},", 4)
    costs: list[int] = []
    for many in (10, 1_000):
        draft = draft_of(Recipe, '{"name": "x", "steps": [' + f"{STEP}," * many)
        costs.append(_calls(draft, pieces))

    assert costs[0] == costs[1]


def test_snapshots_of_long_text_share_it() -> None:
    """A string that grows is not joined until somebody looks: its snapshots hold the same pieces."""
    draft = draft_of(Step, '{"title": "')
    kept = []
    for number in range(2_000):
        draft.feed(f"{number:04}")
        kept.append(draft.partial())

    assert (8_000, "0000", 4_000) == (len(kept[-1].title), kept[0].title, len(kept[999].title))


def test_a_snapshot_may_be_read_in_another_thread() -> None:
    """A reader that looks while the draft goes on sees what the snapshot has."""
    draft: Partials[Any] = Partials(Recipe)
    seen: list[tuple[int, int]] = []
    taken: list[tuple[int, Any]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set() or taken:
            if taken:
                size, partial = taken.pop()
                seen.append((size, len(list(partial.steps)) + partial.steps[-1].complete))

    thread = threading.Thread(target=look)
    thread.start()
    draft.feed('{"name": "x", "steps": [')
    for number in range(300):
        draft.feed('{"title": "x')
        taken.append((number + 1, draft.partial()))
        draft.feed('"},')
    over.set()
    thread.join()

    assert [size for size, _ in seen] == [shown for _, shown in seen]


# -- documents that were made to cost --------------------------------------------------------


class Tree(BaseModel):
    v: int = 0
    kids: list[Tree] = []

    @field_validator("v")
    @classmethod
    def counted(cls, value: int) -> int:
        _RUN.append("v")
        return value


class Looking(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0
    b: int = 0

    @field_validator("b")
    @classmethod
    def told(cls, value: int, info: ValidationInfo) -> int:
        return value + len(info.data)


class Everywhere(BaseModel):
    a: int
    b: int
    c: int
    d: int

    @field_validator("*")
    @classmethod
    def told(cls, value: int, info: ValidationInfo) -> int:
        return value + len(info.data)


def _object(*fields: tuple[str, str]) -> str:
    return f"{{{', '.join(f'{key!r}: {value}' for key, value in fields)}}}".replace("'", '"')


def _deep(depth: int, *, before: str, leaf: str) -> str:
    leaves = ", ".join([leaf] * 200)
    return f'{{{before}, "kids": [' * depth + leaves + "]}" * depth


def _many(key: str, value: str, count: int) -> list[tuple[str, str]]:
    return [(f"{key}{number}", value) for number in range(count)]


@pytest.mark.parametrize(
    "type_, text",
    [
        (dict[str, int], lambda n: _object(*_many("k", "[]", n), *[("k1", "1")] * n)),
        (dict[str, int], lambda n: _object(*[("k", "[]"), ("j", "1")] * n)),
        (ByName, lambda n: _object(*_many("zz", "1", n), *[("A", "1")] * n)),
        (ByName, lambda n: _object(*[("zz", "1")] * n)),
        (Looking, lambda n: _object(*_many("zz", "1", n), *[("a", "1"), ("b", "2")] * n)),
        (Step, lambda n: _object(*_many("zz", "[[1]]", n), ("title", "1"))),
        (list[Everywhere], lambda n: f"[{', '.join([_object(*((c, '1') for c in 'abcd'))] * n)}]"),
        (list[Step], lambda n: f"[{', '.join(['{}'] * n)}]"),
    ],
)
def test_twice_the_document_costs_twice(type_: Any, text: Any) -> None:
    _calls(Partials(type_), [text(4)])
    once, twice = (_calls(Partials(type_), [text(count)]) for count in (150, 300))

    assert twice < 2.2 * once


@pytest.mark.slow
def test_what_is_wrong_deep_inside_is_not_reported_again_by_all_around_it() -> None:
    """The places of errors are put together when somebody looks."""
    costs: list[int] = []
    for depth in (2, 40):
        draft = Partials(Tree)
        costs.append(_calls(draft, [_deep(depth, before='"v": 1', leaf='{"v": "x"}')]))
        errors = draft.partial().errors

        assert 200 == len(errors)
        assert ("kids", 0) * (depth - 1) + ("kids", 199, "v") == errors[-1]["loc"]

    assert costs[1] < 1.5 * costs[0]


def test_objects_that_repeat_keys_inside_each_other_are_read_a_few_times() -> None:
    text = _deep(90, before='"v": 1, "v": 2', leaf='{"v": 3}')
    _RUN.clear()
    drafted(Tree, text, []).partial().final()

    assert len(_RUN) < 7 * text.count("v")


def test_what_waits_for_the_end_is_reported_at_the_end() -> None:
    """The errors are those of the whole, also where what is doubtful was not read on the way."""
    text = _deep(30, before='"v": 1, "v": 2', leaf='{"v": "x"}')
    with pytest.raises(OutputInvalid) as caught:
        drafted(Tree, text, []).partial().final()

    assert 200 == len(caught.value.errors)
    assert ("kids", 0) * 29 + ("kids", 0, "v") == caught.value.errors[0]["loc"]
