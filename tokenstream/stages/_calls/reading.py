"""Reads the calls that one opening in a text has begun, in one dialect, while the text arrives."""

from __future__ import annotations

import json
import re
from functools import cache, partial
from typing import TYPE_CHECKING

from tokenstream._basics.json import is_one_value
from tokenstream._basics.untrusted import is_dict
from tokenstream.stages._calls.steps import (
    LONGEST_HEAD,
    LONGEST_KEY,
    NAME,
    MarkupBroken,
    MarkupReader,
    NoCall,
    ReadingSteps,
    TextSteps,
)
from tokenstream.stages._calls.values import (
    ANY,
    BARE_WORDS,
    STRING,
    ParameterSchema,
    find_schema,
    json_of_literal,
    mend_json,
    to_json,
    types_in,
    write_elements,
    write_python_arguments,
    write_value,
)
from tokenstream.stages._text.scanning import search_for_texts

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tokenstream.stages._calls.dialects import Dialect

_PYTHON_STOPS = tuple("\"'()[]{}\\")
_NOTATION_QUOTE = '<|"|>'
_NOTATION_STOPS = tuple("<{}[],:")
_MOST_TEXT = 256
"""The most text after whole arguments that is held back, because the end of the call may follow."""
_DEEPEST = 32
"""The most elements within one another."""
_NOT_IN_KEYS = frozenset("<>\n")
_LONGEST_OBJECT = 8_192
"""The longest text of an object in Python's quotes, at any chunking, whose name is known at its end alone."""
_MEMBERS = {
    **dict.fromkeys(("name", "tool_name", "function"), "name"),
    **dict.fromkeys(("arguments", "parameters", "input", "args"), "arguments"),
    **dict.fromkeys(("id", "tool_call_id", "type", "index"), "call"),
}
"""Members of a call's object, and what they tell; `function` may also be an object around the others. Any
other member may be an argument, or not."""


def _leave_out(_text: str) -> None:
    """Drop a text that belongs to no call."""


@cache
def _heads_of(row: Dialect) -> re.Pattern[str]:
    """Return the pattern of a call's head, perhaps with a call's end before it, and a parameter after it."""
    ends, heads, around = (
        "|".join(map(re.escape, texts))
        for texts in (row.ends, [row.before] if row.before else row.openings, [*row.closes, *row.openings])
    )
    return re.compile(
        rf"(?P<end>(?:{ends})\s*+(?:(?:{around})\s*+){{0,3}}?)?(?:{heads})\s*+(?P<name>{NAME})"
        rf"(?:.{{0,{LONGEST_HEAD}}}?(?P<parameter>{re.escape(row.elements.opening)}))?",
        re.DOTALL,
    )


