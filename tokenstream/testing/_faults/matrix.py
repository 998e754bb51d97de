"""Sequences of faulty recordings, for parametrised tests: a cut at each byte, or each fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, overload

from tokenstream.errors import MisuseError
from tokenstream.testing import faults
from tokenstream.testing._recordings.places import Playable, as_recording, chunk_ends, divide
from tokenstream.testing._recordings.recording import AllRecordingFields, Arrival, Breaks, Recording

if TYPE_CHECKING:
    from tokenstream.testing.faults import Fault

CutKind: TypeAlias = Literal["cut", "close", "reset"]
_CUT_KINDS: dict[CutKind, tuple[str, Breaks | None]] = {
    "cut": ("cut", None),
    "close": ("closed", "close"),
    "reset": ("reset", "reset"),
}
"""Maps each `how` to its word in a recording's name, and to the way in which the connection breaks."""
_SEVERAL_BYTES = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def every_cut(recording: Playable, *, every: int = 1, how: CutKind = "cut") -> Sequence[Recording]:
    r"""Return a sequence of copies of a recording, each cut at a different byte of its body.

    A copy is made when it is accessed, and has no bytes of its own: even thousands of
    copies are cheap enough to be the parameters of a test.

    Args:
        recording: The recording, the path of its file, or a script.
        every: Distance between cuts, in bytes; for a WebSocket, in messages.
        how: Effect of the cut: "cut" ends the body as if it were complete; "close" and "reset"
            break the connection there, and one more copy breaks it after the last byte.

    Raises:
        MisuseError: `every` or `how` is invalid.

    Example:
        >>> from tokenstream import testing
        >>> hello = testing.Recording.of([b"data: Hello\n\n"], name="hello")
        >>> [len(each.body) for each in testing.every_cut(hello, every=5)]
        [0, 5, 10]
        >>> testing.every_cut(hello)[4].name
        'hello cut at byte 4'
    """
    if how not in _CUT_KINDS:
        raise MisuseError(f'how={how!r} is invalid: pass "cut", "close" or "reset"')
    distance: object = every
    # Not isinstance: True is an int, too.
    if type(distance) is not int or distance < 1:
        raise MisuseError(f"every={every!r} is invalid: cuts are 1 or more bytes apart")
    # A copy with bytes of its own, even of a recording that this function has made.
    whole = as_recording(recording).replaced()
    # To end the body after its last byte would change nothing; to break the connection there does.
    includes_end = how != "cut"
    if whole.messages:
        boundaries = [0, *chunk_ends(whole)]
        if not includes_end:
            boundaries.pop()
        return _Cuts(whole, boundaries[::every], how)
    return _Cuts(whole, range(0, len(whole.body) + includes_end, every), how)


def fault_matrix(recording: Playable) -> Sequence[Recording]:
    """Return copies of a recording, each with one fault; faults that cannot be applied to it are left out.

    Args:
        recording: The recording, the path of its file, or a script.

    Example:
        >>> from tokenstream import testing
        >>> for each in testing.fault_matrix(testing.script().text("Hi").recording("text"))[:3]:
        ...     print(each.name)
        script in text with empty()
        script in text with cut(event=1)
        script in text with cut(at=0.5)
    """
    whole = as_recording(recording)
    return tuple(
        broken.replaced(name=f"{whole.name} with {fault.name}")
        for fault in _choose_faults(whole)
        if (broken := _apply_fault(whole, fault)) is not None
    )


class _Cuts(Sequence[Recording]):
    def __init__(self, whole: Recording, offsets: Sequence[int], how: CutKind) -> None:
        self.whole = whole
        self.how: CutKind = how
        self._offsets = offsets
        self._chunk_ends = chunk_ends(whole)

    def chunks_before(self, offset: int) -> list[Arrival]:
        return divide(self.whole, offset, self._chunk_ends)[0]

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Recording: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Recording]: ...

    def __getitem__(self, index: int | slice) -> Recording | Sequence[Recording]:
        if isinstance(index, slice):
            return _Cuts(self.whole, self._offsets[index], self.how)
        return _Cut(self, self._offsets[index])

    def __repr__(self) -> str:
        return f"<{len(self):,} × {self.whole.name} {_CUT_KINDS[self.how][0]}>"


