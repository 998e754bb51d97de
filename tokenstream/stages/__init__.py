"""What views and drivers are made of: stages that look at events and text, and shape them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tokenstream.stages.metrics import Meter, Metrics

if TYPE_CHECKING:
    from tokenstream.stages.objects import Field, Items, Partials
    from tokenstream.stages.tools import ValidatedCalls

__all__ = ["Field", "Items", "Meter", "Metrics", "Partials", "ValidatedCalls"]

# Loaded when first asked for: metrics need neither a parser nor pydantic's type adapters.
_HOMES = {"Field": "objects", "Items": "objects", "Partials": "objects", "ValidatedCalls": "tools"}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tokenstream.stages' has no attribute {name!r}")
    value: object = getattr(import_module(f"tokenstream.stages.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
