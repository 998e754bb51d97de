"""Reads the calls that one opening in a text has begun, in one dialect, while the text arrives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.stages._calls.steps import (
    LONGEST_HEAD,
    LONGEST_KEY,
    MarkupBroken,
    MarkupReader,
    NoCall,
)
from tokenstream.stages._calls.values import (
    ANY,
    BARE_WORDS,
    STRING,
    find_types,
    mend_json,
    quote,
    write_python_arguments,
    write_value,
)
from tokenstream.stages._text.scanning import search_for_texts

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tokenstream.stages._calls.steps import Reader

_PYTHON_STOP = re.compile(r"""["'()\[\]{}]""")
_NOTATION_QUOTE = '<|"|>'
_NOTATION_STOP = re.compile(r"[<{}\[\],:]")
_MEMBERS = {
    **dict.fromkeys(("name", "tool_name", "function"), "name"),
    **dict.fromkeys(("arguments", "parameters", "input", "args"), "arguments"),
    **dict.fromkeys(("id", "tool_call_id", "type", "index"), "call"),
}
"""Members of a call's object, and if they tell its name, its arguments, or other things about the call.

`function` may also be an object around the others. Any other member may be an argument, or not.
"""


def _leave_out(text: str) -> None:
    """Do nothing with a text: it is no part of a call."""


