"""Finds tests that are green only on an idle machine: see `python -m tests.shake --help`."""
