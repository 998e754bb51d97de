"""Encoder for AG-UI 1.0: the events of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.json import decode
from tokenstream.errors import ProtocolError
from tokenstream.events import ToolCallDelta
from tokenstream.relay._encoders.encoder import to_json_bytes
from tokenstream.relay._encoders.pieces import add_recording
from tokenstream.relay._encoders.ui.shared import NamedEncoder
from tokenstream.relay._encoders.values import prepare_result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream.errors import ErrorKind
    from tokenstream.events import Event, StepDone, StepStart, ToolCallDone, ToolCallStart, ToolResult
    from tokenstream.message import FinishReason
    from tokenstream.relay._encoders.encoder import Payload, Payloads
    from tokenstream.relay._encoders.pieces import Template
    from tokenstream.relay._encoders.ui.shared import NamedKind, OpenText
    from tokenstream.turns import Drop, Kind

_COUNTS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "total_tokens": "totalTokens",
    "reasoning_tokens": "reasoningTokens",
    "cached_tokens": "cachedInputTokens",
    "cache_write_tokens": "cacheWriteInputTokens",
}
"""Maps fields of `Usage` to AG-UI's names of token counts."""
_MESSAGES: dict[NamedKind, str] = {"text": "TEXT_MESSAGE", "reasoning": "REASONING_MESSAGE"}
_ROLES: dict[NamedKind, str] = {"text": "assistant", "reasoning": "reasoning"}
_PAUSED_OUTCOME = {"type": "interrupt", "interrupts": [{"id": "interrupt-1", "reason": "pause"}]}
"""The outcome of a paused run; the protocol requires a list of the things that the run waits for."""


