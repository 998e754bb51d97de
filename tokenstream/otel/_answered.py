"""Attributes that describe an answer and its provider, in the words of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._apis import api_named
from tokenstream._hosts import host_at
from tokenstream.errors import StatusError
from tokenstream.formats._detect.places import format_of_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._origin import Origin
    from tokenstream.errors import StreamError
    from tokenstream.message import Message, Usage
    from tokenstream.otel._attempts import Attributes

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


def error_type_of(error: StreamError) -> str:
    """Return the value of `error.type` in OpenTelemetry: the HTTP status, or else the class of the error."""
    return str(error.status) if isinstance(error, StatusError) else type(error).__name__


def first_chunk_attribute(seconds: float | None) -> Attributes:
    """Return the attribute with the time until the first chunk, if that time is known."""
    return {} if seconds is None else {"gen_ai.response.time_to_first_chunk": seconds}


def answer_attributes(messages: Sequence[Message]) -> Attributes:
    """Return the attributes with the answer's id and with the finish reasons, as far as they are known.

    Args:
        messages: The messages of the answer; the id is taken from the first message.
    """
    attributes: Attributes = {}
    if messages and messages[0].id:
        attributes["gen_ai.response.id"] = messages[0].id
    reasons = [message.finish_reason for message in messages if message.finish_reason is not None]
    if reasons:
        attributes["gen_ai.response.finish_reasons"] = reasons
    return attributes


def origin_attributes(origin: Origin | None) -> Attributes:
    """Return the attributes by which an answer is found in the provider's log and in our own one.

    Args:
        origin: The origin of the answer; None if it is not known.
    """
    if origin is None:
        return {}
    ids = {"tokenstream.request.id": origin.request_id, "tokenstream.answer.id": origin.answer_id}
    return {
        **{name: id for name, id in ids.items() if id is not None},
        **({"tokenstream.request.path": origin.path} if origin.path else {}),
        "tokenstream.bytes": origin.bytes,
        "tokenstream.events": origin.events,
    }


def token_attributes(usage: Usage | None, format: str | None) -> Attributes:
    """Return the attributes with reliable token counts: for a cut answer, only the counts of the request."""
    if usage is None:
        return {}
    input_tokens = usage.input_tokens
    # In the conventions, cached tokens are part of the input tokens.
    api = api_named(format)
    if input_tokens is not None and api is not None and api.input_excludes_cache:
        input_tokens += (usage.cached_tokens or 0) + (usage.cache_write_tokens or 0)
    counts = {
        "input_tokens": input_tokens,
        "cache_read.input_tokens": usage.cached_tokens,
        "cache_creation.input_tokens": usage.cache_write_tokens,
    }
    if usage.source == "reported":
        # The provider has counted the output to its end.
        counts["output_tokens"] = usage.output_tokens
        counts["reasoning.output_tokens"] = usage.reasoning_tokens
    return {f"gen_ai.usage.{name}": count for name, count in counts.items() if count is not None}
