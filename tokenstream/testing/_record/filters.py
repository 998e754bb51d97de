"""Changes of a recording before it is written, by regular expressions or by a function."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeAlias, cast

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.recording import Arrival

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenstream.testing._recordings.recording import Recording

Filter: TypeAlias = "Callable[[bytes], bytes]"
"""Takes a body and returns the body to write."""
Pattern: TypeAlias = "str | bytes | re.Pattern[str] | re.Pattern[bytes]"
Replacements: TypeAlias = "Mapping[Pattern, str | bytes]"
"""Maps regular expressions to replacements, in which `\\1` and `\\g<name>` refer to groups."""


def compile_replacements(replace: Replacements | None) -> list[tuple[re.Pattern[bytes], bytes]]:
    """Return pairs of a compiled pattern and its replacement, both of bytes.

    Raises:
        MisuseError: A pattern is not a valid regular expression, or a value is neither str nor bytes.
    """
    return [(_compile_pattern(pattern), _as_bytes(text)) for pattern, text in (replace or {}).items()]


def _compile_pattern(pattern: Pattern) -> re.Pattern[bytes]:
    """Return a regular expression for bytes, with the flags of a compiled pattern."""
    source, flags = pattern, 0
    if isinstance(pattern, re.Pattern):
        source, flags = pattern.pattern, pattern.flags & ~re.UNICODE
    try:
        return re.compile(_as_bytes(source), flags)
    except re.error as error:
        raise MisuseError(f"a pattern of replace= is not a valid regular expression: {error}") from None


def _as_bytes(text: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode()
    raise MisuseError(f"replace= maps patterns to replacements, str or bytes, and not {type(text).__name__}")


def apply_replacements(
    recording: Recording, replacements: Iterable[tuple[re.Pattern[bytes], bytes]]
) -> Recording:
    """Return a recording with all matches replaced, in its body, its headers and its request line.

    Args:
        recording: The recording.
        replacements: Pairs of pattern and replacement, applied one after the other.
    """
    for pattern, text in replacements:
        recording = _apply_one(recording, pattern, text)
    return recording


def _apply_one(recording: Recording, pattern: re.Pattern[bytes], text: bytes) -> Recording:
    """Return a recording with all matches of one pattern replaced."""

    def in_head(value: str) -> str:
        found = pattern.sub(text, value.encode("utf-8", "surrogateescape"))
        return found.decode("utf-8", "surrogateescape")

    body, pieces, spans, end = recording.body, list[bytes](), list[tuple[int, int, int]](), 0
    for found in pattern.finditer(body):
        piece = found.expand(text)
        spans.append((found.start(), found.end(), len(piece)))
        pieces += [body[end : found.start()], piece]
        end = found.end()
    pieces.append(body[end:])
    return _with_body(recording, b"".join(pieces), spans).replaced(
        headers={name: in_head(value) for name, value in recording.headers.items()},
        request=in_head(recording.request),
    )


def apply_filter(recording: Recording, filter: Filter) -> Recording:  # noqa: A002 - the user's word
    """Return a recording with the body that a function returns for its body."""
    # The function changed the span between the beginning and the end that both bodies share.
    old, returned = recording.body, cast("Callable[[bytes], object]", filter)
    new = returned(old)
    if not isinstance(new, bytes):
        raise MisuseError(f"filter= takes a body and returns one, as bytes and not as {type(new).__name__}")
    most = min(len(old), len(new))
    begin = _common_prefix(old, new, most)
    rest = most - begin
    end = _common_prefix(old[::-1], new[::-1], rest)
    return _with_body(recording, new, [(begin, len(old) - end, len(new) - end - begin)])


def _common_prefix(one: bytes, other: bytes, most: int) -> int:
    """Return the length of the common prefix of two byte strings, by bisection."""
    same = 0
    while most > same:
        half = (same + most + 1) // 2
        if one[same:half] == other[same:half]:
            same = half
        else:
            most = half - 1
    return same


def _with_body(recording: Recording, body: bytes, spans: list[tuple[int, int, int]]) -> Recording:
    """Return a recording with another body; a chunk boundary moves with the bytes around it.

    A boundary inside a changed span keeps its distance from the span's start, or moves to the
    end of a shorter replacement.

    Args:
        recording: The recording.
        body: The new body.
        spans: Changed spans in ascending order: begin and end in the old body, and the number
            of bytes that replace the span.
    """
    # `shift` is the number of bytes by which the body has grown before the current span. The last span
    # is a sentinel behind the body, so that there is always a next span.
    ends: list[int] = []
    changed, shift = iter([*spans, (len(recording.body) + 1, 0, 0)]), 0
    begin, end, size = next(changed)
    for border in accumulate(len(data) for _, data in recording.arrivals):
        while border >= end and begin <= len(recording.body):
            shift += size - (end - begin)
            begin, end, size = next(changed)
        ends.append(begin + shift + min(border - begin, size) if border > begin else border + shift)
    if not ends and body:
        return recording.replaced(arrivals=(Arrival(0.0, body),))
    return recording.replaced(
        arrivals=tuple(
            Arrival(arrival.at, body[start:stop])
            for arrival, (start, stop) in zip(recording.arrivals, pairwise([0, *ends]), strict=True)
            if stop > start or not arrival.data
        )
    )
