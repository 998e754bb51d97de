"""The policies of a broadcast for a reader that is too slow."""

from __future__ import annotations

from typing import Literal, TypeAlias

Policy: TypeAlias = Literal["wait", "drop_oldest", "raise"]
"""Handling of a loop over events that falls behind by as many events as the queue holds."""
