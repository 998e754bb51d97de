"""Stages: objects without I/O that shape, guard or measure text and events, also without a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader
from tokenstream.stages._metrics.buffering import GapHistogram
from tokenstream.stages._metrics.meter import Meter, Metrics

if TYPE_CHECKING:
    from tokenstream.stages._calls.calls import ToolTags
    from tokenstream.stages._chain import Chain
    from tokenstream.stages._guards.budget import Budget
    from tokenstream.stages._guards.texts import Repetition
    from tokenstream.stages._markdown.block import MarkdownBlock
    from tokenstream.stages._markdown.blocks import MarkdownBlocks
    from tokenstream.stages._objects.items import Field, Items
    from tokenstream.stages._objects.partials import Partials
    from tokenstream.stages._patches import Patches
    from tokenstream.stages._protocols import Stage
    from tokenstream.stages._reorder import Reorder
    from tokenstream.stages._text.pacing import Accumulate, Newest, Smooth, Throttle
    from tokenstream.stages._text.redact import Redact
    from tokenstream.stages._text.searching import Until
    from tokenstream.stages._text.sentences import Sentences
    from tokenstream.stages._text.units import Graphemes, Lines, Words
    from tokenstream.stages._tools.calls import CallDraft, ValidatedCalls

__all__ = [
    "Accumulate",
    "Budget",
    "CallDraft",
    "Chain",
    "Field",
    "GapHistogram",
    "Graphemes",
    "Items",
    "Lines",
    "MarkdownBlock",
    "MarkdownBlocks",
    "Meter",
    "Metrics",
    "Newest",
    "Partials",
    "Patches",
    "Redact",
    "Reorder",
    "Repetition",
    "Sentences",
    "Smooth",
    "Stage",
    "Throttle",
    "ToolTags",
    "Until",
    "ValidatedCalls",
    "Words",
]

# Loaded when first asked for: metrics need neither a parser nor pydantic's type adapters.
_HOMES = {
    "Accumulate": "_text.pacing",
    "Budget": "_guards.budget",
    "CallDraft": "_tools.calls",
    "Chain": "_chain",
    "Field": "_objects.items",
    "Graphemes": "_text.units",
    "Items": "_objects.items",
    "Lines": "_text.units",
    "MarkdownBlock": "_markdown.block",
    "MarkdownBlocks": "_markdown.blocks",
    "Newest": "_text.pacing",
    "Partials": "_objects.partials",
    "Patches": "_patches",
    "Redact": "_text.redact",
    "Reorder": "_reorder",
    "Repetition": "_guards.texts",
    "Sentences": "_text.sentences",
    "Smooth": "_text.pacing",
    "Stage": "_protocols",
    "Throttle": "_text.pacing",
    "ToolTags": "_calls.calls",
    "Until": "_text.searching",
    "ValidatedCalls": "_tools.calls",
    "Words": "_text.units",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
