"""Whole units of a text: letters (grapheme clusters), words, as in UAX #29, or lines."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tokenstream._basics.elsewhere import needs
from tokenstream.limits import check_whole
from tokenstream.stages._text import TextStage

if TYPE_CHECKING:
    import regex

# Letters of scripts that are written without blanks, if UAX #29 puts a boundary between them:
# Thai and Lao; Myanmar, Khmer, Tai Le, Tai Lue, Tai Tham and Tai Viet; kana and Han.
_LETTERS = (
    "\u0e01-\u0e30\u0e32\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0ebd-\u0ec6\u0edc-\u0edf"
    "\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1061\u1065\u1066\u106e-\u1070\u1075-\u1081\u108e"
    "\u1780-\u17b3\u17d7\u17dc\u1950-\u1974\u1980-\u19c9\u1a20-\u1a54\ua9e0-\ua9e4\ua9e6-\ua9ef"
    "\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a\uaa7e-\uaaaf\uaab1\uaab5\uaab6\uaab9-\uaabd\uaac0\uaac2"
    "\uaadb-\uaadd\u3006\u3041-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufad9"
    "\U0001b001-\U0001b11f\U0001b150-\U0001b152\U00020000-\U0003fffd"
)
_KATAKANA = "\u30a1-\u30fa\u30fd-\u30ff\u31f0-\u31ff\uff66-\uff6f\uff71-\uff9d\U0001b000\U0001b120-\U0001b167"
"""Letters without a boundary between them; the long-vowel mark is left out: it never begins a piece."""
_NEVER_FIRST = "_\u0e33\u0eb3\u3031-\u3035\u30fc\uff70\uff9e\uff9f\U0001aff0-\U0001affe"
_VIRAMAS = frozenset(
    "\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2\u1a60\u1b44\u1bab\ua9c0\uaaf6"
    "\U00010a3f\U00011133\U000113d0\U0001193e\U00011a47\U00011a99\U00011f42"
)
"""Marks that join the consonants on both sides into one letter (rule GB9c of UAX #29)."""
_LINKERS = "".join(sorted(_VIRAMAS)) + "\u200d"
"""Characters that join the letters on both sides into one."""
_MARKS = (
    "\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ecd\u102b-\u1038\u103a-\u103e"
    "\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d"
    "\u17b4-\u17d1\u17d3\u17dd\u1a55-\u1a5e\u1a61-\u1a7c\u1a7f"
)
_PREPENDED = (
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3"
    "\U000113d1\U0001193f\U00011941\U00011a84-\U00011a89\U00011d46\U00011f02"
)
"""Characters that form one letter with the next character, even with a blank."""
_OPENING = "(\\[{<«‹“„‘‚（［｛｟「『《【〈〔〖〘〚〝｢"  # noqa: RUF001 - as they are written
_CLOSING = "。！？｡、」』》】〉〕〗〙〛〞〟）］｝｠｣”»›…"  # noqa: RUF001 - as they are written
_FULL_WIDTH = "\uff0c\uff1a\uff1b"
"""Commas, colons and semicolons; within a number, these do not end a word."""
_AFTER = rf"{_LETTERS}{_KATAKANA}\u30fc\uff70{_CLOSING}"

WORD_CUT = re.compile(
    rf"(?<=[^\s{_PREPENDED}])(?=\s)"
    rf"|(?<![\s\"'{_OPENING}{_PREPENDED}{_LINKERS}])(?<![{_LINKERS}]\W)(?=[{_LETTERS}])"
    rf"|(?<=[{_LETTERS}{_CLOSING}])(?=[{_KATAKANA}])"
    rf"|(?<=[{_AFTER}])(?=[^\W{_NEVER_FIRST}{_LETTERS}{_KATAKANA}])"
    rf"|(?<=[{_AFTER}{_MARKS}{_FULL_WIDTH}])(?=[{_OPENING}])"
)
"""Positions between two pieces: before the blank after a word, and between words written without blanks.

Each position is a boundary of words and of letters; two characters before it and one after it decide.
"""

_LATER = re.compile(
    r"[\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
"""Characters that modify the character before them, but are not in a category of marks."""
_PREPENDS = re.compile(f"[{_PREPENDED}]")
_FIRST_WITH_VIRAMA = "\u0915"
"""The first consonant that such a mark may join to the one before it."""
_MOST_MARKS = 8
"""Maximum number of marks between two consonants of one letter."""
_HANGUL_JOINED = re.compile(
    # A part or a syllable before a part, and a first part before a syllable.
    "[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7ff][\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7ff]"
    "|[\u1100-\u115f\ua960-\ua97c][\uac00-\ud7a3]"
)
"""Two characters of Hangul, syllables or their parts, of which the second can continue the first."""
_FLAG = re.compile(r"[\U0001f1e6-\U0001f1ff]")

_END = re.compile(r"\r\n?|\n")


@cache
def graphemes_pattern() -> regex.Pattern[str] | None:
    """Return a pattern that matches a text up to its last letter; None if `regex` is not installed.

    A letter here is a grapheme cluster: all characters that are shown as one, such as those of an emoji.
    """
    try:
        module = import_module("regex")
    except ImportError:
        return None
    # At each flag, `\X` counts all flags before it, which takes quadratic time for a row of flags.
    flag = r"[\U0001f1e6-\U0001f1ff]{2}[\p{GCB=Extend}\p{GCB=SpacingMark}\u200d]*+"
    pattern: regex.Pattern[str] = module.compile(rf"(?s)(?:(?:{flag}|\X)(?=.))*+")
    return pattern


def find_last_boundary(text: str, start: int, last: int) -> int:
    """Return the last boundary between letters from `start` to `last`, a position in the text, or `last`.

    Without `regex`, a letter is a character with its marks, which is less exact than UAX #29.
    """
    if text[last - 1 : last + 1].isascii():
        # Only CR and LF form one letter of two ASCII characters.
        boundary = last - 1 if text[last - 1 : last + 1] == "\r\n" else last
    elif (pattern := graphemes_pattern()) is not None and (match := pattern.match(text, start, last + 1)):
        # One character more was passed, because the pattern leaves out the last letter.
        boundary = match.end()
    else:
        boundary = last
        while boundary > start and is_inside_letter(text, boundary):
            boundary -= 1
    return boundary if boundary > start else last


def cut_overlong(text: str, start: int, end: int, longest: int, out: list[str]) -> int:
    """Cut pieces off a part of a text while it is too long; return the start of the rest."""
    while end - start > longest:
        boundary = find_last_boundary(text, start, start + longest)
        out.append(text[start:boundary])
        start = boundary
    return start


def is_inside_letter(text: str, position: int) -> bool:
    r"""Return True if the characters on both sides of a position belong to one letter.

    Example:
        >>> is_inside_letter("\u0915\u094d\u0937", 2), is_inside_letter("\u0915\u0937", 1)
        (True, False)
    """
    later = text[position]
    if _is_joined(text[position - 1], later):
        return True
    # In Indic scripts, a virama joins the consonant before it to the next one, even with marks between them.
    if later < _FIRST_WITH_VIRAMA or unicodedata.category(later) != "Lo":
        return False
    for char in reversed(text[max(0, position - _MOST_MARKS) : position]):
        if char in _VIRAMAS:
            return True
        if not _is_mark(char):
            break
    return False


def _is_mark(char: str) -> bool:
    """Return True for a combining mark or a modifier, which belongs to the character before it."""
    return unicodedata.category(char)[0] == "M" or _LATER.match(char) is not None


def _is_joined(before: str, later: str) -> bool:
    """Return True if two successive characters belong to one letter, judged without the text around them."""
    if later < "\x7f" and before < "\x7f":
        return before == "\r" and later == "\n"
    # A mark belongs to the letter before it; a zero-width joiner, and a prepended mark, to the next one.
    if _is_mark(later) or before == "\u200d" or _PREPENDS.match(before) is not None:
        return True
    if _FLAG.match(before) is not None:
        return _FLAG.match(later) is not None
    return _HANGUL_JOINED.match(before + later) is not None


class Lines(TextStage):
    r"""A stage that returns a text line by line, each with its line ending.

    A line ends with LF, CR LF or CR, and with nothing else: form feeds and the separators
    of Unicode are ordinary characters. A CR at the end of a piece waits for the next
    piece, and a last line without an ending waits for the end of the text. The pieces
    joined are the text.

    Args:
        longest: The longest line, in characters without its ending; a longer one is cut
            between two letters and returned in pieces.

    Example:
        >>> lines = Lines()
        >>> [lines.feed(piece) for piece in ("one\r", "\ntwo\nth", "ree")]
        [[], ['one\r\n', 'two\n'], []]
        >>> lines.end()
        ['three']
    """

    def __init__(self, *, longest: int = 1_000_000) -> None:
        self._longest = check_whole("longest", longest)
        self._held: list[str] = []
        """The pieces of the line that may go on; joined only once: repeated joins take quadratic time."""
        self._length = 0
        """The number of characters in `_held`."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the lines whose ending has arrived.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        if not item:
            return []
        held = self._held
        held.append(item)
        length = self._length + len(item)
        if (
            "\n" not in item
            and "\r" not in item
            and length <= self._longest
            # A CR at the end of the piece before is a whole line ending now.
            and not (len(held) > 1 and held[-2][-1] == "\r")
        ):
            self._length = length
            return []
        # The held text has no line ending, except perhaps a CR as its last character.
        return self._cut("".join(held), max(self._length - 1, 0))

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last line, if it has no ending.

        Args:
            now: Unused; every stage has this parameter.
        """
        text = "".join(self._held)
        self._held, self._length = [], 0
        return [text] if text else []

    def _cut(self, text: str, search_from: int) -> list[str]:
        """Return the lines of a text whose ending is certain, and keep the rest."""
        out: list[str] = []
        start = 0
        for match in _END.finditer(text, search_from):
            if match.end() == len(text) and match[0] == "\r":
                # An LF may follow, which belongs to the same line ending.
                break
            start = cut_overlong(text, start, match.start(), self._longest, out)
            out.append(text[start : match.end()])
            start = match.end()
        # The length of a line does not include its ending.
        end = len(text) - 1 if text.endswith("\r") else len(text)
        start = cut_overlong(text, start, end, self._longest, out)
        self._held = [text[start:]] if start < len(text) else []
        self._length = len(text) - start
        return out


class _UnitStage(TextStage):
    """Base class of stages that hold back the last unit of the text, which may go on."""

    def __init__(self, longest: int) -> None:
        self._longest = check_whole("longest", longest)
        self._held = ""

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last unit.

        Args:
            now: Unused; every stage has this parameter.
        """
        held, self._held = self._held, ""
        return [held] if held else []


class Words(_UnitStage):
    """A stage that returns a text word by word.

    A piece is a word with the white space before it and the punctuation around it.
    It is returned as soon as its end is certain: at the blank after it, which belongs
    to the next word. In scripts without blanks, such as Thai, Chinese or Japanese, a
    piece ends at a word boundary of UAX #29, or, where UAX #29 defines none, at a
    boundary between letters. The pieces joined are the text.

    Args:
        longest: The longest piece, in characters; a longer one is cut between two letters.

    Example:
        >>> words = Words()
        >>> [words.feed(piece) for piece in ("Hel", "lo, wor", "ld!", " 3.14", " 你好。")]
        [[], ['Hello,'], [], [' world!'], [' 3.14', ' 你']]
        >>> words.end()
        ['好。']
    """

    __slots__ = ()

    def __init__(self, *, longest: int = 4_096) -> None:
        super().__init__(longest)

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the words whose end is certain.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        held = self._held
        text = held + item
        if text.isascii() and len(text) <= self._longest and item.isprintable():
            # Shortcut: in most pieces, the only boundary is at their only blank.
            blanks = item.count(" ")
            if blanks == 0:
                self._held = text
                return []
            if blanks == 1:
                boundary = text.find(" ", len(held))
                ends_word = boundary > 0 and not text[boundary - 1].isspace()
                if not ends_word:
                    # The blank begins the text, or follows white space: it belongs to the word to come.
                    self._held = text
                    return []
                self._held = text[boundary:]
                return [text[:boundary]]
        # No word ends before the held text does, nor at the start of the text.
        return self._cut(text, len(held) or 1)

    def _cut(self, text: str, search_from: int) -> list[str]:
        """Return the words of a text whose end is certain, and keep the rest."""
        out: list[str] = []
        start = 0
        for match in WORD_CUT.finditer(text, search_from):
            boundary = match.start()
            # Only the next piece decides if the end of the text is a boundary.
            if boundary < len(text):
                start = cut_overlong(text, start, boundary, self._longest, out)
                out.append(text[start:boundary])
                start = boundary
        start = cut_overlong(text, start, len(text), self._longest, out)
        self._held = text[start:]
        return out


class Graphemes(_UnitStage):
    r"""A stage that never returns half a letter: no split emoji, flag, syllable or combining mark.

    A piece is all text that has arrived, in whole letters (grapheme clusters of UAX #29),
    except the last letter, which the next piece may still change. The pieces joined are
    the text. This stage needs the package `regex`, which the extra `shape` installs.

    Args:
        longest: The longest letter to wait for, in characters; a longer one, which exists in no
            language, is cut.

    Raises:
        MisuseError: `regex` is not installed.

    Example:
        >>> graphemes = Graphemes()
        >>> [graphemes.feed(piece) for piece in ("Good", " \U0001f44d", "\U0001f3fd!")]
        [['Goo'], ['d '], ['👍🏽']]
        >>> graphemes.end()
        ['!']
    """

    def __init__(self, *, longest: int = 256) -> None:
        super().__init__(longest)
        pattern = graphemes_pattern()
        if pattern is None:
            raise needs("regex", "a boundary between letters")
        self._match = pattern.match

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the letters that no later text can change.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        text = self._held + item
        if not text:
            return []
        if text[-1] == "\n":
            # A character after a line feed cannot belong to the same letter.
            boundary = len(text)
        elif text.isascii():
            # Only the last character may still get a combining mark, or an LF after a CR.
            boundary = len(text) - 1
        else:
            # The pattern matches all letters except the last.
            match = self._match(text)
            boundary = match.end() if match is not None else 0
        if len(text) - boundary > self._longest:
            # No more characters than that are held back, even if this splits a letter.
            boundary = len(text)
        self._held = text[boundary:]
        return [text[:boundary]] if boundary else []
