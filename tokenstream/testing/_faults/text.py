"""Faults that change bytes of an answer: garbled bytes, broken JSON, other line ends, a byte order mark."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.framing._lines import BOM
from tokenstream.testing._faults.base import fault
from tokenstream.testing._recordings.frames import framing_of
from tokenstream.testing._recordings.places import Edit, find_event, find_offset, splice

if TYPE_CHECKING:
    from tokenstream.testing._recordings.recording import Recording

_LONE_LF = re.compile(rb"(?<!\r)\n")


@fault
def garble(
    recording: Recording,
    *,
    at: float | None = None,
    event: int | None = None,
    size: int = 4,
    seed: int = 0,
    data: bytes | None = None,
) -> Recording:
    r"""Overwrite some bytes.

    Args:
        at: Offset of the first byte, as for `cut`: an int is a number of bytes, a float is a fraction of
            the body. By default, it is in the middle.
        event: Number of an event; if passed instead of `at`, the overwritten bytes follow that event.
        size: Number of bytes to change; fewer are changed if the body ends before that.
        seed: Seed of the random replacements; the same seed gives the same bytes.
        data: Bytes to write, such as `b"\xff"`, which is invalid UTF-8; `size` and `seed` then do
            nothing. None for random bytes.

    Raises:
        MisuseError: On replay, if no bytes follow the offset or the event.
    """
    if size < 1 or data == b"":
        raise MisuseError("garble() overwrites one byte at least: neither size=0 nor data=b'' does")
    offset = find_offset(recording, at, event)
    old = recording.body[offset : offset + (size if data is None else len(data))]
    if not old:
        raise MisuseError(f"nothing is left to garble after byte {offset:,} of {recording.name!r}")
    generator = random.Random(seed)  # noqa: S311 - no secret
    new = bytes(byte ^ generator.randint(1, 255) for byte in old) if data is None else data
    # One edit for each byte, so that no chunk boundary moves.
    edits = [Edit(offset + index, offset + index + 1, new[index : index + 1]) for index in range(len(old))]
    return splice(recording, edits)


@fault
def bad_json(recording: Recording, *, event: int | None = None) -> Recording:
    """Break the JSON of one event.

    Args:
        event: Number of the event, from 1, or from the end with -1 for the last; by default the
            event in the middle.

    Raises:
        MisuseError: On replay, if there is no event with that number, or it is not a JSON object.
    """
    index, spans = find_event(recording, event)
    begin, end = spans[index]
    brace = recording.body.rfind(b"}", begin, end)
    if brace < 0:
        raise MisuseError(
            f"event {index + 1} of {recording.name!r} holds no JSON object that could be broken"
        )
    return splice(recording, [Edit(brace, brace + 1, b"!")])


@fault
def crlf(recording: Recording) -> Recording:
    """End lines with CR LF instead of LF.

    Raises:
        MisuseError: On replay, if the body is not text in lines.
    """
    _require_text(recording)
    return splice(recording, [Edit(*match.span(), b"\r\n") for match in _LONE_LF.finditer(recording.body)])


@fault
def bom(recording: Recording) -> Recording:
    """Begin the body with a byte order mark.

    Raises:
        MisuseError: On replay, if the body is not text.
    """
    _require_text(recording)
    return splice(recording, [Edit(begin=0, end=0, data=BOM)])


def _require_text(recording: Recording) -> None:
    """Raise `MisuseError` if a body is not text in lines."""
    if framing_of(recording) not in {"sse", "ndjson", "json"}:
        raise MisuseError(f"the body of {recording.name!r} is not text in lines")
