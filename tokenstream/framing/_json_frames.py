"""Cuts bytes into JSON payloads, which are lines or the data of server-sent events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import LimitExceeded, ProtocolError, StreamError
from tokenstream.framing._lines import BOM, as_bytes
from tokenstream.framing._ndjson import NDJSONParser
from tokenstream.framing._sse import SSEParser
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator


LONGEST_HEAD = 8 * 1024
"""Maximum number of bytes that are held until the framing is known."""
SPACE = b" \t\r\n"

DATA = b"data:"
_FIELDS = (b"event:", b"retry:", b"id:", b":")
"""Beginnings of the lines of SSE that hold no data."""
_LONGEST_START = 8
"""Length of the longest of these beginnings, and more."""
_LINE = re.compile(rb"\{|\[[ \t]*[{\]]")
"""The beginning of a line that holds JSON."""
_DATA = re.compile(rb'data:[ \t]*(?:[{"]|\[[ \t]*[{\]])')
"""The beginning of a line of SSE that may hold JSON."""
_UNDECIDED = re.compile(rb"(?:data:[ \t]*)?(?:\[[ \t]*)?").fullmatch
"""Matches a text that more bytes may make one of these beginnings."""
_FALSE_STARTS = 16
"""Maximum number of lines that begin like JSON but are not, after which the payloads are lines for good."""


class JSONFrames(ErrorKeeper):
    r"""Cut JSON payloads out of bytes, in which each payload is a line, or the data of an SSE event.

    The first line with JSON decides. The lines before it, such as a banner or a log, are counted in
    `banner_lines` and left out. Later payloads may not be JSON: the caller decides about them.

    Args:
        limits: `line` and `event` limit the size of a payload.

    Example:
        >>> sum(JSONFrames().feed(b'hello\n{"a": 1}\n{"b"'), [])
        [b'{"a": 1}']
        >>> sum(JSONFrames().feed(b'event: message\ndata: {"a": 1}\n\n'), [])
        [b'{"a": 1}']
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._framing: NDJSONParser | SSEParser | None = None
        """The framing; None until the first line with JSON."""
        self._start = b""
        """The beginning of a line that does not show yet if it holds JSON."""
        self._is_in_banner = False
        """True within a line without JSON, before the first one."""
        self._is_certain = False
        """True once a line was JSON, so that no later line changes the framing."""
        self._false_starts = 0
        """Number of lines that began like JSON, but were not."""
        self._fields = 0
        """Number of lines so far that are fields of SSE without data: a log if the payloads are lines."""
        self.banner_lines = 0
        """Number of lines before the framing was known, except what may belong to the first event of SSE."""
        self._stray_error: ProtocolError | None = None
        self._has_ended = False

    @property
    def error(self) -> StreamError | None:
        return self._stray_error or (None if self._framing is None else self._framing.error)

    @property
    def has_lines(self) -> bool:
        return isinstance(self._framing, NDJSONParser)

    @property
    def holds_nothing(self) -> bool:
        """True unless a payload has begun that more bytes may continue."""
        return not self.tail

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished payload, at most `Limits.tail` of them."""
        return self._start if self._framing is None else self._framing.tail

    @property
    def unfinished(self) -> list[bytes]:
        """The payload that lacks only the end of its line or event, in a list; an empty list without one."""
        if self._framing is None:
            return [self._start.removeprefix(DATA)] if _DATA.match(self._start) else []
        unfinished = self._framing.unfinished
        if unfinished is None:
            return []
        return [unfinished if isinstance(unfinished, bytes) else unfinished.payload]

    def feed(self, chunk: bytes, *, now: float = 0.0) -> Iterator[list[bytes]]:
        """Yield the payloads that a chunk completes, in lists; each is of the framing known at its time."""
        if self._is_certain and isinstance(self._framing, NDJSONParser):
            # The way of most chunks.
            yield self._framing.frames(chunk)
            return
        chunk = as_bytes(chunk, "JSONRPCParser", ended=self._has_ended)
        if self._framing is None:
            chunk = self._find_framing(self._start + chunk)
        if isinstance(self._framing, SSEParser):
            yield [frame.payload for frame in self._framing.feed(chunk)]
            if self._framing.stray and self._stray_error is None:
                self._stray_error = ProtocolError("a line of JSON is among server-sent events")
                self._stray_error.tail = self._framing.stray
        elif self._framing is not None:
            yield from self._read_first_line(self._framing, chunk)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input; an unfinished payload remains in `unfinished`."""
        self._has_ended = True
        if self._framing is not None:
            self._framing.end()
        return []

    def begin_lines(self) -> None:
        """Read lines from here on, because a line holds JSON."""
        self._is_certain = True
        self._choose(NDJSONParser(limits=self._limits))

    # -- finding the framing -------------------------------------------------

    def _find_framing(self, text: bytes) -> bytes:
        """Choose the framing by the first line that holds JSON; return the bytes from that line on.

        The result is b"" as long as there is no such line; an undecided beginning of a line is then in
        `_start`.
        """
        self._start = b""
        while text:
            if not self._is_in_banner:
                if BOM.startswith(text):
                    # The rest of a byte order mark may follow.
                    self._start = text
                    return b""
                text = text.removeprefix(BOM).lstrip(SPACE)
                if not text:
                    # Only white space, which is not kept, since it may go on for ever.
                    return b""
                if _LINE.match(text):
                    self._choose(NDJSONParser(limits=self._limits))
                    return text
                is_data = _DATA.match(text) is not None
                line, line_end, _ = text.partition(b"\n")
                if len(text) < LONGEST_HEAD and not line_end and (is_data or _is_undecided(text)):
                    self._start = text
                    return b""
                if is_data and self._begins_json(line):
                    self._choose(SSEParser(limits=self._limits))
                    return text
                self._is_in_banner = True
                if text.startswith(_FIELDS):
                    self._fields += 1
                else:
                    self.banner_lines += 1
            _, line_end, text = text.partition(b"\n")
            self._is_in_banner = not line_end
        return b""

    def _choose(self, framing: NDJSONParser | SSEParser) -> None:
        """Set the framing; with lines, the fields of SSE before it were a log."""
        self._framing, self._start = framing, b""
        if isinstance(framing, NDJSONParser):
            self.banner_lines += self._fields
        self._fields = 0

    def _read_first_line(self, lines: NDJSONParser, chunk: bytes) -> Iterator[list[bytes]]:
        """Yield the payloads of a chunk if its first line is JSON; otherwise that line is the banner's."""
        line_end = chunk.find(b"\n") + 1
        payloads = lines.frames(chunk[:line_end] if line_end else chunk)
        if not line_end or lines.error is not None:
            return
        self._is_certain = self._false_starts == _FALSE_STARTS or all(map(self._is_json, payloads))
        if self._is_certain:
            yield payloads
        else:
            self._framing = None
            self._false_starts += 1
            self.banner_lines += 1
        yield from self.feed(chunk[line_end:])

    def _begins_json(self, line: bytes) -> bool:
        """Return True if a line of data is JSON, or begins JSON that is written in several lines."""
        data = line.removeprefix(DATA).strip()
        return len(line) >= LONGEST_HEAD or data in {b"{", b"["} or self._is_json(data)

    def _is_json(self, payload: bytes) -> bool:
        """Return True for a payload that is JSON, or exceeds a limit."""
        try:
            decode(payload, self._limits)
        except LimitExceeded:
            return True
        except ProtocolError:
            return False
        return True


def _is_undecided(text: bytes) -> bool:
    """Return True if the beginning of a text does not show yet if its line holds JSON."""
    start = text[:_LONGEST_START]
    return any(field.startswith(start) for field in (DATA, *_FIELDS)) or _UNDECIDED(text) is not None
