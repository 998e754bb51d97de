"""Names of fields that servers with OpenAI's chat format use."""

from __future__ import annotations

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Fields of a delta that hold reasoning as text; the first field with text is used."""

REASONING_LISTS = ("reasoning_details", "thinking_blocks")
"""Fields of a delta that hold reasoning as a list of typed pieces, often besides a field of text."""

REASONING_STEPS = ("reasoning_steps",)
"""Fields of a delta that hold reasoning as a list of steps, each of which becomes a part."""

ITEM_FIELDS = frozenset({"token_id", "token_ids"})
"""Fields of a choice or delta whose values continue the list of earlier values."""
