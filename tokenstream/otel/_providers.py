"""Who answers: the providers' names in the GenAI conventions, by host and by format."""

from __future__ import annotations

import re

__all__ = ["FORMATS", "HOSTS", "OPERATIONS", "PATHS", "format_at", "operation_of", "provider_of"]

_OTHER = "_OTHER"
HOSTS = (
    (r"api\.openai\.com", "openai"),
    (r"openai\.azure\.com", "azure.ai.openai"),
    (r"(?:services|models)\.ai\.azure\.com", "azure.ai.inference"),
    (r"anthropic\.com", "anthropic"),
    # Other services, and load balancers before anybody's server, have names at AWS, too.
    (r"bedrock[^.]*\..+\.amazonaws\.com(?:\.cn)?", "aws.bedrock"),
    (r"bedrock[^.]*\..+\.api\.aws", "aws.bedrock"),
    (r"generativelanguage\.googleapis\.com", "gcp.gemini"),
    # A region stands before it with a hyphen.
    (r"(?:[^.]+-)?aiplatform\.googleapis\.com", "gcp.vertex_ai"),
    (r"cohere\.(?:com|ai)", "cohere"),
    (r"mistral\.ai", "mistral_ai"),
    (r"groq\.com", "groq"),
    (r"deepseek\.com", "deepseek"),
    (r"perplexity\.ai", "perplexity"),
    (r"x\.ai", "x_ai"),
    (r"ml\.cloud\.ibm\.com", "ibm.watsonx.ai"),
)
"""Ends of host names, as patterns, and whose they are."""
_HOSTS = [(re.compile(rf"(?:^|.*\.){end}"), name) for end, name in HOSTS]
FORMATS = {
    "openai-chat": "openai",
    "openai-completions": "openai",
    "openai-responses": "openai",
    "openai-realtime": "openai",
    "openai-assistants": "openai",
    "anthropic": "anthropic",
    "bedrock-converse": "aws.bedrock",
    "bedrock-invoke": "aws.bedrock",
    "gemini": "gcp.gen_ai",
    "gemini-live": "gcp.gen_ai",
    "gemini-interactions": "gcp.gen_ai",
    "cohere": "cohere",
    "ollama": "ollama",
}
"""The flavor of a server that nothing else is known of, by the format that it speaks."""
OPERATIONS = {
    "gemini": "generate_content",
    "gemini-live": "generate_content",
    "gemini-interactions": "generate_content",
    "openai-completions": "text_completion",
}
"""What is asked for, where it is no chat."""


PATHS = {
    "/chat/completions": "openai-chat",
    "/completions": "openai-completions",
    "/responses": "openai-responses",
    "/messages": "anthropic",
    ":streamGenerateContent": "gemini",
    "/converse-stream": "bedrock-converse",
    "/invoke-with-response-stream": "bedrock-invoke",
    "/v2/chat": "cohere",
    "/api/chat": "ollama",
}
"""Ends of addresses, and what is spoken there: a refusal is in no format."""


def format_at(url: str | None) -> str | None:
    """Return the format that is likely to be spoken at an address; None where it tells nothing."""
    path = (url or "").partition("?")[0]
    return next((format for end, format in PATHS.items() if path.endswith(end)), None)


def provider_of(host: str | None, format: str | None) -> str:
    """Return the provider's name.

    Args:
        host: The host that was asked.
        format: The name of the answer's format.

    Example:
        >>> provider_of("eu-west1-aiplatform.googleapis.com", "gemini"), provider_of("localhost", "ollama")
        ('gcp.vertex_ai', 'ollama')
    """
    named = next((name for hosts, name in _HOSTS if hosts.fullmatch(host or "")), None)
    return named or FORMATS.get(format or "", _OTHER)


def operation_of(format: str | None) -> str:
    """Return what is asked for, by the name of the answer's format."""
    return OPERATIONS.get(format or "", "chat")
