"""Cuts bytes into JSON payloads, in whichever of three ways they are framed: by lines, headers or SSE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.kept_errors import raised_anew
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._lines import BOM, as_bytes
from tokenstream.framing._ndjson import NDJSONParser
from tokenstream.framing._sse import SSEParser
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

LONGEST_HEAD = 8 * 1024
"""Maximum number of bytes that are held until the framing is known."""
SPACE = b" \t\r\n"


DATA = b"data:"
_FIELDS = (DATA, b"event:", b"retry:", b"id:", b":")
"""Beginnings of the lines of SSE."""
_LONGEST_START = 8
"""Length of the longest of these beginnings."""
_JSON_STARTS = (b"{", b"[", b'"')
_ARRAY = re.compile(rb"\[[ \t]*[{\]]")
_JSON_LINE = re.compile(rb"\n[ \t]*(?:\{|\[[ \t]*\{)")
"""The beginning of a line that holds JSON; no line of SSE begins like this."""
_LINE_START = re.compile(rb"\n[ \t]*[^\s]")
"""The beginning of a line that is not blank."""
_FALSE_STARTS = 16
"""Maximum number of lines that begin like JSON but are not, after which the payloads are lines for good."""
_ATTEMPTS = 8
"""Maximum number of lines of an event's data from which on the data is tried as JSON."""


