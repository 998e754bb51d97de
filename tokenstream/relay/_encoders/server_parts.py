"""The calls and results of tools that a provider runs, for encoders that send them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.message import ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import Json
    from tokenstream.events import PartDone, PartStart

T = TypeVar("T", ServerToolCall, ServerToolResult)

FAILED_OUTPUT = "the output of a tool that has failed"
"""The detail for the loss of an output in a protocol whose failed calls have only an error."""
_STATUS_FIELDS = frozenset({"type", "outcome", "status", "is_error"})
"""Fields of a failed tool's output that say no more than that it has failed."""


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


def says_more(output: Json, error: str) -> bool:
    """Return True if the output of a failed tool says more than its error, which was often taken from it.

    Example:
        >>> says_more({"type": "fetch_error", "error_code": "not_found"}, "not_found"), says_more("4", "cut")
        (False, True)
    """
    told = [*_leaves(output)]
    return told != [error] * len(told) and "\n".join(map(str, told)).strip() != error


def _leaves(value: Json) -> Iterator[object]:
    """Yield the values in a result that are neither empty nor a word for its status."""
    if is_dict(value):
        for name, inner in value.items():
            yield from () if name in _STATUS_FIELDS else _leaves(inner)
    elif is_list(value):
        for inner in value:
            yield from _leaves(inner)
    elif value not in (None, ""):
        yield value


def failure_texts(error: str, output: Json) -> list[str]:
    """Return what a failed tool has said as texts: the error, and the output unless it says no more.

    Example:
        >>> failure_texts("timeout", {"rows": 4}), failure_texts("timeout", "timeout")
        (['timeout', '{"rows":4}'], ['timeout'])
    """
    return [error, text_of_result(output)] if says_more(output, error) else [error]
