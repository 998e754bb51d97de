"""Tool arguments that arrive as single values with paths, and are written as one growing JSON text."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import is_dict, is_list

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

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

    Args:
        path: A path such as `$.a.b[0]['c d']` (RFC 9535).

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
    """Return the name or position that `_STEP` matched; None for a malformed quoted name."""
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


_NOWHERE = object()
"""Result of `_get_or_set` for a name or position that does not exist in a value, and cannot be created."""


class _Level:
    """An open object or array in the JSON text, and the members written so far.

    Args:
        step: The level's name or position in the enclosing level.
        first: The step to the level's first value: a name if the level is an object, else a position.
    """

    __slots__ = ("count", "names", "step")

    def __init__(self, step: str | int, first: str | int) -> None:
        self.step = step
        """The level's name or position in the enclosing level."""
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


class _StringPieces(list[str]):
    """The pieces of one string, in order of arrival; the class distinguishes them from an array."""


class StreamedArguments:
    """Writes values to a JSON text as they arrive, as long as they arrive in the order of the text.

    A value that arrives after the object or array around it was closed in the text is stored.
    The member of the outermost object that contains the value is then written a second time,
    before the closing brace: of two members with the same name, a JSON parser uses the last.

    Example:
        >>> arguments = StreamedArguments()
        >>> arguments.add(("a", "b"), "Hel", more=True), arguments.add(("a", "b"), "lo")
        ('{"a": {"b": "Hel', 'lo"')
        >>> arguments.add(("a", "n"), 3), arguments.end()
        (', "n": 3', '}}')
    """

    __slots__ = ("_levels", "_log", "_members_to_rewrite", "_open_string", "_unfinished", "broken")

    def __init__(self) -> None:
        self._levels: list[_Level] = []
        """The open objects and arrays in the text, outermost first."""
        self._open_string: PathSteps | None = None
        """Path of the open string in the text."""
        self._unfinished: dict[PathSteps, _StringPieces] = {}
        """Incomplete strings, of which the server will send more text, by path."""
        self._log: list[tuple[PathSteps, object]] = []
        """All values so far, each with its path; a string is stored in pieces."""
        self._members_to_rewrite: dict[str | int, None] = {}
        """An ordered set: names of members of the outermost object that must be written again at the end."""
        self.broken = False
        """True once a value could not be added, so that the arguments will never be whole."""

    @property
    def lacks_text(self) -> bool:
        """True while a string is incomplete: the server has said that more of its text will follow."""
        return bool(self._unfinished)

    @property
    def reordered(self) -> bool:
        """True once a value has arrived too late to be written where it belongs in the text."""
        return bool(self._members_to_rewrite)

    def add(self, path: PathSteps, value: object, *, more: bool = False) -> str:
        """Add a value, and return the text to append now.

        The text is "" if the value can only be written at the end, or not at all.

        Args:
            value: A JSON value; if the last string at this path was incomplete, a string continues it.
            more: True if the string is incomplete, because the server will send more of its text.
        """
        if self.broken:
            return ""
        # All values are logged: a member that is written a second time needs its earlier values, too.
        pieces = self._unfinished.pop(path, None)
        if isinstance(value, str):
            if pieces is None:
                # The value begins a string; otherwise it continues one.
                pieces = _StringPieces()
                self._log.append((path, pieces))
            pieces.append(value)
            if more:
                self._unfinished[path] = pieces
        else:
            self._log.append((path, value))
        return self._write_now_or_later(path, value, more=more)

    def put(self, name: str, value: object) -> str:
        """Add or replace a whole member of the arguments; return the text to append now, as `add` does.

        Args:
            name: The member's name.
            value: A JSON value.
        """
        if self.broken or not self._levels or self._levels[0].can_append(name):
            # The member is new, or `add` ignores it because the arguments are broken.
            return self.add((name,), value)
        # The text already has a member with this name, so the new value is written at the end. Strings in the
        # old value need no more text.
        self._unfinished = {path: pieces for path, pieces in self._unfinished.items() if path[0] != name}
        self._log.append(((name,), value))
        self._members_to_rewrite[name] = None
        return ""

    def end_string(self, path: PathSteps) -> bool:
        """End the string at a path; return False if no string there waits for more text."""
        return self._unfinished.pop(path, None) is not None

    def end(self) -> str:
        """Return the text that closes the arguments; if they are not whole, leave them open."""
        # `broken`: a value does not fit into the arguments; `lacks_text`: the rest of a string has not come.
        rewritten = "" if self.broken or self.lacks_text else self._write_again()
        # Writing the members again may have failed, too.
        if self.broken or self.lacks_text:
            # Leave the text open. If nothing was written, a brace shows that the call has arguments.
            return "" if self._levels else "{"
        # Close all levels but the outermost object, whose brace follows the members written again.
        return self._close_to(1) + rewritten + ("}" if self._levels else "{}")

    # -- writing -----------------------------------------------------------

    def _write_now_or_later(self, path: PathSteps, value: object, *, more: bool) -> str:
        """Return a value's text to append now; "" if its member must be written again at the end.

        The result is also "" if the value cannot be at its path, such as under a name in an array; this sets
        `broken`. `more` is True if the value is a string whose text goes on in a later value.
        """
        if self._members_to_rewrite:
            # Once one member must be written at the end, so must the members of all later values.
            self._members_to_rewrite[path[0]] = None
            return ""
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
            self._members_to_rewrite[path[0]] = None
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
        """Return the text that opens the objects and arrays on a path, up to the path's value.

        Args:
            common_depth: The number of steps whose levels are already open.
        """
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
        """Return a value as JSON text; a string continues the open string, if there is one.

        Args:
            more: True to leave the string open, without its closing quote.
        """
        if not isinstance(value, str):
            return _dump(value)
        text = _dump(value).removeprefix('"').removesuffix('"')
        if self._open_string is None:
            text = f'"{text}'
        self._open_string = path if more else None
        return text if more else f'{text}"'

    def _write_again(self) -> str:
        """Return the text of the members to write a second time, at the end of the arguments.

        A value in such a member arrived when the text was already past the place where the value belongs.
        The text is "" if there are no such members, or if the values do not fit together; that also sets
        `broken`.
        """
        if not self._members_to_rewrite:
            return ""
        root: dict[str | int, Any] = {}
        for path, value in self._log:
            whole = "".join(value) if isinstance(value, _StringPieces) else value
            if not _set_at_path(root, path, whole):
                self.broken = True
                return ""
        return "".join([f", {_dump(name)}: {_dump(root[name])}" for name in self._members_to_rewrite])


