r"""Framing of newline-delimited JSON: one payload per line, as Ollama, Cohere v1 and the relay send it.

A line ends with LF or CRLF. A CR without an LF is white space in JSON, and U+2028 is an
ordinary character. Whether a payload is JSON is checked later, by the format.
"""

from __future__ import annotations

from tokenstream.framing._lines import LineFraming

_SPACE = b" \t\r"


class PlainNDJSONParser(LineFraming[bytes]):
    """Read newline-delimited JSON line by line, without the shortcuts that `NDJSONParser` adds."""

    __slots__ = ()

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the payloads of the lines that this chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        return self.frames(chunk, now=now)

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the same as `feed`; every framing has a method of this name.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        return self._feed(chunk)

    @property
    def unfinished(self) -> bytes | None:
        """The payload of the last line, if only its line end is missing; else None."""
        line = bytes(self._line).removesuffix(b"\r")
        return line if line.strip(_SPACE) else None

    def _read_text(self, text: bytes, frames: list[bytes]) -> None:
        """Add the whole lines that are not blank to `frames`, and hold the unfinished last line."""
        lines = text.split(b"\n")
        rest = lines.pop()
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line = bytearray()
        for line in lines:
            payload = line.removesuffix(b"\r")
            # A line that is longer than allowed ends the input.
            if len(payload) > self._longest_safe and self._stop_if_outgrown(payload, whole=True):
                return
            if payload.strip(_SPACE):
                frames.append(payload)
        self._hold(rest)

    def _hold(self, rest: bytes) -> None:
        self._line += rest
        # A CR at the end may be half of a CRLF, which does not count as part of the line.
        if len(self._line) > self._longest_safe:
            self._stop_if_outgrown(self._line.removesuffix(b"\r"), whole=False)


class NDJSONParser(PlainNDJSONParser):
    r"""Read the payloads of newline-delimited JSON, wherever the chunks were cut.

    Blank lines are skipped. A last line without a line end is not returned;
    it is in `unfinished` and `tail`.

    Args:
        limits: `line` and `event` both limit a line, without its end; `tail` limits the property `tail`.

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
    def longest_alone(self) -> int:
        """The length, in bytes, up to which a caller may read a chunk that is one line, without this parser.

        Such a caller saves time: most servers send one line per chunk. The value is 0 while this parser
        holds part of a line.
        """
        return self._small_chunk if self._holds_nothing else 0

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        """Return the same as `feed`; every framing has a method of this name."""
        # Most servers send one line per chunk. A line that does not begin with white space is not blank.
        # `in` is much faster than splitting the chunk. 10 is LF, and 32 a space. The lines of a chunk of at
        # most `_small_chunk` bytes are within every limit.
        if type(chunk) is bytes and self._past_bom and 0 < len(chunk) <= self._small_chunk:
            if chunk[-1] == 10:
                payload = chunk[:-2] if chunk[-2:] == b"\r\n" else chunk[:-1]
                if self._holds_nothing and chunk[0] > 32 and 10 not in payload:
                    return [payload]
            elif 10 not in chunk:
                # A piece of a line.
                self._holds_nothing = False
                self._hold(chunk)
                return []
        return self._feed(chunk)
