"""The tool calls of a LangChain message, assembled from chunks.

A chunk has the index of its call. A chunk without an index is a whole call if
it has a name; otherwise it continues the last call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import text_of
from tokenstream.formats._kit.values import json_text
from tokenstream.message import OpaquePart

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._kit.parts import Parts


class LangChainCalls:
    """The tool calls of one answer.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_by_id", "_by_index", "_last_call", "_parts")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._by_index: dict[int | str, OpenCall] = {}
        """The call that began last at each index."""
        self._by_id: dict[str, OpenCall] = {}
        """The call that began first with each id."""
        self._last_call: OpenCall | None = None
        """The call that began last; it may be closed."""

    def read(self, chunk: dict[str, Any]) -> None:
        """Read a chunk of a call, or a whole call, whose arguments may be JSON values instead of text."""
        sent_index = chunk.get("index")
        index = sent_index if isinstance(sent_index, int | str) else None
        call = self._find_or_begin_call(chunk, index)
        arguments = chunk.get("args")
        if call is None:
            # An empty chunk has nothing to report.
            if text_of(chunk, "id") or arguments:
                self._parts.note("call_nameless")
                self._parts.whole(0, OpaquePart(type="tool_call", data=chunk))
            return
        text = _text_of_arguments(arguments)
        if arguments is None or not text:
            # The chunk only begins the call, or repeats its id.
            return
        if call.closed:
            self._parts.add_late(0, call.sent_id, text)
        else:
            self._parts.add_arguments(call, text)

    def read_again(self, call: dict[str, Any]) -> None:
        """Read a whole call that chunks may have contained before; those calls are found by their ids."""
        known = self._by_id.get(text_of(call, "id") or "")
        if known is None:
            self.read(call)
        elif known.closed:
            self._parts.note("call_repeated")
            self._parts.compare_told(0, known.sent_id, call.get("args"))
        else:
            # Arguments that are repeated whole add only what is missing.
            self._parts.add_arguments(known, _text_of_arguments(call.get("args")))

    def _find_or_begin_call(self, chunk: dict[str, Any], index: int | str | None) -> OpenCall | None:
        """Return the call that a chunk continues or begins.

        Return None if the chunk begins a call, but has no name for it.
        """
        id, name = text_of(chunk, "id"), text_of(chunk, "name")
        if index is not None:
            call = self._by_index.get(index)
        elif name is not None:
            # Without an index, only a whole call has a name.
            call = None
        else:
            call = self._last_call
        # A chunk without a name can only continue a call, even if its id is another one.
        continues = call is not None and (id is None or id == call.sent_id)
        if continues or name is None:
            return call
        self._end_last_call()
        call = self._last_call = self._parts.open_call(0, id, name, number=index)
        if index is not None:
            self._by_index[index] = call
        if id is not None:
            self._by_id.setdefault(id, call)
        return call

    def _end_last_call(self) -> None:
        """Hand out the last call, because a new one begins; if its arguments are not whole, leave it open."""
        last = self._last_call
        if last is not None and last.has_arguments and not last.closed and self._parts.is_whole(last):
            self._parts.close_call(last)


def _text_of_arguments(arguments: object) -> str:
    """Return a call's arguments as text: LangChain sends text, or the JSON value that it has parsed."""
    if isinstance(arguments, str):
        return arguments
    return json_text({} if arguments is None else arguments)
