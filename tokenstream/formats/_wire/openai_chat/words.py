"""The dialects of OpenAI Chat as data: meanings of field names."""

from __future__ import annotations

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Fields of a delta that hold reasoning as text; the first with text counts."""

REASONING_LISTS = ("reasoning_details", "thinking_blocks")
"""Fields of a delta that hold reasoning as a list of typed pieces, often beside one of the above."""

REASONING_STEPS = ("reasoning_steps",)
"""Fields of a delta that hold reasoning as a list of steps, each a piece of its own."""

ITEM_FIELDS = frozenset({"token_id", "token_ids"})
"""Fields of a choice or delta whose values add to earlier ones."""
