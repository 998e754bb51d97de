"""The bytes around the pieces of an open part, which stay the same from one piece to the next."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import to_json

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._read import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Around",
    "Place",
    "Wrap",
    "Writer",
    "around",
    "is_piece",
    "keeping",
    "numbered",
    "string",
    "writer",
]

Place: TypeAlias = "tuple[type, int, int | None]"
"""What pieces have in common that are told alike: their class, their choice and their part."""
Around: TypeAlias = "tuple[bytes, bytes]"
"""What stands before a piece in its chunk, and what stands behind it."""
Wrap: TypeAlias = "Callable[[str], bytes]"
"""Makes the chunk of a piece."""
Writer: TypeAlias = "Callable[[Any], bytes | None]"
"""Makes the chunk of an event; None where the event says more than a piece, or half of a character."""

# No ASCII: where half of a character elsewhere in the payload has all others escaped, it is not found again.
_PROBE = "¿piece?"


def _unsigned(event: ReasoningDelta) -> str:
    """Return the text of reasoning; "" where there is a signature besides."""
    return event.text if event.signature is None else ""


TEXTS: dict[type, Callable[[Any], str]] = {
    TextDelta: attrgetter("text"),
    ReasoningDelta: _unsigned,
    RefusalDelta: attrgetter("text"),
    ToolCallDelta: attrgetter("fragment"),
    PartDelta: attrgetter("fragment"),
}
"""How the text of a piece is read, by the event; "" where that says more."""


def is_piece(event: object) -> bool:
    """Tell whether an event is a piece of a part, and nothing besides.

    Example:
        >>> is_piece(ReasoningDelta("Hm")), is_piece(ReasoningDelta("Hm", signature="proof"))
        (True, False)
    """
    return event.__class__ in TEXTS and getattr(event, "signature", None) is None


def string(text: str) -> bytes:
    r"""Return text as a JSON string, in the same bytes as `written` does.

    Raises:
        ValueError: It has half of a surrogate pair.

    Example:
        >>> string("größer")
        b'"gr\xc3\xb6\xc3\x9fer"'
    """
    return to_json(text)


def around(payload: Any, text: str, frame: Callable[[Any], bytes], as_json: Wrap) -> Around | None:  # noqa: ANN401 - any JSON value
    r"""Return what stands around a piece in its chunk; None where that cannot be told.

    The piece is exchanged for a probe, and the chunk cut where the probe stands.

    Args:
        payload: JSON with the piece in it.
        text: The piece.
        frame: Makes the chunk of a payload.
        as_json: Makes the string in which the format writes a piece.

    Example:
        >>> around({"delta": "Hel"}, "Hel", lambda payload: b"<%b>" % to_json(payload), string)
        (b'<{"delta":', b'}>')
        >>> around({"type": "text", "delta": "text"}, "text", to_json, string)
    """
    probe = as_json(_PROBE)
    head, found, tail = frame(_exchanged(payload, text)).partition(probe)
    # A piece may be a word that stands elsewhere in the payload, too.
    return (head, tail) if found and probe not in tail else None


def writer(event: Any, wrap: Wrap) -> Writer:  # noqa: ANN401 - a piece
    """Return what makes the chunks of the pieces that are told like one of them.

    Args:
        event: That piece, for which `is_piece` holds.
        wrap: Makes the chunk of a text.
    """
    kind = event.__class__
    read = partial(_of_call, event.id) if kind is ToolCallDelta else TEXTS[kind]

    def write(event: Any) -> bytes | None:  # noqa: ANN401 - an event of the same place
        text = read(event)
        try:
            return wrap(text) if text else None
        except ValueError:
            # Half of a surrogate pair, for which all else in the chunk is written as escapes.
            return None

    return write


def keeping(wrap: Wrap, keep: Callable[[str], object]) -> Wrap:
    """Return what makes the chunk of a text and then keeps the text.

    Args:
        wrap: Makes the chunk.
        keep: Takes the text.
    """

    def both(text: str) -> bytes:
        chunk = wrap(text)
        keep(text)
        return chunk

    return both


def numbered(wrap: Callable[[bytes], Wrap], head: bytes, field: bytes, count: Callable[[], int]) -> Wrap:
    """Return what makes the chunk of a text, with the number that it has among all events.

    Args:
        wrap: Returns what makes the rest of the chunk, given what stands between the number and the text.
        head: What stands before the text in a chunk that was sent.
        field: What stands before the number.
        count: Returns the next number.

    Example:
        >>> make = numbered(lambda rest: lambda text: rest + string(text), b'{"n":7,"t":', b'"n":', lambda: 8)
        >>> make("lo")
        b'{"n":8,"t":"lo"'
    """
    start, _, rest = head.partition(field)
    start, make = start + field, wrap(rest.lstrip(b"0123456789"))

    def both(text: str) -> bytes:
        rest = make(text)
        return b"%b%d%b" % (start, count(), rest)

    return both


def _of_call(id: str, event: ToolCallDelta) -> str:
    """Return more of the arguments of a call; "" where the event is one of another call."""
    return event.fragment if event.id == id else ""


def _exchanged(value: Any, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return JSON with the probe in place of a text."""
    if is_dict(value):
        return {key: _exchanged(each, text) for key, each in value.items()}
    if is_list(value):
        return [_exchanged(each, text) for each in value]
    return _PROBE if isinstance(value, str) and value == text else value
