"""What views and drivers are made of: stages that look at events and shape them."""

from __future__ import annotations

from tokenstream.stages.metrics import Meter, Metrics

__all__ = ["Meter", "Metrics"]
