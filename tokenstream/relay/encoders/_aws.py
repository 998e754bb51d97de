"""Messages of AWS's binary event streams, checksums included, and what encoders on them share."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from tokenstream.formats._read import is_dict
from tokenstream.relay.encoders._encoder import Encoder, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event
    from tokenstream.relay.encoders._encoder import Payloads
    from tokenstream.relay.encoders._pieces import Wrap

__all__ = ["AWSEncoder", "base64", "is_exception", "message", "packed", "padded", "padded_json"]

_EXCEPTION = "Exception"
"""What the names of exceptions end with."""
_STRING = 7
"""The type of a header whose value is text."""
_AROUND = 16
"""Bytes of a message beside its headers and its payload: two lengths, two checksums."""
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_SHORTEST, _VARIETY = 3, 60
"""How long paddings are: so many characters at least, and of so many lengths."""
_ERRORS: dict[ErrorKind, str] = {
    "overloaded": "serviceUnavailableException",
    "rate_limited": "throttlingException",
    "invalid_request": "validationException",
    "authentication": "accessDeniedException",
    "network": "modelStreamErrorException",
}
"""The exception that an error of each kind is; any other is the server's own."""


class AWSEncoder(Encoder):
    """Packs payloads into messages, each with its name in the headers."""

    content_type: ClassVar[str] = "application/vnd.amazon.eventstream"

    def frame(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return a payload as a message.

        Args:
            name: The event's name; with `Exception` at its end, the exception's.
            payload: JSON; or text, sent as it is.
        """
        kind = "exception" if is_exception(name) else "event"
        data = payload.encode() if isinstance(payload, str) else written(payload)
        return _json_message(kind, name, data)

    def outline(self, name: str, payload: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Return a payload behind its name: lengths and checksums change with each piece."""
        return b"%b\0%b" % (name.encode(), written(payload))

    def wrap(self, event: Event, head: bytes, tail: bytes) -> Wrap:
        """Pack each piece anew."""
        name, _, head = head.partition(b"\0")
        within = super().wrap(event, head, tail)
        headers = self.headers_of(name.decode())
        return lambda text: packed(headers, self.filled(within(text)))

    def headers_of(self, name: str) -> bytes:
        """Return the headers of an event's message.

        Args:
            name: The event's name.
        """
        return _headers("event", name)

    def filled(self, payload: bytes) -> bytes:
        """Return what a message holds of a payload.

        Args:
            payload: JSON, an object.
        """
        return payload

    def fail(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """The exception that ends the answer; a code is its name."""
        name = (code or _ERRORS.get(kind, "internalServer")).removesuffix(_EXCEPTION) + _EXCEPTION
        # As text: what an exception says is neither padded nor packed.
        return [(name, written({"message": message}).decode())]


def is_exception(name: str) -> bool:
    """Tell whether a message is an exception, by its name.

    Example:
        >>> is_exception("throttlingException"), is_exception("messageStart")
        (True, False)
    """
    return name.endswith(_EXCEPTION)


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    r"""Pack a message.

    Args:
        headers: Its headers, all of them text, by name.
        payload: What it holds.

    Example:
        >>> message({":a": "b"}, b"{}")
        b'\x00\x00\x00\x19\x00\x00\x00\x07\x96\xb6\xbf9\x02:a\x07\x00\x01b{}\x9e\x08mP'
    """
    return packed(b"".join(_header(name, value) for name, value in headers.items()), payload)


def packed(headers: bytes, payload: bytes) -> bytes:
    """Pack a message whose headers are packed already.

    Args:
        headers: The headers, one behind the other.
        payload: What it holds.
    """
    lengths = struct.pack(">II", _AROUND + len(headers) + len(payload), len(headers))
    start = b"".join([lengths, struct.pack(">I", crc32(lengths)), headers, payload])
    return start + struct.pack(">I", crc32(start))


def padded(payload: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return an object with a field that hides how long it is, as Bedrock adds it.

    Bedrock's is of any length; this one's depends on the payload and on nothing else.

    Example:
        >>> padded({"role": "assistant"})
        {'role': 'assistant', 'p': 'abcdefghijklmnopqrstuvw'}
    """
    if not is_dict(payload):
        return payload
    return {**payload, "p": _padding(len(written(payload)))}


def padded_json(payload: bytes) -> bytes:
    """Return an object with that field, where it is written already.

    Example:
        >>> padded_json(b'{"role":"assistant"}') == written(padded({"role": "assistant"}))
        True
    """
    return b'%b,"p":"%b"}' % (payload[:-1], _padding(len(payload)).encode())


def _padding(length: int) -> str:
    return _PADDING[: _SHORTEST + length % _VARIETY]


def base64(data: bytes) -> str:
    """Return bytes as they stand in JSON.

    Example:
        >>> base64(bytes(2))
        'AAA='
    """
    return b2a_base64(data, newline=False).decode("ascii")


def _header(name: str, value: str) -> bytes:
    encoded, data = name.encode(), value.encode()
    return struct.pack(f">B{len(encoded)}sBH", len(encoded), encoded, _STRING, len(data)) + data


def _json_message(kind: str, name: str, payload: bytes) -> bytes:
    return packed(_headers(kind, name), payload)


def _headers(kind: str, name: str) -> bytes:
    content = {":content-type": "application/json", ":message-type": kind}
    return b"".join(_header(name, value) for name, value in {f":{kind}-type": name, **content}.items())
