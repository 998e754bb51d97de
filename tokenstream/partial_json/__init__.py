"""Partial JSON: documents that are read while they arrive; the value so far is available after each piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.partial_json._events import StringDelta as StringDelta
    from tokenstream.partial_json._events import ValueDone as ValueDone
    from tokenstream.partial_json._events import ValueStart as ValueStart
    from tokenstream.partial_json._missing import MISSING as MISSING
    from tokenstream.partial_json._parser import PartialJSONParser as PartialJSONParser
    from tokenstream.partial_json._show import Allow as Allow
    from tokenstream.partial_json._show import Show as Show
    from tokenstream.partial_json._typed.partial import Partial as Partial

# Loaded on first use: the parser itself needs neither pydantic's type adapters nor
# the package that defines the `Allow` flags.
_HOMES = {
    "Allow": "_show",
    "MISSING": "_missing",
    "Partial": "_typed.partial",
    "PartialJSONParser": "_parser",
    "Show": "_show",
    "StringDelta": "_events",
    "ValueDone": "_events",
    "ValueStart": "_events",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
