"""Formats that a mapping of paths describes."""
