"""The results of tools that a provider runs, for encoders that send a result whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import to_json_bytes
from tokenstream.message import ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.events import PartDone, PartStart


class ServerResults:
    """The results whose parts have begun and not ended; a result may grow until its part ends.

    Example:
        >>> from tokenstream.events import PartDone, PartStart
        >>> results = ServerResults()
        >>> results.begin(PartStart(ServerToolResult(id="srv_1", content=7)))
        >>> results.end(PartDone()).content
        7
    """

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], ServerToolResult] = {}
        """The last start of each open part, by choice and part."""

    def begin(self, event: PartStart) -> None:
        """Keep the content of a part's start, if it is a result."""
        if isinstance(event.content, ServerToolResult):
            self._open[event.choice, event.part] = event.content

    def end(self, event: PartDone) -> ServerToolResult | None:
        """Return the complete result whose part has ended; None for another part, or a second end."""
        started = self._open.pop((event.choice, event.part), None)
        return (
            event.content if started is not None and isinstance(event.content, ServerToolResult) else started
        )


def text_of_result(content: Json) -> str:
    """Return the content of a result as text: JSON, unless it is a text.

    Example:
        >>> text_of_result("7 degrees"), text_of_result({"degrees": 7}), text_of_result(None)
        ('7 degrees', '{"degrees":7}', '')
    """
    if content is None:
        return ""
    return content if isinstance(content, str) else to_json_bytes(content).decode()
