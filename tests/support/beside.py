"""Test data outside the checkout, in `../shared`; it may be missing."""

from __future__ import annotations

import pytest

from tests.project import ROOT

SHARED = ROOT.parent / "shared"
"""Recordings of real servers and verified cases, read from there."""


def _needs(folder: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not (SHARED / folder).exists(),
        reason=f"reads {what} from ../shared/{folder}, which is not part of this repository",
    )


needs_recordings = _needs("recordings", "recordings of real servers")
"""Skips a test, with a reason, if the recordings of real servers are missing."""
needs_cases = _needs("cases", "verified cases of SSE and JSON")
"""Skips a test, with a reason, if the verified cases are missing."""
