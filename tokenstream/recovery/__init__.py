"""Recovery of broken answers: they are restarted, resumed, continued, or requested from another provider."""

from __future__ import annotations

from tokenstream.recovery._purse import Purse
from tokenstream.recovery._resilient import aresilient, resilient
from tokenstream.recovery._retry import Retry
from tokenstream.recovery._route import Route
from tokenstream.stream._attempts import Attempt, AttemptReport

__all__ = ["Attempt", "AttemptReport", "Purse", "Retry", "Route", "aresilient", "resilient"]
