"""Answers in a terminal: markdown drawn by rich while it is written.

Importing this module takes no rich; the extra `rich` has it.
"""

from __future__ import annotations

from tokenstream.terminal._printer import MarkdownPrinter

__all__ = ["MarkdownPrinter"]
