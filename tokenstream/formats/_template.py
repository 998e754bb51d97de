"""Recognise the next plain delta by its bytes, without decoding the payload.

From one chunk of an answer to the next, servers change the piece of text and
nothing else, save padding of random length. A template is what stays: learnt
from one payload, proved by decoding, and then compared as bytes. Whatever is
not exactly of that shape is left to the JSON decoder.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import from_json

from tokenstream._json import decode
from tokenstream.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "PADDING",
    "Path",
    "Templates",
    "TextTemplate",
    "at",
    "is_utf8",
    "places_of",
    "string_of",
    "unpadded",
]

Path: TypeAlias = tuple[str | int, ...]
"""Where in a payload a value stands."""

PADDING = frozenset({"obfuscation", "p"})
"""Fields that hide the length of the text from who listens on the wire; they say nothing."""

_PROBE = "tokenstream probe"
_PADDING = re.compile(rb'"(?:%b)"\s*:\s*"([A-Za-z0-9]*)"' % "|".join(sorted(PADDING)).encode())
_PROBE_PADDING = b"paddingprobe"
# The text may occur in the payload by chance, before it stands in its own place.
_MOST_PLACES = 8
# A template that matched so often has paid for itself.
_WORTH_LEARNING = 12
_LONGEST_WAIT = 512


class TextTemplate:
    """The bytes around the text of a payload.

    Args:
        prefix: All up to the text, with its opening quote.
        middle: All after the text, from its closing quote to the opening quote
            of the padding; to the end where there is no padding.
        tail: All after the padding, from its closing quote; empty where there is none.

    Example:
        >>> payload = {"text": "Hel", "n": 1}
        >>> template = TextTemplate.learn(b'{"text":"Hel","n":1}', payload, ("text",))
        >>> template.match(b'{"text":"lo","n":1}'), template.match(b'{"text":"lo","n":2}')
        ('lo', None)
    """

    __slots__ = ("_back", "_middle", "_prefix", "_size", "_start", "_tail")

    def __init__(self, prefix: bytes, middle: bytes, tail: bytes) -> None:
        # The quotes belong to the text: what stands between the fixed pieces is one
        # JSON string or there is no match, so any text is read as the decoder reads it.
        self._prefix = prefix[:-1]
        self._middle = middle[1:]
        self._tail = tail
        self._start = len(self._prefix)
        self._size = len(self._middle)
        self._back = -len(tail)

    def match(self, payload: bytes) -> str | None:
        """Return the text of a payload of this shape, or None for any other payload."""
        # Slices are compared because `startswith` takes half as long again.
        start, back = self._start, self._back
        if payload[:start] != self._prefix:
            return None
        if back:
            if payload[back:] != self._tail:
                return None
            written, found, padding = payload[start:back].partition(self._middle)
            # There may be none: OpenAI pads texts up to sixteen characters.
            if not padding.isalnum() and (padding or not found):
                return None
        else:
            size = self._size
            if payload[-size:] != self._middle:
                return None
            written = payload[start:-size]
        # What `string_of` does stands here once more, because a call would be a tenth of all this.
        if written[:1] != b'"' or written[-1:] != b'"':
            return None
        try:
            text: str = from_json(written)
        except ValueError:
            return None
        return text or None

    def framed(self, head: bytes, foot: bytes) -> TextTemplate | None:
        """Return the template of payloads between two fixed pieces; None where they take several lines."""
        pieces = b"".join([self._prefix, self._middle, self._tail])
        if b"\n" in pieces or b"\r" in pieces:
            return None
        prefix, middle = b'%b%b"' % (head, self._prefix), b'"' + self._middle
        if self._tail:
            return TextTemplate(prefix, middle, self._tail + foot)
        return TextTemplate(prefix, middle + foot, b"")

    @property
    def pieces(self) -> tuple[bytes, bytes, bytes]:
        """What stands before the text and its quotes, between these and the padding, and after that."""
        return self._prefix, self._middle, self._tail

    def halved(self) -> tuple[bytes, TextTemplate]:
        """Return what payloads begin with, a whole number of three bytes, and the template of the rest."""
        size = self._start - self._start % 3
        rest = TextTemplate(self._prefix[size:] + b'"', b'"' + self._middle, self._tail)
        return self._prefix[:size], rest

    @classmethod
    def learn(cls, payload: bytes, value: dict[str, Any], path: Path) -> TextTemplate | None:
        """Return the template of a payload, or None where it has none.

        Args:
            payload: The payload's bytes.
            value: The payload, decoded.
            path: Where in it the text is.
        """
        if not is_utf8(payload):
            # What was replaced must be counted each time.
            return None
        text = at(value, path)
        for start, end in places_of(payload, text, path):
            template = cls._around(payload, start + 1, end - 1)
            if template.match(payload) == text and template._proves(payload, value, path):  # noqa: SLF001 - of this class
                return template
        return None

    @classmethod
    def _around(cls, payload: bytes, start: int, end: int) -> TextTemplate:
        padding = _PADDING.search(payload, end)
        if padding is None:
            return cls(payload[:start], payload[end:], b"")
        return cls(payload[:start], payload[end : padding.start(1)], payload[padding.end(1) :])

    def _proves(self, payload: bytes, value: dict[str, Any], path: Path) -> bool:
        """Tell whether another text and other padding in their places change these and nothing else."""
        padding = _PROBE_PADDING if self._tail else b""
        probe = b"".join([self._prefix, b'"%b"' % _PROBE.encode(), self._middle, padding, self._tail])
        try:
            probed = decode(probe)
            if at(probed, path) != _PROBE:
                return False
            at(probed, path[:-1])[path[-1]] = at(value, path)
        except (ProtocolError, LookupError, TypeError):
            return False
        return unpadded(value) == unpadded(probed)


def is_utf8(payload: bytes) -> bool:
    r"""Tell whether a payload can be decoded without a replacement.

    Example:
        >>> is_utf8("é".encode()), is_utf8(b"\xff")
        (True, False)
    """
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def string_of(written: bytes) -> str | None:
    """Return the text of a JSON string with its quotes; None for anything else, and for no text.

    Example:
        >>> string_of(b'"Hel"'), string_of(b'"Hel'), string_of(b' "Hel"'), string_of(b'""')
        ('Hel', None, None, None)
    """
    # JSON allows white space around a string; a line break there would end an SSE line.
    if written[:1] != b'"' or written[-1:] != b'"':
        return None
    try:
        text: str = from_json(written)
    except ValueError:
        return None
    return text or None


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return what stands in a place.

    Example:
        >>> at({"choices": [{"text": "Hel"}]}, ("choices", 0, "text"))
        'Hel'
    """
    for step in path:
        value = value[step]
    return value


