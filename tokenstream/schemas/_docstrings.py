"""What docstrings tell a model: what a tool does, and what its parameters are."""

from __future__ import annotations

import functools
import inspect
from typing import Any

__all__ = ["docstring_of", "first_paragraph", "parameter_descriptions"]

_SECTIONS = ("Args:", "Arguments:", "Attributes:", "Parameters", "Parameters:", ":param", ":type")
"""What begins a docstring that says nothing before its parameters."""
_KINDS = frozenset({"attributes", "other parameters", "parameters"})


def docstring_of(function: Any) -> str:  # noqa: ANN401 - any callable
    """Return the docstring of a function, or of what a partial calls; "" where there is none."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.getdoc(function) or ""


def first_paragraph(docstring: str) -> str:
    """Return a docstring's first paragraph in one line; "" where it begins with its parameters."""
    lines: list[str] = []
    for line in inspect.cleandoc(docstring).splitlines():
        if not line.strip():
            break
        lines.append(line.strip())
    if not lines or lines[0].startswith(_SECTIONS):
        return ""
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
