"""The steps with which the markup of calls is read from a text that is still arriving."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tokenstream.stages._calls.values import STRING_TEXT, match_unfinished, mend_escape
from tokenstream.stages._text.scanning import MOST_BLANK, end_of_match, end_of_space, search_for_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream.partial_json._repairs import RepairName
    from tokenstream.stages._calls.dialects import Dialect
    from tokenstream.stages._text.scanning import Passage
    from tokenstream.stages._text.tags import LoneEnd

_MOST_HELD = 16_384
"""The most characters that are held back before the name of a call is known."""
_LONGEST_NAME = 128
LONGEST_HEAD = 64
"""The most characters between the name of a call and its body."""
LONGEST_KEY = 256
"""The most characters of a parameter's name, and of its attributes."""
NAME = r"[^\W\d][\w./-]*+"
"""The pattern of a call's name."""
_NAME = re.compile(NAME)
_SCALAR = re.compile(r"[^\s,\]}]*")
_OUTSIDE = re.compile(r'["{}\[\]<`]')


class CallBegun(NamedTuple):
    """A call has begun: its name is known."""

    name: str
    dialect: str


class ArgumentsPiece(NamedTuple):
    """A piece of a call's arguments, as JSON text."""

    text: str


class CallEnded(NamedTuple):
    how: str
    """"closed" by its markup, "open" if only the end of the markup is missing, "cut" within its arguments, or
    "broken" by other text within its markup."""
    repairs: tuple[RepairName, ...] = ()


CallPiece: TypeAlias = "CallBegun | ArgumentsPiece | CallEnded"
"""Something that happens to a call."""
Piece: TypeAlias = "Passage | LoneEnd | CallPiece"
"""A piece of text that is outside of calls, or what happens to a call."""
ReadingSteps: TypeAlias = "Generator[None, None, Any]"
"""Reads some of the buffer; yields when it needs more input than has arrived."""
TextSteps: TypeAlias = "Generator[None, None, str]"
"""Reads some of the buffer as `ReadingSteps` do, and returns its text."""
UseText: TypeAlias = "Callable[[str], object]"
"""Gets a piece of a text that is read."""


class NoCall(Exception):
    """The text is not a call of this dialect."""


class MarkupBroken(Exception):
    """The markup of a call fails after the call has begun; it may tell how many calls are open."""


class TextEnd(Exception):
    """The text ends where more of the markup is needed."""


