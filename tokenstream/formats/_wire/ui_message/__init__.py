"""The UI message stream of Vercel's AI SDK, from version 5 on."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import is_dict, text_of, text_or_empty
from tokenstream.errors import StreamTruncated
from tokenstream.formats._base import Format
from tokenstream.formats._fast.path import Fast
from tokenstream.formats._kit.errors import more_telling, provider_error
from tokenstream.formats._kit.values import split_names
from tokenstream.formats._wire.ui_message.parts import PART_READERS, UIParts
from tokenstream.formats._wire.ui_message.words import FINISH_REASONS, USAGE, merge_metadata, usage_of

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.formats._kit.values import ReadersOf

_METADATA = "messageMetadata"
_DATA = "data-"
# Types of chunks that only this format has.
_UNIQUE_TYPES = split_names(
    "start-step finish-step reset-step text-start text-end reasoning-start reasoning-end message-metadata "
    "steering-message tool-approval-request tool-input-start tool-input-delta tool-input-available "
    "tool-input-error tool-output-available tool-output-denied tool-output-error source-url source-document"
)
_SHARED_TYPES = {
    "start": ("messageId", _METADATA),
    "finish": ("finishReason", _METADATA),
    "text-delta": ("delta",),
    "reasoning-delta": ("delta",),
    "error": ("errorText",),
    "file": ("mediaType",),
    "reasoning-file": ("mediaType",),
}
"""Maps types that other formats have, too, to fields of which a chunk of this format has at least one."""
_BARE = {"start": {"type"}, "finish": {"type"}, "abort": {"type", "reason"}}
"""Maps types of chunks that may have no field of their own to all fields that such a chunk may have."""


class UIMessage(Format[UIParts]):
    """The `ui-message` format: the UI message stream of Vercel's AI SDK, versions 5 to 7.

    Example:
        >>> stream = UIMessage()
        >>> stream.feed(b'{"type":"text-start","id":"0"}')
        [PartStart(choice=0, part=0, content=TextPart(kind='text', text='', complete=False))]
        >>> stream.feed(b'{"type":"text-delta","id":"0","delta":"Hel"}')
        [TextDelta(choice=0, part=0, text='Hel')]
    """

    __slots__ = ("_has_finish", "_metadata", "_withheld")

    _parts_class = UIParts
    name = "ui-message"
    counted = USAGE
    # Of the chunk `abort` in the AI SDK.
    documented = frozenset({"error", "finish-step", "reason", "reset-step", "start-step", *PART_READERS})
    closes_parts = True
    sentinel = b"[DONE]"
    finish_reasons = MappingProxyType(FINISH_REASONS)
    # No field counts as padding: every unknown field is reported.
    fast = Fast(texts=[("delta",), ("inputTextDelta",)], padding=frozenset())

    def _set_up(self) -> None:
        self._metadata: object = None
        """The metadata of the message so far."""
        self._has_finish = False
        """True once the chunk `finish` has arrived, which may have no finish reason."""
        self._withheld: StreamError | None = None
        """The first error that a chunk has reported; it becomes `error` when the answer ends."""

    @classmethod
    def recognises(cls, payload: JsonObject, event: str) -> bool | None:  # noqa: ARG003 - names mean nothing here
        """Return whether a first payload is a chunk of a UI message; None if it fits other formats, too."""
        kind = text_or_empty(payload, "type")
        # Any vocabulary may have these words. After an empty start, an end may be the only other chunk.
        is_bare = kind in _BARE and payload.keys() <= _BARE[kind]
        if (
            is_bare
            or (kind == "custom" and "kind" in payload)
            or (kind.startswith(_DATA) and "data" in payload)
        ):
            return None
        # Other formats have the types in `_SHARED_TYPES`, too, but without these fields.
        return kind in _UNIQUE_TYPES or any(name in payload for name in _SHARED_TYPES.get(kind, ()))

    def begun_by(self, payload: JsonObject, event: str) -> str | None:
        return text_or_empty(payload, "messageId") if (text_of(payload, "type") or event) == "start" else None

    @property
    def finished(self) -> bool:
        return self._withheld is None and (self._has_finish or super().finished)

    @property
    def withheld(self) -> StreamError | None:
        return self._withheld or super().withheld

    def judge_end(self) -> None:
        """Take the error that a chunk has reported for the reason why the answer has not ended."""
        if not self.ended:
            # An error in a chunk was withheld, because the answer might have gone on after it.
            self.error = self.error or self._withheld
        # After a chunk `finish` without a finish reason, an answer is whole: only the sentinel is missing.
        lacks_reason = self._has_finish and not self.parts.finished
        if lacks_reason and not self.ended and self.error is None:
            self.note("done_missing")
            self.conclude()

    def read_sentinel(self) -> None:
        if self._withheld is not None:
            self.error = self._withheld
        else:
            super().read_sentinel()

    def tolerates(self, payload: JsonObject, event: str) -> bool:
        """Return whether a payload is a regular chunk, whose data or result may look like an error."""
        kind = text_or_empty(payload, "type")
        return kind in self._READERS or kind in PART_READERS or kind.startswith(_DATA)

    def read(self, payload: JsonObject, event: str) -> None:
        kind = text_of(payload, "type") or event
        reader, part_reader = self._READERS.get(kind), PART_READERS.get(kind)
        if "type" not in payload and (reader or part_reader):
            self.note("type_missing")
        if reader is not None:
            reader(self, payload)
        elif part_reader is not None:
            part_reader(self.parts, payload)
        elif kind.startswith(_DATA):
            self.parts.read_data(payload)
        else:
            self.parts.unknown(kind or "chunk", payload)

    # -- the message as a whole --------------------------------------------

    def _start(self, payload: JsonObject) -> None:
        self.parts.head(id=text_of(payload, "messageId"))
        self._read_metadata(payload)
        self.parts.report_unknown_fields(payload, ("type", "messageId", _METADATA))

    def _read_metadata(self, payload: JsonObject) -> None:
        """Merge a payload's metadata into the message's, and report them, with their counts and model."""
        metadata = payload.get(_METADATA)
        if metadata is None:
            return
        self._metadata = merge_metadata(self._metadata, metadata)
        self.parts.field(_METADATA, self._metadata)
        usage = usage_of(metadata)
        if usage is not None:
            self.parts.usage(usage)
        model = text_of(metadata, "model") if is_dict(metadata) else None
        if model is not None:
            self.parts.head(model=model)

    def _read_message_metadata(self, payload: JsonObject) -> None:
        self._read_metadata(payload)
        self.parts.report_unknown_fields(payload, ("type", _METADATA))

    def _finish(self, payload: JsonObject) -> None:
        self._read_metadata(payload)
        self.parts.report_unknown_fields(payload, ("type", _METADATA, "finishReason"))
        reason = text_of(payload, "finishReason")
        # Quirk (ai 7.0, 2026-11): with older providers, it says "other", and leaves the parts open.
        if reason == "interrupted" or (reason == "other" and self.parts.has_open):
            self._withheld = self._withheld or StreamTruncated(
                "the AI SDK ended the answer without the provider's finish reason, as it does when the "
                "provider's stream was cut; what had arrived is in .partial"
            )
        elif reason is not None:
            self.parts.finish(0, self.finish_reasons.get(reason, "unknown"), reason)
        elif self._has_finish:
            self.note("finish_repeated")
        self._has_finish = True

    def _read_abort(self, payload: JsonObject) -> None:
        self.parts.report_unknown_fields(payload, ("type",))
        self.parts.finish(0, "cancelled", "abort")

    def _read_error(self, payload: JsonObject) -> None:
        """Store the first error until the answer ends, since other chunks may follow it."""
        self._withheld = more_telling(self._withheld, provider_error(payload, "error"))
        self.parts.unknown("error", payload)

    # -- steps -------------------------------------------------------------

    def _start_step(self, payload: JsonObject) -> None:
        """Begin a step of the answer; as no event of ours expresses that, report the chunk as unknown."""
        self.parts.begin_step()
        self.parts.unknown("start-step", payload)

    def _finish_step(self, payload: JsonObject) -> None:
        """End a step of the answer; as no event of ours expresses that, report the chunk as unknown."""
        self.parts.end_step()
        self.parts.unknown("finish-step", payload)

    def _reset_step(self, payload: JsonObject) -> None:
        """Withdraw the parts of the current step, which begins again; report the chunk as unknown."""
        self.parts.reset_step()
        self.parts.unknown("reset-step", payload)

    _READERS: ClassVar[ReadersOf[UIMessage]] = {
        "start": _start,
        "message-metadata": _read_message_metadata,
        "finish": _finish,
        "abort": _read_abort,
        "error": _read_error,
        "start-step": _start_step,
        "finish-step": _finish_step,
        "reset-step": _reset_step,
    }
