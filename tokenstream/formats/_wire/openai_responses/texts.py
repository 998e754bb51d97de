"""Output items with texts: messages and reasoning. Each text becomes a part, or a worker's result.

In OpenAI's multi-agent beta, items and events have an `agent` with a canonical `agent_name`: "/root" is the
agent that answers, "/root/researcher" works for it. Fields: `BetaResponseOutputMessage` of openai-python, and
https://developers.openai.com/api/docs/guides/responses-multi-agent.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, TypeAlias

from typing_extensions import override

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, is_list, text_of
from tokenstream.formats._kit.identity import likeness_of
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._kit.parts import BLANK_REASONING
from tokenstream.formats._kit.sessions import ITEM_FIELDS
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.openai_responses.item import ResponseItem
from tokenstream.formats._wire.openai_responses.words import citation_of, data_of, phase_of
from tokenstream.message import OpaquePart, ReasoningPart, RefusalPart, ServerToolResult, TextPart

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
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
_ANSWER_KINDS = frozenset({"text", "refusal"})
"""Kinds of parts that some servers give one index."""
_MOST_COMPARED = 8
"""The most texts of an item that are compared with a whole text that may be any of them."""
_MOST_STRIPPED = 100
"""The most characters of white space by which a text may be shorter when it is repeated."""
_READ_FIELDS = split_names("type text refusal annotations logprobs parsed")
"""Fields of a text that do not belong to the data of its part."""


class Section:
    """One text of an item, with counts of the content that has been reported.

    Args:
        part: The part that the text became.
        fields: Data of this text, in addition to the data of the item.
    """

    __slots__ = ("cited", "fields", "has_logprobs", "length", "part")

    def __init__(self, part: OpenPart, fields: JsonObject) -> None:
        self.part = part
        self.fields = fields
        """The text's own fields in the part's provider data, beside those of the item."""
        self.length = 0
        """Number of characters reported so far."""
        self.cited: dict[int, JsonObject] = {}
        """The annotations reported so far, by their indexes among those of the text."""
        self.has_logprobs = False

    def report_logprobs(self, parts: Parts, logprobs: object) -> None:
        if is_list(logprobs) and logprobs:
            self.has_logprobs = True
            parts.items("logprobs", logprobs)


TextKey: TypeAlias = tuple[str, int]
"""Identifies a text of an item: the event field that contains its index ("content_index" or
"summary_index"), and the index."""


class TextItem(ResponseItem):
    """An item that consists of texts, each of which becomes a part."""

    __slots__ = ("fields", "highest_index", "sections")

    def _set_up(self) -> None:
        self.fields: JsonObject = {}
        """The data of the item, which each of its parts contains."""
        self.sections: dict[TextKey, Section] = {}
        """The texts so far, by key: the event field with the text's index, and the index."""
        self.highest_index: dict[str, int] = {}
        """Maps each event field with the index of a text to the highest index so far."""

    @abstractmethod
    def kind_of(self, content: JsonObject) -> str:
        """Return the kind of part that a text of the item becomes."""

    @abstractmethod
    def open_section(self, key: TextKey, kind: str, content: JsonObject) -> Section:
        """Open the part of a text of a known kind; return the state of the text."""

    @override
    def likeness(self, whole: JsonObject) -> int:
        contents = [*dicts_of(whole.get("summary")), *dicts_of(whole.get("content"))]
        texts = [text_of(content, "text", "refusal") or "" for content in contents[:1]]
        written = [section for section in self.sections.values() if section.length][:_MOST_COMPARED]
        if not written:
            return int(not self.ended)
        return max([self._likeness_of(section, text) for text in texts for section in written], default=0)

    def _likeness_of(self, section: Section, whole: str) -> int:
        """Return 2 for a text that has arrived whole, 1 for the beginning of the whole text, otherwise 0."""
        if section.length > len(whole) + _MOST_STRIPPED:
            return 0
        return likeness_of(self.parts.arrived_of(section.part).strip(), whole.strip())

    def guess_index(self, field: str, whole: JsonObject | None) -> int:
        """Return the index of the text that an event without one is about; see `key_of`."""
        last = self.highest_index.get(field, 0)
        section = self.sections.get((field, last))
        if whole is None or section is None:
            return last
        if not whole:
            return last + (section.length > 0)
        text, recent = (
            text_of(whole, "text", "refusal") or "",
            range(last, max(-1, last - _MOST_COMPARED), -1),
        )
        likeness = {
            index: self._likeness_of(self.sections[field, index], text)
            for index in recent
            if (field, index) in self.sections
        }
        return max(likeness, key=lambda index: likeness[index])

    def start_text(self, key: TextKey, content: JsonObject, *, expected: bool = True) -> Section:
        """Return the open text with a key; opening it here is a departure unless `expected`."""
        section = self.sections.get(key)
        if section is not None:
            # Some servers give a text and a refusal one index.
            is_other = not _ANSWER_KINDS ^ {section.part.kind, self.kind_of(content)}
            if not is_other and (section.part.whole_text or not section.part.closed):
                return section
            self.parts.note("part_index_reused")
            self.parts.close(section.part)
        elif not expected:
            self.parts.note("part_unannounced")
        field, index = key
        self.parts.place = (self.place[0], (field == "content_index", index))
        kind = self.kind_of(content)
        if kind == "opaque":
            section = Section(self.parts.open(0, _opaque_part(content)), {})
        else:
            section = self.open_section(key, kind, content)
        self.sections[key] = section
        self.highest_index[field] = max(index, self.highest_index.get(field, 0))
        return section

    def add_text(self, key: TextKey, content: JsonObject, text: str) -> Section | None:
        """Add a delta to the text with a key, and return the text; None if the part is of another kind."""
        # Another event should have opened the text before; if it is not open, that is a departure.
        section = self.start_text(key, content, expected=False)
        if section.part.kind != self.kind_of(content):
            return None
        section.length += len(text)
        self.parts.add(section.part, text)
        return section

    def read_whole_text(self, key: TextKey, content: JsonObject) -> bool:
        """Report what no event has sent of a whole text; return False if the part is of another kind."""
        if not content:
            return True
        section = self.sections.get(key) or self.start_text(key, content)
        if section.part.kind != self.kind_of(content):
            return False
        if section.part.kind != "opaque":
            self._report_missing(section, content)
        elif not section.part.closed:
            self.parts.amend(section.part, _opaque_part(content))
            self.parts.close(section.part)
        return True

    def read_texts(self, field: str, value: object, *, complete: bool) -> None:
        """Read the texts in a field of the item; before the item is complete, only open them."""
        # Some servers send one text as a string.
        is_text = isinstance(value, str) and value
        contents = [{"type": "text", "text": value}] if is_text else dicts_of(value)
        streamed = sorted(key for key in self.sections if key[0] == field)
        if complete and not streamed and self._was_reported(contents):
            # The texts of the other field were streamed, and this field only repeats them.
            self.parts.note("reasoning_twice")
            return
        for position, content in enumerate(contents):
            # Indexes in events may differ from positions in the item: if no text is missing, match by order.
            key = streamed[position] if len(streamed) >= len(contents) else (field, position)
            if complete:
                self.read_whole_text(key, content)
            else:
                self.start_text(key, content)

    def _was_reported(self, contents: list[JsonObject]) -> bool:
        """Return whether deltas have reported the texts in `contents` before, judging by their total length.

        Some servers stream reasoning as a summary, and repeat it as content, or the other way round.
        """
        reported = sum(section.length for section in self.sections.values())
        return reported > 0 and reported == sum(len(text_of(content, "text") or "") for content in contents)

    def _report_missing(self, section: Section, content: JsonObject) -> None:
        """Report what a whole text contains beyond earlier events: text, annotations, log probabilities."""
        self.parts.tell_inside(content, ITEM_FIELDS)
        text = text_of(content, "text", "refusal") or ""
        is_open = not section.part.closed
        if is_open and not section.length:
            # No delta has arrived, but some may follow.
            section.length = len(text)
            self.parts.add_whole(section.part, text)
        elif (is_open and text) or len(text) > section.length:
            # A text that was closed at the end of its item may lack what the end of the response has of it.
            self.tell(section, text)
        annotations = content.get("annotations")
        if is_list(annotations):
            for index, annotation in enumerate(dicts_of(annotations)):
                # Indexes in events may differ from positions in the text: then all were reported, and count.
                if index not in section.cited and len(section.cited) < len(annotations):
                    self.cite(section, annotation, index)
        if not section.has_logprobs:
            section.report_logprobs(self.parts, content.get("logprobs"))

    def tell(self, section: Section, text: str) -> None:
        """Compare a whole text with its deltas, which may lack the end of the text."""
        self.parts.tell(section.part, text, section.length)
        section.length = max(section.length, len(text))

    def cite(self, section: Section, annotation: JsonObject, index: int | None) -> None:
        """Report an annotation of a text as a citation, unless it was reported before."""
        if index is not None and section.cited.get(index) == annotation:
            self.parts.note("content_twice")
            return
        if index is None or index in section.cited:
            # Some servers send no index, or the same one each time.
            index = len(section.cited)
            while index in section.cited:
                index += 1
        section.cited[index] = annotation
        self.parts.cite(0, citation_of(annotation, section.part.index))

    def close(self, *, complete: bool) -> None:
        self.ended = True
        for section in self.sections.values():
            self.parts.close(section.part)

    def set_fields(self, fields: JsonObject) -> None:
        """Set the data of the item; if they have changed, the end of every open part reports them."""
        if fields == self.fields:
            return
        self.fields = fields
        for section in self.sections.values():
            # An opaque part contains no data of the item.
            if not section.part.closed and section.part.kind in _PART_TYPES:
                start = _part_without_text(section.part.kind, {**fields, **section.fields})
                self.parts.amend(section.part, start)


