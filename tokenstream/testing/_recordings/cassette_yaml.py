"""A reader of YAML documents with limits, because a few lines of YAML can exhaust time, memory or stack."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.errors import RecordingInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MAX_DEPTH = 100
"""Deepest nesting of lists and mappings; PyYAML's C loader overflows the stack at some ten thousand."""
_MAX_RATIO = 100
"""Largest ratio of a document's size, with its aliases expanded, to the size of its file."""


def read_yaml(data: bytes, path: Path) -> object:
    """Return a YAML document as plain values.

    Args:
        path: The file, which error messages name.

    Raises:
        RecordingInvalid: The file is not YAML, or the document is built to exhaust its reader.
        MisuseError: PyYAML is not installed.
    """
    try:
        yaml = import_module("yaml")
    except ImportError:
        raise MisuseError(
            f"reading the cassette {path.name} needs PyYAML: install it with "
            'pip install "llm-tokenstream[vcr]"'
        ) from None
    # The C loader is ten times as fast, but not every PyYAML has it; both construct plain values only.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Aliases of aliases may let a few lines expand to gigabytes, so the size is counted before the values
        # are made.
        counter = _SizeCounter(_MAX_RATIO * len(data))
        for event in yaml.parse(data, Loader=loader):
            counter.add_event(event)
        document: object = yaml.load(data, Loader=loader)
    except (_TooLarge, yaml.YAMLError, ValueError) as error:
        # PyYAML raises ValueError for scalars such as a thirteenth month.
        raise RecordingInvalid(
            f"it cannot be read as YAML ({_describe_problem(error)})", path=path, line=_find_line(error, data)
        ) from None
    return document


def _describe_problem(error: object) -> str:
    """Return a description of the problem that quotes nothing of the document."""
    return getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__


def _find_line(error: object, data: bytes) -> int | None:
    """Return the number of the line in which a problem was found; None if it is not known."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    # Bytes that are not YAML text at all are reported with a position only.
    position = getattr(error, "position", None)
    return None if position is None else data.count(b"\n", 0, position) + 1


class _YAMLEvent(Protocol):
    """An event of PyYAML; each class has only some of these attributes."""

    anchor: Any
    """A text, or None."""
    start_mark: object
    value: str


class _TooLarge(Exception):
    """A document is nested too deeply, or its aliases would expand to far more than its file.

    Args:
        mark: The place in the document, as an object of PyYAML.
    """

    def __init__(self, problem: str, mark: object) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = mark


class _SizeCounter:
    """Adds up the sizes of a document's events; an alias counts as much as the value it refers to.

    Args:
        limit: Largest allowed sum, in characters and events.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sum = 0
        self._anchor_sizes: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []
        """For each open list or mapping: its anchor, and the sum before it began."""

    def add_event(self, event: _YAMLEvent) -> None:
        """Add the size of an event to the sum of all sizes, which is limited.

        Raises:
            _TooLarge: The sum, or the nesting, is over its limit.
        """
        count = self._counters.get(type(event).__name__)
        if count is not None:
            count(self, event)
        if len(self._open) > _MAX_DEPTH:
            raise _TooLarge(f"more than {_MAX_DEPTH} values are nested in one another", event.start_mark)
        if self._sum > self._limit:
            raise _TooLarge(
                "its aliases expand to far more than the file holds, or contain themselves", event.start_mark
            )

    def _count_scalar(self, event: _YAMLEvent) -> None:
        """Add the size of a scalar, its characters and 1 for the event, to the sum that is limited."""
        self._add_size(event.anchor, 1 + len(event.value))

    def _count_alias(self, event: _YAMLEvent) -> None:
        """Add the size of the value that an alias refers to, since the loaded document repeats the value."""
        # A value that contains itself never ends, so it exceeds the limit. An alias without an anchor is left
        # to the loader to report.
        contains_itself = any(anchor == event.anchor for anchor, _ in self._open)
        self._sum += self._limit if contains_itself else self._anchor_sizes.get(event.anchor, 1)

    def _begin_collection(self, event: _YAMLEvent) -> None:
        """Remember that a list or mapping begins, and the sum of the sizes before it."""
        self._open.append((event.anchor, self._sum))

    def _end_collection(self, event: object) -> None:
        """Compute the size of a list or mapping that ends, so that each alias of it can add this size."""
        anchor, sum_before = self._open.pop()
        # The collection's own size is 1; the sizes of its items have been added to the sum since it began.
        # They are taken out again here, because `_add_size` adds the size of the whole.
        size, self._sum = self._sum + 1 - sum_before, sum_before
        self._add_size(anchor, size)

    def _add_size(self, anchor: str | None, size: int) -> None:
        """Add the size of a whole value, and remember it for aliases of the value's anchor."""
        self._sum += size
        if anchor is not None:
            self._anchor_sizes[anchor] = size

    _counters: ClassVar[dict[str, Callable[[_SizeCounter, Any], None]]] = {
        "ScalarEvent": _count_scalar,
        "AliasEvent": _count_alias,
        "MappingStartEvent": _begin_collection,
        "SequenceStartEvent": _begin_collection,
        "MappingEndEvent": _end_collection,
        "SequenceEndEvent": _end_collection,
    }
    """Maps the names of PyYAML's event classes to the methods that count these events."""
