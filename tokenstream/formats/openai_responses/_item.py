"""One output item of a response, and the kinds that are parts with no text of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream.formats._open import NO_PART
from tokenstream.formats._read import known, says_nothing, text_of
from tokenstream.formats.openai_responses._words import arguments_of, media_of, result_of, written
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._open import OpenPart
    from tokenstream.formats._parts import Parts
    from tokenstream.message import Part

__all__ = ["HostedItem", "ImageItem", "Item", "OpaqueItem", "ResultItem"]


class Item(ABC):
    """An output item that can still grow.

    Args:
        parts: Where its events go.
        item_type: Its type, in OpenAI's word.
        index: Its output index.
    """

    __slots__ = ("id", "index", "over", "parts", "type")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        self.parts = parts
        self.type = item_type
        self.index = index
        self.id: str | None = None
        """Its id, as it was told last."""
        self.over = False
        """Whether its end came."""

    @abstractmethod
    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Take what the server says of the whole item.

        Args:
            item: The item as the server sent it.
            over: Whether that is all of it.
        """

    @abstractmethod
    def close(self, *, complete: bool) -> None:
        """Close what no end of the item has closed.

        Args:
            complete: Whether the answer is over and was not cut.
        """

    def add(self, field: str, text: str) -> bool:
        """Add to one of its texts, and tell whether it has that text.

        Args:
            field: The text's field, in OpenAI's word.
            text: What is added.
        """
        return False

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Take one of its texts whole, as far as it was not given, and tell whether it has that text.

        Args:
            field: The text's field, in OpenAI's word.
            text: All of it.
            name: What the tool is called, where the event tells.
        """
        return False

    def progress(self, status: str) -> None:
        """Take how far the provider is with it; most items do not tell."""
        del status

    def tell(self, part: OpenPart, content: Part) -> None:
        """Give a part's start again, with more of what is known."""
        self.parts.tell_again(part, content)


class OnePart(Item):
    """An item that is one part, known by its data."""

    __slots__ = ("_data", "_part")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._part = NO_PART
        self._data: dict[str, Any] = {}
        """What was told of it last; forgotten once it is over."""

    @abstractmethod
    def content(self, item: dict[str, Any]) -> Part:
        """Return the part that an item's data are, without what deltas add."""

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Open the part, or tell more of it, and close it where it is over."""
        if self.over:
            return
        if self._part is NO_PART:
            self._part = self.parts.open(0, self.content(item))
        elif item != self._data:
            self.tell(self._part, self.content(item))
        self._data = item
        if over:
            self.fill(self._part, item)
            self.close(complete=True)

    def fill(self, part: OpenPart, item: dict[str, Any]) -> None:
        """Add what no delta has given."""

    def progress(self, status: str) -> None:
        """Tell how far the provider is with it, where that is news."""
        if not self.over and self._data.get("status", "in_progress") != status:
            self.take({**self._data, "status": status}, over=False)

    def close(self, *, complete: bool) -> None:
        """Close the part."""
        self.over = True
        self._data = {}
        self.parts.close(self._part)


class OpaqueItem(OnePart):
    """An item that we have no word for, carried as it came."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return the item as it is."""
        return OpaquePart(type=self.type, data=item)


class ResultItem(OnePart):
    """What a tool gave back, as an item of its own."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return the result, and the whole item beside it."""
        names = [name for name in ("output", "tools", "result") if name in item]
        return ServerToolResult(
            id=text_of(item, "call_id", "id") or "",
            name=self.type,
            content=item[names[0]] if names else None,
            provider_data=item,
        )


class HostedItem(OnePart):
    """A call of a tool that the provider runs itself."""

    __slots__ = ("_given",)

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._given = False

    def content(self, item: dict[str, Any]) -> Part:
        """Return the call, and the whole item beside it."""
        return ServerToolCall(
            id=text_of(item, "call_id", "id") or "",
            name=text_of(item, "name") or self.type.removesuffix("_call"),
            provider_data=item,
        )

    def add(self, field: str, text: str) -> bool:
        """Add to its arguments or its code."""
        if field not in ("arguments", "code"):
            return False
        if self.over:
            self.parts.note("call_after_done")
        else:
            self._given = self._given or bool(text)
            self.parts.add(self._part, text)
        return True

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Take its arguments or its code whole, where no delta has given any."""
        return self._given or self.over or self.add(field, text)

    def fill(self, part: OpenPart, item: dict[str, Any]) -> None:
        """Add its arguments where no delta has given any, then what came of the call."""
        if not self._given:
            self.parts.add(part, written(arguments_of(item, self.type)))
        result = result_of(item, self.type)
        if result is not None:
            self.close(complete=True)
            call = text_of(item, "call_id", "id") or ""
            self.parts.whole(0, ServerToolResult(id=call, name=self.type, content=result))


class ImageItem(OnePart):
    """An image that is generated; each partial one replaces the one before."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return the image without its data."""
        kind = text_of(item, "output_format")
        result = text_of(item, "result") or ""
        url = result if "://" in result[:10] else None
        return MediaPart(
            id=text_of(item, "id"),
            mime_type=f"image/{_SUBTYPES.get(kind, kind)}" if kind else None,
            url=url,
            provider_data=known(item, "result"),
        )

    def preview(self, payload: dict[str, Any]) -> bool:
        """Take a partial image, which is whole in itself."""
        written = text_of(payload, "partial_image_b64")
        if self.over or written is None:
            return False
        image = media_of(written)
        if image is None:
            # The whole image is still to come.
            self.parts.note("media_invalid")
            return False
        more = {name: payload[name] for name in _IMAGE_FIELDS if not says_nothing(payload.get(name))}
        self._data = {**self._data, **more}
        self.tell(self._part, self.content(self._data).model_copy(update={"data": image}))
        return True

    def fill(self, part: OpenPart, item: dict[str, Any]) -> None:
        """Add the final image."""
        result = text_of(item, "result") or ""
        if not result or "://" in result[:10]:
            return
        image = media_of(result)
        if image is None:
            self.parts.note("media_invalid")
            self.tell(part, OpaquePart(type=self.type, data=item))
            return
        # The last partial one must make room, also where nothing else has changed.
        self.tell(part, self.content(item))
        self.parts.add_media(part, image)


_SUBTYPES = {"svg": "svg+xml"}
_IMAGE_FIELDS = ("size", "quality", "background", "output_format", "partial_image_index")