class _Cut(Recording):
    """A copy of a recording that ends at an offset of its body.

    Its attributes are computed on each access and not stored: all cuts of a body of one
    megabyte would take half a terabyte.
    """

    def __init__(self, cuts: _Cuts, offset: int) -> None:
        # The dataclass is frozen, so that plain assignment would raise.
        object.__setattr__(self, "cuts", cuts)
        object.__setattr__(self, "offset", offset)

    def replaced(self, **others: Unpack[AllRecordingFields]) -> Recording:
        """Return an ordinary recording with the same fields, except those in `others`."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(Recording)}
        values.update(others)
        return Recording(**values)


def _computed_property(compute: Callable[[_Cuts, int], object]) -> property:
    """Return a property of `_Cut` that is computed on each access and never stored."""
    return property(lambda cut: compute(cut.cuts, cut.offset))


_CUT_PROPERTIES = {
    **{field.name: property(attrgetter(f"cuts.whole.{field.name}")) for field in fields(Recording)},
    "name": _computed_property(
        lambda cuts, offset: f"{cuts.whole.name} {_CUT_KINDS[cuts.how][0]} at byte {offset}"
    ),
    "breaks": _computed_property(lambda cuts, _: _CUT_KINDS[cuts.how][1]),
    "arrivals": _computed_property(lambda cuts, offset: tuple(cuts.chunks_before(offset))),
    "body": _computed_property(lambda cuts, offset: b"".join(data for _, data in cuts.chunks_before(offset))),
    "_chunk_list": _computed_property(lambda cuts, offset: [data for _, data in cuts.chunks_before(offset)]),
}
"""The properties of `_Cut`: a few are computed for the cut, the others are read from the whole recording."""
for _name, _property in _CUT_PROPERTIES.items():
    setattr(_Cut, _name, _property)


def _apply_fault(recording: Recording, fault: Fault) -> Recording | None:
    """Return a copy of a recording with a fault; None if the fault cannot be applied to it."""
    try:
        return fault(recording)
    except MisuseError:
        return None


def _choose_faults(recording: Recording) -> Iterator[Fault]:
    """Yield faults to try on a recording; some of them may turn out not to be applicable to it."""
    character = _SEVERAL_BYTES.search(recording.body)
    yield from _END_FAULTS
    if character is not None:
        # Cut inside of a character of several bytes.
        yield faults.cut(at=character.start() + 1)
    yield from _BREAK_FAULTS
    yield from _EVENT_FAULTS
    yield from _ANSWER_FAULTS
    if recording.messages:
        yield from _SOCKET_FAULTS
    if recording.exit_code is not None:
        yield faults.exit_code(1)


_END_FAULTS = (faults.empty(), faults.cut(event=1), faults.cut(at=0.5), faults.cut(at=-1), faults.no_done())
_BREAK_FAULTS = (
    faults.close(at=0.5),
    faults.close(event=-2),
    faults.close(at=1.0),
    faults.reset(at=0.5),
    faults.stall(at=0.5),
    faults.stall(90.0, at=0.5),
    faults.stall(1000.0, event=1) | faults.heartbeat(15.0),
    faults.slow(0.5),
    faults.gzipped(),
    faults.gzipped() | faults.cut(at=0.5),
    faults.gzipped() | faults.garble(at=0.5),
)
_EVENT_FAULTS = (
    faults.garble(at=0.5),
    faults.garble(at=0.5, data=b"\xff"),
    faults.bad_json(),
    faults.duplicate(),
    faults.reorder(),
    faults.error_event(at=0.5),
    faults.split_utf8(),
    faults.crlf(),
    faults.bom(),
    faults.heartbeat(),
)
_SOCKET_FAULTS = (faults.half_frame(event=-1), faults.close(event=-2, code=1011))
_ANSWER_FAULTS = (
    faults.html_instead(502),
    faults.html_instead(200),
    faults.status(529),
    faults.status(429, message="Slow down", retry_after=2.0),
    faults.status(200),
    faults.status(200) | faults.wrong_content_type("text/event-stream"),
    faults.wrong_content_type(),
    faults.wrong_content_type(None),
    faults.wrong_content_type("text/event-stream; charset=iso-8859-1"),
)
