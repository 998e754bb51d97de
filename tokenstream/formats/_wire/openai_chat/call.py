"""One tool call, as far as its fragments have arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import is_one_value
from tokenstream.formats._kit.whole import Wholeness

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.formats._wire.openai_chat.fragment import Fragment


class ChatCall:
    """A tool call of which a fragment has arrived; its part is opened once the call has a name."""

    __slots__ = (
        "checked_length",
        "fields",
        "has_nameless_fragment",
        "id",
        "index",
        "is_reported",
        "is_waiting",
        "last_list",
        "name",
        "part",
        "pending",
        "type",
        "wholeness",
    )

    def __init__(self, fragment: Fragment) -> None:
        # The call's identity, as far as it has arrived.
        self.id = fragment.id
        self.index: int | str | None = None
        self.name = ""
        self.has_nameless_fragment = False
        """True if a later fragment had no name: another fragment with a name then begins another call."""
        self.type = fragment.type
        # The call in the message.
        self.part: OpenCall | None = None
        """The call in the message; None until the name arrives."""
        self.is_waiting = False
        """True if the call has a name that another piece may continue, and is not opened yet."""
        self.is_reported = False
        """True once the call was reported as an opaque part, because it had no name."""
        self.pending: list[object] = []
        """Arguments held back until the name arrives."""
        self.fields: dict[str, Any] = {}
        """Fields that only this provider has."""
        # The argument text.
        self.wholeness = Wholeness()
        """Follows the brackets of the argument text, to notice when it is whole."""
        self.checked_length = 0
        """Number of characters of the argument text that `wholeness` has read."""
        self.last_list = -1
        """Number of the last list (`tool_calls` of a delta) that contained this call."""

    def arguments_from(self, start: int) -> str:
        """Return the argument text from position `start` on."""
        part = self.part
        if part is None:
            return ""
        return (part.arguments.join() + part.placeholder)[start:]

    @property
    def is_whole(self) -> bool:
        """True if the call is closed, or its arguments are one whole JSON object or array, or free text."""
        part = self.part
        if part is None:
            return False
        if part.closed:
            # A closed call takes no more fragments.
            return True
        if part.type == "custom":
            # Its arguments are free text.
            return part.has_arguments
        if part.placeholder:
            # Either `{}`, or what a fragment adds that may have repeated the arguments.
            return is_one_value(self.arguments_from(0))
        self.wholeness.add(part.arguments.since(self.checked_length))
        self.checked_length = part.arguments.length
        return self.wholeness.whole