def places_of(payload: bytes, text: object, path: Path) -> Iterator[tuple[int, int]]:
    """Give where a text may stand in a payload with its quotes, start and end, under the last key of a path.

    Example:
        >>> list(places_of(b'{"id":"a","text":"a"}', "a", ("text",)))
        [(17, 20)]
    """
    quoted = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    key = b'"%b"' % str(path[-1]).encode()
    place = -1
    for _ in range(_MOST_PLACES):
        place = payload.find(quoted, place + 1)
        if place < 0:
            break
        if payload[:place].rstrip(b" :").endswith(key):
            yield place, place + len(quoted)


def unpadded(value: dict[str, Any]) -> dict[str, Any]:
    """Return a payload without what hides its length.

    Example:
        >>> unpadded({"text": "Hel", "p": "abc"})
        {'text': 'Hel'}
    """
    return {name: inner for name, inner in value.items() if name not in PADDING}


class Templates:
    """The template in use, and when it is worth looking for another one.

    Learning costs as much as reading a few payloads. Where it does not pay,
    because every payload differs, it is tried ever less often.
    """

    __slots__ = ("_learnt_at", "_others", "_path", "_patience", "_wait", "match", "template")

    def __init__(self) -> None:
        self.match: Callable[[bytes], str | None] | None = None
        """Of the template in use; None while there is none."""
        self.template: TextTemplate | None = None
        """The template in use."""
        self._path: tuple[str | int, ...] = ()
        self._learnt_at = 0
        self._others = 0
        self._patience = 1
        self._wait = 0

    def offer(self, payload: bytes, value: dict[str, Any], path: tuple[str | int, ...], frames: int) -> None:
        """Take a payload that was decoded because no template matched; learn from it if that may pay.

        Args:
            payload: The payload's bytes.
            value: The payload, decoded.
            path: Where in it the text is, which is all that it says.
            frames: How many frames there were so far.
        """
        if self.template is not None:
            self._others += 1
            # Around another field the same bytes would mean something else.
            if path == self._path and self.template.match(payload) == at(value, path):
                return
            self.drop(frames)
        self._wait -= 1
        if self._wait > 0:
            return
        template = TextTemplate.learn(payload, value, path)
        if template is None:
            self._be_patient()
            return
        self.template = template
        self.match = template.match
        self._path = path
        self._learnt_at = frames
        self._others = 0

    def drop(self, frames: int) -> None:
        """Forget the template, because a match does not tell any more what a payload means.

        Args:
            frames: How many frames there were so far.
        """
        if self.template is None:
            return
        self.match = self.template = None
        if frames - self._learnt_at - self._others >= _WORTH_LEARNING:
            self._patience = 1
            self._wait = 0
        else:
            self._be_patient()

    def _be_patient(self) -> None:
        self._patience = min(2 * self._patience, _LONGEST_WAIT)
        self._wait = self._patience
