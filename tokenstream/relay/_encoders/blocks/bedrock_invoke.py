"""Encoder for Bedrock's InvokeModelWithResponseStream with an Anthropic model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.json import to_json_bytes
from tokenstream.relay._encoders.blocks.anthropic import AnthropicEncoder
from tokenstream.relay._encoders.blocks.aws import AWSEncoder, base64, is_exception, pad, pad_json

if TYPE_CHECKING:
    from tokenstream.events import Finish, Ping
    from tokenstream.relay._encoders.encoder import Payloads

_LATENCIES = {"invocationLatency": 900, "firstByteLatency": 300}
"""The latencies in milliseconds; constant, so that the output does not depend on a clock."""
_METRICS = {
    "input_tokens": "inputTokenCount",
    "output_tokens": "outputTokenCount",
    "cached_tokens": "cacheReadInputTokenCount",
    "cache_write_tokens": "cacheWriteInputTokenCount",
}
"""Maps fields of `Usage` to the names in Bedrock's metrics."""
_REQUIRED = {"inputTokenCount": 0, "outputTokenCount": 0}


class BedrockInvokeEncoder(AWSEncoder, AnthropicEncoder):
    """Encodes an answer as Anthropic's payloads, each in a `chunk` event; the last has Bedrock's metrics."""

    name: ClassVar[str] = "bedrock-invoke"

    def encode_ping(self, event: Ping) -> Payloads:
        """Return no payloads: Bedrock does not pass Anthropic's pings on."""
        return ()

    def encode_ending(self, event: Finish) -> Payloads:
        """Return Anthropic's last events, with Bedrock's metrics in the very last."""
        *events, (name, last) = super().encode_ending(event)
        # Required counts are 0 if they are unknown; the latencies are constants.
        metrics = {**_REQUIRED, **self.name_counts(_METRICS), **_LATENCIES}
        return [*events, (name, {**last, "amazon-bedrock-invocationMetrics": metrics})]

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload of the model as a `chunk` event; an exception is framed under its own name.

        Args:
            name: The name of Anthropic's event, which is sent only in the payload; or an exception's name.
            payload: A JSON value, or text, which is packed unchanged.
        """
        if is_exception(name):
            return super().frame(name, payload)
        data = payload.encode() if isinstance(payload, str) else to_json_bytes(payload)
        return super().frame("chunk", pad({"bytes": base64(data)}))

    def headers_of(self, name: str) -> bytes:
        """Return the headers of a `chunk` event, in which every payload is sent."""
        return super().headers_of("chunk")

    def wrap_payload(self, payload: bytes) -> bytes:
        """Return the bytes that a `chunk` event contains for a payload of the model."""
        return pad_json(b'{"bytes":"%b"}' % base64(payload).encode())
