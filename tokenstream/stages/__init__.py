"""Stages: objects without I/O that shape, guard or measure text and events, also without a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.lazy import make_lazy_loader

if TYPE_CHECKING:
    from tokenstream.stages._calls.events import ToolTags as ToolTags
    from tokenstream.stages._chain import Chain as Chain
    from tokenstream.stages._guards.budget import Budget as Budget
    from tokenstream.stages._guards.texts import Repetition as Repetition
    from tokenstream.stages._markdown.block import MarkdownBlock as MarkdownBlock
    from tokenstream.stages._markdown.blocks import MarkdownBlocks as MarkdownBlocks
    from tokenstream.stages._metrics.metrics import GapHistogram as GapHistogram
    from tokenstream.stages._metrics.metrics import Metrics as Metrics
    from tokenstream.stages._protocols import Stage as Stage
    from tokenstream.stages._reorder import Reorder as Reorder
    from tokenstream.stages._text.pacing import Smooth as Smooth
    from tokenstream.stages._text.pacing import Throttle as Throttle
    from tokenstream.stages._text.redact import Redact as Redact
    from tokenstream.stages._text.searching import Until as Until
    from tokenstream.stages._text.sentences import Sentences as Sentences
    from tokenstream.stages._text.tags import Tags as Tags
    from tokenstream.stages._text.units import Graphemes as Graphemes
    from tokenstream.stages._text.units import Lines as Lines
    from tokenstream.stages._text.units import Words as Words
    from tokenstream.stages._tools.calls import CallDraft as CallDraft
    from tokenstream.stages._tools.calls import ValidatedCalls as ValidatedCalls

# Loaded when first asked for: metrics need neither a parser nor pydantic's type adapters.
_HOMES = {
    "Budget": "_guards.budget",
    "CallDraft": "_tools.calls",
    "Chain": "_chain",
    "GapHistogram": "_metrics.metrics",
    "Graphemes": "_text.units",
    "Lines": "_text.units",
    "MarkdownBlock": "_markdown.block",
    "MarkdownBlocks": "_markdown.blocks",
    "Metrics": "_metrics.metrics",
    "Redact": "_text.redact",
    "Reorder": "_reorder",
    "Repetition": "_guards.texts",
    "Sentences": "_text.sentences",
    "Smooth": "_text.pacing",
    "Stage": "_protocols",
    "Tags": "_text.tags",
    "Throttle": "_text.pacing",
    "ToolTags": "_calls.events",
    "Until": "_text.searching",
    "ValidatedCalls": "_tools.calls",
    "Words": "_text.units",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = make_lazy_loader(globals(), _HOMES)
