"""Texts of servers whose every chunk has a whole message: is it the text so far, or a piece of the text?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class GrowingTexts:
    """Finds what is new in texts that a server sends again and again, either growing or in pieces.

    The first text is new in both cases. A later text that does not begin with the text so far proves
    pieces. A text that does is ambiguous: `1` and then `10` may be "10" or "110". It is held back until
    the next text decides, and the decision is for good, and for all texts of the answer.

    Args:
        note: Counts a departure.
        report_change: Called with the key and the text if a text that grows was changed.
        grows: True if each text is known to contain the ones before it; False if each text is known
            to be a piece; None to find out.

    Example:
        >>> texts = GrowingTexts(print, print)
        >>> texts.read("content", "1"), texts.read("content", "10"), texts.read("content", "102")
        ([('content', '1')], [], [('content', '02')])
        >>> texts = GrowingTexts(print, print)
        >>> texts.read("content", "1"), texts.read("content", "10"), texts.read("content", "0")
        ([('content', '1')], [], [('content', '10'), ('content', '0')])
    """

    __slots__ = ("_given", "_has_grown", "_held", "_latest", "_report_change", "grows", "note")

    def __init__(
        self,
        note: Callable[[str], None],
        report_change: Callable[[str, str], None],
        *,
        grows: bool | None = None,
    ) -> None:
        self.grows = grows
        """True if the texts grow, False if they are pieces, None as long as this is unknown."""
        self.note = note
        self._report_change = report_change
        self._has_grown = False
        """True once a text was longer than the one before it, and began with it, or once this is settled."""
        self._latest: dict[str, str] = {}
        """The longest text so far under each key; empty once the texts are known to be pieces."""
        self._given: dict[str, int] = {}
        """The number of characters of the latest text that were new, and not held back."""
        self._held: dict[str, list[str]] = {}
        """The texts held back under each key, as they arrived."""

    @property
    def holds(self) -> bool:
        """True if a text is held back."""
        return bool(self._held)

    def has(self, key: str) -> bool:
        """Return True if a text with this key has arrived, as long as the texts are not pieces."""
        return key in self._latest

    def continues(self, key: str, text: str) -> bool:
        """Return True if a text begins with the one before it."""
        return text.startswith(self._latest.get(key, ""))

    def judge(self, texts: Mapping[str, str], *, begins_other: bool) -> list[tuple[str, str]]:
        """Decide by a message as a whole, before its texts are read, if a text is held back.

        A message that leaves a held-back text out, because the answer goes on with other content,
        is no whole message. One that repeats the text beside the other content is one.

        Args:
            texts: The texts of the message; "" for a text that the server sent empty.
            begins_other: True if other content than texts begins in the message.

        Returns:
            The keys and texts that are new.
        """
        begins_other = begins_other or any(text and key not in self._latest for key, text in texts.items())
        for key in self._held:
            text = texts.get(key, "")
            if not text and (begins_other or key in texts):
                return self.settle(grows=False)
            if begins_other and text == self._latest[key]:
                return self.settle(grows=True)
        return []

    def read(self, key: str, text: str) -> list[tuple[str, str]]:
        """Return the keys and texts that are new because of a text; the last of them is the text's own.

        Args:
            key: Names the text among the texts of the answer.
            text: The text: all of it so far, or its next piece.
        """
        if self.grows is False:
            return [(key, text)]
        earlier = self._latest.get(key)
        if not text or not earlier:
            if text:
                self._latest[key], self._given[key] = text, len(text)
            return [(key, text)]
        if self.grows:
            return self._read_grown(key, text, earlier)
        if not text.startswith(earlier):
            return [*self.settle(grows=False), (key, text)]
        self._held.setdefault(key, []).append(text)
        if text == earlier:
            # A repetition adds nothing to a text that grows, and so decides nothing.
            return []
        self._latest[key] = text
        if self._has_grown:
            return self.settle(grows=True)
        self._has_grown = True
        return []

    def settle(self, *, grows: bool) -> list[tuple[str, str]]:
        """Decide how the texts are sent, and return the keys and texts that were held back."""
        self.grows = self._has_grown = grows
        if grows:
            owed = [(key, self._latest[key][self._given[key] :]) for key in self._held]
        else:
            owed = [(key, "".join(pieces)) for key, pieces in self._held.items()]
            self._latest.clear()
        self._held.clear()
        return owed

    def settle_at_end(self) -> list[tuple[str, str]]:
        """Return the keys and texts that are held back at the end; without a proof, a text has grown.

        All servers that are known to send whole messages let them grow unless the request says otherwise.
        """
        if not self._held:
            return []
        self.note("text_ambiguous")
        return self.settle(grows=True)

    def _read_grown(self, key: str, text: str, earlier: str) -> list[tuple[str, str]]:
        """Return what a text has more than the one before it; text that was given is never taken back."""
        if text.startswith(earlier):
            self._latest[key] = text
            self._has_grown = self._has_grown or text != earlier
            return [(key, text[len(earlier) :])]
        if not self._has_grown and not earlier.startswith(text):
            # The server was asked for texts that grow, but sends pieces.
            return [*self.settle(grows=False), (key, text)]
        self.note("text_rewritten")
        if not earlier.startswith(text):
            self._report_change(key, text)
        return []
