"""Find raw HTML tags in a block that stay open, so that the blocks after it belong to them, too."""

from __future__ import annotations

import re

_OPENED = re.compile(r"<([A-Za-z][A-Za-z0-9-]*)")
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905


class OpenTag:
    """The outermost tag that an HTML block leaves open, and its nesting depth."""

    __slots__ = ("_depth", "_tag_pattern")

    def __init__(self) -> None:
        self._depth = 0
        self._tag_pattern: re.Pattern[str] | None = None
        """Finds the tag's opening and closing tags; None without an open tag."""

    @property
    def open(self) -> bool:
        """True while the tag is not closed."""
        return self._depth > 0

    def begin(self, line: str) -> None:
        """Read the first line of an HTML block; if its first tag is left open, remember it."""
        opened = _OPENED.match(line.lstrip(" \t"))
        if opened is not None and opened[1].lower() not in _VOID:
            self._tag_pattern = re.compile(
                rf"<(/?){opened[1]}(?=[\s/>]|\Z)[^<>]*?(/?)(?:>|\Z)", re.IGNORECASE
            )
            self.read(line)

    def read(self, line: str) -> None:
        """Count the opening and closing tags of this name in a line; forget the tag once it is closed."""
        if self._tag_pattern is None:
            return
        for slash, lone in self._tag_pattern.findall(line):
            if slash:
                self._depth -= 1
            elif not lone:
                # A lone tag, such as `<p/>`, opens nothing.
                self._depth += 1
            if self._depth <= 0:
                self._depth, self._tag_pattern = 0, None
                return
