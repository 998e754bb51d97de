"""One output item of a response, and the kinds of items that are a single part without text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import known, says_nothing, text_of
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._wire.openai_responses.words import arguments_of, media_of, result_of, written
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream.formats._kit.open import OpenPart
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.message import Part


class ResponseItem(ABC):
    """An output item that can still grow.

    Args:
        parts: Makes its events.
        item_type: Its type, in OpenAI's word.
        index: Its output index.
    """

    __slots__ = ("id", "index", "over", "parts", "type")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        self.parts = parts
        self.type = item_type
        self.index = index
        self.id: str | None = None
        """Its latest id."""
        self.over = False
        """True once its end has arrived."""

    @abstractmethod
    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Read the whole item as the server describes it.

        Args:
            item: The item as the server sent it.
            over: True if the item is complete.
        """

    @abstractmethod
    def close(self, *, complete: bool) -> None:
        """Close the parts that had no end event.

        Args:
            complete: True if the answer is over and was not cut off.
        """

    def add(self, field: str, text: str) -> bool:
        """Add to one of its texts; return False if it has no such text.

        Args:
            field: The text's field, in OpenAI's word.
            text: The addition.
        """
        return False

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Add the missing rest of a text sent whole; return False if the item has no such text.

        Args:
            field: The text's field, in OpenAI's word.
            text: The whole text.
            name: The tool's name, if the event has it.
        """
        return False

    def progress(self, status: str) -> None:
        """Record the provider's progress with the item; most items report none."""
        del status

    def tell(self, part: OpenPart, content: Part) -> None:
        """Give a part's start again with more data."""
        self.parts.tell_again(part, content)


class OnePart(ResponseItem):
    """An item that is one part, described by its data."""

    __slots__ = ("_data", "_part")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._part = NO_PART
        self._data: dict[str, Any] = {}
        """Its latest data; cleared once it is over."""

    @abstractmethod
    def content(self, item: dict[str, Any]) -> Part:
        """Return the part for an item's data, without additions of deltas."""

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Open the part or report more data, and close it if it is over."""
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
        """Add content that no delta has given."""

    def progress(self, status: str) -> None:
        """Report the provider's progress, if it is new."""
        if not self.over and self._data.get("status", "in_progress") != status:
            self.take({**self._data, "status": status}, over=False)

    def close(self, *, complete: bool) -> None:
        """Close the part."""
        self.over = True
        self._data = {}
        self.parts.close(self._part)


class OpaqueItem(OnePart):
    """An item outside our vocabulary, carried unchanged."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return an opaque part with the item."""
        return OpaquePart(type=self.type, data=item)


class ResultItem(OnePart):
    """A tool's result, as an item of its own."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return the result, with the whole item as provider data."""
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
        """Return the call, with the whole item as provider data."""
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
        """Add its whole arguments or code, if no delta has given any."""
        return self._given or self.over or self.add(field, text)

    def fill(self, part: OpenPart, item: dict[str, Any]) -> None:
        """Add its arguments, if no delta has given any, then its result."""
        if not self._given:
            self.parts.add(part, written(arguments_of(item, self.type)))
        result = result_of(item, self.type)
        if result is not None:
            self.close(complete=True)
            call = text_of(item, "call_id", "id") or ""
            self.parts.whole(0, ServerToolResult(id=call, name=self.type, content=result))


class ImageItem(OnePart):
    """A generated image; each partial image replaces the one before."""

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
        """Report a partial image, which is a whole image file."""
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
        # The last partial image must be replaced, even if nothing else has changed.
        self.tell(part, self.content(item))
        self.parts.add_media(part, image)


_SUBTYPES = {"svg": "svg+xml"}
_IMAGE_FIELDS = ("size", "quality", "background", "output_format", "partial_image_index")