class JSONFrames:
    r"""Cut JSON payloads out of bytes, which may be framed in one of three ways.

    Each payload is a line, or the data of an SSE event. The
    first lines that have the form of one of these decide, and the lines before them, such as a banner, are
    counted in `banner_lines` and left out. Log lines may look like fields of SSE: once a line holds JSON,
    which no line of SSE does, the payloads are lines. Data of SSE, and lines, may not be JSON, such as a log:
    they are among the payloads, too, and the caller decides.

    Args:
        limits: `line` and `event` limit the size of a payload.

    Example:
        >>> sum(JSONFrames().feed(b'hello\n{"a": 1}\n{"b"'), [])
        [b'{"a": 1}']
        >>> sum(JSONFrames().feed(b'event: message\ndata: {"a": 1}\n\n'), [])
        [b'{"a": 1}']
        >>> sum(JSONFrames().feed(b'id: 5\n{"a": 1}\n'), [])
        [b'{"a": 1}']
    """

    stop: str | None = None
    """Always None: a framing never asks to close the source."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._framing: NDJSONParser | SSEParser | None = None
        """The framing; None until the first line that has the form of one of them."""
        self._start = b""
        """The beginning of a line that does not show yet to which framing it belongs."""
        self._is_in_banner = False
        """True within a line that has the form of none of them."""
        self._is_certain = False
        """True once a line was JSON, so that no later line changes the framing."""
        self._false_starts = 0
        """Number of lines that began like JSON, but were not."""
        self._is_at_line_start = True
        """True if the next bytes of SSE begin a line, to which `_start` belongs."""
        self._left_out = 0
        """Number of lines of SSE that are in no payload: a banner if the payloads turn out to be lines."""
        self.banner_lines = 0
        """Number of lines before the framing was known."""
        self._has_ended = False

    @property
    def error(self) -> StreamError | None:
        """The error that follows the payloads returned last, or None."""
        return None if self._framing is None else self._framing.error

    @property
    def has_lines(self) -> bool:
        """True if the payloads are lines."""
        return isinstance(self._framing, NDJSONParser)

    @property
    def has_events(self) -> bool:
        """True if the payloads are the data of SSE, as far as it is known."""
        return isinstance(self._framing, SSEParser)

    @property
    def holds_nothing(self) -> bool:
        """True unless a payload has begun that more bytes may continue."""
        if self._framing is None or self._start:
            return not self._start
        tail = self._framing.tail
        return not any(map(_may_hold_json, tail.split(b"\n"))) if self.has_events else not tail

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished payload, at most `Limits.tail` of them."""
        return self._start if self._framing is None else self._framing.tail

    @property
    def unfinished(self) -> list[bytes]:
        """The payload that lacks only the end of its line or event, and log lines before it."""
        if self._framing is None:
            return []
        unfinished = self._framing.unfinished
        if unfinished is None or isinstance(unfinished, bytes):
            return [] if unfinished is None else [unfinished]
        return self._payloads_in([unfinished.payload])

    def feed(self, chunk: bytes, *, now: float = 0.0) -> Iterator[list[bytes]]:
        """Yield the payloads that a chunk completes, in lists; each is of the framing known at its time."""
        framing = self._framing
        if isinstance(framing, NDJSONParser) and self._is_certain:
            # The way of most chunks.
            yield framing.frames(chunk)
            return
        chunk = as_bytes(chunk, "JSONRPCParser", ended=self._has_ended)
        if framing is None:
            chunk = self._find_framing(self._start + chunk)
            framing = self._framing
        if isinstance(framing, SSEParser):
            yield from self._read_events(framing, chunk)
        elif isinstance(framing, NDJSONParser):
            yield from self._read_first_line(framing, chunk)
        elif framing is not None:
            yield framing.frames(chunk)

    def end(self, *, now: float = 0.0) -> list[bytes]:
        """End the input; an unfinished payload remains in `unfinished`."""
        self._has_ended = True
        if self._framing is not None:
            self._framing.end()
        return []

    def check(self) -> None:
        """Raise `error` if there is one."""
        if self.error is not None:
            raise raised_anew(self.error)

    def begin_lines(self, *, is_certain: bool = False) -> list[bytes]:
        """Read lines from here on, although there were lines of SSE; return the data in the last of them."""
        payloads = self.unfinished
        self._is_certain = self._is_certain or is_certain
        self._framing, self._start = NDJSONParser(limits=self._limits), b""
        self._is_at_line_start = True
        self._left_out, left_out = 0, self._left_out
        self.banner_lines += left_out
        return payloads

    # -- finding the framing -------------------------------------------------

    def _find_framing(self, text: bytes) -> bytes:
        """Choose the framing by the first line that has the form of one; return the bytes from that line on.

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
                self._framing = self._choose_framing(text)
                if self._framing is not None:
                    return text
                if len(text) < LONGEST_HEAD and _is_undecided(text):
                    self._start = text
                    return b""
                self._is_in_banner = True
                self.banner_lines += 1
            _, line_end, text = text.partition(b"\n")
            self._is_in_banner = not line_end
        return b""

    def _choose_framing(self, text: bytes) -> NDJSONParser | SSEParser | None:
        """Return the framing of the payloads if a text begins like this; None if it begins with a banner."""
        if text[:1] == b"{" or _ARRAY.match(text):
            return NDJSONParser(limits=self._limits)
        is_field = text[:_LONGEST_START].lower().startswith(_FIELDS)
        return SSEParser(limits=self._limits) if is_field else None

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

    def _is_json(self, payload: bytes) -> bool:
        """Return True for a payload that is JSON, or exceeds a limit."""
        try:
            decode(payload, self._limits)
        except LimitExceeded:
            return True
        except ProtocolError:
            return False
        return True

    # -- lines of SSE ----------------------------------------------------------

    def _read_events(self, events: SSEParser, chunk: bytes) -> Iterator[list[bytes]]:
        """Yield the payloads of SSE; from the first line on that holds JSON, those of lines."""
        # The regular expressions find the beginnings of lines by the line ends before them.
        text = b"\n" + self._start + chunk if self._is_at_line_start else chunk
        begin = int(self._is_at_line_start)
        found = _JSON_LINE.search(text)
        end = len(text) if found is None else found.start() + 1
        self._start = b""
        if found is None:
            line = text[text.rfind(b"\n") + 1 :]
            if line and len(line) < min(LONGEST_HEAD, len(text)) and not line.strip(b" \t["):
                self._start = line
                end -= len(line)
        self._left_out += len(_LINE_START.findall(text, 0, end))
        self._is_at_line_start = text.endswith(b"\n", 0, end)
        frames = events.frames(text[begin:end])
        yield self._payloads_in([frame if isinstance(frame, bytes) else frame.payload for frame in frames])
        if found is not None and events.error is None:
            yield self.begin_lines()
            yield from self.feed(text[end:])

    def _payloads_in(self, datas: list[bytes]) -> list[bytes]:
        """Return the JSON in the data of some events, and the lines that are beside it, such as a log."""
        parts = [self._part(data) if b"\n" in data else (data,) for data in datas]
        payloads = [payload for part in parts for payload in part if payload]
        self._left_out -= len(payloads) + sum(payload.count(b"\n") for payload in payloads)
        return payloads

    def _part(self, data: bytes) -> list[bytes]:
        """Return the lines of an event's data; those that are JSON only together are one."""
        lines = data.split(b"\n")
        starts = [place for place, line in enumerate(lines) if line.lstrip()[:1] in _JSON_STARTS]
        for start in starts[:_ATTEMPTS]:
            payload = b"\n".join(lines[start:])
            if self._is_json(payload):
                return [*lines[:start], payload]
        return lines


def _is_undecided(text: bytes) -> bool:
    """Return True if the beginning of a text does not show yet to which framing it belongs."""
    line_start = text[:_LONGEST_START].lower()
    is_cut = any(start.startswith(line_start) for start in _FIELDS)
    return is_cut or (text[:1] == b"[" and not text[1:].strip(b" \t"))


def _may_hold_json(line: bytes) -> bool:
    """Return True for a line of SSE, perhaps unfinished, with data that may be JSON, or a part of JSON."""
    if not line.startswith(DATA):
        return line != b"" and DATA.startswith(line)
    value = line[len(DATA) :].lstrip()
    return not value or value[:1] in _JSON_STARTS