def _set_at_path(root: object, path: PathSteps, value: object) -> bool:
    """Set the value at a path, creating levels on the way; return False if a step does not fit its level."""
    level = root
    for step, next_step in pairwise(path):
        new_level: Any = {} if isinstance(next_step, str) else []
        level = _get_or_set(level, step, new_level)
    # The result is `_NOWHERE` if the level has no such step.
    return _get_or_set(level, path[-1], value, replace=True) is value


def _get_or_set(level: object, step: str | int, value: object, *, replace: bool = False) -> Json:
    """Return the value at a step of an object or array; first set it to `value` if it is missing.

    Args:
        level: An object or array; anything else has no steps.
        step: A name or a position.
        value: The value to set.
        replace: Set the value even if there is one.

    Returns:
        The value, or `_NOWHERE` if the level cannot have a value at the step.
    """
    if is_dict(level) and isinstance(step, str):
        if replace or step not in level:
            level[step] = value
        return level[step]
    if not is_list(level) or isinstance(step, str) or step > len(level):
        # A position after the end of an array would leave a gap.
        return _NOWHERE
    if step == len(level):
        level.append(value)
    elif replace:
        level[step] = value
    return level[step]


def _dump(value: object) -> str:
    """Return a value as JSON; other characters than ASCII are not escaped."""
    return json.dumps(value, ensure_ascii=False)
