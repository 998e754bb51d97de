"""Bedrock's InvokeModelWithResponseStream, as a model of Anthropic speaks through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream.relay.encoders._anthropic import Anthropic
from tokenstream.relay.encoders._aws import AWSEncoder, base64, is_exception, padded, padded_json
from tokenstream.relay.encoders._encoder import written

if TYPE_CHECKING:
    from tokenstream.events import Finish, Ping
    from tokenstream.relay.encoders._encoder import Payloads

__all__ = ["BedrockInvoke"]

_LATENCIES = {"invocationLatency": 900, "firstByteLatency": 300}
"""Milliseconds: what is sent depends on no clock."""
_METRICS = {
    "input_tokens": "inputTokenCount",
    "output_tokens": "outputTokenCount",
    "cached_tokens": "cacheReadInputTokenCount",
    "cache_write_tokens": "cacheWriteInputTokenCount",
}
"""Bedrock's names for the counts that it has itself."""
_REQUIRED = {"inputTokenCount": 0, "outputTokenCount": 0}


class BedrockInvoke(AWSEncoder, Anthropic):
    """Writes Anthropic's payloads, each packed into a chunk, and in the last one what Bedrock counted."""

    name: ClassVar[str] = "bedrock-invoke"

    def ping(self, event: Ping) -> Payloads:
        """Nothing: Bedrock keeps Anthropic's pings to itself."""
        return ()

    def ending(self, event: Finish) -> Payloads:
        """Anthropic's last events, Bedrock's metrics in the very last."""
        *events, (name, last) = super().ending(event)
        metrics = {**_REQUIRED, **self.counted(_METRICS), **_LATENCIES}
        return [*events, (name, {**last, "amazon-bedrock-invocationMetrics": metrics})]

    def frame(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return a payload of the model as a chunk.

        Args:
            name: The name of Anthropic's event, which stands in the payload alone; or an exception's.
            payload: JSON; or text, packed as it is.
        """
        if is_exception(name):
            return super().frame(name, payload)
        data = payload.encode() if isinstance(payload, str) else written(payload)
        return super().frame("chunk", padded({"bytes": base64(data)}))

    def headers_of(self, name: str) -> bytes:
        """Return the headers of a chunk, as which every event is sent."""
        return super().headers_of("chunk")

    def filled(self, payload: bytes) -> bytes:
        """Return a payload of the model as a chunk holds it."""
        return padded_json(b'{"bytes":"%b"}' % base64(payload).encode())
