"""Differences between two answers, field by field, as the lines that a failed test prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import SequenceMatcher
from typing import Any, ClassVar, TypeVar, cast, get_args

from pydantic import BaseModel

from tokenstream._values.parts import Value
from tokenstream.events import Event
from tokenstream.testing._recordings.recording import Recording

_BEFORE, _AFTER = 20, 30
"""Characters printed before and after the place where two texts begin to differ."""
_MAX_LINES = 60
_MAX_SHORT_TEXT = 30
"""Length up to which texts are printed whole, in characters."""
_MAX_VALUE = 100
"""Length up to which a value is printed whole, in characters."""
_MAX_IN_LINE = 40
"""Length up to which two values share one line, in characters, since pytest prints only a few lines."""
_MAX_ALIGNED = 400
"""Number of items up to which lists are aligned; longer lists are compared index by index."""
_COMPARED_TYPES: tuple[type, ...] = (Value, Recording, *get_args(Event))

_LEFT, _RIGHT = 0, 1
"""The sides of a comparison, as indexes of `names`."""

TextT = TypeVar("TextT", str, bytes)


def differences(
    left: object, right: object, *, names: tuple[str, str] = ("left", "right"), path: str = ""
) -> list[str]:
    r"""Return the differences between two values, as lines of text.

    Messages, events, tool calls and recordings are compared field by field. For texts and
    bodies, the lines give the place where they begin to differ; for lists, the items that
    differ, are missing or are added.
    """
    report = _Report(names)
    report.compare(path, left, right)
    return report.lines[:_MAX_LINES] + ["… and more"] * (len(report.lines) > _MAX_LINES)


def contains_answers(value: object) -> bool:
    """Return True for a message, a part, an event or a recording, or a list, tuple or dict with one."""
    if isinstance(value, dict):
        value = list(cast("dict[object, object]", value).values())
    if isinstance(value, list | tuple):
        return any(isinstance(item, _COMPARED_TYPES) for item in cast("Sequence[object]", value))
    return isinstance(value, _COMPARED_TYPES)


class _Report:
    """Collects the lines that describe differences."""

    def __init__(self, names: tuple[str, str]) -> None:
        self.lines: list[str] = []
        # The names with a colon, in a column of their own.
        width = max(map(len, names)) + 1
        self._left_margin, self._right_margin = (f"    {f'{name}:':{width}} " for name in names)
        self._names = names

    def compare(self, path: str, left: object, right: object) -> None:
        """Add the differences between the two values at `path`."""
        if len(self.lines) > _MAX_LINES or (type(left) is type(right) and left == right):
            return
        before = len(self.lines)
        if type(left) is not type(right):
            self._add_types(path, left, right)
            return
        # The last kind is `object`, so there is always a function.
        compare = next(compare for kind, compare in self._compare_functions if isinstance(left, kind))
        compare(self, path, left, right)
        if len(self.lines) == before:
            # The values differ, but not in a part that is compared by itself.
            self._add_values(path, left, right)

    # -- by kind -----------------------------------------------------------------

    def _compare_texts(self, path: str, left: str, right: str) -> None:
        """Show where two long texts begin to differ; add nothing for short ones, which are printed whole."""
        if max(len(left), len(right)) > _MAX_SHORT_TEXT:
            self._add_first_difference(path, left, right, "character", _write_text)

    def _compare_bodies(self, path: str, left: bytes, right: bytes) -> None:
        """Compare two bodies; for SSE, also count the events up to the first difference."""
        position = _find_first_difference(left, right)
        # The next event begins after the last blank line that both bodies share.
        event = left.count(b"\n\n", 0, position) + 1
        is_sse = b"\n\n" in left or b"\n\n" in right
        self._add_first_difference(
            path, left, right, f"event {event}, byte" if is_sse else "byte", _write_bytes
        )

    def _add_first_difference(
        self, path: str, left: TextT, right: TextT, unit: str, write_excerpt: Callable[[TextT], str]
    ) -> None:
        """Add three lines that show the first difference of two texts: its place, and the texts around it."""
        position = _find_first_difference(left, right)
        begin, end = max(0, position - _BEFORE), position + _AFTER
        opening_quote = "…'" if begin else "'"
        self.lines.append(
            f"{_write_path(path)}: they part at {unit} {position:,} (of {len(left):,} and {len(right):,})"
        )
        for margin, text in ((self._left_margin, left), (self._right_margin, right)):
            closing_quote = "'…" if end < len(text) else "'"
            self.lines.append(f"{margin}{opening_quote}{write_excerpt(text[begin:end])}{closing_quote}")
        self.lines.append(
            " " * len(f"{self._left_margin}{opening_quote}{write_excerpt(left[begin:position])}") + "^"
        )

    def _compare_recordings(self, path: str, left: Recording, right: Recording) -> None:
        """Compare two recordings; their chunks and times only if the bodies are equal."""
        for item in fields(left):
            if item.name != "arrivals":
                self.compare(join_path(path, item.name), getattr(left, item.name), getattr(right, item.name))
        if left.body != right.body:
            self.compare(join_path(path, "body"), left.body, right.body)
            return
        sizes = [[len(data) for _, data in item.arrivals] for item in (left, right)]
        times = [[at for at, _ in item.arrivals] for item in (left, right)]
        if sizes[0] != sizes[1]:
            self._add_values(join_path(path, "chunks (their sizes)"), *sizes)
        elif times[0] != times[1]:
            self._add_values(join_path(path, "arrivals (their times)"), *times)

    def _compare_fields(self, path: str, left: object, right: object) -> None:
        for name in _list_fields(left):
            self.compare(join_path(path, name), getattr(left, name), getattr(right, name))

    def _compare_mappings(
        self, path: str, left: Mapping[object, object], right: Mapping[object, object]
    ) -> None:
        """Compare the values of the keys that both mappings have; report each key that only one has."""
        for key, value in left.items():
            if key in right:
                self.compare(f"{path}[{key!r}]", value, right[key])
            else:
                self._add_single(f"{path}[{key!r}]", value, _LEFT)
        for key, value in right.items():
            if key not in left:
                self._add_single(f"{path}[{key!r}]", value, _RIGHT)

    def _compare_lists(self, path: str, left: Sequence[object], right: Sequence[object]) -> None:
        """Compare two lists; they are aligned first, so that an added item does not shift the others."""
        for left_begin, left_end, right_begin, right_end in _match_ranges(left, right):
            shared = min(left_end - left_begin, right_end - right_begin)
            for offset in range(shared):
                index, other = left_begin + offset, right_begin + offset
                item_path = f"{path}[{index}]" if index == other else f"{path}[{index} and {other}]"
                self.compare(item_path, left[index], right[other])
            for index in range(left_begin + shared, left_end):
                self._add_single(f"{path}[{index}]", left[index], _LEFT)
            for index in range(right_begin + shared, right_end):
                self._add_single(f"{path}[{index}]", right[index], _RIGHT)

    # -- lines -------------------------------------------------------------------

    def _add_values(self, path: str, left: object, right: object) -> None:
        """Report two values: in one line, or in a line each if one of them is long."""
        left_text, right_text = _write_excerpt(left), _write_excerpt(right)
        if max(len(left_text), len(right_text)) > _MAX_IN_LINE:
            lines = [f"{self._left_margin}{left_text}", f"{self._right_margin}{right_text}"]
            self.lines += [f"{_write_path(path)}:", *lines]
        else:
            left_name, right_name = self._names
            self.lines.append(f"{_write_path(path)}: {left_name} {left_text}, {right_name} {right_text}")

    def _add_types(self, path: str, left: object, right: object) -> None:
        """Report two values of different types; the types are named unless a value is None."""
        if left is not None and right is not None:
            types = f"{type(left).__name__} and {type(right).__name__}"
            path = f"{_write_path(path)} (of two types, {types})"
        self._add_values(path, left, right)

    def _add_single(self, path: str, value: object, side: int) -> None:
        """Report a value that only the left side (0) or the right side (1) has."""
        self.lines.append(f"{_write_path(path)}: only {self._names[side]} has {_write_excerpt(value)}")

    _compare_functions: ClassVar[tuple[tuple[Any, Callable[..., None]], ...]] = (
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
    """Return the names of the fields to compare in a model or a dataclass; an empty list for other values."""
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if is_dataclass(value):
        return [item.name for item in fields(value) if item.compare]
    return []


def _match_ranges(left: Sequence[object], right: Sequence[object]) -> Sequence[Sequence[int]]:
    """Align two lists; return the ranges to compare: begin and end on the left, then on the right."""
    if max(len(left), len(right)) > _MAX_ALIGNED:
        # To align them would take too long: compare the items at the same index.
        return [(0, len(left), 0, len(right))]
    matcher = SequenceMatcher(None, list(map(repr, left)), list(map(repr, right)), autojunk=False)
    # Items of equal repr are compared, too, since a repr may leave out some fields.
    return [ranges for _, *ranges in matcher.get_opcodes()]


def _find_first_difference(left: Sequence[object], right: Sequence[object]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))


def join_path(path: str, name: str) -> str:
    """Return the path of a member, such as `parts.text`."""
    return f"{path}.{name}" if path else name


def _write_path(path: str) -> str:
    """Return a path as a report shows it: unchanged, or "the value" for "", the path of the whole value."""
    return path or "the value"


def _write_excerpt(value: object) -> str:
    text = repr(value)
    if len(text) <= _MAX_VALUE:
        return text
    half = _MAX_VALUE // 2
    return f"{text[:half]} … {text[-half:]}"


def _write_text(text: str) -> str:
    """Return a text as it is written between single quotes in a program, with escapes."""
    return "".join(["\\'" if item == "'" else repr(item)[1:-1] for item in text])


def _write_bytes(data: bytes) -> str:
    """Return bytes as they are written between quotes in a program, with escapes."""
    return "".join([repr(data[index : index + 1])[2:-1] for index in range(len(data))])
