"""The parts of a UI message: texts have an id, tools a call id, and data a type and an id."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dicts_of, fields_except, text_of, text_or_empty
from tokenstream.events import PartDone
from tokenstream.formats._kit.named import CALL, NamedKind, NamedParts, call_id_of
from tokenstream.formats._kit.open import OpenCall, OpenPart
from tokenstream.formats._kit.values import CUT_SHORT, json_text, mend_surrogates, split_names
from tokenstream.formats._wire.ui_message.words import citation_of, media_of, signature_of
from tokenstream.message import OpaquePart, ReasoningPart, ServerToolCall, ServerToolResult

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.values import ReadersOf
    from tokenstream.message import Citation, FinishReason, Part

_TEXT_FIELDS = ("type", "id", "delta", "citations")
_CALL_FIELDS = split_names("type toolCallId toolName input inputEncoding errorText")
_RESULT = "tool-output"
"""Stands for all types of results in the keys of `UIParts._replaceable`."""
_FAILURES = {"tool-output-denied": "the call was denied"}
"""Descriptions of failures by the type of a result, which need not contain one."""
_RESULT_FIELDS = ("type", "toolCallId", "output", "errorText")


class UIParts(NamedParts):
    """Turns the chunks of one UI message into parts of the message."""

    __slots__ = ("_replaceable", "_server_calls", "_step_is_open", "_step_parts")

    id_field = "id"
    text_fields = _TEXT_FIELDS

    def _set_up(self) -> None:
        super()._set_up()
        self._replaceable: dict[tuple[str, str], OpenPart] = {}
        """Data parts and results, whose content later payloads may replace, by type and id."""
        self._step_parts: dict[int, tuple[str, str]] = {}
        """Maps indexes of the current step's parts to their kind and, for calls and results, their id."""
        self._step_is_open = False
        self._server_calls: dict[int, ServerToolCall] = {}
        """Maps part indexes to calls of tools that the server runs, as they were at their start."""

    # -- text and reasoning ------------------------------------------------

    def make_empty_part(self, kind: NamedKind, data: JsonObject | None) -> Part:
        """Return a part without its text; a reasoning part has the signature that is in `data`."""
        if data is None or kind == "text":
            return super().make_empty_part(kind, data)
        signature, redacted = signature_of(data)
        return ReasoningPart(signature=signature, redacted=redacted, provider_data=data)

    def open(self, choice: int, content: Part) -> OpenPart:
        part = super().open(choice, content)
        id_ = content.id if isinstance(content, ServerToolCall | ServerToolResult) else ""
        self._step_parts[part.index] = (content.kind, id_)
        return part

    def cite(self, choice: int, citation: Citation) -> None:
        # A citation is a part by itself, with the next index.
        self._step_parts[self.choice(choice).next_part] = (citation.kind, "")
        super().cite(choice, citation)

    def read_start(self, payload: JsonObject, *, kind: NamedKind) -> None:
        self.start(kind, self.id_in(payload, kind, new=True), fields_except(payload, *_TEXT_FIELDS))

    def read_end(self, payload: JsonObject, *, kind: NamedKind) -> None:
        key = kind, self.id_in(payload, kind)
        part = self._open.get(key)
        if part is not None:
            self.merge_data(part, kind, fields_except(payload, *_TEXT_FIELDS))
        self.stop(key)
        if part is not None:
            for citation in dicts_of(payload.get("citations")):
                self.cite(0, citation_of(citation, part.index))

    # -- tools -------------------------------------------------------------

    def read_call_start(self, payload: JsonObject) -> OpenPart | None:
        """Open a call; its result will not replace the result of an earlier call with the same id."""
        part = self._start_call(payload)
        if part is not None:
            self._replaceable.pop((_RESULT, call_id_of(payload)), None)
        return part

    def _start_call(self, payload: JsonObject) -> OpenPart | None:
        """Open a call of the client's or the provider's tool; None if it is not new, or lacks a name."""
        id_, name = call_id_of(payload), text_or_empty(payload, "toolName")
        data = fields_except(payload, *_CALL_FIELDS)
        if payload.get("providerExecuted") is not True:
            return self.start_call(id_, name, data, type=_type_of_call(payload))
        content = ServerToolCall(id=id_, name=name, provider_data=data)
        part = self.start_server_call(content)
        if part is not None:
            self._server_calls[part.index] = content
        return part

    def read_call(self, payload: JsonObject, *, rejected: bool = False) -> None:
        """Read a call's final arguments, and close the call; a call of the client's tools is handed out.

        A call is not handed out if the server has rejected its arguments.
        """
        call = self._remove_call(payload)
        if call is None:
            return
        if isinstance(call, OpenCall):
            data = fields_except(payload, *_CALL_FIELDS)
            if data is not None:
                call.provider_data = {**(call.provider_data or {}), **data}
            executed = payload.get("providerExecuted") is True
            if executed and not rejected:
                # Only the end of the call says that the provider runs the tool.
                self._turn_into_server_call(call, payload)
                return
            if not (rejected and call.has_arguments):
                self._set_arguments(call, payload)
            # The payload has all of the input, also if that is nothing.
            (self.drop_call if rejected else self.close_call)(call)
        else:
            self._close_server_call(call, payload)
        if rejected:
            # The error in the payload is the result of the call.
            self.read_result(payload)

    def read_result(self, payload: JsonObject) -> None:
        """Read a tool's result: of a call of the client's, or as a part if the server has run the tool.

        A preliminary result is replaced by the next one; that of a client's call is the tool's progress.
        """
        type_, id_ = text_or_empty(payload, "type"), call_id_of(payload)
        is_preliminary = payload.get("preliminary") is True
        executed = payload.get("providerExecuted") is True
        error = None
        if type_ != "tool-output-available":
            sent = payload.get("errorText", payload.get("reason"))
            error = sent if isinstance(sent, str) else _FAILURES.get(type_, "the tool has failed")
        if self.is_own_call(id_, executed=executed):
            if is_preliminary:
                if not self.progress_of_call(id_, payload.get("output")):
                    self.unknown(type_, payload)
            elif self.answer_call(id_, payload):
                self.result_of_call(id_, payload.get("output"), error, provider_executed=executed)
            return
        result = ServerToolResult(
            id=id_,
            name=type_,
            content=payload.get("output") if "output" in payload else payload.get("errorText"),
            provider_data=fields_except(payload, *_RESULT_FIELDS),
            error=error,
        )
        self._replace((_RESULT, id_), result, growing=is_preliminary)

    def _remove_call(self, payload: JsonObject) -> OpenPart | None:
        id_, name = call_id_of(payload), text_of(payload, "toolName")
        call = self._open.get((CALL, id_))
        if call is None:
            self.read_call_start(payload)
        elif isinstance(call, OpenCall) and name and name != call.name:
            # The start of this call was taken for one of the open call that has its id.
            return self.open_call(0, id_, name, type=_type_of_call(payload))
        return self.remove_call(id_)

    def _set_arguments(self, call: OpenCall, payload: JsonObject) -> None:
        if payload.get("input") is None:
            if "input" in payload and not call.has_arguments:
                self.note("arguments_null")
            return
        is_free_text = call.type == "custom"
        text = _arguments_text(payload["input"], as_text=is_free_text)
        if not call.has_arguments:
            self.add_arguments(call, text)
        elif call.arguments.join() != text and (is_free_text or not call.repeated.has(text, call)):
            # The SDK may repair the model's arguments, and calls the tool with the repaired arguments.
            # No event can take the fragments back, but the call is handed out with the final arguments.
            call.replace_arguments(mend_surrogates(text))

    def _close_server_call(self, part: OpenPart, payload: JsonObject) -> None:
        value, started = payload.get("input"), self._server_calls.pop(part.index)
        if value is None:
            self.close(part)
            return
        data = {**(started.provider_data or {}), **(fields_except(payload, *_CALL_FIELDS) or {})}
        changes = {"arguments_text": _arguments_text(value, as_text=False), "provider_data": data or None}
        self.close(part, started.model_copy(update=changes))

    def _turn_into_server_call(self, call: OpenCall, payload: JsonObject) -> None:
        """Close a call without handing it out, and report it as a call of a tool that the provider runs."""
        self.drop_call(call)
        # The client need not answer this call.
        self.own_calls.pop(call_id_of(payload), None)
        self.server_calls.add(call_id_of(payload))
        data = {**payload, **(call.provider_data or {})}
        content = ServerToolCall(
            id=call.id,
            name=call.name,
            arguments_text=_arguments_text(payload.get("input"), as_text=False),
            complete=True,
            provider_data=fields_except(data, *_CALL_FIELDS),
        )
        self._replace_content(call, content)

    def drop_call(self, call: OpenCall) -> None:
        """Close a call without handing it out; the call stays in the message as it is."""
        if call.may_repeat:
            # No event has reported the call yet.
            self.report_call(call)
        call.closed = True
        self.choice(0).opened.pop(call.index, None)

    # -- data, files, sources ----------------------------------------------

    def read_data(self, payload: JsonObject) -> None:
        """Add a data part of the application, or replace the data part with the same type and id."""
        type_, id_ = text_or_empty(payload, "type"), payload.get("id")
        if payload.get("transient") is True:
            # The application wants the data to be shown, but not to be stored in the message.
            self.unknown(type_, payload)
            return
        part = OpaquePart(type=type_, data=fields_except(payload, "type") or {})
        # An application may answer with data alone.
        self.has_answer = True
        if isinstance(id_, str):
            # A later payload with this type and id replaces the part again.
            self._replace((type_, id_), part, growing=True)
        else:
            self.whole(0, part)

    def read_other(self, payload: JsonObject) -> None:
        """Add a part of unknown type, such as an approval or a custom part, as an opaque part."""
        self.whole(
            0, OpaquePart(type=text_or_empty(payload, "type"), data=fields_except(payload, "type") or {})
        )

    def read_file(self, payload: JsonObject) -> None:
        """Add a file, or a file of the model's reasoning."""
        self.whole(0, media_of(payload))

    def read_source(self, payload: JsonObject) -> None:
        self.cite(0, citation_of(payload, cites=None))

    def _replace(
        self, key: tuple[str, str], content: OpaquePart | ServerToolResult, *, growing: bool
    ) -> None:
        """Add a part, or replace the one with its key; a `growing` part stays open to be replaced again."""
        part = self._replaceable.get(key)
        if part is None:
            part = self._replaceable[key] = self.open(0, content)
        elif growing and not part.closed:
            # The part stays open: another start replaces its content.
            self.report_start_again(part, content)
        if part.closed:
            # A closed part has no further start: another end replaces its content.
            self._replace_content(part, content)
        elif not growing:
            self.close(part, content)

    def _replace_content(self, part: OpenPart, content: Part) -> None:
        self.emit(PartDone(content, choice=part.choice, part=part.index, raw=self.raw))

    # -- steps -------------------------------------------------------------

    def begin_step(self) -> None:
        """Begin a step, which may use the ids of the step before again; calls that are still open are cut."""
        self._cut_calls()
        self._closed.clear()
        self.choice(0).ended.clear()
        self._step_parts.clear()
        self._step_is_open = True

    @property
    def has_open(self) -> bool:
        """True if the server has not ended a step, or anything in it."""
        return self._step_is_open or super().has_open

    def end_step(self) -> None:
        """End a step: close its open texts and reasoning."""
        # A part that is still open was cut, even if nothing tells the reason.
        self._step_is_open = bool(self._open)
        for key in [key for key in self._open if key[0] != CALL]:
            self.note("part_unclosed")
            self.stop(key)

    def reset_step(self) -> None:
        """Withdraw the parts of the current step, which the server begins again.

        Calls that were handed out stay, and so do their results. An open call is never handed out.
        """
        for (_, id_), part in self._open.items():
            if isinstance(part, OpenCall):
                self.drop_call(part)
                # Nobody has to answer a call that is never handed out.
                self.own_calls.pop(id_, None)
        # The step may use the ids of its parts again. `withdraw` closes those that are open.
        self._open.clear()
        self._closed.clear()
        self.choice(0).ended.clear()
        # Calls of the client's tools are not in `_step_parts`, so their results stay.
        server_call_ids = {id_ for kind, id_ in self._step_parts.values() if kind == "server_tool_call"}
        for index, (kind, id_) in self._step_parts.items():
            if kind != "server_tool_result" or id_ in server_call_ids:
                self.withdraw(index, kind)
        self._replaceable = {
            key: part for key, part in self._replaceable.items() if part.index not in self._step_parts
        }
        self._step_parts.clear()

    # -- endings common to all formats -------------------------------------

    def _note_unclosed(self) -> None:
        """Count texts and reasoning alone: a call without an end counts as one that is open at the end."""
        self.end_step()

    def finish(self, choice: int, reason: FinishReason, raw_reason: str | None) -> None:
        """Record the finish reason; open calls wait for their arguments, unless the answer was cut off."""
        if reason in CUT_SHORT:
            self._cut_calls()
        super().finish(choice, reason, raw_reason)

    def _may_go_on(self, call: OpenCall) -> bool:
        """Return True: only a call's own chunk has its final arguments."""
        return True

    def close_all(self, *, complete: bool) -> None:
        """Close every part; an open call of the client's tools is not handed out, even if `complete`."""
        self._cut_calls()
        super().close_all(complete=complete)

    def _cut_calls(self) -> None:
        """End the open calls; those of the client's tools are not handed out, as they may not be whole."""
        for id_ in [id_ for kind, id_ in self._open if kind == CALL]:
            call = self.remove_call(id_)
            # Nobody has to answer a call that is never handed out.
            self.own_calls.pop(id_, None)
            # The end of the answer closes a call of the server's own tools, which is no `OpenCall`.
            if isinstance(call, OpenCall):
                self.close_call(call, whole=False)


