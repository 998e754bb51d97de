"""Odd frames, which no correct server sends: odd payloads, and payloads with one changed field."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tokenstream.framing import EventStreamMessage, ServerSentEvent
from tokenstream.testing._check.readings import parse_payload, replace_payload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream.partial_json._events import Path
    from tokenstream.testing._check.readings import Framed

PROBE = "tokenstream_probe"
"""A name that no format knows, used as a field and as the type of a payload."""
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "{}", "\ud83d", [], [1], [None], ["x"], [[]], [{}], {},
    {"x": 1}, {"type": "text"}, {PROBE: [1]},
)  # fmt: skip
"""Odd values, each of which replaces the value of one field of a payload in turn."""
_ODD_PAYLOADS: tuple[bytes, ...] = (
    b"", b" ", b"{}", b"[]", b"null", b"true", b"1", b'"x"', b"{", b"}", b"\xff\xfe", b"[DONE]",
    b"x" * 10_000, b"[" * 20_000, b'{"x":' * 20_000, b'{"x":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    b'{"x":1' + b"0" * 5_000 + b"}", b'{"type":1}', b'{"error":[]}', b'{"error":{"message":1}}',
)  # fmt: skip
"""Payloads that are empty, of the wrong kind, broken, or nested too deeply."""
_MAX_FED_FRAMES = 60_000
"""Most frames that all tests with a changed payload of one recording may feed together."""
_MAX_SHOWN = 40


class Odd(NamedTuple):
    """An odd frame, which replaces one of the recording's frames."""

    number: int
    """Index of the replaced frame, from 0."""
    description: str
    """Description of the oddity."""
    frame: Framed


def odd_frames(frames: Sequence[Framed], max_changes: int) -> Iterator[Odd]:
    """Yield frames with odd payloads, then frames with one field replaced by a value of another type.

    Args:
        max_changes: Largest number of changed payloads; if more changes are possible, the same
            sample of them is made each time.
    """
    first_middle_last = sorted({0, len(frames) // 2, len(frames) - 1}) if frames else []
    for index in first_middle_last:
        for odd in _ODD_PAYLOADS:
            description = f"its payload is {odd[:_MAX_SHOWN]!r}{'…' if len(odd) > _MAX_SHOWN else ''}"
            yield Odd(index, description, replace_payload(frames[index], odd))
    changes = [
        (index, payload, path, value)
        for index, payload in find_kinds(frames)
        for path in _list_paths(payload)
        for value in _VALUES
    ]
    # For each change, a new format is fed all frames, so a long answer gets fewer changes.
    max_changes = min(max_changes, _MAX_FED_FRAMES // max(1, len(frames)))
    if len(changes) > max_changes:
        changes = random.Random(0).sample(changes, max_changes)  # noqa: S311 - no secret
    for index, payload, path, value in changes:
        description = f"its {_write_path(path)} is {value!r}"
        yield Odd(index, description, replace_payload(frames[index], _change_field(payload, path, value)))


def find_kinds(frames: Sequence[Framed]) -> list[tuple[int, dict[str, Any]]]:
    """Return one payload of each kind, with the index of its frame.

    Payloads with the same fields and the same `type` are of one kind.
    """
    first_of_kind: dict[object, tuple[int, dict[str, Any]]] = {}
    for index, frame in enumerate(frames):
        payload = parse_payload(frame)
        if payload is not None:
            first_of_kind.setdefault(
                (frozenset(_list_paths(payload)), str(payload.get("type"))), (index, payload)
            )
    return list(first_of_kind.values())


def make_unknown_frame(frame: Framed) -> Framed:
    """Return a copy of a frame with a payload, and an event's name, that no format knows."""
    strange = replace_payload(frame, {"type": PROBE, PROBE: "kept"})
    if isinstance(strange, ServerSentEvent):
        # The type of an SSE event that names none.
        return replace(strange, event="message")
    if isinstance(strange, EventStreamMessage):
        return replace(strange, event=PROBE)
    return strange


def _list_paths(value: object, path: Path = ()) -> list[Path]:
    """Return the paths of all values inside a payload, at any depth."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items += cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        items += enumerate(cast("list[object]", value))
    paths: list[Path] = []
    for key, item in items:
        paths += [(*path, key), *_list_paths(item, (*path, key))]
    return paths


def _change_field(payload: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    """Return a copy of a payload in which the value at `path` is replaced."""
    changed = deepcopy(payload)
    container: Any = changed
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = value
    return changed


def _write_path(path: Path) -> str:
    return "".join([f"[{key!r}]" for key in path])
