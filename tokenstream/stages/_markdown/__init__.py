"""Markdown that is still being written: its blocks, and the visible text of the open block."""
