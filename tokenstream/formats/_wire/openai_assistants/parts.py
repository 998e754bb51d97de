"""Read the content of a run's messages: text with citations, refusals, images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, index_of, int_of, is_dict, text_of
from tokenstream.message import Citation, MediaPart, OpaquePart, RefusalPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import FinishReason

_STATUSES: dict[str, tuple[str, ...]] = {
    "thread": ("created",),
    "thread.run": (
        "created",
        "queued",
        "in_progress",
        "requires_action",
        "completed",
        "incomplete",
        "failed",
        "cancelling",
        "cancelled",
        "expired",
    ),
    "thread.run.step": ("created", "in_progress", "completed", "failed", "cancelled", "expired"),
    "thread.message": ("created", "in_progress", "completed", "incomplete"),
}
OBJECTS: dict[str, str] = {
    **{f"{name}.{status}": name for name, statuses in _STATUSES.items() for status in statuses},
    **{name: name for name in ("thread.message.delta", "thread.run.step.delta")},
}
"""Maps the name of an event to the `object` of its payload."""

FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "unknown",
    "cancelled": "cancelled",
    "expired": "cancelled",
    "failed": "error",
}
"""Maps the statuses of a run that end its stream to finish reasons."""

INCOMPLETE_REASONS: dict[str, FinishReason] = {
    "max_completion_tokens": "length",
    "max_prompt_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
"""Maps the reason why a run is incomplete to a finish reason."""

FINAL_STEP_STATUSES = frozenset({"completed", "failed", "cancelled", "expired"})
"""Statuses with which a step ends."""


_Key: TypeAlias = "tuple[str, int | str]"
"""A part's key: the id of its message, and its index there."""
_Reader: TypeAlias = "Callable[[AssistantsContent, _Key, dict[str, Any]], None]"

_IMAGE_KEYS = ("image_file", "image_url")
_KNOWN_MESSAGE_FIELDS = ("id", "object", "role", "content", "status", "run_id", "thread_id", "assistant_id")


