"""Strings of lenient JSON: with any quotes, unescaped quotes and backslashes, and entities."""

from __future__ import annotations

import html
import re
from html.entities import html5
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._lenient.backslashes import (
    ALWAYS_KEPT,
    CONTROLS,
    RAW,
    begins_path,
    continues_path,
    is_command,
    is_rest_of_path,
)
from tokenstream.partial_json._lenient.peek import ESCAPED, HTML, OPENING, PLAIN, TRIPLE, Kind
from tokenstream.partial_json._lenient.quotes import CLOSING, Look, QuoteVerdict, is_ordinary, may_precede_end
from tokenstream.partial_json._strict.strings import (
    FAR,
    JSON_ESCAPES,
    LONGEST_CODE,
    LONGEST_ESCAPE,
    SHORT,
    SIMPLE,
    count_decided,
    decode_open_string,
    is_undecided,
    read_codes,
    scan,
    scan_string,
    unescape,
)

if TYPE_CHECKING:
    from tokenstream.partial_json._lenient.quotes import Scene
    from tokenstream.partial_json._repairs import Repairs

_WAITS = -1
_TRIPLE = 3
_MOST_ENTITY = 34
"""Maximum characters of an HTML entity."""
_TAIL = 32
"""Number of a string's last characters to keep, for decisions on a quote or on the end of the text."""
_LONGEST_TWICE = 14
"""Length of a surrogate pair that is escaped twice, in characters."""

_ENTITY: Any = re.compile(r"&(?:([A-Za-z][A-Za-z0-9]*;)|#(?:[0-9]+|[xX][0-9a-fA-F]+);)").match
_CUT_ENTITY: Any = re.compile(r"&#?[A-Za-z0-9]*").fullmatch
# Matches an escape that may be a backslash that was not escaped.
_DOUBTFUL: Any = re.compile(r"\\(?:[nrt\\]|u005[cC])").search
_TWICE: Any = re.compile(r'\\\\(?:\\(["\\])|([/bfnrt]|u[0-9a-fA-F]{4}))|\\([/bfnrt]|u[0-9a-fA-F]{4})').match
_CUT_TWICE: Any = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|\\(?:\\|u[0-9a-fA-F]{0,3})?)?").fullmatch
_PAIR: Any = re.compile(r"(\\{1,2}u)(d[89ab][0-9a-f]{2})(\\{1,2}u)(d[c-f][0-9a-f]{2})", re.IGNORECASE).match
_CUT_PAIR: Any = re.compile(
    r"\\{1,2}ud[89ab][0-9a-f]{2}(?:\\{1,2}(?:u(?:d(?:[c-f][0-9a-f]?)?)?)?)?", re.IGNORECASE
).fullmatch


