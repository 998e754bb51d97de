"""Output items with texts (messages and reasoning), each text a part."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dicts_of, is_list, known, text_of
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._wire.openai_responses.item import ResponseItem
from tokenstream.formats._wire.openai_responses.words import citation_of, described, phase_of
from tokenstream.message import OpaquePart, ReasoningPart, RefusalPart, TextPart

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import Parts

_KINDS = {
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "reasoning_text": "reasoning",
    "summary_text": "reasoning",
}
"""Kinds of parts, by content type."""
_ANSWERS = frozenset({"text", "refusal"})
"""Kinds that servers confuse in the start of a part."""
_CONTENT_FIELDS = ("type", "text", "refusal", "annotations", "logprobs", "parsed")


class Section:
    """One text of an item.

    Args:
        part: Its part.
        fields: Its own data, beside the item's.
    """

    __slots__ = ("cited", "fields", "given", "has_logprobs", "part")

    def __init__(self, part: OpenPart, fields: dict[str, Any]) -> None:
        self.part = part
        self.fields = fields
        self.given = 0
        """Characters given so far."""
        self.cited = 0
        """Annotations given so far."""
        self.has_logprobs = False


class WrittenItem(ResponseItem):
    """An item made of texts, each identified by its field and index."""

    __slots__ = ("fields", "highest", "sections")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self.fields: dict[str, Any] = {}
        """The item's own data, for each of its parts."""
        self.sections: dict[tuple[str, int], Section] = {}
        self.highest: dict[str, int] = {}
        """The highest index of a text, by field."""

    @abstractmethod
    def kind_of(self, content: dict[str, Any]) -> str:
        """Return the kind of part for a content."""

    @abstractmethod
    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open the part of a text.

        Args:
            key: Its field and index.
            kind: The part's kind.
            content: The server's description of it.
        """

    def start(self, key: tuple[str, int], content: dict[str, Any], *, expected: bool = True) -> Section:
        """Return the open text at a place, opened if necessary.

        Args:
            key: Its field and index.
            content: The server's description of it, with its type.
            expected: True if a start is due here; otherwise it is a departure.
        """
        section = self.sections.get(key)
        if section is not None and not section.part.closed:
            return section
        if section is not None:
            self.parts.note("part_after_close")
        elif not expected:
            self.parts.note("part_unopened")
        section = self.sections[key] = self.open_section(key, self.kind_of(content), content)
        self.highest[key[0]] = max(key[1], self.highest.get(key[0], 0))
        return section

    def write(self, key: tuple[str, int], content: dict[str, Any], text: str) -> Section | None:
        """Add to the text at a place; return None if another kind of part is there.

        Args:
            key: Its field and index.
            content: A content of this type.
            text: The addition.
        """
        section = self.start(self._place_of(key, content), content, expected=False)
        if section.part.kind != self.kind_of(content):
            return None
        section.given += len(text)
        self.parts.add(section.part, text)
        return section

    def finish_text(self, key: tuple[str, int], content: dict[str, Any]) -> bool:
        """Add the missing rest of a whole text; return whether it fits the text given so far.

        Args:
            key: Its field and index.
            content: The content as the server sent it.
        """
        if not content:
            return True
        key = self._place_of(key, content)
        section = self.sections.get(key) or self.start(key, content)
        if section.part.kind != self.kind_of(content):
            return False
        if section.part.kind != "opaque":
            self._give_rest(section, content)
        elif not section.part.closed:
            self.tell(section.part, _opaque(content))
            self.parts.close(section.part)
        return True

    def _place_of(self, key: tuple[str, int], content: dict[str, Any]) -> tuple[str, int]:
        """Return the place of a text; a refusal in the place of a text is a part of its own."""
        held, kind = self.sections.get(key), self.kind_of(content)
        if held is None or held.part.kind == kind or not {held.part.kind, kind} <= _ANSWERS:
            return key
        other = (kind, key[1])
        if other not in self.sections:
            self.parts.note("part_index_reused")
        return other

    def take_texts(self, field: str, contents: object, *, over: bool) -> None:
        """Read the texts in the item itself.

        Args:
            field: The field of their indexes.
            contents: The texts as the server sent them.
            over: True if they are complete; until then, they only announce texts.
        """
        found = self._contents(contents)
        streamed = sorted(key for key in self.sections if key[0] == field)
        if over and not streamed and self._was_given(found):
            self.parts.note("reasoning_twice")
            return
        for place, content in enumerate(found):
            # Indexes in events may differ from positions in the item: if none is missing, match by order.
            key = streamed[place] if len(streamed) >= len(found) else (field, place)
            if over:
                self.finish_text(key, content)
            else:
                self.start(key, content)

    def _was_given(self, contents: list[dict[str, Any]]) -> bool:
        """Return whether the same amount of text was given under another field."""
        given = sum(section.given for section in self.sections.values())
        return given > 0 and given == sum(len(text_of(content, "text") or "") for content in contents)

    def _contents(self, value: object) -> list[dict[str, Any]]:
        if isinstance(value, str) and value:
            return [{"type": "text", "text": value}]
        return dicts_of(value)

    def _give_rest(self, section: Section, content: dict[str, Any]) -> None:
        text = text_of(content, "text", "refusal") or ""
        if not section.part.closed:
            if not section.given:
                section.given = len(text)
                self.parts.add(section.part, text)
            elif text and len(text) != section.given:
                self.parts.note("text_rewritten")
        annotations = content.get("annotations")
        if is_list(annotations):
            for annotation in dicts_of(annotations[section.cited :]):
                self.cite(section, annotation)
        if not section.has_logprobs:
            self.measure(section, content.get("logprobs"))

    def cite(self, section: Section, annotation: dict[str, Any]) -> None:
        """Report an annotation of a text."""
        section.cited += 1
        self.parts.cite(0, citation_of(annotation, section.part.index))

    def measure(self, section: Section, logprobs: object) -> None:
        """Report log probabilities of a text."""
        if is_list(logprobs) and logprobs:
            section.has_logprobs = True
            self.parts.items("logprobs", logprobs)

    def close(self, *, complete: bool) -> None:
        """Close every text."""
        self.over = True
        for section in self.sections.values():
            self.parts.close(section.part)

    def repeat_starts(self, fields: dict[str, Any]) -> None:
        """Report the item's own data again on every open part."""
        if fields == self.fields:
            return
        self.fields = fields
        for section in self.sections.values():
            if not section.part.closed and section.part.kind in _CONTENTS:
                self.tell(section.part, _start_of(section.part.kind, {**fields, **section.fields}))


