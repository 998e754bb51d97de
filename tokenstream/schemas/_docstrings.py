"""Descriptions from docstrings: of a tool and of its parameters."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

_begins_section: Any = re.compile(
    r"(?:Args|Arguments|Attributes|Parameters):|(?:Returns|Raises|Yields|Examples?|Notes?):$"
    r"|:(?:param|type|returns?|rtype|raises)\b"
).match
"""Matches a line that ends the first paragraph, even without an empty line before it."""
_UNDERLINE = "---"
"""The underline of a section's title in NumPy's style."""
_KINDS = frozenset({"attributes", "other parameters", "parameters"})


def docstring_of(function: Any) -> str:  # noqa: ANN401 - any callable
    """Return the docstring of a function, or of the function that a partial calls; "" if it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def first_paragraph(docstring: str) -> str:
    """Return a docstring's first paragraph in one line; "" if it begins with its parameters."""
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
    """Return each parameter's description in a docstring of Google's, NumPy's or Sphinx's style.

    This needs the package griffelib, which the extra `griffe` installs; without it
    the result is empty.
    """
    # One line has no section, and need not wait for the import.
    if "\n" not in docstring:
        return {}
    try:
        from griffe import Docstring, parse_google, parse_numpy, parse_sphinx
    except ImportError:
        return {}
    # The order of griffe's `auto`, but without its warnings about missing types, which the
    # function's signature has.
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
