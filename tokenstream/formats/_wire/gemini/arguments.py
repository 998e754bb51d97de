"""Tool arguments that arrive as single values with paths, and are written as one growing JSON text."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any, TypeAlias

from tokenstream._basics.untrusted import is_dict, is_list

PathSteps: TypeAlias = tuple[str | int, ...]
"""A path: member names and array positions, outermost first."""

# One step of a path: `.name`, `[0]`, or a quoted name such as `["a b"]` or `['a b']`.
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"]+)
    | \[(?P<place>[0-9]{1,9})\]
    | \[(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+" | '[^'\\]*+(?:\\.[^'\\]*+)*+')\]""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST = 150
"""The longest path that is read: JSON that is nested more deeply could not be decoded."""


def steps_of(path: object) -> PathSteps | None:
    """Return the steps of a JSONPath to a single value, or None for any other path.

    Args:
        path: A path such as `$.a.b[0]['c d']` (RFC 9535).

    Example:
        >>> steps_of("$.a.b[0]['c d']"), steps_of("$.a[*]"), steps_of("$")
        (('a', 'b', 0, 'c d'), None, None)
    """
    if not isinstance(path, str) or not path.startswith("$"):
        return None
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        step = None if match is None else _step(match)
        if match is None or step is None or len(steps) == _DEEPEST:
            return None
        steps.append(step)
        position = match.end()
    return tuple(steps) or None


def _step(match: re.Match[str]) -> str | int | None:
    """Return the name or index of a matched step; None if a quoted name is malformed."""
    if match["name"] is not None:
        return match["name"]
    if match["place"] is not None:
        return int(match["place"])
    quoted = match["quoted"]
    if quoted[0] == "'":
        quoted = '"' + quoted[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
    try:
        name: str = json.loads(quoted, strict=False)
    except ValueError:
        return None
    return name


_NOWHERE = object()


class _Level:
    """An open object or array in the JSON text, and the members written so far."""

    __slots__ = ("count", "names", "step")

    def __init__(self, step: str | int, inside: str | int) -> None:
        self.step = step
        """The level's name or position in the enclosing level."""
        self.names: set[str] | None = set() if isinstance(inside, str) else None
        self.count = 0

    def fits(self, step: str | int) -> bool:
        """Return whether a step fits the level: a name for an object, a position for an array."""
        return isinstance(step, str) == (self.names is not None)

    def has(self, step: str | int) -> bool:
        """Return whether a member is already written or, in an array, is not the next one."""
        return step in self.names if self.names is not None else step != self.count

    def separate(self, step: str | int) -> str:
        """Count the next value; return the comma and the name to write before it."""
        before = ", " if self.count else ""
        self.count += 1
        if self.names is None:
            return before
        self.names.add(str(step))
        return f"{before}{_dump(step)}: "


class _StringPieces(list[str]):
    """The pieces of a string in order of arrival."""


