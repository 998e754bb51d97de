"""A table of cases in one test, which goes through all of them and names each that fails.

A test of its own costs milliseconds, however little it does; a case that only compares values takes
microseconds. Cases that start servers, take fixtures of their own or run in an event loop stay tests.
"""

from __future__ import annotations

import inspect
import os
import traceback
import unittest
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

import pytest
from _pytest.mark import ParameterSet

_Test = Callable[..., None]
_LONG = 120
"""As many characters of a value name a row at most."""
APART = "TOKENSTREAM_ROWS_APART"
"""Where this variable is set, each row is a test."""
_SKIPS = (pytest.skip.Exception, unittest.SkipTest)
SKIPPED_ROWS: list[tuple[str, str]] = []
"""The rows that the running test has skipped where others passed, each with the reason."""


class _Row(NamedTuple):
    name: str
    arguments: dict[str, Any]
    group: str | None


def in_one_test(
    names: str | Sequence[str],
    rows: Iterable[Any],
    *,
    ids: Iterable[str] | Callable[[Any], object] | None = None,
    by: Callable[..., str] | None = None,
    slow: Collection[str] = (),
) -> Callable[[_Test], _Test]:
    """Have a test go through all rows of a table, in place of `pytest.mark.parametrize`.

    Each row that fails is named, with its error and the test's line; the others are tried all the same. A row
    that is skipped is named in the summary, and the test is skipped if all rows are. Several tables of a
    test are tried in each combination. Fixtures are made once for all rows, so that only those will do
    which no row changes.

    Args:
        names: The arguments that the rows give, as for `parametrize`.
        rows: The values; `pytest.param` may name a row, and may not mark it.
        ids: What names the rows: their names in order, or a function of each value.
        by: Gives the group of a row from its values, for a table that takes long: each group is a test.
        slow: The groups among these that take long themselves, and are marked `slow`.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    table = list(_rows(fields, list(rows), ids, by))
    if os.environ.get(APART):
        apart = [pytest.param(*row.arguments.values(), id=row.name) for row in table]
        return pytest.mark.parametrize(fields, apart)

    def decorate(test: _Test) -> _Test:
        plain = getattr(test, "in_one_test", test)
        tables = [table, *getattr(test, "tables", ())]

        def looped(*instance: object, rows_of: str | None = None, **fixtures: object) -> None:
            combinations = product(*tables)
            chosen = [rows for rows in combinations if rows_of in {None, *(row.group for row in rows)}]
            _run(plain, chosen, instance, fixtures)

        looped.__dict__.update(vars(test), in_one_test=plain, tables=tables, __wrapped__=plain)
        looped.__name__, looped.__qualname__ = plain.__name__, plain.__qualname__
        looped.__doc__, looped.__module__ = plain.__doc__, plain.__module__
        parameters = inspect.signature(test).parameters
        left = [parameter for name, parameter in parameters.items() if name not in fields]
        if by is None:
            _set_signature(looped, left)
            return looped if table else pytest.mark.skip("a table without rows")(looped)
        group = inspect.Parameter("rows_of", inspect.Parameter.KEYWORD_ONLY)
        _set_signature(looped, [*left, group])
        groups = list(dict.fromkeys(row.group for row in table))
        assert {*slow} <= {*groups}, "a group without rows is slow"
        marked = [pytest.param(name, marks=[pytest.mark.slow] * (name in slow)) for name in groups]
        return pytest.mark.parametrize("rows_of", marked)(looped)

    return decorate


def _set_signature(function: Any, parameters: list[inspect.Parameter]) -> None:
    function.__signature__ = inspect.Signature(parameters)


def _rows(
    fields: list[str],
    rows: list[Any],
    ids: Iterable[str] | Callable[[Any], object] | None,
    by: Callable[..., str] | None,
) -> Iterator[_Row]:
    given = [None] * len(rows) if ids is None or callable(ids) else list(ids)
    for row, listed in zip(rows, given, strict=True):
        name: object = listed
        values = row if len(fields) > 1 else (row,)
        if isinstance(row, ParameterSet):
            assert not row.marks, "a row with a mark of its own is a test of its own"
            name, values = row.id or listed, row.values
        name = name or ", ".join(_shown(value, ids) for value in values)
        yield _Row(str(name), dict(zip(fields, values, strict=True)), by(*values) if by else None)


def _shown(value: Any, ids: object) -> str:
    shown = ids(value) if callable(ids) else None
    text = str(shown) if shown is not None else getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}…{text[-_LONG // 2 :]}"


class _Trouble(NamedTuple):
    row: str
    error: BaseException


def _run(
    test: _Test,
    combinations: list[tuple[_Row, ...]],
    instance: tuple[object, ...],
    fixtures: dict[str, object],
) -> None:
    failed, skipped = list[_Trouble](), list[_Trouble]()
    for rows in combinations:
        arguments = {name: value for row in rows for name, value in row.arguments.items()}
        try:
            test(*instance, **fixtures, **arguments)
        except _SKIPS as error:
            skipped.append(_Trouble(" - ".join(row.name for row in rows), error))
        # Whatever else a row raises is a fault of that row, and the next one is tried.
        except (Exception, pytest.fail.Exception) as error:
            # Time is up for all rows together.
            if "from pytest-timeout" in str(error):
                raise
            failed.append(_Trouble(" - ".join(row.name for row in rows), error))
    if failed:
        told = [f"{len(failed)} of {len(combinations)} fail:", *(_told(test, each) for each in failed)]
        if skipped:
            told += [f"{len(skipped)} are skipped:", *(_told(test, each) for each in skipped)]
        raise AssertionError("\n".join(told)) from failed[0].error
    if skipped and len(skipped) == len(combinations):
        pytest.skip("; ".join(dict.fromkeys(str(each.error) for each in skipped)))
    SKIPPED_ROWS.extend((each.row, str(each.error)) for each in skipped)


def _told(test: _Test, trouble: _Trouble) -> str:
    row, error = trouble
    kind = "" if isinstance(error, (AssertionError, *_SKIPS)) else f"{type(error).__name__}: "
    return f"{row} ({_place_in(test, error)}):\n{indent(f'{kind}{error}', '    ')}"


def _place_in(test: _Test, error: BaseException) -> str:
    """Return the line of the test that an error came through, and the last one of its file."""
    file = inspect.unwrap(test).__code__.co_filename
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames[-1:]
    lines = dict.fromkeys(frame.lineno for frame in (own[0], own[-1]))
    return f"{Path(own[0].filename).name}:{', '.join(map(str, lines))}"