class AssistantsContent:
    """The parts of a run's messages.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_last_index", "_parts", "_parts_by_key", "_reported_annotations")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._parts_by_key: dict[_Key, OpenPart | None] = {}
        """Maps each key (message id and index) to its part, which may be closed.

        The value is None for a part that arrived in one piece.
        """
        self._reported_annotations: set[tuple[object, ...]] = set()
        """Keys of the annotations reported so far: the key of the text, and the annotation's index there."""
        self._last_index = 0
        """Index of the part to which text was added last."""

    def read_delta(self, message: str, content: object) -> None:
        """Add the `content` of a delta to the parts of a message."""
        for position, block in enumerate(dicts_of(content)):
            self._read_block(message, position, block)

    def read_message(self, message: dict[str, Any]) -> None:
        """Read a whole message, except content that deltas have sent."""
        message_id = text_of(message, "id") or ""
        is_over = text_of(message, "status") in ("completed", "incomplete")
        for position, block in enumerate(dicts_of(message.get("content"))):
            key = (message_id, position)
            # None for content that is new, or that arrived in one piece.
            part = self._parts_by_key.get(key)
            if key not in self._parts_by_key:
                self._read_block(message_id, position, block)
                part = self._parts_by_key.get(key)
                if is_over and part is not None:
                    part.tell(_whole_text_of(part, block), 0)
            elif part is not None:
                # Deltas have sent the text, perhaps without its end, but the annotations may be new.
                self._tell(part, block, goes_on=not is_over)
                self._report_annotations(key, part, dict_of(block, "text"))
        if is_over:
            for (owner_id, _), part in self._parts_by_key.items():
                if owner_id == message_id and part is not None:
                    self._parts.close(part)
            data = fields_except(message, *_KNOWN_MESSAGE_FIELDS)
            if data is not None:
                self._parts.field("message", data)

    def _tell(self, part: OpenPart, block: dict[str, Any], *, goes_on: bool) -> None:
        """Compare the whole text or refusal in a block with its part, and add what is missing."""
        whole = _whole_text_of(part, block)
        if whole and not part.closed:
            self._parts.tell(part, whole, len(whole), goes_on=goes_on)

    def _read_block(self, message: str, position: int, block: dict[str, Any]) -> None:
        """Read a piece of content, or a whole part."""
        index = index_of(block.get("index"))
        if not isinstance(index, int | str):
            index = position
        kind = block.get("type")
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        (reader or AssistantsContent._read_opaque)(self, (message, index), block)

    def _get_or_open_part(self, key: _Key, kind: str) -> OpenPart | None:
        """Return the part with a key, which is opened if necessary; None if the part is of another kind."""
        part = self._parts_by_key.get(key)
        if part is None and key in self._parts_by_key:
            # An image or an opaque part, which arrived in one piece.
            return None
        if part is not None and part.closed and not part.told:
            # Text after the end of its part begins a new part.
            self._parts.note("part_after_close")
            part = None
        if part is None:
            data = {"id": key[0]} if key[0] else None
            content = TextPart(provider_data=data) if kind == "text" else RefusalPart(provider_data=data)
            part = self._parts_by_key[key] = self._parts.open(0, content)
        return part if part.kind == kind else None

    def _add_text(self, key: _Key, kind: str, text: object, block: dict[str, Any]) -> OpenPart | None:
        """Add text to a part, and return the part; if a part of another kind has the key, return None."""
        part = self._get_or_open_part(key, kind)
        if part is None:
            self._parts.note("delta_misfits")
            self._parts.unknown("thread.message.delta", block)
        elif isinstance(text, str) and text:
            if part.index < self._last_index:
                self._parts.note("parts_interleaved")
            self._last_index = part.index
            self._parts.add(part, text)
        return part

    def _read_text(self, key: _Key, block: dict[str, Any]) -> None:
        """Add a piece of text and its annotations."""
        text = block.get("text")
        body = text if is_dict(text) else {"value": text}
        part = self._add_text(key, "text", body.get("value"), block)
        if part is not None:
            self._report_annotations(key, part, body)

    def _read_refusal(self, key: _Key, block: dict[str, Any]) -> None:
        self._add_text(key, "refusal", block.get("refusal"), block)

    def _report_annotations(self, key: _Key, part: OpenPart, text: dict[str, Any]) -> None:
        """Report the annotations of a text that have not been reported yet."""
        for position, item in enumerate(dicts_of(text.get("annotations"))):
            index = item.get("index")
            annotation_key = (*key, index if isinstance(index, int) else position)
            if annotation_key in self._reported_annotations:
                continue
            self._reported_annotations.add(annotation_key)
            kind = item.get("type")
            # The details are in an object that is named by the type.
            source = dict_of(item, kind) if isinstance(kind, str) else {}
            self._parts.cite(
                0,
                Citation(
                    url=text_of(source, "url"),
                    title=text_of(source, "title", "filename"),
                    text=text_of(source, "quote"),
                    start=int_of(item, "start_index"),
                    end=int_of(item, "end_index"),
                    cites=part.index,
                    provider_data=item,
                ),
            )

    def _read_image(self, key: _Key, block: dict[str, Any]) -> None:
        """Add an image, which is a file or a URL, unless it was added before."""
        present = [name for name in _IMAGE_KEYS if is_dict(block.get(name))]
        image = dict_of(block, present[0] if present else "")
        other_fields = fields_except(image, "file_id", "url")
        media = MediaPart(id=text_of(image, "file_id"), url=text_of(image, "url"), provider_data=other_fields)
        if key not in self._parts_by_key:
            # None, since the part is whole and will not grow.
            self._parts_by_key[key] = None
            self._parts.whole(0, media)

    def _read_opaque(self, key: _Key, block: dict[str, Any]) -> None:
        """Add content of an unknown type as an opaque part, unless it was added before."""
        kind = block.get("type")
        if key not in self._parts_by_key:
            # None: the part is complete, so that nothing can be added to it.
            self._parts_by_key[key] = None
            self._parts.whole(0, OpaquePart(type=kind if isinstance(kind, str) else "", data=block))

    _READERS: ClassVar[dict[str, _Reader]] = {
        "text": _read_text,
        "refusal": _read_refusal,
        "image_file": _read_image,
        "image_url": _read_image,
    }


def _whole_text_of(part: OpenPart, block: dict[str, Any]) -> str:
    """Return the text or refusal in a block of a whole message; "" if it has none of the part's kind."""
    whole = text_of(dict_of(block, "text"), "value") if part.kind == "text" else text_of(block, "refusal")
    return whole or ""
