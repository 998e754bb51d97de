"""Messages of AWS's binary event streams, and the base class of encoders that send them."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from typing import TYPE_CHECKING, ClassVar
from zlib import crc32

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.untrusted import is_dict
from tokenstream._kinds import word_for
from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import Json
    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event
    from tokenstream.relay._encoders.encoder import Payloads
    from tokenstream.relay._encoders.pieces import Template

_EXCEPTION = "Exception"
"""The suffix of the names of exceptions."""
_STRING_TYPE = 7
"""The number for the type of a header whose value is text."""
_FRAME_SIZE = 16
"""The size of a message without its headers and its payload, in bytes: two lengths and two checksums."""
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MIN_PADDING, _PADDING_LENGTHS = 3, 60
"""The length of the shortest padding in characters, and the number of different lengths."""
_ERRORS: dict[ErrorKind, str] = {
    "overloaded": "serviceUnavailableException",
    "rate_limited": "throttlingException",
    "quota": "serviceQuotaExceededException",
    "invalid_request": "validationException",
    "authentication": "accessDeniedException",
    "network": "modelStreamErrorException",
}
"""Maps kinds of errors to AWS's exceptions; any other kind is "internalServerException"."""


class AWSEncoder(Encoder):
    """Packs payloads into binary messages of AWS's event streams; the event's name is sent in a header."""

    content_type: ClassVar[str] = "application/vnd.amazon.eventstream"

    def frame(self, name: str, payload: object) -> bytes:
        """Return a payload as an AWS message.

        Args:
            name: The event's name, or an exception's name, which ends with `Exception`.
            payload: A JSON value, or text, which is sent unchanged.
        """
        kind = "exception" if is_exception(name) else "event"
        data = payload.encode() if isinstance(payload, str) else to_json_bytes(payload)
        return _json_message(kind, name, data)

    def make_template_bytes(self, name: str, payload: object) -> bytes:
        """Return the bytes from which the template for the later pieces of a part is made.

        These are the name and the payload, not yet packed: an AWS message contains lengths and checksums,
        which differ from piece to piece.

        Args:
            name: The event's name.
            payload: A JSON value.
        """
        return b"%b\0%b" % (name.encode(), to_json_bytes(payload))

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that packs the text of a later piece into an AWS message.

        Args:
            event: A piece that was sent; the later pieces differ from it only in their text.
            head: The bytes before the text in the chunk.
            tail: The bytes after the text in the chunk.
        """
        # `make_template_bytes` has put the name before the payload.
        name, _, head = head.partition(b"\0")
        text_template = super().make_template(event, head, tail)
        headers = self.headers_of(name.decode())
        return lambda text: pack(headers, self.wrap_payload(text_template(text)))

    def headers_of(self, name: str) -> bytes:
        """Return the headers of the AWS message for an event.

        Args:
            name: The event's name.
        """
        return _headers("event", name)

    def wrap_payload(self, payload: bytes) -> bytes:
        """Return the body of the AWS message that carries a payload; here, the payload itself.

        Args:
            payload: The JSON of an object.
        """
        return payload

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return the exception that ends the answer, named by `code` if there is one."""
        name = (code or word_for(kind, _ERRORS, "internalServer")).removesuffix(_EXCEPTION) + _EXCEPTION
        # The payload is returned as text, because the payload of an exception is neither padded nor wrapped.
        return [(name, to_json_bytes({"message": message}).decode())]


def is_exception(name: str) -> bool:
    """Return True if the name of an AWS message is the name of an exception.

    Example:
        >>> is_exception("throttlingException"), is_exception("messageStart")
        (True, False)
    """
    return name.endswith(_EXCEPTION)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    r"""Pack an AWS message.

    Args:
        headers: The headers by name; all values are text.

    Example:
        >>> message({":a": "b"}, b"{}")
        b'\x00\x00\x00\x19\x00\x00\x00\x07\x96\xb6\xbf9\x02:a\x07\x00\x01b{}\x9e\x08mP'
    """
    return pack(b"".join(_header(name, value) for name, value in headers.items()), payload)


def pack(headers: bytes, payload: bytes) -> bytes:
    """Pack an AWS message; its headers are packed already.

    Args:
        headers: The packed headers, concatenated.
    """
    # The message starts with two lengths and their checksum, and ends with a checksum of all bytes before.
    lengths = struct.pack(">II", _FRAME_SIZE + len(headers) + len(payload), len(headers))
    start = b"".join([lengths, struct.pack(">I", crc32(lengths)), headers, payload])
    return start + struct.pack(">I", crc32(start))


def pad(payload: object) -> Json:
    """Return an object with Bedrock's padding field, which hides the length of the payload.

    Any other value is returned unchanged. Bedrock's padding is random, but this padding depends only on
    the payload.

    Example:
        >>> pad({"role": "assistant"})
        {'role': 'assistant', 'p': 'abcdefghijklmnopqrstuvw'}
    """
    if not is_dict(payload):
        return payload
    return {**payload, "p": _padding(len(to_json_bytes(payload)))}


def pad_json(payload: bytes) -> bytes:
    """Return the JSON of an object with Bedrock's padding field added.

    Example:
        >>> pad_json(b'{"role":"assistant"}') == to_json_bytes(pad({"role": "assistant"}))
        True
    """
    # The field comes before the closing brace.
    return b'%b,"p":"%b"}' % (payload[:-1], _padding(len(payload)).encode())


def _padding(length: int) -> str:
    """Return letters and digits whose number depends on the length of a payload, to hide that length."""
    return _PADDING[: _MIN_PADDING + length % _PADDING_LENGTHS]


def base64(data: bytes) -> str:
    """Return bytes as base64 text.

    Example:
        >>> base64(bytes(2))
        'AAA='
    """
    return b2a_base64(data, newline=False).decode("ascii")


def _header(name: str, value: str) -> bytes:
    """Pack a header: the name with its length, the type of the value, and the value with its length."""
    encoded, data = name.encode(), value.encode()
    return struct.pack(f">B{len(encoded)}sBH", len(encoded), encoded, _STRING_TYPE, len(data)) + data


def _json_message(kind: str, name: str, payload: bytes) -> bytes:
    """Return a binary message with a JSON payload: an event or an exception, as `kind` says."""
    return pack(_headers(kind, name), payload)


def _headers(kind: str, name: str) -> bytes:
    """Return the packed headers of a message.

    Args:
        kind: "event" or "exception".
        name: The name of the event or exception.
    """
    content = {":content-type": "application/json", ":message-type": kind}
    return b"".join(_header(name, value) for name, value in {f":{kind}-type": name, **content}.items())