class AGUIEncoder(NamedEncoder):
    """Encodes an answer as the events of one AG-UI run."""

    name: ClassVar[str] = "ag-ui"
    default_id: ClassVar[str] = "run-1"
    expresses: ClassVar[frozenset[Kind]] = frozenset({"text", "reasoning", "tool_call"})
    counts: ClassVar[frozenset[str]] = frozenset(_COUNTS)
    words: ClassVar[Mapping[FinishReason, str]] = {
        "stop": "success",
        "pause": "interrupt",
        "cancelled": "cancelled",
    }
    prefixes: ClassVar[dict[NamedKind, str]] = {"text": "msg-", "reasoning": "reasoning-"}

    def __init__(self, *, drop: Drop = ()) -> None:
        super().__init__(drop=drop)
        self._open_calls: dict[str, list[str]] = {}
        """Fragments of the open calls' arguments, by the call's id."""
        self._run_ids: dict[str, str] = {}
        """The ids of the run and its thread, which the last event repeats."""
        self._step_names: dict[str, str] = {}
        """The names under which the open steps were sent, by the step's id."""

    def encode_head(self) -> Payloads:
        """Return a `RUN_STARTED`."""
        self._run_ids = {"threadId": "thread-1", "runId": self.answer_id}
        return [("", {"type": "RUN_STARTED", **self._run_ids, "protocolVersion": "1.0"})]

    def encode_begin(self, part: OpenText) -> list[Payload]:
        """Return the start of a text's message; for reasoning, also the start of the span around it."""
        kind = part.kind
        start = {"type": f"{_MESSAGES[kind]}_START", "messageId": part.id, "role": _ROLES[kind]}
        return [*_reasoning_span(part, "START"), ("", start)]

    def encode_piece(self, part: OpenText, text: str) -> Payload:
        """Return the next piece of the message for a text or reasoning."""
        return "", {"type": f"{_MESSAGES[part.kind]}_CONTENT", "messageId": part.id, "delta": text}

    def encode_end(self, part: OpenText) -> list[Payload]:
        """Return the end of a text's message; for reasoning, also its encrypted form and its span's end."""
        end = ("", {"type": f"{_MESSAGES[part.kind]}_END", "messageId": part.id})
        fields = {"subtype": "message", "entityId": part.id, "encryptedValue": part.redacted}
        encrypted = [("", {"type": "REASONING_ENCRYPTED_VALUE", **fields})] if part.redacted else []
        return [*encrypted, end, *_reasoning_span(part, "END")]

    def keep_signature(self, part: OpenText, *pieces: str) -> None:
        """Leave out a signature, which AG-UI cannot express.

        Raises:
            NotExpressible: `drop` does not allow leaving signatures out.
        """
        self.omit("a signature of reasoning", "signature")

    def encode_call(self, event: ToolCallStart) -> Payloads:
        """Return a `TOOL_CALL_START`."""
        self._open_calls[event.id] = []
        start = {"type": "TOOL_CALL_START", "toolCallId": event.id, "toolCallName": event.name}
        return [*self.unsent_head(), ("", start)]

    def encode_arguments(self, event: ToolCallDelta) -> Payloads:
        """Return a `TOOL_CALL_ARGS`."""
        self._open_calls[event.id].append(event.fragment)
        return [("", {"type": "TOOL_CALL_ARGS", "toolCallId": event.id, "delta": event.fragment})]

    def make_template(self, event: Event, head: bytes, tail: bytes) -> Template:
        """Return a template: a function that makes the chunk of a later piece, and keeps a call's arguments.

        Args:
            event: A piece that was sent; the later pieces differ from it only in their text.
            head: The bytes before the text in the chunk.
            tail: The bytes after the text in the chunk.
        """
        template = super().make_template(event, head, tail)
        return (
            add_recording(template, self._open_calls[event.id].append)
            if isinstance(event, ToolCallDelta)
            else template
        )

    def encode_call_end(self, event: ToolCallDone) -> Payloads:
        """Return a `TOOL_CALL_END`."""
        self._open_calls.pop(event.call.id, None)
        return [_call_end(event.call.id)]

    def encode_result(self, event: ToolResult) -> Payloads:
        """Return a `TOOL_CALL_RESULT`, whose content is text: the output, as JSON unless it is a text.

        Facts for which AG-UI has no field, such as an error, are sent in the metadata, under the key
        `tokenstream`; there, `content` says if the content is JSON, or an error in place of the output.
        """
        result, told = prepare_result(event, raw=True), dict[str, Any]()
        content = result.output
        if result.error is not None:
            told["error"] = result.error
        if result.error is not None and result.output is None:
            content = result.error
            told["content"] = "error"
        elif not isinstance(content, str):
            content = to_json_bytes(content).decode()
            told["content"] = "json"
        if result.provider_executed:
            told["providerExecuted"] = True
        payload = {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{self.scope}result-{result.id}",
            "toolCallId": result.id,
            "content": content,
            "role": "tool",
            **({"metadata": {"tokenstream": told}} if told else {}),
        }
        return [*self.unsent_head(), ("", payload)]

    def encode_step_start(self, event: StepStart) -> Payloads:
        """Return a `STEP_STARTED`; AG-UI identifies steps by name, so two open steps get different names."""
        name = event.name if event.name not in self._step_names.values() else f"{event.name} {event.id}"
        self._step_names[event.id] = name
        return [*self.unsent_head(), _step_payload("STARTED", name)]

    def encode_step_end(self, event: StepDone) -> Payloads:
        """Return a `STEP_FINISHED`; the step's messages stay open."""
        name = self._step_names.pop(event.id, None)
        return () if name is None else [_step_payload("FINISHED", name)]

    def encode_tail(self) -> Payloads:
        """Return the ends of all open messages, steps and incomplete calls, and a `RUN_FINISHED`."""
        word = self.word_for(self.finishes[0].reason)
        steps = [_step_payload("FINISHED", name) for name in self._step_names.values()]
        before = [*self.unsent_head(), *self.close_all(), *steps]
        end: dict[str, Any] = {
            "type": "RUN_FINISHED",
            **self._run_ids,
            "outcome": _PAUSED_OUTCOME if word == "interrupt" else {"type": word},
        }
        report = self._usage_report()
        if report:
            end["usage"] = [report]
        # The protocol does not allow a run to end with an open call. Calls whose arguments are complete JSON
        # stay open all the same, because a client may run every call that has ended.
        call_ends = [
            _call_end(id) for id, pieces in self._open_calls.items() if not _is_complete_json("".join(pieces))
        ]
        return [*before, *call_ends, ("", end)]

    def encode_error(self, kind: ErrorKind, message: str, code: str | None) -> Payloads:
        """Return a `RUN_ERROR`."""
        error = {"type": "RUN_ERROR", "message": message}
        # Without the provider's code, the kind is the code; "unknown" would tell nothing.
        code = code or (None if kind == "unknown" else kind)
        if code is not None:
            error["code"] = code
        return [*self.unsent_head(), ("", error)]

    # -- within ----------------------------------------------------------------

    def _usage_report(self) -> dict[str, Any]:
        """Return the token counts, and the model's name if it is known; {} if there are no counts."""
        counts = self.name_counts(_COUNTS)
        model = {} if self.model is None else {"model": self.model}
        return {**model, **counts} if counts else {}


def _reasoning_span(part: OpenText, edge: str) -> list[Payload]:
    """Return the event that starts or ends the span around a reasoning message; nothing for a text message.

    Args:
        part: The open text or reasoning.
        edge: "START" or "END".
    """
    edges: list[Payload] = [("", {"type": f"REASONING_{edge}", "messageId": part.id})]
    return edges if part.kind == "reasoning" else []


def _step_payload(edge: str, name: str) -> Payload:
    """Return a `STEP_STARTED` or `STEP_FINISHED`.

    Args:
        edge: "STARTED" or "FINISHED".
        name: The name of the step.
    """
    return "", {"type": f"STEP_{edge}", "stepName": name}


def _call_end(id: str) -> Payload:
    return "", {"type": "TOOL_CALL_END", "toolCallId": id}


def _is_complete_json(arguments: str) -> bool:
    """Return True if the arguments of a call are complete JSON."""
    try:
        decode(arguments or "{}")
    except ProtocolError:
        return False
    return True
