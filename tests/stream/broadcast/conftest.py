"""Streams that a test leaves unread are closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stream.broadcast.support import SAID


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while SAID:
        SAID.pop().close()
