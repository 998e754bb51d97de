"""The content of a run's messages: text with citations, refusals, images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, index_of, int_of, is_dict, text_of
from tokenstream.message import Citation, MediaPart, OpaquePart, RefusalPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import Parts

_Key: TypeAlias = "tuple[str, int | str]"
_Reader: TypeAlias = "Callable[[AssistantsContent, _Key, dict[str, Any]], None]"

_IMAGE_KEYS = ("image_file", "image_url")
_OWN_MESSAGE_FIELDS = ("id", "object", "role", "content", "status", "run_id", "thread_id", "assistant_id")


class AssistantsContent:
    """The parts of a run's messages; the key of a part is its message's id and its index there.

    Args:
        parts: Makes the events.
    """

    __slots__ = ("_cited", "_open", "_parts", "_written")

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open: dict[_Key, OpenPart | None] = {}
        """Maps each key to the open part; to None if the part arrived in one piece."""
        self._cited: set[tuple[object, ...]] = set()
        self._written = 0
        """Index of the part written last."""

    def read_delta(self, message: str, content: object) -> None:
        """Add the `content` of a delta.

        Args:
            message: The message's id.
            content: A list of pieces, each with the index of its part.
        """
        for place, block in enumerate(dicts_of(content)):
            self._read_block(message, place, block)

    def read_message(self, message: dict[str, Any]) -> None:
        """Read a whole message, except content that deltas have sent."""
        name = text_of(message, "id") or ""
        status = text_of(message, "status")
        over = status in ("completed", "incomplete")
        for place, block in enumerate(dicts_of(message.get("content"))):
            key = (name, place)
            opened = self._open.get(key)
            if key not in self._open:
                self._read_block(name, place, block)
            elif opened is not None:
                self._annotate(key, opened, dict_of(block, "text"))
        if over:
            for (owner, _), part in self._open.items():
                if owner == name and part is not None:
                    self._parts.close(part)
            data = fields_except(message, *_OWN_MESSAGE_FIELDS)
            if data is not None:
                self._parts.field("message", data)

    def _read_block(self, message: str, place: int, block: dict[str, Any]) -> None:
        index = index_of(block.get("index"))
        if not isinstance(index, int | str):
            index = place
        kind = block.get("type")
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        (reader or AssistantsContent._read_opaque)(self, (message, index), block)

    def _part(self, key: _Key, kind: str) -> OpenPart | None:
        """Return the part under a key, which is opened if necessary; None if the part is of another kind."""
        part = self._open.get(key)
        if part is None and key in self._open:
            return None
        if part is not None and part.closed:
            self._parts.note("part_after_close")
            part = None
        if part is None:
            data = {"id": key[0]} if key[0] else None
            content = TextPart(provider_data=data) if kind == "text" else RefusalPart(provider_data=data)
            part = self._open[key] = self._parts.open(0, content)
        return part if part.kind == kind else None

    def _write(self, key: _Key, kind: str, text: object, block: dict[str, Any]) -> OpenPart | None:
        """Add text to a part, and return the part; None if a part of another kind has the key."""
        part = self._part(key, kind)
        if part is None:
            self._parts.note("delta_misfits")
            self._parts.unknown("thread.message.delta", block)
        elif isinstance(text, str) and text:
            if part.index < self._written:
                self._parts.note("parts_interleaved")
            self._written = part.index
            self._parts.add(part, text)
        return part

    def _read_text(self, key: _Key, block: dict[str, Any]) -> None:
        text = block.get("text")
        body = text if is_dict(text) else {"value": text}
        part = self._write(key, "text", body.get("value"), block)
        if part is not None:
            self._annotate(key, part, body)

    def _read_refusal(self, key: _Key, block: dict[str, Any]) -> None:
        self._write(key, "refusal", block.get("refusal"), block)

    def _annotate(self, key: _Key, part: OpenPart, text: dict[str, Any]) -> None:
        """Report the annotations of a text that have not been reported yet."""
        for place, item in enumerate(dicts_of(text.get("annotations"))):
            index = item.get("index")
            mark = (*key, index if isinstance(index, int) else place)
            if mark in self._cited:
                continue
            self._cited.add(mark)
            kind = item.get("type")
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
        named = [name for name in _IMAGE_KEYS if is_dict(block.get(name))]
        image = dict_of(block, named[0] if named else "")
        rest = fields_except(image, "file_id", "url")
        media = MediaPart(id=text_of(image, "file_id"), url=text_of(image, "url"), provider_data=rest)
        if key not in self._open:
            self._open[key] = None
            self._parts.whole(0, media)

    def _read_opaque(self, key: _Key, block: dict[str, Any]) -> None:
        kind = block.get("type")
        if key not in self._open:
            self._open[key] = None
            self._parts.whole(0, OpaquePart(type=kind if isinstance(kind, str) else "", data=block))

    _READERS: ClassVar[dict[str, _Reader]] = {
        "text": _read_text,
        "refusal": _read_refusal,
        "image_file": _read_image,
        "image_url": _read_image,
    }