_PART_TYPES: dict[str, type[TextPart | RefusalPart | ReasoningPart]] = {
    "text": TextPart,
    "refusal": RefusalPart,
    "reasoning": ReasoningPart,
}


class MessageItem(TextItem):
    __slots__ = ()

    def kind_of(self, content: JsonObject) -> str:
        return _KINDS.get(text_of(content, "type") or "", "opaque")

    def open_section(self, key: TextKey, kind: str, content: JsonObject) -> Section:
        fields = fields_except(content, *_READ_FIELDS) or {}
        if kind == "reasoning":
            # As for the texts of a reasoning item, the data of the part contain its index.
            index_field, index = key
            fields[index_field] = index
        return Section(self.parts.open(0, _part_without_text(kind, {**self.fields, **fields})), fields)

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        # The data are all fields but these two.
        self.set_fields(data_of(item, "content", "role") or {})
        self.read_texts("content_index", item.get("content"), complete=complete)
        if complete:
            self.close(complete=True)


class ReasoningItem(TextItem):
    """Reasoning: the texts of a summary, the reasoning itself, or only its encrypted form.

    Its first part is opened together with the item, before any text, because the item may have no text.
    """

    __slots__ = ("_first_fields", "_first_part", "_reported")

    def _set_up(self) -> None:
        super()._set_up()
        self._first_part = NO_PART
        """The part that is opened with the item; NO_PART before that."""
        self._first_fields: JsonObject | None = None
        """The fields of the first part's text; None before any text has arrived."""
        self._reported = BLANK_REASONING
        """The first part with the latest data of it, without its text."""

    def kind_of(self, content: JsonObject) -> str:
        """Return "reasoning" for content with text; "opaque" for any other, whose part has only its data."""
        return "reasoning" if text_of(content, "type") in _KINDS else "opaque"

    @override
    def open_section(self, key: TextKey, kind: str, content: JsonObject) -> Section:
        """Open a text; the first text uses the part that was opened with the item."""
        index_field, index = key
        fields: JsonObject = {index_field: index, **(fields_except(content, *_READ_FIELDS) or {})}
        start = ReasoningPart(provider_data={**self.fields, **fields})
        if self._first_fields is not None:
            return Section(self.parts.open(0, start), fields)
        if self._first_part.closed:
            # The item ended without a text, but now there is one.
            self._first_part = self.parts.open(0, start)
        else:
            self._amend_first_part(start)
        self._first_fields = fields
        return Section(self._first_part, fields)

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        fields = data_of(item, "summary", "content", "encrypted_content") or {}
        if self._first_part is NO_PART:
            self._reported = ReasoningPart(provider_data={**fields, _first_field(item): 0})
            self._first_part = self.parts.open(0, self._reported)
        self.set_fields(fields)
        self.read_texts("summary_index", item.get("summary"), complete=complete)
        self.read_texts("content_index", item.get("content"), complete=complete)
        if complete:
            # Encrypted content is read only at the end: in the item's start, it may be incomplete.
            data = {**fields, **(self._first_fields or {})} or None
            redacted = text_of(item, "encrypted_content")
            self._amend_first_part(ReasoningPart(redacted=redacted, provider_data=data))
            self.close(complete=True)

    def _amend_first_part(self, content: ReasoningPart) -> None:
        """Report other data of the first part than its start has, unless it has been delivered as it is."""
        if content != self._reported and not self._first_part.closed:
            self._reported = content
            self.parts.amend(self._first_part, content)

    def close(self, *, complete: bool) -> None:
        self.parts.close(self._first_part)
        super().close(complete=complete)


