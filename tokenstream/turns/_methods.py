"""The names of the methods that make the turns of a format's requests."""

from __future__ import annotations

METHODS = {
    "anthropic": "to_anthropic",
    "bedrock-converse": "to_bedrock",
    "bedrock-invoke": "to_anthropic",
    "cohere": "to_cohere",
    "gemini": "to_gemini",
    "mistral": "to_mistral",
    "ollama": "to_ollama",
    "openai-chat": "to_openai_chat",
    "openai-responses": "to_openai_responses",
}
"""The method of `Message` and of `ToolResults`, by the format's name."""
