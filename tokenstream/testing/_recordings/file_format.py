"""The text format of recordings, which can be read and edited; see docs/reference/recording-format.md."""

from __future__ import annotations

import binascii
import math
import re
from typing import TYPE_CHECKING, Any, Literal

from tokenstream.errors import MisuseError
from tokenstream.framing._lines import BOM
from tokenstream.testing._recordings.recording import Arrival, Breaks, Recording

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tokenstream._basics.loose import JsonObject


EXTENSION = ".rec"

_VERSION = 1
_FORMAT_NAME = b"tokenstream-recording"
_BASE64_BYTES = 57
"""Number of bytes in one line of base64, which then has 76 characters, as in e-mail."""
_MAX_SPECIAL, _SPECIAL_SHARE = 16, 4
"""A chunk is written as base64 if more than 16, and more than one in four, of its characters are odd."""
_SPECIAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", re.DOTALL
)
_NEEDS_ESCAPE = re.compile(rf"[\t\n]|{_SPECIAL.pattern}|\s\Z")
"""Matches text that an editor might change, hide, or mistake for the end of a line."""
_TO_ESCAPE = re.compile(rf"\\|{_NEEDS_ESCAPE.pattern}")
_SHORT_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ESCAPE_SEQUENCE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\\nrt])|)")
_ESCAPE_MEANINGS = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""A header's name (RFC 9110 §5.6.2)."""
_HEAD_LINE = re.compile(rb"(header )?(%s):(~ )?(.*)" % _NAME.encode(), re.DOTALL)
_CHUNK_LINE = re.compile(rb"@ ([0-9]{1,15}(?:\.[0-9]{1,15})?) *")
_VERSION_LINE = re.compile(rb"%s ([1-9][0-9]{0,8}) *" % _FORMAT_NAME)
_STATUS = re.compile("[1-9][0-9]{2}")
_EXIT_CODE = re.compile(r"-?[0-9]{1,10}")
_CLOSE_FRAME = re.compile(r"([1-4][0-9]{3})(?: (.*))?", re.DOTALL)
"""Matches the code and the reason of a closing frame."""
_LATE = re.compile(r"[0-9]{1,9}")
_BREAKS: dict[str, Breaks] = {"close": "close", "reset": "reset", "stall": "stall", "half": "half"}
_YES_NO = {"yes": True, "no": False}


# -- writing -----------------------------------------------------------------


class RecordingInvalid(MisuseError, ValueError):
    """A file is no recording, or is damaged; or a recording has a secret, and was not written.

    Args:
        message: The problem, and advice on solving it; it names a secret's kind and place, never the secret.
        path: The file; None if nothing was written.
        line: Number of the invalid line, from 1; None if the problem is in no particular line.
        kind: `"secret"` for a recording that was not written; None for a file.

    Example:
        >>> error = RecordingInvalid("it is empty", path="order.rec", line=1)
        >>> str(error), error.line
        ('order.rec, line 1: it is empty', 1)
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        kind: Literal["secret"] | None = None,
    ) -> None:
        where = [] if path is None else [f"{path}" if line is None else f"{path}, line {line}"]
        super().__init__(": ".join([*where, message]), kind=kind)
        self.path = path
        self.line = line


def encode_recording(recording: Recording) -> bytes:
    lines = [f"{_FORMAT_NAME.decode()} {_VERSION}", *_head_lines(recording), ""]
    for at, data in recording.arrivals:
        if not 0 <= at < math.inf:
            raise MisuseError(
                f"a chunk that comes at {at} cannot be saved: its time is a number of seconds from 0"
            )
        lines.append(f"@ {at:.6f}".rstrip("0").rstrip("."))
        lines += _chunk_lines(data)
    return "\n".join([*lines, ""]).encode()


def _head_lines(recording: Recording) -> Iterator[str]:
    """Yield the lines of the head; raise `MisuseError` for a value that the format cannot express."""
    if recording.request:
        yield _head_line("request", recording.request)
    if not _STATUS.fullmatch(str(recording.status)):
        raise MisuseError(f"{recording.status!r} is not an HTTP status, and cannot be saved")
    yield _head_line("status", str(recording.status))
    for name, value in sorted(recording.headers.items()):
        if not re.fullmatch(_NAME, name):
            raise MisuseError(f"{name!r} is not a header's name, and cannot be saved")
        yield _head_line(f"header {name.lower()}", value)
    if recording.format is not None:
        yield _head_line("format", recording.format)
    if recording.messages:
        yield "messages: yes"
    yield from _ending_lines(recording)


def _ending_lines(recording: Recording) -> Iterator[str]:
    if recording.breaks is not None:
        yield f"ended: {recording.breaks}"
    if recording.close_frame is not None:
        code, reason = recording.close_frame
        yield _head_line("closed", f"{code} {reason}" if reason else str(code))
    if recording.late:
        yield f"late: {recording.late:d}"
    if recording.exit_code is not None:
        yield f"exit: {recording.exit_code:d}"


def _head_line(name: str, value: str) -> str:
    """Return a line of a recording's head, `name: value`; `:~` in place of `:` if the value has escapes."""
    if value[:1].isspace() or _NEEDS_ESCAPE.search(value):
        return f"{name}:~ {_escape_text(value)}"
    return f"{name}: {value}" if value else f"{name}:"


