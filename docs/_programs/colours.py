"""The colours of the pictures: each is drawn for a light page, and gets those of a dark one here."""

from __future__ import annotations

import re

_DARK = {
    "#fff": "#15171b",
    "#f8fafc": "#1d2127",
    "#f3f4f6": "#272b32",
    "#e5e7eb": "#333943",
    "#d1d5db": "#3b424d",
    "#94a3b8": "#64748b",
    "#64748b": "#8694a8",
    "#4b5563": "#a3adba",
    "#1f2937": "#e3e8ee",
    "#dbeafe": "#1d3a5c",
    "#bfdbfe": "#1e4b7a",
    "#dcfce7": "#16432c",
    "#4ade80": "#1b7040",
    "#fef3c7": "#4b3b10",
    "#fde68a": "#6b5312",
    "#fee2e2": "#582327",
    "#b45309": "#f0a040",
    "#1d4ed8": "#8ab4f8",
}
"""What stands in a dark picture for each colour of a light one."""
_RULE = re.compile(r"(?P<place>[^{}]+)\{(?P<body>[^{}]*)\}")
_COLOUR = re.compile(r"(?P<name>[\w-]+):(?P<colour>#[0-9a-f]{3,6})\b")


def in_both(style: str) -> str:
    """Return the style of a picture with its rules for a dark page.

    Example:
        >>> in_both("text{fill:#1f2937;white-space:pre}")
        'text{fill:#1f2937;white-space:pre}@media(prefers-color-scheme:dark){text{fill:#e3e8ee}}'
    """
    rules = []
    for rule in _RULE.finditer(style):
        coloured = [f"{found['name']}:{_DARK[found['colour']]}" for found in _COLOUR.finditer(rule["body"])]
        rules += [f"{rule['place']}{{{';'.join(coloured)}}}"] if coloured else []
    return f"{style}@media(prefers-color-scheme:dark){{{''.join(rules)}}}"
