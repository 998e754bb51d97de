"""Arguments of a call that a server sends again: whole, after their fragments, or as they grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import is_one_value, looks_whole
from tokenstream.formats._kit.values import canonical_json
from tokenstream.formats._kit.whole import may_go_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenCall

OPENING = frozenset("{[")
"""The first characters of a fragment that may repeat the arguments so far."""

MOST_SPREAD = 8
"""A JSON text is compared as a value with an earlier one that is at most this many times as long."""


class RepeatedArguments:
    """Finds what is new in the fragments of one call, which are pieces or repeat the arguments so far.

    A fragment that begins with all arguments so far repeats them if the arguments followed by it cannot be
    JSON. If they can, as `{"a":` and `{"a": 1}` can, the fragment is held back: the next fragment decides,
    or the end of the call. Quirk (OmniRoute#3762): a gateway sends the arguments like that.
    """

    __slots__ = ("_canonical", "_grows", "held")

    def __init__(self) -> None:
        self._grows = False
        """True once a fragment has repeated arguments that were not whole."""
        self._canonical: tuple[int, str | None] | None = None
        """The length and canonical form of the arguments when they were last compared; None before that."""
        self.held = ""
        """The fragment held back; the call's `placeholder` is what the fragment adds if none follows."""

    def find_new(self, text: str, call: OpenCall, note: Callable[[str], None]) -> str:
        """Return what a fragment adds to the arguments of a call; "" while it is held back.

        Args:
            text: The fragment.
            call: The call, which has arguments.
            note: Counts a departure of the server from its documentation.
        """
        if self.held:
            # This fragment decides about the one before it, which was held back. If it begins with that one,
            # both repeat the arguments so far; otherwise, both are pieces.
            held, self.held, call.placeholder = self.held, "", ""
            extends_held = text.startswith(held) and text != held
            # A fragment that is the same again adds nothing, and so proves nothing, unless it is whole.
            repeats_whole = text == held and is_one_value(text)
            self._grows = extends_held or repeats_whole
            if not self._grows:
                return held + text
        # Texts of equal values have similar lengths; comparing any others would cost more than was sent.
        similar = call.has_id and looks_whole(text) and call.arguments.length <= MOST_SPREAD * len(text)
        if similar and self.are_equal(text, call):
            note("call_repeated")
            return ""
        if not self._grows and len(text) <= call.arguments.length:
            # The usual case: a fragment that repeats all arguments so far would be longer than they are.
            return text
        arguments = call.arguments.join()
        if not self._grows:
            self._judge(text, arguments, call)
        if self.held:
            return ""
        if not self._grows:
            # The fragment is a piece.
            return text
        # The fragment repeats the arguments so far; only what follows them is new.
        if text.startswith(arguments):
            note("arguments_repeated")
            return text[len(arguments) :]
        if not arguments.startswith(text):
            note("text_rewritten")
        return ""

    def are_equal(self, arguments: object, call: OpenCall) -> bool:
        """Return True if arguments are the same JSON value as those of a call.

        Args:
            arguments: JSON text, or a decoded value.
        """
        own = call.arguments.join() + call.placeholder
        # Stored, since any number of fragments may be compared with the call.
        if self._canonical is None or self._canonical[0] != len(own):
            self._canonical = len(own), canonical_json(own)
        return self._canonical[1] is not None and self._canonical[1] == canonical_json(arguments)

    def _judge(self, text: str, arguments: str, call: OpenCall) -> None:
        """Set `_grows` if a fragment repeats the arguments so far; hold it back if that is uncertain.

        Args:
            text: The fragment.
            arguments: The arguments so far.
            call: The call; its `placeholder` becomes what the fragment adds if no other one follows.
        """
        if not text.startswith(arguments) or is_one_value(arguments):
            return
        # If the fragment cannot be a piece, because JSON forbids it after the arguments, it is a repetition.
        self._grows = not may_go_on(arguments + text)
        if not self._grows:
            # If no fragment follows, it counts as a repetition only if that makes the arguments whole.
            repeats = is_one_value(text) and not is_one_value(arguments + text)
            self.held, call.placeholder = text, text[len(arguments) :] if repeats else text
