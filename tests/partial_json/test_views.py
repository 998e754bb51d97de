"""Views of growing data."""

from __future__ import annotations

import pickle
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream._basics.text_log import TextLog
from tokenstream.partial_json import MISSING
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, GrowingText, resolve

_FIELDS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=12)


def _log(fields: list[tuple[str, Any]]) -> FieldLog:
    log = FieldLog()
    for name, value in fields:
        log.add(name, value)
    return log


@given(before=_FIELDS, behind=_FIELDS)
def test_an_object_view_is_the_dict_of_its_moment(before: list[Any], behind: list[Any]) -> None:
    log = _log(before)
    view = GrowingObject(log)
    for name, value in behind:
        log.add(name, value)
    wanted = dict(before)

    assert (wanted, list(wanted), len(wanted)) == (dict(view), list(view), len(view))
    assert [name in wanted for name in "abcd"] == [name in view for name in "abcd"]


@given(fields=_FIELDS, name=st.sampled_from("abcd"))
def test_a_field_that_grows_stands_for_a_finished_one(fields: list[Any], name: str) -> None:
    view = GrowingObject(_log(fields), name, -1)
    wanted = {**dict(fields), name: -1}

    assert (wanted, list(wanted), len(wanted)) == (dict(view), list(view), len(view))
    assert [key for key in wanted if key != name] == [key for key in wanted if view.is_final(key)]


@given(
    values=st.lists(st.integers(), max_size=8), more=st.lists(st.integers(), max_size=3), tail=st.booleans()
)
def test_an_array_view_is_the_list_of_its_moment(values: list[int], more: list[int], tail: bool) -> None:
    held = list(values)
    view = GrowingArray(held, 0 if tail else MISSING)
    held += more
    wanted = [*values, 0] if tail else values
    size = len(wanted)

    assert (wanted, size) == (list(view), len(view))
    assert [wanted[place] for place in range(-size, size)] == [view[place] for place in range(-size, size)]
    assert wanted[1:-1] == view[1:-1]
    assert [place % size < len(values) for place in range(-size, size)] == [
        view.is_final(place) for place in range(-size, size)
    ]


def test_an_element_that_has_not_come_is_an_index_error() -> None:
    view = GrowingArray([1, 2])

    with pytest.raises(IndexError, match="no element 2 yet: 2 have arrived"):
        _ = view[2]
    with pytest.raises(IndexError):
        _ = view[-3]
    assert [False, False, False] == [view.is_final(key) for key in (2, -3, "a")]


def test_a_name_that_has_not_come_is_a_key_error() -> None:
    view = GrowingObject(_log([("a", 1)]))

    with pytest.raises(KeyError):
        _ = view["b"]
    assert (1, None) == (view.get("a"), view.get("b"))


def test_text_is_joined_when_somebody_looks() -> None:
    log = TextLog()
    log.append("Hel")
    text = GrowingText(log)
    log.append("lo")

    assert ("Hel", "Hel") == (str(text), resolve(text))
    assert (["Hel"], "Hel") == (list(GrowingArray([], text)), GrowingArray([], text)[0])
    assert {"a": "Hel"} == GrowingObject(_log([]), "a", text)


def test_views_are_equal_to_what_they_show() -> None:
    array, mapping = GrowingArray([1, 2]), GrowingObject(_log([("a", 1)]))

    assert array == [1, 2] == GrowingArray([1, 2])
    assert array == (1, 2)
    assert mapping == {"a": 1} == GrowingObject(_log([("a", 1)]))
    assert array != "12"
    assert mapping != [("a", 1)]
    assert (True, True) == (isinstance(array, Sequence), isinstance(mapping, Mapping))
    assert (False, False) == (isinstance(array, Hashable), isinstance(mapping, Hashable))


def test_views_look_like_what_they_show() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = GrowingArray([GrowingObject(_log([("a", deep)]))])

    assert "[1, {'a': 'x'}]" == repr(GrowingArray([1, GrowingObject(_log([("a", "x")]))]))
    assert repr(GrowingArray(list(range(25)))).endswith("19, … 5 more]")
    assert "[…]" + "}]" * 20 == repr(deep)[-43:]
    assert ("[[]]", "{'a': 1}") == (
        repr(GrowingArray([GrowingArray([])])),
        repr(GrowingObject(_log([("a", 1)]))),
    )


def test_views_can_be_pickled() -> None:
    views = [GrowingArray([1], 2), GrowingObject(_log([("a", 1)]), "b", [3])]

    assert views == pickle.loads(pickle.dumps(views))
