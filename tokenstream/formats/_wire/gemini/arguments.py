"""Tool arguments that arrive as single values with paths, and are written as one growing JSON text."""

from __future__ import annotations

import json
import re
from typing import TypeAlias

PathSteps: TypeAlias = tuple[str | int, ...]
"""A path: member names and array positions, outermost first."""

# One step of a path: `.name`, `[0]`, or a quoted name such as `["a b"]` or `['a b']`.
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"]+)
    | \[(?P<position>[0-9]{1,9})\]
    | \[(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+" | '[^'\\]*+(?:\\.[^'\\]*+)*+')\]""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST = 150
"""The longest path that is read: JSON that is nested more deeply could not be decoded."""


def read_path(path: object) -> PathSteps | None:
    """Return the steps of a JSONPath to a single value, or None for any other path.

    A path is not read if it may match several values (`$.a[*]`), names no member (`$`), or is too deep.

    Example:
        >>> read_path("$.a.b[0]['c d']"), read_path("$.a[*]"), read_path("$")
        (('a', 'b', 0, 'c d'), None, None)
    """
    if not isinstance(path, str) or not path.startswith("$"):
        return None
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        step = None if match is None else _read_step(match)
        if match is None or step is None or len(steps) == _DEEPEST:
            return None
        steps.append(step)
        position = match.end()
    return tuple(steps) or None


def _read_step(match: re.Match[str]) -> str | int | None:
    if match["name"] is not None:
        return match["name"]
    if match["position"] is not None:
        return int(match["position"])
    quoted = match["quoted"]
    if quoted[0] == "'":
        # JSON has only double quotes: unescape the single quotes in the name, and escape the double ones.
        quoted = '"' + quoted[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    try:
        name: str = json.loads(quoted, strict=False)
    except ValueError:
        return None
    return name


class _Level:
    """An open object or array in the JSON text, and the members written so far.

    Args:
        step: The level's name or position in the enclosing level.
        first: The step to the level's first value: a name if the level is an object, else a position.
    """

    __slots__ = ("count", "names", "step")

    def __init__(self, step: str | int, first: str | int) -> None:
        self.step = step
        # If the first step into the level is a name, the level is an object; otherwise, an array.
        self.names: set[str] | None = set() if isinstance(first, str) else None
        """The names written so far; None for an array."""
        self.count = 0
        """Number of values written so far."""

    def fits(self, step: str | int) -> bool:
        """Return whether a path's step fits this level: a name if it is an object, a position if an array."""
        return isinstance(step, str) == (self.names is not None)

    def can_append(self, step: str | int) -> bool:
        """Return whether a value can be written next at `step`: a new name, or an array's next position."""
        return step not in self.names if self.names is not None else step == self.count

    def begin_value(self, step: str | int) -> str:
        """Count a value that will be written at `step`; return the comma and the name to write before it."""
        comma = ", " if self.count else ""
        self.count += 1
        if self.names is None:
            # The elements of an array have no names.
            return comma
        self.names.add(str(step))
        return f"{comma}{_dump(step)}: "


class StreamedArguments:
    """Writes values to a JSON text as they arrive, as long as they arrive in the order of the text.

    A value that arrives after the object or array around it was closed in the text breaks them.

    Example:
        >>> arguments = StreamedArguments()
        >>> arguments.add(("a", "b"), "Hel", more=True), arguments.add(("a", "b"), "lo")
        ('{"a": {"b": "Hel', 'lo"')
        >>> arguments.add(("a", "n"), 3), arguments.end()
        (', "n": 3', '}}')
    """

    __slots__ = ("_levels", "_open_string", "_unfinished", "broken")

    def __init__(self) -> None:
        self._levels: list[_Level] = []
        """The open objects and arrays in the text, outermost first."""
        self._open_string: PathSteps | None = None
        """Path of the open string in the text."""
        self._unfinished: set[PathSteps] = set()
        """The paths of incomplete strings, of which the server will send more text."""
        self.broken = False
        """True once a value could not be added, so that the arguments will never be whole."""

    @property
    def lacks_text(self) -> bool:
        """True while a string is incomplete: the server has announced that more of its text will follow."""
        return bool(self._unfinished)

    def add(self, path: PathSteps, value: object, *, more: bool = False) -> str:
        """Add a value, and return the text to append now.

        The text is "" if the value comes too late to be written. With `more`, the next string at the path
        goes on with this one.
        """
        if self.broken:
            return ""
        self._unfinished.discard(path)
        if more and isinstance(value, str):
            self._unfinished.add(path)
        return self._write_now(path, value, more=more)

    def put(self, name: str, value: object) -> str:
        """Add or replace a whole member of the arguments; return the text to append now, as `add` does."""
        if self.broken or not self._levels or self._levels[0].can_append(name):
            # The member is new, or `add` ignores it because the arguments are broken.
            return self.add((name,), value)
        # The text has a member with this name already.
        self.broken = True
        return ""

    def end_string(self, path: PathSteps) -> bool:
        """End the string at a path; return False if no string there waits for more text."""
        was_open = path in self._unfinished
        self._unfinished.discard(path)
        return was_open

    def end(self) -> str:
        """Return the text that closes the arguments; if they are not whole, leave them open."""
        # `broken`: a value does not fit into the arguments; `lacks_text`: the rest of a string has not come.
        if self.broken or self.lacks_text:
            # Leave the text open. If nothing was written, a brace shows that the call has arguments.
            return "" if self._levels else "{"
        return self._close_to(1) + ("}" if self._levels else "{}")

    # -- writing -----------------------------------------------------------

    def _write_now(self, path: PathSteps, value: object, *, more: bool) -> str:
        """Return a value's text to append now; "" if it comes too late.

        The result is also "" if the value cannot be at its path, such as under a name in an array. Both set
        `broken`. `more` is True if the value is a string whose text goes on in a later value.
        """
        if self._open_string == path and isinstance(value, str):
            return self._write(value, path, more=more)
        common_depth = self._count_common(path)
        # The innermost open level on the path, and the step below it that must be written.
        level = self._levels[common_depth] if self._levels else None
        step = path[common_depth]
        # The arguments are an object; and an object has no positions, an array no names.
        is_in_array = isinstance(path[0], int)
        has_wrong_step = level is not None and not level.fits(step)
        if is_in_array or has_wrong_step:
            self.broken = True
            return ""
        # An array cannot be begun with a later element than its first.
        skips_element = any(isinstance(inner, int) and inner > 0 for inner in path[common_depth + 1 :])
        comes_late = level is not None and not level.can_append(step)
        if skips_element or comes_late:
            # The values have come in another order than that of the text, which no event can take back.
            self.broken = True
            return ""
        return (
            self._close_to(common_depth + 1)
            + self._open(path, common_depth)
            + self._write(value, path, more=more)
        )

    def _count_common(self, path: PathSteps) -> int:
        """Return the number of open levels that a path leads through, not counting the outermost one."""
        depth = 0
        for level, step in zip(self._levels[1:], path[:-1], strict=False):
            if level.step != step:
                break
            depth += 1
        return depth

    def _close_to(self, depth: int) -> str:
        """Return the text that closes the open string, and all levels except the outermost `depth`."""
        closing = '"' if self._open_string is not None else ""
        self._open_string = None
        while len(self._levels) > depth:
            closing += "]" if self._levels.pop().names is None else "}"
        return closing

    def _open(self, path: PathSteps, common_depth: int) -> str:
        """Return the text that opens the objects and arrays on a path, up to the path's value."""
        opening = ""
        if not self._levels:
            self._levels.append(_Level("", path[0]))
            opening = "{"
        for depth in range(common_depth, len(path)):
            opening += self._levels[depth].begin_value(path[depth])
            if depth + 1 < len(path):
                first = path[depth + 1]
                self._levels.append(_Level(path[depth], first))
                opening += "{" if isinstance(first, str) else "["
        return opening

    def _write(self, value: object, path: PathSteps, *, more: bool) -> str:
        """Return a value as JSON text; a string continues the open string, if there is one."""
        if not isinstance(value, str):
            return _dump(value)
        text = _dump(value).removeprefix('"').removesuffix('"')
        if self._open_string is None:
            text = f'"{text}'
        self._open_string = path if more else None
        return text if more else f'{text}"'


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
