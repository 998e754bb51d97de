"""Answers in a terminal: markdown drawn by rich while it is written.

Importing this module does not import rich; the extra `rich` installs it.
"""

from __future__ import annotations

from tokenstream.terminal._printer import MarkdownPrinter

__all__ = ["MarkdownPrinter"]
