"""For each format, the name of the method that makes the turns of its requests."""

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
"""Maps the name of a format to the name of the method, which `Message` and `ToolResults` both have."""