def _chunk_lines(data: bytes) -> Iterator[str]:
    """Yield the lines for a chunk: text, or base64 if too many characters would need an escape.

    The first character of a line says how to read the rest: "|" is a line of text with its
    line feed, "+" text without a line feed, "~" text with escapes, "=" base64.
    """
    text = data.decode("utf-8", "surrogateescape")
    special = len(_SPECIAL.findall(text))
    is_binary = special > _MAX_SPECIAL and special * _SPECIAL_SHARE > len(text)
    if is_binary:
        for begin in range(0, len(data), _BASE64_BYTES):
            piece = binascii.b2a_base64(data[begin : begin + _BASE64_BYTES], newline=False)
            yield f"= {piece.decode()}"
        return
    *lines, unfinished_line = text.split("\n")
    # `_plain_text_line` returns None for a text that needs escapes.
    for line in lines:
        yield _plain_text_line("|", line) or _escaped_line(f"{line}\n")
    if unfinished_line:
        yield _plain_text_line("+", unfinished_line) or _escaped_line(unfinished_line)


def _plain_text_line(mark: str, text: str) -> str | None:
    """Return the line for a text without escapes; None if the text needs escapes."""
    if _NEEDS_ESCAPE.search(text):
        return None
    return f"{mark} {text}" if text else mark


def _escaped_line(text: str) -> str:
    """Return a line of the file: the mark `~`, and the text, in which special characters are escaped."""
    return f"~ {_escape_text(text)}"


def _escape_text(text: str) -> str:
    return _TO_ESCAPE.sub(_escape_character, text)


def _escape_character(match: re.Match[str]) -> str:
    """Return the escape for a character: its short one if it has any, else one for each of its bytes."""
    character = match[0]
    return _SHORT_ESCAPES.get(character) or "".join(
        f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape")
    )


# -- reading -----------------------------------------------------------------


def is_recording(data: bytes) -> bool:
    """Return True if a file's first line identifies it as a recording in this format."""
    return data.removeprefix(BOM).startswith(_FORMAT_NAME)


def parse(data: bytes, path: Path) -> Recording:
    return _FileReader(data, path).read_recording()


class _InvalidLine(Exception):
    """A line is invalid; the message describes the problem, and gives advice."""


class _FileReader:
    """Reads a recording line by line."""

    def __init__(self, data: bytes, path: Path) -> None:
        self._path = path
        self._lines = data.removeprefix(BOM).replace(b"\r\n", b"\n").split(b"\n")
        self._number = 1
        """Number of the current line, from 1."""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            self._number = data.count(b"\n", 0, error.start) + 1
            raise self._make_error("it is not UTF-8: save the file in that encoding") from None

    def read_recording(self) -> Recording:
        try:
            self._read_version()
            fields = self._read_head()
            return Recording(self._read_chunks(), name=self._path.stem, **fields)
        except _InvalidLine as invalid:
            raise self._make_error(str(invalid)) from None

    def _make_error(self, message: str) -> RecordingInvalid:
        return RecordingInvalid(message, path=self._path, line=self._number)

    def _read_version(self) -> None:
        """Check the first line, which has the name and the version of the format."""
        match = _VERSION_LINE.fullmatch(self._lines[0])
        if match is None:
            raise _InvalidLine(
                f'a recording begins with the line "{_FORMAT_NAME.decode()} {_VERSION}", and this file '
                "does not: record it anew, or name a bare body by what it is, such as .sse or .ndjson"
            )
        if int(match[1]) > _VERSION:
            raise _InvalidLine(
                f"it is of version {int(match[1])} of the format, and this tokenstream reads up to "
                f"{_VERSION}: update tokenstream, or record it anew"
            )

    def _read_head(self) -> JsonObject:
        """Read the head and the empty line after it; return the recording's fields by name."""
        headers: dict[str, str] = {}
        fields: JsonObject = {"headers": headers}
        first_lines: dict[bytes, int] = {}
        # The first line has the version.
        for line in self._lines[1:]:
            self._number += 1
            if not line.strip():
                break
            if line.startswith(b"#"):
                continue
            is_header, name, value = _parse_head_line(line)
            if not is_header and name not in _FIELDS:
                # A field of a later version of the format, which readers may ignore.
                continue
            key = b"header " + name if is_header else name
            # `setdefault` returns the number of the first line with this name.
            if first_lines.setdefault(key, self._number) != self._number:
                raise _InvalidLine(
                    f"{key.decode()} is given twice, first in line {first_lines[key]}: keep one of the two"
                )
            if is_header:
                headers[name.decode()] = value
            else:
                field, parse_value = _FIELDS[name]
                fields[field] = parse_value(value)
        return fields

    def _read_chunks(self) -> tuple[Arrival, ...]:
        """Read the lines after the head: each "@" line begins a chunk, the next lines are its content."""
        times: list[float] = []
        chunks: list[list[bytes]] = []
        # The head has ended at line `_number`, counted from 1; the chunks follow.
        for number, line in enumerate(self._lines[self._number :], self._number + 1):
            self._number = number
            decode = _DECODERS.get(line[:2])
            if decode is not None:
                if not chunks:
                    raise _InvalidLine(
                        'a line such as "@ 0.5" is missing above it: it says when the bytes came'
                    )
                chunks[-1].append(decode(line[2:]))
            elif line.strip() and not line.startswith(b"#"):
                times.append(_parse_time(line))
                chunks.append([])
        return tuple(Arrival(at, b"".join(pieces)) for at, pieces in zip(times, chunks, strict=True))


