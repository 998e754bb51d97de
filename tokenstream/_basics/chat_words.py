"""Names of fields that servers with OpenAI's chat format use."""

from __future__ import annotations

LEGACY = "function_call"
"""The made-up index and type of a call in the legacy form, and the field for it."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Fields of a delta that hold reasoning as text; the first field with text is used."""

BLOCKS = "content_blocks"
"""The field of a delta in which Portkey passes on Anthropic's blocks; `content` has their text, too."""

REASONING_LISTS = ("reasoning_details", "thinking_blocks", BLOCKS)
"""Fields of a delta that hold reasoning as a list of typed pieces, often besides a field of text."""

REASONING_STEPS = ("reasoning_steps",)
"""Fields of a delta that hold reasoning as a list of steps, each of which becomes a part."""

ITEM_FIELDS = frozenset({"token_id", "token_ids"})
"""Fields of a choice or delta whose values continue the list of earlier values."""

SIGNATURES = ("signature", "thoughtSignature", "thought_signature")
"""Fields of a text or of reasoning, in a list of content, that hold its signature."""

SUMMARY_ITEM = "reasoning"
"""The type of an item, in a list of content, whose `summary` is a list of signed texts (Databricks)."""

OPAQUE_FIELDS = (
    # Quirk (GitHub Copilot, 2026-01): beside `reasoning_text`; sst/opencode#4468.
    "reasoning_opaque",
    "reasoning_signature",
    "thinking_signature",
    "thought_signature",
    "thoughtSignature",
    "signature",
    "encrypted_content",
    # LiteLLM, of OpenAI's Responses API: items with `encrypted_content`.
    "reasoning_items",
)
"""Fields of a delta, beside its text, that hold a signature or encrypted reasoning.

The next request must have them in the same place.
"""
