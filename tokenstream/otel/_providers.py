"""Names of providers in the GenAI conventions, by host and by format."""

from __future__ import annotations

from tokenstream._apis import api_named
from tokenstream._hosts import host_at
from tokenstream.formats._detect.places import format_of_path

OTHER = "_OTHER"
_AT_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
# Hosts of AWS belong to Bedrock only with this in their names: other AWS services, and load balancers
# before any server, have names in the same domains.
_BEDROCK = ".bedrock"


def format_at(url: str | None) -> str | None:
    """Return the format that a server probably sends at a URL; None if the path is not known."""
    return format_of_path((url or "").partition("?")[0])


def provider_of(host: str | None, format: str | None) -> str:
    """Return the provider's name in the GenAI conventions; "_OTHER" for an unknown provider.

    Args:
        host: The host to which the request was sent; None if it is not known.
        format: The name of the answer's format; None if it is not known.

    Example:
        >>> provider_of("eu-west1-aiplatform.googleapis.com", "gemini"), provider_of("localhost", "ollama")
        ('gcp.vertex_ai', 'ollama')
    """
    dotted = f".{host or ''}"
    if dotted.endswith(_AT_AWS) and _BEDROCK in dotted:
        return "aws.bedrock"
    row = host_at(host)
    name_by_host = None if row is None else row.provider
    api = api_named(format)
    return name_by_host or (None if api is None else api.provider) or OTHER


def operation_of(format: str | None) -> str:
    """Return the name that the GenAI conventions have for an operation, such as "chat", by its format."""
    api = api_named(format)
    return "chat" if api is None else api.operation