class StreamedArguments:
    """Writes values to a JSON text as they arrive, as long as they arrive in the order of the text.

    A value whose place in the text has passed is stored. In that case, the member of the
    outermost object that contains it is written a second time, before the closing brace:
    of two members with the same name, a JSON parser uses the last.

    Example:
        >>> arguments = StreamedArguments()
        >>> arguments.add(("a", "b"), "Hel", more=True), arguments.add(("a", "b"), "lo")
        ('{"a": {"b": "Hel', 'lo"')
        >>> arguments.add(("a", "n"), 3), arguments.end()
        (', "n": 3', '}}')
    """

    __slots__ = ("_again", "_going", "_levels", "_log", "_text_at", "broken")

    def __init__(self) -> None:
        self._levels: list[_Level] = []
        self._text_at: PathSteps | None = None
        """Path of the open string in the text."""
        self._going: dict[PathSteps, _StringPieces] = {}
        """Strings for which more text was announced."""
        self._log: list[tuple[PathSteps, object]] = []
        """All values so far, each with its path; a string is stored in pieces."""
        self._again: dict[str | int, None] = {}
        """Members of the outermost object that must be written again."""
        self.broken = False
        """True once a value could not be put in its place, so that the arguments will never be whole."""

    @property
    def goes_on(self) -> bool:
        """True while text is missing that was announced for a string."""
        return bool(self._going)

    @property
    def reordered(self) -> bool:
        """True once a value arrived after its place in the text had passed."""
        return bool(self._again)

    def add(self, steps: PathSteps, value: object, *, more: bool = False) -> str:
        """Add a value; return the text to append.

        Args:
            steps: The path of the value.
            value: A JSON value; if more text was announced at this path, a string continues that text.
            more: True if more text is announced at this path.
        """
        if self.broken:
            return ""
        pieces = self._going.pop(steps, None)
        if not isinstance(value, str):
            self._log.append((steps, value))
        elif pieces is None:
            pieces = _StringPieces([value])
            self._log.append((steps, pieces))
        else:
            pieces.append(value)
        if pieces is not None and more and isinstance(value, str):
            self._going[steps] = pieces
        return self._again_or_now(steps, value, more=more)

    def put(self, name: str, value: object) -> str:
        """Add or replace a whole member of the arguments; return the text to append.

        Args:
            name: The member's name.
            value: A JSON value.
        """
        if self.broken or not self._levels or not self._levels[0].has(name):
            return self.add((name,), value)
        self._going = {steps: pieces for steps, pieces in self._going.items() if steps[0] != name}
        self._log.append(((name,), value))
        self._again[name] = None
        return ""

    def stop(self, steps: PathSteps) -> bool:
        """End the string at a path; return whether more of it had been announced."""
        return self._going.pop(steps, None) is not None

    def end(self) -> str:
        """Return the text that closes the arguments; if they are not whole, leave them open."""
        open_ended = self.broken or self.goes_on
        again = self._write_again() if self._again and not open_ended else ""
        if self.broken or open_ended:
            # With an empty text, the call would look like one without arguments.
            return "" if self._levels else "{"
        return self._close_to(1) + again + ("}" if self._levels else "{}")

    # -- writing -----------------------------------------------------------

    def _again_or_now(self, steps: PathSteps, value: object, *, more: bool) -> str:
        """Return a value's text to append now; "" if its member must be written again at the end."""
        if self._again:
            self._again[steps[0]] = None
            return ""
        if self._text_at == steps and isinstance(value, str):
            return self._write(value, steps, more=more)
        common = self._count_common(steps)
        if isinstance(steps[0], int) or (self._levels and not self._levels[common].fits(steps[common])):
            self.broken = True
            return ""
        gap = any(isinstance(step, int) and step > 0 for step in steps[common + 1 :])
        if gap or (self._levels and self._levels[common].has(steps[common])):
            self._again[steps[0]] = None
            return ""
        return self._close_to(common + 1) + self._open(steps, common) + self._write(value, steps, more=more)

    def _count_common(self, steps: PathSteps) -> int:
        """Return the number of open levels, without the outermost one, that a path leads through."""
        depth = 0
        for level, step in zip(self._levels[1:], steps[:-1], strict=False):
            if level.step != step:
                break
            depth += 1
        return depth

    def _close_to(self, depth: int) -> str:
        """Return the text that closes the open string, and all levels except the outermost `depth`."""
        closing = '"' if self._text_at is not None else ""
        self._text_at = None
        while len(self._levels) > depth:
            closing += "]" if self._levels.pop().names is None else "}"
        return closing

    def _open(self, steps: PathSteps, common: int) -> str:
        """Return the text that opens the levels of a path, up to its value.

        Args:
            steps: The path.
            common: The number of steps whose levels are already open.
        """
        opening = ""
        if not self._levels:
            self._levels.append(_Level("", steps[0]))
            opening = "{"
        for depth in range(common, len(steps)):
            opening += self._levels[depth].separate(steps[depth])
            if depth + 1 < len(steps):
                inside = steps[depth + 1]
                self._levels.append(_Level(steps[depth], inside))
                opening += "{" if isinstance(inside, str) else "["
        return opening

    def _write(self, value: object, steps: PathSteps, *, more: bool) -> str:
        """Return a value as JSON; a string with `more` to come is left open."""
        if not isinstance(value, str):
            return _dump(value)
        text = _dump(value)[1:-1]
        if self._text_at is None:
            text = f'"{text}'
        self._text_at = steps if more else None
        return text if more else f'{text}"'

    def _write_again(self) -> str:
        """Return the members that must be written again, assembled from all values so far."""
        root: dict[str | int, Any] = {}
        for steps, value in self._log:
            whole = "".join(value) if isinstance(value, _StringPieces) else value
            if not _put(root, steps, whole):
                self.broken = True
                return ""
        return "".join([f", {_dump(name)}: {_dump(root[name])}" for name in self._again])


def _put(inside: Any, steps: PathSteps, value: object) -> bool:  # noqa: ANN401 - any JSON value
    """Put a value at a path in a nested object, creating the levels; return whether that was possible."""
    for step, following in pairwise(steps):
        empty: Any = {} if isinstance(following, str) else []
        inside = _enter(inside, step, empty)
    return _enter(inside, steps[-1], value, replaces=True) is value


def _enter(inside: Any, step: str | int, value: Any, *, replaces: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a step; if there is none, or `replaces`, set it to `value` first.

    Returns `_NOWHERE` if the step does not fit the object or array.
    """
    if is_dict(inside) and isinstance(step, str):
        if replaces or step not in inside:
            inside[step] = value
        return inside[step]
    if not is_list(inside) or isinstance(step, str) or step > len(inside):
        return _NOWHERE
    if step == len(inside):
        inside.append(value)
    elif replaces:
        inside[step] = value
    return inside[step]


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
