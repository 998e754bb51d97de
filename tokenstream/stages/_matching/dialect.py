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
_SCOPE = re.compile(r"\(\?(?P<on>[a-zA-Z]*)(?:-(?P<off>[a-zA-Z]+))?:")
"""The beginning of a group with flags of its own."""
_SET_ITEM = re.compile(r"\\N\{[^}]*\}|\\.|.", re.DOTALL)


def is_verbose_group(source: str, position: int, *, verbose: bool) -> bool:
    """Return True if comments and white space are left out in the group that begins at `position`.

    Args:
        source: The pattern.
        position: The position of the group's opening parenthesis.
        verbose: True if they are left out around the group; flags such as `(?x:` and `(?-x:` change that.

    Example:
        >>> is_verbose_group("(?x:a b)", 0, verbose=False), is_verbose_group("(?i:a b)", 0, verbose=True)
        (True, True)
    """
    scope = _SCOPE.match(source, position)
    if scope is None:
        return verbose
    return (verbose or "x" in scope["on"]) and "x" not in (scope["off"] or "")


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
    # In an ASCII pattern, both packages agree about these escapes.
    escapes, in_set = ({}, {}) if flags & re.ASCII else (_ESCAPES, _IN_SET)
    verbose, verbose_around = bool(flags & re.VERBOSE), list[bool]()
    out: list[str] = []
    position = 0
    while position < len(source):
        char = source[position]
        end = position + 1
        if char == "\\":
            # An escape is a backslash and one character, except for `\N{…}`, a character by its name.
            named = _NAMED.match(source, position)
            end = position + 2 if named is None else named.end()
            out.append(escapes.get(source[position:end], source[position:end]))
        elif char == "[":
            translated, end = _translate_set(source, position, in_set)
            out.append(translated)
        elif char == "{":
            # A repeat, or a brace without a special meaning, which `regex` would read as fuzzy matching.
            repeat = _COUNT.match(source, position)
            end = position + 1 if repeat is None else repeat.end()
            out.append(r"\{" if repeat is None else repeat[0])
        elif source.startswith("(?#", position):
            # A comment is left out.
            end = source.find(")", position) + 1
        elif char == "#" and verbose:
            # So is one up to the end of its line.
            end = source.find("\n", position) + 1 or len(source)
        else:
            if char == "(":
                verbose_around.append(verbose)
                verbose = is_verbose_group(source, position, verbose=verbose)
            elif char == ")" and verbose_around:
                verbose = verbose_around.pop()
            out.append(char)
        position = end
    return "".join(out)


def _translate_set(source: str, position: int, in_set: dict[str, str]) -> tuple[str, int]:
    """Return the character set at `position` as `regex` writes it, and the position after the set.

    Args:
        source: The pattern.
        position: The position of the opening bracket.
        in_set: Maps escapes to their translations within a set.
    """
    is_negated = source.startswith("[^", position)
    position += 2 if is_negated else 1
    items: list[str] = []
    # As the first item, a closing bracket is an ordinary character.
    while position < len(source) and (source[position] != "]" or not items):
        match = _SET_ITEM.match(source, position)
        item = source[position] if match is None else match[0]
        items.append(rf"\{item}" if item in "[]" else item)
        position += len(item)
    # `[^\Wx]` means a word character other than x: written as a positive set with a look-behind.
    # Without translations (in an ASCII pattern), both packages agree about such a set.
    for inverse, positive in ((r"\W", r"\w"), (r"\S", r"\s")):
        if is_negated and inverse in items and in_set:
            others = "".join(in_set.get(item, item) for item in items if item != inverse)
            not_others = f"(?<![{others}])" if others else ""
            return f"(?:[{in_set[positive]}]{not_others})", position + 1
    body = "".join(in_set.get(item, item) for item in items)
    return f"[{'^' if is_negated else ''}{body}]", position + 1
