r"""Server-sent events: the event-stream algorithm of the WHATWG HTML standard, applied to bytes.

The standard decodes the stream first, and splits it into lines then. Splitting
first gives the same result: CR, LF, colon and space are never part of a longer UTF-8
sequence, and a malformed sequence ends before each of them. So a payload stays bytes,
which is what a JSON parser reads, and is decoded only if the caller needs text.
"""

from __future__ import annotations

import re
from copy import deepcopy

from tokenstream.framing._frames import ServerSentEvent, SSEFrame
from tokenstream.framing._framing import Decoding, Framing, Shortcut
from tokenstream.framing._lines import BOM, SLICE, LineFraming, count_malformed, is_utf8
from tokenstream.limits import DEFAULT_LIMITS, Limits

_HEAD_BYTES = 256
_begins_json = re.compile(rb"\{|\[\s*+(?:\{|\Z)").match
"""Matches a line that begins a JSON object, or an array of objects."""


class PlainSSEParser(LineFraming[ServerSentEvent], Framing):
    """Read an event stream line by line, without the shortcuts that `SSEParser` adds."""

    ends_events = True

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, reads_errors: bool = False) -> None:
        self._reads_errors = reads_errors
        self.last_event_id = ""
        """The id to send when reconnecting: the last event id as of the last blank line."""
        self.retry: int | None = None
        """The reconnection time that the server requested last, in milliseconds."""
        self.comments = 0
        """Number of comment lines that have been read."""
        self.replaced = 0
        """Number of U+FFFD that replaced malformed bytes in the data of the returned events."""
        super().__init__(limits=limits)

    def _begin(self) -> None:
        """Set the state for reading a new connection, in which the last event id still applies."""
        super()._begin()
        self._stray = bytearray()  # lines that are not fields; see `stray`
        self._after_cr = False
        self._id = self.last_event_id
        self._clear()

    def _clear(self) -> None:
        """Drop the open event, which is the event whose blank line has not arrived."""
        self._name = ""
        self._data: bytes | bytearray | None = None
        # Number of payload bytes held, including the LF that another data line would add.
        self._data_size = 0
        self._event_retry: int | None = None
        self._error_text = bytearray()  # the values of the fields `error`
        self._in_event = False

    @property
    def stray(self) -> bytes:
        """Lines that are not fields, from the first that begins JSON; at most `Limits.tail` bytes.

        The standard ignores these lines. Some servers report an error this way after the stream has begun.
        """
        held = bytes(self._line)
        if self._stray or _begins_json(held):
            return bytes(self._stray) + held
        return b""

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[ServerSentEvent]:
        """Return the events that this chunk completes.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.
        """
        return [
            ServerSentEvent(frame) if isinstance(frame, bytes) else frame
            for frame in self.frames(chunk, now=now)
        ]

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[SSEFrame]:
        """Return the same events as `feed`, but those that have only data as bare payloads."""
        return self._feed(chunk)

    def reset(self) -> None:
        """Begin reading a new connection; `last_event_id`, `retry` and the counts are kept.

        An id that was read in an unfinished event of the old connection is dropped.
        """
        self._begin()

    @property
    def unfinished(self) -> ServerSentEvent | None:
        """The event that lacks only a line end and a blank line, or None."""
        # Without an unfinished line and data, there is nothing that line ends could complete.
        holds_text = self._line or self._data is not None or self._error_text
        if self.error is not None or self._holds_nothing or not holds_text:
            return None
        frames: list[SSEFrame] = []
        # A copy reads the missing line ends, so that this parser does not change.
        deepcopy(self)._read_text(b"\n\n", frames)  # noqa: SLF001 - its own copy
        # Of an event with data and an error, the error is the last frame.
        return next((ServerSentEvent(f) if isinstance(f, bytes) else f for f in reversed(frames)), None)

    def _read_slice(self, text: bytes, frames: list[SSEFrame]) -> None:
        """Read a slice of the stream, with CR and CRLF turned into LF."""
        # A CR ends its line at once; an LF that follows belongs to the same line end.
        if self._after_cr and text[0] == 10:
            text = text[1:]
        self._after_cr = text.endswith(b"\r")
        if 13 in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._read_text(text, frames)

    def _read_text(self, text: bytes, frames: list[SSEFrame]) -> None:
        """Read the whole lines of a text, and hold the unfinished last line."""
        lines = text.split(b"\n")
        rest = lines.pop()
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line = bytearray()
        self._read_lines(lines, frames)
        if self.error is None:
            self._hold(rest)

    def _read_lines(self, lines: list[bytes], frames: list[SSEFrame]) -> None:
        for line in lines:
            self._take_line(line, frames)
            if self.error is not None:
                return

    def _take_line(self, line: bytes, frames: list[SSEFrame]) -> None:
        """Read one line: a blank line, which ends an event, or a field or a comment."""
        # Only a line that may exceed a limit is compared with each of them.
        if len(line) + self._data_size > self._longest_safe and self._stop_if_outgrown(line, whole=True):
            return
        if not line:
            self._dispatch(frames)
        elif line.startswith(b"data:"):
            self._append(line[6:] if line[5:6] == b" " else line[5:])
        elif line[0] == 58:  # a colon
            self.comments += 1
        else:
            self._read_field(line)

    def _hold(self, rest: bytes) -> None:
        """Keep the start of an unfinished line; set `error` if the event is too long."""
        self._line += rest
        # Up to `_longest_safe` bytes, no limit can be exceeded.
        if len(self._line) + self._data_size > self._longest_safe:
            self._stop_if_outgrown(self._line, whole=False)

    def _append(self, value: bytes) -> None:
        """Add a line to the data of the open event."""
        self._in_event = True
        if self._data is None:
            self._data = value
        else:
            if isinstance(self._data, bytes):
                # A bytearray grows in place.
                self._data = bytearray(self._data)
            self._data += b"\n"
            self._data += value
        # The size with the LF that another data line would add.
        self._data_size = len(self._data) + 1

    def _read_field(self, line: bytes) -> None:
        """Read a line that is neither blank nor a comment, and not in the usual form of a data field."""
        self._in_event = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"data":
            self._append(value)
        elif name == b"id":
            # The standard ignores an id that contains NUL.
            if 0 not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            digits = value.lstrip(b"0") or b"0"
            # int() accepts 640 digits whatever limit the interpreter has been given.
            if len(digits) <= 640:
                self.retry = self._event_retry = int(digits)
        elif name == b"error" and self._reads_errors:
            self._take_error(value)
        # No field of the standard: it may be an error as bare JSON, which `stray` returns.
        elif (self._stray or _begins_json(line)) and len(self._stray) + len(line) < self._limits.tail:
            self._stray += line
            self._stray += b"\n"

    def _take_error(self, value: bytes) -> None:
        """Take the value of a field `error`: JSON, or the words of an error.

        After data that are no JSON object, words are none: a server that sends text with raw line ends may
        have a line that begins like this field.
        """
        may_be_words = self._data is None or self._data[:1] == b"{"
        if value[:1] != b"{" and not may_be_words:
            return
        # The first value is as long as a line may be; only a short error has several lines.
        if value and (not self._error_text or len(self._error_text) + len(value) < self._limits.tail):
            self._error_text += (b"\n" if self._error_text else b"") + value

    def _dispatch(self, frames: list[SSEFrame]) -> None:
        """End the open event; add it to `frames` if it has data, and its error after the data."""
        self.last_event_id = self._id
        if self._data is not None:
            payload = bytes(self._data)
            if not payload.isascii():
                self.replaced += count_malformed(payload)
            if self._name or self._id or self._event_retry is not None:
                frames.append(ServerSentEvent(payload, self._name or "message", self._id, self._event_retry))
            else:
                # An event that has only data is a bare payload.
                frames.append(payload)
        if self._error_text:
            # Quirk (llama.cpp before 2025-11, ik_llama.cpp): an error is in a field `error`, without data.
            frames.append(ServerSentEvent(bytes(self._error_text), "error", self._id))
        self._clear()

    def _is_idle(self) -> bool:
        """Return True if no bytes are held, and no event or line ending may continue."""
        # After a CR, an LF may follow that belongs to the same line ending.
        return not (self._line or self._in_event or self._after_cr)

    def _drop_held(self) -> None:
        super()._drop_held()
        self._clear()

    def _find_bound(self, line: bytes | bytearray, *, whole: bool) -> tuple[int, str]:
        """Return the maximum length of a line, and the name of the limit that sets it.

        `whole` is False if more of the line may arrive; the bound must not depend on how chunks were cut.
        """
        # The bytes that the data of the open event may still grow by.
        spare = self._limits.event - self._data_size
        if line.startswith(b"data:"):
            # `data:` is 5 bytes, or 6 with a space. If even the LF before the value exceeds the limit, the
            # bound is 4, so that every such line exceeds it.
            room = 4 if spare < 0 else spare + (6 if line[5:6] == b" " else 5)
        elif whole and line == b"data" and spare < 0:
            # Even an empty value is too much, because of the LF before it; the line has 4 bytes.
            room = 3
        else:
            room = self._limits.line
        # The lower limit is the one that the bytes exceed first.
        return (room, "event") if room < self._limits.line else (self._limits.line, "line")

    def _peek_held(self) -> bytes:
        """Return the start of the open event, for `tail`: at least its first `Limits.tail` bytes.

        The lines of the fields that were read are not kept, so the fields are written as lines again.
        """
        max_size = self._limits.tail
        fields: list[bytes] = []
        if self._name:
            fields.append(b"event: " + self._name[:max_size].encode())
        if self._id != self.last_event_id:
            # The open event has an id of its own.
            fields.append(b"id: " + self._id[:max_size].encode())
        if self._event_retry is not None:
            fields.append(b"retry: %d" % self._event_retry)
        if self._data is not None:
            fields += [b"data: " + value for value in bytes(self._data[:max_size]).split(b"\n")]
        if self._error_text:
            fields.append(b"error: " + bytes(self._error_text[:max_size]))
        return b"\n".join([*fields, super()._peek_held()])


