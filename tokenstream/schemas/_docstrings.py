"""Descriptions of tools and of their parameters, taken from docstrings."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

_begins_section: Any = re.compile(
    r"(?:Args|Arguments|Attributes|Parameters):|(?:Returns|Raises|Yields|Examples?|Notes?):$"
    r"|:(?:param|type|returns?|rtype|raises)\b"
).match
"""Matches a line that begins a section of a docstring, such as `Args:`, and so ends the first paragraph."""
_UNDERLINE = "---"
"""The start of the line below a section's title in NumPy style."""
_SECTIONS_OF_PARAMETERS = frozenset({"attributes", "other parameters", "parameters"})


def docstring_of(function: object) -> str:
    """Return the docstring of a function, or of the function in a `functools.partial`; "" if it has none."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def first_paragraph(docstring: str) -> str:
    """Return the first paragraph of a docstring in one line; "" if it begins with its parameters."""
    lines: list[str] = []
    for line in map(str.strip, inspect.cleandoc(docstring).splitlines()):
        if line.startswith(_UNDERLINE):
            # The line before is the title of a section in NumPy style.
            lines = lines[:-1]
            break
        if not line or _begins_section(line):
            break
        lines.append(line)
    return " ".join(lines)


def parameter_descriptions(docstring: str) -> dict[str, str]:
    """Return the description of each parameter in a docstring of Google, NumPy or Sphinx style.

    This needs the package griffelib, which the extra `griffe` installs; without that
    package the result is empty.
    """
    # A docstring of one line has no section; returning here avoids the slow import.
    if "\n" not in docstring:
        return {}
    try:
        from griffe import Docstring, parse_google, parse_numpy, parse_sphinx
    except ImportError:
        return {}
    # griffe's `auto` tries the styles in the same order, but warns about missing types,
    # which the function's signature contains.
    for parse in (parse_sphinx, parse_numpy, parse_google):
        sections: Any = parse(Docstring(inspect.cleandoc(docstring), lineno=1), warnings=False)
        descriptions = {
            item.name.lstrip("*"): " ".join(item.description.split())
            for section in sections
            if section.kind.value in _SECTIONS_OF_PARAMETERS
            for item in section.value
        }
        if descriptions:
            return descriptions
    return {}