class MarkupCalls(MarkupReader):
    """The calls of one opening in a text, read in one dialect."""

    __slots__ = ()

    def read_calls(self) -> ReadingSteps:
        read = {"objects": self._read_objects, "python": self._read_python}
        yield from read.get(self.dialect.body, self._read_headed)()

    def _read_objects(self) -> ReadingSteps:
        in_list = (yield from self._take_after_space(("[",))) is not None
        has_another = True
        while has_another:
            if (yield from self.space()) != "{":
                raise self.fail()
            self.at += 1
            self.name, self.has_strange = "", False
            kept: list[str] = []
            has_own_quotes = (yield from self.space()) == "'"
            yield from (self._python_members if has_own_quotes else self._members)(kept)
            self._end_members(kept)
            has_another = yield from self._end_object(in_list=in_list)

    def _end_members(self, kept: list[str]) -> None:
        """Begin a call that is not open; end one with strange members, which may be its arguments."""
        if not self.is_open:
            if not self.name or (self.dialect.named_only and not kept):
                raise NoCall
            self._begin_with(kept)
        if self.has_strange and not self.is_whole:
            # The end of the call is known, and other calls may follow.
            self.close("broken")
            return
        self.emit("" if self.is_whole else "{}")
        self.is_whole = True

    def _begin_with(self, kept: list[str]) -> None:
        self.begin(self.name)
        self.emit("".join(kept))
        self.is_whole = bool(kept)

    def _members(self, kept: list[str]) -> ReadingSteps:
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

    def _member(self, key: str, kept: list[str]) -> ReadingSteps:
        first = yield from self.space()
        tells = _MEMBERS.get(key)
        if tells == "name" and first == '"' and not self.name:
            self.name = self.find_name((yield from self.string()))
            if kept or not self.dialect.named_only:
                self._begin_with(kept)
        elif key == "function" and first == "{":
            self.at += 1
            yield from self._members(kept)
        elif tells == "arguments" and not self.is_whole and not kept:
            yield from self._arguments(first, kept)
        elif self.dialect.named_only and tells != "call":
            raise self.fail()
        else:
            self.has_strange = self.has_strange or tells is None
            yield from self.value(_leave_out)

    def _arguments(self, first: str, kept: list[str]) -> ReadingSteps:
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
        if not (in_list or row.closes):
            self.close("closed")
        while True:
            char = yield from self.space()
            if char in ",;}":
                self.at += 1
                if char == "}" and self.is_open:
                    self.note_repairs("extra_closer")
            elif char == "{":
                self.close("closed")
                return True
            elif char == "]" and in_list:
                self.at += 1
                in_list = False
                if not row.closes:
                    self.close("closed")
                    return False
            else:
                yield from self._take_end(row.closes, lacks_more=in_list)
                return False

    def _take_end(self, ends: Sequence[str], *, lacks_more: bool = False) -> ReadingSteps:
        """Read the end of a call that may be open, or of all calls that an opening has begun."""
        found = yield from self._take_after_space(self.dialect.borders)
        # Another opening, the end of all calls, or a text is in place of an end that is missing.
        is_end = found in ends
        self.at -= 0 if is_end else len(found or "")
        if self.is_open:
            if found is None and lacks_more:
                raise MarkupBroken
            if found is None:
                yield from self._check_missing_end()
            if lacks_more or not is_end:
                self.note_repairs("missing_end")
            self.close("closed")

    def _check_missing_end(self) -> ReadingSteps:
        """Raise MarkupBroken for a text after whole arguments if the end of the call follows it."""
        pattern = search_for_texts(self.dialect.borders).pattern
        while (border := pattern.search(self.buffer, self.at, self.at + _MOST_TEXT)) is None:
            if self.has_ended or len(self.buffer) - self.at >= _MOST_TEXT:
                return
            yield from self.more()
        if border[0] in (*self.dialect.ends, *self.dialect.closes):
            raise MarkupBroken

    def _read_headed(self) -> ReadingSteps:
        row = self.dialect
        read = {"json": self._json, "parameters": self._parameters, "notation": self._notation}[row.body]
        if row.before and (yield from self._take_after_space((row.before,))) is None:
            raise self.fail()
        while True:
            name = yield from self.word()
            yield from self._head_end()
            yield from read(name)
            if not row.closes or (yield from self._take_after_space((*row.closes, row.before))) != row.before:
                return

    def _take_after_space(self, texts: Sequence[str]) -> Generator[None, None, str | None]:
        yield from self.space()
        return (yield from self.take(texts))

    def _head_end(self) -> ReadingSteps:
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

    def _end_call(self) -> ReadingSteps:
        ends = self.dialect.ends
        while ends and (yield from self._take_after_space(("}",))) is not None:
            self.note_repairs("extra_closer")
        if ends:
            yield from self._take_end(ends)
        else:
            self.close("closed")

    def _json(self, name: str) -> ReadingSteps:
        found = yield from self._take_after_space(("{", *self.dialect.ends))
        if found is None:
            raise self.fail()
        self.at -= len(found)
        self.begin(name)
        if found == "{":
            yield from self.value(self.emit)
        else:
            self.emit("{}")
        self.is_whole = True
        yield from self._end_call()

    def _parameters(self, name: str) -> ReadingSteps:
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
        self.at -= len(found)
        self.emit("}")
        yield from self._end_call()

    def _parameter(self) -> ReadingSteps:
        """Read one parameter, after the text that opens it."""
        self.is_whole = False
        element, attributes = self.dialect.elements, ""
        key = (yield from self.near(element.name_end, LONGEST_KEY)).strip()
        self.emit(f"{to_json(key)}: ")
        if key[:1] == "/" or not _NOT_IN_KEYS.isdisjoint(key):
            # The end of an element that is not open, or a text in which an end is missing.
            raise MarkupBroken
        if element.value_start:
            attributes = yield from self.near(element.value_start, LONGEST_KEY)
        if "<" in attributes:
            raise MarkupBroken
        schema = find_schema(self.schema, self.schema, key)
        types = types_in(schema, self.schema)
        if 'string="true"' in attributes or 'type="string"' in attributes:
            # The schema knows better.
            types = types if types and "string" not in types else STRING
        elif "string=" in attributes or "type=" in attributes:
            types = ANY
        end = element.value_end.format(key)
        stops: tuple[str, ...] = (end,)
        if element.trims:
            yield from self.take(("\n",))
            stops = (f"\n{end}", end)
        if element.mends:
            stops = (*stops, f"\n{element.opening}", f"\n{self.dialect.ends[0]}")
        if "{}" in element.value_end and (types != STRING or schema is None):
            self.emit((yield from self._nested_value(key, schema)))
            found = end
        else:
            self.emit('"' * (types == STRING))
            value: list[str] = []
            found = yield from self.until(stops, partial(self._take_value, value, types))
            text, repairs = ('"', ()) if types == STRING else write_value("".join(value), types)
            self._check_value(key, "".join([*value, found]))
            self.emit(text)
            self.note_repairs(*repairs)
        if not found.endswith(end):
            self.at -= len(found)
            self.note_repairs("missing_end")
        self.is_whole = True

    def _take_value(self, value: list[str], types: frozenset[str], text: str) -> None:
        value.append(text)
        if types == STRING:
            self.emit(to_json(text)[1:-1])

    def _check_value(self, key: str, value: str) -> None:
        """Raise MarkupBroken if a value has another call's head: its end may be that call's.

        A value may quote a head, but not after a call's end, nor with a parameter of the same end.
        """
        element = self.dialect.elements
        has_same_end = "{}" not in element.value_end or f"{element.opening}{key}{element.name_end}" in value
        for head in _heads_of(self.dialect).finditer(value):
            is_within = has_same_end and head["parameter"]
            if (is_within or head["end"]) and (not self.tools or self.tools.find_name(head["name"])):
                raise MarkupBroken(1 if head["end"] else 2)

    def _nested_value(self, name: str, schema: ParameterSchema, depth: int = 0) -> TextSteps:
        """Read a value that may have elements within it, up to its end; return its JSON."""
        element, pieces = self.dialect.elements, list[str]()
        end, within = element.value_end.format(name), dict[str, list[str]]()
        mark = element.opening[:-1]
        yield from self.until((mark,), pieces.append)
        self.at -= len(mark)
        text = "".join(pieces)
        is_blank = not text.strip()
        while (found := (yield from self._take_after_space((end, element.opening)))) != end:
            key = (yield from self.near(element.name_end, LONGEST_KEY)).strip() if found and is_blank else ""
            if depth == _DEEPEST or key[:1] in {"", "/"}:
                raise MarkupBroken
            inner = find_schema(schema, self.schema, key)
            within.setdefault(key, []).append((yield from self._nested_value(key, inner, depth + 1)))
        return write_elements(text, within, types_in(schema, self.schema))

    def _notation(self, name: str) -> ReadingSteps:
        """Read arguments in JSON with bare keys, and with quotes of its own."""
        self.begin(name)
        depth, is_after_string = 0, False
        (head, *_), (end, *_) = self.dialect.openings, self.dialect.ends
        while True:
            held: list[str] = []
            stop = yield from self.until(_NOTATION_STOPS, held.append)
            word = "".join(held).strip()
            if is_after_string and (word or stop == "<"):
                self.emit(", ")
                self.note_repairs("missing_comma")
            is_after_string = stop == "<"
            if stop == "<":
                self.at -= 1
                if word or (yield from self.take((_NOTATION_QUOTE,))) is None:
                    raise MarkupBroken
                self.emit('"')
                yield from self.until((_NOTATION_QUOTE,), partial(self._take_value, held, STRING))
                self.emit('"')
                quoted = "".join(held)
                self.quoted += max(0, quoted.count(head + self.dialect.before) - quoted.count(end))
                continue
            if word:
                text, repairs = (to_json(word), ()) if stop == ":" else write_value(word, BARE_WORDS)
                self.emit(text)
                self.note_repairs(*repairs)
            self.emit(": " if stop == ":" else stop)
            depth += (stop in "{[") - (stop in "}]")
            if depth == 0:
                break
        self.is_whole = True
        yield from self._end_call()

    def _read_python(self) -> ReadingSteps:
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
            self.close("closed")
            if found is not None:
                return

    def _python_members(self, kept: list[str]) -> ReadingSteps:
        """Read the members of a call's object that is written in Python, up to its brace."""
        text = yield from self._python_text()
        # A longer one may be more than is held back while the name is not known.
        members = json_of_literal(f"{{{text}}}") if len(text) <= _LONGEST_OBJECT else None
        if members is None or members[0] != "{":
            raise self.fail()
        found = json.loads(members)
        if is_dict(found.get("function")):
            found |= found.pop("function")
        for key, value in found.items():
            tells = _MEMBERS.get(key)
            if tells == "name":
                if not isinstance(value, str):
                    raise self.fail()
                self.name = self.find_name(value)
            elif tells == "arguments" and not kept:
                is_json = isinstance(value, str) and is_one_value(value)
                kept.append(value if is_json else to_json(value))
                if is_json:
                    self.note_repairs("json_in_string")
            else:
                self.has_strange = self.has_strange or tells != "call"
        if self.has_strange and self.dialect.named_only:
            raise self.fail()
        self.note_repairs("python_literal")

    def _python_arguments(self) -> ReadingSteps:
        text = yield from self._python_text()
        written, repairs = write_python_arguments(text, self.schema)
        self.emit(text if written is None else written)
        self.note_repairs(*repairs)
        self.is_whole = written is not None
        if written is None:
            # Its end is known, and other calls may follow.
            self.close("broken")

    def _python_text(self) -> TextSteps:
        """Skip Python up to the end of the brackets that are open, and return it without that end."""
        held: list[str] = []
        depth, mark = 1, ""
        while depth:
            stop = yield from self.until(_PYTHON_STOPS, held.append)
            if stop == "\\":
                while self.at == len(self.buffer):
                    yield from self.more()
                stop += self.buffer[self.at]
                self.at += 1
            elif mark:
                mark = "" if stop == mark else mark
            elif stop in "\"'":
                mark = stop
            else:
                depth += 1 if stop in "([{" else -1
            if depth:
                held.append(stop)
        return "".join(held)
