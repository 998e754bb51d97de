"""What is tested against and lies beside the checkout, in `../shared`, where somebody has put it."""

from __future__ import annotations

import pytest

from tests.project import ROOT

SHARED = ROOT.parent / "shared"
"""Recordings of real servers and verified cases; they are read where they lie, and may be missing."""


def _needs(folder: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not (SHARED / folder).exists(),
        reason=f"reads {what} from ../shared/{folder}, which is not part of this repository",
    )


needs_recordings = _needs("recordings", "recordings of real servers")
"""Leaves a test out, and says why, where there are no recordings of real servers."""
needs_cases = _needs("cases", "verified cases of SSE and JSON")
"""Leaves a test out, and says why, where there are no verified cases."""
