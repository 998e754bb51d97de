"""Answers in a terminal: rich draws the Markdown while it arrives.

Importing this module does not import rich; the extra `rich` installs rich.
"""

from __future__ import annotations

from tokenstream.terminal._printer import MarkdownPrinter

__all__ = ["MarkdownPrinter"]
