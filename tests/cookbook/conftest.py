"""Debian's Chromium, for the programs whose answers only a browser shows."""

from tests.support.chromium import chromium, context, page

__all__ = ["chromium", "context", "page"]
