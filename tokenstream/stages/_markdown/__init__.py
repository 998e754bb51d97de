"""Markdown that is still being written: its blocks, and what to show of the open one."""
