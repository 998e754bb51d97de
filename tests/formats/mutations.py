"""Answers that strayed, and texts that are hard to spell.

Payloads are dropped, doubled, swapped and cut, their fields retyped, removed and renamed.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

_JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "{}", "\ud83d", "\ud800", [], [1], [None], ["x"],
    [[]], [{}], {}, {"x": 1}, {"type": "text"}, [{"type": 1}],
]  # fmt: skip
"""What stands in a field instead of what belongs there."""

SPELLINGS = st.sampled_from([(",", ":"), (", ", ": ")])
"""What servers write between the values of JSON."""


def pieces(*more: str, least: int = 0, most: int = 8) -> st.SearchStrategy[list[str]]:
    """Draw pieces of text: with quotes, brackets, escapes and halves of characters, and more of a format."""
    halves = ["\ud83d", "x\ud83d", "\ude00", "\ude00y"]
    piece = st.one_of(
        st.text(max_size=6),
        st.text('ab\\"\n}{][,:é🎉?\ud83d\ude00\x00', max_size=4),
        st.sampled_from(["", "?", *halves, "abc", "abc", "abc", "tokenstream probe", *more]),
    )
    return st.lists(piece, min_size=least, max_size=most)


def junk(*more: Any) -> st.SearchStrategy[Any]:
    """Draw what belongs into no field, and more that one format would take for its own."""
    return st.sampled_from([*_JUNK, *more]).map(deepcopy)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a payload that can be changed: what holds it, and its key there."""
    if isinstance(value, tuple):
        return [found for item in value for found in _places(item)]
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = [(value, key) for key in keys]
    for key in keys:
        found += _places(value[key])
    return found


# -- an answer with a few mistakes ---------------------------------------------


def _move(draw: st.DrawFn, payloads: list[Any], change: str, place: int) -> None:
    """Drop an event, send it twice, swap it with another one, or cut the answer after it."""
    other = draw(st.integers(0, len(payloads) - 1))
    if change == "drop":
        del payloads[place]
    elif change == "double":
        payloads.insert(other, deepcopy(payloads[place]))
    elif change == "swap":
        payloads[place], payloads[other] = payloads[other], payloads[place]
    else:
        del payloads[place + 1 :]


def _spoil(draw: st.DrawFn, payload: Any, change: str, values: st.SearchStrategy[Any]) -> None:
    """Retype a field, take it away, or put another one in its place."""
    where = _places(payload)
    if not where:
        return
    holder, key = draw(st.sampled_from(where))
    if change == "retype":
        holder[key] = draw(values)
        return
    del holder[key]
    if change == "rename" and isinstance(holder, dict):
        holder["stray"] = draw(values)


@st.composite
def strayed(draw: st.DrawFn, everything: list[Any], *more: Any) -> list[Any]:
    """Draw an answer whose events and fields were changed in a few places.

    Args:
        everything: The payloads of a healthy answer, in their order.
        more: What else may stand in a field, beside what `junk` has.
    """
    payloads = deepcopy(everything)
    values = junk(*more)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(payloads) - 1))
        change = draw(
            st.sampled_from(["drop", "double", "swap", "cut", "retype", "retype", "remove", "rename"])
        )
        if change in ("drop", "double", "swap", "cut"):
            _move(draw, payloads, change, place)
        else:
            _spoil(draw, payloads[place], change, values)
        if not payloads:
            break
    return payloads


# -- payloads in any order -------------------------------------------------------


def _swap(frames: list[Any], place: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Put what stands in another place here, too; only JSON can stand within a payload."""
    holder, key = place
    value = other[0][other[1]]
    if holder is not frames and isinstance(value, tuple):
        _, value = value
    if holder is frames or isinstance(value, dict | list | str | int | float | None):
        holder[key] = deepcopy(value)


@st.composite
def changed(draw: st.DrawFn, payloads: list[Any], *more: Any, most: int = 14) -> list[Any]:
    """Draw payloads in any order, some again, with fields dropped, retyped, renamed and swapped.

    Args:
        payloads: What is drawn from: payloads, or pairs of an event's name and a payload.
        more: What else may stand in a field, beside what `junk` has.
        most: How many payloads there are at most.
    """
    frames = [deepcopy(payloads[i]) for i in draw(st.lists(st.integers(0, len(payloads) - 1), max_size=most))]
    for _ in range(draw(st.integers(0, 4))):
        where = _places(frames)
        if not where:
            break
        holder, key = draw(st.sampled_from(where))
        action = draw(st.sampled_from(["drop", "retype", "swap", "rename"]))
        if action == "drop":
            del holder[key]
        elif action == "retype":
            holder[key] = draw(junk(*more))
        elif action == "swap":
            _swap(frames, (holder, key), draw(st.sampled_from(where)))
        elif isinstance(holder, dict):
            holder["renamed"] = holder.pop(key)
    return [*frames, b"[DONE]"] if draw(st.booleans()) else frames
