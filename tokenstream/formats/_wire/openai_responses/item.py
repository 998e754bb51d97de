"""The base class of output items, and the items that become one part of the message and hold no text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import fields_except, says_nothing, text_of
from tokenstream.formats._kit.open import NO_PART
from tokenstream.formats._kit.values import failure_text
from tokenstream.formats._wire.openai_responses.words import (
    arguments_of,
    arguments_text,
    failure_in,
    media_of,
    result_of,
)
from tokenstream.message import MediaPart, OpaquePart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.open import OpenCall, OpenPart
    from tokenstream.formats._kit.sessions import SessionParts
    from tokenstream.formats._wire.openai_responses.shell import ShellCommands
    from tokenstream.message import Part


class ResponseItem(ABC):
    """The state of an output item that can still grow; the base class of all kinds of items.

    Args:
        parts: Makes the item's events.
        item_type: OpenAI's word for the type of the item.
        index: The item's index in the output.
    """

    __slots__ = ("call_id", "commands", "ended", "id", "index", "is_named", "parts", "place", "type")

    def __init__(self, parts: SessionParts, item_type: str, index: int) -> None:
        self.parts = parts
        self.type = item_type
        self.index = index
        self.place = parts.place
        """The place of the item, with which its first part begins."""
        self.id: str | None = None
        self.call_id: str | None = None
        """The id of the call that the item is, or is about."""
        self.is_named = False
        """True once an event about the item has named the item's id."""
        self.ended = False
        """True once the item is complete or closed."""
        self.commands: ShellCommands | None = None
        """Writes the commands of a shell call as JSON text; None before the first event about one."""
        self._set_up()

    def _set_up(self) -> None:  # noqa: B027 - some kinds have none
        """Set the attributes of a kind of item."""

    @abstractmethod
    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        """Read the item as the server describes it in a start or end event, or in the whole response."""

    @abstractmethod
    def close(self, *, complete: bool) -> None:
        """Close the item's parts, because no end event of the item has arrived."""

    def likeness(self, whole: JsonObject) -> int:
        """Return how like a whole item the content so far is: see `likeness_of`; -1 for another identity."""
        return int(not self.ended)

    @property
    def call(self) -> OpenCall | None:
        """The call of the application's tools that the item is, as long as it is open."""
        return None

    def add_input(self, field: str, text: str) -> bool:
        """Add a fragment to the tool's input (arguments, code or text); return False for any other field."""
        return False

    def set_input(self, field: str, text: str, name: str | None) -> bool:
        """Add what no fragment has sent of the tool's whole input; return False for any other field."""
        return False

    def write_command(self, number: int | None, text: str, *, whole: bool) -> bool:
        """Add a piece of a shell command, or its rest if the text is whole; return False if there is none."""
        return False

    def set_status(self, status: str) -> None:
        """Record the provider's progress with the item; most kinds of items ignore it."""
        del status


class SinglePartItem(ResponseItem):
    """An item that becomes one part, which contains the item's data."""

    __slots__ = ("_data", "_part")

    def _set_up(self) -> None:
        self._part = NO_PART
        self._data: JsonObject = {}
        """The item's latest data; cleared once the item has ended."""

    @abstractmethod
    def make_part(self, item: JsonObject) -> Part:
        """Return the part that an item becomes, without the content that deltas have added to the part."""

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        if self.ended:
            return
        if self._part is NO_PART:
            self._part = self.parts.open(0, self.make_part(item))
        elif item != self._data:
            changed = self.make_part(item)
            report = self.parts.amend if isinstance(changed, OpaquePart) else self.parts.report_start_again
            report(self._part, changed)
        self._data = item
        if complete:
            self.add_missing_content(self._part, item)
            self.close(complete=True)

    def add_missing_content(self, part: OpenPart, item: JsonObject) -> None:
        """Add the content of a complete item that no delta has sent; by default, there is none."""

    def set_status(self, status: str) -> None:
        if not self.ended and self._data.get("status", "in_progress") != status:
            self.read_item({**self._data, "status": status}, complete=False)

    def close(self, *, complete: bool) -> None:
        self.ended = True
        self._data = {}
        self.parts.close(self._part)


class OpaqueItem(SinglePartItem):
    """An item of unknown type, which becomes an opaque part."""

    __slots__ = ()

    def make_part(self, item: JsonObject) -> Part:
        return OpaquePart(type=self.type, data=item)


class ResultItem(SinglePartItem):
    """A tool's result that is an item by itself.

    The result of a tool that the application runs is no part: servers that run the application's tools
    themselves, and relays, send it.
    """

    __slots__ = ()

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        """Report the result of the application's tool once it is whole; read any other result as a part."""
        if self.type not in _CALL_OUTPUTS:
            super().read_item(item, complete=complete)
        elif complete and not self.ended:
            self.ended = True
            has_failed = failure_in(item) is not None
            self.parts.answer_call(item, failure_text(item.get("output")) if has_failed else None)

    def close(self, *, complete: bool) -> None:
        if self.type not in _CALL_OUTPUTS:
            super().close(complete=complete)

    def make_part(self, item: JsonObject) -> Part:
        names = [name for name in ("output", "tools", "result") if name in item]
        return ServerToolResult(
            id=text_of(item, "call_id", "id") or "",
            name=self.type,
            content=item[names[0]] if names else None,
            provider_data=item,
            error=failure_in(item),
        )


