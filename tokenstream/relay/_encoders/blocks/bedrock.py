"""Encoders for Bedrock: its ConverseStream, and InvokeModelWithResponseStream with an Anthropic model.

Both send the binary messages of AWS's event streams.
"""

from __future__ import annotations

import struct
from binascii import b2a_base64
from typing import TYPE_CHECKING
from zlib import crc32

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream._basics.url import split_url
from tokenstream._values.error_kinds import word_for
from tokenstream.formats._kit.values import failure_text
from tokenstream.formats._wire.bedrock_converse import FINISH_REASONS, USAGE
from tokenstream.message import Citation, Part, ServerToolCall, ServerToolResult
from tokenstream.relay._encoders.blocks import BlockEncoder, invert_reasons
from tokenstream.relay._encoders.blocks.anthropic import AnthropicEncoder
from tokenstream.relay._encoders.encoder import Encoder, Payload, Payloads
from tokenstream.relay._encoders.whole_parts import ServerParts, complete_input, omit_medium

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.events import (
        CitationAdded,
        Event,
        Finish,
        MediaDelta,
        PartDone,
        PartStart,
        ReasoningDelta,
        TextDelta,
        ToolCallDelta,
        ToolCallStart,
    )
    from tokenstream.relay._encoders.pieces import Template
    from tokenstream.relay._encoders.vocabulary import ErrorWords

_USAGE = USAGE.without("cache_write_1h_tokens")
_EXCEPTION = "Exception"
_STRING_TYPE = 7
_FRAME_SIZE = 16
"""The size of a message without its headers and its payload, in bytes: two lengths and two checksums."""
_PADDING = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MIN_PADDING, _PADDING_LENGTHS = 3, 60
"""The length of the shortest padding in characters, and the number of different lengths."""
_ERRORS: ErrorWords = {
    "overloaded": "serviceUnavailableException",
    "rate_limited": "throttlingException",
    "quota": "serviceQuotaExceededException",
    "invalid_request": "validationException",
    "authentication": "accessDeniedException",
    "network": "modelStreamErrorException",
}
"""Maps kinds of errors to AWS's exceptions; any other kind is "internalServerException"."""
_LATENCY = 900
"""The latency in milliseconds; constant, so that the output does not depend on a clock."""
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PIECES = frozenset({"text", "json"})
_BEDROCK_FIELDS = frozenset({"sourceContent", "location"})
"""Fields that only citations from Bedrock have."""

_LATENCIES = {"invocationLatency": 900, "firstByteLatency": 300}
"""The latencies in milliseconds; constant, so that the output does not depend on a clock."""
_METRICS = {
    "input_tokens": "inputTokenCount",
    "output_tokens": "outputTokenCount",
    "cached_tokens": "cacheReadInputTokenCount",
    "cache_write_tokens": "cacheWriteInputTokenCount",
}
_REQUIRED = {"inputTokenCount": 0, "outputTokenCount": 0}


