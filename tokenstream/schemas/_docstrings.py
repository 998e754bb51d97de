"""What docstrings tell a model: what a tool does, and what its parameters are."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

__all__ = ["docstring_of", "first_paragraph", "parameter_descriptions"]

_begins_section: Any = re.compile(
    r"(?:Args|Arguments|Attributes|Parameters):|(?:Returns|Raises|Yields|Examples?|Notes?):$"
    r"|:(?:param|type|returns?|rtype|raises)\b"
).match
"""Finds the line that ends what a docstring says first, even where no empty one stands before it."""
_UNDERLINE = "---"
"""What stands under the title of a section in NumPy's style."""
_KINDS = frozenset({"attributes", "other parameters", "parameters"})


def docstring_of(function: Any) -> str:  # noqa: ANN401 - any callable
    """Return the docstring of a function, or of what a partial calls; "" where there is none."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def first_paragraph(docstring: str) -> str:
    """Return a docstring's first paragraph in one line; "" where it begins with its parameters."""
    lines: list[str] = []
    for line in map(str.strip, inspect.cleandoc(docstring).splitlines()):
        if line.startswith(_UNDERLINE):
            lines = lines[:-1]
            break
        if not line or _begins_section(line):
            break
        lines.append(line)
    return " ".join(lines)


def parameter_descriptions(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each parameter, in Google's, NumPy's or Sphinx's style.

    It takes the package griffelib, which the extra `griffe` installs; without it,
    there is nothing.
    """
    # One line has no section, and need not wait for the import.
    if "\n" not in docstring:
        return {}
    try:
        from griffe import Docstring, parse_google, parse_numpy, parse_sphinx
    except ImportError:
        return {}
    # As they are found out in `auto`, but without a word to the log about types that are missing:
    # those are the function's own to tell.
    for parse in (parse_sphinx, parse_numpy, parse_google):
        sections: Any = parse(Docstring(inspect.cleandoc(docstring), lineno=1), warnings=False)
        found = {
            item.name.lstrip("*"): " ".join(item.description.split())
            for section in sections
            if section.kind.value in _KINDS
            for item in section.value
        }
        if found:
            return found
    return {}
