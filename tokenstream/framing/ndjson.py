r"""Newline-delimited JSON: one payload to a line, as Ollama, Cohere v1 and the relay send it.

A line ends with LF or CRLF. A lone CR is JSON white space, and U+2028 is a
character like any other. The format checks that a payload is JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.framing._lines import LineFraming
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from tokenstream.limits import Limits

__all__ = ["NDJSONParser"]

_SPACE = b" \t\r"


class PlainNDJSONParser(LineFraming[bytes]):
    """The rules, line by line; `NDJSONParser` adds short cuts."""

    __slots__ = ()

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits=limits)

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the payloads of the lines that this chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Unused; every stage takes it.
        """
        return self.frames(chunk, now=now)

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return what `feed` returns; every framing has this name for it.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Unused; every stage takes it.
        """
        return self._feed(chunk)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """Say that the input has ended; an unfinished line stays in `unfinished`.

        Args:
            now: Unused; every stage takes it.
        """
        self._finish()
        return []

    def reset(self) -> None:
        """Begin a new connection."""
        self._begin()

    @property
    def unfinished(self) -> bytes | None:
        """The payload that a line end would complete, or None."""
        line = bytes(self._line).removesuffix(b"\r")
        return line if line.strip(_SPACE) else None

    def _read(self, text: bytes, frames: list[bytes]) -> None:
        lines = text.split(b"\n")
        rest = lines.pop()
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line = bytearray()
        for line in lines:
            payload = line.removesuffix(b"\r")
            if len(payload) > self._least and self._stop_if_outgrown(payload, whole=True):
                return
            if payload.strip(_SPACE):
                frames.append(payload)
        self._hold(rest)

    def _hold(self, rest: bytes) -> None:
        self._line += rest
        # A CR at the end may be half of a line end, which does not count.
        if len(self._line) > self._least:
            self._stop_if_outgrown(self._line.removesuffix(b"\r"), whole=False)

    def _find_bound(self, line: bytes | bytearray, *, whole: bool) -> tuple[int, str]:
        if self._limits.event < self._limits.line:
            return self._limits.event, "event"
        return self._limits.line, "line"


class NDJSONParser(PlainNDJSONParser):
    r"""The payloads of newline-delimited JSON, at any chunking.

    Blank lines are skipped. A last line without a line end is not returned:
    `unfinished` and `tail` hold it.

    Args:
        limits: `line` and `event` both bound a line without its end, `tail` the property `tail`.

    Example:
        >>> parser = NDJSONParser()
        >>> parser.feed(b'{"a": 1}\r\n\n{"a"')
        [b'{"a": 1}']
        >>> parser.feed(b": 2}")
        []
        >>> parser.unfinished
        b'{"a": 2}'
    """

    __slots__ = ()

    @property
    def alone(self) -> int:
        """The longest chunk, in bytes, that may be read on its own; 0 while anything is held."""
        return self._small if self._clean else 0

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return what `feed` returns; every framing has this name for it."""
        # Most servers send one line per chunk; a line that does not begin with
        # white space is not blank. `in` costs a fraction of a split.
        if type(chunk) is bytes and self._ready and 0 < len(chunk) <= self._small:
            if chunk[-1] == 10:
                payload = chunk[:-2] if chunk[-2:] == b"\r\n" else chunk[:-1]
                if self._clean and chunk[0] > 32 and 10 not in payload:
                    return [payload]
            elif 10 not in chunk:
                self._clean = False
                self._hold(chunk)
                return []
        return self._feed(chunk)
