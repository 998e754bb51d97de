"""Changes of a recording before it is written, by regular expressions or by a function."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.recording import Arrival, Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


Filter: TypeAlias = "Callable[[bytes], bytes]"
"""Takes a body and returns the body to write."""
TextPattern: TypeAlias = "str | bytes | re.Pattern[str] | re.Pattern[bytes]"
Replacements: TypeAlias = "Mapping[TextPattern, str | bytes]"
"""Maps regular expressions to replacements, in which `\\1` and `\\g<name>` refer to groups."""


Replacement: TypeAlias = "tuple[re.Pattern[bytes], bytes]"
"""A pattern, and the bytes with which to replace its matches."""


def compile_replacements(replace: Replacements | None) -> list[Replacement]:
    return [(_compile_pattern(pattern), _encode_filter(text)) for pattern, text in (replace or {}).items()]


def _compile_pattern(pattern: TextPattern) -> re.Pattern[bytes]:
    source, flags = pattern, 0
    if isinstance(pattern, re.Pattern):
        # Every pattern of text has this flag, and patterns of bytes must not have it.
        source, flags = pattern.pattern, pattern.flags & ~re.UNICODE
    try:
        return re.compile(_encode_filter(source), flags)
    except re.error as error:
        raise MisuseError(f"a pattern of replace= is not a valid regular expression: {error}") from None


def _encode_filter(text: object) -> bytes:
    """Return text or bytes as bytes; raise `MisuseError` for any other value."""
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode()
    raise MisuseError(f"replace= maps patterns to replacements, str or bytes, and not {type(text).__name__}")


def apply_replacements(recording: Recording, replacements: Iterable[Replacement]) -> Recording:
    for pattern, text in replacements:
        recording = _apply_one(recording, pattern, text)
    return recording


def _apply_one(recording: Recording, pattern: re.Pattern[bytes], text: bytes) -> Recording:
    def replace_in_head(value: str) -> str:
        new_value = pattern.sub(text, value.encode("utf-8", "surrogateescape"))
        return new_value.decode("utf-8", "surrogateescape")

    body = recording.body
    pieces: list[bytes] = []
    changes: list[_Change] = []
    end = 0
    for match in pattern.finditer(body):
        replacement = match.expand(text)
        changes.append(_Change(match.start(), match.end(), len(replacement)))
        pieces += [body[end : match.start()], replacement]
        end = match.end()
    pieces.append(body[end:])
    return _with_body(recording, b"".join(pieces), changes).replaced(
        headers={name: replace_in_head(value) for name, value in recording.headers.items()},
        request=replace_in_head(recording.request),
        close_frame=recording.close_frame
        and (recording.close_frame[0], replace_in_head(recording.close_frame[1])),
    )


def apply_filter(recording: Recording, filter: Filter) -> Recording:  # noqa: A002 - the user's word
    """Return a recording with another body: the result of calling `filter` with the old one."""
    old = recording.body
    # A user's function may return anything.
    new = cast("Callable[[bytes], object]", filter)(old)
    if not isinstance(new, bytes):
        raise MisuseError(f"filter= takes a body and returns one, as bytes and not as {type(new).__name__}")
    # The function changed the bytes between the beginning and the end that both bodies share.
    shorter = min(len(old), len(new))
    beginning = _common_prefix(old, new, shorter)
    ending = _common_prefix(old[::-1], new[::-1], shorter - beginning)
    change = _Change(beginning, len(old) - ending, len(new) - ending - beginning)
    return _with_body(recording, new, [change])


def _common_prefix(one: bytes, other: bytes, limit: int) -> int:
    """Return the length of the common prefix of two byte strings, `limit` at most, by bisection."""
    length = 0
    while limit > length:
        middle = (length + limit + 1) // 2
        if one[length:middle] == other[length:middle]:
            length = middle
        else:
            limit = middle - 1
    return length


class _Change(NamedTuple):
    """A span of a body that is replaced by other bytes."""

    begin: int
    end: int
    new_size: int
    """Number of bytes that replace the span."""


def _with_body(recording: Recording, body: bytes, changes: list[_Change]) -> Recording:
    """Return a recording with another body; a chunk boundary moves with the bytes around it.

    A boundary inside a changed span keeps its distance from the span's start, or moves to the
    end of a shorter replacement.
    """
    size = len(recording.body)
    new_ends: list[int] = []
    # The last change lies after the body, and is never reached, so that there is always a next change.
    remaining = iter([*changes, _Change(begin=size + 1, end=size + 1, new_size=0)])
    change = next(remaining)
    # Number of bytes by which the body has grown before the current change.
    growth = 0
    for boundary in accumulate(len(data) for _, data in recording.arrivals):
        # Pass the changes that end before the boundary.
        while boundary >= change.end:
            growth += change.new_size - (change.end - change.begin)
            change = next(remaining)
        # Number of bytes of the current change before the boundary; 0 unless the boundary is inside it.
        inside = max(0, boundary - change.begin)
        new_ends.append(boundary - inside + growth + min(inside, change.new_size))
    if not new_ends and body:
        # The old body was empty: there is no chunk to which the new bytes could be added.
        return recording.replaced(arrivals=(Arrival(0.0, body),))
    # A chunk that has become empty is left out.
    return recording.replaced(
        arrivals=tuple(
            Arrival(arrival.at, body[start:stop])
            for arrival, (start, stop) in zip(recording.arrivals, pairwise([0, *new_ends]), strict=True)
            if stop > start or not arrival.data
        )
    )
