"""Answers that strayed: events dropped, doubled, swapped and cut, fields retyped, removed and renamed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

__all__ = ["JUNK", "strayed"]

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        "",
        "x",
        "\ud83d",
        [],
        [1],
        [[]],
        {},
        {"type": "text"},
        [{"type": 1}],
    ]
).map(deepcopy)
"""What stands in a field instead of what belongs there."""


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in a payload something stands that can be changed."""
    found = [path] if path else []
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found += _paths(value[key], (*path, key))
    return found


def _move(draw: st.DrawFn, payloads: list[dict[str, Any]], change: str, place: int) -> None:
    """Drop an event, send it twice, swap it with another one, or cut the answer after it."""
    other = draw(st.integers(0, len(payloads) - 1))
    if change == "drop":
        del payloads[place]
    elif change == "double":
        payloads.insert(place, deepcopy(payloads[place]))
    elif change == "swap":
        payloads[place], payloads[other] = payloads[other], payloads[place]
    else:
        del payloads[place + 1 :]


def _spoil(draw: st.DrawFn, payload: dict[str, Any], change: str) -> None:
    """Retype a field, take it away, or put another one in its place."""
    where = _paths(payload)
    if not where:
        return
    *way, last = draw(st.sampled_from(where))
    holder: Any = payload
    for step in way:
        holder = holder[step]
    if change == "retype":
        holder[last] = draw(JUNK)
        return
    del holder[last]
    if change == "rename" and isinstance(holder, dict):
        holder["stray"] = draw(JUNK)


@st.composite
def strayed(draw: st.DrawFn, everything: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return an answer whose events and fields were changed in a few places."""
    payloads = deepcopy(everything)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(payloads) - 1))
        change = draw(
            st.sampled_from(["drop", "double", "swap", "cut", "retype", "retype", "remove", "rename"])
        )
        if change in ("drop", "double", "swap", "cut"):
            _move(draw, payloads, change, place)
        else:
            _spoil(draw, payloads[place], change)
        if not payloads:
            break
    return payloads