_CONTENTS: dict[str, type[TextPart | RefusalPart | ReasoningPart]] = {
    "text": TextPart,
    "refusal": RefusalPart,
    "reasoning": ReasoningPart,
}


class MessageItem(WrittenItem):
    """A message: texts and refusals."""

    __slots__ = ()

    def kind_of(self, content: dict[str, Any]) -> str:
        """Return the kind of part for a content; "opaque" outside our vocabulary."""
        return _KINDS.get(text_of(content, "type") or "", "opaque")

    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open a text, a refusal or an opaque part."""
        if kind == "opaque":
            return Section(self.parts.open(0, _opaque(content)), {})
        fields = known(content, *_CONTENT_FIELDS) or {}
        if kind == "reasoning":
            fields[key[0]] = key[1]
        return Section(self.parts.open(0, _start_of(kind, {**self.fields, **fields})), fields)

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Read the message's data and content."""
        self.repeat_starts(described(item, "content", "role") or {})
        self.take_texts("content_index", item.get("content"), over=over)
        if over:
            self.close(complete=True)


class ReasoningItem(WrittenItem):
    """Reasoning: texts of a summary, the reasoning itself, or only its encrypted form."""

    __slots__ = ("_first", "_shown")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._first = NO_PART
        self._shown: Section | None = None
        """The text of the first part."""

    def kind_of(self, content: dict[str, Any]) -> str:
        """Return "reasoning" for any text."""
        return "reasoning" if text_of(content, "type") in _KINDS else "opaque"

    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open a text; the first one takes the part that the item began with."""
        if kind == "opaque":
            return Section(self.parts.open(0, _opaque(content)), {})
        fields: dict[str, Any] = {key[0]: key[1], **(known(content, *_CONTENT_FIELDS) or {})}
        start = ReasoningPart(provider_data={**self.fields, **fields})
        first = self._first
        if self._shown is not None or first.closed:
            section = Section(self.parts.open(0, start), fields)
        else:
            self.tell(first, start)
            section = Section(first, fields)
        if self._shown is None:
            self._first, self._shown = section.part, section
        return section

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Read the reasoning's data and texts."""
        fields = described(item, "summary", "content", "encrypted_content") or {}
        news = fields != self.fields
        if self._first is NO_PART:
            self._first = self.parts.open(0, ReasoningPart(provider_data=fields or None))
            news = False
        self.repeat_starts(fields)
        self.take_texts("summary_index", item.get("summary"), over=over)
        self.take_texts("content_index", item.get("content"), over=over)
        if over:
            # Encrypted content in the item's start may be a piece.
            self._seal(text_of(item, "encrypted_content"), news=news and self._shown is None)
            self.close(complete=True)

    def _seal(self, sealed: str | None, *, news: bool) -> None:
        """Report the encrypted reasoning on the first part."""
        first = self._first
        if first.closed or not (sealed or news):
            return
        fields = {**self.fields, **(self._shown.fields if self._shown is not None else {})}
        self.tell(first, ReasoningPart(redacted=sealed, provider_data=fields or None))

    def close(self, *, complete: bool) -> None:
        """Close every text, and the part that the item began with."""
        self.parts.close(self._first)
        super().close(complete=complete)


def _start_of(kind: str, fields: dict[str, Any]) -> TextPart | RefusalPart | ReasoningPart:
    """Return the part that a text begins with."""
    if kind == "text":
        return TextPart(provider_data=fields or None, phase=phase_of(fields))
    return _CONTENTS[kind](provider_data=fields or None)


def _opaque(content: dict[str, Any]) -> OpaquePart:
    return OpaquePart(type=text_of(content, "type") or "", data=content)
