"""The number of times that a slow law is tried."""

from __future__ import annotations

import os

__all__ = ["trials"]

_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def trials(thorough: int) -> int:
    """Return a fourth of a number of trials, or all of them with HYPOTHESIS_PROFILE=thorough.

    A fourth is what one run of all checks has time for. A law that has held for long is
    tried as often as it should be before a release, or after a change to its parser.
    """
    return thorough if _THOROUGH else thorough // 4
