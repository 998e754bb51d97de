"""Names of providers in the GenAI conventions, by host and by format."""

from __future__ import annotations

_OTHER = "_OTHER"
HOSTS = {
    ".api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".models.ai.azure.com": "azure.ai.inference",
    ".anthropic.com": "anthropic",
    ".generativelanguage.googleapis.com": "gcp.gemini",
    ".aiplatform.googleapis.com": "gcp.vertex_ai",
    # After a region.
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    ".cohere.com": "cohere",
    ".cohere.ai": "cohere",
    ".mistral.ai": "mistral_ai",
    ".groq.com": "groq",
    ".deepseek.com": "deepseek",
    ".perplexity.ai": "perplexity",
    ".x.ai": "x_ai",
    ".ml.cloud.ibm.com": "ibm.watsonx.ai",
}
"""Providers by the end of the host's name, which gets a dot in front."""
_AT_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# Other services, and load balancers of any server, have names there too.
_BEDROCK = ".bedrock"
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
"""Providers by format, for unknown hosts."""
OPERATIONS = {
    "gemini": "generate_content",
    "gemini-live": "generate_content",
    "gemini-interactions": "generate_content",
    "openai-completions": "text_completion",
}
"""Operations by format, if not "chat"."""


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
"""Formats by the end of the URL's path, for error responses, which have no format."""


def format_at(url: str | None) -> str | None:
    """Return the likely format of a URL; None if its path is unknown."""
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
    dotted = f".{host or ''}"
    if dotted.endswith(_AT_AWS) and _BEDROCK in dotted:
        return "aws.bedrock"
    named = next((name for end, name in HOSTS.items() if dotted.endswith(end)), None)
    return named or FORMATS.get(format or "", _OTHER)


def operation_of(format: str | None) -> str:
    """Return the operation's name for a format."""
    return OPERATIONS.get(format or "", "chat")
