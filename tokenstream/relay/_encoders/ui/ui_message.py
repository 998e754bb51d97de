"""Encoder for the UI message stream protocol of Vercel's AI SDK, version 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import text_of
from tokenstream.errors import ErrorKind, ProtocolError
from tokenstream.formats._wire.ui_message.words import USAGE
from tokenstream.message import ServerToolCall, ToolCall
from tokenstream.relay._encoders.ui import KindNames, NamedEncoder, OpenText, is_approval
from tokenstream.relay._encoders.values import parse_object, prepare_result, to_json_object, to_json_value
from tokenstream.relay._encoders.vocabulary import BASICS, CALLS, PROOFS, SERVER_TOOLS, FinishWords
from tokenstream.relay._encoders.whole_parts import FAILED_OUTPUT, Media, drop_none, says_more

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._basics.waits import HeaderFields
    from tokenstream.events import (
        CitationAdded,
        MediaDelta,
        PartDelta,
        PartDone,
        PartStart,
        StepDelta,
        StepDone,
        StepStart,
        StepUpdate,
        StepWaiting,
        ToolCallDelta,
        ToolCallDone,
        ToolCallStart,
        ToolProgress,
        ToolResult,
    )
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.losses import Loss

_ABORT = "abort"
"""The type of the chunk that ends a cancelled answer, in place of `finish`."""
_OWN_UPDATES = frozenset({"plan", "progress"})
"""Types of a step's news that have a data part of their own; the names of all others begin with the step."""
_PROVIDER = "anthropic"
"""The provider's name under which signatures are sent: the protocol groups metadata by provider."""


