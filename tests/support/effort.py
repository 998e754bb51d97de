"""The number of times that a law is tried."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

__all__ = ["examples", "trials"]

_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def trials(thorough: int) -> int:
    """Return a fourth of a number of trials, or all of them with HYPOTHESIS_PROFILE=thorough.

    A fourth is what one run of all checks has time for. A law that has held for long is
    tried as often as it should be before a release, or after a change to its parser.
    """
    return thorough if _THOROUGH else thorough // 4


def examples(in_full: int, **options: Any) -> settings:
    """Return the settings of a law that is tried on more or fewer examples than others.

    Args:
        in_full: Number of examples with the profile `full`, which has 100 for other laws. By
            default, where others have ten, it is a tenth, and ten at least if there are as many.
        **options: Further settings.
    """
    usual = min(settings().max_examples, 100)
    return settings(max_examples=max(in_full * usual // 100, min(in_full, usual)), **options)
