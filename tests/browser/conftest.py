"""The chat of examples/, served as its users serve it, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.project import PACKAGE, ROOT
from tests.support.chromium import chromium, context, page
from tests.support.served import by_python

pytestmark = pytest.mark.not_quick

__all__ = ["chromium", "context", "page", "url"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    paths = os.pathsep.join([str(PACKAGE.parent), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "CHAT_PACE": "0.02"}
    with by_python(ROOT, environment, "-m", "uvicorn", "examples.chat.app:app", "--port", "{port}") as served:
        yield served
