"""Strings of lenient JSON: with quotes of any kind, and with quotes that were not escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._lenient.escapes import KEPT, MORE_NEEDED, EscapeReader
from tokenstream.partial_json._lenient.peek import PLAIN, QuoteKind
from tokenstream.partial_json._lenient.quotes import (
    CLOSING,
    QuoteJudge,
    QuoteVerdict,
    StringContext,
    is_ordinary,
    may_have_closing,
)
from tokenstream.partial_json._strict.strings import (
    FAR,
    JSON_ESCAPES,
    LONGEST_CODE,
    LONGEST_ESCAPE,
    SHORT,
    count_decided,
    decode_open_string,
    read_codes,
    scan,
    scan_string,
)

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import RepairLog

# Matches an escape that may be a backslash that was not escaped.
_DOUBTFUL_ESCAPE: Any = re.compile(r"\\(?:[bfnrt\\]|u005[cC])").search


class QuotedString(EscapeReader):
    """A string between quotes of any kind, while it is being read.

    Args:
        kind: The kind of the quotes.
        repair_log: Receives the repairs.
    """

    __slots__ = ("_has_lines", "_in_quotation", "is_clean", "is_closed", "needs_more", "unsure_at")

    def __init__(self, kind: QuoteKind, repair_log: RepairLog) -> None:
        # Not `super()`, which takes longer: this runs for most strings.
        EscapeReader.__init__(self, kind, repair_log)
        self.is_clean = True
        """True as long as the string contains no inner quote."""
        self.is_closed = False
        self.needs_more = False
        """True if reading stopped because the decision needs later text."""
        self.unsure_at: int | None = None
        """Offset of a quote that has two readings; None if there is none."""
        self._in_quotation = False
        """True after an inner quote that opens a quotation, until the quote that closes the quotation."""
        self._has_lines = False
        """True once the string contains an unescaped line break."""

    @property
    def seems_cut(self) -> bool:
        """True if a string that is open at the end of the text was cut there, and can be closed as a repair.

        False if its closing quote may be missing instead: it seems to contain quotes or closing
        brackets, which may belong to the text after the string.
        """
        # `is_clean`: no quote inside of the string has been found.
        return self.is_clean and not (self._seems_closed or self._ends_with_bracket)

    @property
    def _ends_with_bracket(self) -> bool:
        """True if the string so far ends with a closing bracket, which may belong to the text after it."""
        return self.ending.rstrip()[-1:] in ("}", "]")

    @property
    def is_usual(self) -> bool:
        """True if the escapes of JSON have their usual meaning in this string."""
        return self.kind is PLAIN and not self.has_raw_backslash

    def add_if_plain(self, text: str) -> bool:
        """Accept a piece without backslashes if nothing in it needs a decision; record its last letters."""
        # In a file path, `read` has to examine each character, too.
        if self.kind is not PLAIN or '"' in text or not text.isprintable() or self.in_path:
            return False
        if self.may_have_ended:
            if not is_ordinary(text[0]):
                # Left to `read`: a bracket here, for example, makes the end of the string doubtful.
                return False
            self.may_have_ended = False
        self.ending = text[-KEPT:] if len(text) >= KEPT else (self.ending + text)[-KEPT:]
        return True

    def read_escaped_piece(self, held_back: str, text: str) -> tuple[str, str] | None:
        """Return a piece decoded by C functions, and the escape cut off at its end; None if that fails."""
        # The text after a held-back quote must be examined, which only `read` does.
        if self.kind is not PLAIN or self.has_raw_backslash or (held_back and held_back[0] == '"'):
            return None
        escaped = held_back + text
        # Codes such as `\u00e9` are looked for at the end only, if the piece is long.
        has_codes = held_back or "\\u" in (text if len(text) < SHORT else text[-LONGEST_ESCAPE:])
        if has_codes and not self.may_have_ended:
            # Probably all escapes are codes, as in text that is not English. False: an unfinished code at the
            # end is not an error; `size` does not include it.
            try:
                string, size = read_codes(escaped, None, False)  # noqa: FBT003 - it takes no names
            except UnicodeError:
                # Some escapes are not codes, so the piece is decoded below.
                pass
            else:
                # A string without quotes, backslashes and control characters changes no state. But the
                # decoder accepts `\U`, which is not JSON, and misreads text that is not ASCII.
                is_plain = "\\" not in string and '"' not in string and string.isprintable()
                if is_plain and "U" not in text and text.isascii():
                    self.remember_end(string)
                    return string, escaped[size:]
        unfinished = ""
        if "\\" in escaped[-LONGEST_CODE:]:
            size = count_decided(escaped)
            escaped, unfinished = escaped[:size], escaped[size:]
        try:
            string, end = scan_string(escaped + '"', 0)
        except ValueError:
            return None
        # The quote added above ends the string, unless the piece itself has one that is not escaped.
        has_quote = end <= len(escaped)
        if has_quote or (string and not self._accept_if_certain(string, escaped, len(escaped))):
            return None
        return string, unfinished

    def read_to_quote(self, text: str, position: int, pieces: list[str]) -> int:
        """Read the text before the next quote, as far as it needs no repair, and append it to `pieces`.

        The result is the position after the text that was read. A quote or the end of the text is there; or
        else the text from there on may need a repair, so that only `read` can read it.
        """
        end = text.find('"', position)
        piece = text[position:] if end < 0 else text[position:end]
        if "\\" not in piece:
            if not piece or self.may_have_ended or not piece.isprintable():
                # Left to `read`, which examines each character.
                return position
            self.remember_end(piece)
            pieces.append(piece)
            return position + len(piece)
        while position < len(text) and text[position] != '"':
            # Copies at most FAR characters: the string may be short, and much text may follow it.
            piece = text[position : position + FAR]
            decoded = decode_open_string(piece)
            if decoded is None:
                # Left to `read`, as above.
                break
            string, length, _ = decoded
            if not string or not self._accept_if_certain(string, piece, length):
                break
            pieces.append(string)
            position += length
        return position

    def _accept_if_certain(self, string: str, text: str, end: int) -> bool:
        """Accept a piece that was decoded by the rules of JSON, if it cannot have another meaning.

        For an accepted piece, record whether an escaped quote in it may be the end of the string, and whether
        its escapes may be unescaped backslashes instead. If the piece is not accepted, the caller discards
        it, and `read` decodes the text character by character.
        """
        has_rare_control = "\b" in string or "\f" in string
        if has_rare_control and self.repair_log.has_raw_backslash:
            # Only the text after a backspace or a form feed shows if its backslash was escaped.
            return False
        if self._seems_closed:
            # Another quote would make no difference.
            self.may_have_ended = False
        else:
            has_quote = '"' in string
            may_seem_closed = (has_quote or self.may_have_ended) and may_have_closing(string)
            if may_seem_closed and not self._search_closing(string, text, end):
                return False
            self.may_have_ended = has_quote and string[-1] == '"'
        if not self.has_doubtful_escape and (
            has_rare_control or "\n" in string or "\\" in string or "\t" in string or "\r" in string
        ):
            self.has_doubtful_escape = _DOUBTFUL_ESCAPE(text, 0, end) is not None
        self.ending = string[-KEPT:] if len(string) >= KEPT else (self.ending + string)[-KEPT:]
        return True

    def _search_closing(self, string: str, text: str, end: int) -> bool:
        """Note an escaped quote before a closing bracket; return False if `read` must examine the piece."""
        if self.may_have_ended:
            # Search as if the escaped quote of the piece before were part of this text.
            text, end = '\\"' + text, end + 2
        # An escaped quote at the end, which has two characters, is left out: the next piece decides about it.
        closing = CLOSING.search(text, 0, end - 2 if string[-1] == '"' else end)
        if closing is not None and closing[0][-1] in "}]":
            self._seems_closed = True
            return True
        # Only `read` knows whether a fence is open, and finds a quote that is written as a code.
        return closing is None and text.find("\\u0022", 0, end) < 0

    def _read_valid_escapes(self, text: str, start: int, end: int, pieces: list[str]) -> int:
        """Read the escapes that can only have their JSON meaning; return the position after them.

        The result is `start` if the first escape may mean something else.
        """
        # An escaped quote before a bracket may be the end of the string: stop there.
        closing = CLOSING.search(text, start, end)
        if closing is not None:
            end = closing.start()
        if end > start:
            string: str = scan(f'"{text[start:end]}"', 0)[0]
            self.may_have_ended = string[-1:] == '"'
            self.has_doubtful_escape = (
                self.has_doubtful_escape or _DOUBTFUL_ESCAPE(text, start, end) is not None
            )
            pieces.append(string)
            self.remember_end(string)
        return end

    def read(self, text: str, position: int, pieces: list[str], context: StringContext) -> int:
        """Continue the string; return the position after its closing quote, or before undecided text."""
        self.needs_more = False
        size = len(text)
        # End of the last run of valid JSON escapes.
        valid_to = 0
        # After too many repairs, the reader refuses the text.
        while position < size and not self.is_closed and not self.repair_log.is_full:
            end: int = self.kind.run(text, position).end()
            if end > position:
                self.add(text[position:end], pieces, context)
            position = end
            if position == size:
                break
            if text[position] == "\\" and self.is_usual and not self.may_have_ended:
                # The escapes of JSON have their usual meaning (`is_usual`): read as many as possible at once.
                # One search finds their whole run, of which `_read_valid_escapes` may leave a part.
                if position >= valid_to:
                    valid_to = JSON_ESCAPES(text, position).end()
                end = self._read_valid_escapes(text, position, valid_to, pieces)
                if end > position:
                    position = end
                    continue
            following = self._read_special(text, position, pieces, context)
            if following == MORE_NEEDED:
                self.needs_more = True
                break
            position = following
            if self.unsure_at is not None:
                # A quote has two readings, so the caller refuses the text.
                break
        return position

    def _read_special(self, text: str, position: int, pieces: list[str], context: StringContext) -> int:
        """Read a quote, escape or control character; return the position after it, or `MORE_NEEDED`."""
        char = text[position]
        if char in self.kind.quotes:
            return self._read_quote(text, position, pieces, context)
        if char == "\\":
            return self.read_escape(text, position, pieces, context)
        self.repair_log.note("raw_control", context.base + position)
        if char in "\r\n":
            # A line break in a string may mean that its closing quote is missing.
            self._has_lines = True
            self._seems_closed = self._seems_closed or self._ends_with_bracket
            self.may_have_ended = True
        self.add(char, pieces, context)
        return position + 1

    def _read_quote(self, text: str, position: int, pieces: list[str], context: StringContext) -> int:
        """Read a quote of the string's own kind: its end, or an inner quote."""
        after = position + 1
        if context.in_object is None:
            # A key, or a string that is the whole document, ends at its first quote.
            self.is_closed = True
            return after
        judge = self._make_judge(context)
        verdict = judge.decide(text, after)
        if verdict is QuoteVerdict.WAITS:
            return MORE_NEEDED
        if verdict is QuoteVerdict.ENDS:
            self.is_closed = True
        elif verdict is QuoteVerdict.UNSURE:
            self.unsure_at = context.base + position
        else:
            self.repair_log.note("inner_quote", context.base + position)
            self.is_clean = False
            self._in_quotation = not self._in_quotation and judge.opens_quotation(text, after)
            self.add(text[position], pieces, context)
        return after

    def _make_judge(self, context: StringContext) -> QuoteJudge:
        # True if the string is alone on its line so far.
        on_line = context.on_line and not self._has_lines
        return QuoteJudge(
            self.kind,
            context,
            is_clean=self.is_clean,
            in_quotation=self._in_quotation,
            on_line=on_line,
            before=self.ending,
        )
