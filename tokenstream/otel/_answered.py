"""Attributes that describe an answer, with the names of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._apis import api_named
from tokenstream.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._origin import Origin
    from tokenstream.errors import StreamError
    from tokenstream.message import Message, Usage
    from tokenstream.otel._attempts import Attributes


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