class MarkupCalls(MarkupReader):
    """The calls of one opening in a text, read in one dialect."""

    __slots__ = ("_has_strange",)

    def read_calls(self) -> Reader:
        """Read the calls, up to the end of their markup."""
        if self.dialect.body == "objects":
            yield from self._read_objects()
        elif self.dialect.body == "python":
            yield from self._read_python()
        else:
            yield from self._read_headed()

    # -- JSON objects that have the name, too ------------------------------------

    def _read_objects(self) -> Reader:
        first = yield from self.space()
        in_list = first == "[" and (yield from self.take(("[",))) is not None
        has_another = True
        while has_another:
            if (yield from self.space()) != "{":
                raise self.fail()
            self.at += 1
            self.name = ""
            self._has_strange = False
            kept: list[str] = []
            yield from self._members(kept)
            if not self.is_open:
                self._begin_with(kept)
            self._end_members()
            has_another = yield from self._end_object(in_list=in_list)

    def _begin_with(self, kept: list[str]) -> None:
        """Begin a call whose object is over, or whose name follows its arguments."""
        if not self.name or (self.dialect.named_only and not kept):
            raise NoCall
        self.begin(self.name)
        self.fragments += kept or ["{}"]
        self.is_whole = True

    def _end_members(self) -> None:
        """Give a call without arguments none; end one with strange members, which may be its arguments."""
        if self._has_strange and not self.is_whole:
            # The end of the call is known, and other calls may follow.
            self.close("broken")
        elif not self.is_whole:
            self.emit("{}")
            self.is_whole = True

    def _members(self, kept: list[str]) -> Reader:
        """Read the members of a call's object up to its brace; `kept` receives arguments before the name."""
        while True:
            char = yield from self.space()
            if char == '"':
                key = yield from self.string()
                if (yield from self.space()) != ":":
                    raise self.fail()
                self.at += 1
                yield from self._member(key, kept)
            elif char in ",}":
                self.at += 1
                if char == "}":
                    return
            elif self.is_open and self.is_whole and char in "<]":
                # The model has forgotten the closing brace of the call's object.
                self.note_repairs("missing_end")
                return
            else:
                raise self.fail()

    def _member(self, key: str, kept: list[str]) -> Reader:
        """Read the value of a member of a call's object."""
        first = yield from self.space()
        tells = _MEMBERS.get(key)
        if tells == "name" and first == '"' and not self.name:
            self.name = self.find_name((yield from self.string()))
            if kept or not self.dialect.named_only:
                self.begin(self.name)
                self.fragments += kept
                self.is_whole = bool(kept)
        elif key == "function" and first == "{":
            self.at += 1
            yield from self._members(kept)
        elif tells == "arguments" and not self.is_whole and not kept:
            yield from self._arguments(first, kept)
        elif self.dialect.named_only and tells != "call":
            raise self.fail()
        else:
            self._has_strange = self._has_strange or tells is None
            yield from self.value(_leave_out)

    def _arguments(self, first: str, kept: list[str]) -> Reader:
        """Read the arguments of a call's object; keep them if the name is not known yet."""
        if not self.is_open and self.name:
            if first != "{":
                raise NoCall
            self.begin(self.name)
        use = self.emit if self.is_open else kept.append
        if first == '"':
            # The arguments are JSON in a string.
            text, repairs = mend_json((yield from self.string()) or "{}")
            use(text)
            self.note_repairs("json_in_string", *repairs)
        elif first == "n":
            yield from self.scalar(_leave_out)
            use("{}")
        else:
            yield from self.value(use)
        self.is_whole = self.is_open

    def _end_object(self, *, in_list: bool) -> Generator[None, None, bool]:
        """Read what follows the object of a call; return True if it is the object of another call."""
        row = self.dialect
        needs_end = in_list or bool(row.closes)
        if not needs_end:
            self.finish()
        while True:
            char = yield from self.space()
            if char in ",;}":
                self.at += 1
                if char == "}" and self.is_open:
                    self.note_repairs("extra_closer")
            elif char == "{":
                self.finish()
                return True
            elif char == "]" and in_list:
                self.at += 1
                in_list = False
                if not row.closes:
                    self.finish()
                    return False
            else:
                yield from self._close_section(in_list=in_list)
                return False

    def _close_section(self, *, in_list: bool) -> Reader:
        """Read the end of all calls that an opening has begun, of which the last may be open."""
        row = self.dialect
        found = yield from self.take((*row.closes, *row.openings))
        if not self.is_open:
            self.at -= 0 if found in row.closes else len(found or "")
            return
        if found is None:
            raise MarkupBroken
        if found in row.openings:
            self.at -= len(found)
        if in_list or found in row.openings:
            self.note_repairs("missing_end")
        self.close("closed")

    # -- calls with a head -----------------------------------------------------

    def _read_headed(self) -> Reader:
        row = self.dialect
        read = {"json": self._json, "parameters": self._parameters, "notation": self._notation}[row.body]
        has_another = True
        while has_another:
            if row.before and (yield from self._take_after_space((row.before,))) is None:
                raise self.fail()
            name = yield from self.word()
            yield from self._head_end()
            yield from read(name)
            has_another = bool(row.closes) and (yield from self._is_next())

    def _take_after_space(self, texts: Sequence[str]) -> Generator[None, None, str | None]:
        yield from self.space()
        return (yield from self.take(texts))

    def _head_end(self) -> Reader:
        """Read what stands between the name and the body."""
        row = self.dialect
        if not row.after:
            yield from self.space()
            return
        between = yield from self.near(row.after, LONGEST_HEAD)
        if re.fullmatch(row.between, between) is None:
            self.at -= len(between) + len(row.after)
            raise self.fail()
        if row.after == "{":
            self.at -= 1

    def _is_next(self) -> Generator[None, None, bool]:
        """Return True if another call follows; read the end of all calls otherwise."""
        row = self.dialect
        found = yield from self._take_after_space((*row.closes, row.before))
        if found == row.before:
            self.at -= len(row.before)
        return found == row.before

    def _end_call(self) -> Reader:
        """Read the end of a call's markup."""
        row = self.dialect
        while row.ends:
            found = yield from self._take_after_space((*row.borders, "}"))
            if found == "}":
                self.note_repairs("extra_closer")
                continue
            if found is None:
                raise MarkupBroken
            if found not in row.ends:
                # Another opening, or the end of all calls, stands in place of the end of this one.
                self.at -= len(found)
                self.note_repairs("missing_end")
            break
        self.close("closed")

    def _json(self, name: str) -> Reader:
        """Read arguments that are JSON."""
        first = yield from self.space()
        if first == "{":
            self.begin(name)
            yield from self.value(self.emit)
        elif (found := (yield from self.take(self.dialect.ends))) is not None:
            self.at -= len(found)
            self.begin(name)
            self.emit("{}")
        else:
            raise self.fail()
        self.is_whole = True
        yield from self._end_call()

    def _parameters(self, name: str) -> Reader:
        """Read arguments that are elements, one for each parameter."""
        row = self.dialect
        opening = row.elements.opening
        found = yield from self._take_after_space((opening, "{", *row.ends))
        if found is None or (found in row.ends and not (row.before or self.tools)):
            # A name between two tags may be any text, unless it is known to be the name of a tool.
            raise self.fail()
        if found != opening:
            self.at -= len(found)
            yield from self._json(name)
            return
        self.begin(name)
        self.emit("{")
        self.tail = "}"
        while found == opening:
            yield from self._parameter()
            found = yield from self._take_after_space((opening, *row.borders))
            if found == opening:
                self.emit(", ")
        if found is None:
            raise MarkupBroken
        self.emit("}")
        if found not in row.ends:
            self.at -= len(found)
            self.note_repairs("missing_end")
        self.close("closed")

    def _parameter(self) -> Reader:
        """Read one parameter, behind the text that opens it."""
        self.is_whole = False
        element, attributes = self.dialect.elements, ""
        key = (yield from self.near(element.name_end, LONGEST_KEY)).strip()
        if element.value_start:
            attributes = yield from self.near(element.value_start, LONGEST_KEY)
        self.emit(f"{quote(key)}: ")
        types = find_types(self.schema, key)
        if 'string="true"' in attributes:
            # The schema knows better.
            types = types if types and "string" not in types else STRING
        elif "string=" in attributes:
            types = ANY
        stops: tuple[str, ...] = (element.value_end,)
        if element.trims:
            yield from self.take(("\n",))
            # The line ending before the end belongs to the markup, and an end that is missing is repaired.
            stops = (
                f"\n{element.value_end}",
                element.value_end,
                f"\n{element.opening}",
                f"\n{self.dialect.ends[0]}",
            )
        if types == STRING:
            self.emit('"')
            found = yield from self.until(stops, lambda text: self.emit(quote(text)[1:-1]))
            self.emit('"')
        else:
            value: list[str] = []
            found = yield from self.until(stops, value.append)
            text, repairs = write_value("".join(value), types)
            self.emit(text)
            self.note_repairs(*repairs)
        if not found.endswith(element.value_end):
            self.at -= len(found)
            self.note_repairs("missing_end")
        self.is_whole = True

    def _notation(self, name: str) -> Reader:
        """Read arguments in JSON with bare keys, and with quotes of its own."""
        self.begin(name)
        depth, is_after_string = 0, False
        while True:
            held: list[str] = []
            stop = yield from self._until_stop(held)
            word = "".join(held).strip()
            if is_after_string and (word or stop == "<"):
                self.emit(", ")
                self.note_repairs("missing_comma")
            is_after_string = stop == "<"
            if stop == "<":
                if word or (yield from self.take((_NOTATION_QUOTE,))) is None:
                    raise MarkupBroken
                self.emit('"')
                yield from self.until((_NOTATION_QUOTE,), lambda text: self.emit(quote(text)[1:-1]))
                self.emit('"')
                continue
            if word:
                text, repairs = (quote(word), ()) if stop == ":" else write_value(word, BARE_WORDS)
                self.emit(text)
                self.note_repairs(*repairs)
            self.emit(": " if stop == ":" else stop)
            self.at += 1
            depth += (stop in "{[") - (stop in "}]")
            if depth == 0:
                break
        self.is_whole = True
        yield from self._end_call()

    def _until_stop(self, held: list[str]) -> Generator[None, None, str]:
        """Keep a bare word of a notation; return the character behind it, which is not skipped."""
        while True:
            stop = _NOTATION_STOP.search(self.buffer, self.at)
            end = len(self.buffer) if stop is None else stop.start()
            held.append(self.buffer[self.at : end])
            self.at = end
            if stop is not None:
                return stop[0]
            yield from self.more()

    # -- Python ------------------------------------------------------------------

    def _read_python(self) -> Reader:
        row = self.dialect
        yield from self._take_after_space(("[",))
        while True:
            is_printed = (yield from self._take_after_space(("print(",))) is not None
            name = yield from self.word()
            if (yield from self.take(("(",))) is None:
                raise self.fail()
            self.begin(name)
            yield from self._python_arguments()
            if is_printed:
                yield from self._take_after_space((")",))
            found: str | None = ","
            while found in (",", ";", "]"):
                found = yield from self._take_after_space((",", ";", "]", *row.closes))
                if found == "]" and not row.closes:
                    break
            self.finish()
            if found is not None:
                return

    def _python_arguments(self) -> Reader:
        """Read the arguments of a Python call, and its closing parenthesis."""
        held: list[str] = []
        depth, mark = 1, ""
        while depth:
            char = yield from self._python_stop(held, mark)
            if mark:
                mark = "" if char == mark else mark
            elif char in "\"'":
                mark = char
            else:
                depth += 1 if char in "([{" else -1
            if depth:
                held.append(char)
        text = "".join(held)
        written, repairs = write_python_arguments(text, self.schema)
        self.emit(text if written is None else written)
        self.note_repairs(*repairs)
        self.is_whole = written is not None
        if written is None:
            # Its end is known, and other calls may follow.
            self.close("broken")

    def _python_stop(self, held: list[str], mark: str) -> Generator[None, None, str]:
        """Keep the text up to the next quote or bracket (in a string, its `mark`); skip and return that."""
        pattern = search_for_texts((mark, "\\")).pattern if mark else _PYTHON_STOP
        while True:
            stop = pattern.search(self.buffer, self.at)
            if stop is not None and stop[0] == "\\" and stop.end() < len(self.buffer):
                held.append(self.buffer[self.at : stop.end() + 1])
                self.at = stop.end() + 1
                continue
            end = len(self.buffer) if stop is None else stop.start()
            held.append(self.buffer[self.at : end])
            self.at = end
            if stop is not None and stop[0] != "\\":
                self.at += 1
                return stop[0]
            yield from self.more()
