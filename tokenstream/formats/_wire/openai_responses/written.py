"""Output items with texts: messages and reasoning. Each text becomes a part."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dicts_of, fields_except, is_list, text_of
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
"""Maps types of content to kinds of parts."""
_ANSWERS = frozenset({"text", "refusal"})
"""Kinds that some servers confuse in the event that starts a text."""
_CONTENT_FIELDS = ("type", "text", "refusal", "annotations", "logprobs", "parsed")


class Section:
    """One text of an item.

    Args:
        part: The part that the text became.
        fields: Data of this text, in addition to the data of the item.
    """

    __slots__ = ("cited", "fields", "given", "has_logprobs", "part")

    def __init__(self, part: OpenPart, fields: dict[str, Any]) -> None:
        self.part = part
        self.fields = fields
        self.given = 0
        """Number of characters reported so far."""
        self.cited = 0
        """Number of annotations reported so far."""
        self.has_logprobs = False


class WrittenItem(ResponseItem):
    """An item made of texts.

    The *key* of a text is a pair: the name under which events give the text's index,
    such as "content_index", and the index.
    """

    __slots__ = ("fields", "highest", "sections")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self.fields: dict[str, Any] = {}
        """The data of the item, which each of its parts contains."""
        self.sections: dict[tuple[str, int], Section] = {}
        self.highest: dict[str, int] = {}
        """Maps names of indexes to the highest index."""

    @abstractmethod
    def kind_of(self, content: dict[str, Any]) -> str:
        """Return the kind of part that a content of the item becomes."""

    @abstractmethod
    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open the part of a text.

        Args:
            key: The text's key.
            kind: The part's kind.
            content: The text as the server describes it.
        """

    def start(self, key: tuple[str, int], content: dict[str, Any], *, expected: bool = True) -> Section:
        """Return the open text with a key, which is opened if necessary.

        Args:
            key: The text's key.
            content: The text as the server describes it, with its type.
            expected: False if having to open the text here is a departure.
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
        """Add to the text with a key; return None if a part of another kind has the key.

        Args:
            key: The text's key.
            content: A content that has the text's type.
            text: The addition.
        """
        section = self.start(self._place_of(key, content), content, expected=False)
        if section.part.kind != self.kind_of(content):
            return None
        section.given += len(text)
        self.parts.add(section.part, text)
        return section

    def finish_text(self, key: tuple[str, int], content: dict[str, Any]) -> bool:
        """Read a whole text, and add what is missing; return False if a part of another kind has the key.

        Args:
            key: The text's key.
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
        """Return the key to use for a text: another key, if a refusal has the key of a text or vice versa."""
        held, kind = self.sections.get(key), self.kind_of(content)
        if held is None or held.part.kind == kind or not {held.part.kind, kind} <= _ANSWERS:
            return key
        other = (kind, key[1])
        if other not in self.sections:
            self.parts.note("part_index_reused")
        return other

    def take_texts(self, field: str, contents: object, *, over: bool) -> None:
        """Read the texts that the item itself lists.

        Args:
            field: The name under which events give a text's index, such as "content_index".
            contents: The texts as the server sent them.
            over: True if the item is complete; before that, its texts are only opened, not read.
        """
        found = self._contents(contents)
        streamed = sorted(key for key in self.sections if key[0] == field)
        if over and not streamed and self._was_given(found):
            self.parts.note("reasoning_twice")
            return
        for place, content in enumerate(found):
            # Indexes in events may differ from positions in the item: if no text is missing, match by order.
            key = streamed[place] if len(streamed) >= len(found) else (field, place)
            if over:
                self.finish_text(key, content)
            else:
                self.start(key, content)

    def _was_given(self, contents: list[dict[str, Any]]) -> bool:
        """Return whether deltas have sent the same number of characters with another kind of index."""
        given = sum(section.given for section in self.sections.values())
        return given > 0 and given == sum(len(text_of(content, "text") or "") for content in contents)

    def _contents(self, value: object) -> list[dict[str, Any]]:
        if isinstance(value, str) and value:
            return [{"type": "text", "text": value}]
        return dicts_of(value)

    def _give_rest(self, section: Section, content: dict[str, Any]) -> None:
        """Report what deltas have not sent of a whole text: text, annotations, log probabilities."""
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
        """Report the start of every open part again, if the data of the item have changed."""
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
        """Return the kind of part for a content; "opaque" if its type is unknown."""
        return _KINDS.get(text_of(content, "type") or "", "opaque")

    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open a text, a refusal or an opaque part."""
        if kind == "opaque":
            return Section(self.parts.open(0, _opaque(content)), {})
        fields = fields_except(content, *_CONTENT_FIELDS) or {}
        if kind == "reasoning":
            fields[key[0]] = key[1]
        return Section(self.parts.open(0, _start_of(kind, {**self.fields, **fields})), fields)

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Read the data and the content of the message."""
        self.repeat_starts(described(item, "content", "role") or {})
        self.take_texts("content_index", item.get("content"), over=over)
        if over:
            self.close(complete=True)


class ReasoningItem(WrittenItem):
    """Reasoning: the texts of a summary, the reasoning itself, or only its encrypted form."""

    __slots__ = ("_first", "_shown")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._first = NO_PART
        self._shown: Section | None = None
        """The text that uses the first part."""

    def kind_of(self, content: dict[str, Any]) -> str:
        """Return "reasoning" for text of any type, and else "opaque"."""
        return "reasoning" if text_of(content, "type") in _KINDS else "opaque"

    def open_section(self, key: tuple[str, int], kind: str, content: dict[str, Any]) -> Section:
        """Open a text; the first text uses the part that was opened with the item."""
        if kind == "opaque":
            return Section(self.parts.open(0, _opaque(content)), {})
        fields: dict[str, Any] = {key[0]: key[1], **(fields_except(content, *_CONTENT_FIELDS) or {})}
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
        """Read the data and the texts of the reasoning."""
        fields = described(item, "summary", "content", "encrypted_content") or {}
        news = fields != self.fields
        if self._first is NO_PART:
            self._first = self.parts.open(0, ReasoningPart(provider_data=fields or None))
            news = False
        self.repeat_starts(fields)
        self.take_texts("summary_index", item.get("summary"), over=over)
        self.take_texts("content_index", item.get("content"), over=over)
        if over:
            # Encrypted content is read only at the end: in the item's start, it may be incomplete.
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
        """Close every text, and the part that was opened with the item."""
        self.parts.close(self._first)
        super().close(complete=complete)


def _start_of(kind: str, fields: dict[str, Any]) -> TextPart | RefusalPart | ReasoningPart:
    """Return a part of a kind without its text, with the given data."""
    if kind == "text":
        return TextPart(provider_data=fields or None, phase=phase_of(fields))
    return _CONTENTS[kind](provider_data=fields or None)


def _opaque(content: dict[str, Any]) -> OpaquePart:
    return OpaquePart(type=text_of(content, "type") or "", data=content)
