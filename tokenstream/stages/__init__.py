"""Stages: objects without I/O that shape, guard or measure text and events, also without a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader
from tokenstream.stages._metrics.buffering import GapHistogram
from tokenstream.stages._metrics.meter import Metrics

if TYPE_CHECKING:
    from tokenstream.stages._calls.calls import ToolTags
    from tokenstream.stages._chain import Chain
    from tokenstream.stages._guards.budget import Budget
    from tokenstream.stages._guards.texts import Repetition
    from tokenstream.stages._markdown.block import MarkdownBlock
    from tokenstream.stages._markdown.blocks import MarkdownBlocks
    from tokenstream.stages._protocols import Stage
    from tokenstream.stages._reorder import Reorder
    from tokenstream.stages._text.pacing import Smooth, Throttle
    from tokenstream.stages._text.redact import Redact
    from tokenstream.stages._text.searching import Until
    from tokenstream.stages._text.sentences import Sentences
    from tokenstream.stages._text.tags import Tags
    from tokenstream.stages._text.units import Graphemes, Lines, Words
    from tokenstream.stages._tools.calls import CallDraft, ValidatedCalls

__all__ = [
    "Budget",
    "CallDraft",
    "Chain",
    "GapHistogram",
    "Graphemes",
    "Lines",
    "MarkdownBlock",
    "MarkdownBlocks",
    "Metrics",
    "Redact",
    "Reorder",
    "Repetition",
    "Sentences",
    "Smooth",
    "Stage",
    "Tags",
    "Throttle",
    "ToolTags",
    "Until",
    "ValidatedCalls",
    "Words",
]

# Loaded when first asked for: metrics need neither a parser nor pydantic's type adapters.
_HOMES = {
    "Budget": "_guards.budget",
    "CallDraft": "_tools.calls",
    "Chain": "_chain",
    "Graphemes": "_text.units",
    "Lines": "_text.units",
    "MarkdownBlock": "_markdown.block",
    "MarkdownBlocks": "_markdown.blocks",
    "Redact": "_text.redact",
    "Reorder": "_reorder",
    "Repetition": "_guards.texts",
    "Sentences": "_text.sentences",
    "Smooth": "_text.pacing",
    "Stage": "_protocols",
    "Tags": "_text.tags",
    "Throttle": "_text.pacing",
    "ToolTags": "_calls.calls",
    "Until": "_text.searching",
    "ValidatedCalls": "_tools.calls",
    "Words": "_text.units",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
