"""What a case of JSON is made of, and what a reader tells of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any

REFUSED, NOTHING, ACCEPTED = "refused", "nothing", "accepted"
"""What is told in place of a value; a value is told as its JSON, which is none of these words."""

KINDS = ("label", "strict", "partial", "allow", "lenient")
"""What is asked of a text: is it a document; its value; what a part of one shows; the same with
`Allow`; what is meant by it."""


@dataclass(frozen=True)
class JSONCase:
    text: str
    kind: str
    readings: Sequence[Any] = ()
    """Of a lenient case, what it can mean; of one with `Allow`, the one value that its flags ask for."""
    why: str = ""
    """Why these are its readings, for the page."""
    allow: int = 0
    label: str = ""
    """Of a file of JSONTestSuite, the first letter of its name: y, n or i."""
    file: str = ""

    @property
    def name(self) -> str:
        """What the case is found by in the results of its suite."""
        if self.kind == "allow":
            return f"{self.text} with {self.allow}"
        return self.file or f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class JSONSuite:
    name: str
    about: str
    """What the cases are and whose, for the page."""
    owner: str
    """The reader whose tests they follow; empty where labels are what is compared with."""
    cases: Callable[[], Sequence[JSONCase]] = field(repr=False)


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    # Half of a surrogate pair can be written as an escape only.
    return text if text.isascii() or text.encode("utf-8", "replace").decode() == text else json.dumps(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        # JavaScript has one kind of number.
        return one == other or (isnan(one) and isnan(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def same_told(one: str, other: str) -> bool:
    """Return whether two readers told the same; numbers count by their value."""
    words = {REFUSED, NOTHING, ACCEPTED}
    if one == other or one in words or other in words:
        return one == other
    return _same(json.loads(one), json.loads(other))
