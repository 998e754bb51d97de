"""What is open: choices, parts and tool calls that can still grow, and characters that are not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from tokenstream._log import TextLog
from tokenstream.formats._read import is_dict, is_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Finish
    from tokenstream.message import ToolCall

__all__ = ["NO_PART", "Choice", "OpenCall", "OpenPart", "join_halves", "mend"]

ValueT = TypeVar("ValueT")


class OpenPart:
    """A part that can still grow."""

    __slots__ = ("choice", "closed", "held", "index", "kind")

    def __init__(self, kind: str, choice: int, index: int) -> None:
        self.kind = kind
        self.choice = choice
        self.index = index
        self.closed = False
        self.held = ""
        """The first half of a surrogate pair whose other half has not come."""


NO_PART = OpenPart("opaque", 0, -1)
"""Stands for a part that is not there yet."""
NO_PART.closed = True


class OpenCall(OpenPart):
    """A tool call that can still grow; its argument text is needed to tell its end."""

    __slots__ = (
        "arguments",
        "earlier",
        "id",
        "name",
        "number",
        "placeholder",
        "provider_data",
        "sent",
        "type",
    )

    def __init__(
        self,
        choice: int,
        index: int,
        *,
        id: str,
        name: str,
        type: str,  # noqa: A002 - the field's name
        provider_data: dict[str, Any] | None,
        number: object = None,
    ) -> None:
        super().__init__("tool_call", choice, index)
        self.id = self.sent = id
        """The id that it has, and the one it came with, which an earlier call may have."""
        self.number = number
        """Its index on the wire; None where it has none."""
        self.earlier: list[ToolCall] = []
        """The calls it has repeated word for word so far; while there are any, no event has told of it."""
        self.name = name
        self.type = type
        self.provider_data = provider_data
        self.arguments = TextLog()
        self.placeholder = ""
        """An empty object that is its arguments, or stands before them: what follows tells."""

    @property
    def has_arguments(self) -> bool:
        """Whether any argument text has come."""
        return self.arguments.length > 0

    @property
    def begins_object(self) -> bool:
        """Whether the arguments begin as a JSON object does, whose end cannot be mistaken."""
        return self.arguments.join().lstrip().startswith("{")


class Choice:
    """What is known of one alternative answer."""

    __slots__ = (
        "calls_seen",
        "finish",
        "finish_message",
        "flow",
        "handed_out",
        "index",
        "next_part",
        "opened",
        "reader",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.next_part = 0
        self.flow: OpenPart | None = None
        """The part that pieces without a mark of their own belong to."""
        self.opened: dict[int, OpenPart] = {}
        """Every open part, by index."""
        self.calls_seen = 0
        """How many calls of the application's tools it has made."""
        self.handed_out: dict[str, list[tuple[object, ToolCall]]] = {}
        """Under every id that a call came with, those that were handed out, with their index on the wire."""
        self.finish: Finish | None = None
        self.finish_message: str | None = None
        """The provider's sentence on why it ended."""
        self.reader: Any = None
        """What the format keeps for the choice, if anything."""

    def calls(self) -> list[OpenCall]:
        """Return the open calls, in order of arrival."""
        return [part for part in self.opened.values() if isinstance(part, OpenCall)]


def join_halves(part: OpenPart, text: str, note: Callable[[str], None]) -> str:
    """Join halves of surrogate pairs; keep back a first half at the end, and replace those without another.

    Args:
        part: The part that the text belongs to; what is kept back is on it.
        text: The text, not empty.
        note: Counts a departure.
    """
    if part.held:
        text, part.held = part.held + text, ""
    if _is_whole(text):
        return text
    if "\ud800" <= text[-1] <= "\udbff":
        part.held, text = text[-1], text[:-1]
    whole = _mend_text(text)
    if "\ufffd" in whole and "\ufffd" not in text:
        note("lone_surrogate")
    return whole


def mend(value: ValueT) -> ValueT:
    r"""Return a value whose texts hold no half of a surrogate pair: no JSON and no UTF-8 can carry one.

    Example:
        >>> mend({"id": "a\ud800", "n": 1})
        {'id': 'a�', 'n': 1}
    """
    mended: Any = value
    if isinstance(value, str):
        mended = value if _is_whole(value) else _mend_text(value)
    elif is_dict(value):
        mended = {mend(key): mend(inner) for key, inner in value.items()}
    elif is_list(value):
        mended = [mend(inner) for inner in value]
    elif isinstance(value, BaseModel):
        mended = value.model_copy(update={name: mend(inner) for name, inner in value})
    result: ValueT = mended
    return result


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mend_text(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