def _parse_head_line(line: bytes) -> tuple[bool, bytes, str]:
    """Return the parts of a head line: True if it is a header, its name, and its value."""
    match = _HEAD_LINE.fullmatch(line)
    if match is None:
        raise _InvalidLine(
            'it is not a line of the head, "name: value" or "header name: value"; '
            "an empty line is between the head and the first chunk"
        )
    header_prefix, name, escape_mark, text = match.groups()
    value = _unescape_text(text) if escape_mark else text.strip()
    return header_prefix is not None, name.lower(), value.decode("utf-8", "surrogateescape")


def _parse_close_frame(value: str) -> tuple[int, str]:
    match = _CLOSE_FRAME.fullmatch(value)
    if match is None:
        raise _InvalidLine("it is not the code of a closing frame, such as 1011, with or without a reason")
    return int(match[1]), match[2] or ""


def _number_parser(pattern: re.Pattern[str], expected: str) -> Callable[[str], int]:
    def parse_number(value: str) -> int:
        if not pattern.fullmatch(value):
            raise _InvalidLine(expected)
        return int(value)

    return parse_number


def _make_word_parser(words: JsonObject) -> Callable[[str], Any]:
    """Return a parser for a field whose value is one of several words."""

    def parse_word(value: str) -> object:
        if value not in words:
            raise _InvalidLine(f"its value is none of {', '.join(words)}")
        return words[value]

    return parse_word


_FIELDS: dict[bytes, tuple[str, Callable[[str], Any]]] = {
    b"request": ("request", str),
    b"status": ("status", _number_parser(_STATUS, "the status is not a number of three digits, such as 200")),
    b"format": ("format", str),
    b"messages": ("messages", _make_word_parser(_YES_NO)),
    b"ended": ("breaks", _make_word_parser(_BREAKS)),
    b"closed": ("close_frame", _parse_close_frame),
    b"late": ("late", _number_parser(_LATE, "it is not a number of messages, such as 2")),
    b"exit": ("exit_code", _number_parser(_EXIT_CODE, "the exit code is not a whole number, such as 1")),
}
"""Maps each known field of the head to an attribute of the recording, and to the parser of the value."""


def _parse_time(line: bytes) -> float:
    match = _CHUNK_LINE.fullmatch(line)
    if match is None:
        raise _InvalidLine(
            'it begins with none of the marks "@ " (a chunk and when it came, in seconds), "| " (a line), '
            '"+ " (text without the end of a line), "~ " (escapes), "= " (base64) and "#" (a comment)'
        )
    return float(match[1])


def _unescape_text(text: bytes) -> bytes:
    return _ESCAPE_SEQUENCE.sub(_unescape_sequence, text)


def _unescape_sequence(match: re.Match[bytes]) -> bytes:
    hexadecimal, letter = match.groups()
    if hexadecimal is not None:
        return binascii.unhexlify(hexadecimal)
    if letter is None:
        raise _InvalidLine(r"a backslash begins one of \\, \n, \r, \t and \xNN: write a literal one as \\")
    return _ESCAPE_MEANINGS[letter]


def _decode_base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text.strip(), strict_mode=True)
    except binascii.Error:
        raise _InvalidLine("it is not base64: restore the recorded line") from None


_DECODERS: dict[bytes, Callable[[bytes], bytes]] = {
    # The line feed after the text is part of the chunk.
    b"|": lambda text: text + b"\n",
    b"+": bytes,
    b"~": _unescape_text,
    b"=": _decode_base64,
}
_DECODERS.update({b"%b " % mark: decode for mark, decode in _DECODERS.items()})
"""Maps the mark of a chunk line to its decoder; an editor may have stripped the space after a mark."""
