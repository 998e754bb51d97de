"""Another order of tests: it depends on the seed alone, and keeps the modules together."""

from __future__ import annotations

from itertools import groupby

from tests.shake.order import shuffled

_ITEMS = [(module, number) for module in "abcdef" for number in range(9)]


def _module_of(item: tuple[str, int]) -> str:
    return item[0]


def test_each_seed_has_an_order_of_its_own() -> None:
    """Each process of a run makes the same one."""
    orders = [shuffled(_ITEMS, str(seed), _module_of) for seed in range(5)]

    assert orders == [shuffled(_ITEMS, str(seed), _module_of) for seed in range(5)]
    assert len({*map(tuple, orders)}) == len(orders)


def test_all_tests_run_and_a_module_at_a_time() -> None:
    """The fixtures of a module are made once."""
    order = shuffled(_ITEMS, "7", _module_of)

    assert sorted(order) == _ITEMS
    assert len([*groupby(order, _module_of)]) == len({*map(_module_of, _ITEMS)})
    assert [number for module, number in order if module == "a"] != [*range(9)]
