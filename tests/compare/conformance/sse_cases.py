"""The verified SSE cases, read where they lie, and which of them a reader gets right."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tests.compare.conformance.digest import digest_of
from tests.support.beside import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.compare.conformance.answers import SSEEvent

FILE = SHARED / "cases" / "sse_cases.json"
"""The cases lie beside the project; without them nothing is said about SSE."""

_GROUPS = {
    "byte order mark": ("bom",),
    "line ends": ("lf", "crlf", "cr", "mixed", "lfcrlf", "crcrlf", "only"),
    "characters that don't end a line": ("vt", "nel", "ls", "fs"),
    "end of the input": ("eof", "empty", "one"),
    "data": ("data",),
    "other fields": ("field",),
    "comments": ("comment",),
    "event names": ("event",),
    "ids": ("id",),
    "retry": ("retry",),
    "UTF-8": ("utf8",),
    "long and many": ("long", "many"),
    "what LLM servers send": ("llm",),
    "from the web platform tests": ("wpt",),
}
_GROUP_OF = {prefix: group for group, prefixes in _GROUPS.items() for prefix in prefixes}

_LONG = 2_000
_SPLITS_OF_A_LONG_ONE = 25


@dataclass(frozen=True)
class SSECase:
    """Bytes, and the SSE events that they are."""

    name: str
    body: bytes
    events: list[SSEEvent]

    @property
    def group(self) -> str:
        return _GROUP_OF[self.name.partition("_")[0]]

    def chunkings(self) -> list[list[int]]:
        """Return places to cut: none, everywhere, and each place by itself."""
        length = len(self.body)
        step = max(1, length // _SPLITS_OF_A_LONG_ONE) if length > _LONG else 1
        return [[], list(range(1, length)), *([place] for place in range(1, length, step))]


@cache
def cases() -> list[SSECase]:
    """Return the cases; none where they are missing."""
    if not FILE.exists():
        return []
    return [
        SSECase(
            case["name"],
            base64.b64decode(case["input_b64"]),
            [(event["event"], event["data"], event["id"]) for event in case["events"]],
        )
        for case in json.loads(FILE.read_text("utf-8"))["cases"]
    ]


def digest() -> str:
    return digest_of([[case.name, case.body.hex(), case.events] for case in cases()])


def groups() -> Counter[str]:
    """Return how many cases each group has, in the order of the page."""
    counted = Counter(case.group for case in cases())
    return Counter({group: counted[group] for group in _GROUPS})


def judge(
    case: SSECase, told: Sequence[list[SSEEvent] | str], view: Callable[[SSEEvent], tuple[str, ...]]
) -> str | None:
    """Return None where a reader is right at every chunking, else where it first goes wrong.

    Args:
        told: What the reader gave at each of the case's chunkings; text stands for an error.
        view: What the reader claims to give of an SSE event.
    """
    expected = [view(event) for event in case.events]
    right = [not isinstance(events, str) and expected == [view(event) for event in events] for events in told]
    if all(right):
        return None
    return "in chunks" if right[0] else "whole"
