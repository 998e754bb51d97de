"""Comparison of what follows the end of a tool call with its arguments, which it may only repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.contents import ContentParts
from tokenstream.formats._kit.late import LateArguments, is_other_value
from tokenstream.formats._kit.values import json_text

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall


class EndedCalls(ContentParts):
    """Compares what follows the end of a call with the arguments that were handed out."""

    __slots__ = ()

    def add_late(self, choice: int, sent_id: str, fragment: object) -> None:
        """Read a fragment for a call that is closed: it may repeat the arguments, but not change them.

        A fragment for a call that was not handed out is dropped.

        Args:
            choice: The choice of the call.
            sent_id: The id that the server sent with the call.
            fragment: The fragment, as text or as a JSON value; None if there is none.

        Raises:
            ProtocolError: The fragment is of other arguments than those that were handed out.
        """
        text = _text_of(fragment)
        if not text or text.isspace():
            # White space adds nothing to arguments, so it is not a departure.
            return
        state = self.choice(choice)
        finished = state.handed_out.get(sent_id)
        if finished:
            call = finished[-1][1]
            late = state.late.get(sent_id)
            if late is None:
                late = state.late[sent_id] = LateArguments(call.arguments_text, is_json=call.type != "custom")
            if late.contradicts(text):
                raise self._find_contradiction()
        self.note("call_after_done")

    def compare_told(self, choice: int, sent_id: str, arguments: object) -> None:
        """Compare all arguments of a call, which the server sends again, with those that were handed out.

        Args:
            choice: The choice of the call.
            sent_id: The id that the server sent with the call.
            arguments: JSON text, or a JSON value; nothing is compared with None and with an empty text.

        Raises:
            ProtocolError: The arguments are others than those that were handed out.
        """
        text = _text_of(arguments)
        finished = self.choice(choice).handed_out.get(sent_id)
        if not text or text.isspace() or not finished:
            return
        if all(is_other_value(text, call.arguments_text) for _, call in finished):
            raise self._find_contradiction()

    def compare_open(self, call: OpenCall, arguments: str) -> None:
        """Compare all arguments of a call, which the server tells at its end, with the pieces of them.

        Args:
            call: The call, which has not been handed out.
            arguments: The arguments, as JSON text.

        Raises:
            ProtocolError: The pieces are other arguments.
        """
        if is_other_value(arguments, call.arguments.join() + call.placeholder):
            self.note("late_content")
            # Stored as well, because no finish reason makes up for it.
            self.difference = ProtocolError(
                "the end of a tool call tells other arguments than its pieces; the call was not handed out"
            )
            raise self.difference

    def _find_contradiction(self) -> ProtocolError:
        """Return the error for other arguments of a call that was handed out, and count it."""
        self.note("late_content")
        # Stored as well, because no finish reason makes up for it.
        self.difference = ProtocolError(
            "a tool call was handed out, and the server then sends other arguments for it; the call may have "
            "been run with arguments that were not meant"
        )
        return self.difference


def _text_of(arguments: object) -> str:
    """Return arguments, or a piece of them, as text; "" for None."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json_text(arguments)
