"""Rewrites a regular expression for `re` so that the package `regex` finds the same matches."""

from __future__ import annotations

import re

_WORD = r"\p{L}\p{N}_"
_SPACE = r"\s\x1c-\x1f"
_BORDER = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_WITHIN = rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_ESCAPES = {
    r"\w": f"[{_WORD}]",
    r"\W": f"[^{_WORD}]",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\b": _BORDER,
    r"\B": _WITHIN,
}
_IN_SET = {r"\w": _WORD, r"\s": _SPACE, r"\W": r"\W\p{M}\p{S}\p{Pc}"}
r"""Replacements inside a character set.

With the entry for `\W`, `regex` matches slightly more than `re`:
too much is then held back, never too little.
"""
_COUNT = re.compile(r"\{(?:\d+(?:,\d*)?|,\d*)\}")
_NAMED = re.compile(r"\\N\{[^}]*\}")
_SET_ITEM = re.compile(r"\\N\{[^}]*\}|\\.|.", re.DOTALL)


def as_regex(source: str, flags: int) -> str:
    r"""Translate a pattern for `re` into a pattern with the same matches in `regex`.

    In `regex`, a superscript is not part of a word, but a combining mark is; the separators
    `\x1c` to `\x1f` are not white space; `a{e}` and `[[:alpha:]]` have a special meaning.

    Args:
        source: The pattern.
        flags: The pattern's flags.

    Example:
        >>> print(as_regex(r"a{i}\s[[:x]", 0))
        a\{i}[\s\x1c-\x1f][\[:x]
    """
    escapes, in_set = ({}, {}) if flags & re.ASCII else (_ESCAPES, _IN_SET)
    out: list[str] = []
    at = 0
    while at < len(source):
        sign = source[at]
        end = at + 1
        if sign == "\\":
            named = _NAMED.match(source, at)
            end = at + 2 if named is None else named.end()
            out.append(escapes.get(source[at:end], source[at:end]))
        elif sign == "[":
            found, end = _translate_set(source, at, in_set)
            out.append(found)
        elif sign == "{":
            count = _COUNT.match(source, at)
            end = at + 1 if count is None else count.end()
            out.append(r"\{" if count is None else count[0])
        elif source.startswith("(?#", at):
            end = source.find(")", at) + 1
        elif sign == "#" and flags & re.VERBOSE:
            end = source.find("\n", at) + 1 or len(source)
        else:
            out.append(sign)
        at = end
    return "".join(out)


def _translate_set(source: str, at: int, in_set: dict[str, str]) -> tuple[str, int]:
    """Return the translated character set at `at`, and the position after it."""
    negated = source.startswith("[^", at)
    at += 1 + negated
    items: list[str] = []
    while at < len(source) and (source[at] != "]" or not items):
        found = _SET_ITEM.match(source, at)
        item = source[at] if found is None else found[0]
        items.append(rf"\{item}" if item in "[]" else item)
        at += len(item)
    # `[^\Wx]` means a word character other than x: written as a positive set with a look-behind.
    for inverse, of in ((r"\W", r"\w"), (r"\S", r"\s")):
        if negated and inverse in items and in_set:
            others = "".join(in_set.get(item, item) for item in items if item != inverse)
            return f"(?:[{in_set[of]}]{f'(?<![{others}])' if others else ''})", at + 1
    body = "".join(in_set.get(item, item) for item in items)
    return f"[{'^' if negated else ''}{body}]", at + 1