class HostedItem(SinglePartItem):
    """A call of a tool that the provider runs itself."""

    __slots__ = ("_has_input",)

    def _set_up(self) -> None:
        super()._set_up()
        self._has_input = False
        """True once a piece of the input, or the whole input, has arrived."""

    def make_part(self, item: JsonObject) -> Part:
        return ServerToolCall(
            id=text_of(item, "call_id", "id") or "",
            name=text_of(item, "name") or self.type.removesuffix("_call"),
            provider_data=item,
        )

    def read_item(self, item: JsonObject, *, complete: bool) -> None:
        """Read the item; one that has ended may have done so before its last fragments."""
        arguments = arguments_of(item, self.type)
        if self.ended and complete and isinstance(arguments, str):
            self._tell_whole(arguments)
        super().read_item(item, complete=complete)

    def add_input(self, field: str, text: str) -> bool:
        if not self._takes(field):
            return False
        if self.ended and text:
            self.parts.note("call_after_done")
        elif text:
            self._has_input = True
            self.parts.add(self._part, text)
        return True

    def set_input(self, field: str, text: str, name: str | None) -> bool:
        if not self._takes(field) and not self._has_input:
            return self.ended
        if not self.ended:
            self._tell_whole(text)
        return True

    def _takes(self, field: str) -> bool:
        """Return whether a field of an event has the input of such a call."""
        return field in ("arguments", "code") or (field == "input" and self.type == "custom_tool_call")

    def _tell_whole(self, text: str) -> None:
        """Compare the whole input with the fragments, which may lack its end, or come after it."""
        if not self._has_input and not self.ended:
            self._has_input = bool(text)
            self.parts.add_whole(self._part, text)
        elif text:
            self.parts.tell(self._part, text, len(text))

    def add_missing_content(self, part: OpenPart, item: JsonObject) -> None:
        """Add what the fragments lack of the call's input, and then the result, if any, as a part."""
        arguments = arguments_of(item, self.type)
        # Only text can be compared with fragments: the spelling of values is not known.
        if isinstance(arguments, str) or not self._has_input:
            self._tell_whole(arguments_text(arguments))
        result = result_of(item, self.type)
        if result is not None:
            self.close(complete=True)
            call_id = text_of(item, "call_id", "id") or ""
            part_of_result = ServerToolResult(
                id=call_id, name=self.type, content=result, error=failure_in(item)
            )
            self.parts.whole(0, part_of_result)


class ImageItem(SinglePartItem):
    """A generated image; each preview replaces the preview before it."""

    __slots__ = ()

    def make_part(self, item: JsonObject) -> Part:
        """Return the image without its data; some servers send a URL in place of base64."""
        image_format = text_of(item, "output_format")
        result = text_of(item, "result") or ""
        return MediaPart(
            id=text_of(item, "id"),
            mime_type=f"image/{_SUBTYPES.get(image_format, image_format)}" if image_format else None,
            url=result if _is_url(result) else None,
            provider_data=fields_except(item, "result"),
        )

    def read_preview(self, payload: JsonObject) -> bool:
        """Report a preview of the image, which replaces the one before; return False if none can be read."""
        encoded = text_of(payload, "partial_image_b64")
        if self.ended or encoded is None:
            return False
        image = media_of(encoded)
        if image is None:
            # Only a preview is lost: the image itself is still to come.
            self.parts.note("media_invalid")
            return False
        changed = {name: payload[name] for name in _IMAGE_FIELDS if not says_nothing(payload.get(name))}
        self._data = {**self._data, **changed}
        preview = self.make_part(self._data).model_copy(update={"data": image})
        self.parts.report_start_again(self._part, preview)
        return True

    def add_missing_content(self, part: OpenPart, item: JsonObject) -> None:
        """Add the final image, if the item has it as base64."""
        result = text_of(item, "result") or ""
        if not result or _is_url(result):
            return
        image = media_of(result)
        if image is None:
            self.parts.note("media_invalid")
            self.parts.amend(part, OpaquePart(type=self.type, data=item))
            return
        # A start without data drops the last preview; otherwise, the image would be added to the preview.
        self.parts.report_start_again(part, self.make_part(item))
        self.parts.add_media(part, image)


_CALL_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
"""The types of items with the results of tools that the application runs."""
_SUBTYPES = {"svg": "svg+xml"}
"""Maps OpenAI's names of image formats to MIME subtypes, if they differ."""
_IMAGE_FIELDS = ("size", "quality", "background", "output_format", "partial_image_index")
"""Fields of a preview that also describe the image."""


def _is_url(result: str) -> bool:
    return "://" in result[:10]
