"""Templates for the chunks of an open part: only the piece of text differs from chunk to chunk.

The bytes around the piece are found once, and then used for all later pieces of the part.
"""

from __future__ import annotations

from functools import partial
from json.encoder import encode_basestring
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import AnyEvent, Json

PieceKey: TypeAlias = "tuple[type, int, int | None]"
"""The key of the pieces that share a template: class of event, choice and part."""
ChunkEnds: TypeAlias = "tuple[bytes, bytes]"
"""The bytes before and after a piece in its chunk."""
Template: TypeAlias = "Callable[[str], bytes]"
"""A template: a function that puts a piece of text into its chunk."""
TextRecorder: TypeAlias = "Callable[[str], object]"
"""A function that keeps the text of a piece."""
Writer: TypeAlias = "Callable[[Any], bytes | None]"
"""A function that makes the chunk of an event; None for an event that the template does not fit."""

# The probe is not ASCII: it is not found if an unpaired surrogate has forced escapes in the whole chunk.
PROBE = "¿piece?"


TEXTS: dict[type, Callable[[Any], str]] = {
    TextDelta: attrgetter("text"),
    ReasoningDelta: lambda event: event.text if event.signature is None else "",
    RefusalDelta: attrgetter("text"),
    ToolCallDelta: attrgetter("fragment"),
    PartDelta: attrgetter("fragment"),
}
"""Maps each class of pieces to a function that returns the text, or "" if the event has more than text."""


def is_piece(event: object) -> bool:
    """Return True if an event contains a piece of a part's text, and nothing else."""
    return event.__class__ in TEXTS and getattr(event, "signature", None) is None


def string(text: str) -> bytes:
    r"""Return text as a JSON string, in the same bytes that `to_json_bytes` returns."""
    # In half the time of `to_json`, which is made for any value.
    return encode_basestring(text).encode()


def find_surroundings(
    payload: object, text: str, frame: Callable[[Any], bytes], as_json: Callable[[str], bytes]
) -> ChunkEnds | None:
    r"""Return the bytes before and after a piece in its chunk; None if they cannot be determined.

    A probe, which is a fixed text, takes the piece's place; the chunk is then split at the probe. This fails
    if the probe is not in the chunk, or is in it twice because another value equals the piece.
    """
    probe = as_json(PROBE)
    head, separator, tail = frame(_replace_text(payload, text)).partition(probe)
    # If another value in the payload equals the piece, there are two probes, and no template is possible.
    has_one_probe = separator and probe not in tail
    return (head, tail) if has_one_probe else None


def make_writer(event: AnyEvent, template: Template) -> Writer:
    """Return a function that makes the chunks of the later pieces of a part."""
    kind = event.__class__
    read = partial(_fragment_of_call, event.id) if kind is ToolCallDelta else TEXTS[kind]

    def write(event: AnyEvent) -> bytes | None:
        """Return the chunk of a later piece; None if the template does not fit the event."""
        # Empty also for a fragment of another call.
        text = read(event)
        try:
            return template(text) if text else None
        except ValueError:
            # An unpaired surrogate forces escapes in the whole chunk.
            return None

    return write


def add_number(
    make_template: Callable[[bytes], Template], head: bytes, field: bytes, count: Callable[[], int]
) -> Template:
    """Return a template that makes the chunk of a text with the next event number in it.

    `field` is the bytes just before the number in `head`, the bytes before the text; the template for the
    bytes after the number comes from `make_template`.
    """
    # Cut the old number out of the bytes before the text.
    before_field, _, number_and_rest = head.partition(field)
    before_number = before_field + field
    make_rest = make_template(number_and_rest.lstrip(b"0123456789"))

    def make_chunk(text: str) -> bytes:
        # The number is used up only if the chunk can be made.
        rest = make_rest(text)
        return b"%b%d%b" % (before_number, count(), rest)

    return make_chunk


def _fragment_of_call(id: str, event: ToolCallDelta) -> str:
    """Return the fragment of a call's arguments; "" if the event belongs to another call."""
    return event.fragment if event.id == id else ""


def _replace_text(value: object, text: str) -> Json:
    """Return a JSON value with each string equal to `text` replaced by the probe, a fixed text."""
    if is_dict(value):
        return {key: _replace_text(each, text) for key, each in value.items()}
    if is_list(value):
        return [_replace_text(each, text) for each in value]
    return PROBE if isinstance(value, str) and value == text else value