class UIMessageEncoder(NamedEncoder):
    """Encodes an answer as the chunks of one message, and `[DONE]`; a step begins after results of tools.

    The protocol has no field for token counts. They are sent as metadata of the message, under
    the AI SDK's names, as applications usually do.
    """

    name = "ui-message"
    # Servers of the AI SDK send this header, and some of its clients require it.
    further_headers: ClassVar[HeaderFields] = {"x-vercel-ai-ui-message-stream": "v1"}
    default_id = "msg-1"
    expresses = frozenset({*BASICS, *CALLS, *SERVER_TOOLS, *PROOFS, "citation", "media", "media_url"})
    counts = USAGE.fields
    words: ClassVar[FinishWords] = {
        "stop": "stop",
        "length": "length",
        "content_filter": "content-filter",
        "tool_calls": "tool-calls",
        "cancelled": _ABORT,
        "error": "error",
        "unknown": "other",
    }
    prefixes: ClassVar[KindNames] = {"text": "txt-", "reasoning": "reasoning-"}

    def reset(self) -> None:
        super().reset()
        self._files = Media()
        self._steps: dict[str, JsonObject] = {}
        """The data that were sent for the open steps, by the step's id."""
        self._causes: dict[str, ToolCall] = {}
        """Calls that have started a step, and were not sent themselves, by their ids."""
        self._finished_calls: set[str] = set()
        """The ids of the calls whose result was sent."""
        self._goes_on = False
        """The results of calls were sent, and nothing that the model has written after them."""

    def encode_head(self) -> Payloads:
        start: JsonObject = {"type": "start", "messageId": self.answer_id}
        if self.model is not None:
            start["messageMetadata"] = {"model": self.model}
        return [("", start), ("", {"type": "start-step"})]

    def encode_begin(self, part: OpenText) -> Payloads:
        return [*self._begin_step(), ("", {"type": f"{part.kind}-start", "id": part.id})]

    def encode_piece(self, part: OpenText, text: str) -> Payload:
        return "", {"type": f"{part.kind}-delta", "id": part.id, "delta": text}

    def encode_end(self, part: OpenText) -> Payloads:
        """Return a `text-end` or a `reasoning-end`, with any signature as metadata of the provider."""
        end: JsonObject = {"type": f"{part.kind}-end", "id": part.id}
        proofs = {"signature": "".join(part.signature), "redactedData": part.redacted}
        known_proofs = {name: proof for name, proof in proofs.items() if proof}
        if known_proofs:
            end["providerMetadata"] = {_PROVIDER: known_proofs}
        return [("", end)]

    def encode_part_start(self, event: PartStart) -> Payloads:
        # Content in the start of a file goes to `encode_media`, which collects it.
        if event.content.kind == "media":
            return self._files.start(event, self.encode_media)
        return super().encode_part_start(event)

    def encode_call(self, event: ToolCallStart) -> Payloads:
        self.sent_calls.add(event.id)
        start = {"type": "tool-input-start", "toolCallId": event.id, "toolName": event.name}
        return [*self.unsent_head(), *self._begin_step(), ("", start)]

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        return [("", {"type": "tool-input-delta", "toolCallId": event.id, "inputTextDelta": event.fragment})]

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Return a `tool-input-available` with the parsed arguments: the client may run the call now."""
        # "": the SSE events of this protocol have no names.
        return [("", _call_payload(event.call, decode(event.call.arguments_text or "{}")))]

    def encode_server_call(self, call: ServerToolCall) -> Payloads:
        """Return a `tool-input-start`, marked so that the client does not run the call."""
        start = {"type": "tool-input-start", "toolCallId": call.id, "toolName": call.name}
        return [*self._begin_step(), ("", {**start, "providerExecuted": True})]

    def encode_server_call_end(self, call: ServerToolCall) -> Payloads:
        """Return a `tool-input-available` with the parsed arguments; bare code becomes an object."""
        arguments = parse_object(call.arguments_text)
        given = {"code": call.arguments_text} if arguments is None else arguments
        return [("", {**_call_payload(call, given), "providerExecuted": True})]

    def encode_fragment(self, event: PartDelta) -> Payloads:
        """Return a `tool-input-delta` of a tool that the provider runs; the pieces of a result are left out.

        The result is sent when it is complete.
        """
        call = self.server_calls.get(event.part)
        if call is None:
            return ()
        return [("", {"type": "tool-input-delta", "toolCallId": call.id, "inputTextDelta": event.fragment})]

    def encode_result(self, event: ToolResult) -> Payloads:
        """Return a `tool-output-available`; for a call that failed, a `tool-output-error` without the output.

        Clients fail at the result of a call that was not sent to them. If the call is known as the cause of a
        step, it is sent before its result, marked as run by the provider, so that the client does not run it.
        The result of any other call that was not sent is left out.
        """
        result, id = prepare_result(event, raw=True), self.call_id_of(event)
        kind: Loss = "server_tool_result" if event.provider_executed else "tool_result"
        calls = self._send_cause(id)
        if calls is None:
            return self.omit("the result of a call that was not sent", kind)
        output: JsonObject = {"type": "tool-output-available", "toolCallId": id}
        if result.error is None:
            output["output"] = result.output
        else:
            output |= {"type": "tool-output-error", "errorText": result.error}
            if says_more(result.output, result.error):
                self.omit(FAILED_OUTPUT, kind)
        if event.provider_executed:
            output["providerExecuted"] = True
        else:
            self._goes_on = True
        self._finished_calls.add(id)
        return [*self.unsent_head(), *calls, ("", output)]

    def encode_progress(self, event: ToolProgress) -> Payloads:
        """Return a preliminary `tool-output-available`, which the client replaces by the next, or the result.

        The AI SDK sends so what a tool yields: `executeTool` and `uiMessageChunkSchema` of vercel/ai, seen in
        2026-11. The progress of a call that the client does not know is left out.
        """
        calls = self._send_cause(event.id)
        if calls is None or event.id in self._finished_calls:
            return ()
        output = {"toolCallId": event.id, "output": to_json_value(event.output), "preliminary": True}
        return [*self.unsent_head(), *calls, ("", {"type": "tool-output-available", **output})]

    def encode_citation(self, event: CitationAdded) -> Payloads:
        url, title = event.citation.url, event.citation.title
        if url is None:
            return self.omit_kind("unlinked_citation")
        source = {"type": "source-url", "sourceId": f"src-{event.part}", "url": url}
        return [*self.unsent_head(), ("", source if title is None else {**source, "title": title})]

    def encode_media(self, event: MediaDelta) -> Payloads:
        self._files.find(event).pieces.append(event.data)
        return ()

    def encode_part_end(self, event: PartDone) -> Payloads:
        """Return the end of a text, a complete file, or an error if a call's arguments are invalid."""
        if isinstance(event.content, ToolCall):
            call = event.content
            # The call ended without a `ToolCallDone`, because its arguments are no JSON.
            fields = {"toolCallId": call.id, "toolName": call.name, "input": call.arguments_text}
            return [("", {"type": "tool-input-error", **fields, "errorText": "the arguments are no JSON"})]
        medium = self._files.pop(event)
        if medium is None:
            return super().encode_part_end(event)
        mime_type = medium.mime_type or "application/octet-stream"
        # A file without data or URL is empty.
        url = medium.to_url(mime_type) or f"data:{mime_type};base64,"
        return [*self.unsent_head(), ("", {"type": "file", "mediaType": mime_type, "url": url})]

    def encode_step_start(self, event: StepStart) -> Payloads:
        """Return a `data-step`.

        The protocol's own events for steps are not used: the end of one ends the open parts of all others.
        """
        if event.cause is not None and event.cause.id not in self.sent_calls:
            self._causes[event.cause.id] = event.cause
        call_id = None if event.cause is None else event.cause.id
        data = {"name": event.name, "parent": event.parent, "agent": event.agent, "toolCallId": call_id}
        data = self._steps[event.id] = {**data, "state": "running"}
        return [*self.unsent_head(), _data_payload("data-step", event.id, drop_none(**data))]

    def encode_step_end(self, event: StepDone) -> Payloads:
        """Return another `data-step` with the step's id; the client replaces the first one with it."""
        data = self._steps.pop(event.id, None)
        if data is None:
            return ()
        return [_data_payload("data-step", event.id, drop_none(**{**data, "state": event.state}))]

    def encode_output(self, event: StepDelta) -> Payloads:
        """Return a `data-output` with the added text alone, so that long output costs no more than its size.

        The client hands it to the application and doesn't keep it in the message, to which every kept part
        would be added anew. The output of a tool is kept by the tool's result.
        """
        chunk = {"type": "data-output", "id": event.id, "data": {"delta": event.text}, "transient": True}
        return [*self.unsent_head(), ("", chunk)]

    def encode_update(self, event: StepUpdate) -> Payloads:
        """Return a `data-plan`, `data-progress` or `data-step-…`, which replaces the step's earlier one."""
        kind = text_of(event.data, "type") or "update"
        name = f"data-{kind}" if kind in _OWN_UPDATES else f"data-step-{kind}"
        return [*self.unsent_head(), _data_payload(name, event.id, to_json_object(event.data))]

    def encode_waiting(self, event: StepWaiting) -> Payloads:
        """Return a `data-waiting` with the request; once it is answered, the client replaces the first one.

        If it asks for the approval of a call that was sent, a `tool-approval-request` follows, so that
        clients show the call as one that waits for Approve or Deny. It has no place for the request itself.
        Version 5 of the AI SDK fails at it, so it is not sent for other requests.
        """
        call_id = self._steps.get(event.step or "", {}).get("toolCallId")
        origin = drop_none(step=event.step, toolCallId=call_id)
        data = {**origin, "request": to_json_value(event.request), "answered": event.answered}
        payloads = [*self.unsent_head(), _data_payload("data-waiting", event.id, data)]
        is_open = call_id in self.sent_calls and call_id not in self._finished_calls
        if is_open and not event.answered and is_approval(event):
            approval = {"type": "tool-approval-request", "approvalId": event.id, "toolCallId": call_id}
            payloads.append(("", approval))
        return payloads

    def _send_cause(self, id: str) -> list[Payload] | None:
        """Return the payloads, if not sent yet, of a call that only its step has named, or None."""
        if id in self.sent_calls:
            return []
        cause = self._causes.pop(id, None)
        if cause is None:
            return None
        self.sent_calls.add(id)
        return [("", {**_call_payload(cause, _input_of(cause)), "providerExecuted": True, "dynamic": True})]

    def encode_tail(self) -> Payloads:
        word, usage = self.finish_word, USAGE.write(self.usage)
        metadata = {"messageMetadata": {"usage": usage}} if usage else {}
        if word == _ABORT:
            # An `abort` replaces the ends of the step and of the message, and has no metadata itself.
            ends = [{"type": "message-metadata", **metadata}] if metadata else []
            ends.append({"type": _ABORT})
        else:
            ends = [{"type": "finish-step"}, {"type": "finish", "finishReason": word, **metadata}]
        return [*self.unsent_head(), *self.close_all(), *(("", end) for end in ends), ("", "[DONE]")]

    def _begin_step(self) -> Payloads:
        """Return a `start-step` for what the model says after the results of calls, and nothing otherwise.

        Where the last step ends with results, clients that run tools themselves take the results for theirs,
        and send them to the model. The step before gets no end, because it would end the open parts of steps
        of a run that go on beside it.
        """
        begins, self._goes_on = self._goes_on, False
        return [("", {"type": "start-step"})] if begins else []

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return an `error` chunk with the error's message; it has no fields for the kind and the code."""
        return [*self.unsent_head(), ("", {"type": "error", "errorText": message})]


def _call_payload(call: ToolCall | ServerToolCall, arguments: Json) -> JsonObject:
    return {"type": "tool-input-available", "toolCallId": call.id, "toolName": call.name, "input": arguments}


def _input_of(call: ToolCall) -> Json:
    """Return the arguments of a call; as text if they are not JSON, or the tool is a custom one."""
    if call.type == "custom":
        return call.arguments_text
    try:
        return decode(call.arguments_text or "{}")
    except ProtocolError:
        return call.arguments_text


def _data_payload(kind: str, id: str, data: Json) -> Payload:
    """Return a payload with data, by which the client replaces earlier data of the same type and id."""
    return "", {"type": kind, "id": id, "data": data}
