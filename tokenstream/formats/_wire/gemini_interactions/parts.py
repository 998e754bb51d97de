"""Turns the steps of an interaction, which have an index, into parts of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, fields_except, text_of
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.blocks import KeyedParts
from tokenstream.formats._kit.open import OpenCall, OpenPart, note_unread_texts
from tokenstream.formats._kit.parts import BLANK_TEXT, empty_part
from tokenstream.formats._kit.repeated import complete_arguments
from tokenstream.formats._kit.values import base64_bytes, fragment_text
from tokenstream.formats._wire.gemini_interactions.step import (
    CALL,
    CALL_FIELDS,
    DELTA_FIELDS,
    MEDIA_TYPES,
    NOT_TEXT,
    OUTPUT,
    THOUGHT,
    InteractionStep,
    ReportedStep,
    citation_of,
    server_call,
    server_result,
    step_type_of,
    whole_content,
)
from tokenstream.message import MediaPart, OpaquePart, ReasoningPart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.message import FinishReason, Part


class InteractionSteps(KeyedParts[int, InteractionStep]):
    """Turns the steps of an interaction into parts of the message; each delta has the index of its step."""

    __slots__ = ("reported",)

    def _set_up(self) -> None:
        super()._set_up()
        self.reported: list[ReportedStep] = []
        """The steps so far, in the order of their starts."""

    # -- steps -----------------------------------------------------------------

    def start_step(self, index: int, data: JsonObject) -> InteractionStep:
        """Open a step, and return it; a step with this index that is still open is closed before that."""
        self._free(index)
        self.check_room(len(self._open))
        kind = text_of(data, "type") or ""
        # In previews of the API, a text or an image had an index itself, and there was no step around it.
        is_bare_content = kind == "text" or kind in MEDIA_TYPES
        record = ReportedStep(OUTPUT if is_bare_content else kind, index, text_of(data, "id"))
        step = InteractionStep(record.type, {**data}, record)
        if len(self.reported) < self.limits.parts:
            self.reported.append(record)
        self._open[index] = step
        self.newest = index
        self.place = (index, (False, 0))
        if is_bare_content:
            self._add_content(step, data)
        else:
            self._open_part(step)
        return step

    def add_delta(self, index: int, delta: JsonObject, payload: JsonObject) -> None:
        """Add a delta to its step; if it fits no step, report the payload unchanged, as unknown."""
        kind = text_of(delta, "type") or ""
        step = self._open.get(index) or self._reopen(index, kind, delta)
        if step is None:
            self.stray(kind or "step.delta", payload)
            return
        self.place = (index, (False, 0))
        adder = self._ADDERS.get(kind)
        # A delta for which there is no adder should have the same type as its step.
        fits = adder(self, step, delta) if adder is not None else self._update_step(step, kind, delta)
        if adder is not None:
            self.tell_inside(delta, DELTA_FIELDS)
        if adder is None or kind == "arguments_delta":
            note_unread_texts(step.part, delta, *(CALL_FIELDS if fits else ()))
        if not fits:
            self.note("delta_misfits")
            self.stray(kind or "step.delta", payload)
        elif step.part is not None:
            # A delta between those of another open part is a departure.
            self.record_written_part(step.part)

    def add_whole_step(self, index: int, data: JsonObject) -> None:
        self.start_step(index, data)
        self.stop(index)

    def add_steps(self, whole: list[JsonObject]) -> None:
        """Add the steps that no event has begun, if the whole interaction has the others at their indexes."""
        reported = {step.index: step for step in self.reported}
        if self.has_parts and not reported:
            return
        if all(0 <= index < len(whole) and step.matches(whole[index]) for index, step in reported.items()):
            for index, data in enumerate(whole):
                if index not in reported:
                    self.add_whole_step(index, data)

    def repeat_steps(self, whole: list[JsonObject]) -> None:
        """Compare the whole interaction's steps with those that arrived; add what is missing; close them."""
        earlier = len(self.reported)
        if earlier > len(whole) or not all(map(ReportedStep.matches, self.reported, whole)):
            raise ProtocolError(
                "the whole interaction has other steps than those that arrived; see .partial for these"
            )
        for record, data in zip(self.reported.copy(), whole, strict=False):
            self._repeat_step(record, data)
        for data in whole[earlier:]:
            self.add_whole_step(self.newest + 1, data)

    def _repeat_step(self, record: ReportedStep, data: JsonObject) -> None:
        """Compare a step of the interaction with what has arrived of it, and complete it if it is open."""
        step = self._open.get(record.index)
        if record.type == OUTPUT:
            self._repeat_output(record, step, dicts_of(data.get("content")))
        elif record.type == THOUGHT:
            summary = "".join([text_of(content, "text") or "" for content in dicts_of(data.get("summary"))])
            self._repeat_text(record.contents[0], step, "reasoning", summary)
        if step is None:
            # The step has ended, so it has all of its fields.
            return
        if isinstance(step.part, OpenCall) and step.has_fragments:
            # The whole interaction may be another one: nothing in it replaces what has arrived.
            complete_arguments(self, step.part, data.get("arguments"), replaces="none")
        further = fields_except(data, "type", "content", "summary") or {}
        step.data.update({key: value for key, value in further.items() if key not in step.data})
        if not step.has_fragments and "arguments" in further:
            # Those in the start of the step may be a placeholder.
            step.data["arguments"] = further["arguments"]
        self.stop(record.index)

    def _repeat_output(
        self, record: ReportedStep, step: InteractionStep | None, contents: list[JsonObject]
    ) -> None:
        """Compare output in the whole interaction with what has arrived of it, and add what is missing."""
        earlier = record.contents.copy()
        for part_index, content in zip(earlier, contents, strict=False):
            if part_index != NOT_TEXT:
                self._repeat_text(part_index, step, "text", text_of(content, "text") or "")
        for content in contents[len(earlier) :]:
            if step is None:
                raise ProtocolError(
                    "the whole interaction has more content in a step than arrived; see .partial for that"
                )
            self._add_content(step, content)

    def _repeat_text(self, index: int, step: InteractionStep | None, kind: str, whole: str) -> None:
        """Compare the whole text of the part `index` with what has arrived, and add its missing end."""
        part = None if step is None else step.part
        if part is None or part.index != index:
            # The part has ended; `tell` needs only its kind and index.
            part = OpenPart(kind, 0, index)
            part.closed = True
        self.tell(part, whole, len(whole))

    # -- endings common to all formats -------------------------------------------

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        # With any other reason, the answer was cut off, so an open call may not be whole.
        complete = reason in ("stop", "tool_calls", "pause")
        for step in self._open.values():
            if step.waits:
                continue
            self.note("part_unclosed")
            self._close_step(step, whole=complete and step.has_arguments)
        self._open.clear()
        indexes = {step.index for step in self.reported}
        if len(indexes) == len(self.reported):
            self.put_in_order(sorted(indexes))
        super().finish(choice, reason, raw_reason)

    def close_all(self, *, complete: bool) -> None:
        """Close every step; a call whose step has not ended is not handed out, even if `complete`."""
        for step in self._open.values():
            if not step.waits:
                self._close_step(step, whole=False, cut_off=True)
        self._open.clear()
        super().close_all(complete=complete)

    # -- opening ---------------------------------------------------------------

    def _open_part(self, step: InteractionStep) -> None:
        """Open a step's part with its first content; output and a call without a name have none yet."""
        if step.type == OUTPUT:
            for content in dicts_of(step.data.get("content")):
                self._add_content(step, content)
            further = fields_except(step.data, "type", "content")
            if further is not None:
                # There is no part of the message that could hold these fields.
                self.items(OUTPUT, [further], 0)
        elif step.type == THOUGHT:
            further = fields_except(step.data, "type", "signature", "summary")
            step.part = self.open(0, ReasoningPart(provider_data=further))
            step.record.contents.append(step.part.index)
            for content in dicts_of(step.data.get("summary")):
                self._add_summary(step, {"content": content})
        elif step.type == CALL:
            self._open_call_once_named(step)
        elif step.type.endswith("_call"):
            step.part = self.open(0, server_call(step, step.data))
        elif step.type.endswith("_result"):
            step.part = self.open(0, server_result(step))
        else:
            step.part = self.open(0, OpaquePart(type=step.type, data={**step.data}))

    def _open_call_once_named(self, step: InteractionStep) -> None:
        name = text_of(step.data, "name")
        if name and step.part is None:
            further = fields_except(step.data, "type", "id", "name", "arguments")
            step.part = self.open_call(
                0, text_of(step.data, "id"), name, provider_data=further, number=step.record.index
            )

    def _reopen(self, index: int, kind: str, delta: JsonObject) -> InteractionStep | None:
        """Open a step for a delta that has none; None if the delta does not reveal the type of its step."""
        step_type = step_type_of(kind)
        if not step_type:
            # Arguments alone, for example, lack the tool's name, which only a start event has.
            self._read_unmatched(index, delta.get("arguments"), is_arguments=kind == "arguments_delta")
            return None
        self._note_unopened(index)
        return self.start_step(index, {"type": step_type})

    # -- adding ----------------------------------------------------------------

    def _add_text(self, step: InteractionStep, delta: JsonObject) -> bool:
        """Add text to the step, a thought or the model's output; return False if the delta does not fit.

        Like all methods in `_ADDERS`, this one returns False if the delta lacks the field
        that its type promises, or if the step is of another type.
        """
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
                # An empty text opens no part.
                return True
            part = self._open_next_part(step, "text", BLANK_TEXT)
            step.text_index = part.index
        self.add(part, text)
        return True

    def _add_content(self, step: InteractionStep, content: JsonObject) -> None:
        """Add a whole piece of content: text with its annotations, media, or an opaque part for the rest."""
        kind = text_of(content, "type") or ""
        if kind == "text":
            start = empty_part("text", fields_except(content, "type", "text", "annotations"))
            part = self._open_next_part(step, "text", start)
            step.text_index = part.index
            self.add(part, text_of(content, "text") or "")
            self._add_citations(step, content)
        elif kind not in MEDIA_TYPES or not self._add_media(step, content):
            self._open_next_part(step, kind, OpaquePart(type=kind, data=content))

    def _add_media(self, step: InteractionStep, delta: JsonObject) -> bool:
        """Add media to a step that is output of the model; for any other step, return False."""
        if step.type != OUTPUT:
            return False
        kind = text_of(delta, "type") or ""
        encoded = delta.get("data")
        data = b"" if encoded is None else base64_bytes(encoded)
        if data is None:
            # The data are not base64.
            self.add_undecodable_media(0, kind, delta)
            return True
        part = step.part
        # Only audio arrives in pieces; any other content is a part by itself.
        if part is None or step.kind != kind or kind != "audio":
            further = fields_except(delta, "type", "data", "mime_type", "uri")
            media = MediaPart(
                mime_type=text_of(delta, "mime_type"), url=text_of(delta, "uri"), provider_data=further
            )
            part = self._open_next_part(step, kind, media)
        self.add_media(part, data)
        return True

    def _open_next_part(self, step: InteractionStep, kind: str, content: Part) -> OpenPart:
        if step.part is not None:
            self.close(step.part)
        step.part, step.kind = self.open(0, content), kind
        step.record.contents.append(step.part.index if kind == "text" else NOT_TEXT)
        return step.part

    def _add_citations(self, step: InteractionStep, delta: JsonObject) -> bool:
        """Cite the sources in a delta's annotations of the text; return False if the step has no text."""
        if step.type != OUTPUT:
            return False
        for annotation in dicts_of(delta.get("annotations")):
            self.cite(0, citation_of(annotation, step.text_index))
        return True

    def _add_summary(self, step: InteractionStep, delta: JsonObject) -> bool:
        content = dict_of(delta, "content")
        if step.type != THOUGHT or step.part is None or not isinstance(content.get("text"), str):
            return False
        self.add(step.part, content["text"])
        return True

    def _store_signature(self, step: InteractionStep, delta: JsonObject) -> bool:
        """Store the signature of a thought until the step is closed; return False if the delta has none."""
        signature = text_of(delta, "signature")
        if signature is not None:
            step.data["signature"] = signature
        # A signature that is null or not a text is accepted, but not stored.
        return "signature" in delta

    def _add_input(self, step: InteractionStep, delta: JsonObject) -> bool:
        fragment = fragment_text(delta.get("arguments"), self.note)
        if fragment is None or step.part is None:
            return False
        if isinstance(step.part, OpenCall) and fragment:
            step.part.placeholder = ""
        if not self.add_fragment(step.part, fragment):
            return False
        step.has_fragments = step.has_fragments or bool(fragment)
        return True

    def _update_step(self, step: InteractionStep, kind: str, delta: JsonObject) -> bool:
        """Store the fields of a delta of its step's type, such as a call; return False for another type."""
        if kind != step.type:
            return False
        step.data.update(fields_except(delta, "type") or {})
        if step.type == CALL:
            self._open_call_once_named(step)
        return True

    # -- closing ---------------------------------------------------------------

    def _end_block(self, block: InteractionStep) -> None:
        self._close_step(block, whole=True)

    def _close_replaced(self, block: InteractionStep) -> None:
        self.note("part_index_reused")
        self._close_step(block, whole=block.has_arguments)

    def _close_step(self, step: InteractionStep, *, whole: bool, cut_off: bool = False) -> None:
        """Close a step's part; at a `cut_off`, only that of a call, because `Parts` closes the others."""
        part, data = step.part, step.data
        if isinstance(part, OpenCall):
            # A call is closed in any case: `whole` decides whether it is handed out.
            self._close_call_step(step, part, data, whole=whole)
        elif part is None:
            # A call whose name never arrived becomes an opaque part; an output without content, no part.
            if step.type == CALL:
                self.note("call_nameless")
                self.close(self.open(0, OpaquePart(type=step.type, data=data)))
        elif step.type == THOUGHT:
            self.add_signature(part, text_of(data, "signature") or "")
            if not cut_off:
                self.close(part)
        elif not cut_off:
            if step.has_fragments:
                # Report the fields that arrived after the start; the argument text stays.
                self.report_start_again(part, server_call(step, data))
            self.close(part, whole_content(step, data, part))

    def _close_call_step(
        self, step: InteractionStep, call: OpenCall, data: JsonObject, *, whole: bool
    ) -> None:
        """Add arguments that did not arrive as fragments, and close the call; hand it out only if `whole`."""
        call.provider_data = fields_except(data, "type", "id", "name", "arguments")
        has_none = not step.has_fragments and not data.get("arguments")
        if has_none and whole and not call.may_repeat:
            # An empty object is what every step starts with, so its end does not tell the arguments.
            call.placeholder, call.waits = "" if call.is_unread or call.is_unsure() else "{}", True
            return
        # Without arguments, the start of a finished call has come again.
        if not step.has_fragments and not (has_none and call.may_repeat):
            self.add_whole_arguments(call, data.get("arguments"))
        self.end_at_mark(call, whole=whole)

    _ADDERS: ClassVar[dict[str, Callable[[InteractionSteps, InteractionStep, JsonObject], bool]]] = {
        "text": _add_text,
        "text_annotation_delta": _add_citations,
        "text_annotation": _add_citations,
        "thought_summary": _add_summary,
        "thought_signature": _store_signature,
        "arguments_delta": _add_input,
        "image": _add_media,
        "audio": _add_media,
        "video": _add_media,
        "document": _add_media,
    }
