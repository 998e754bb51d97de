"""Chunkings of a body for tests: chunk boundaries carry no meaning."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")
_SMALL = 12_000


def whole(body: bytes) -> list[bytes]:
    return [body]


def sized(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def bytewise(body: bytes) -> list[bytes]:
    return sized(body, 1)


def per_event(body: bytes) -> list[bytes]:
    """Cut after each blank line, as most servers flush."""
    return [chunk for chunk in _EVENT_END.split(body) if chunk]


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut at these places, in any order; repeated ones give empty chunks."""
    borders = [0, *sorted(places), len(body)]
    return [body[start:stop] for start, stop in pairwise(borders)]


def seeded(body: bytes, seed: object, *, cuts: int = 40) -> list[bytes]:
    """Cut at random places, the same ones for the same seed."""
    chance = random.Random(str(seed))
    return cut_at(body, [chance.randrange(len(body) + 1) for _ in range(cuts)])


def several(body: bytes, seed: object) -> dict[str, list[bytes]]:
    """Return chunkings of a body by name; byte by byte only if that is quick."""
    found = {
        "whole": whole(body),
        "sevens": sized(body, 7),
        "per event": per_event(body),
        "random": seeded(body, seed),
    }
    if len(body) < _SMALL:
        found["bytes"] = bytewise(body)
    return found


@st.composite
def chunked(
    draw: st.DrawFn, bodies: st.SearchStrategy[bytes], *, most: int = 12
) -> tuple[bytes, list[bytes]]:
    """Draw a body and a way to cut it, with empty chunks among the others."""
    body = draw(bodies)
    places = draw(st.lists(st.integers(0, len(body)), max_size=most))
    return body, cut_at(body, places)