class Quoted:
    """A string between quotes of any kind, while it is being read.

    Args:
        kind: The kind of the quotes.
        repairs: Receives the repairs.
    """

    __slots__ = (
        "_closing_line",
        "_has_lines",
        "_has_quotes",
        "_in_path",
        "_is_mixed",
        "_is_raw",
        "_quoting",
        "_repairs",
        "_tail",
        "_undone",
        "clean",
        "closed",
        "kind",
        "unsure",
        "waits",
        "watched",
    )

    def __init__(self, kind: Kind, repairs: Repairs) -> None:
        self.kind = kind
        self.clean = True
        """True as long as the string contains no inner quote."""
        self.closed = False
        """True once the end of the string has been read."""
        self.waits = False
        """True if reading stopped because the decision needs later text."""
        self.unsure: int | None = None
        """Offset of a quote that has two readings; None if there is none."""
        self.watched = False
        """True after an escaped quote or a line break: a bracket that follows may close the document."""
        self._repairs = repairs
        self._quoting = False
        self._tail = ""
        self._closing_line = False
        self._has_lines = False
        """True once the string contains an unescaped line break."""
        self._has_quotes = False
        """True once a triple-quoted string contains one or two quotes."""
        self._is_raw = False
        """True once a backslash was kept, which proves that this string's backslashes are not escaped."""
        self._undone = False
        """True once an escape was decoded that may be an unescaped backslash instead."""
        self._is_mixed = False
        """True once both have happened, and this has been recorded as a repair."""
        self._in_path = False
        """True while the whole string so far is a path with unescaped backslashes."""

    @property
    def may_be_cut(self) -> bool:
        """True if the string can only be open because the text was cut.

        If its closing quote is missing, the string appears to contain quotes or closing brackets.
        """
        return self.clean and not (self._has_quotes or self._closing_line or self._ends_bracket)

    @property
    def _ends_bracket(self) -> bool:
        return self._tail.rstrip()[-1:] in ("}", "]")

    @property
    def is_usual(self) -> bool:
        """True if the escapes of JSON have their usual meaning in this string."""
        return self.kind is PLAIN and not self._is_raw

    def take(self, text: str) -> bool:
        """Add a piece without a backslash, if all of it belongs to the string; otherwise return False."""
        if self.kind is not PLAIN or '"' in text or not text.isprintable() or self._in_path:
            return False
        if self.watched:
            if not is_ordinary(text[0]):
                return False
            self.watched = False
        self._tail = text[-_TAIL:] if len(text) >= _TAIL else (self._tail + text)[-_TAIL:]
        return True

    def read_on(self, held: str, text: str) -> tuple[str, str] | None:
        """Return the string in a piece with escapes, and the unfinished end; None if only `read` can read it.

        Args:
            held: The unfinished end of the pieces before.
            text: The piece.
        """
        if self.kind is not PLAIN or self._is_raw or (held and held[0] == '"'):
            return None
        escaped = held + text
        if (held or "\\u" in (text if len(text) < SHORT else text[-LONGEST_ESCAPE:])) and not self.watched:
            try:
                string, size = read_codes(escaped, None, False)  # noqa: FBT003 - it takes no names
            except UnicodeError:
                string, size = "\\", 0
            # No character of such a string changes the state.
            is_plain = "\\" not in string and '"' not in string and string.isprintable()
            if is_plain and "U" not in text and text.isascii():
                self.remember(string)
                return string, escaped[size:]
        rest = ""
        if "\\" in escaped[-LONGEST_CODE:]:
            size = count_decided(escaped)
            escaped, rest = escaped[:size], escaped[size:]
        try:
            string, end = scan_string(escaped + '"', 0)
        except ValueError:
            return None
        if end <= len(escaped) or (string and not self._take_escapes(string, escaped, len(escaped))):
            return None
        return string, rest

    def read_up(self, text: str, position: int, pieces: list[str]) -> int:
        """Read up to a quote as in JSON; return the position at which that is no longer possible."""
        end = text.find('"', position)
        piece = text[position:] if end < 0 else text[position:end]
        if "\\" not in piece:
            if not piece or self.watched or not piece.isprintable():
                return position
            self.remember(piece)
            pieces.append(piece)
            return position + len(piece)
        while position < len(text) and text[position] != '"':
            # Copies at most FAR characters: the string may be short, and much text may follow it.
            piece = text[position : position + FAR]
            read = decode_open_string(piece)
            if read is None or not read[0] or not self._take_escapes(read[0], piece, read[1]):
                break
            pieces.append(read[0])
            position += read[1]
        return position

    def _take_escapes(self, string: str, text: str, end: int) -> bool:
        """Record escapes; return False if they may mean something else than in JSON.

        Args:
            string: The decoded string.
            text: The text with the escapes.
            end: The end of the string in `text`.
        """
        # The text after a backspace or a form feed may prove that its backslash was not escaped.
        if "\b" in string or "\f" in string:
            return False
        if self._closing_line:
            # Another quote would make no difference.
            self.watched = False
        else:
            has_quote = '"' in string
            if (has_quote or self.watched) and may_precede_end(string):
                if self.watched:
                    text, end = '\\"' + text, end + 2
                closing = CLOSING.search(text, 0, end - 2 * (string[-1] == '"'))
                self._closing_line = closing is not None and closing[0][-1] in "}]"
                if not self._closing_line and (closing is not None or text.find("\\u0022", 0, end) >= 0):
                    return False
            self.watched = has_quote and string[-1] == '"'
        if not self._undone and ("\n" in string or "\\" in string or "\t" in string or "\r" in string):
            self._undone = _DOUBTFUL(text, 0, end) is not None
        self._tail = string[-_TAIL:] if len(string) >= _TAIL else (self._tail + string)[-_TAIL:]
        return True

    def _read_escapes(self, text: str, start: int, end: int, pieces: list[str]) -> int:
        """Read escapes and the text between them, as long as they can only mean what they mean in JSON."""
        closing = CLOSING.search(text, start, end)
        if closing is not None:
            end = closing.start()
        if end > start:
            string: str = scan(f'"{text[start:end]}"', 0)[0]
            self.watched = string[-1:] == '"'
            self._undone = self._undone or _DOUBTFUL(text, start, end) is not None
            pieces.append(string)
            self.remember(string)
        return end

    def remember(self, piece: str) -> None:
        """Record the last characters of the string after a new piece."""
        self._tail = piece[-_TAIL:] if len(piece) >= _TAIL else (self._tail + piece)[-_TAIL:]

    def read(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        """Continue the string; return the position after its closing quote, or before undecided text.

        Args:
            text: The unread text.
            position: Position at which to continue.
            pieces: Receives the pieces of the string.
            scene: The string's surroundings.
        """
        self.waits = False
        size = len(text)
        # End of the last run of valid JSON escapes.
        good = 0
        while position < size and not self.closed and not self._repairs.is_full:
            end: int = self.kind.run(text, position).end()
            if end > position:
                self._grow(text[position:end], pieces, scene)
            position = end
            if position == size:
                break
            if text[position] == "\\" and self.is_usual and not self.watched:
                if position >= good:
                    good = JSON_ESCAPES(text, position).end()
                end = self._read_escapes(text, position, good, pieces)
                if end > position:
                    position = end
                    continue
            following = self._read_special(text, position, pieces, scene)
            if following == _WAITS:
                self.waits = True
                break
            position = following
            if self.unsure is not None:
                break
        return position

    def _grow(self, piece: str, pieces: list[str], scene: Scene) -> None:
        """Add a piece to the string, and record what it means for the text after it."""
        pieces.append(piece)
        self.remember(piece)
        if self._in_path:
            self._in_path = continues_path(piece)
        if self.watched:
            ink = piece.lstrip()
            if ink:
                self.watched = False
                if ink[0] in "}]" or (scene.fenced and ink[0] in "`~"):
                    self._closing_line = True

    def _read_special(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        """Read a quote, an escape, an entity or a control character; return the position after it."""
        quote = self.kind.quote(text, position)
        if quote is not None:
            read = self._read_triple if self._is_triple else self._read_quote
            return read(text, position, quote.end(), pieces, scene)
        char = text[position]
        if char == "\\":
            escape = (
                self._read_double_escape
                if self.kind is ESCAPED
                else self._read_html_escape
                if self.kind is HTML
                else self._read_escape
            )
            return escape(text, position, pieces, scene)
        if char == "&":
            return self._read_entity(text, position, pieces, scene)
        if not self._is_triple:
            self._repairs.note("raw_control", scene.base + position)
        if char in "\r\n":
            self._has_lines = True
            self._closing_line = self._closing_line or self._ends_bracket
            self.watched = True
        self._grow(char, pieces, scene)
        return position + 1

    def _read_quote(self, text: str, position: int, after: int, pieces: list[str], scene: Scene) -> int:
        """Read a quote of the string's own kind: its end, an inner quote, or part of a triple quote."""
        if scene.in_object is None:
            self.closed = True
            return after
        char = text[position]
        if not self._tail and char in TRIPLE and char == text[after : after + 1] and self.clean:
            # This is the second of three quotes: the string between the first two is empty.
            self._repairs.note("triple_quotes", scene.base + position - 1)
            self.kind = TRIPLE[char]
            return after + 1
        look = self._make_look(scene)
        verdict = look.decide(text, after)
        if verdict is QuoteVerdict.WAITS:
            return _WAITS
        if verdict is QuoteVerdict.ENDS:
            self.closed = True
        elif verdict is QuoteVerdict.UNSURE:
            self.unsure = scene.base + position
        else:
            self._repairs.note("inner_quote", scene.base + position)
            self.clean = False
            self._quoting = not self._quoting and look.opens_quotation(text, after)
            self._grow('"' if self.kind in (ESCAPED, HTML) else text[position], pieces, scene)
        return after

    @property
    def _is_triple(self) -> bool:
        return self.kind.repair == "triple_quotes"

    def _make_look(self, scene: Scene) -> Look:
        on_line = scene.on_line and not self._has_lines
        return Look(
            self.kind, scene, clean=self.clean, quoting=self._quoting, on_line=on_line, before=self._tail
        )

    def _read_triple(self, text: str, position: int, after: int, pieces: list[str], scene: Scene) -> int:
        """Read a run of quotes in a triple-quoted string; the last three of them may end the string."""
        spare = after - position - _TRIPLE
        if after == len(text) and not scene.final and spare <= 0:
            return _WAITS
        if spare:
            self._has_quotes = True
            count = spare if spare > 0 else after - position
            self._grow(text[position : position + count], pieces, scene)
            return position + count
        verdict = self._make_look(scene).decide(text, after)
        if verdict is QuoteVerdict.WAITS:
            return _WAITS
        if verdict is QuoteVerdict.ENDS:
            self.closed = True
        else:
            self.unsure = scene.base + position
        return after

    # -- escapes ---------------------------------------------------------------

    def _read_escape(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        """Read a backslash in a string that is escaped once."""
        escape = text[position : position + LONGEST_ESCAPE]
        if is_undecided(escape):
            # An escape that was cut by the end of the text is dropped.
            return len(text) if scene.final else _WAITS
        string, length = unescape(escape)
        if length == 2 and escape[1] in CONTROLS:
            return self._read_control(text, position, position + 2, pieces, scene)
        if length:
            if string == "\\":
                self._note_decoded(scene.base + position)
            self._grow(string, pieces, scene)
            self.watched = string == '"'
            return position + length
        if OPENING.get(escape[1]) not in (None, ESCAPED, HTML):
            # A quote that needs no escape, unless it is the string's own quote.
            if OPENING[escape[1]] is not self.kind:
                self._repairs.note("bad_escape", scene.base + position)
            self._grow(escape[1], pieces, scene)
            return position + 2
        return self._keep_backslash(escape, position, pieces, scene)

    def _keep_backslash(self, escape: str, position: int, pieces: list[str], scene: Scene) -> int:
        self._repairs.note("bad_escape", scene.base + position)
        if RAW(escape, 1) is not None:
            self._note_raw(scene.base + position)
        self._grow("\\", pieces, scene)
        return position + 1

    def _read_control(self, text: str, position: int, after: int, pieces: list[str], scene: Scene) -> int:
        """Read the escape of a control character, which may be an unescaped backslash and a letter."""
        letter = text[after - 1]
        is_kept = self._is_kept(text, after - 1)
        if is_kept is None:
            return len(text) if scene.final else _WAITS
        offset = scene.base + position
        if is_kept:
            self._repairs.note("kept_escape", offset)
            self._note_raw(offset)
            self._grow("\\" + letter, pieces, scene)
        else:
            self._note_decoded(offset)
            self._grow(SIMPLE[letter], pieces, scene)
            self.watched = False
        return after

    def _is_kept(self, text: str, at: int) -> bool | None:
        """Return True if the backslash is a character and not an escape; None if later text decides."""
        if text[at] in ALWAYS_KEPT:
            following = text[at + 1 : at + 2]
            return True if self._is_raw else (following.isalpha() if following else None)
        if not self._is_raw:
            return False
        if self._in_path:
            is_path = is_rest_of_path(text, at - 1, self._tail, self.kind.quote)
            if is_path is not False:
                return is_path
        return is_command(text, at)

    def _note_raw(self, offset: int) -> None:
        """Record that the string contains an unescaped backslash."""
        if not self._is_raw:
            self._is_raw = True
            self._in_path = self.kind not in (ESCAPED, HTML) and begins_path(self._tail)
            self._note_mixed(offset)

    def _note_decoded(self, offset: int) -> None:
        """Record that an escape was decoded that may be an unescaped backslash instead."""
        self._undone = True
        self._note_mixed(offset)

    def _note_mixed(self, offset: int) -> None:
        if self._is_raw and self._undone and not self._is_mixed:
            self._is_mixed = True
            self._repairs.note("mixed_escapes", offset)

    def _read_double_escape(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        """Read a backslash in a string that is escaped twice."""
        escape = text[position : position + _LONGEST_TWICE]
        is_last = position + len(escape) == len(text) and len(escape) < _LONGEST_TWICE
        if is_last and (_CUT_TWICE(escape) or _CUT_PAIR(escape)):
            return len(text) if scene.final else _WAITS
        match = _PAIR(escape)
        if match is not None:
            string, _ = unescape(f"\\u{match[2]}\\u{match[4]}")
            self._grow(string, pieces, scene)
            return position + int(match.end())
        match = _TWICE(escape)
        if match is not None:
            itself, inner, once = match.groups()
            if (inner or once) in CONTROLS:
                return self._read_control(text, position, position + int(match.end()), pieces, scene)
            if itself == "\\":
                self._note_decoded(scene.base + position)
            string, _ = unescape("\\" + (itself or inner or once))
            self._grow(string, pieces, scene)
            self.watched = itself == '"'
            return position + int(match.end())
        return self._keep_backslash(escape, position, pieces, scene)

    def _read_html_escape(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        quote = self.kind.quote(text, position + 1)
        if quote is not None:
            self._grow('"', pieces, scene)
            self.watched = True
            return int(quote.end())
        rest = text[position + 1 : position + 1 + _MOST_ENTITY]
        if position + 1 + len(rest) == len(text) and _CUT_ENTITY(rest):
            return len(text) if scene.final else _WAITS
        return self._read_escape(text, position, pieces, scene)

    def _read_entity(self, text: str, position: int, pieces: list[str], scene: Scene) -> int:
        """Read an ampersand, and the entity that it begins, if any."""
        entity = text[position : position + _MOST_ENTITY]
        is_last = position + len(entity) == len(text) and len(entity) < _MOST_ENTITY
        if is_last and _CUT_ENTITY(entity):
            return len(text) if scene.final else _WAITS
        match = _ENTITY(entity)
        if match is None or (match[1] and match[1] not in html5):
            self._grow("&", pieces, scene)
            return position + 1
        self._grow(html.unescape(match[0]), pieces, scene)
        return position + int(match.end())
