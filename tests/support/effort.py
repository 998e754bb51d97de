"""How often a law is tried: a part of what there is, or all of it with HYPOTHESIS_PROFILE=thorough.

A part is what one run of all checks has time for. A law that has held for long is tried as often as
it should be before a release, or after a change to its parser.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

_MOST_PLACES = 75
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def trials(thorough: int, *, one_in: int = 40) -> int:
    """Return a fortieth of a number of trials, or another part, or all of them in a thorough run."""
    return thorough if THOROUGH else -(-thorough // one_in)


def in_steps(step: int, length: int = 0) -> int:
    """Return the step between places that are tried, such as cuts, or 1 in a thorough run.

    Args:
        step: The step in other runs.
        length: Number of places: where they are many, each costs much, because what comes before is read
            again, and much of it is alike. A longer step leaves 75 of them.
    """
    return 1 if THOROUGH else max(step, -(-length // _MOST_PLACES))


def examples(in_full: int, **options: Any) -> settings:
    """Return the settings of a law that is tried on more or fewer examples than others.

    Args:
        in_full: Number of examples where other laws have 100. With the profile `full`, where others
            have 40, it is two fifths, and 40 at least if there are as many; by default, where others
            have ten, a tenth, and ten at least.
        **options: Further settings.
    """
    usual = min(settings().max_examples, 100)
    return settings(max_examples=max(in_full * usual // 100, min(in_full, usual)), **options)
