"""Texts of servers that send a message in every chunk: all of the text so far, or only its next piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class GrowingTexts:
    """Finds what is new in texts that a server sends again and again, either growing or in pieces.

    The first text is new in both cases. If a later text does not begin with the text so far, the server
    sends pieces. If it does, it may still be a piece: `1` and then `10` may be "10" or "110". Such a text is
    held back until the next text decides. The decision is made once, for all texts of the answer.

    Args:
        note: Counts a departure of the server from its documentation.
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
        """True if each text contains the ones before it, False if each is a piece, None if not yet known."""
        self.note = note
        self._report_change = report_change
        self._has_grown = False
        """True once a text has begun with the one before it and was longer, or once `grows` is True."""
        self._latest: dict[str, str] = {}
        """The longest text so far under each key; empty once the texts are known to be pieces."""
        self._given: dict[str, int] = {}
        """Number of characters under each key that were reported before a later text was held back."""
        self._held: dict[str, list[str]] = {}
        """The texts held back under each key, as they arrived."""

    @property
    def holds(self) -> bool:
        """True if a text is held back until the next one decides what is new."""
        return bool(self._held)

    def has(self, key: str) -> bool:
        """Return True if a text with this key has arrived, unless the texts are known to be pieces.

        Pieces are not compared with each other, so their keys are not kept.
        """
        return key in self._latest

    def continues(self, key: str, text: str) -> bool:
        """Return True if a text begins with the last text under the same key, or if there is none."""
        return text.startswith(self._latest.get(key, ""))

    def judge(self, texts: Mapping[str, str], *, begins_other: bool) -> list[tuple[str, str]]:
        """Compare a whole message with the texts held back, to decide whether texts grow or are pieces.

        Called before the texts of the message are read. If the message has a held-back text's field empty, or
        lacks the text but begins other content, it does not contain all so far, so texts are pieces. If it
        repeats a held-back text beside other content that begins, it contains all so far, so texts grow.

        Args:
            texts: The texts of the message, by their keys; "" for a text that the server sent empty.
            begins_other: True if content other than text, such as a tool call, begins in the message.

        Returns:
            The keys and texts that were held back and are now known to be new; [] if nothing was decided.
        """
        begins_text = any(text and key not in self._latest for key, text in texts.items())
        begins_content = begins_other or begins_text
        for key in self._held:
            text = texts.get(key, "")
            was_sent_empty = key in texts and not text
            lacks_text = was_sent_empty or (not text and begins_content)
            if lacks_text:
                return self.settle(grows=False)
            repeats_text = text == self._latest[key]
            if repeats_text and begins_content:
                return self.settle(grows=True)
        return []

    def read(self, key: str, text: str) -> list[tuple[str, str]]:
        """Read a text, and return what it adds to the answer: pairs of a key and new text.

        The list also contains texts that were held back until now; it is empty while `text` is held back.

        Args:
            key: Names the text among the texts of the answer.
            text: The text: all of it so far, or its next piece.
        """
        if self.grows is False:
            return [(key, text)]
        earlier = self._latest.get(key)
        if not text:
            return [(key, text)]
        if not earlier:
            # The first text under its key is new in any case.
            self._latest[key], self._given[key] = text, len(text)
            return [(key, text)]
        if self.grows:
            return self._read_grown(key, text, earlier)
        if not text.startswith(earlier):
            return [*self.settle(grows=False), (key, text)]
        # The text may have grown, or be a piece that happens to begin with the same characters.
        self._held.setdefault(key, []).append(text)
        if text == earlier:
            # A repetition adds nothing to a text that grows, and so decides nothing.
            return []
        self._latest[key] = text
        if self._has_grown:
            # A text seems to have grown for the second time: chance would hardly make two pieces begin so.
            return self.settle(grows=True)
        self._has_grown = True
        return []

    def settle(self, *, grows: bool) -> list[tuple[str, str]]:
        """Record for good whether texts grow (each contains the ones before it) or are pieces.

        Returns:
            The keys and texts that were held back and are now known to be new.
        """
        self.grows = self._has_grown = grows
        if grows:
            owed = [(key, self._latest[key][self._given[key] :]) for key in self._held]
        else:
            owed = [(key, "".join(pieces)) for key, pieces in self._held.items()]
            self._latest.clear()
        self._held.clear()
        return owed

    def settle_at_end(self) -> list[tuple[str, str]]:
        """Return the keys and texts that are still held back at the end of the answer.

        Nothing has shown whether they grow or are pieces. It is assumed that they grow, which counts as a
        departure: all known servers that send whole messages do so unless the request says otherwise.
        """
        if not self._held:
            return []
        self.note("text_ambiguous")
        return self.settle(grows=True)

    def _read_grown(self, key: str, text: str, earlier: str) -> list[tuple[str, str]]:
        """Return what a growing text adds to its earlier form; text that was reported is never taken back."""
        if text.startswith(earlier):
            self._latest[key] = text
            self._has_grown = self._has_grown or text != earlier
            return [(key, text[len(earlier) :])]
        is_shorter_form = earlier.startswith(text)
        if not self._has_grown and not is_shorter_form:
            # The server was asked for texts that grow, but none has grown so far, so it sends pieces.
            return [*self.settle(grows=False), (key, text)]
        self.note("text_rewritten")
        if not is_shorter_form:
            self._report_change(key, text)
        return []