class SSEParser(PlainSSEParser):
    r"""Read the frames of an event stream exactly as the standard says, wherever the chunks were cut.

    An event is returned at the first byte of the blank line that ends it. Without
    that blank line it is not returned; it is in `unfinished` and `tail`.

    Args:
        limits: `line` limits a line, without its end; `event` the data of an event; `tail` the tail's bytes.
        reads_errors: True to return an event named "error" for the field `error`, which the standard does
            not know and so ignores, but some servers send in place of data.

    Example:
        >>> parser = SSEParser()
        >>> parser.feed(b"event: ping\ndata: 1\n\nda")
        [ServerSentEvent(b'1', event='ping')]
        >>> parser.feed(b"ta: two\r")
        []
        >>> parser.feed(b"\r")
        [ServerSentEvent(b'two')]
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, reads_errors: bool = False) -> None:
        super().__init__(limits=limits, reads_errors=reads_errors)
        # The `event:` line with the name read last; initially a CR, which no line contains.
        self._event_line = b"\r"
        self._event_name = ""

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[SSEFrame]:
        r"""Return the same events as `feed`, but those that have only data as bare payloads.

        The bytes `b` represent `ServerSentEvent(b)`, an event without a name, id or retry.
        Most servers send only these, and a bare payload takes less than half the time.

        Args:
            chunk: Bytes as the transport delivered them.
            now: Not used; every stage has this parameter.

        Example:
            >>> SSEParser().frames(b"data: 1\n\nid: 7\ndata: 2\n\n")
            [b'1', ServerSentEvent(b'2', id='7')]
        """
        # Most servers send one event per chunk, with LF line ends. `in` is several times as fast as a search
        # for two bytes, and a slice is faster than startswith. 13 is CR, 10 is LF and 32 a space.
        if (
            type(chunk) is bytes
            and self._holds_nothing  # of earlier chunks
            and 13 not in chunk
            and len(chunk) <= self._small_chunk
        ):
            if chunk[:5] == b"data:":
                if chunk[-1] == 10 and chunk[-2] == 10:
                    payload = chunk[6:-2] if chunk[5] == 32 else chunk[5:-2]
                    if 10 not in payload and (payload.isascii() or is_utf8(payload)):
                        return [ServerSentEvent(payload, "message", self._id) if self._id else payload]
            elif chunk[:7] == b"event: " and chunk[-1] == 10 and chunk[-2] == 10:
                line, _, data = chunk.partition(b"\n")
                name, payload = line[7:], data[6:-2]
                is_usual = name and data[:6] == b"data: " and 10 not in payload
                if is_usual and (payload.isascii() or is_utf8(payload)):
                    return [ServerSentEvent(payload, name.decode("utf-8", "replace"), self._id)]
        return self._read_unusual(chunk)

    @property
    def longest_alone(self) -> int:
        """The length, in bytes, up to which a caller may read a chunk that is one event, without this parser.

        Such a caller saves time: most servers send one event per chunk. The value is 0 while this parser
        holds part of an event, and once events have ids, which only the parser keeps.
        """
        return self._small_chunk if self._holds_nothing and not self._id else 0

    @property
    def is_spotless(self) -> bool:
        """True if all of the input so far was whole events, in valid UTF-8, and nothing else."""
        return self._holds_nothing and not self._stray and not self.replaced

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        longest = self.longest_alone
        return format.shortcut("event", longest) if longest else None

    def _read_unusual(self, chunk: bytes) -> list[SSEFrame]:
        """Return the frames that a chunk completes, if it is not exactly one event with LF line ends."""
        is_first = self._bom_start == b"" and not self._ended
        if is_first and type(chunk) is bytes and chunk[:1] not in (b"", BOM[:1]):
            # The input begins without a byte order mark, and nothing is held.
            self._bom_start, self._past_bom, self._holds_nothing = None, True, True
            return self.frames(chunk)
        if type(chunk) is bytes and self._past_bom:
            if 13 in chunk:
                # Whole events with CRLF line ends are read like those with LF.
                if self._holds_nothing and chunk[-4:] == b"\r\n\r\n":
                    text = chunk.replace(b"\r\n", b"\n")
                    # A CR that is left is itself a line end, which `_feed` reads.
                    if 13 not in text:
                        return self.frames(text)
            elif 10 not in chunk and 0 < len(chunk) <= SLICE:
                # Without a line end, the chunk is a piece of a line.
                self._after_cr = self._holds_nothing = False
                self._hold(chunk)
                return []
        return self._feed(chunk)

    def _read_lines(self, lines: list[bytes], frames: list[SSEFrame]) -> None:
        """Read whole lines, and add the events that they complete to `frames`."""
        # An event in one of the usual forms that begins while no event is open is read
        # directly, without the state that `_take_line` keeps.
        position, count = 0, len(lines)
        # If all events are one line with data and a blank line, every other line is blank.
        even_count = count & ~1
        if (
            even_count
            and not self._in_event
            and not any(lines[1:even_count:2])
            and self._take_plain_events(lines[:even_count:2], frames)
        ):
            position = even_count
        while position < count:
            line = lines[position]
            if line[:5] == b"data:":
                if (
                    position + 1 < count
                    and not lines[position + 1]
                    and not self._in_event
                    and len(line) <= self._longest_safe
                ):
                    payload = line[6:] if line[5:6] == b" " else line[5:]
                    plain = payload.isascii() and not self._id
                    frames.append(payload if plain else self._make_frame(payload, ""))
                    position += 2
                    continue
            # `_event_line` is the `event:` line of the event read last, which the next event often repeats.
            elif (
                line == self._event_line
                and position + 2 < count
                and not lines[position + 2]
                and not self._in_event
            ):
                follower = lines[position + 1]
                if follower[:6] == b"data: " and len(follower) <= self._longest_safe:
                    frames.append(self._make_frame(follower[6:], self._event_name))
                    position += 3
                    continue
            self._take_line(line, frames)
            if self.error is not None:
                return
            position += 1

    def _take_plain_events(self, lines: list[bytes], frames: list[SSEFrame]) -> bool:
        """Add events of one data line each to `frames`, and return True; read nothing if a line is other."""
        payloads = [line[6:] for line in lines if line[:6] == b"data: "]
        # Once an id was sent (`_id`), every event has the last id, so that none is a bare payload.
        if len(payloads) < len(lines) or self._id or max(map(len, lines)) > self._longest_safe:
            return False
        for payload in payloads:
            if not payload.isascii():
                self.replaced += count_malformed(payload)
        frames += payloads
        return True

    def _make_frame(self, payload: bytes, name: str) -> SSEFrame:
        """Return the frame of an event that sets no reconnection time."""
        if not payload.isascii():
            self.replaced += count_malformed(payload)
        if name or self._id:
            return ServerSentEvent(payload, name or "message", self._id)
        return payload

    def _read_field(self, line: bytes) -> None:
        super()._read_field(line)
        # The next event often has the same name: `_read_lines` then recognises its first line.
        if line[:7] == b"event: " and self._name and len(line) <= _HEAD_BYTES:
            self._event_line, self._event_name = line, self._name
