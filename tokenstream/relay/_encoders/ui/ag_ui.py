"""Encoder for AG-UI 1.0: the events of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_args

from tokenstream._basics.json import is_one_value, to_json_bytes
from tokenstream._basics.untrusted import text_of
from tokenstream._values.parts import COUNTS
from tokenstream.events import (
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
from tokenstream.formats._wire.ag_ui import OUTCOMES, USAGE
from tokenstream.formats._wire.ag_ui.parts import PROGRESS
from tokenstream.message import FinishReason, ServerToolCall
from tokenstream.relay._encoders.ui import KindNames, NamedEncoder, OpenText, is_approval
from tokenstream.relay._encoders.values import prepare_result, to_json_object
from tokenstream.relay._encoders.vocabulary import BASICS, CALLS, SERVER_TOOLS, FinishWords
from tokenstream.relay._encoders.whole_parts import complete_input, drop_none

if TYPE_CHECKING:
    from tokenstream._basics.loose import AnyEvent, JsonObject
    from tokenstream.errors import ErrorKind
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.pieces import TextRecorder

_MESSAGES: KindNames = {"text": "TEXT_MESSAGE", "reasoning": "REASONING_MESSAGE"}
_ROLES: KindNames = {"text": "assistant", "reasoning": "reasoning"}
_PAUSE = {"id": "interrupt-1", "reason": "pause"}
"""The interrupt that a paused run waits for; the protocol requires a list of interrupts."""


class _OpenStep(NamedTuple):
    name: str
    """The name under which the step was sent."""
    parent: str | None
    call_id: str | None
    """The id of the tool call that has started the step; None if there is none."""


class _OpenRequest(NamedTuple):
    """A request of a step that waits for an answer."""

    step: str | None
    """The id of the step."""
    interrupt: JsonObject
    """The interrupt of a run that ends before the answer."""


class AGUIEncoder(NamedEncoder):
    """Encodes an answer as the events of one AG-UI run."""

    name = "ag-ui"
    default_id = "run-1"
    expresses = frozenset({*BASICS, *CALLS, *SERVER_TOOLS, "encrypted_reasoning"})
    counts = frozenset(COUNTS)
    words: ClassVar[FinishWords] = {
        **{reason: reason for reason in get_args(FinishReason)},
        "stop": "success",
        "pause": "interrupt",
    }
    prefixes: ClassVar[KindNames] = {"text": "msg-", "reasoning": "reasoning-"}

    def reset(self) -> None:
        super().reset()
        self._open_calls: dict[str, list[str]] = {}
        """Fragments of the open calls' arguments, by the call's id."""
        self._run_ids: dict[str, str] = {}
        """The ids of the run and its thread, which the last event repeats."""
        self._steps: dict[str, _OpenStep] = {}
        self._requests: dict[str, _OpenRequest] = {}

    def encode_head(self) -> Payloads:
        self._run_ids = {"threadId": "thread-1", "runId": self.answer_id}
        return [("", {"type": "RUN_STARTED", **self._run_ids, "protocolVersion": "1.0"})]

    def encode_begin(self, part: OpenText) -> Payloads:
        """Return the start of a text's message; for reasoning, also the start of the span around it."""
        kind = part.kind
        start = {"type": f"{_MESSAGES[kind]}_START", "messageId": part.id, "role": _ROLES[kind]}
        return [*_reasoning_span(part, "START"), ("", start)]

    def encode_piece(self, part: OpenText, text: str) -> Payload:
        return "", {"type": f"{_MESSAGES[part.kind]}_CONTENT", "messageId": part.id, "delta": text}

    def encode_end(self, part: OpenText) -> Payloads:
        """Return the end of a text's message; for reasoning, also its encrypted form and its span's end."""
        end = ("", {"type": f"{_MESSAGES[part.kind]}_END", "messageId": part.id})
        fields = {"subtype": "message", "entityId": part.id, "encryptedValue": part.redacted}
        encrypted = [("", {"type": "REASONING_ENCRYPTED_VALUE", **fields})] if part.redacted else []
        return [*encrypted, end, *_reasoning_span(part, "END")]

    def keep_signature(self, part: OpenText, *pieces: str) -> None:
        """Leave out a signature, which AG-UI cannot express."""
        self.omit_kind("signature")

    def encode_call(self, event: ToolCallStart) -> Payloads:
        self._open_calls[event.id] = []
        start = {"type": "TOOL_CALL_START", "toolCallId": event.id, "toolCallName": event.name}
        return [*self.unsent_head(), ("", start)]

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        self._open_calls[event.id].append(event.fragment)
        return [("", {"type": "TOOL_CALL_ARGS", "toolCallId": event.id, "delta": event.fragment})]

    def find_recorder(self, event: AnyEvent) -> TextRecorder | None:
        return self._open_calls[event.id].append if isinstance(event, ToolCallDelta) else None

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        self._open_calls.pop(event.call.id, None)
        return [_call_end(event.call.id)]

    def encode_server_call(self, call: ServerToolCall) -> Payloads:
        """Return a `TOOL_CALL_START`; only its metadata say that the provider runs the tool."""
        start = {"type": "TOOL_CALL_START", "toolCallId": call.id, "toolCallName": call.name}
        return [("", {**start, "metadata": {"tokenstream": {"providerExecuted": True}}})]

    def encode_server_call_end(self, call: ServerToolCall) -> Payloads:
        """Return the arguments, which are sent whole, and a `TOOL_CALL_END`.

        The arguments must be JSON, which the first pieces of a program's code do not show.
        """
        arguments = complete_input(call)
        pieces: list[Payload] = (
            [("", {"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": arguments})] if arguments else []
        )
        return [*pieces, _call_end(call.id)]

    def encode_result(self, event: ToolResult) -> Payloads:
        """Return a `TOOL_CALL_RESULT`, whose content is text: the output, as JSON unless it is a text.

        Facts for which AG-UI has no field, such as an error, are sent in the metadata, under the key
        `tokenstream`. There, `content` is "json" if the text is JSON, and "error" if the text is the error,
        because there is no output.
        """
        result, extra, id = prepare_result(event, raw=True), dict[str, Any](), self.call_id_of(event)
        content = result.output
        if result.error is not None:
            extra["error"] = result.error
        if result.error is not None and result.output is None:
            content = result.error
            extra["content"] = "error"
        elif not isinstance(content, str):
            content = to_json_bytes(content).decode()
            extra["content"] = "json"
        if result.provider_executed:
            extra["providerExecuted"] = True
        payload = {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{self.scope}result-{id}",
            "toolCallId": id,
            "content": content,
            "role": "tool",
            **({"metadata": {"tokenstream": extra}} if extra else {}),
        }
        return [*self.unsent_head(), ("", payload)]

    def encode_progress(self, event: ToolProgress) -> Payloads:
        """Return an `ACTIVITY_SNAPSHOT`, which replaces the one before of the same call."""
        content = {"toolCallId": event.id, "toolName": event.name, "output": event.output}
        return self._activity(PROGRESS, f"progress-{event.id}", event.step, content)

    def encode_step_start(self, event: StepStart) -> Payloads:
        """Return a `STEP_STARTED`; AG-UI identifies steps by name, so two open steps get different names."""
        is_taken = any(step.name == event.name for step in self._steps.values())
        name = f"{event.name} {event.id}" if is_taken else event.name
        self._steps[event.id] = _OpenStep(name, event.parent, None if event.cause is None else event.cause.id)
        return [*self.unsent_head(), _step_payload("STARTED", name)]

    def encode_step_end(self, event: StepDone) -> Payloads:
        """Return a `STEP_FINISHED`; the step's messages stay open."""
        step = self._steps.pop(event.id, None)
        if step is None:
            return ()
        if step.parent is not None:
            # The run has gone on without an answer. A top-level step may have ended because it waits.
            self._requests = {id: each for id, each in self._requests.items() if each.step != event.id}
        return [_step_payload("FINISHED", step.name)]

    def encode_output(self, event: StepDelta) -> Payloads:
        """Return a `CUSTOM` with the added text.

        An activity cannot have it: a JSON Patch cannot add to a text, and clients copy the whole activity at
        each patch.
        """
        value = {**self._origin(event.id), "delta": event.text}
        return [*self.unsent_head(), ("", {"type": "CUSTOM", "name": "step_output", "value": value})]

    def encode_update(self, event: StepUpdate) -> Payloads:
        """Return an `ACTIVITY_SNAPSHOT`, which replaces the one before of the same step and type."""
        kind = text_of(event.data, "type") or "update"
        return self._activity(kind, f"step-{event.id}-{kind}", event.id, event.data)

    def encode_waiting(self, event: StepWaiting) -> Payloads:
        """Return an `ACTIVITY_SNAPSHOT` with the request; once it is answered, it is replaced by another.

        An interrupt would end the run, as there is no other way to answer one.
        """
        if event.answered:
            self._requests.pop(event.id, None)
        else:
            self._requests[event.id] = _OpenRequest(event.step, self._interrupt(event))
        content = {"id": event.id, "request": event.request, "answered": event.answered}
        return self._activity("waiting", f"request-{event.id}", event.step, content)

    def encode_tail(self) -> Payloads:
        """Return the ends of all open messages, steps and incomplete calls, and a `RUN_FINISHED`."""
        word = self.finish_word
        steps = [_step_payload("FINISHED", step.name) for step in self._steps.values()]
        before = [*self.unsent_head(), *self.close_all(), *steps]
        end: JsonObject = {"type": "RUN_FINISHED", **self._run_ids, "outcome": self._outcome(word)}
        end |= self._usage_fields({} if word in OUTCOMES else {"finishReason": word})
        # The protocol does not allow a run to end with an open call. Calls whose arguments are complete JSON
        # stay open all the same, because a client may run every call that has ended.
        call_ends = [
            _call_end(id)
            for id, pieces in self._open_calls.items()
            if not is_one_value("".join(pieces) or "{}")
        ]
        call_ends += [_call_end(call.id) for call in self.server_calls.values()]
        return [*before, *call_ends, ("", end)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return a `RUN_ERROR`, with the finish reason if one has arrived before the error."""
        error = {"type": "RUN_ERROR", "message": message}
        # Without the provider's code, the kind is the code; "unknown" would tell nothing.
        code = code or (None if kind == "unknown" else kind)
        if code is not None:
            error["code"] = code
        extra = {"finishReason": self.finish_word} if self.finishes else {}
        return [*self.unsent_head(), ("", {**error, **self._usage_fields(extra)})]

    # -- within ----------------------------------------------------------------

    def _activity(self, kind: str, id: str, step: str | None, content: JsonObject) -> Payloads:
        """Return an `ACTIVITY_SNAPSHOT`, of which the client keeps the last one of each id of the run."""
        payload = {
            "type": "ACTIVITY_SNAPSHOT",
            "messageId": f"{self.scope}{id}",
            "activityType": kind.upper(),
            "content": to_json_object(content),
            "metadata": {"tokenstream": self._origin(step)},
        }
        return [*self.unsent_head(), ("", payload)]

    def _origin(self, step: str | None) -> JsonObject:
        """Return the name of an open step, and the id of the call that has started it, as far as known."""
        known = self._steps.get(step or "")
        return {} if known is None else drop_none(stepName=known.name, toolCallId=known.call_id)

    def _interrupt(self, event: StepWaiting) -> JsonObject:
        """Return the interrupt of a run that ends before a request is answered."""
        step = self._steps.get(event.step or "")
        if step is None or step.call_id is None or not is_approval(event):
            return {"id": event.id, "reason": "input_required"}
        return {"id": event.id, "reason": "tool_call", "toolCallId": step.call_id}

    def _outcome(self, word: str) -> JsonObject:
        """Return the outcome of the run; one that has ended with open requests is interrupted by these."""
        if word not in OUTCOMES:
            # An outcome that clients do not know is an error to them; the reason is in the metadata.
            word = "success"
        if word == "success" and self._requests:
            interrupts = [request.interrupt for request in self._requests.values()]
            return {"type": "interrupt", "interrupts": interrupts}
        return {"type": word, "interrupts": [_PAUSE]} if word == "interrupt" else {"type": word}

    def _usage_fields(self, extra: JsonObject) -> JsonObject:
        """Return the last event's fields for token counts and model; other facts go into the metadata."""
        counts = USAGE.write(self.usage)
        others = self.name_counts({name: name for name in COUNTS if name not in USAGE.fields})
        extra = {**extra, "usage": others} if others else extra
        model = {} if self.model is None else {"model": self.model}
        return {
            **({"usage": [{**model, **counts}]} if counts else {}),
            **({"metadata": {"tokenstream": extra}} if extra else {}),
        }


def _reasoning_span(part: OpenText, edge: str) -> Payloads:
    """Return the event for the "START" or "END" of a reasoning message's span; nothing for a text."""
    edges: list[Payload] = [("", {"type": f"REASONING_{edge}", "messageId": part.id})]
    return edges if part.kind == "reasoning" else []


def _step_payload(edge: str, name: str) -> Payload:
    return "", {"type": f"STEP_{edge}", "stepName": name}


def _call_end(id: str) -> Payload:
    return "", {"type": "TOOL_CALL_END", "toolCallId": id}
