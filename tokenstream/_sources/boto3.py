"""Adapter for boto3 event streams, and for the response dicts that contain them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict
from tokenstream._connection.status import LOWEST_ERROR_STATUS, status_error
from tokenstream._sources.requests import from_urllib3, is_urllib3
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.errors import provider_error

if TYPE_CHECKING:
    from typing import TypeGuard

    from tokenstream._sources.kinds import SyncSource
    from tokenstream._sources.typing import BotocoreEventStream, Urllib3Response
    from tokenstream.errors import StreamError

_STREAM_KEYS = ("stream", "body", "Body")
"""Keys under which the stream is in the responses of `converse_stream`,
`invoke_model_with_response_stream` and SageMaker's `invoke_endpoint_with_response_stream`."""
_DAMAGED_STREAM = frozenset(
    {"ChecksumMismatch", "DuplicateHeader", "InvalidHeadersLength", "InvalidPayloadLength"}
)
"""Names of botocore's exceptions for an event stream whose bytes were changed on the way."""


def is_event_stream(source: object) -> TypeGuard[BotocoreEventStream]:
    """Return True for a boto3 event stream that reads a urllib3 response."""
    return is_urllib3(getattr(source, "_raw_stream", None))


def raw_response_of(source: BotocoreEventStream) -> Urllib3Response:
    """Return the urllib3 response that an event stream reads."""
    return source._raw_stream  # noqa: SLF001 - it has no other name


def from_event_stream(source: BotocoreEventStream) -> SyncSource:
    """Return the source through which a `Stream` reads the urllib3 response beneath an event stream."""
    return replace(from_urllib3(raw_response_of(source)), close=source.close)


def stream_of(source: Any) -> object:  # noqa: ANN401 - anything that is handed over
    """Return the stream in a boto3 response; return any other object unchanged.

    Example:
        >>> stream_of({"ResponseMetadata": {}, "stream": [b"..."]}), stream_of({"stream": []})
        ([b'...'], {'stream': []})
    """
    key = stream_key_of(source)
    return source if key is None else source[key]


def stream_key_of(source: object) -> str | None:
    """Return the key of the stream in a boto3 response; None for any object without a stream.

    Example:
        >>> stream_key_of({"ResponseMetadata": {}, "body": [b"..."]}), stream_key_of({"body": []})
        ('body', None)
    """
    if not is_dict(source) or not is_response(source):
        return None
    return next((name for name in _STREAM_KEYS if name in source), None)


def is_response(source: object) -> bool:
    """Return True for a boto3 response, with or without a stream."""
    return is_dict(source) and "ResponseMetadata" in source


def convert_aws_error(error: Exception, names: set[str]) -> StreamError | None:
    """Convert a botocore exception; return None if the exception is not about a response of AWS.

    Args:
        names: The names of the exception's class and base classes.
    """
    if names & _DAMAGED_STREAM:
        return ProtocolError(
            f"the event stream cannot be read ({type(error).__name__}): the body was changed on its way; "
            "check any proxy in between"
        )
    response: object = getattr(error, "response", None)
    error_fields: object = response.get("Error") if is_dict(response) else None
    if "ClientError" not in names or not is_dict(response) or not is_dict(error_fields):
        return None
    details = {"code": error_fields.get("Code"), "message": error_fields.get("Message")}
    metadata: object = response.get("ResponseMetadata")
    status: object = metadata.get("HTTPStatusCode") if is_dict(metadata) else None
    if is_dict(metadata) and isinstance(status, int) and status >= LOWEST_ERROR_STATUS:
        import json

        headers: object = metadata.get("HTTPHeaders")
        # `status_error` reads the details from a body, as in a response of any other library.
        body = json.dumps({"error": details}, default=str).encode()
        return status_error(status, headers if is_dict(headers) else {}, body)
    return provider_error({"error": details})
