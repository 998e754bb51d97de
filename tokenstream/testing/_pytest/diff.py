"""Differences between two answers, field by field, as the lines that a failed test prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import SequenceMatcher
from typing import Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel

from tokenstream._message_parts import Value
from tokenstream.events import Event
from tokenstream.testing._recordings.recording import Recording

_BEFORE, _AFTER = 20, 30
"""Characters printed before and after the place where two texts begin to differ."""
_MOST_LINES = 60
_SHORT = 30
"""Length up to which texts are printed whole, in characters."""
_MOST_SHOWN = 100
"""Length up to which a value is printed whole, in characters."""
_IN_LINE = 40
"""Length up to which two values share one line, in characters, since pytest prints only a few lines."""
_MOST_MATCHED = 400
"""Number of items up to which lists are aligned; longer lists are compared index by index."""
_OURS: tuple[type, ...] = (Value, Recording, *get_args(Event))

TextT = TypeVar("TextT", str, bytes)


def differences(
    left: object, right: object, *, names: tuple[str, str] = ("left", "right"), path: str = ""
) -> list[str]:
    r"""Return the differences between two values, as lines of text.

    Messages, events, tool calls and recordings are compared field by field. For texts and
    bodies, the lines give the place where they begin to differ; for lists, the items that
    differ, are missing or are added.

    Args:
        left: Any value.
        right: Another value.
        names: The names of the two values in the lines.
        path: Place of the values in the answer, such as "parts[0].text"; "" for whole values.

    Returns:
        The lines; none if the values are equal.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> print(*differences([TextDelta("Hello")], [TextDelta("Help!")]), sep="\n")
        [0].text: left 'Hello', right 'Help!'
    """
    report = _Report(names)
    report.compare(path, left, right)
    return report.lines[:_MOST_LINES] + ["… and more"] * (len(report.lines) > _MOST_LINES)


def holds_answers(value: object) -> bool:
    """Return True for a message, an event, a recording or a part of one, and for a list or dict of these."""
    if isinstance(value, dict):
        value = list(cast("dict[object, object]", value).values())
    if isinstance(value, list | tuple):
        return any(isinstance(item, _OURS) for item in cast("Sequence[object]", value))
    return isinstance(value, _OURS)


class _Report:
    """Collects the lines that describe differences.

    Args:
        names: The names of the two sides in the lines.
    """

    def __init__(self, names: tuple[str, str]) -> None:
        self.lines: list[str] = []
        width = max(map(len, names)) + 1
        self._left, self._right = (f"    {f'{name}:':{width}} " for name in names)
        self._names = names

    def compare(self, path: str, left: object, right: object) -> None:
        """Add the differences between the two values at `path`."""
        if len(self.lines) > _MOST_LINES or (type(left) is type(right) and left == right):
            return
        before = len(self.lines)
        if type(left) is not type(right):
            self._show_types(path, left, right)
            return
        compare = next(compare for kind, compare in self._kinds if isinstance(left, kind))
        compare(self, path, left, right)
        if len(self.lines) == before:
            self._show_values(path, left, right)

    # -- by kind -----------------------------------------------------------------

    def _compare_texts(self, path: str, left: str, right: str) -> None:
        if max(len(left), len(right)) > _SHORT:
            self._show_parting(path, left, right, "character", _spell_text)

    def _compare_bodies(self, path: str, left: bytes, right: bytes) -> None:
        place = _find_parting(left, right)
        # The next event begins after the last blank line that both bodies share.
        event = left.count(b"\n\n", 0, place) + 1
        of_sse = b"\n\n" in left or b"\n\n" in right
        self._show_parting(path, left, right, f"event {event}, byte" if of_sse else "byte", _spell_bytes)

    def _show_parting(
        self, path: str, left: TextT, right: TextT, unit: str, spelled: Callable[[TextT], str]
    ) -> None:
        """Add three lines that show the first difference of two texts: its place, and both texts around it.

        Args:
            path: Place of the texts in the answer.
            left: A text, or bytes.
            right: The value to compare with `left`.
            unit: Unit in which the place is counted, such as "character".
            spelled: Writes an excerpt as it would be written in a program.
        """
        place = _find_parting(left, right)
        begin, end = max(0, place - _BEFORE), place + _AFTER
        opening = "…'" if begin else "'"
        self.lines.append(
            f"{_name_place(path)}: they part at {unit} {place:,} (of {len(left):,} and {len(right):,})"
        )
        for margin, text in ((self._left, left), (self._right, right)):
            closing = "'…" if end < len(text) else "'"
            self.lines.append(f"{margin}{opening}{spelled(text[begin:end])}{closing}")
        self.lines.append(" " * len(f"{self._left}{opening}{spelled(left[begin:place])}") + "^")

    def _compare_recordings(self, path: str, left: Recording, right: Recording) -> None:
        """Compare two recordings; their chunks and times only if the bodies are equal."""
        for each in fields(left):
            if each.name != "arrivals":
                self.compare(join_path(path, each.name), getattr(left, each.name), getattr(right, each.name))
        if left.body != right.body:
            self.compare(join_path(path, "body"), left.body, right.body)
            return
        sizes = [[len(data) for _, data in each.arrivals] for each in (left, right)]
        times = [[at for at, _ in each.arrivals] for each in (left, right)]
        if sizes[0] != sizes[1]:
            self._show_values(join_path(path, "chunks (their sizes)"), *sizes)
        elif times[0] != times[1]:
            self._show_values(join_path(path, "arrivals (their times)"), *times)

    def _compare_fields(self, path: str, left: object, right: object) -> None:
        for name in _list_fields(left):
            self.compare(join_path(path, name), getattr(left, name), getattr(right, name))

    def _compare_mappings(
        self, path: str, left: Mapping[object, object], right: Mapping[object, object]
    ) -> None:
        for key, value in left.items():
            if key in right:
                self.compare(f"{path}[{key!r}]", value, right[key])
            else:
                self._show_single(f"{path}[{key!r}]", value, 0)
        for key, value in right.items():
            if key not in left:
                self._show_single(f"{path}[{key!r}]", value, 1)

    def _compare_lists(self, path: str, left: Sequence[object], right: Sequence[object]) -> None:
        """Compare two lists; they are aligned first, so that an added item does not shift the others."""
        for left_begin, left_end, right_begin, right_end in _match_ranges(left, right):
            both = min(left_end - left_begin, right_end - right_begin)
            for offset in range(both):
                at, other = left_begin + offset, right_begin + offset
                place = f"{path}[{at}]" if at == other else f"{path}[{at} and {other}]"
                self.compare(place, left[at], right[other])
            for at in range(left_begin + both, left_end):
                self._show_single(f"{path}[{at}]", left[at], 0)
            for at in range(right_begin + both, right_end):
                self._show_single(f"{path}[{at}]", right[at], 1)

    # -- lines -------------------------------------------------------------------

    def _show_values(self, path: str, left: object, right: object) -> None:
        shown = _shorten(left), _shorten(right)
        if max(map(len, shown)) > _IN_LINE:
            self.lines += [f"{_name_place(path)}:", f"{self._left}{shown[0]}", f"{self._right}{shown[1]}"]
        else:
            told = ", ".join(f"{name} {value}" for name, value in zip(self._names, shown, strict=True))
            self.lines.append(f"{_name_place(path)}: {told}")

    def _show_types(self, path: str, left: object, right: object) -> None:
        kinds = f"of two types, {type(left).__name__} and {type(right).__name__}"
        told = left is not None and right is not None
        self._show_values(f"{_name_place(path)} ({kinds})" if told else path, left, right)

    def _show_single(self, path: str, value: object, side: int) -> None:
        self.lines.append(f"{_name_place(path)}: only {self._names[side]} has {_shorten(value)}")

    _kinds: ClassVar[tuple[tuple[Any, Callable[..., None]], ...]] = (
        (str, _compare_texts),
        (bytes, _compare_bodies),
        (Recording, _compare_recordings),
        (BaseModel, _compare_fields),
        (Mapping, _compare_mappings),
        (list, _compare_lists),
        (tuple, _compare_lists),
        (object, _compare_fields),
    )


def _list_fields(value: object) -> list[str]:
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if is_dataclass(value):
        return [each.name for each in fields(value) if each.compare]
    return []


def _match_ranges(left: Sequence[object], right: Sequence[object]) -> Sequence[Sequence[int]]:
    """Align two lists; return the ranges to compare: begin and end on the left, then on the right."""
    if max(len(left), len(right)) > _MOST_MATCHED:
        return [(0, len(left), 0, len(right))]
    matcher = SequenceMatcher(None, list(map(repr, left)), list(map(repr, right)), autojunk=False)
    # Items of equal repr are compared, too, since a repr may leave out some fields.
    return [stretch for _, *stretch in matcher.get_opcodes()]


def _find_parting(left: Sequence[object], right: Sequence[object]) -> int:
    """Return the index of the first difference between two sequences."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))


def join_path(path: str, name: str) -> str:
    """Return the path of a member, such as `parts.text`."""
    return f"{path}.{name}" if path else name


def _name_place(path: str) -> str:
    return path or "the value"


def _shorten(value: object) -> str:
    told = repr(value)
    if len(told) <= _MOST_SHOWN:
        return told
    half = _MOST_SHOWN // 2
    return f"{told[:half]} … {told[-half:]}"


def _spell_text(text: str) -> str:
    """Return a text as it is written in a program, with escapes."""
    return "".join(["\\'" if each == "'" else repr(each)[1:-1] for each in text])


def _spell_bytes(data: bytes) -> str:
    return "".join([repr(data[at : at + 1])[2:-1] for at in range(len(data))])
