"""Steps, which have an index, as parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.errors import LimitExceeded
from tokenstream.formats._kit.open import OpenCall, OpenPart, mend_surrogates
from tokenstream.formats._kit.parts import BLANK_TEXT, Parts
from tokenstream.formats._kit.values import base64_bytes, json_text
from tokenstream.formats._wire.gemini_interactions.step import (
    CALL,
    OUTPUT,
    THOUGHT,
    InteractionStep,
    result_of,
    server_call,
    whole_of,
)
from tokenstream.formats._wire.gemini_interactions.words import citation_of
from tokenstream.message import (
    MediaPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.limits import Limits
    from tokenstream.message import FinishReason

_MEDIA = frozenset({"image", "audio", "video", "document"})


class InteractionSteps(Parts):
    """Parts whose deltas have the index of a step.

    Args:
        limits: Bounds on parts and tool calls.
        note: Counts a departure.
    """

    __slots__ = ("_closed", "_open", "newest")

    splits_calls = False

    def __init__(self, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(limits, note)
        self._open: dict[int, InteractionStep] = {}
        self._closed: set[int] = set()
        self.newest = -1
        """Index of the step started last."""

    @property
    def has_parts(self) -> bool:
        """True once any content has arrived."""
        return 0 in self.choices and self.choices[0].next_part > 0

    # -- steps -----------------------------------------------------------------

    def start(self, index: int, data: dict[str, Any]) -> InteractionStep:
        """Open a step.

        Args:
            index: The step's index.
            data: The step as its start event describes it.
        """
        if index in self._open:
            self.note("part_unclosed")
            self.stop(index)
        if index in self._closed:
            self.note("part_index_reused")
            self._closed.discard(index)
        if len(self._open) >= self.limits.parts:
            raise LimitExceeded(limit="parts", value=self.limits.parts)
        kind = text_of(data, "type") or ""
        # In previews of the API, contents had indexes, and there were no steps around contents.
        step = InteractionStep(OUTPUT if kind == "text" or kind in _MEDIA else kind, {**data})
        self._open[index] = step
        self.newest = index
        if step.type == kind:
            self._begin(step)
        else:
            self._add_content(step, data)
        return step

    def delta(self, index: int, delta: dict[str, Any], payload: dict[str, Any]) -> None:
        """Add to a step; if the delta fits no step, report it unchanged, as unknown.

        Args:
            index: The step's index.
            delta: The addition.
            payload: The payload with the delta.
        """
        kind = text_of(delta, "type") or ""
        step = self._open.get(index) or self._reopen(index, kind)
        if step is None:
            self.items(kind or "step.delta", [payload], 0)
            return
        adder = self._ADDERS.get(kind)
        fits = adder(self, step, delta) if adder is not None else self._set(step, kind, delta)
        if not fits:
            self.note("delta_misfits")
            self.items(kind or "step.delta", [payload], 0)
        elif step.part is not None:
            self.record_written_part(step.part)

    def stop(self, index: int) -> None:
        """Close a step; a tool call is handed out if it is whole."""
        step = self._open.pop(index, None)
        if step is None:
            self.note("part_end_unmatched")
            return
        if len(self._closed) < self.limits.parts:
            self._closed.add(index)
        self._finish_step(step, whole=True)

    def whole_step(self, index: int, data: dict[str, Any]) -> None:
        """Add a step that arrived in one piece."""
        self.start(index, data)
        self.stop(index)

    # -- endings common to all formats -------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record the finish reason and close every open part."""
        complete = reason in ("stop", "tool_calls", "pause")
        for step in self._open.values():
            self.note("part_unclosed")
            has_arguments = step.fragments or bool(step.data.get("arguments"))
            self._finish_step(step, whole=complete and has_arguments)
        self._open.clear()
        super().finish(choice, reason, raw_reason)

    def close_all(self, *, complete: bool) -> None:
        """Close every step; if the answer was cut off, no tool call is handed out."""
        for step in self._open.values():
            self._finish_step(step, whole=False, cut=True)
        self._open.clear()
        super().close_all(complete=complete)

    # -- opening ---------------------------------------------------------------

    def _begin(self, step: InteractionStep) -> None:
        """Open a step's part, if its start reveals enough."""
        if step.type == OUTPUT:
            for content in dicts_of(step.data.get("content")):
                self._add_content(step, content)
            rest = fields_except(step.data, "type", "content")
            if rest is not None:
                self.items(OUTPUT, [rest], 0)
        elif step.type == THOUGHT:
            rest = fields_except(step.data, "type", "signature", "summary")
            step.part = self.open(0, ReasoningPart(provider_data=rest))
            for content in dicts_of(step.data.get("summary")):
                self._summarise(step, {"content": content})
        elif step.type == CALL:
            self._begin_call(step)
        elif step.type.endswith("_call"):
            step.part = self.open(0, server_call(step, step.data))
        elif step.type.endswith("_result"):
            step.part = self.open(0, result_of(step))
        else:
            step.part = self.open(0, OpaquePart(type=step.type, data={**step.data}))

    def _begin_call(self, step: InteractionStep) -> None:
        """Open the step's call once its name is known."""
        name = text_of(step.data, "name")
        if name and step.part is None:
            rest = fields_except(step.data, "type", "id", "name", "arguments")
            step.part = self.open_call(0, text_of(step.data, "id"), name, provider_data=rest)

    def _reopen(self, index: int, kind: str) -> InteractionStep | None:
        """Open the missing step of a delta; return None if the delta does not reveal enough."""
        after_close = index in self._closed
        found = OUTPUT if kind == "text" or kind in _MEDIA else _TOLD.get(kind, "")
        if not found and kind.endswith(("_call", "_result")):
            found = kind
        if not found:
            self.note("call_after_done" if after_close and kind == "arguments_delta" else "part_unopened")
            return None
        self.note("part_after_close" if after_close else "part_unopened")
        self._closed.discard(index)
        return self.start(index, {"type": found})

    # -- adding ----------------------------------------------------------------

    def _add_text(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        """Add text to the step's thought or output; return False if the delta does not fit."""
        text = delta.get("text")
        if not isinstance(text, str):
            return False
        if step.type == THOUGHT and step.part is not None:
            self.add(step.part, text)
            return True
        if step.type != OUTPUT:
            return False
        part = step.part
        if part is None or step.kind != "text":
            if not text:
                return True
            part = self._next(step, "text", BLANK_TEXT)
            step.text = part.index
        self.add(part, text)
        return True

    def _add_content(self, step: InteractionStep, content: dict[str, Any]) -> None:
        """Add a whole piece of content: text with its annotations, or media."""
        kind = text_of(content, "type") or ""
        if kind == "text":
            rest = fields_except(content, "type", "text", "annotations")
            part = self._next(step, "text", BLANK_TEXT if rest is None else TextPart(provider_data=rest))
            step.text = part.index
            self.add(part, text_of(content, "text") or "")
            self._annotate(step, content)
        elif kind not in _MEDIA or not self._add_media(step, content):
            self._next(step, kind, OpaquePart(type=kind, data=content))

    def _add_media(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        """Add media to the step's output; return False if the step cannot have any."""
        kind = text_of(delta, "type") or ""
        encoded = delta.get("data")
        data = b"" if encoded is None else base64_bytes(encoded)
        if step.type != OUTPUT:
            return False
        if data is None:
            self.refuse_media(0, kind, delta)
            return True
        part = step.part
        # Only audio arrives in pieces; any other content is a part by itself.
        if part is None or step.kind != kind or kind != "audio":
            rest = fields_except(delta, "type", "data", "mime_type", "uri")
            media = MediaPart(
                mime_type=text_of(delta, "mime_type"), url=text_of(delta, "uri"), provider_data=rest
            )
            part = self._next(step, kind, media)
        self.add_media(part, data)
        return True

    def _next(self, step: InteractionStep, kind: str, content: TextPart | MediaPart | OpaquePart) -> OpenPart:
        """Close the step's last part, and open its next part."""
        if step.part is not None:
            self.close(step.part)
        step.part, step.kind = self.open(0, content), kind
        return step.part

    def _annotate(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        if step.type != OUTPUT:
            return False
        for annotation in dicts_of(delta.get("annotations")):
            self.cite(0, citation_of(annotation, step.text))
        return True

    def _summarise(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        content = dict_of(delta, "content")
        if step.type != THOUGHT or step.part is None or not isinstance(content.get("text"), str):
            return False
        self.add(step.part, content["text"])
        return True

    def _sign(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        signature = text_of(delta, "signature")
        if signature is not None:
            step.data["signature"] = signature
        return signature is not None or "signature" in delta

    def _add_fragment(self, step: InteractionStep, delta: dict[str, Any]) -> bool:
        """Add a piece of a tool call's arguments; return False if the delta does not fit."""
        fragment = delta.get("arguments")
        if not isinstance(fragment, str) or step.part is None:
            return False
        if isinstance(step.part, OpenCall):
            self.add_arguments(step.part, fragment)
        elif step.part.kind == "server_tool_call":
            self.add(step.part, fragment)
        else:
            return False
        step.fragments = step.fragments or bool(fragment)
        return True

    def _set(self, step: InteractionStep, kind: str, delta: dict[str, Any]) -> bool:
        """Store the fields of a call or result, which replace earlier values."""
        if kind != step.type:
            return False
        step.data.update(fields_except(delta, "type") or {})
        if step.type == CALL:
            self._begin_call(step)
        return True

    # -- closing ---------------------------------------------------------------

    def _finish_step(self, step: InteractionStep, *, whole: bool, cut: bool = False) -> None:
        """Close a step's part; if the answer was cut off (`cut`), only its data are reported."""
        data = mend_surrogates(step.data) if self.may_hold_surrogates else step.data
        part = step.part
        if isinstance(part, OpenCall):
            self._finish_call(step, part, data, whole=whole)
        elif part is None:
            if step.type == CALL:
                self.note("call_nameless")
                self.close(self.open(0, OpaquePart(type=step.type, data=data)))
        elif step.type == THOUGHT:
            self.add_signature(part, text_of(data, "signature") or "")
            if not cut:
                self.close(part)
        elif not cut:
            if step.fragments:
                # Report the fields that arrived after the start; the argument text stays.
                start = server_call(step, data)
                self.report_start_again(part, start)
            self.close(part, whole_of(step, data, part))

    def _finish_call(
        self, step: InteractionStep, call: OpenCall, data: dict[str, Any], *, whole: bool
    ) -> None:
        """Add arguments that did not arrive as fragments, and close the call."""
        if not step.fragments:
            # An empty object in the start is a placeholder; if no fragments arrive, it is the arguments.
            self._add_values(call, data.get("arguments"))
        call.provider_data = fields_except(data, "type", "id", "name", "arguments")
        self.close_call(call, whole=whole)

    def _add_values(self, call: OpenCall, arguments: object) -> None:
        """Add arguments that are a JSON value, or text by departure."""
        if isinstance(arguments, str):
            self.note("arguments_unparsed")
            self.add_arguments(call, arguments)
        else:
            self.add_arguments(call, json_text({} if arguments is None else arguments))

    _ADDERS: ClassVar[dict[str, Callable[[InteractionSteps, InteractionStep, dict[str, Any]], bool]]] = {
        "text": _add_text,
        "text_annotation_delta": _annotate,
        "text_annotation": _annotate,
        "thought_summary": _summarise,
        "thought_signature": _sign,
        "arguments_delta": _add_fragment,
        "image": _add_media,
        "audio": _add_media,
        "video": _add_media,
        "document": _add_media,
    }


_TOLD = {
    "thought_summary": THOUGHT,
    "thought_signature": THOUGHT,
    "text_annotation_delta": OUTPUT,
    "text_annotation": OUTPUT,
}
"""Maps types of deltas to the type of step that they belong to."""
