"""The parser of partial JSON: the names of its module, what they load, and what it costs."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from time import thread_time
from typing import Any

import pytest

import tokenstream.partial_json
from tests.partial_json.support import read
from tokenstream.partial_json import MISSING

# -- the names ---------------------------------------------------------------------------


def test_missing_is_one_thing_and_false() -> None:
    assert [MISSING] * 3 == [copy.copy(MISSING), copy.deepcopy(MISSING), pickle.loads(pickle.dumps(MISSING))]
    assert all(twin is MISSING for twin in (copy.deepcopy(MISSING), pickle.loads(pickle.dumps(MISSING))))
    assert (False, "MISSING", "MISSING") == (bool(MISSING), repr(MISSING), str(MISSING))
    assert MISSING is not None


@pytest.mark.slow
def test_the_parser_loads_only_the_strict_reading() -> None:
    """No lenient one, no type adapters, nor the package that has the flags: who only parses pays for none."""
    program = (
        "import sys\nfrom tokenstream.partial_json import PartialJSONParser\n"
        "PartialJSONParser().feed('[1]')\nprint(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert set() == {"pydantic", "partial_json_parser", "decimal"} & set(loaded.split())
    assert "_lenient" not in loaded


def test_without_its_package_the_flags_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser itself takes any int."""
    monkeypatch.setitem(sys.modules, "partial_json_parser", None)
    monkeypatch.delitem(sys.modules, "tokenstream.partial_json._show", raising=False)
    monkeypatch.delitem(vars(tokenstream.partial_json), "Allow", raising=False)

    with pytest.raises(ModuleNotFoundError, match="pip install partial-json-parser"):
        _ = tokenstream.partial_json.Allow


# -- what it costs -------------------------------------------------------------------------


def _seconds(begun: str, piece: str, *, pieces: int, look: bool, rounds: int = 3, **options: Any) -> float:
    """Return how many seconds of the processor so many pieces take, at best."""
    times = []
    for _ in range(rounds):
        parser = read(begun, **options)
        start = thread_time()
        for _ in range(pieces):
            parser.feed(piece)
            if look:
                _ = parser.value
        times.append(thread_time() - start)
        assert parser.error is None
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize(
    "begun, piece",
    [
        ('["', "abcd"),
        ('"', "abcd"),
        ('["', r"\\\\"),
        ('["', r"a\u00e9"),
        ("[1", ",1"),
        ("[[1", "],[1"),
        ("[", "    "),
        ('{"', "abcd"),
    ],
)
def test_a_piece_costs_the_same_however_much_has_come(begun: str, piece: str, look: bool) -> None:
    """Four times the pieces take four times as long, with some room for the caches."""
    once = _seconds(begun, piece, pieces=25_000, look=look)
    # A busy machine may be slow once.
    fours = (_seconds(begun, piece, pieces=100_000, look=look, rounds=1) for _ in range(3))

    assert any(four < 8 * once for four in fours)


@pytest.mark.slow
def test_a_piece_costs_the_same_at_any_depth() -> None:
    """Paths are made when somebody asks."""
    shallow, deep = (
        _seconds('{"a":' * depth + '["', 'abc", "', pieces=50_000, look=True) for depth in (5, 400)
    )

    assert deep < 2 * shallow
