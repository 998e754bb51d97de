"""The markers that enclose the answer's last words in a request to continue the answer.

A model may copy the markers into its reply, from which they must be removed.
"""

from __future__ import annotations

import re

LAST_WORDS = ("<last_words>", "</last_words>")
"""The marker before the answer's last words, and the one after them."""
_MARKERS = ("\n</last_words>", *LAST_WORDS)
"""The texts to remove: the markers, and the line break before a closing marker on a line of its own."""
_MARKER = re.compile(r"\n?</last_words>|<last_words>")
_LINE_BREAK_BEHIND = re.compile(r"</last_words>\s*\n")


def holds_markers(text: str) -> bool:
    """Return True if a text contains `<last_words>` or `</last_words>`.

    Example:
        >>> holds_markers("<last_words>a king"), holds_markers("the last words")
        (True, False)
    """
    return _MARKER.search(text) is not None


def breaks_line_behind_marker(text: str) -> bool:
    """Return True if a line break follows the marker `</last_words>`.

    It is unknown whether the model meant the line break as part of the marker or of the answer's text.
    """
    return _LINE_BREAK_BEHIND.search(text) is not None


def without_markers(text: str) -> str:
    r"""Return a whole text without the markers.

    Example:
        >>> without_markers("<last_words>was a king\n</last_words> of Thule")
        'was a king of Thule'
    """
    return _MARKER.sub("", text)


class MarkerFilter:
    """Removes the markers `<last_words>` and `</last_words>` from a text that arrives in pieces.

    Example:
        >>> markers = MarkerFilter()
        >>> markers.feed("a king</last"), markers.feed("_words> of Thule <"), markers.flush()
        ('a king', ' of Thule ', '<')
    """

    def __init__(self) -> None:
        self._held = ""
        """The end of the text so far, if it may be the beginning of a marker."""

    def feed(self, piece: str) -> str:
        """Take the next piece of the text; return the text that is certainly not part of a marker."""
        text = without_markers(self._held + piece)
        held = max((_length_begun(text, marker) for marker in _MARKERS), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return the text that was held back as the possible beginning of a marker; no more text follows."""
        held, self._held = self._held, ""
        return held


def _length_begun(text: str, marker: str) -> int:
    """Return the length of the longest beginning of a marker with which a text ends; 0 if there is none."""
    return next((length for length in range(len(marker) - 1, 0, -1) if text.endswith(marker[:length])), 0)