def _first_field(item: JsonObject) -> str:
    """Return the field with the index of the first text to come of a reasoning item; most have a summary."""
    # Servers of models that show all of their reasoning begin such an item with its content and status.
    is_whole = bool(item.get("content")) or {"content", "status"} <= item.keys()
    return "content_index" if is_whole and not item.get("summary") else "summary_index"


def _part_without_text(kind: str, fields: JsonObject) -> TextPart | RefusalPart | ReasoningPart:
    if kind == "text":
        return TextPart(provider_data=fields or None, phase=phase_of(fields))
    return _PART_TYPES[kind](provider_data=fields or None)


def _opaque_part(content: JsonObject) -> OpaquePart:
    return OpaquePart(type=text_of(content, "type") or "", data=content)


_RESULT = "server_tool_result"


def is_from_worker(item: JsonObject) -> bool:
    """Return whether an item is from an agent that works for another agent."""
    return "/" in (_agent_of(item) or "").strip("/")


def _agent_of(item: JsonObject) -> str | None:
    return text_of(dict_of(item, "agent"), "agent_name")


class WorkerItem(MessageItem):
    """A worker's message, which becomes not a text of the answer, but a tool result with the agent's name."""

    __slots__ = ("_item", "_part")

    def _set_up(self) -> None:
        super()._set_up()
        self._part = NO_PART
        """The part that the message becomes, a result; NO_PART before the first text."""
        self._item: JsonObject = {}
        """The item's latest data, without its content unless the item is complete."""

    @override
    def kind_of(self, content: JsonObject) -> str:
        return "opaque" if super().kind_of(content) == "opaque" else _RESULT

    @override
    def open_section(self, key: TextKey, kind: str, content: JsonObject) -> Section:
        if self._part.closed:
            self._part = self.parts.open(0, self._make_result())
        return Section(self._part, {})

    @override
    def tell(self, section: Section, text: str) -> None:
        # Only texts of the answer itself are compared with the message.
        if len(text) > section.length:
            self.parts.add(section.part, text[section.length :])
            section.length = len(text)

    @override
    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        # The next request repeats a complete item; before that, its content may be incomplete.
        self._item = item if complete else fields_except(item, "content") or {}
        super().read_item(item, complete=complete)

    @override
    def set_fields(self, fields: JsonObject) -> None:
        self.fields = fields
        if not self._part.closed:
            self.parts.report_start_again(self._part, self._make_result())

    def _make_result(self) -> ServerToolResult:
        """Return the result that the worker's message becomes, without its content, which deltas add."""
        return ServerToolResult(
            id=text_of(self._item, "id") or "", name=_agent_of(self._item) or "", provider_data=self._item
        )
