"""The calls and results of tools that a provider runs, for encoders that send them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream._basics.json import to_json_bytes
from tokenstream.message import ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.events import PartDone, PartStart

T = TypeVar("T", ServerToolCall, ServerToolResult)


class ServerParts(Generic[T]):
    """The parts of one class that have begun and not ended; a part may grow until it ends.

    Args:
        part_class: `ServerToolCall` or `ServerToolResult`.

    Example:
        >>> from tokenstream.events import PartDone, PartStart
        >>> results = ServerParts(ServerToolResult)
        >>> results.begin(PartStart(ServerToolResult(id="srv_1", content=7)))
        >>> results.end(PartDone()).content
        7
    """

    def __init__(self, part_class: type[T]) -> None:
        self._class: type[T] = part_class
        self._open: dict[tuple[int, int], T] = {}
        """The last start of each open part, by choice and part."""

    def begin(self, event: PartStart) -> None:
        """Keep the content of a part's start, if it is of the class."""
        if isinstance(event.content, self._class):
            self._open[event.choice, event.part] = event.content

    def end(self, event: PartDone) -> T | None:
        """Return the complete part that has ended; None for a part of another class, or a second end."""
        started = self._open.pop((event.choice, event.part), None)
        return event.content if started is not None and isinstance(event.content, self._class) else started


def text_of_result(content: Json) -> str:
    """Return the content of a result as text: JSON, unless it is a text.

    Example:
        >>> text_of_result("7 degrees"), text_of_result({"degrees": 7}), text_of_result(None)
        ('7 degrees', '{"degrees":7}', '')
    """
    if content is None:
        return ""
    return content if isinstance(content, str) else to_json_bytes(content).decode()
