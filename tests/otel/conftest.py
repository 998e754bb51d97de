"""What the tests of traces are given: OpenTelemetry in memory."""

from __future__ import annotations

import pytest

from tests.otel.backend import Backend


@pytest.fixture
def backend() -> Backend:
    return Backend()
