"""What views and drivers are made of: stages that look at events and text, and shape them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._lazy import lazily
from tokenstream.stages.metrics import Meter, Metrics

if TYPE_CHECKING:
    from tokenstream.stages._chain import Chain
    from tokenstream.stages._stage import Stage
    from tokenstream.stages._text.accumulate import Accumulate
    from tokenstream.stages._text.smooth import Smooth
    from tokenstream.stages._text.throttle import Throttle
    from tokenstream.stages.objects import Field, Items, Partials
    from tokenstream.stages.reorder import Reorder
    from tokenstream.stages.tools import ValidatedCalls

__all__ = [
    "Accumulate",
    "Chain",
    "Field",
    "Items",
    "Meter",
    "Metrics",
    "Partials",
    "Reorder",
    "Smooth",
    "Stage",
    "Throttle",
    "ValidatedCalls",
]

# Loaded when first asked for: metrics need neither a parser nor pydantic's type adapters.
_HOMES = {
    "Accumulate": "_text.accumulate",
    "Chain": "_chain",
    "Field": "objects",
    "Items": "objects",
    "Partials": "objects",
    "Reorder": "reorder",
    "Smooth": "_text.smooth",
    "Stage": "_stage",
    "Throttle": "_text.throttle",
    "ValidatedCalls": "tools",
}

__getattr__, __dir__ = lazily(globals(), _HOMES)
