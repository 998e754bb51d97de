"""Debian's Chromium, for the programs whose answers only a browser shows."""

import pytest

from tests.support.chromium import chromium, context, page

pytestmark = pytest.mark.not_quick

pytest.register_assert_rewrite("tests.cookbook.chat_laws", "tests.cookbook.relay_laws")

__all__ = ["chromium", "context", "page"]