class AWSEncoder(Encoder):
    """Packs payloads into binary messages of AWS's event streams; the event's name is sent in a header."""

    content_type = "application/vnd.amazon.eventstream"
    wraps_text = False
    """True if a payload that is no object, as tests send it, is wrapped, too."""

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as an AWS message; an exception, which its name shows, is sent as it is."""
        data = payload.encode() if isinstance(payload, str) else to_json_bytes(payload)
        if name.endswith(_EXCEPTION):
            return pack(_make_event_headers("exception", name), data)
        if self.wraps_text or (is_dict(payload) and payload):
            data = self.wrap_payload(data)
        return pack(self.headers_of(name), data)

    def make_template_bytes(self, name: str, payload: object) -> bytes:
        """Return the bytes from which the template for the later pieces of a part is made.

        These are the name and the payload, not yet packed: an AWS message contains lengths and checksums,
        which differ from piece to piece.
        """
        return b"%b\0%b" % (name.encode(), to_json_bytes(payload))

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that packs the text of a later piece into an AWS message."""
        # `make_template_bytes` has put the name before the payload.
        name, _, head = head.partition(b"\0")
        text_template = super().make_template(event, head, tail)
        headers = self.headers_of(name.decode())
        return lambda text: pack(headers, self.wrap_payload(text_template(text)))

    def headers_of(self, name: str) -> bytes:
        return _make_event_headers("event", name)

    def wrap_payload(self, payload: bytes) -> bytes:
        """Return the body of the AWS message that carries a payload; here, the payload itself."""
        return payload

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return the exception that ends the answer, named by `code` if there is one."""
        name = (code or word_for(kind, _ERRORS, "internalServer")).removesuffix(_EXCEPTION) + _EXCEPTION
        # The payload is returned as text, because the payload of an exception is neither padded nor wrapped.
        return [(name, to_json_bytes({"message": message}).decode())]


def pack(headers: bytes, payload: bytes) -> bytes:
    # The message starts with two lengths and their checksum, and ends with a checksum of all bytes before.
    lengths = struct.pack(">II", _FRAME_SIZE + len(headers) + len(payload), len(headers))
    start = b"".join([lengths, struct.pack(">I", crc32(lengths)), headers, payload])
    return start + struct.pack(">I", crc32(start))


def pad_json(payload: bytes) -> bytes:
    """Return the JSON of an object with Bedrock's padding field, which hides the length of the payload.

    Bedrock's padding is random, but this padding depends only on the payload.
    """
    padding = _PADDING[: _MIN_PADDING + len(payload) % _PADDING_LENGTHS]
    # The field comes before the closing brace.
    return b'%b,"p":"%b"}' % (payload[:-1], padding)


def base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def pack_header(name: str, value: str) -> bytes:
    """Pack a header: the name with its length, the type of the value, and the value with its length."""
    encoded, data = name.encode(), value.encode()
    return struct.pack(f">B{len(encoded)}sBH", len(encoded), encoded, _STRING_TYPE, len(data)) + data


def _make_event_headers(kind: str, name: str) -> bytes:
    content = {":content-type": "application/json", ":message-type": kind}
    return b"".join(pack_header(*each) for each in {f":{kind}-type": name, **content}.items())


class BedrockConverseEncoder(AWSEncoder, BlockEncoder):
    """Encodes an answer as the events of ConverseStream, from `messageStart` to `metadata`.

    Without token counts `metadata` is left out.
    """

    name = "bedrock-converse"
    expresses = frozenset((*BlockEncoder.expresses, "media"))
    counts = _USAGE.fields
    words = invert_reasons(FINISH_REASONS)

    def reset(self) -> None:
        super().reset()
        self._server_calls = ServerParts(ServerToolCall)
        self._results = ServerParts(ServerToolResult)

    def encode_head(self) -> Payloads:
        return [("messageStart", {"role": "assistant"})]

    def encode_begin(self, index: int, start: object) -> Payloads:
        """Return a `contentBlockStart`; blocks of text and reasoning have none."""
        return [("contentBlockStart", {"contentBlockIndex": index, "start": start})] if start else []

    def encode_end(self, part: int, index: int) -> Payloads:
        return [("contentBlockStop", {"contentBlockIndex": index})]

    def encode_text(self, event: TextDelta) -> Payloads:
        return self._block_delta(event.part, text=event.text)

    def encode_reasoning(self, event: ReasoningDelta) -> Payloads:
        payloads = self._block_delta(event.part, reasoningContent={"text": event.text}) if event.text else []
        if event.signature is not None:
            self.signed.add(event.part)
            payloads += self._block_delta(event.part, reasoningContent={"signature": event.signature})
        return payloads

    def encode_redacted(self, part: int, data: str) -> Payloads:
        return self._block_delta(part, reasoningContent={"redactedContent": data})

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """Return the start of a tool call's block, followed by a delta with empty input, as from Bedrock."""
        start = {"toolUse": {"toolUseId": event.id, "name": event.name}}
        return [*self.open_block(event.part, start), *self._block_delta(event.part, toolUse={"input": ""})]

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return self._block_delta(event.part, toolUse={"input": event.fragment})

    def encode_citation(self, event: CitationAdded) -> Payloads:
        """Return a delta with a citation, in the block of the cited text or in an empty block."""
        sent = event.citation.provider_data if self.is_own_citation(event.citation) else None
        cited_part = self.find_cited_part(event)
        return self._block_delta(cited_part, citation=sent or _to_citation(event.citation))

    def is_own_citation(self, citation: Citation) -> bool:
        return not _BEDROCK_FIELDS.isdisjoint(citation.provider_data or {})

    def encode_special(self, event: PartStart, content: Part) -> Payloads:
        """Return the start of the block of a provider's call, or of an image with the data that it contains.

        The result of a provider's call is sent when it is complete.
        """
        if content.kind == "server_tool_call":
            self._server_calls.begin(event)
            use = {"toolUseId": content.id, "name": content.name, "type": "server_tool_use"}
            return self.open_block(event.part, {"toolUse": use})
        if content.kind == "server_tool_result":
            self._results.begin(event)
            return ()
        if content.kind != "media":
            return ()
        if content.mime_type not in _IMAGES:
            return omit_medium(self, event, content.mime_type, *_IMAGES)
        start = {"image": {"format": content.mime_type.removeprefix("image/")}}
        payloads = self.open_block(event.part, start)
        # A later start of the same part repeats the data; the block is open then, and `payloads` is empty.
        if payloads and content.data:
            payloads += self._encode_medium(event.part, content.data)
        return payloads

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the end of a part's block, after the input of a provider's call; a result's whole block."""
        result, call = self._results.end(event), self._server_calls.end(event)
        if result is not None:
            status = "success" if result.error is None else "error"
            named = {"type": result.name} if result.name else {}
            start = {"toolResult": {"toolUseId": result.id, **named, "status": status}}
            begun, content = self.open_block(event.part, start), _to_result_content(result)
            pieces = self._block_delta(event.part, toolResult=content) if content else ()
            return [*begun, *pieces, *self.close_block(event.part)]
        if call is None:
            return super().encode_part_end(event)
        return [
            *self._block_delta(event.part, toolUse={"input": complete_input(call)}),
            *self.close_block(event.part),
        ]

    def encode_media(self, event: MediaDelta) -> Payloads:
        # A medium that is no image was left out at its start, so it has no block.
        return self._encode_medium(event.part, event.data) if event.part in self.blocks else ()

    def encode_ending(self, event: Finish) -> Payloads:
        stop = ("messageStop", {"stopReason": self.word_for(event.reason)})
        usage = self._usage_report()
        return [stop, ("metadata", {"usage": usage, "metrics": {"latencyMs": _LATENCY}})] if usage else [stop]

    def wrap_payload(self, payload: bytes) -> bytes:
        return pad_json(payload)

    # -- within ------------------------------------------------------------------

    def _block_delta(self, part: int, **delta: Json) -> list[Payload]:
        """Return a delta of a part, preceded by the start of the part's block if that was not sent yet."""
        before = self.open_block(part, None)
        index = self.blocks[part]
        return [*before, ("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})]

    def _encode_medium(self, part: int, data: bytes) -> Payloads:
        return self._block_delta(part, image={"source": {"bytes": base64(data)}})

    def _usage_report(self) -> dict[str, int]:
        """Return token counts under Bedrock's names, with 0 for required counts; {} if none are known."""
        counts = _USAGE.write(self.usage)
        if not counts:
            return {}
        required = {
            "inputTokens": counts.get("inputTokens", 0),
            "outputTokens": counts.get("outputTokens", 0),
        }
        # A total that the provider has reported replaces the sum.
        return {**required, "totalTokens": sum(required.values()), **counts}


def _to_result_content(result: ServerToolResult) -> list[JsonObject]:
    """Return a result's content, and a tool's error, as text and JSON; unchanged if Bedrock has sent it."""
    content = result.content
    if is_list(content) and all(is_dict(piece) and piece.keys() <= _PIECES for piece in content):
        pieces = content
    elif content is None:
        pieces = []
    else:
        pieces = [{"text": content}] if isinstance(content, str) else [{"json": content}]
    # A failed result has no field for its error, only a status.
    is_told = result.error is None or failure_text(pieces) == result.error
    return pieces if is_told else [{"text": result.error}, *pieces]


def _to_citation(citation: Citation) -> JsonObject:
    cited: JsonObject = {}
    if citation.title is not None:
        cited["title"] = citation.title
    if citation.text is not None:
        cited["sourceContent"] = [{"text": citation.text}]
    if citation.url is not None:
        web = {"url": citation.url, "domain": split_url(citation.url).hostname or ""}
        cited |= {"source": citation.url, "location": {"web": web}}
    return cited


class BedrockInvokeEncoder(AWSEncoder, AnthropicEncoder):
    """Encodes an answer as Anthropic's payloads, each in a `chunk` event; the last has Bedrock's metrics."""

    name = "bedrock-invoke"
    wraps_text = True

    def ping(self) -> list[bytes]:
        """Return no chunks: Bedrock does not pass Anthropic's pings on."""
        return []

    def encode_ending(self, event: Finish) -> Payloads:
        """Return Anthropic's last events, with Bedrock's metrics in the very last."""
        *events, (name, last) = super().encode_ending(event)
        # Required counts are 0 if they are unknown; the latencies are constants.
        metrics = {**_REQUIRED, **self.name_counts(_METRICS), **_LATENCIES}
        return [*events, (name, {**last, "amazon-bedrock-invocationMetrics": metrics})]

    def headers_of(self, name: str) -> bytes:
        """Return the headers of a `chunk` event, as Anthropic's name is only in the payload."""
        return super().headers_of("chunk")

    def wrap_payload(self, payload: bytes) -> bytes:
        """Return the bytes that a `chunk` event contains for a payload of the model."""
        return pad_json(b'{"bytes":"%b"}' % base64(payload).encode())
