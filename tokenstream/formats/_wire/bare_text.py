"""Bare text in `data:` lines, ended by `data: [DONE]`, as in many tutorials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import dict_of, is_dict, text_of
from tokenstream.errors import ProtocolError
from tokenstream.events import TextDelta
from tokenstream.formats._base import Format, Frame, Unit
from tokenstream.formats._detect.payloads import event_in, payload_of
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._kit.parts import BLANK_TEXT
from tokenstream.formats._reader import FrameReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import ProviderError
    from tokenstream.events import Event
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.limits import Limits

_match_one_line = re.compile(rb"data: ([^\r\n{][^\r\n]*+)\n\n").fullmatch
"""Matches an event with one piece of text on one line, unless the piece begins like a JSON object."""


class _TextReader(FrameReader["Text"]):
    """Reads the data of events as text; white space is text here, and not a heartbeat as in other formats."""

    __slots__ = ()

    def read_frame(self, format: Text, frame: Frame) -> None:
        payload = payload_of(frame)
        if isinstance(payload, bytes) and payload.isspace():
            self.read_text(format, payload, event_in(frame))
        else:
            super().read_frame(format, frame)

    def read_text(self, format: Text, payload: bytes, event: str) -> None:
        format.parts.raw = text = payload.decode("utf-8", "replace")
        if format.first_frames.is_detected and payload.lstrip()[:1] == b"{":
            _check_no_proof(payload, format.limits)
        if event == "error":
            self.fail(format, provider_error(_decode_object(payload) or {"error": {"message": text}}, event))
        elif event:
            format.parts.unknown(event, text)
        elif (error := _read_server_error(payload)) is not None:
            format.note("error_unmarked")
            self.fail(format, error)
        else:
            format.add_text(text)


class Text(Format):
    """The `text` format: server-sent events whose data are pieces of text, or a body of bare text.

    The data of an event mean:

    - `[DONE]`: the end of the answer;
    - nothing: a heartbeat;
    - one whole JSON object whose `error` is text or has a `message`: the server's
      error (if a model writes an object like this, it arrives in pieces);
    - anything else, white space and JSON included: a piece of text.

    An event named "error" is the server's error; events of any other name are
    reported as unknown.

    If this format is named and the body has no events, all of it is text, and the
    end of the input is the end of the answer.

    SSE removes one leading space from the data: for servers that send `data: The` and
    `data: cat`, pass a `joiner`. A piece cannot contain a CR, which ends a line in SSE.

    Args:
        joiner: Text to put between two pieces.

    Example:
        >>> format = Text(joiner=" ")
        >>> [event.text for piece in (b"The", b"cat") for event in format.feed(piece)
        ...  if hasattr(event, "text")]
        ['The', ' cat']
    """

    __slots__ = ("_fast_part", "_is_bare", "_part", "joiner")

    name = "text"
    reader = _TextReader()
    sentinel = b"[DONE]"
    reads_bare_text = True

    def __init__(self, *, joiner: str = "", limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self.first_frames.drop()  # any input is text, so none can be of another format
        self.joiner = joiner
        self._part: OpenPart | None = None
        """The part of the text; None until the first piece arrives."""
        self._is_bare = False
        """True if the body has no SSE events: all of it is text."""
        self._fast_part: OpenPart | None = None
        """The part of the text, if chunks may be added to it without decoding; otherwise None."""

    def fresh(self, *, limits: Limits) -> Text:
        return type(self)(joiner=self.joiner, limits=limits)

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool:  # noqa: ARG003 - any format is asked
        """Return False: a JSON object belongs to another format."""
        return False

    def read(self, payload: JsonObject, event: str) -> None:
        """Raise an error: a decoded payload is not text."""
        msg = 'the format "text" reads text, and a JSON object came; name the format that it is of'
        raise ProtocolError(msg)

    def feed(self, frame: Frame | str, *, now: float = 0.0) -> list[Event]:
        """Return the events of a frame.

        If the body has no SSE events, `frame` is a piece of the body, all of which is text.
        """
        if isinstance(frame, str):
            return self._feed_bare(frame)
        part = self._fast_part
        # Most frames are bytes with text; only a frame that may be anything else is read in full.
        if (
            part is None
            or not isinstance(frame, bytes)
            or not frame
            or frame[0] == 123  # a brace, which may begin an error
            or b"[DONE]" in frame
            or part.closed
            or self.error is not None
        ):
            return super().feed(frame, now=now)
        self.frames += 1
        text = frame.decode("utf-8", "replace")
        return [TextDelta(self.joiner + text, part=part.index, raw=text)]

    def _feed_bare(self, piece: str) -> list[Event]:
        """Return the events of a piece of a body without SSE events; the whole body is text."""
        if self.error is None:
            self._is_bare = True
            self.frames += 1
            self.parts.raw = piece
            self.parts.add(self._part or self._open_part(), piece)
        return self.parts.take()

    def read_sentinel(self) -> None:
        self.conclude()

    def judge_end(self) -> None:
        if self._is_bare and self.error is None:
            # A body without SSE events has no `[DONE]`: its end is the end of the answer.
            self.conclude()

    def shortcut(
        self, unit: Unit, max_size: int, before: bytes = b"", after: bytes = b""
    ) -> Callable[[bytes], Event | None] | None:
        """Return a function that reads a chunk with one piece of text on one line, or None.

        The result is None before the first piece of text has arrived, and if `unit` is not "event".
        """
        part = self._fast_part
        if part is None or unit != "event":
            return None
        joiner, index = self.joiner, part.index

        def read(chunk: bytes) -> Event | None:
            found = _match_one_line(chunk)
            # `[DONE]` may be the end of the answer.
            if found is None or b"[DONE]" in chunk or len(chunk) > max_size or part.closed:
                return None
            try:
                text = found[1].decode()
            except UnicodeDecodeError:
                return None
            self.frames += 1
            # `joiner` is the text to put between two pieces.
            return TextDelta(joiner + text, part=index, raw=text)

        return read

    def add_text(self, text: str) -> None:
        """Add a piece to the text, after the joiner; the first piece opens the part."""
        part = self._part
        if part is None:
            part = self._open_part()
            # A stage must see each piece on its way through the parts.
            self._fast_part = part if self.shortcuts and self.parts.stage is None else None
        else:
            text = self.joiner + text
        self.parts.add(part, text)

    def _open_part(self) -> OpenPart:
        self.parts.head()
        self._part = self.parts.open(0, BLANK_TEXT)
        return self._part


def _check_no_proof(payload: bytes, limits: Limits) -> None:
    """Raise an error for a payload of another format: the text so far has been no text."""
    from tokenstream.formats._detect.recognise import find_proof

    name = find_proof(payload, limits)
    if name is not None:
        msg = f"bare text came, and then a payload of the format {name}; name the format that is meant"
        raise ProtocolError(msg, offset=0)


def _decode_object(payload: bytes) -> JsonObject:
    try:
        value = decode(payload)
    except ProtocolError:
        value = None
    return value if is_dict(value) else {}


def _read_server_error(payload: bytes) -> ProviderError | None:
    """Return the server's error if a payload is one; None if it is a piece of text."""
    if not payload.startswith(b"{") or b'"error"' not in payload:
        return None
    value = _decode_object(payload)
    if text_of(value, "error") or text_of(dict_of(value, "error"), "message"):
        return provider_error(value)
    return None


def text(*, joiner: str = "") -> Text:
    """Return the format for bare text in `data:` lines, to be passed as `format=`.

    Args:
        joiner: Text to put between two pieces, for servers that send whole words.

    Example:
        >>> text(joiner=" ").joiner
        ' '
    """
    return Text(joiner=joiner)