def _type_of_call(payload: JsonObject) -> str:
    return "custom" if payload.get("inputEncoding") == "text" else "function"


def _arguments_text(value: object, *, as_text: bool) -> str:
    if as_text and isinstance(value, str):
        return value
    return json_text(value)


PART_READERS: ReadersOf[UIParts] = {
    "text-start": partial(UIParts.read_start, kind="text"),
    "text-delta": partial(UIParts.read_delta, kind="text"),
    "text-end": partial(UIParts.read_end, kind="text"),
    "reasoning-start": partial(UIParts.read_start, kind="reasoning"),
    "reasoning-delta": partial(UIParts.read_delta, kind="reasoning"),
    "reasoning-end": partial(UIParts.read_end, kind="reasoning"),
    "tool-input-start": UIParts.read_call_start,
    "tool-input-delta": partial(UIParts.read_fragment, field="inputTextDelta"),
    "tool-input-available": UIParts.read_call,
    "tool-input-error": partial(UIParts.read_call, rejected=True),
    "tool-output-available": UIParts.read_result,
    "tool-output-error": UIParts.read_result,
    "tool-output-denied": UIParts.read_result,
    "tool-approval-request": UIParts.read_other,
    "tool-approval-response": UIParts.read_other,
    "file": UIParts.read_file,
    "reasoning-file": UIParts.read_file,
    "source-url": UIParts.read_source,
    "source-document": UIParts.read_source,
    "custom": UIParts.read_other,
    "steering-message": UIParts.read_other,
}