@dataclass(slots=True, eq=False)
class MarkupReader:
    """The calls of one opening in a text, read in one dialect: what is common to all dialects.

    Until `begun`, nothing is certain: if `failed`, the text is no call, up to the position `at`. Once `over`,
    the text after the calls is in `rest`.
    """

    dialect: Dialect
    tools: OfferedTools | None
    """The tools of the request; None, or none of them, if they are not known."""
    at: int = 0
    """The position in the text up to which it was read; before a call has begun, all of it is kept."""
    out: list[CallPiece] = field(default_factory=list["CallPiece"])
    """Pieces that were read; the caller takes them."""
    begun: bool = False
    over: bool = False
    buffer: str = ""
    sure_at: int = 0
    """The position from which all text is kept, because it is not certain that it is a call."""
    tail: str = ""
    """The end of the arguments' JSON that the markup does not have."""
    has_ended: bool = False
    name: str = ""
    has_strange: bool = False
    """True if the call's object has members of other names, which may be its arguments."""
    is_open: bool = False
    is_whole: bool = False
    """If a call is open, and if nothing but the end of its markup is missing."""
    quoted: int = 0
    """The number of calls within its values that have no end there."""
    repairs: list[RepairName] = field(default_factory=list["RepairName"])
    run: ReadingSteps = field(init=False)
    """Reads the calls; it yields when it needs more text."""

    def __post_init__(self) -> None:
        self.run = self._read()
        next(self.run)

    @property
    def failed(self) -> bool:
        """True if the text is not a call of this dialect."""
        return self.over and not self.begun

    @property
    def rest(self) -> str:
        """The text that was not read."""
        return self.buffer[self.at :]

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The schema of the call's arguments; None if it is not known."""
        return self.tools.schemas.get(self.name) if self.tools else None

    def feed(self, text: str) -> None:
        read = self.at if self.is_open else self.sure_at
        self.buffer, self.at, self.sure_at = self.buffer[read:] + text, self.at - read, 0
        next(self.run, None)
        if not (self.is_open or self.over) and len(self.buffer) - self.sure_at > _MOST_HELD:
            self.at = len(self.buffer)
            self._give_up()

    def end(self) -> None:
        self.has_ended = True
        next(self.run, None)

    def read_calls(self) -> ReadingSteps:
        """Read the calls, up to the end of their markup."""
        raise NotImplementedError

    def _read(self) -> ReadingSteps:
        yield
        try:
            yield from self.read_calls()
        except NoCall:
            self._give_up()
        except MarkupBroken as broken:
            yield from self._drain(*broken.args)
        except TextEnd:
            self._finish_open()
        self.over = True

    def _give_up(self) -> None:
        """Leave the text since the last call, which is not a call, to the caller."""
        self.over = True
        self.at = self.sure_at if self.begun else self.at

    def _finish_open(self) -> None:
        """End a call whose markup has no end."""
        if not self.is_open:
            self._give_up()
            return
        self.at = len(self.buffer)
        if self.is_whole:
            self.emit(self.tail)
            self.close("open", "missing_end")
        else:
            self.close("cut")

    def _drain(self, depth: int = 1) -> ReadingSteps:
        """Read a call whose markup has failed up to its end; what it has is kept with its arguments.

        A value that quotes other calls ends after them, so their heads and ends are counted.
        """
        row, depth = self.dialect, depth + self.quoted
        head = row.openings[0] if row.body == "notation" else row.before or row.openings[0]
        stops = (head, *row.ends) if depth > 1 else (*row.ends, *row.closes)
        with suppress(TextEnd):
            while depth > 0:
                found = (yield from self.until(stops, self.emit)) if stops else ""
                depth += 1 if found == head else -1
        self.close("broken")

    def begin(self, name: str) -> None:
        """Report that a call has begun; raise NoCall for a name that no known tool has."""
        self.name = self.find_name(name)
        self.begun = self.is_open = True
        self.is_whole, self.quoted = False, 0
        self.out.append(CallBegun(self.name, self.dialect.name))

    def find_name(self, name: str) -> str:
        """Return the name of the tool that is meant; raise NoCall if no known tool has it."""
        own = name.removeprefix(self.dialect.namespace)
        found = self.tools.find_name(name) if self.tools else None if self.dialect.named_only else own
        if not found or len(found) > _LONGEST_NAME:
            raise NoCall
        if found not in (name, own):
            self.note_repairs("tool_name")
        return found

    def emit(self, text: str) -> None:
        if text:
            self.out.append(ArgumentsPiece(text))

    def note_repairs(self, *repairs: RepairName) -> None:
        self.repairs.extend(each for each in repairs if each not in self.repairs)

    def close(self, how: str, *repairs: RepairName) -> None:
        if not self.is_open:
            return
        self.is_open = self.is_whole = False
        self.tail, self.sure_at = "", self.at
        self.note_repairs(*repairs)
        self.out.append(CallEnded(how, tuple(self.repairs)))
        self.repairs.clear()

    def fail(self) -> Exception:
        """Return the error for text that the dialect does not have here."""
        return MarkupBroken() if self.is_open else NoCall()

    def more(self) -> ReadingSteps:
        """Wait for more text; raise `TextEnd` if there is none."""
        if self.has_ended:
            raise TextEnd
        yield

    def space(self) -> TextSteps:
        """Skip white space; return the character after it."""
        while True:
            end = end_of_space(self.buffer, self.at)
            if end < len(self.buffer):
                self.at = end
                return self.buffer[end]
            if self.is_open:
                self.at = end
            elif end - self.at > MOST_BLANK:
                raise NoCall
            yield from self.more()

    def take(self, texts: Sequence[str]) -> Generator[None, None, str | None]:
        """Skip one of several texts and return it; return None if none of them is next."""
        search = search_for_texts(tuple(texts))
        while texts and (self.at == len(self.buffer) or search.may_begin(self.buffer, self.at)):
            yield from self.more()
        found = search.pattern.match(self.buffer, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def near(self, stop: str, most: int) -> TextSteps:
        """Skip `stop` and at most `most` characters before it, and return these; skip nothing otherwise."""
        while True:
            end = self.buffer.find(stop, self.at, self.at + most + len(stop))
            if end >= 0:
                before, self.at = self.buffer[self.at : end], end + len(stop)
                return before
            if len(self.buffer) - self.at >= most + len(stop):
                raise self.fail()
            yield from self.more()

    def until(self, stops: tuple[str, ...], use: UseText) -> TextSteps:
        """Pass the text before the first of several texts to a function, and skip that text; return it."""
        search = search_for_texts(stops)
        while True:
            end, found = search.find(self.buffer, self.at)
            if end > self.at:
                use(self.buffer[self.at : end])
            if found is not None:
                self.at = found.end()
                return found[0]
            self.at = end
            if self.has_ended:
                use(self.rest)
                self.at = len(self.buffer)
            yield from self.more()

    def matched(self, pattern: re.Pattern[str], most: int) -> TextSteps:
        """Skip all that a pattern matches, at least one character, and return it."""
        while (end := end_of_match(pattern, self.buffer, self.at)) == len(self.buffer):
            if end - self.at > most:
                raise self.fail()
            yield from self.more()
        if end == self.at:
            raise self.fail()
        text, self.at = self.buffer[self.at : end], end
        return text

    def word(self) -> TextSteps:
        """Skip a name, and return it."""
        yield from self.space()
        return (yield from self.matched(_NAME, _LONGEST_NAME))

    def string(self) -> TextSteps:
        """Skip a JSON string, and return its value."""
        pieces: list[str] = []
        yield from self.value(pieces.append)
        try:
            value = json.loads("".join(pieces), strict=False)
        except ValueError:
            raise self.fail() from None
        return str(value)

    def value(self, use: UseText) -> ReadingSteps:
        """Pass the text of a JSON value to a function; its brackets and quotes tell where it ends."""
        first = yield from self.space()
        if first not in '"{[':
            yield from self.scalar(use)
            return
        depth, start = 0, self.at
        while True:
            stop = _OUTSIDE.search(self.buffer, self.at)
            if stop is None:
                self.at = len(self.buffer)
                start = yield from self._pass_on(start, use)
                continue
            if stop[0] in "<`":
                # Markup, which JSON has in strings alone: the model has forgotten a brace.
                self.at = stop.start()
                use(self.buffer[start : self.at])
                if depth != 1:
                    raise self.fail()
                use("}" if first == "{" else "]")
                self.note_repairs("missing_end")
                return
            self.at = stop.end()
            if stop[0] == '"':
                start = yield from self._rest_of_string(start, use)
            else:
                depth += 1 if stop[0] in "{[" else -1
            if depth <= 0:
                use(self.buffer[start : self.at])
                return

    def _rest_of_string(self, start: int, use: UseText) -> Generator[None, None, int]:
        """Skip the rest of a JSON string, and mend it; return the start of the text not yet passed on."""
        while True:
            self.at = end_of_match(STRING_TEXT, self.buffer, self.at)
            if match_unfinished(self.buffer, self.at):
                start = yield from self._pass_on(start, use)
            elif self.buffer[self.at] == '"':
                self.at += 1
                return start
            else:
                use(self.buffer[start : self.at])
                text, size, repair = mend_escape(self.buffer[self.at : self.at + 2])
                use(text)
                self.note_repairs(repair)
                self.at = start = self.at + size

    def _pass_on(self, start: int, use: UseText) -> Generator[None, None, int]:
        """Pass the text that was read to a function, and wait for more; return the position after it."""
        use(self.buffer[start : self.at])
        if self.has_ended:
            self.at = len(self.buffer)
        yield from self.more()
        # Text that was passed on is skipped, also if the buffer keeps it.
        return self.at

    def scalar(self, use: UseText) -> ReadingSteps:
        """Pass a number, or a name such as `true`, to a function."""
        use((yield from self.matched(_SCALAR, LONGEST_KEY)))
