"""Arguments of a call that a server sends again as they grow, fragment by fragment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.json import is_one_value
from tokenstream.formats._kit.beginning import may_go_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenCall


class GrowingArguments:
    """Finds what is new in the fragments of one call, which are pieces or repeat the arguments so far.

    A fragment that begins with all arguments so far repeats them if the two are no JSON one after the
    other. If they are, as `{"a":` and `{"a": 1}` are, the fragment is held back: the next fragment decides,
    or the end of the call. Quirk (OmniRoute#3762): a gateway sends the arguments like that.
    """

    __slots__ = ("_grows", "_held")

    def __init__(self) -> None:
        self._grows = False
        """True once a fragment has repeated the arguments."""
        self._held = ""
        """The fragment that is held back; the call's placeholder is what it adds if the call ends here."""

    def find_new(self, text: str, call: OpenCall, note: Callable[[str], None]) -> str:
        """Return what a fragment adds to the arguments of a call; "" while it is held back.

        Args:
            text: The fragment.
            call: The call, which has arguments.
            note: Counts a departure.
        """
        held, self._held, call.placeholder = self._held, "", ""
        if held:
            # A fragment that is the same again adds nothing, and so proves nothing, unless it is whole.
            self._grows = text.startswith(held) and (text != held or is_one_value(text))
            if not self._grows:
                return held + text
        # The usual case, in which nothing is compared: a fragment is shorter than the arguments so far.
        if not self._grows and (len(text) <= call.arguments.length or text[:1] not in {"{", "["}):
            return text
        arguments = call.arguments.join()
        if not self._grows and not self._begins_to_grow(text, arguments, call):
            return "" if self._held else text
        if text.startswith(arguments):
            note("arguments_repeated")
            return text[len(arguments) :]
        if not arguments.startswith(text):
            note("text_rewritten")
        return ""

    def _begins_to_grow(self, text: str, arguments: str, call: OpenCall) -> bool:
        """Return True if a fragment repeats the arguments so far; hold it back if that is uncertain."""
        if not text.startswith(arguments) or is_one_value(arguments):
            return False
        self._grows = not may_go_on(arguments + text)
        if not self._grows:
            repeats = is_one_value(text) and not is_one_value(arguments + text)
            self._held, call.placeholder = text, text[len(arguments) :] if repeats else text
        return self._grows
