"""The base class of output items, and the items that become a single part without text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import fields_except, says_nothing, text_of
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
        parts: Makes the item's events.
        item_type: OpenAI's word for the type of the item.
        index: The item's index in the output.
    """

    __slots__ = ("id", "index", "over", "parts", "type")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        self.parts = parts
        self.type = item_type
        self.index = index
        self.id: str | None = None
        """The item's latest id."""
        self.over = False
        """True once the item's end event has arrived."""

    @abstractmethod
    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Read the item as the server describes it in a start or end event.

        Args:
            item: The item as the server sent it.
            over: True if the item is complete.
        """

    @abstractmethod
    def close(self, *, complete: bool) -> None:
        """Close the item's parts, because no end event of the item has arrived.

        Args:
            complete: True if the answer is over and was not cut off.
        """

    def add(self, field: str, text: str) -> bool:
        """Add to a text of the item; return False if the item has no text of that name.

        Args:
            field: OpenAI's name of the field with the text.
            text: The addition.
        """
        return False

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Read a whole text, and add what is missing; return False if the item has no text of that name.

        Args:
            field: OpenAI's name of the field with the text.
            text: The whole text.
            name: The tool's name, if the event has it.
        """
        return False

    def progress(self, status: str) -> None:
        """Report the provider's progress with the item; most kinds of items ignore it."""
        del status

    def tell(self, part: OpenPart, content: Part) -> None:
        """Report the start of a part again, with more data."""
        self.parts.report_start_again(part, content)


class OnePart(ResponseItem):
    """An item that becomes one part, which contains the item's data."""

    __slots__ = ("_data", "_part")

    def __init__(self, parts: Parts, item_type: str, index: int) -> None:
        super().__init__(parts, item_type, index)
        self._part = NO_PART
        self._data: dict[str, Any] = {}
        """The item's latest data; cleared once the item is over."""

    @abstractmethod
    def content(self, item: dict[str, Any]) -> Part:
        """Return the part for an item's data, without what deltas have added."""

    def take(self, item: dict[str, Any], *, over: bool) -> None:
        """Open the part, or report its new data; close it if the item is over."""
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
        """Add content of a complete item that no delta has sent."""

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
    """An item of unknown type, which becomes an opaque part."""

    __slots__ = ()

    def content(self, item: dict[str, Any]) -> Part:
        """Return an opaque part with the item."""
        return OpaquePart(type=self.type, data=item)


class ResultItem(OnePart):
    """A tool's result that is an item by itself."""

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
        """Add to the arguments or the code of the call."""
        if field not in ("arguments", "code"):
            return False
        if self.over:
            self.parts.note("call_after_done")
        else:
            self._given = self._given or bool(text)
            self.parts.add(self._part, text)
        return True

    def settle(self, field: str, text: str, name: str | None = None) -> bool:
        """Add the whole arguments or code of the call, if no delta has sent any."""
        return self._given or self.over or self.add(field, text)

    def fill(self, part: OpenPart, item: dict[str, Any]) -> None:
        """Add the arguments, if no delta has sent any; then report the result, if the item has one."""
        if not self._given:
            self.parts.add(part, written(arguments_of(item, self.type)))
        result = result_of(item, self.type)
        if result is not None:
            self.close(complete=True)
            call = text_of(item, "call_id", "id") or ""
            self.parts.whole(0, ServerToolResult(id=call, name=self.type, content=result))


class ImageItem(OnePart):
    """A generated image; each preview of it replaces the preview before."""

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
            provider_data=fields_except(item, "result"),
        )

    def preview(self, payload: dict[str, Any]) -> bool:
        """Report a preview of the image: a complete file, which replaces the preview before it."""
        written = text_of(payload, "partial_image_b64")
        if self.over or written is None:
            return False
        image = media_of(written)
        if image is None:
            # Only a preview is lost: the image itself is still to come.
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
        # The last preview must be replaced, even if nothing else has changed.
        self.tell(part, self.content(item))
        self.parts.add_media(part, image)


_SUBTYPES = {"svg": "svg+xml"}
_IMAGE_FIELDS = ("size", "quality", "background", "output_format", "partial_image_index")
